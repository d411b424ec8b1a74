"""Linear regression of a number that people have on columns with few values: ordinary least squares.

Output, for k terms, the intercept first: mantissas of the k coefficients, of the k diagonal elements of (X'X)^-1, of
the mean square of what is left and of that of the outcome about its mean; the powers of two that belong to these
2 k + 2 (significant.py; least_squares.py has the units); the number of people; whether it is told. All 0 where it is
not. Who reads it makes standard errors of them.

Route: link rows by key (linking.py); a person is counted at its first row, with that row's cell and outcome, and not at
all if it has none of these; totals of cells are added up as for group_sum (tables.py); then least_squares.py. Told, if
what counts people in X'X is kept by the limits (design.py) for those whom a provider has and those whose outcome a
provider said, and the fit is sound. Nothing is opened but what linking opens, and products under masks (wide.py).

Not linked, owners share for each cell how many records have an outcome, and what these and their squares add up to
(pooled.py), and nothing is opened but whether these totals are possible.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.compare import all_of, all_of_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.counting import OPENS as COUNTING_OPENS
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array, add, mul, total
from connectors.engine.limits import Limits
from connectors.engine.linking import both, both_cost, link, link_clear, link_cost, spread, spread_cost
from connectors.engine.pooled import Pooled, placed, with_parts
from connectors.engine.programs.about import About
from connectors.engine.programs.design import (
    MAX_COEFFICIENTS,
    MAX_COVARIATES,
    Counts,
    Design,
    margins_kept,
    margins_kept_clear,
    margins_kept_cost,
    read_design,
)
from connectors.engine.programs.least_squares import (
    COEFFICIENT_BITS,
    Scales,
    everyone_of,
    fit,
    fit_clear,
    fit_cost,
    put_out,
    put_out_cost,
    scales,
    sound,
    sound_cost,
    units_of,
)
from connectors.engine.programs.measures import check_values, read_measures
from connectors.engine.programs.noiseless import noise_words as noise_words
from connectors.engine.programs.noiseless import own_noise as own_noise
from connectors.engine.programs.parameters import MAX_CELLS, known, linked
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.rows import InputCells, InputRows, Parameters, TokenBytes, Words, check_rows, pack, words_per_row
from connectors.engine.sharing import reshare, reshare_cost
from connectors.engine.significant import significant, significant_clear, significant_cost
from connectors.engine.sums import Measure
from connectors.engine.tables import add_up, add_up_cost
from gateway.rules.sharing import P

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "linear_regression"
VERSION = 1
OPENS = COUNTING_OPENS
FAR_BITS = 15
MAX_OUTCOME_BITS = 17  # squares of as many people as providers can have fit WINDOW (significant.py)
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn the coefficients, what their standard errors are made of, the residual and the total variance, "
    "to 16 binary digits, and the number of people; or that it is not told, which says that some code, pair of codes, "
    "one of few values or an end of a range has few people, or few without one provider's own, that the columns go "
    "together too closely, that there are too few people, or that the columns say the outcome exactly. With few terms, "
    "who solves for it gets people and sums "
    "by code and people by pair of codes, none of which is of few people; of a single column of codes, all of these."
)
ABOUT = About(
    title="Linear regression of a number on columns with few values",
    inputs="A row for each person: a linkage key of 60 bits, the number of the person's cell in the design, or that "
    "it is in none, and its outcome above the lowest value; padded to a public bound. Or, not linked, how many there "
    "are in each cell, and what their outcomes and the squares of these add up to.",
    outputs="Coefficients, the diagonal of the inverse of X'X, residual and total mean square, each to 16 binary "
    "digits with its power of two; the number of people; whether it is told.",
    takes=f"an outcome within {MAX_OUTCOME_BITS} bits, and one to {MAX_COVARIATES} columns that make {MAX_CELLS} cells "
    f"and {MAX_COEFFICIENTS} terms at most; no noise, rounding or dominance",
    formula="For n rows of P providers, as sums of one number by the cells of the design; then, in the number of terms "
    "and the bits of n alone, limits, the inverse of a matrix in two rounds for each of about 30 steps, and digits.",
    sampled="2 by 5 codes, an outcome from 0 to 120, least total 11",
    sample={
        "test": NAME,
        "columns": [{"name": "one", "codes": list("ab")}, {"name": "other", "codes": list("vwxyz")}],
        "measures": [{"name": "age", "least": 0, "most": 120, "squares": True}],
        "minimum_cell": 11,
    },
)


@dataclass(frozen=True, slots=True)
class _Query:
    design: Design
    outcome: Measure
    limits: Limits
    linked: bool = True

    @property
    def pooled(self) -> Pooled | None:
        """What providers put in for each cell, where people are not linked: how many records there are with an outcome,
        the sum of how far it is above its lowest value, and the sum of the squares of that."""
        bits = self.outcome.bits
        most = self.outcome.most - self.outcome.least
        return None if self.linked else Pooled(self.design.cells, (0, bits, 2 * bits), most)

    def rows(self, inputs: Sequence[Array]) -> int:
        """No count is above this, whatever is in the inputs."""
        return sum(shares.shape[-1] for shares in inputs) if self.pooled is None else self.pooled.rows(inputs)

    def rows_of(self, bounds: Sequence[int]) -> int:
        """The same, from the providers' bounds."""
        return sum(bounds) if self.pooled is None else self.pooled.rows_of(bounds)

    @property
    def bits(self) -> int:
        """Of a row's payload: its cell, then its outcome."""
        return self.design.bits + self.outcome.bits

    def scales(self, bound: int) -> Scales:
        return scales(self.design, bound, self.outcome.bits)


def _read(parameters: Parameters) -> _Query:
    for name in ("dominance", "rounding", "noise"):
        if name in parameters:
            raise InputRejected(name, "does not go with a regression; leave it out")
    known(parameters, ("columns", "measures", "test", "minimum_cell", "zero_is_small", "linked"))
    if parameters.get("test") != NAME:
        raise InputRejected("test", f"is not {NAME!r}, which is what this program computes")
    design = read_design(parameters)
    measures = read_measures(parameters)
    if len(measures) != 1 or not measures[0].squares:
        raise InputRejected("measures", "is not one outcome, with its squares")
    if measures[0].bits > MAX_OUTCOME_BITS:
        raise InputRejected("measures", f"are more than 2^{MAX_OUTCOME_BITS} apart; take a larger unit")
    return _Query(design, measures[0], read_limits(parameters, design.cells), linked(parameters))


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return words_per_row(_read(parameters).bits)


def outputs(parameters: Parameters) -> int:
    return 4 * len(_read(parameters).design.coded) + 6


def pooled(parameters: Parameters) -> Pooled | None:
    """What providers put in for each cell, where people are not linked."""
    return _read(parameters).pooled


def encode(parameters: Parameters, given: InputRows | InputCells, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits; of whoever has no value in some column or no outcome, the number
    after the last cell's. Or its totals. Raises InputRejected, naming the field."""
    query = _read(parameters)
    if query.pooled is not None:
        return query.pooled.encode(_with_outcome(given), bound, query.design)
    rows = check_rows(given, bound)
    query.design.check(rows)
    check_values((query.outcome,), rows)
    payloads = [_payload(query, tuple(codes), own[0]) for codes, own in zip(rows.codes, rows.values, strict=True)]
    return pack(rows.keys, np.array(payloads, dtype=np.uint64), query.bits, bound, token_bytes)


def _with_outcome(given: InputRows | InputCells) -> InputRows | InputCells:
    """Whoever has no outcome counts nowhere."""
    return replace(given, totals=given.totals[1:]) if isinstance(given, InputCells) else given


def _payload(query: _Query, codes: tuple[int, ...], outcome: int | None) -> int:
    cell = query.design.cell(codes)
    if cell is None or outcome is None:
        return query.design.cells
    return cell | (outcome - query.outcome.least) << query.design.bits


@dataclass(frozen=True, slots=True)
class Totals:
    """Shares of what is taken from people, of C cells: `people` [1 + P, C], of all and, where it matters, of each of P
    parts that somebody may take away; sums of the outcome above its least value [C]; and of its squares, in all [1]."""

    people: Array
    sums: Array
    squares: Array


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, in the contract's order."""
    query = _read(parameters)
    made = _linked(rt, query, inputs, uniform) if query.pooled is None else _pooled(rt, query, query.pooled, inputs)
    return await _regressed(rt, query, await made, query.rows(inputs))


async def _pooled(rt: "Engine", query: _Query, of: Pooled, inputs: Sequence[Array]) -> Totals:
    """Totals of records. Of a provider it is all one whose people they are, and whose outcomes."""
    people, sums, squares = with_parts(await of.totals(rt, inputs, (), "regression: totals"), query.limits)
    return Totals(people, sums[0], total(squares[0])[None])


async def _linked(rt: "Engine", query: _Query, inputs: Sequence[Array], uniform: Sequence[Array]) -> Totals:
    """Totals of people, each at its first row."""
    people = await link(rt, inputs, query.bits, query.limits, uniform)
    counted = await both(rt, people.first, people.real, "regression: first rows")
    if query.limits.by_provider:
        having = await spread(rt, people.providers, people.same_next, len(inputs), "regression: providers of a person")
        parts = np.concatenate([having, people.providers], axis=1)  # at its first row, the latter say whose that is
        counted = np.concatenate([counted, await both(rt, parts, counted, "regression: people of a provider")], axis=1)
    place, digits = np.split(people.payload, [query.design.bits], axis=1)
    cells, numbers = range(query.design.cells), (query.outcome.bits,)
    totals = await add_up(rt, place, cells, counted, digits, numbers, (0,), "regression: sums")
    return Totals(totals[0], totals[1, 0], total(totals[2, 0])[None])


async def _regressed(rt: "Engine", query: _Query, totals: Totals, bound: int) -> Array:
    """What is put out, whoever made the totals, of `bound` people at most."""
    at, minimum, everyone = query.scales(bound), query.limits.minimum, everyone_of(totals.people[0])
    met = await margins_kept(rt, query.design, totals.people, bound, query.limits)
    found = await fit(rt, query.design, at, minimum, (totals.people[0], totals.sums, totals.squares))
    holding = np.concatenate([met, await sound(rt, query.design, at, minimum, found, everyone)], axis=1)
    told = await to_field(rt, await all_of(rt, holding, "regression: told"), 1, "regression: told")
    numbers = await put_out(rt, found.numbers, units_of(at), told)
    numbers[:1] = add(numbers[:1], mul(told, _start(query.outcome) % P))
    digits, powers = await significant(rt, numbers, len(at.terms), "regression: digits")
    return await reshare(rt, np.concatenate([digits, powers, mul(everyone, told), told]), "limits: fresh shares")


def _start(outcome: Measure) -> int:
    """What makes the intercept one of the outcome itself, so that digits count for that; 0 where the outcome is so far
    from zero that the digits do anyway, and it does not fit."""
    far = abs(outcome.least) >> outcome.bits + FAR_BITS
    return 0 if far else outcome.least << COEFFICIENT_BITS - outcome.bits


def clear(
    parameters: Parameters, providers: Sequence[InputRows | InputCells], uniform: Sequence[Words] = ()
) -> list[int]:
    """Clear-text twin of `run`, in fractions: mantissas of `run` may be off by one in the last place. Bounds do not
    matter."""
    query = _read(parameters)
    if query.pooled is not None:
        given = [_with_outcome(own) for own in providers]
        parts = [placed(own, query.design.cells, query.design.cell) for own in given if isinstance(own, InputCells)]
        each = np.array(parts).astype(object)  # [P, 3, C]
        counted, added, squared = each.sum(axis=0)
        return regressed_clear(parameters, np.concatenate([counted[None], each[:, 0]]), added, int(squared.sum()))
    return _linked_clear(parameters, query, [rows for rows in providers if isinstance(rows, InputRows)])


def _linked_clear(parameters: Parameters, query: _Query, providers: Sequence[InputRows]) -> list[int]:
    design, outcome = query.design, query.outcome
    people: Counts = np.zeros((1 + 2 * len(providers), design.cells), dtype=object)
    sums: Counts = np.zeros(design.cells, dtype=object)
    squares = 0
    for person in link_clear(providers):
        first, row = next(iter(person.items()))
        cell = design.cell(providers[first].codes[row])
        value = providers[first].values[row][0]
        if cell is not None and value is not None:
            for part in (0, *(1 + p for p in person), 1 + len(providers) + first):
                people[part, cell] += 1
            sums[cell] += value - outcome.least
            squares += (value - outcome.least) ** 2
    return regressed_clear(parameters, people, sums, squares)


def regressed_clear(parameters: Parameters, people: Counts, sums: Counts, squares: int) -> list[int]:
    """What comes of the totals of cells, as `Totals` has them."""
    query = _read(parameters)
    found = None
    if margins_kept_clear(query.design, people, query.limits):
        at = query.scales(int(people[0].sum()))
        found = fit_clear(query.design, at, query.limits.minimum, people[0], sums, squares)
    if found is None:
        return [0] * outputs(parameters)
    found[0] += _start(query.outcome)
    digits, powers = zip(*map(significant_clear, found), strict=True)
    return [*digits, *powers, int(people[0].sum()), 1]


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query, rows = _read(parameters), _read(parameters).rows_of(bounds)
    design, at, minimum = query.design, query.scales(rows), query.limits.minimum
    parts = (1 + query.linked) * len(bounds) if query.limits.by_provider else 0
    out = _linked_cost(shape, query, bounds, parts) if query.pooled is None else query.pooled.cost(bounds, shape)
    out += margins_kept_cost(shape, design, parts, rows, query.limits) + fit_cost(shape, design, at, minimum)
    out += sound_cost(shape, design) + all_of_cost(shape, len(design.margins[0]) + len(at.terms) + 2, 1)
    out += to_field_cost(shape, 1, 1) + put_out_cost(shape, 2 * len(at.terms) + 2)
    numbers = 2 * len(at.terms) + 2
    return out + significant_cost(shape, numbers, len(at.terms)) + reshare_cost(shape, outputs(parameters))


def _linked_cost(shape: Shape, query: _Query, bounds: Sequence[int], parts: int) -> Cost:
    n, providers = sum(bounds), len(bounds)
    out = link_cost(shape, n, query.bits, providers, query.limits) + both_cost(shape, 1, n)
    if parts:
        out += spread_cost(shape, n, providers, providers) + both_cost(shape, parts, n)
    places, numbers = range(query.design.cells), (query.outcome.bits,)
    return out + add_up_cost(shape, n, query.design.bits, places, 1 + parts, numbers, (0,))
