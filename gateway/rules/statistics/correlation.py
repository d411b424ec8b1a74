"""`correlation`: whether two numbers or days of the same people go together, in a line: Pearson's r.

Invariants: the owner says the intervals of public grids, and their numbers are what is compared, of people of whom it
knows both; r and the upper digits of its degrees of freedom come out of a session, or nothing; no sum is opened, and
none is in the table. Which of the two is named first does not matter: the program takes them by their columns' names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.query import Correlation, Grid, Query
from gateway.domain.result import Row, Table
from gateway.rules import sharing
from gateway.rules.distributions import t_tails
from gateway.rules.statistics import grids
from gateway.rules.statistics.base import Codes, Use, Used, given, lists, malformed, no_counts

PROGRAM, LABEL = "correlation", "correlations"
FIELD = "statistic.correlation"
MEASURES = ("r", "df", "p")
# As the program has them (connectors/engine/correlations.py).
MAX_LEVELS, SQUARE_BITS, UPPER_BITS, FREEDOM_BITS = 256, 28, 8, 7
_OFF = 1 << 7  # units that r^2 may be above 1

check_limits = no_counts


def check(asked: Query) -> None:
    wanted = _of(asked)
    if len(wanted.of) != 2 or len({grid.column for grid in wanted.of}) != 2:
        raise malformed(f"{FIELD}.of", "name two different columns")
    for number, grid in enumerate(wanted.of):
        grids.check_grid(grid, f"{FIELD}.of[{number}]", MAX_LEVELS)


def uses(asked: Query) -> Iterator[Used]:
    for number, grid in _by_column(asked):
        types, within = (grids.column_type(grid),), (grid.least, grid.most)
        yield Used(grid.column, f"{FIELD}.of[{number}].column", Use.MEASURE, types, within=within)


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    return {"test": PROGRAM, "columns": [], "measures": [_measure(grid) for _, grid in _by_column(asked)]}


def _measure(grid: Grid) -> dict[str, Any]:
    least, most = grids.bounds(grid)
    return {"name": grid.column, "least": least, "most": most, "step": grid.step}


def canonical(asked: Query) -> dict[str, Any]:
    return {"statistic": PROGRAM, "of": [grids.canonical(grid) for _, grid in _by_column(asked)]}


def outputs(contract: Contract) -> int:
    return 4


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """One row, of r, its degrees of freedom and its p value, two-sided; nothing where it is not told. Both are
    the middle of the numbers that have the same upper digits."""
    square, below, freedom, told = opened
    whole, people = 1 << SQUARE_BITS, sum(provider.row_bound for provider in contract.providers)
    below_square, below_freedom = same_digits(square, UPPER_BITS), same_digits(freedom, FREEDOM_BITS)
    possible = told in (0, 1) and below in (0, told) and 0 <= square <= told * (whole + _OFF)
    if not (
        possible and told <= freedom <= told * (people - 2) and square % below_square == freedom % below_freedom == 0
    ):
        raise sharing.inconsistent("the opened values are out of their range")
    if not told:
        return Table((), (Row((), None, (None,) * 3),), MEASURES, counted=False)
    part = min((square + (below_square - 1) / 2) / whole, 1.0)
    degrees = freedom + (below_freedom - 1) / 2
    t = math.sqrt(part * degrees / (1 - part)) if part < 1 else math.inf
    values = (math.sqrt(part) * (-1 if below else 1), degrees, t_tails(t, degrees))
    return Table((), (Row((), None, values),), MEASURES, counted=False)


def same_digits(number: int, bits: int) -> int:
    """How many numbers have the same upper bits, of those that the engine leaves of it (reciprocals.py)."""
    return 1 << max(max(number, 0).bit_length() - bits, 0)


def said(asked: Query, called: Callable[[str], str]) -> str:
    first, second = (called(grid.column) for grid in _of(asked).of)
    told = "Pearson's r, about how many degrees of freedom, and p; no sums and no counts"
    return f"whether {first} goes together with {second} in a line, among people of {lists(asked)}, each once ({told})"


def _by_column(asked: Query) -> list[tuple[int, Grid]]:
    """The two, with their places in the query, by the names of their columns."""
    return sorted(enumerate(_of(asked).of), key=lambda item: item[1].column)


def _of(asked: Query) -> Correlation:
    return given(asked.statistic.correlation)
