"""`chi_square`: whether what people are in one column goes together with what they are in the other: Pearson's χ².

Invariants: one number comes out of a session, or none; p follows from it and from how many codes were asked for. No
count is opened, and none is in the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import ChiSquare, CodedColumn, Query
from gateway.domain.result import Row, Table
from gateway.rules import sharing
from gateway.rules.distributions import chi_square_tail
from gateway.rules.statistics.base import Codes, Used, check_column, code_lists, given, malformed, no_counts, whom
from gateway.rules.text import nearest

PROGRAM, LABEL = "chi_square", "tests of two columns"
FIELD = "statistic.chi_square"
MEASURES = ("chi_square", "df", "p")
# As the program has them (connectors/engine/programs/chi_square.py).
MAX_CELLS, UNIT_BITS = 64, 16


check_limits = no_counts


def check(asked: Query) -> None:
    wanted = _of(asked)
    for field, column in _columns(wanted):
        check_coded(column, field)
    if wanted.rows.column == wanted.columns.column:
        raise malformed(f"{FIELD}.columns.column", "name two different columns")


def check_coded(column: CodedColumn, field: str) -> None:
    check_column(column.column, f"{field}.column")
    if column.codes is not None and (len(column.codes) < 2 or len(set(column.codes)) < len(column.codes)):
        raise malformed(f"{field}.codes", "name two codes at least, each once, or none for all")


def uses(asked: Query) -> Iterator[Used]:
    for field, column in _columns(_of(asked)):
        yield Used(column.column, f"{field}.column", codes=column.codes or ())


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    """Raises IsthmusError: UNKNOWN_CODE, or MALFORMED_QUERY where the table would be too large or too small."""
    named = [(column.column, taken(column, codes, field)) for field, column in _columns(_of(asked))]
    return crossed(PROGRAM, named, FIELD)


def taken(column: CodedColumn, codes: Codes, field: str) -> list[str]:
    """The codes of a column that are compared. Raises IsthmusError as `parameters` does."""
    known = codes[column.column]
    for number, code in enumerate(column.codes or ()):
        if code not in known:
            raise IsthmusError(
                Reason.UNKNOWN_CODE,
                f"{code!r} is not a code of {column.column}",
                field=f"{field}.codes[{number}]",
                advice=nearest(code, list(known), "Its codes are"),
            )
    if len(column.codes or known) < 2:
        raise malformed(f"{field}.column", f"{column.column} has one code, and nothing goes together with that")
    return list(column.codes or known)


def crossed(test: str, columns: Sequence[tuple[str, Sequence[str]]], field: str) -> dict[str, Any]:
    """The parameters of a test of two columns."""
    cells = math.prod(len(codes) for _, codes in columns)
    if cells > MAX_CELLS:
        raise IsthmusError(
            Reason.MALFORMED_QUERY,
            f"these columns make {cells} cells, and a test is of {MAX_CELLS} at most",
            field=field,
            advice="Name the codes that matter, or fewer intervals",
        )
    return {"test": test, "columns": [{"name": name, "codes": list(codes)} for name, codes in columns]}


def canonical(asked: Query) -> dict[str, Any]:
    """Rows and columns may change places; which codes are taken follows from the parameters."""
    return {"statistic": PROGRAM, "columns": sorted(column.column for _, column in _columns(_of(asked)))}


def outputs(contract: Contract) -> int:
    return 2


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """One row, of χ², its degrees of freedom and its p value; nothing where it is not told."""
    rows, columns = (len(codes) for codes in code_lists(contract.program.parameters).values())
    most = _people(contract) * (min(rows, columns) - 1)
    return tested(MEASURES, opened, most, (rows - 1) * (columns - 1))


def tested(measures: tuple[str, str, str], opened: Sequence[int], most: int, degrees: int) -> Table:
    """Of a statistic that is distributed like χ² where nothing differs, is `most` at most, and comes in units of
    2^-UNIT_BITS, off by a relative 2^-13 where it is large."""
    value, told = opened
    if told not in (0, 1) or not 0 <= value <= told * (most * ((1 << UNIT_BITS) + 8) + 1):
        raise sharing.inconsistent("the opened values are out of their range")
    if not told:
        return Table((), (Row((), None, (None,) * 3),), measures, counted=False)
    statistic = value / (1 << UNIT_BITS)
    values = (statistic, degrees, chi_square_tail(statistic, degrees))
    return Table((), (Row((), None, values),), measures, counted=False)


def _people(contract: Contract) -> int:
    return sum(provider.row_bound for provider in contract.providers)


def said(asked: Query, called: Callable[[str], str]) -> str:
    rows, columns = (in_words(column, called) for _, column in _columns(_of(asked)))
    return f"whether {rows} goes together with {columns} (χ² and p, no counts), among {whom(asked)}"


def in_words(column: CodedColumn, called: Callable[[str], str]) -> str:
    return called(column.column) + ("" if column.codes is None else f" ({', '.join(column.codes)})")


def _columns(wanted: ChiSquare) -> tuple[tuple[str, CodedColumn], ...]:
    return (f"{FIELD}.rows", wanted.rows), (f"{FIELD}.columns", wanted.columns)


def _of(asked: Query) -> ChiSquare:
    return given(asked.statistic.chi_square)
