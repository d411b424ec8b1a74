"""How many people there are in each cell of some group columns, each once across all providers, and what their numbers
add up to: how many people have one, its sum and, where asked for, the sum of its squares, for each measure; or, where
they are not linked, the same of records.

Cells are row-major over the columns' codes; without columns there is one. Output, each part over all cells: the count;
for each measure how many people's number is known, the sum of these and, where asked for, of their squares; then flags,
for the cell and for each measure. Owners share the index of each code in binary, the first column's in the highest
bits, and for each measure whether it is known and how far it is above its lowest value.

Route: link rows by key (linking.py); a person is counted at its first row, with that row's codes and numbers: what that
row does not know is not known, whatever later ones say; which providers have the person is the OR over its rows; rows
are counted and added up by cells, for all people, for those of each provider, and for those whose numbers each provider
said, at their first row (tables.py); limits (sums.py), so that no provider gets few people's numbers by taking away
those that it said itself. Nothing is opened but what linking opens: how many rows of a provider are out of order, and
comparisons of shuffled rows.

Not linked, owners share for each cell how many records they have, and of each measure how many have a number, and the
sums of how far it is above its lowest value, and of the squares of that (pooled.py). A provider's part is what it has,
limits are the same, and nothing is opened.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array
from connectors.engine.limits import Limits
from connectors.engine.linking import (
    OPENS as LINKING_OPENS,
)
from connectors.engine.linking import (
    both,
    both_cost,
    link,
    link_clear,
    link_cost,
    spread,
    spread_cost,
)
from connectors.engine.pooled import Pooled, with_parts
from connectors.engine.programs.about import About
from connectors.engine.programs.cells import Columns, read_columns
from connectors.engine.programs.measures import MAX_APART, MAX_MEASURES, check_values, read_measures
from connectors.engine.programs.parameters import LIMITS, MAX_CELLS, known, linked
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.rows import (
    WORD_BITS,
    InputCells,
    InputRows,
    Parameters,
    TokenBytes,
    Words,
    check_rows,
    pack,
    words_per_row,
)
from connectors.engine.sums import Measure, Sums, limited_sums, limited_sums_clear, limited_sums_cost
from connectors.engine.tables import add_up, add_up_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "group_sum"
VERSION = 1
OPENS = LINKING_OPENS
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn, for each combination of codes, the number of people with it, each once, or of records, where "
    "people are not linked, and for each measure "
    "how many of them have a number, its sum and, where the parameters say so, the sum of its squares, rounded where "
    "they say so; or that the number, or what belongs to a measure, is suppressed, which says that it is of few people "
    "or that what is left of it without one provider's own people is, or that one provider has more of it, or a person "
    "could have, than the parameters allow."
)
ABOUT = About(
    title="What is measured of people, by groups",
    inputs="A row for each person: a linkage key of 60 bits, the index of the person's code in each column, and for "
    "each measure whether it is known and how far it is above its lowest value; padded to a public bound. "
    "Or, not linked, the totals of these in each cell.",
    outputs="For each combination of codes, row-major, the number of people; for each measure how many have it, its "
    "sum and, where asked for, the sum of its squares; then for each whether it is shown, and its measures.",
    takes=f"one to {MAX_MEASURES} measures, whole numbers at most {MAX_APART} apart, and up to six columns that make "
    f"{MAX_CELLS} cells at most; no noise",
    formula="For n rows of P providers, M measures of B bits and Q squares: a check of order, a shuffle and a sort of "
    "n rows by 63 bits, a comparison of neighbours, 1 + ceil(log2 P) rounds to spread whose a person is over its rows; "
    "then a conversion to the field of L + (1 + P) H + M (1 + B) bits a row, with L H cells in two halves, and "
    "Q + (2 M + Q) L products a row; then limits, in the number of cells and measures alone.",
    sampled="66 cells, an age from 0 to 120 and its squares, least cell 11",
    sample={
        "columns": [{"name": "group", "codes": [str(code) for code in range(66)]}],
        "measures": [{"name": "age", "least": 0, "most": 120, "squares": True}],
        "minimum_cell": 11,
    },
)


@dataclass(frozen=True, slots=True)
class _Query:
    columns: Columns
    measures: tuple[Measure, ...]
    limits: Limits
    pooled: Pooled | None

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


def _read(parameters: Parameters) -> _Query:
    known(parameters, ("columns", "measures", *LIMITS, "structural_zeros", "linked"))
    if "noise" in parameters:
        raise InputRejected("noise", "does not go with sums yet; leave the noise or the measures out")
    columns = Columns((), ()) if parameters.get("columns") in ([], ()) else read_columns(parameters)
    measures = read_measures(parameters)
    wider = chain.from_iterable((0, measure.bits, *[2 * measure.bits] * measure.squares) for measure in measures)
    pooled = None if linked(parameters) else Pooled(columns.cells, (0, *wider))
    return _Query(columns, measures, read_limits(parameters, columns.cells), pooled)


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return words_per_row(_read(parameters).bits)


def outputs(parameters: Parameters) -> int:
    query = _read(parameters)
    return query.columns.cells * (2 + 3 * len(query.measures) + len(query.squared))


def pooled(parameters: Parameters) -> Pooled | None:
    """What providers put in for each cell, where people are not linked: how many records; for each measure how many
    have a number, the sum of how far it is above its lowest value and, where asked for, the sum of the squares of that.
    """
    return _read(parameters).pooled


def encode(parameters: Parameters, given: InputRows | InputCells, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits, or its totals. Raises InputRejected, naming the field."""
    query = _read(parameters)
    if query.pooled is not None:
        return query.pooled.encode(given, bound)
    rows = check_rows(given, bound)
    query.columns.check(rows)
    check_values(query.measures, rows)
    payloads = [_payload(query, codes, values) for codes, values in zip(rows.codes, rows.values, strict=True)]
    low = (1 << WORD_BITS) - 1
    parts = range(0, max(query.bits, 1), WORD_BITS)
    columns = np.array([[payload >> start & low for payload in payloads] for start in parts], dtype=np.uint64)
    return pack(rows.keys, columns, query.bits, bound, token_bytes)


def _payload(query: _Query, codes: Sequence[int], values: Sequence[int | None]) -> int:
    """The place of the codes in the lowest bits, then of each measure whether it is known, and what is carried."""
    number, at = query.columns.place(codes), query.columns.bits
    for measure, value in zip(query.measures, values, strict=True):
        if value is not None:
            number |= 1 << at | (value - measure.least) << at + 1
        at += 1 + measure.bits
    return number


def noise_words(parameters: Parameters) -> int:
    """Words of uniform bits that each provider puts in beside its rows: none."""
    _read(parameters)
    return 0


def own_noise(parameters: Parameters, seed: bytes) -> Words:
    """A provider's uniform bits: none."""
    return np.zeros(noise_words(parameters), dtype=np.uint64)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, in the contract's order."""
    query = _read(parameters)
    if query.pooled is not None:
        totals = with_parts(await query.pooled.totals(rt, inputs, "group sum: totals"), query.limits)
        return await limited_sums(rt, _sums(query, totals), query.pooled.rows(inputs), query.limits, query.measures)
    people = await link(rt, inputs, query.bits, query.limits, uniform)
    place, digits = people.payload[:, : query.columns.bits], people.payload[:, query.columns.bits :]
    claimed = np.concatenate([people.first, digits], axis=1)
    granted = np.concatenate([people.real, digits[:, list(_known_bits(query))]], axis=1)
    sound = await both(rt, claimed, granted, "group sum: first rows and known numbers")
    counted, digits = sound[:, :1], sound[:, 1:]
    if query.limits.by_provider:
        having = await spread(rt, people.providers, people.same_next, len(inputs), "group sum: providers of a person")
        parts = np.concatenate([having, people.providers], axis=1)  # at its first row, the latter say whose that is
        counted = np.concatenate([counted, await both(rt, parts, counted, "group sum: people of a provider")], axis=1)
    places, step = query.columns.places, "group sum: sums"
    totals = await add_up(rt, place, places, counted, digits, query.numbers, query.squared, step)
    after = 1 + len(query.numbers)
    sums = Sums(people=totals[0], known=totals[1:after:2], carried=totals[2:after:2], squares=totals[after:, 0])
    return await limited_sums(rt, sums, sum(shares.shape[-1] for shares in inputs), query.limits, query.measures)


def _known_bits(query: _Query) -> Iterator[int]:
    """For each bit of the numbers the bit that says whether its number is known."""
    at = 0
    for measure in query.measures:
        yield from [at] * (1 + measure.bits)
        at += 1 + measure.bits


def _sums(query: _Query, totals: Array) -> Sums:
    """From what providers put in, as `pooled` says, with its parts [Q, 1 + P, K]."""
    known_at, squares_at, at = [], [], 1
    for measure in query.measures:
        known_at.append(at)
        squares_at += [at + 2] * measure.squares
        at += 2 + measure.squares
    return Sums(totals[0], totals[known_at], totals[[1 + place for place in known_at]], totals[squares_at, 0])


def clear(
    parameters: Parameters, providers: Sequence[InputRows | InputCells], uniform: Sequence[Words] = ()
) -> list[int]:
    """Clear-text twin of `run`."""
    query = _read(parameters)
    if query.pooled is not None:
        return _clear_pooled(query, [given.totals for given in providers if isinstance(given, InputCells)])
    return _clear_linked(query, [given for given in providers if isinstance(given, InputRows)])


def _clear_pooled(query: _Query, given: Sequence[Words]) -> list[int]:
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
    return limited_sums_clear(totals[0].tolist(), have, sums, squares, query.limits, query.measures)


def _clear_linked(query: _Query, providers: Sequence[InputRows]) -> list[int]:
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
    return limited_sums_clear(people, have, totals, squares, query.limits, query.measures)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query, n, providers = _read(parameters), sum(bounds), len(bounds)
    if query.pooled is not None:
        owners, rows = providers if query.limits.by_provider else 0, query.pooled.rows_of(bounds)
        out = query.pooled.cost(bounds, shape)
        return out + limited_sums_cost(shape, rows, query.columns.cells, owners, query.limits, query.measures)
    parts = 2 * providers if query.limits.by_provider else 0
    out = link_cost(shape, n, query.bits, providers, query.limits) + both_cost(shape, 1 + sum(query.numbers), n)
    if parts:
        out += spread_cost(shape, n, providers, providers) + both_cost(shape, parts, n)
    places, cells = query.columns.places, query.columns.cells
    out += add_up_cost(shape, n, query.columns.bits, places, 1 + parts, query.numbers, query.squared)
    return out + limited_sums_cost(shape, n, cells, parts, query.limits, query.measures)
