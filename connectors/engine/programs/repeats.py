"""How many people several providers recorded, by how close together in time, and by the codes of group columns.

Cells are row-major over the columns' codes and, last, over *gaps*: 0, one provider has the person; 1, several have, and
no two days that are known lie within the longest of the spans asked for; from 2 on, two of them lie within that span,
within the next shorter one, and so on. Everybody is in one cell, by the closest two days. Output: a value per cell,
then a flag per cell. Owners share the index of each code in binary, the first column's in the highest bits, whether
the person's day is known, and how far it is above the lowest one.

Route: link rows by key (linking.py); a person is counted at its first row, with that row's codes; each row is compared
with the rows after it that may be of the same person, as many as there are further providers: the difference of their
days, lifted above zero, with two public ends for each span; whether two days lie within one is the OR over the
person's rows and those after each, which providers have it likewise; cells are counted for all people and for those of
each provider; limits. Nothing is opened but what linking opens: how many rows of a provider are out of order, and
comparisons of shuffled rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine import noise
from connectors.engine.bits import how_many
from connectors.engine.closeness import close, close_cost
from connectors.engine.cost import Cost, Shape, levels
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array
from connectors.engine.limits import Limits, limited_clear
from connectors.engine.linking import (
    OPENS as LINKING_OPENS,
)
from connectors.engine.linking import (
    ahead,
    both,
    both_cost,
    link,
    link_clear,
    link_cost,
    spread,
    spread_cost,
)
from connectors.engine.programs.about import About
from connectors.engine.programs.cells import Columns, read_columns
from connectors.engine.programs.measures import check_values, read_bounds
from connectors.engine.programs.parameters import LIMITS, MAX_CELLS, known
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.rows import InputRows, Parameters, TokenBytes, Words, check_rows, pack, words_per_row
from connectors.engine.sums import Measure
from connectors.engine.tables import count_people, count_people_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "repeats"
VERSION = 1
OPENS = LINKING_OPENS
MAX_SPANS, MAX_SPAN = 6, 36_525  # a hundred years of days
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn, for each combination of codes and each span of time, the number of people whom two providers "
    "recorded within it and not within a shorter one, and the numbers of those whom several recorded further apart and "
    "whom one recorded, with noise or rounded where the parameters say so, or that the number is suppressed, which "
    "says that it is small, or that what is left of it without one provider's own people is, or that one provider has "
    "more of it than the parameters allow."
)
ABOUT = About(
    title="People whom several providers recorded, by how close together in time",
    inputs="A row for each person: a linkage key of 60 bits, the index of the person's code in each column, whether "
    "its day is known, and how far it is above the lowest one; padded to a public bound. With noise, 64 uniform bits "
    "for each coin.",
    outputs="For each combination of codes and each gap, row-major, the number of people; then for each whether it is "
    "shown.",
    takes=f"one to {MAX_SPANS} spans of up to {MAX_SPAN} days, and up to six columns, that make {MAX_CELLS} cells at "
    "most",
    formula="For n rows of P providers, days of B bits and K spans: a check of order, a shuffle and a sort of n rows "
    "by 63 bits, a comparison of neighbours; (P - 1) n differences of B + 1 bits, each compared with 2 K public "
    "numbers; 1 + ceil(log2 P) rounds to spread K + P bits over a person's rows; then a conversion to the field of "
    "L + (1 + P) H bits a row, with L H cells in two halves; then limits, in the number of cells alone.",
    sampled="11 codes, within 7, 30 and 90 days of six years, least cell 11",
    sample={
        "columns": [{"name": "a", "codes": list("abcdefghijk")}],
        "day": {"name": "seen", "least": 14_245, "most": 16_435},
        "within": [7, 30, 90],
        "minimum_cell": 11,
    },
)


@dataclass(frozen=True, slots=True)
class _Query:
    columns: Columns
    day: Measure
    within: tuple[int, ...]
    limits: Limits

    @property
    def bits(self) -> int:
        """Of a row's payload."""
        return self.columns.bits + 1 + self.day.bits

    @property
    def gaps(self) -> int:
        return 2 + len(self.within)

    @property
    def gap_bits(self) -> int:
        return levels(self.gaps)

    @property
    def cells(self) -> int:
        return self.columns.cells * self.gaps

    @property
    def places(self) -> list[int]:
        """For each cell the number that its code indices and its gap make."""
        return [place << self.gap_bits | gap for place in self.columns.places for gap in range(self.gaps)]

    @property
    def order(self) -> list[int]:
        """For each cell its place when columns are sorted by their names; gaps have an order of their own."""
        return [place * self.gaps + gap for place in self.columns.order for gap in range(self.gaps)]

    @property
    def longest_first(self) -> tuple[int, ...]:
        return self.within[::-1]


def _read(parameters: Parameters) -> _Query:
    known(parameters, ("columns", "day", "within", *LIMITS, "structural_zeros"))
    within = parameters.get("within")
    if not isinstance(within, list | tuple) or not 1 <= len(within) <= MAX_SPANS:
        raise InputRejected("within", f"is not a list of 1 to {MAX_SPANS} spans")
    if not all(type(span) is int and 0 <= span <= MAX_SPAN for span in within) or list(within) != sorted(set(within)):
        raise InputRejected("within", f"does not ascend in whole numbers of days from 0 to {MAX_SPAN}")
    day, gaps = _day(parameters.get("day")), 2 + len(within)
    columns = Columns((), ()) if parameters.get("columns") in ([], ()) else read_columns(parameters, gaps)
    return _Query(columns, day, tuple(within), read_limits(parameters, columns.cells * gaps))


def _day(described: object) -> Measure:
    if not isinstance(described, dict) or not isinstance(described.get("name"), str):
        raise InputRejected("day", "is not the day's name and bounds")
    known(described, ("name", "least", "most"))
    return Measure(described["name"], *read_bounds(described, "day"))


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return words_per_row(_read(parameters).bits)


def outputs(parameters: Parameters) -> int:
    return 2 * _read(parameters).cells


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits. Raises InputRejected, naming the field."""
    query = _read(parameters)
    check_rows(rows, bound)
    query.columns.check(rows)
    check_values((query.day,), rows)
    days = [None if day is None else day - query.day.least for (day,) in rows.values]
    payload = [
        query.columns.place(codes) | (0 if day is None else (day << 1 | 1) << query.columns.bits)
        for codes, day in zip(rows.codes, days, strict=True)
    ]
    return pack(rows.keys, np.array(payload, dtype=np.uint64), query.bits, bound, token_bytes)


def noise_words(parameters: Parameters) -> int:
    """Words of uniform bits that each provider puts in beside its rows."""
    query = _read(parameters)
    return noise.noise_words(query.limits, query.cells)


def own_noise(parameters: Parameters, seed: bytes) -> Words:
    """A provider's uniform bits, from a seed of 32 bytes."""
    query = _read(parameters)
    return noise.own_noise(seed, query.limits, query.order)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, and those of their uniform bits where there is noise, in the
    contract's order."""
    query, providers = _read(parameters), len(inputs)
    people = await link(rt, inputs, query.bits, query.limits, uniform)
    place, dated = np.split(people.payload, [query.columns.bits], axis=1)
    # Rows that are real come first: the second one of a person is, if more than one is.
    claimed = np.concatenate([people.first, dated[:, :1], people.same_next], axis=1)
    granted = np.concatenate([people.real, people.real, ahead(people.real, 1)], axis=1)
    sound = await both(rt, claimed, granted, "repeats: first rows and known days")
    counted, told, several = sound[:, :1], sound[:, 1:2], sound[:, 2:]
    near = await close(rt, dated[:, 1:], told, people.same_next, query.longest_first, providers)
    flags = np.concatenate([near, people.providers], axis=1)
    flags = await spread(rt, flags, people.same_next, providers, "repeats: days and providers of a person")
    near, having = np.split(flags, [len(query.within)], axis=1)
    if query.limits.by_provider:
        with_provider = await both(rt, having, counted, "repeats: people of a provider")
        counted = np.concatenate([counted, with_provider], axis=1)
    index = np.concatenate([how_many(np.concatenate([several, near], axis=1)), place], axis=1)
    counts = await count_people(rt, index, query.places, counted, "repeats: sums")
    return await noise.settled(rt, counts, sum(shares.shape[-1] for shares in inputs), query.limits, uniform)


def clear(parameters: Parameters, providers: Sequence[InputRows], uniform: Sequence[Words] = ()) -> list[int]:
    """Clear-text twin of `run`."""
    query = _read(parameters)
    counts, parts = [0] * query.cells, [[0] * query.cells for _ in providers]
    for person in link_clear(providers):
        first, row = next(iter(person.items()))
        known_days = [day for p, i in person.items() if (day := providers[p].values[i][0]) is not None]
        closest = min((abs(one - other) for one, other in combinations(known_days, 2)), default=None)
        gap = (len(person) > 1) + sum(closest is not None and closest <= span for span in query.within)
        cell = query.columns.cell(providers[first].codes[row]) * query.gaps + gap
        counts[cell] += 1
        for p in person:
            parts[p][cell] += 1
    if query.limits.coins:
        return noise.settled_clear(counts, query.limits, noise.noise_clear(uniform, query.limits, query.cells))
    return limited_clear(counts, parts, query.limits)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query, n, providers = _read(parameters), sum(bounds), len(bounds)
    owners = providers if query.limits.by_provider else 0
    out = link_cost(shape, n, query.bits, providers, query.limits) + both_cost(shape, 3, n)
    out += close_cost(shape, n, query.day.bits, len(query.within), providers)
    out += spread_cost(shape, n, len(query.within) + owners, providers)
    if owners:
        out += both_cost(shape, owners, n)
    bits = query.columns.bits + query.gap_bits
    out += count_people_cost(shape, n, bits, query.places, 1 + owners)
    return out + noise.settled_cost(shape, n, query.cells, providers, query.limits)
