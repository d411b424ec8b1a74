"""What is measured of people, added up by cells: what programs on sums share.

Invariants: a person is counted at its first row, with that row's codes and numbers: what that row does not know is not
known, whatever later ones say; nothing is opened beyond what linking opens.

An owner's row is the index of each code in binary, the first column's in the highest bits, and for each measure whether
it is known and how far it is above its lowest value. Rows are counted and added up by cells, for all people, for those
of each provider, and for those whose numbers each provider said, at their first row (tables.py).

Not linked, owners share for each cell how many people they have, and of each measure how many have a number, and the
sums of how far it is above its lowest value, and of the squares of that (pooled.py). A provider's part is what it has,
and nothing is opened.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array
from connectors.engine.limits import Limits
from connectors.engine.linking import both, both_cost, link, link_clear, link_cost, spread, spread_cost
from connectors.engine.pooled import Pooled, with_parts
from connectors.engine.programs.cells import Columns
from connectors.engine.programs.measures import check_values
from connectors.engine.rows import WORD_BITS, InputCells, InputRows, TokenBytes, Words, check_rows, pack, words_per_row
from connectors.engine.sums import Measure, Sums
from connectors.engine.tables import add_up, add_up_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


@dataclass(frozen=True, slots=True)
class Summed:
    """The cells, the measures, the limits that say whether it matters whose people they are, and whether these are
    recognised across providers."""

    columns: Columns
    measures: tuple[Measure, ...]
    limits: Limits
    linked: bool = True

    @property
    def pooled(self) -> Pooled | None:
        """What providers put in for each cell, where people are not linked: how many people; for each measure how many
        have a number, the sum of how far it is above its lowest value and, where asked for, the sum of the squares of
        that."""
        wider = chain.from_iterable(
            (0, measure.bits, *[2 * measure.bits] * measure.squares) for measure in self.measures
        )
        return None if self.linked else Pooled(self.columns.cells, (0, *wider))

    def rows(self, inputs: Sequence[Array]) -> int:
        """No count is above this, whatever is in the inputs."""
        return sum(shares.shape[-1] for shares in inputs) if self.pooled is None else self.pooled.rows(inputs)

    def rows_of(self, bounds: Sequence[int]) -> int:
        """The same, from the providers' bounds."""
        return sum(bounds) if self.pooled is None else self.pooled.rows_of(bounds)

    def owners(self, providers: int) -> int:
        """Parts that somebody may take away: the people of each provider, and, linked, those whose numbers it said."""
        return 0 if not self.limits.by_provider else (1 + self.linked) * providers

    @property
    def numbers(self) -> tuple[int, ...]:
        """Bits of what is added up: of each measure whether it is known, and what is carried."""
        return tuple(chain.from_iterable((1, measure.bits) for measure in self.measures))

    @property
    def squared(self) -> tuple[int, ...]:
        """Which of these are squared."""
        return tuple(2 * i + 1 for i, measure in enumerate(self.measures) if measure.squares)

    @property
    def bits(self) -> int:
        """Of a row's payload."""
        return self.columns.bits + sum(self.numbers)

    @property
    def words(self) -> int:
        """Words of bits per input row."""
        return words_per_row(self.bits)

    def encoded(self, given: InputRows | InputCells, bound: int, token_bytes: TokenBytes) -> Words:
        """A provider's rows as [C, bound] words of bits, or its totals. Raises InputRejected, naming the field."""
        if self.pooled is not None:
            return self.pooled.encode(given, bound)
        rows = check_rows(given, bound)
        self.columns.check(rows)
        check_values(self.measures, rows)
        payloads = [self._payload(codes, values) for codes, values in zip(rows.codes, rows.values, strict=True)]
        low = (1 << WORD_BITS) - 1
        parts = range(0, max(self.bits, 1), WORD_BITS)
        columns = np.array([[payload >> start & low for payload in payloads] for start in parts], dtype=np.uint64)
        return pack(rows.keys, columns, self.bits, bound, token_bytes)

    def _payload(self, codes: Sequence[int], values: Sequence[int | None]) -> int:
        """The place of the codes in the lowest bits, then of each measure whether it is known, and what is carried."""
        number, at = self.columns.place(codes), self.columns.bits
        for measure, value in zip(self.measures, values, strict=True):
            if value is not None:
                number |= 1 << at | (value - measure.least) << at + 1
            at += 1 + measure.bits
        return number

    def known_bits(self) -> Iterator[int]:
        """For each bit of the numbers the bit that says whether its number is known."""
        at = 0
        for measure in self.measures:
            yield from [at] * (1 + measure.bits)
            at += 1 + measure.bits


async def summed_people(
    rt: "Engine", query: Summed, inputs: Sequence[Array], uniform: Sequence[Array], name: str
) -> Sums:
    """What people add up to, from the providers' input shares. `name` is the program's, for its steps."""
    if query.pooled is not None:
        return _sums(query, with_parts(await query.pooled.totals(rt, inputs, f"{name}: totals"), query.limits))
    people = await link(rt, inputs, query.bits, query.limits, uniform)
    place, digits = people.payload[:, : query.columns.bits], people.payload[:, query.columns.bits :]
    claimed = np.concatenate([people.first, digits], axis=1)
    granted = np.concatenate([people.real, digits[:, list(query.known_bits())]], axis=1)
    sound = await both(rt, claimed, granted, f"{name}: first rows and known numbers")
    counted, digits = sound[:, :1], sound[:, 1:]
    if query.limits.by_provider:
        having = await spread(rt, people.providers, people.same_next, len(inputs), f"{name}: providers of a person")
        parts = np.concatenate([having, people.providers], axis=1)  # at its first row, the latter say whose that is
        counted = np.concatenate([counted, await both(rt, parts, counted, f"{name}: people of a provider")], axis=1)
    places, step = query.columns.places, f"{name}: sums"
    totals = await add_up(rt, place, places, counted, digits, query.numbers, query.squared, step)
    after = 1 + len(query.numbers)
    return Sums(people=totals[0], known=totals[1:after:2], carried=totals[2:after:2], squares=totals[after:, 0])


def _sums(query: Summed, totals: Array) -> Sums:
    """From what providers put in, as `pooled` says, with its parts [Q, 1 + P, K]."""
    known_at, squares_at, at = [], [], 1
    for measure in query.measures:
        known_at.append(at)
        squares_at += [at + 2] * measure.squares
        at += 2 + measure.squares
    return Sums(totals[0], totals[known_at], totals[[1 + place for place in known_at]], totals[squares_at, 0])


Totals = list[list[int]]  # of each part, by cell
ClearSums = tuple[Totals, list[Totals], list[Totals], list[list[int]]]


def summed_people_clear(query: Summed, providers: Sequence[InputRows | InputCells]) -> ClearSums:
    """Clear-text twin of `summed_people`, as `limited_sums_clear` takes it: people, how many are known of each measure,
    its totals, and its squares."""
    if query.pooled is not None:
        return _pooled_clear(query, [given.totals for given in providers if isinstance(given, InputCells)])
    return _linked_clear(query, [given for given in providers if isinstance(given, InputRows)])


def _pooled_clear(query: Summed, given: Sequence[Words]) -> ClearSums:
    each = np.array(given).astype(object)  # [P, Q, K]
    totals = np.moveaxis(np.concatenate([each.sum(axis=0)[None], each]), 0, 1)  # [Q, 1 + P, K]
    have, sums, squares, at = [], [], [], 1
    for measure in query.measures:
        own, carried = totals[at], totals[at + 1]
        have.append(own.tolist())
        sums.append((carried + own * measure.least).tolist())
        about = totals[at + 2] + 2 * measure.least * carried + measure.least**2 * own if measure.squares else own * 0
        squares.append(about[0].tolist())
        at += 2 + measure.squares
    return totals[0].tolist(), have, sums, squares


def _linked_clear(query: Summed, providers: Sequence[InputRows]) -> ClearSums:
    cells, parts, measures = query.columns.cells, 1 + 2 * len(providers), range(len(query.measures))
    people = [[0] * cells for _ in range(parts)]
    have, totals = ([[[0] * cells for _ in range(parts)] for _ in measures] for _ in range(2))
    squares = [[0] * cells for _ in measures]
    for person in link_clear(providers):
        first, row = next(iter(person.items()))
        cell = query.columns.cell(providers[first].codes[row])
        for part in (0, *(1 + p for p in person), 1 + len(providers) + first):
            people[part][cell] += 1
            for m, value in enumerate(providers[first].values[row]):
                if value is not None:
                    have[m][part][cell] += 1
                    totals[m][part][cell] += value
        for m, value in enumerate(providers[first].values[row]):
            squares[m][cell] += 0 if value is None else value**2
    return people, have, totals, squares


def summed_people_cost(query: Summed, bounds: Sequence[int], shape: Shape) -> Cost:
    if query.pooled is not None:
        return query.pooled.cost(bounds, shape)
    n, providers, parts = sum(bounds), len(bounds), query.owners(len(bounds))
    out = link_cost(shape, n, query.bits, providers, query.limits) + both_cost(shape, 1 + sum(query.numbers), n)
    if parts:
        out += spread_cost(shape, n, providers, providers) + both_cost(shape, parts, n)
    places = query.columns.places
    return out + add_up_cost(shape, n, query.columns.bits, places, 1 + parts, query.numbers, query.squared)
