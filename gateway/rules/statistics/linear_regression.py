"""`linear_regression`: how a number goes with columns, all at once, by ordinary least squares.

Invariants: what comes out of a session are numbers of the fit to 16 binary digits, and how many people it is of; t and
p follow from them. The design follows from the query and the owners' code lists. A day is how many days it is after the
first of 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.dataset import ColumnType
from gateway.domain.query import LinearRegression, Outcome, Query
from gateway.domain.result import Figure, Table
from gateway.rules import dates, regression
from gateway.rules.distributions import t_tails
from gateway.rules.statistics import chi_square, covariates
from gateway.rules.statistics.base import Codes, Use, Used, check_column, given, lists, malformed

PROGRAM, LABEL = "linear_regression", "linear regressions"
FIELD = "statistic.linear_regression"
MEASURES = ("estimate", "standard_error", "t", "p")
FIGURES = ("people", "residual_standard_error", "r_squared")
# As the program has them (connectors/engine/programs/linear_regression.py and measures.py).
MAX_BITS, FARTHEST = 18, 1 << 19

check_limits = chi_square.check_limits


def check(asked: Query) -> None:
    wanted = _of(asked)
    covariates.check(wanted.covariates, wanted.outcome.column, FIELD)
    _check_outcome(wanted.outcome, f"{FIELD}.outcome")


def _check_outcome(outcome: Outcome, field: str) -> None:
    check_column(outcome.column, f"{field}.column")
    for end in ("least", "most"):
        bound = getattr(outcome, end)
        if isinstance(bound, bool) or (isinstance(bound, str) and not dates.is_day(bound)):
            raise malformed(f"{field}.{end}", "a bound is an integer or a day such as 2013-04-01")
    if isinstance(outcome.least, str) is not isinstance(outcome.most, str):
        raise malformed(f"{field}.most", "bounds are two integers or two days")
    least, most = _bounds(outcome)
    if not (least < most and (most - least).bit_length() <= MAX_BITS and max(-least, most) < FARTHEST):
        raise malformed(
            f"{field}.most",
            f"above least by less than {1 << MAX_BITS}, both within {FARTHEST} of zero: take a larger unit",
        )


def uses(asked: Query) -> Iterator[Used]:
    wanted = _of(asked)
    yield from covariates.uses(wanted.covariates, FIELD)
    outcome = wanted.outcome
    kind = ColumnType.DATE if isinstance(outcome.least, str) else ColumnType.INTEGER
    within = (outcome.least, outcome.most)
    yield Used(outcome.column, f"{FIELD}.outcome.column", Use.MEASURE, (kind,), within=within)


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    """Raises IsthmusError: UNKNOWN_CODE, or MALFORMED_QUERY where the design would be too large or too small."""
    wanted = _of(asked)
    least, most = _bounds(wanted.outcome)
    measured = {"name": wanted.outcome.column, "least": least, "most": most, "squares": True}
    return {"test": PROGRAM, "columns": covariates.columns(wanted.covariates, codes, FIELD), "measures": [measured]}


def canonical(asked: Query) -> dict[str, Any]:
    """Which codes are taken, and which of them is the reference, is part of what is asked."""
    wanted = _of(asked)
    least, most = _bounds(wanted.outcome)
    outcome = {"column": wanted.outcome.column, "least": least, "most": most}
    return {"statistic": PROGRAM, "outcome": outcome, "covariates": covariates.canonical(wanted.covariates)}


def outputs(contract: Contract) -> int:
    return 4 * len(covariates.terms(contract)) + 6


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """A row for each term: its coefficient, standard error, t and p. Overall: people, what is left, and explained."""
    found = regression.linear(contract.program.parameters, opened, covariates.most(contract))
    terms = covariates.terms(contract)
    if found is None:
        return covariates.untold(terms, MEASURES, FIGURES)
    values = []
    for own in found.coefficients:
        t = own.estimate / own.error
        values.append((own.estimate, own.error, t, t_tails(t, found.people - len(terms))))
    figures = zip(FIGURES, (found.people, found.residual, found.r_squared), strict=True)
    return covariates.told(terms, values, MEASURES, [Figure(name, value) for name, value in figures])


def said(asked: Query, called: Callable[[str], str]) -> str:
    wanted = _of(asked)
    on = covariates.said(wanted.covariates, called)
    told = "coefficients and their standard errors, how many people there are and how well it fits"
    return (
        f"how {called(wanted.outcome.column)} goes with {on}, by least squares, among people of {lists(asked)}, each "
        f"once ({told}; nothing if few people have some code, or two together)"
    )


def _bounds(outcome: Outcome) -> tuple[int, int]:
    least, most = (dates.number(end) if isinstance(end, str) else end for end in (outcome.least, outcome.most))
    return least, most


def _of(asked: Query) -> LinearRegression:
    return given(asked.statistic.linear_regression)
