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
from connectors.engine.errors import Abort, SessionAborted
from connectors.engine.field import Array, add, mul
from gateway.rules.sharing import P, lagrange

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


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
    streams = [rt.to[peer].at("deal", rt.counter).elements(value.size) for peer in known]
    points = (0, *(peer + 1 for peer in known))
    out = {}
    for pid in range(rt.m):
        if pid not in known:
            weights = lagrange(points, pid + 1)
            sub = mul(value, weights[0] * scale % P)
            for weight, stream in zip(weights[1:], streams, strict=True):
                sub = add(sub, mul(stream, weight))
            out[pid] = sub
    own = out.pop(rt.pid)
    return out, own


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
    rt.advance()
    everyone = range(rt.m)
    scale = lagrange(tuple(pid + 1 for pid in everyone), 0)[rt.pid]
    sends, own = deal(rt, x.reshape(-1), scale)
    received = await rt.exchange(sends, due_from(rt, everyone, x.size), step)
    for dealer in rt.peers:
        own = add(own, dealt(rt, dealer, x.size, received))
    return own.reshape(x.shape)


async def open_(rt: "Engine", x: Array, step: str) -> Array:
    """Everyone learns x. All m shares are read and must lie on one polynomial of degree t. 1 round, m - 1
    elements.

    The caller says why the value may be known.
    """
    rt.advance()
    flat = x.reshape(-1)
    shares = await rt.exchange(dict.fromkeys(rt.peers, flat), dict.fromkeys(rt.peers, x.size), step)
    shares[rt.pid] = flat
    basis = tuple(range(1, rt.t + 2))
    for pid in range(rt.t + 1, rt.m):
        if not np.array_equal(_at(shares, basis, pid + 1), shares[pid]):
            failure = SessionAborted(Abort.INCONSISTENT_SHARES, f"the shares opened in {step!r} do not fit together")
            rt.fail(failure)
            raise failure
    return _at(shares, basis, 0).reshape(x.shape)


def _at(shares: dict[int, Array], points: tuple[int, ...], x: int) -> Array:
    value = mul(shares[points[0] - 1], lagrange(points, x)[0])
    for point, weight in zip(points[1:], lagrange(points, x)[1:], strict=True):
        value = add(value, mul(shares[point - 1], weight))
    return value


def reshare_cost(shape: Shape, n: int) -> Cost:
    return Cost(1, shape.m * shape.t * n, n)


def open_cost(shape: Shape, n: int) -> Cost:
    return Cost(1, shape.m * (shape.m - 1) * n, n)
