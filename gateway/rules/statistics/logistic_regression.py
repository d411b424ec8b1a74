"""`logistic_regression`: how whether people have an outcome goes with columns, all at once, by maximum likelihood.

Invariants: what comes out of a session are numbers of the fit to 16 binary digits, and how many people there are with
and without the outcome; odds ratios, z and p follow from them. The design follows from the query and the owners' code
lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import erfc, exp, sqrt
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import LogisticRegression, Query
from gateway.domain.result import Figure, Table
from gateway.rules import regression
from gateway.rules.statistics import chi_square, covariates
from gateway.rules.statistics.base import Codes, Used, check_column, given, lists, malformed
from gateway.rules.text import nearest

PROGRAM, LABEL = "logistic_regression", "logistic regressions"
FIELD = "statistic.logistic_regression"
MEASURES = ("estimate", "standard_error", "z", "p", "odds_ratio")
FIGURES = ("people", "with_outcome", "deviance", "mcfadden_r_squared")
MAX_CELLS = 2048  # as the program has it (connectors/engine/programs/logistic_regression.py)
MOST_EXPONENT = 700.0  # e to the power of more is beyond floats

check_limits = chi_square.check_limits


def check(asked: Query) -> None:
    wanted = _of(asked)
    covariates.check(wanted.covariates, wanted.outcome.column, FIELD)
    check_column(wanted.outcome.column, f"{FIELD}.outcome.column")
    if not wanted.outcome.codes or len(set(wanted.outcome.codes)) < len(wanted.outcome.codes):
        raise malformed(f"{FIELD}.outcome.codes", "name the codes that are the outcome, each once")


def uses(asked: Query) -> Iterator[Used]:
    wanted = _of(asked)
    yield from covariates.uses(wanted.covariates, FIELD)
    yield Used(wanted.outcome.column, f"{FIELD}.outcome.column")


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    """Raises IsthmusError: UNKNOWN_CODE, or MALFORMED_QUERY where the design would be too large or too small."""
    outcome = _of(asked).outcome
    all_ = list(codes[outcome.column])
    for number, code in enumerate(outcome.codes):
        if code not in all_:
            raise IsthmusError(
                Reason.UNKNOWN_CODE,
                f"{code!r} is not a code of {outcome.column}",
                field=f"{FIELD}.outcome.codes[{number}]",
                advice=nearest(code, all_, "Its codes are"),
            )
    if len(outcome.codes) == len(all_):
        raise malformed(f"{FIELD}.outcome.codes", "these are all codes, so everybody would have the outcome")
    events = sorted(all_.index(code) for code in outcome.codes)
    made = covariates.columns(_of(asked).covariates, codes, FIELD, MAX_CELLS)
    return {"test": PROGRAM, "columns": [*made, {"name": outcome.column, "codes": all_, "events": events}]}


def canonical(asked: Query) -> dict[str, Any]:
    """Which codes are taken, and which of them is the reference, is part of what is asked."""
    wanted = _of(asked)
    outcome = {"column": wanted.outcome.column, "codes": sorted(wanted.outcome.codes)}
    return {"statistic": PROGRAM, "outcome": outcome, "covariates": covariates.canonical(wanted.covariates)}


def outputs(contract: Contract) -> int:
    return 4 * len(covariates.terms(contract)) + 5


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """A row for each term: its log odds ratio, standard error, z, p, and odds ratio. Overall: people, with the outcome,
    and fit."""
    found = regression.logistic(contract.program.parameters, opened, covariates.most(contract))
    terms = covariates.terms(contract)
    if found is None:
        return covariates.untold(terms, MEASURES, FIGURES)
    values = []
    for own in found.coefficients:
        z = own.estimate / own.error
        odds = exp(own.estimate) if own.estimate < MOST_EXPONENT else None
        values.append((own.estimate, own.error, z, erfc(abs(z) / sqrt(2)), odds))
    figures = zip(FIGURES, (found.people, found.events, found.deviance, found.pseudo_r_squared), strict=True)
    return covariates.told(terms, values, MEASURES, [Figure(name, value) for name, value in figures])


def said(asked: Query, called: Callable[[str], str]) -> str:
    wanted = _of(asked)
    outcome = f"{called(wanted.outcome.column)} being {' or '.join(wanted.outcome.codes)}"
    told = "log odds and their standard errors, how many people there are, how many with the outcome, and fit"
    return (
        f"how {outcome} goes with {covariates.said(wanted.covariates, called)}, by maximum likelihood, among people of "
        f"{lists(asked)}, each once ({told}; nothing if few people have some code, or two together, with it or without)"
    )


def _of(asked: Query) -> LogisticRegression:
    return given(asked.statistic.logistic_regression)
