"""How many people there are in each cell of columns that different sources tell, linked across all providers: the form
of exploitation that care knows by the region of recruitment that the police know. Where stages are asked for, also by
how far a person came: suspected, prosecuted, convicted.

A person's code in a column is that of the first of its rows, in the providers' order, where the column is known; a
person is counted iff every column is known of it. A stage is some of the query's lists; a person is at it if any of its
rows is on one of these. It has reached stage r if it is at the stages 1 .. r, and not at r + 1; who is not at the first
is not counted. Cells are row-major over the columns' codes and, last, the stages reached. Output: a value per cell,
then a flag per cell.

Owners share the place of their codes (cells.py; zeros where unknown), above it for each column whether it is known, and
above these for each stage whether the person is at it.

Route: link rows by key (linking.py); rows that are not real know nothing; the first row of each person learns what the
others of its rows know; it is counted if it knows all that counts; cells are counted for all people and for those of
each provider; limits. Nothing is opened but what linking opens: how many rows of a provider are out of order, and
comparisons of shuffled rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine import noise
from connectors.engine.bits import how_many
from connectors.engine.cost import Cost, Shape, levels
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array
from connectors.engine.limits import Limits, limited_clear
from connectors.engine.linking import (
    OPENS as LINKING_OPENS,
)
from connectors.engine.linking import (
    both,
    both_cost,
    every,
    every_cost,
    first_known,
    first_known_cost,
    link,
    link_clear,
    link_cost,
)
from connectors.engine.programs.about import About
from connectors.engine.programs.cells import Columns, read_columns
from connectors.engine.programs.parameters import LIMITS, MAX_CELLS, known, stages
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.rows import InputRows, Parameters, TokenBytes, Words, check_rows, pack, words_per_row
from connectors.engine.tables import count_people, count_people_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "crosstab"
VERSION = 1
OPENS = LINKING_OPENS
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn, for each combination of codes, and of the stage reached where stages are asked for, the number "
    "of people of whom all of it is known, each once, whichever provider knows which part, "
    "with noise or rounded where the parameters say so, or that the number is suppressed, which says that it is small, "
    "or that what is left of it without one provider's own people is, or that one provider has more of it than the "
    "parameters allow."
)
ABOUT = About(
    title="People by what different providers know of them, and how far they came",
    inputs="A row for each person: a linkage key of 60 bits, for each column whether its code is known and the code's "
    "index, and for each stage whether the person is at it; padded to a public bound. With noise, 64 uniform bits for "
    "each coin.",
    outputs="For each combination of codes and, last, stage, row-major, the number of people; then for each whether it "
    "is shown.",
    takes=f"up to six columns and two to eight stages, or columns alone, that make {MAX_CELLS} cells at most",
    formula="For n rows of P providers, C columns, B bits of codes and k stages: a check of order, a shuffle and a "
    "sort of n rows by 63 bits, a comparison of neighbours, 1 + ceil(log2 P) rounds of 2 (C + k + P) + B ANDs a row to "
    "find the first row of a person that knows; ceil(log2 k) rounds for stages, ceil(log2 (2 + C)) for who is counted; "
    "then a conversion to the field of L + (1 + P) H bits a row, with L H cells in two halves; then limits, in the "
    "number of cells alone.",
    sampled="11 by 6 codes, least cell 11",
    sample={
        "columns": [{"name": "a", "codes": list("abcdefghijk")}, {"name": "b", "codes": list("abcdef")}],
        "minimum_cell": 11,
    },
)
MAX_STAGES = 8
MAX_LISTS = 32  # of a query


@dataclass(frozen=True, slots=True)
class _Query:
    """`lists` are the stages as masks of lists; none where none are asked for. *Facts* are what a row may know: a code
    for each column, which takes some planes of the place, and that the person is at a stage, which takes none.
    """

    columns: Columns
    lists: tuple[int, ...]
    limits: Limits

    @property
    def stages(self) -> int:
        return len(self.lists)

    @property
    def facts(self) -> int:
        return len(self.columns.names) + self.stages

    @property
    def bits(self) -> int:
        """Of a row's payload."""
        return self.columns.bits + self.facts

    @property
    def about(self) -> list[int]:
        """For each plane of the place, lowest first, which column it is about."""
        each = [column for column, size in enumerate(self.columns.sizes) for _ in range(levels(size))]
        return each[::-1]

    @property
    def reached_bits(self) -> int:
        return levels(self.stages)

    @property
    def conditions(self) -> int:
        """What has to hold of a row that is counted: it is the first, all columns are known, the first stage is."""
        return 1 + len(self.columns.names) + bool(self.stages)

    @property
    def ends(self) -> range:
        """Of a column's cell the cells by stages reached; one without stages."""
        return range(max(self.stages, 1))

    @property
    def cells(self) -> int:
        return self.columns.cells * len(self.ends)

    @property
    def places(self) -> list[int]:
        """For each cell the number that its code indices and the stage reached make."""
        return [place << self.reached_bits | end for place in self.columns.places for end in self.ends]

    @property
    def order(self) -> list[int]:
        """For each cell its place when columns are sorted by their names; stages have an order of their own."""
        return [place * len(self.ends) + end for place in self.columns.order for end in self.ends]


def _read(parameters: Parameters) -> _Query:
    known(parameters, ("columns", "stages", *LIMITS, "structural_zeros"))
    lists = stages(parameters["stages"], MAX_STAGES, MAX_LISTS) if "stages" in parameters else ()
    no_columns = lists and parameters.get("columns") in ([], ())
    columns = Columns((), ()) if no_columns else read_columns(parameters, max(len(lists), 1))
    return _Query(columns, lists, read_limits(parameters, columns.cells * max(len(lists), 1)))


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return words_per_row(_read(parameters).bits)


def outputs(parameters: Parameters) -> int:
    return 2 * _read(parameters).cells


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits. A row that knows nothing is fine: another may know it. Raises
    InputRejected, naming the field.
    """
    query = _read(parameters)
    check_rows(rows, bound)
    query.columns.check(rows, lowest=-1)
    payload = np.array([_payload(query, codes) for codes in rows.codes], dtype=np.uint64)
    if query.stages:
        if len(rows.lists) != len(rows.keys):
            raise InputRejected("lists", "does not have one entry per row")
        if any(not 0 <= mask < 1 << MAX_LISTS for mask in rows.lists):
            raise InputRejected("lists", f"a row is on a list whose number is not from 0 to {MAX_LISTS - 1}")
        at = np.array([_at(query, mask) for mask in rows.lists], dtype=np.uint64)
        payload |= at << np.uint64(query.bits - query.stages)
    return pack(rows.keys, payload, query.bits, bound, token_bytes)


def _payload(query: _Query, codes: Sequence[int]) -> int:
    """All but the stages."""
    told = sum((code >= 0) << column for column, code in enumerate(codes))
    return query.columns.place([max(code, 0) for code in codes]) | told << query.columns.bits


def _at(query: _Query, lists: int) -> int:
    """At which stages (bit r - 1: stage r) somebody is who is on these lists."""
    return sum(bool(lists & stage) << r for r, stage in enumerate(query.lists))


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
    query = _read(parameters)
    people = await link(rt, inputs, query.bits, query.limits, uniform)
    place, claimed = people.payload[:, : query.columns.bits], people.payload[:, query.columns.bits :]
    facts = await both(rt, claimed, people.real, "cross-tab: what real rows know")
    # That a provider has a person is one more fact that its row knows, where it matters whose a person is.
    facts = np.concatenate([facts, people.providers], axis=1)
    facts, place = await first_known(
        rt, facts, place, query.about, people.same_next, len(inputs), "cross-tab: what is known of a person"
    )
    coded, staged, having = np.split(facts, [len(query.columns.names), query.facts], axis=1)
    staged = await _each_with_those_before(rt, staged)
    counted = await every(
        rt, np.concatenate([people.first, coded, staged[:, :1]], axis=1), "cross-tab: people of whom all is known"
    )
    if query.limits.by_provider:
        with_provider = await both(rt, having, counted, "cross-tab: people of a provider")
        counted = np.concatenate([counted, with_provider], axis=1)
    index = np.concatenate([how_many(staged[:, 1:]), place], axis=1)
    counts = await count_people(rt, index, query.places, counted, "cross-tab: sums")
    return await noise.settled(rt, counts, sum(shares.shape[-1] for shares in inputs), query.limits, uniform)


async def _each_with_those_before(rt: "Engine", staged: Array) -> Array:
    """Of planes [S, k, W], for each the AND of the first up to this one: prefixes whose length doubles. ceil(log2 k)
    rounds."""
    for level in range(levels(staged.shape[1])):
        by = 1 << level
        further = await both(rt, staged[:, by:], staged[:, :-by], "cross-tab: stages reached")
        staged = np.concatenate([staged[:, :by], further], axis=1)
    return staged


def clear(parameters: Parameters, providers: Sequence[InputRows], uniform: Sequence[Words] = ()) -> list[int]:
    """Clear-text twin of `run`."""
    query = _read(parameters)
    counts = [0] * query.cells
    parts = [[0] * query.cells for _ in providers]
    for person in link_clear(providers):
        cell = _cell(query, [(providers[p], row) for p, row in person.items()])
        if cell is None:
            continue
        counts[cell] += 1
        for p in person:
            parts[p][cell] += 1
    if query.limits.coins:
        return noise.settled_clear(counts, query.limits, noise.noise_clear(uniform, query.limits, query.cells))
    return limited_clear(counts, parts, query.limits)


def _cell(query: _Query, rows: Sequence[tuple[InputRows, int]]) -> int | None:
    """The cell of a person with these rows, first provider first; None if it is not counted."""
    codes: list[int] = []
    for column in range(len(query.columns.names)):
        told = [rows_.codes[row][column] for rows_, row in rows if rows_.codes[row][column] >= 0]
        codes += told[:1]
    if len(codes) < len(query.columns.names):
        return None
    cell = query.columns.cell(codes)
    if not query.stages:
        return cell
    lists = 0
    for rows_, row in rows:
        lists |= rows_.lists[row]
    at = _at(query, lists)
    reached = next(r for r in range(query.stages + 1) if r == query.stages or not at >> r & 1)
    return cell * query.stages + reached - 1 if reached else None


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query, n, providers = _read(parameters), sum(bounds), len(bounds)
    owners = providers if query.limits.by_provider else 0
    out = link_cost(shape, n, query.bits, providers, query.limits) + both_cost(shape, query.facts, n)
    out += first_known_cost(shape, n, query.facts + owners, query.columns.bits, providers)
    for level in range(levels(query.stages)):
        out += both_cost(shape, query.stages - (1 << level), n)
    out += every_cost(shape, query.conditions, n)
    if owners:
        out += both_cost(shape, owners, n)
    out += count_people_cost(shape, n, query.reached_bits + query.columns.bits, query.places, 1 + owners)
    return out + noise.settled_cost(shape, n, query.cells, providers, query.limits)
