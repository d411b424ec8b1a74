"""What is measured of people, added up by cells: what programs on sums share.

Invariants: a person is counted at its first row, with that row's codes and numbers: what that row does not know is not
known, whatever later ones say; nothing is opened beyond what linking opens.

An owner's row is the index of each code in binary, the first column's in the highest bits, and for each measure whether
it is known and how far it is above its lowest value. Rows are counted and added up by cells, for all people, for those
of each provider, and for those whose numbers each provider said, at their first row (tables.py).
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
from connectors.engine.programs.cells import Columns
from connectors.engine.programs.measures import check_values
from connectors.engine.rows import WORD_BITS, InputRows, TokenBytes, Words, check_rows, pack, words_per_row
from connectors.engine.sums import Measure, Sums
from connectors.engine.tables import add_up, add_up_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


@dataclass(frozen=True, slots=True)
class Summed:
    """The cells, the measures, and the limits that say whether it matters whose people they are."""

    columns: Columns
    measures: tuple[Measure, ...]
    limits: Limits

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

    def encoded(self, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
        """A provider's rows as [C, bound] words of bits. Raises InputRejected, naming the field."""
        check_rows(rows, bound)
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
    """What linked people add up to. `name` is the program's, for its steps."""
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


Totals = list[list[int]]  # of each part, by cell


def summed_people_clear(
    query: Summed, providers: Sequence[InputRows]
) -> tuple[Totals, list[Totals], list[Totals], list[list[int]]]:
    """Clear-text twin of `summed_people`, as `limited_sums_clear` takes it: people, how many are known of each measure,
    its totals, and its squares."""
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
    n, providers, parts = sum(bounds), len(bounds), owners(query, len(bounds))
    out = link_cost(shape, n, query.bits, providers, query.limits) + both_cost(shape, 1 + sum(query.numbers), n)
    if parts:
        out += spread_cost(shape, n, providers, providers) + both_cost(shape, parts, n)
    places = query.columns.places
    return out + add_up_cost(shape, n, query.columns.bits, places, 1 + parts, query.numbers, query.squared)


def owners(query: Summed, providers: int) -> int:
    """Parts that somebody may take away: the people of each provider, and those whose numbers it said."""
    return 2 * providers if query.limits.by_provider else 0
