"""`chi_square`: whether what people are in one column goes together with what they are in the other: Pearson's χ².

Invariants: one number comes out of a session, or none; p follows from it and from how many codes were asked for. No
count is opened, and none is in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.domain.contract import Contract, Limits
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import ChiSquare, CodedColumn, Query
from gateway.domain.result import Row, Table
from gateway.rules import sharing
from gateway.rules.distributions import chi_square_tail
from gateway.rules.statistics.base import Codes, Used, check_column, code_lists, given, lists, malformed
from gateway.rules.text import nearest

PROGRAM, LABEL = "chi_square", "tests of two columns"
FIELD = "statistic.chi_square"
MEASURES = ("chi_square", "df", "p")
# As the program has them (connectors/engine/programs/chi_square.py).
MAX_CELLS, UNIT_BITS = 64, 16


def check(asked: Query) -> None:
    wanted = _of(asked)
    for field, column in _columns(wanted):
        check_column(column.column, f"{field}.column")
        if column.codes is None:
            continue
        if len(column.codes) < 2 or len(set(column.codes)) < len(column.codes):
            raise malformed(f"{field}.codes", "name two codes at least, each once, or none for all")
    if wanted.rows.column == wanted.columns.column:
        raise malformed(f"{FIELD}.columns.column", "name two different columns")


def check_limits(asked: Query, limits: Limits) -> None:
    """What changes single counts, or looks at one provider's part of each, has nothing to hold to here."""
    for field, value in (("epsilon", limits.epsilon), ("dominance", limits.dominance), ("rounding", limits.rounding)):
        if value is not None:
            raise IsthmusError(
                Reason.POLICY_REFUSED,
                f"{field} is for counts, and a test opens none",
                field=f"limits.{field}",
                advice="Leave it out, or the sources whose policy asks for it; or ask for a count_by",
            )


def uses(asked: Query) -> Iterator[Used]:
    for field, column in _columns(_of(asked)):
        yield Used(column.column, f"{field}.column", codes=column.codes or ())


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    """Raises IsthmusError: UNKNOWN_CODE, or MALFORMED_QUERY where the table would be too large or too small."""
    columns, cells = [], 1
    for field, column in _columns(_of(asked)):
        known = codes[column.column]
        for number, code in enumerate(column.codes or ()):
            if code not in known:
                raise IsthmusError(
                    Reason.UNKNOWN_CODE,
                    f"{code!r} is not a code of {column.column}",
                    field=f"{field}.codes[{number}]",
                    advice=nearest(code, list(known), "Its codes are"),
                )
        taken = list(column.codes or known)
        if len(taken) < 2:
            raise malformed(f"{field}.column", f"{column.column} has one code, and nothing goes together with that")
        columns.append({"name": column.column, "codes": taken})
        cells *= len(taken)
    if cells > MAX_CELLS:
        raise IsthmusError(
            Reason.MALFORMED_QUERY,
            f"these columns make {cells} cells, and a test is of {MAX_CELLS} at most",
            field=FIELD,
            advice="Name the codes that matter: rows.codes, columns.codes",
        )
    return {"test": PROGRAM, "columns": columns}


def canonical(asked: Query) -> dict[str, Any]:
    """Rows and columns may change places; which codes are taken follows from the parameters."""
    return {"statistic": PROGRAM, "columns": sorted(column.column for _, column in _columns(_of(asked)))}


def outputs(contract: Contract) -> int:
    return 2


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """One row, of χ², its degrees of freedom and its p value; nothing where it is not told."""
    sizes = [len(codes) for codes in code_lists(contract.program.parameters).values()]
    people = sum(provider.row_bound for provider in contract.providers)
    value, told = opened
    # At most n (min(r, c) - 1), and what the program may be off.
    if told not in (0, 1) or not 0 <= value <= told * (people * (min(sizes) - 1) * ((1 << UNIT_BITS) + 1) + 1):
        raise sharing.inconsistent("the opened values are out of their range")
    if not told:
        return Table((), (Row((), None, (None,) * 3),), MEASURES, counted=False)
    chi_square, degrees = value / (1 << UNIT_BITS), (sizes[0] - 1) * (sizes[1] - 1)
    values = (chi_square, degrees, chi_square_tail(chi_square, degrees))
    return Table((), (Row((), None, values),), MEASURES, counted=False)


def said(asked: Query, called: Callable[[str], str]) -> str:
    rows, columns = (_taken(column, called) for _, column in _columns(_of(asked)))
    return (
        f"whether {rows} goes together with {columns} (χ² and p, no counts), among people of {lists(asked)}, each once"
    )


def _taken(column: CodedColumn, called: Callable[[str], str]) -> str:
    return called(column.column) + ("" if column.codes is None else f" ({', '.join(column.codes)})")


def _columns(wanted: ChiSquare) -> tuple[tuple[str, CodedColumn], ...]:
    return (f"{FIELD}.rows", wanted.rows), (f"{FIELD}.columns", wanted.columns)


def _of(asked: Query) -> ChiSquare:
    return given(asked.statistic.chi_square)
