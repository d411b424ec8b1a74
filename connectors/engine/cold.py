"""MPyC's secure types beside native arrays: for what is computed on few values, where rounds and bytes do not matter.

    totals = await to_cold(rt, shares, bound, rt.SecFxp(64, 32))      shares [n] of F_p -> list of secure values
    shares = await from_cold(rt, [totals[0] / totals[1]], bound)      and back, or, where the contract says so,
    (ratio,) = await open_(rt, [totals[0] / totals[1]], "ratio")      opened

Invariants: nothing is opened but by `open_`, and inside MPyC's protocols under masks (masked.py says which); a
conversion opens nothing at all; it refuses bounds for which it could be wrong. All of it is called from the program
itself, neither in lanes nor in coroutines of MPyC.

Conversion (`_moved`) from modulus A to modulus B: quotient transfer, Kikuchi et al., ePrint 2018/387, section 4. With
2^k >= t + 1 and y = 2^k (x + bound) < A, parties 0 .. t hold numbers s_i = lambda_i y_i mod A whose sum is y + q A with
q <= t. Modulo 2^k, y is 0 and A is odd, so q is the sum of the (s_i / A mod 2^k). Each of the t + 1 parties shares s_i
and those k bits in B; an adder over shared bits gives q, and y = sum of s_i - q A. 1 round to share, k for each level
of adders: 2 rounds at m = 3, 5 at m = 5 and 7. Elements of B per value: (t + 1)(k + 1)(m - 1) dealt and m (m - 1) for
each of (2k - 1) t products (k is 1 or 2), as cold_cost.py has it. Where A = B the shares are taken as they are.

Semi-honest like all else: a party that shares other numbers falsifies the result and learns nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from connectors.engine.field import Array
from connectors.engine.masked import program_opens
from connectors.engine.stock import SecureFiniteField, fixed_point_root, prime_field
from gateway.rules.sharing import P, lagrange

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

Bits = list[list[Any]]  # k vectors of shared bits, the lowest first


async def to_cold(rt: "Engine", x: Array, bound: int, kind: Any) -> list[Any]:
    """Shares [n] of whole numbers in (-bound, bound) as secure values of `kind` (SecInt, SecFxp, prime SecFld).

    Raises ValueError where the kind has no room for the bound.
    """
    scale = kind.frac_length
    if not issubclass(kind, SecureFiniteField) and bound << scale > 1 << (kind.bit_length - 1):
        raise ValueError(f"{kind.__name__} has no room for numbers up to {bound}")
    moved = await _moved(rt, [int(share) for share in x], P, kind.field, bound)
    if scale:
        return [kind(share << scale, integral=True) for share in moved]
    return [kind(share) for share in moved]


async def from_cold(rt: "Engine", values: Sequence[Any], bound: int) -> Array:
    """Shares [n] in F_p of secure values of one kind in (-bound, bound); a SecFxp comes times 2^f, f its fraction's
    bits.

    Raises ValueError where F_p or the kind's field has no room for the bound.
    """
    if not values:
        return np.zeros(0, dtype=np.uint64)
    kind = type(values[0])
    shares = [share.value for share in await rt.gather(list(values))]
    moved = await _moved(rt, shares, kind.field.modulus, prime_field(P), bound << kind.frac_length)
    return np.array([share.value for share in moved], dtype=np.uint64)


async def open_(rt: "Engine", values: Sequence[Any], step: str) -> list[Any]:
    """Everyone learns the values: int, float or field element, as their kind says. The caller says why they may be
    known. 1 round, a share of each value to all m - 1 others, all of which are checked.
    """
    rt.opening(step)
    with program_opens(step):
        opened = rt.output(list(values))
    result: list[Any] = await rt.gather(opened)
    return result


def root(x: Any) -> Any:
    """The square root of a SecFxp that is not negative (l bits, f of them fraction): off by at most 2^(1-f) from 1 up;
    below 1, its square is off by at most 2^(2-f). (l + f) / 2 comparisons after each other (MPyC, statistics).
    """
    return fixed_point_root(x)


async def _moved(rt: "Engine", shares: list[int], source: int, field: Any, bound: int) -> list[Any]:
    """Shares in `field` of what are shares modulo `source`, of numbers in (-bound, bound)."""
    if rt.lane:
        raise RuntimeError("secure types are used by the program itself, not in lanes")
    target = field.modulus
    if source == target:
        return [field(share) for share in shares]
    k = rt.t.bit_length()
    if not 0 < bound << k + 1 <= source or bound << 1 > target:
        raise ValueError(f"numbers up to {bound} cannot be moved from modulo {source} to modulo {target}")
    dealers = list(range(rt.t + 1))
    n, mine = len(shares), []
    if rt.pid in dealers:
        by = lagrange(tuple(pid + 1 for pid in dealers), 0, source)[rt.pid]
        mine = [by * (share + bound << k) % source for share in shares]
    quotients = [s * pow(source, -1, 1 << k) % (1 << k) for s in mine]
    own = mine + [q >> i & 1 for i in range(k) for q in quotients]
    dealt = await rt.gather(rt.input([field(v) for v in own or [0] * n * (k + 1)], dealers)) if n else []
    if not n:
        return []
    sums = [sum(column, field(0)) for column in zip(*(one[:n] for one in dealt), strict=True)]
    parts: list[Bits] = [[one[n * (i + 1) : n * (i + 2)] for i in range(k)] for one in dealt]
    while len(parts) > 1:
        pairs = len(parts) // 2
        parts = [*await _added(rt, parts[:pairs], parts[pairs : 2 * pairs]), *parts[2 * pairs :]]
    halved = field(pow(2, -k, target))
    return [
        (total - sum(((bit << i) * source for i, bit in enumerate(bits)), field(0))) * halved - bound
        for total, *bits in zip(sums, *parts[0], strict=True)
    ]


async def _added(rt: "Engine", left: list[Bits], right: list[Bits]) -> list[Bits]:
    """Sums modulo 2^k, k = 1 or 2, of numbers in bits. k rounds, 2k - 1 products each."""
    both = await _products(rt, [(a, b) for x, y in zip(left, right, strict=True) for a, b in zip(x, y, strict=True)])
    k = len(left[0])
    lows, carries, highs = [], [], []
    for at, (x, y) in enumerate(zip(left, right, strict=True)):
        differ = [_xor(x[i], y[i], both[k * at + i]) for i in range(k)]
        lows.append(differ[0])
        carries.append(both[k * at])
        highs.append(differ[1:])
    if k == 1:
        return [[low] for low in lows]
    kept = await _products(rt, [(high[0], carry) for high, carry in zip(highs, carries, strict=True)])
    return [[low, _xor(high[0], carry, p)] for low, high, carry, p in zip(lows, highs, carries, kept, strict=True)]


async def _products(rt: "Engine", pairs: list[tuple[list[Any], list[Any]]]) -> list[list[Any]]:
    n = len(pairs[0][0])
    flat = await rt.gather(rt._reshare([a * b for x, y in pairs for a, b in zip(x, y, strict=True)]))
    return [flat[i * n : (i + 1) * n] for i in range(len(pairs))]


def _xor(x: list[Any], y: list[Any], product: list[Any]) -> list[Any]:
    return [a + b - 2 * p for a, b, p in zip(x, y, product, strict=True)]
