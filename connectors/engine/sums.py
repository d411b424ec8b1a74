"""Limits on the sums of people's numbers in cells, before anything is opened.

Invariants: nothing is opened; sizes depend on public bounds only. A number x between public bounds is carried as
x - least, so that everything in here is at least zero and whose part it is can be compared; totals are of x again.

A sum is kept iff its cell is (limits.py), the people whose number is known make up a cell that the same limits keep,
those whose number is not known do too, or there are none, since they are what is left of the cell; and nobody dominates
it: 100 s_p <= dominance s, with s the sum over the known people of x - least, and s_p the part of
it that is with provider p; and no person could, 100 (most - least) <= dominance s, since no single one has more (the
(1, k) rule; Hundepool et al., "Statistical Disclosure Control", 2012, section 4.2.1). An empty sum has nobody in it.

Rounding a large number x to a base r: x mod r = y mod r for y the sum of 2^j mod r over the bits j of x, which is
below r times the number of bits, so the division (limits.py) has few bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.bits import ROWS, and_, and_cost, invert, words_for
from connectors.engine.compare import all_of_cost, negative, negative_cost, to_bits, to_bits_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array, add, combine, mul, sub
from connectors.engine.limits import (
    ALL,
    Limits,
    dominance_bits,
    floored,
    floored_cost,
    in_words,
    kept,
    kept_clear,
    kept_cost,
    none_of,
    rounded,
    rounded_cost,
)
from connectors.engine.sharing import reshare, reshare_cost
from gateway.rules.sharing import P

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that people have: its name, its bounds, whether sums of its squares are asked for, and the unit whose
    multiples by the rounding of counts its sums are rounded to (0: to none).
    """

    name: str
    least: int
    most: int
    squares: bool = False
    step: int = 0

    @property
    def bits(self) -> int:
        """That x - least takes."""
        return (self.most - self.least).bit_length()

    @property
    def largest(self) -> int:
        """Of x - least, whatever an owner puts in."""
        return (1 << self.bits) - 1


@dataclass(frozen=True, slots=True)
class Sums:
    """Shares of what is added up in K cells: `people` [1 + P, K], of all and, where that matters, of each of P parts
    that somebody may take away: those whom a provider has, and those whose numbers a provider said; for each measure,
    likewise, how many of them are `known` [M, 1 + P, K], and the sum of what they carry, `carried` [M, 1 + P, K]; and
    of all of them `squares` [Q, K] of the measures that ask for them.
    """

    people: Array
    known: Array
    carried: Array
    squares: Array


async def limited_sums(rt: "Engine", sums: Sums, rows: int, limits: Limits, measures: Sequence[Measure]) -> Array:
    """Fresh shares of a count per cell; for each measure of how many are known, their sum and, where asked for, the sum
    of their squares, per cell; then of the flags (1 where kept), per cell, and for each measure per cell. What is not
    kept is 0, all else is rounded as the limits say; sums below zero come out as field elements.
    """
    cells = sums.people.shape[1]
    counts = np.concatenate([sums.people[None], sums.known])
    if limits.exact:
        flags: Array = np.ones((len(counts), cells), dtype=np.uint64)
    else:
        shown = await _kept(rt, sums, counts, rows, limits, measures)
        flags = await to_field(rt, shown, cells, "limits: suppress")
    numbers, squares = counts[:, 0], list(sums.squares)
    if limits.rounding > 1 and not limits.exact:
        numbers = (await rounded(rt, numbers.reshape(-1), rows, limits.rounding)).reshape(numbers.shape)
    out = [mul(numbers[0], flags[0])]
    for measure, rough, flag, known, carried in zip(
        measures, numbers[1:], flags[1:], sums.known[:, 0], sums.carried[:, 0], strict=True
    ):
        sum_ = _moved(carried, known, measure.least)
        if _base(measure, limits) > 1:
            sum_ = await _rounded_sum(rt, sum_, rows, measure, _base(measure, limits))
        out += [mul(rough, flag), mul(sum_, flag)]
        if measure.squares:
            # (x - l)^2 + 2 l (x - l) + l^2 = x^2
            about = add(squares.pop(0), mul(carried, 2 * measure.least % P))
            out.append(mul(add(about, mul(known, measure.least**2 % P)), flag))
    return await reshare(rt, np.concatenate([*out, flags.reshape(-1)]), "limits: fresh shares")


async def _kept(
    rt: "Engine", sums: Sums, counts: Array, rows: int, limits: Limits, measures: Sequence[Measure]
) -> Array:
    """Planes [S, 1 + M, W] of the cells that are kept, and of the sums."""
    unknown = sub(counts[:1], counts[1:])
    tables, zero = await kept(rt, np.concatenate([counts, unknown]), rows, limits, lenient=len(unknown))
    cell, known, others = np.split(tables, [1, len(counts)], axis=1)
    failed = [invert(rt, np.broadcast_to(met, known.shape))[:, :, None] for met in (cell, known, others)]
    if limits.dominates:
        most = [np.full((1, counts.shape[2]), measure.most - measure.least, dtype=np.uint64) for measure in measures]
        parts = in_words(np.concatenate([np.stack(most), sums.carried[:, 1:]], axis=1))  # of a person, of each provider
        margin = sub(mul(in_words(sums.carried[:, :1]), limits.dominance), mul(parts, ALL))
        bits = dominance_bits(rows * max(measure.largest for measure in measures))
        dominated = await negative(rt, margin.reshape(-1), bits, "limits: dominance of sums")
        dominated = dominated.reshape(len(dominated), *parts.shape[:2], -1)
        person = await and_(rt, dominated[:, :, 0], invert(rt, zero[:, 1 : len(counts)]), "limits: dominance of sums")
        failed += [person[:, :, None], dominated[:, :, 1:]]
    return np.concatenate([cell, await none_of(rt, np.concatenate(failed, axis=2), "limits: sums")], axis=1)


def _moved(carried: Array, known: Array, least: int) -> Array:
    """The sum of x from that of x - least."""
    return add(carried, mul(known, least % P))


def _base(measure: Measure, limits: Limits) -> int:
    return 1 if limits.exact else limits.rounding * measure.step


async def _rounded_sum(rt: "Engine", sum_: Array, rows: int, measure: Measure, base: int) -> Array:
    """The nearest multiples of the base, halves up."""
    at = _rest(rows, measure, base)
    lifted = add(sum_, at.lift + base // 2)
    bits = await to_bits(rt, lifted, at.bits, "limits: round sums")
    rest = combine(at.rests, await to_field(rt, bits, lifted.size, "limits: round sums"))
    rest = sub(rest, await floored(rt, rest, sum(at.rests), base))
    return sub(sub(lifted, rest), at.lift)


@dataclass(frozen=True, slots=True)
class _Rest:
    """A sum is lifted above zero by a multiple of the base; then it has `bits`, whose `rests` modulo the base add up to
    what is left of it."""

    lift: int
    bits: int
    rests: tuple[int, ...]


def _rest(rows: int, measure: Measure, base: int) -> _Rest:
    lift = -(min(measure.least, 0) * rows // base) * base
    bits = (lift + base // 2 + rows * max(measure.least + measure.largest, 0)).bit_length()
    return _Rest(lift, bits, tuple((1 << bit) % base for bit in range(bits)))


def limited_sums_clear(
    people: Sequence[Sequence[int]],
    known: Sequence[Sequence[Sequence[int]]],
    totals: Sequence[Sequence[Sequence[int]]],
    squares: Sequence[Sequence[int]],
    limits: Limits,
    measures: Sequence[Measure],
) -> list[int]:
    """Clear-text twin of `limited_sums`: `people` [1 + P][K] and `known` [M][1 + P][K] as there, `totals` [M][1 + P][K]
    of x itself, `squares` [M][K] of x of all measures.
    """
    cells = range(len(people[0]))
    base = 1 if limits.exact else limits.rounding
    shown = kept_clear(people[0], people[1:], limits)
    out = [(people[0][cell] + base // 2) // base * base * shown[cell] for cell in cells]
    flags = [int(flag) for flag in shown]
    for measure, counts, sums, of_squares in zip(measures, known, totals, squares, strict=True):
        kept_known = kept_clear(counts[0], counts[1:], limits)
        unknown = [[all_ - own for all_, own in zip(*pair, strict=True)] for pair in zip(people, counts, strict=True)]
        kept_rest = kept_clear(unknown[0], unknown[1:], limits, lenient=True)
        flag = [
            shown[k] and kept_known[k] and kept_rest[k] and not _dominated(measure, counts, sums, k, limits)
            for k in cells
        ]
        unit = max(_base(measure, limits), 1)
        out += [(counts[0][cell] + base // 2) // base * base * flag[cell] for cell in cells]
        out += [(sums[0][cell] + unit // 2) // unit * unit * flag[cell] % P for cell in cells]
        out += [of_squares[cell] * flag[cell] for cell in cells] if measure.squares else []
        flags += map(int, flag)
    return out + flags


def _dominated(
    measure: Measure, counts: Sequence[Sequence[int]], sums: Sequence[Sequence[int]], cell: int, limits: Limits
) -> bool:
    if limits.exact or not limits.dominates or not counts[0][cell]:
        return False
    whole, *parts = [total[cell] - measure.least * count[cell] for count, total in zip(counts, sums, strict=True)]
    return any(ALL * part > limits.dominance * whole for part in (measure.most - measure.least, *parts))


def limited_sums_cost(
    shape: Shape, n: int, cells: int, providers: int, limits: Limits, measures: Sequence[Measure]
) -> Cost:
    tables, squares = 1 + len(measures), sum(measure.squares for measure in measures)
    out = reshare_cost(shape, (2 * tables + len(measures) + squares) * cells)
    if limits.exact:
        return out
    size = words_for(cells)
    each = len(measures) * ROWS * size
    out += kept_cost(shape, n, cells, providers, limits, tables + len(measures))
    conditions = 3
    if limits.dominates:
        bits = dominance_bits(n * max(measure.largest for measure in measures))
        out += negative_cost(shape, bits, (1 + providers) * each) + and_cost(shape, len(measures) * size)
        conditions += 1 + providers
    out += all_of_cost(shape, conditions, each) + to_field_cost(shape, tables, cells)
    if limits.rounding > 1:
        out += rounded_cost(shape, n, tables * cells, limits.rounding)
    for measure in measures:
        base = _base(measure, limits)
        if base > 1:
            at = _rest(n, measure, base)
            out += to_bits_cost(shape, at.bits, cells) + to_field_cost(shape, at.bits, cells)
            out += floored_cost(shape, sum(at.rests), cells, base)
    return out
