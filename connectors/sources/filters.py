"""Owner-side filters as typed expressions, never as SQL text.

Invariants: a filter is checked against the dataset's description before the source is opened, so that a
refusal depends on public metadata alone; values reach the engine as literals that ibis quotes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.sources.errors import SourceError
from connectors.vocabularies.linkage import parse_day
from gateway.domain.dataset import Column, ColumnType
from gateway.domain.errors import Reason
from gateway.domain.query import Filter

Value = str | int


def check_filters(filters: Sequence[Filter], columns: Mapping[str, Column]) -> None:
    """Raises SourceError: UNKNOWN_COLUMN, WRONG_FILTER_TYPE, UNKNOWN_CODE, MALFORMED_QUERY."""
    for index, wanted in enumerate(filters):
        where = f"filters[{index}]"
        column = columns.get(wanted.column)
        if column is None:
            raise SourceError(
                Reason.UNKNOWN_COLUMN,
                f"the dataset has no column {wanted.column!r}",
                field=f"{where}.column",
                advice=f"Choose from {', '.join(columns)}.",
            )
        if column.type is ColumnType.TEXT:
            raise _wrong_type(f"{where}.column", f"{column.name} is text, and text is not filtered on")
        operators = {
            "equals": wanted.equals,
            "one_of": wanted.one_of,
            "between": wanted.between,
        }
        used = [name for name, operand in operators.items() if operand is not None]
        if len(used) != 1:
            raise SourceError(
                Reason.MALFORMED_QUERY,
                f"the filter on {column.name} has {len(used)} operators",
                field=where,
                advice="Use exactly one of equals, one_of, between.",
            )
        if wanted.between is not None:
            if column.type is ColumnType.CODE:
                raise _wrong_type(f"{where}.between", f"{column.name} holds codes, which have no order; use one_of")
            low, high = wanted.between.low, wanted.between.high
            _check_value(column, low, f"{where}.between.low")
            _check_value(column, high, f"{where}.between.high")
            if low > high:  # type: ignore[operator]  # both of the column's one type
                raise SourceError(
                    Reason.MALFORMED_QUERY,
                    f"{low} comes after {high}",
                    field=f"{where}.between",
                    advice="Swap the two.",
                )
        for position, value in enumerate(wanted.one_of or ()):
            _check_value(column, value, f"{where}.one_of[{position}]")
        if wanted.one_of == ():
            raise SourceError(
                Reason.MALFORMED_QUERY,
                f"the filter on {column.name} keeps nothing",
                field=f"{where}.one_of",
                advice="Name at least one value.",
            )
        if wanted.equals is not None:
            _check_value(column, wanted.equals, f"{where}.equals")


def _check_value(column: Column, value: Value, field: str) -> None:
    if column.type is ColumnType.INTEGER:
        if type(value) is not int:
            raise _wrong_type(field, f"{column.name} holds integers and {value!r} is none")
        return
    if not isinstance(value, str):
        raise _wrong_type(field, f"{column.name} holds {column.type}s and {value!r} is a number")
    if column.type is ColumnType.DATE:
        try:
            parse_day(value)
        except ValueError as wrong:
            raise _wrong_type(field, f"{column.name} holds dates and {value!r} is {wrong}") from None
    elif value not in {code.value for code in column.codes}:
        known = ", ".join(code.value for code in column.codes)
        raise SourceError(
            Reason.UNKNOWN_CODE,
            f"{column.name} has no code {value!r}",
            field=field,
            advice=f"Its codes are {known}.",
        )


def _wrong_type(field: str, public: str) -> SourceError:
    return SourceError(Reason.WRONG_FILTER_TYPE, public, field=field, advice="See the column's type in the catalogue.")


def predicates(filters: Sequence[Filter], value: Callable[[str], Any]) -> list[Any]:
    """ibis expressions; `value` gives a column's typed expression. Empty values meet no filter."""
    kept: list[Any] = []
    for wanted in filters:
        column = value(wanted.column)
        if wanted.between is not None:
            # ISO days sort as text, so dates need no cast.
            kept.append(column.between(wanted.between.low, wanted.between.high))
        elif wanted.one_of is not None:
            kept.append(column.isin(list(wanted.one_of)))
        else:
            kept.append(column == wanted.equals)
    return kept
