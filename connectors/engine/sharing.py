"""Shamir shares: making, re-sharing and opening them.

Invariants: party `pid` holds the value at x = pid + 1 of a polynomial of degree t; every re-sharing draws
fresh randomness under its own program counter.

Re-sharing (Gennaro, Rabin, Rabin 1998, section 4): each dealer shares its value with degree t, everyone adds
up. t of the m - 1 sub-shares are drawn by dealer and receiver from their pair's stream instead of being sent
(the dealer's polynomial is the one through them and through its value at 0), so a dealer sends m - 1 - t = t
elements per value. 1 round. The sub-shares that t parties see are uniform, whatever the value.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import Abort
from connectors.engine.field import Array, add, combine, mul
from connectors.engine.lanes import blocks, joined
from connectors.engine.wire import DIGEST_WORDS, digest
from gateway.rules.sharing import lagrange

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

BLOCK = 1 << 15  # elements that are worked on at once: they fit the cache, and a message is 256 KiB


def split(secrets: Array, shape: Shape, elements: Callable[[int], Array]) -> list[Array]:
    """Shares of `secrets` for each of the m parties; `elements(n)` gives n uniform elements."""
    coefficients = [elements(secrets.size).reshape(secrets.shape) for _ in range(shape.t)]
    shares = []
    for pid in range(shape.m):
        value = np.zeros_like(secrets)
        for coefficient in coefficients:  # Horner's rule
            value = mul(add(value, coefficient), pid + 1)
        shares.append(add(value, secrets))
    return shares


def drawn(dealer: int, shape: Shape) -> tuple[int, ...]:
    """The t parties whose sub-shares from this dealer come from streams."""
    return tuple((dealer + k) % shape.m for k in range(1, shape.t + 1))


def deal(rt: "Engine", value: Array, scale: int = 1) -> tuple[dict[int, Array], Array]:
    """This party shares `scale * value` (a vector): sub-shares to send, by pid, and the one to keep."""
    known = drawn(rt.pid, rt.shape)
    rows = np.stack([value, *(rt.to[peer].at("deal", rt.counter).elements(value.size) for peer in known)])
    points = (0, *(peer + 1 for peer in known))
    subs = {}
    for pid in range(rt.m):
        if pid not in known:
            weights = lagrange(points, pid + 1)
            subs[pid] = combine([weights[0] * scale, *weights[1:]], rows)
    own = subs.pop(rt.pid)
    return subs, own


def due_from(rt: "Engine", dealers: Sequence[int], n: int) -> dict[int, int]:
    """What `deal` of n values by each of the dealers makes this party wait for."""
    return {d: n for d in dealers if d != rt.pid and rt.pid not in drawn(d, rt.shape)}


def dealt(rt: "Engine", dealer: int, n: int, received: dict[int, Array]) -> Array:
    """This party's sub-share from another dealer, received or drawn."""
    if rt.pid in drawn(dealer, rt.shape):
        return rt.by[dealer].at("deal", rt.counter).elements(n)
    return received[dealer]


async def reshare(rt: "Engine", x: Array, step: str) -> Array:
    """Fresh shares of degree t of what all parties hold with degree at most 2t. 1 round, t elements per
    value.
    """
    flat = x.reshape(-1)
    parts = await blocks(rt, flat.size, BLOCK, lambda lane, start, stop: _reshare(lane, flat[start:stop], step))
    return joined(parts).reshape(x.shape)


async def _reshare(rt: "Engine", x: Array, step: str) -> Array:
    rt.advance()
    everyone = range(rt.m)
    scale = lagrange(tuple(pid + 1 for pid in everyone), 0)[rt.pid]
    sends, own = deal(rt, x, scale)
    received = await rt.exchange(sends, due_from(rt, everyone, x.size), step)
    for dealer in rt.peers:
        own = add(own, dealt(rt, dealer, x.size, received))
    return own


async def open_(rt: "Engine", x: Array, step: str) -> Array:
    """Everyone learns x. 1 round, t elements per value and m - 1 - t digests.

    The caller says why the value may be known. All m shares must lie on one polynomial of degree t: t parties send
    theirs, which with the own one give the value and what the others hold, and of that the others send a digest. Shares
    that t parties made up cannot agree with all t + 1 others, so they are noticed, though not whose they are.
    """
    rt.opening(step)
    rt.advance()
    flat = np.ascontiguousarray(x.reshape(-1))
    shown, known = set(drawn(rt.pid, rt.shape)), [pid for pid in rt.peers if rt.pid in drawn(pid, rt.shape)]
    summary = digest(flat)
    sends = {peer: flat if peer in known else summary for peer in rt.peers}
    due = {peer: flat.size if peer in shown else DIGEST_WORDS for peer in rt.peers}
    received = await rt.exchange(sends, due, step, bits=set(rt.peers) - shown)
    rows = np.stack([flat, *(received[peer] for peer in sorted(shown))])
    points = (rt.pid + 1, *(peer + 1 for peer in sorted(shown)))
    for peer in rt.peers:
        if peer not in shown and not np.array_equal(received[peer], digest(combine(lagrange(points, peer + 1), rows))):
            rt.abort(Abort.INCONSISTENT_SHARES, f"the shares opened in {step!r} do not fit together")
    return combine(lagrange(points, 0), rows).reshape(x.shape)


def reshare_cost(shape: Shape, n: int) -> Cost:
    return Cost(1, shape.m * shape.t * n, n)


def open_cost(shape: Shape, n: int) -> Cost:
    digests = shape.m * (shape.m - 1 - shape.t) * DIGEST_WORDS
    return Cost(1, shape.m * shape.t * n + digests, max(n, DIGEST_WORDS))
