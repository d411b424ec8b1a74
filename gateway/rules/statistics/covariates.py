"""The covariates of regressions: what queries say of columns, what programs take of them, and rows of terms. Pure.

Invariant: terms stand in the order of the query, the intercept first; it is of whoever has all references and least
numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.dataset import ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import CodedColumn, Covariate, Numbers
from gateway.domain.result import Figure, Row, Table
from gateway.rules import regression
from gateway.rules.regression import Term
from gateway.rules.statistics.base import Codes, Used, check_column, malformed
from gateway.rules.statistics.chi_square import taken
from gateway.rules.statistics.histogram import MAX_EDGES, intervals

COLUMNS = ("covariate", "term")  # of the table
NUMBER = "number"  # the term of a column of numbers
# As the engine has them (connectors/engine/programs/design.py).
MAX_COVARIATES, MAX_COEFFICIENTS, MAX_CELLS, FARTHEST = 12, 32, 4096, 1 << 30


def check(covariates: Sequence[Covariate], outcome: str, field: str) -> None:
    names = [covariate.column for covariate in covariates]
    if not 1 <= len(names) <= MAX_COVARIATES or len({*names, outcome}) <= len(names):
        raise malformed(
            f"{field}.covariates", f"name 1 to {MAX_COVARIATES} columns, each once, none of them the outcome"
        )
    for number, covariate in enumerate(covariates):
        own = f"{field}.covariates[{number}]"
        check_column(covariate.column, f"{own}.column")
        if covariate.numbers is not None:
            if covariate.codes is not None:
                raise malformed(f"{own}.codes", "a column of numbers has no codes: leave one of the two out")
            _check_numbers(covariate.numbers, f"{own}.numbers")
        elif covariate.codes is not None and (
            len(covariate.codes) < 2 or len(set(covariate.codes)) < len(covariate.codes)
        ):
            raise malformed(f"{own}.codes", "name two codes at least, each once, or none for all")


def _check_numbers(numbers: Numbers, field: str) -> None:
    if not (-FARTHEST <= numbers.least < numbers.most <= FARTHEST):
        raise malformed(f"{field}.most", f"above least, and both within {FARTHEST} of zero")
    if numbers.step < 1 or not 2 <= len(_starts(numbers)) < MAX_EDGES:
        raise malformed(f"{field}.step", f"a step that makes 2 to {MAX_EDGES - 1} intervals from least to most")


def _starts(numbers: Numbers) -> range:
    """The lowest number of each interval."""
    return range(numbers.least, numbers.most + 1, numbers.step)


def _edges(numbers: Numbers) -> tuple[int, ...]:
    """Where each interval begins, and where the last one ends: after `most`, if steps do not fit."""
    starts = _starts(numbers)
    return (*starts, min(starts[-1] + numbers.step, numbers.most + 1))


def uses(covariates: Sequence[Covariate], field: str) -> Iterator[Used]:
    for number, covariate in enumerate(covariates):
        own = f"{field}.covariates[{number}].column"
        if covariate.numbers is None:
            yield Used(covariate.column, own, codes=covariate.codes or ())
        else:
            yield Used(covariate.column, own, types=(ColumnType.INTEGER,), edges=_edges(covariate.numbers), closed=True)


def columns(
    covariates: Sequence[Covariate], codes: Codes, field: str, most_cells: int = MAX_CELLS
) -> list[dict[str, Any]]:
    """As programs take them. Raises IsthmusError: UNKNOWN_CODE, or MALFORMED_QUERY for too large a design."""
    out, sizes = list[dict[str, Any]](), list[int]()
    for number, covariate in enumerate(covariates):
        if covariate.numbers is not None:
            # Of the owner's intervals all but below, above and not known.
            known, starts = intervals(_edges(covariate.numbers))[:-1], _starts(covariate.numbers)
            out.append({"name": covariate.column, "codes": list(known), "values": [None, *starts, None]})
            sizes.append(len(starts))
            continue
        all_ = {**codes, covariate.column: sorted(codes[covariate.column])}
        own = taken(CodedColumn(covariate.column, covariate.codes), all_, f"{field}.covariates[{number}]")
        out.append({"name": covariate.column, "codes": own})
        sizes.append(len(own))
    cells, terms = math.prod(sizes), len(regression.terms({"columns": out}))
    if cells > most_cells or terms > MAX_COEFFICIENTS:
        raise IsthmusError(
            Reason.MALFORMED_QUERY,
            f"these columns make {cells} combinations and {terms} terms, and a regression has {most_cells} and "
            f"{MAX_COEFFICIENTS} at most",
            field=f"{field}.covariates",
            advice="Name fewer columns, the codes that matter, or a larger step",
        )
    return out


def canonical(covariates: Sequence[Covariate]) -> list[dict[str, Any]]:
    return [
        {
            "column": covariate.column,
            "codes": None if covariate.codes is None else list(covariate.codes),
            "numbers": None if covariate.numbers is None else list(_edges(covariate.numbers)),
        }
        for covariate in covariates
    ]


def terms(contract: Contract) -> list[Term]:
    return regression.terms(regression.read(contract.program.parameters))


def most(contract: Contract) -> int:
    """People there can be."""
    return sum(provider.row_bound for provider in contract.providers)


def told(
    made: Sequence[Term], values: Sequence[tuple[float | None, ...]], measures: Sequence[str], overall: Sequence[Figure]
) -> Table:
    rows = tuple(Row(_names(term), None, own) for term, own in zip(made, values, strict=True))
    return Table(COLUMNS, rows, tuple(measures), counted=False, overall=tuple(overall))


def untold(made: Sequence[Term], measures: Sequence[str], figures: Sequence[str]) -> Table:
    return told(made, [(None,) * len(measures)] * len(made), measures, [Figure(name, None) for name in figures])


def _names(term: Term) -> tuple[str, str]:
    return (term.column or regression.INTERCEPT, term.code or NUMBER)


def said(covariates: Sequence[Covariate], called: Callable[[str], str]) -> str:
    return ", ".join(_said(covariate, called) for covariate in covariates)


def _said(covariate: Covariate, called: Callable[[str], str]) -> str:
    numbers = covariate.numbers
    if numbers is not None:
        return f"{called(covariate.column)} ({numbers.least} to {numbers.most})"
    return called(covariate.column) + ("" if covariate.codes is None else f" ({', '.join(covariate.codes)})")
