"""Shuffling the rows of a matrix by a permutation that no t parties know, and taking it back.

Invariants: nothing is opened here but where `reveal` says so; all parties know only sizes.

Laur, Willemson, Zhang (ISC 2011): for each group of m - t = t + 1 parties in turn, the group holds the data
as additive shares (local, from Shamir shares: a member scales by its Lagrange coefficient), permutes it by a
permutation from its common stream, and passes it on freshly shared. Any t parties are outside one group at
least. Groups follow each other in revolving-door order (one member changes), so that passing on costs one
element per entry from the leaving member; the others draw sub-shares from pair streams. At the end the last
group shares to all. C(m,t) rounds; sent by all together C(m,t) - 1 + (t + 1) t elements per entry: 1.33 per
party at m = 3, 3 at 5, 6.6 at 7.
"""

from functools import lru_cache
from math import comb
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array, add, mul, sub
from connectors.engine.sharing import deal, dealt, due_from
from gateway.rules.sharing import lagrange

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine, Group

Permutations = dict["Group", npt.NDArray[np.intp]]


@lru_cache
def sequence(shape: Shape) -> "tuple[Group, ...]":
    """All groups of m - t parties, neighbours differing in one member (Knuth, TAOCP 7.2.1.3)."""

    def door(n: int, k: int) -> "list[Group]":
        if k == 0 or k == n:
            return [tuple(range(k))]
        return door(n - 1, k) + [(*group, n - 1) for group in reversed(door(n - 1, k - 1))]

    return tuple(door(shape.m, shape.m - shape.t))


def draw(rt: "Engine", n: int) -> Permutations:
    """Fresh permutations of n rows, of the groups that this party is in."""
    counter = rt.advance()
    return {group: s.at("permutation", counter).permutation(n) for group, s in rt.groups.items()}


def additive(rt: "Engine", x: Array, group: "Group") -> Array:
    """This party's additive share, within the group, of Shamir-shared x; zeros outside the group."""
    if rt.pid not in group:
        return np.zeros_like(x)
    return mul(x, lagrange(tuple(pid + 1 for pid in group), 0)[group.index(rt.pid)])


async def forward(rt: "Engine", x: Array, by: Permutations, step: str) -> Array:
    """Additive in the first group -> permuted by all groups, additive in the last. C(m,t) - 1 rounds."""
    groups = sequence(rt.shape)
    for here, there in zip(groups, (*groups[1:], None), strict=True):
        if here in by:
            x = x[..., by[here]]
        if there is not None:
            x = await _pass_on(rt, x, here, there, step)
    return x


async def backward(rt: "Engine", x: Array, by: Permutations, step: str) -> Array:
    """Takes `forward` back: additive in the last group -> additive in the first. C(m,t) - 1 rounds."""
    groups = sequence(rt.shape)[::-1]
    for here, there in zip(groups, (*groups[1:], None), strict=True):
        if here in by:
            restored = np.empty_like(x)
            restored[..., by[here]] = x
            x = restored
        if there is not None:
            x = await _pass_on(rt, x, here, there, step)
    return x


async def reveal_and_share(rt: "Engine", shown: Array, kept: Array, step: str) -> tuple[Array, Array]:
    """From the last group: everyone learns the vector `shown` and gets Shamir shares of the matrix `kept`. 1
    round.

    The caller says why `shown` may be known.
    """
    rt.advance()
    group = sequence(rt.shape)[-1]
    shares: Array = np.zeros(kept.size, dtype=np.uint64)
    sends: dict[int, Array] = {}
    if rt.pid in group:
        dealt_out, shares = deal(rt, kept.reshape(-1))
        sends = {peer: np.concatenate([shown, dealt_out.get(peer, shares[:0])]) for peer in rt.peers}
    due = {peer: shown.size + due_from(rt, group, kept.size).get(peer, 0) for peer in group if peer != rt.pid}
    received = await rt.exchange(sends, due, step)
    for peer in due:
        shown = add(shown, received[peer][: shown.size])
        received[peer] = received[peer][shown.size :]
        shares = add(shares, dealt(rt, peer, kept.size, received))
    return shown, shares.reshape(kept.shape)


async def _pass_on(rt: "Engine", x: Array, here: "Group", there: "Group", step: str) -> Array:
    """Additive shares of one group -> fresh additive shares of its neighbour. 1 round, 1 element from who
    leaves.

    Each member of `here` splits its share among `there`; all parts but one come from pair streams. The part
    that is left over stays with a member who is in both groups; who leaves sends it to who enters.
    """
    rt.advance()
    (leaves,), (enters,) = set(here) - set(there), set(there) - set(here)
    flat = x.reshape(-1)
    share: Array = np.zeros(flat.size, dtype=np.uint64)
    sends: dict[int, Array] = {}
    if rt.pid in here:
        keeper = enters if rt.pid == leaves else rt.pid
        rest = flat
        for peer in there:
            if peer != keeper:
                rest = sub(rest, rt.to[peer].at("pass", rt.counter).elements(flat.size))
        if rt.pid == leaves:
            sends = {enters: rest}
        else:
            share = rest
    received = await rt.exchange(sends, {leaves: flat.size} if rt.pid == enters else {}, step)
    if rt.pid in there:
        for peer in here:
            if peer == rt.pid:
                continue
            if peer == leaves and rt.pid == enters:
                share = add(share, received[leaves])
            else:
                share = add(share, rt.by[peer].at("pass", rt.counter).elements(flat.size))
    return share.reshape(x.shape)


def passes_cost(shape: Shape, n: int) -> Cost:
    """`forward` or `backward` over n entries."""
    steps = comb(shape.m, shape.t) - 1
    return Cost(steps, steps * n, n)


def reveal_and_share_cost(shape: Shape, shown: int, kept: int) -> Cost:
    dealers = shape.t + 1
    return Cost(1, dealers * (shape.m - 1) * shown + dealers * shape.t * kept, shown + kept)
