"""Shuffling rows by a permutation that no t parties know.

Invariants: nothing is opened here; all parties know only sizes.

Laur, Willemson, Zhang (ISC 2011): for each group of m - t = t + 1 parties in turn, the group holds the data as
additive shares (here the XOR of words; local, from replicated shares: every group's share is counted by one member),
permutes it by a permutation from its common stream, and passes it on freshly shared. Any t parties are outside one
group at least. Groups follow each other in revolving-door order (one member changes), so that passing on costs one
word from the leaving member; the others draw their parts from streams of pairs. At the end each member of the last
group deals its share to all (bits.py). C(m,t) rounds; sent by all together C(m,t) - 1 + (t + 1) t words for each word:
1.33 per party at m = 3, 3 at 5, 6.6 at 7.
"""

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from math import comb
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.bits import ONES, cyclic_group
from connectors.engine.cost import Cost, Shape, in_blocks
from connectors.engine.field import Array
from connectors.engine.lanes import blocks, joined

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine, Group

Permutations = dict["Group", npt.NDArray[np.intp]]
BLOCK = 1 << 15  # rows in a message


@lru_cache
def sequence(shape: Shape) -> "tuple[Group, ...]":
    """All groups of m - t parties, neighbours differing in one member (Knuth, TAOCP 7.2.1.3)."""

    def door(n: int, k: int) -> "list[Group]":
        if k == 0 or k == n:
            return [tuple(range(k))]
        return door(n - 1, k) + [(*group, n - 1) for group in reversed(door(n - 1, k - 1))]

    return tuple(door(shape.m, shape.m - shape.t))


async def shuffle(rt: "Engine", rows: Array, step: str) -> Array:
    """Shares of words [S, C, n], with the rows in an order that nobody knows. C(m,t) rounds."""
    groups, by = sequence(rt.shape), draw(rt, rows.shape[-1])
    x = additive(rt, rows, groups[0])
    for here, there in pairwise(groups):
        x = await pass_on(rt, permuted(x, by, here), here, there, step)
    return await deal(rt, permuted(x, by, groups[-1]), groups[-1], step)


def draw(rt: "Engine", n: int) -> Permutations:
    """Fresh permutations of n rows, of the groups that this party is in."""
    counter = rt.advance()
    return {group: s.at("permutation", counter).permutation(n) for group, s in rt.groups.items()}


def permuted(x: Array, by: Permutations, group: "Group") -> Array:
    return x[..., by[group]] if group in by else x


def additive(rt: "Engine", x: Array, group: "Group") -> Array:
    """This party's XOR share [C, n], within the group, of replicated x [S, C, n]; zeros outside the group.

    The share of each group of the replication is counted by the first party that is in both; there is one, since two
    groups of m - t have m - 2t parties in common.
    """
    mine = [s for s, held in enumerate(rt.held) if rt.pid == min(set(held) & set(group), default=None)]
    share: Array = np.bitwise_xor.reduce(x[mine], axis=0) if rt.pid in group else np.zeros_like(x[0])
    return share


async def pass_on(rt: "Engine", x: Array, here: "Group", there: "Group", step: str) -> Array:
    """XOR shares [C, n] of one group -> fresh XOR shares of its neighbour. 1 round, 1 word from who leaves.

    Each member of `here` splits its share among `there`; all parts but one come from streams of pairs. The part
    that is left over stays with a member who is in both groups; who leaves sends it to who enters.
    """
    (leaves,), (enters,) = set(here) - set(there), set(there) - set(here)

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        lane.advance()
        part = x[:, start:stop].copy() if rt.pid in here else np.zeros((len(x), stop - start), dtype=np.uint64)
        flat = part.reshape(-1)
        for peer in lane.peers:
            gives = rt.pid in here and peer in there and (rt.pid, peer) != (leaves, enters)
            takes = rt.pid in there and peer in here and (peer, rt.pid) != (leaves, enters)
            if gives:
                flat ^= lane.to[peer].at("pass", lane.counter).words(flat.size)
            if takes:
                flat ^= lane.by[peer].at("pass", lane.counter).words(flat.size)
        sends = {enters: flat} if rt.pid == leaves else {}
        received = await _exchange(lane, sends, {leaves: flat.size} if rt.pid == enters else {}, step)
        if rt.pid == enters:
            flat ^= received[leaves]
        return part if rt.pid in there else np.zeros_like(part)

    return joined(await blocks(rt, x.shape[-1], BLOCK, block))


async def deal(rt: "Engine", x: Array, group: "Group", step: str) -> Array:
    """XOR shares [C, n] of one group -> replicated shares [S, C, n], dealt as in `bits.share_own`. 1 round, t words
    from each member.
    """
    mine = rt.pid in group
    cyclic = {dealer: cyclic_group(rt.shape, dealer) for dealer in group}

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        counter, size = lane.advance(), len(x) * (stop - start)
        own = x[:, start:stop].reshape(-1).copy()
        shares = np.zeros((len(rt.held), size), dtype=np.uint64)
        for k, held in enumerate(rt.held):
            for dealer in set(held) & set(group):
                if held != cyclic[dealer]:
                    drawn = lane.groups[held].at(f"input of {dealer}", counter).words(size)
                    shares[k] ^= drawn
                    own ^= drawn if dealer == rt.pid else np.uint64(0)
        dealt = {dealer: rt.held.index(cyclic[dealer]) for dealer in group if rt.pid in cyclic[dealer]}
        sends = {peer: own for peer in cyclic[rt.pid] if peer != rt.pid} if mine else {}
        received = await _exchange(lane, sends, {dealer: size for dealer in dealt if dealer != rt.pid}, step)
        for dealer, k in dealt.items():
            shares[k] ^= own if dealer == rt.pid else received[dealer]
        return shares.reshape(len(rt.held), len(x), stop - start)

    return joined(await blocks(rt, x.shape[-1], BLOCK, block))


async def _exchange(rt: "Engine", sends: Mapping[int, Array], due: Mapping[int, int], step: str) -> dict[int, Array]:
    """`rt.exchange` of words in which who only receives answers with one. Else a party that needs nothing in this step
    would send all its blocks, and those of later steps, to one that is still busy.
    """
    answer = np.full(1, ONES)
    answers = {peer: answer for peer in due if peer not in sends}
    return await rt.exchange({**sends, **answers}, {**dict.fromkeys(sends, 1), **due}, step, bits=rt.peers)


def shuffle_cost(shape: Shape, columns: int, n: int) -> Cost:
    group = sequence(shape)[-1]
    sent = {(dealer, peer) for dealer in group for peer in cyclic_group(shape, dealer) if peer != dealer}
    alone = sum((peer, dealer) not in sent for dealer, peer in sent)  # who receives and does not send

    def pass_(rows: int) -> Cost:
        return Cost(1, columns * rows + 1, max(1, columns * rows))

    def deal_(rows: int) -> Cost:
        return Cost(1, len(sent) * columns * rows + alone, max(1, columns * rows))

    return in_blocks(n, BLOCK, pass_).times(comb(shape.m, shape.t) - 1) + in_blocks(n, BLOCK, deal_)
