"""Logistic regression of whether people have an outcome on columns with few values, by maximum likelihood.

Output, for k terms, the intercept first: mantissas of the k coefficients, of the deviance, and of the k diagonal
elements of (X'VX)^-1; the powers of two that belong to these 2 k + 1 (significant.py; likelihood.py has the units); the
number of people, and of those with the outcome; whether it is told. All 0 where it is not.

Route: link rows by key (linking.py); a person is counted at its first row, with that row's cell and outcome, and not at
all if it has none of these (counting.py); then likelihood.py. Told, if what counts people in X'X is kept by the limits
(design.py), of those with the outcome and of those without; if either are EACH for each term; and if the maximum was
found: under separation there is none. Nothing is opened but what linking opens, and products under masks (wide.py).

Not linked, owners share how many records they have in each cell, without and with the outcome (pooled.py), and nothing
is opened but whether these totals are possible.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.compare import all_of, all_of_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape, levels
from connectors.engine.counting import OPENS as COUNTING_OPENS
from connectors.engine.counting import Counting, count_cells, count_cells_clear, count_cells_cost
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array, add, mul, sub, total
from connectors.engine.limits import Limits
from connectors.engine.pooled import Pooled
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
    EACH,
    INVERSE_BITS,
    Scales,
    put_out,
    put_out_cost,
    scales,
)
from connectors.engine.programs.likelihood import (
    holding,
    holding_cost,
    margins_of,
    maximised,
    maximised_clear,
    maximised_cost,
)
from connectors.engine.programs.noiseless import noise_words as noise_words
from connectors.engine.programs.noiseless import own_noise as own_noise
from connectors.engine.programs.parameters import MAX_CELLS as MOST_CODES
from connectors.engine.programs.parameters import known, linked, strings
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.rows import InputCells, InputRows, Parameters, TokenBytes, Words, check_rows, pack, words_per_row
from connectors.engine.sharing import reshare, reshare_cost
from connectors.engine.significant import significant, significant_clear, significant_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "logistic_regression"
VERSION = 1
OPENS = COUNTING_OPENS
MAX_CELLS = 2048  # as many as take a party some seconds for each iteration
DEVIANCE_BITS = 30  # the deviance is in units of 2^-30
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn the coefficients, what their standard errors are made of, and the deviance, to 16 binary digits, "
    "the number of people, and of those with the outcome; or that it is not told, which says that some code, pair of "
    "codes, one of few values or an end of a range has few people with the outcome, or without it, or few without one "
    "provider's own, that the columns go together too closely, or that they separate those with the outcome from those "
    "without. With few terms, who solves for it gets people with and without the outcome by code and by pair of codes, "
    "none of which are few."
)
ABOUT = About(
    title="Logistic regression of an outcome on columns with few values",
    inputs="A row for each person: a linkage key of 60 bits, the number of the person's cell in the design and whether "
    "it has the outcome, or that it is in none; padded to a public bound. "
    "Or, not linked, how many there are in each cell, in as many bits as the bound has.",
    outputs="Coefficients, the deviance, the diagonal of the inverse of X'VX, each to 16 binary digits with its power "
    "of two; the number of people, and of those with the outcome; whether it is told.",
    takes=f"an outcome of two values, and one to {MAX_COVARIATES} columns that make {MAX_CELLS} cells and "
    f"{MAX_COEFFICIENTS} terms at most; no noise, rounding or dominance",
    formula="For n rows of P providers, as people by groups, twice the cells of the design; then, in the number of "
    "cells and terms and the bits of n alone, ten iterations of about 35 products of each cell and an inverse.",
    sampled="2 by 5 codes, least total 11",
    sample={
        "test": NAME,
        "columns": [
            {"name": "one", "codes": list("ab")},
            {"name": "other", "codes": list("vwxyz")},
            {"name": "found", "codes": ["no", "yes"], "events": [1]},
        ],
        "minimum_cell": 11,
    },
)


@dataclass(frozen=True, slots=True)
class _Query:
    """`with_outcome` says of each code of the outcome's column whether it is the outcome."""

    design: Design
    with_outcome: tuple[bool, ...]
    limits: Limits
    linked: bool = True

    @property
    def cells(self) -> int:
        """Two for each of the design: without the outcome, and with it."""
        return 2 * self.design.cells

    @property
    def pooled(self) -> Pooled | None:
        """What providers put in for each cell, where people are not linked: how many records."""
        return None if self.linked else Pooled(self.cells)

    @property
    def counting(self) -> Counting:
        """A row says its cell, or that it is in none."""
        return Counting(levels(self.cells + 1), range(self.cells), self.limits, self.pooled)

    def check(self, rows: InputRows) -> None:
        """Raises InputRejected, naming the field."""
        self.design.check(replace(rows, codes=[codes[:-1] for codes in rows.codes]))
        if any(not 0 <= codes[-1] <= len(self.with_outcome) for codes in rows.codes):
            raise InputRejected(
                "outcome", f"a row has a code outside the {len(self.with_outcome)} codes of this column"
            )

    def cell(self, codes: Sequence[int]) -> int | None:
        cell = self.design.cell(codes[:-1])
        inside = cell is not None and codes[-1] < len(self.with_outcome)
        return 2 * cell + self.with_outcome[codes[-1]] if cell is not None and inside else None


def _read(parameters: Parameters) -> _Query:
    for name in ("dominance", "rounding", "noise"):
        if name in parameters:
            raise InputRejected(name, "does not go with a regression; leave it out")
    known(parameters, ("columns", "test", "minimum_cell", "zero_is_small", "linked"))
    if parameters.get("test") != NAME:
        raise InputRejected("test", f"is not {NAME!r}, which is what this program computes")
    described = parameters.get("columns")
    if not isinstance(described, list | tuple) or len(described) < 2 or not isinstance(described[-1], dict):
        raise InputRejected("columns", "is not a list of columns, the last of which is the outcome's")
    design = read_design({"columns": described[:-1]})
    if design.cells > MAX_CELLS:
        raise InputRejected("columns", f"make {design.cells} cells; at most {MAX_CELLS} are possible")
    limits = read_limits(parameters, design.cells)
    return _Query(design, _outcome(described[-1], design), limits, linked(parameters))


def _outcome(given: Parameters, design: Design) -> tuple[bool, ...]:
    """Of each code, whether it is one of the numbers in `events`."""
    known(given, ("name", "codes", "events"))
    (name,) = strings([given.get("name")], "columns", 1)
    if name in design.columns.names:
        raise InputRejected("columns", f"name {name} as outcome and as covariate")
    size, events = len(strings(given.get("codes"), f"columns.{name}.codes", MOST_CODES)), given.get("events")
    field = f"columns.{name}.events"
    if not isinstance(events, list | tuple) or not all(type(code) is int and 0 <= code < size for code in events):
        raise InputRejected(field, f"is not a list of codes' numbers below {size}")
    if not 0 < len(set(events)) < size or len(set(events)) < len(events):
        raise InputRejected(field, "are none or all of the codes, or name one twice")
    return tuple(code in events for code in range(size))


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return words_per_row(_read(parameters).counting.bits)


def outputs(parameters: Parameters) -> int:
    return 4 * len(_read(parameters).design.coded) + 5


def pooled(parameters: Parameters) -> Pooled | None:
    """What providers put in for each cell, where people are not linked: how many records."""
    return _read(parameters).pooled


def encode(parameters: Parameters, given: InputRows | InputCells, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits, or its totals. Raises InputRejected, naming the field."""
    query = _read(parameters)
    if query.pooled is not None:
        return query.pooled.encode(given, bound, query)
    rows = check_rows(given, bound)
    query.check(rows)
    cells = map(query.cell, rows.codes)
    places = np.array([query.cells if cell is None else cell for cell in cells], dtype=np.uint64)
    return pack(rows.keys, places, query.counting.bits, bound, token_bytes)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, in the contract's order."""
    query = _read(parameters)
    counts = await count_cells(rt, query.counting, inputs, uniform, "regression")
    return await _regressed(rt, query, counts, query.counting.rows(inputs))


async def _regressed(rt: "Engine", query: _Query, counts: Array, bound: int) -> Array:
    """What is put out, whoever made the counts [1 + P, 2 C] of people without and with the outcome in each cell, all
    and with each of P parts that somebody may take away; of `bound` people at most."""
    design, minimum = query.design, query.limits.minimum
    at = scales(design, bound, 0)
    without, having = counts[:, 0::2], counts[:, 1::2]
    met = [await margins_kept(rt, design, own, bound, query.limits) for own in (without, having)]
    amounts = np.stack([total(without[0]), total(having[0])])
    found = await maximised(rt, design, at, minimum, add(without[0], having[0]), having[0])
    checks = await holding(rt, np.concatenate([found.margins, sub(amounts, EACH * len(at.terms))]))
    told = await to_field(rt, await all_of(rt, np.concatenate([*met, checks], axis=1), "regression: told"), 1, "told")
    numbers = np.concatenate([found.coefficients, found.deviance, found.diagonal])
    held = await put_out(rt, numbers, _units(at), told)
    digits, powers = await significant(rt, held, len(at.terms), "regression: digits")
    people = np.stack([total(amounts), amounts[1]])
    return await reshare(rt, np.concatenate([digits, powers, mul(people, told), told]), "limits: fresh shares")


def _units(at: Scales) -> list[int]:
    terms = len(at.terms)
    return [COEFFICIENT_BITS] * terms + [DEVIANCE_BITS + at.whole] + [INVERSE_BITS - at.rows] * terms


def clear(
    parameters: Parameters, providers: Sequence[InputRows | InputCells], uniform: Sequence[Words] = ()
) -> list[int]:
    """Clear-text twin of `run`, in floats: mantissas of `run` may be off by one in the last place."""
    query = _read(parameters)
    counts, parts = count_cells_clear(query.counting, providers, query.cell)
    return regressed_clear(parameters, np.array([counts, *parts], dtype=object))


def regressed_clear(parameters: Parameters, counts: Counts) -> list[int]:
    """What comes of the counts of cells, as `_regressed` has them."""
    query = _read(parameters)
    without, having = counts[:, 0::2], counts[:, 1::2]
    at, least = scales(query.design, int(counts[0].sum()), 0), EACH * len(query.design.coded)
    found: npt.NDArray[np.float64] | None = None
    if min(without[0].sum(), having[0].sum()) >= least and all(
        margins_kept_clear(query.design, own, query.limits) for own in (without, having)
    ):
        found = maximised_clear(query.design, at, query.limits.minimum, without[0] + having[0], having[0])
    if found is None:
        return [0] * outputs(parameters)
    units = [COEFFICIENT_BITS] * len(at.terms) + [DEVIANCE_BITS] + [INVERSE_BITS + at.size] * len(at.terms)
    held = [int(number * 2.0**unit) for number, unit in zip(found, units, strict=True)]
    digits, powers = zip(*map(significant_clear, held), strict=True)
    return [*digits, *powers, int(counts[0].sum()), int(having[0].sum()), 1]


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query = _read(parameters)
    design, minimum, terms = query.design, query.limits.minimum, len(query.design.coded)
    n, parts = query.counting.rows_of(bounds), query.counting.owners(len(bounds))
    out = count_cells_cost(shape, query.counting, bounds)
    out += margins_kept_cost(shape, design, parts, n, query.limits).times(2)
    out += maximised_cost(shape, design, scales(design, n, 0), minimum)
    checks = margins_of(design) + 2
    out += holding_cost(shape, checks) + all_of_cost(shape, 2 * len(design.margins[0]) + checks, 1)
    out += to_field_cost(shape, 1, 1) + put_out_cost(shape, 2 * terms + 1)
    return out + significant_cost(shape, 2 * terms + 1, terms) + reshare_cost(shape, outputs(parameters))
