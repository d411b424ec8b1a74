"""A dataset's columns as its owner describes them, as typed expressions over its file's text.

Invariants: everything is text that the description types, so that nothing is guessed; what a filter keeps and what
breaks a rule are expressions of one meaning, whoever reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_
from typing import Any

from connectors.sources.errors import SourceError
from connectors.sources.files import Row
from connectors.sources.filters import predicates
from connectors.vocabularies.days import FORMATS, ambiguous
from gateway.domain.dataset import Column, ColumnType
from gateway.domain.errors import Reason
from gateway.domain.query import Filter
from gateway.rules.dates import is_day

_PATTERNS = {
    ColumnType.DATE: r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    ColumnType.INTEGER: r"^[+-]?[0-9]{1,18}$",
}
_INTEGER = re.compile(_PATTERNS[ColumnType.INTEGER])
_RULES = {
    ColumnType.DATE: "not an ISO date",
    ColumnType.INTEGER: "not an integer",
    ColumnType.CODE: "code not in list",
}


class Described:
    """The columns by name, the derived ones with the day that each is the year of, and what the file has of them. Days
    stand in the formats `dates` of their column, beside the ISO form. Of the columns `by_digits` no more is read than
    which digits they have, without zeros and in order: the same of a day in every format. Raises ValueError for a
    description that cannot be."""

    def __init__(
        self,
        columns: Sequence[Column],
        key_columns: Sequence[str],
        derived: Mapping[str, str],
        dates: Mapping[str, Sequence[str]],
        by_digits: frozenset[str],
    ) -> None:
        self.columns = {column.name: column for column in columns}
        self.derived, self._keys, self._dates, self._by_digits = derived, key_columns, dates, by_digits
        # What the file has, and a digest is of.
        self.stored = [name for name in self.columns if name not in self.derived]
        if len(self.columns) != len(columns):
            raise ValueError("two columns have one name")
        for name in (*key_columns, *self.derived, *self.derived.values()):
            if name not in self.columns:
                raise ValueError(f"{name} is not among the columns")
        for date in self.derived.values():
            if self.columns[date].type is not ColumnType.DATE or date in self.derived:
                raise ValueError(f"{date} is no date column of the file")
        for name, formats in dates.items():
            if name not in self.stored or self.columns[name].type is not ColumnType.DATE or ambiguous(formats):
                raise ValueError(f"{name}: formats belong to a date column of the file, day first or month first")
        for column in columns:
            if (column.type is ColumnType.CODE) != bool(column.codes):
                raise ValueError(f"{column.name}: a code list belongs to a column of codes, and to no other")
            _check_bounds(column)

    @property
    def text_keys(self) -> list[Column]:
        return [self.columns[name] for name in self._keys if self.columns[name].type is ColumnType.TEXT]

    def known(self, columns: Sequence[str]) -> None:
        for index, name in enumerate(columns):
            if name not in self.columns:
                raise SourceError(
                    Reason.UNKNOWN_COLUMN,
                    f"the dataset has no column {name!r}",
                    field=f"columns[{index}]",
                    advice=f"Choose from {', '.join(self.columns)}.",
                )

    def kept(self, table: Any, filters: Sequence[Filter]) -> Any:
        """Whether the filters keep a row."""
        import ibis

        kept = [keeps.fill_null(False) for keeps in predicates(filters, lambda name: self.value(table, name))]
        return reduce(and_, kept, ibis.literal(True))

    def typed(self, rows: list[Row], columns: Sequence[str]) -> list[Row]:
        """Integers as such; a cell that is none stays text, so that no checked row has its digest."""
        integers = {place for place, name in enumerate(columns) if self.columns[name].type is ColumnType.INTEGER}
        if not integers:
            return rows
        return [
            tuple([_integer(cell) if place in integers else cell for place, cell in enumerate(row)]) for row in rows
        ]

    def physical(self, name: str) -> str:
        return self.derived.get(name, name)

    def text(self, table: Any, name: str) -> Any:
        """A column as text, blank taken as empty, a day in its ISO form; a derived column from a bad date is empty."""
        if name not in self.derived:
            text = table[name].cast("string").nullif("")
            for written in self._dates.get(name, ()):
                for pattern, iso in FORMATS[written]:
                    text = text.re_replace(pattern, iso)
            return text.re_replace("[^1-9]", "").split("").sort().join("") if name in self._by_digits else text
        date = self.derived[name]
        return self.valid(table, self.columns[date]).ifelse(self.text(table, date).left(4), None)

    def value(self, table: Any, name: str) -> Any:
        text = self.text(table, name)
        return text.try_cast("int64") if self.columns[name].type is ColumnType.INTEGER else text

    def number(self, table: Any, name: str) -> Any:
        """A number or a day."""
        value = self.value(table, name)
        return value.try_cast("date") if self.columns[name].type is ColumnType.DATE else value

    def valid(self, table: Any, column: Column) -> Any:
        text = self.text(table, column.name)
        if column.type is ColumnType.CODE:
            return text.isin([code.value for code in column.codes])
        formed = text.re_search(_PATTERNS[column.type])
        if column.type is ColumnType.DATE:
            # The calendar begins with the year 1 for Python and with 0 for DuckDB.
            return formed & text.try_cast("date").notnull() & (text >= "0001-01-01")
        return formed

    def rules(self, table: Any, columns: Sequence[Column]) -> list[tuple[str, str, Any]]:
        """Rule, column and what breaks it: key and code columns are never empty; what is not empty fits its type."""
        broken: list[tuple[str, str, Any]] = []
        for column in columns:
            text = self.text(table, column.name)
            if column.name in self._keys:
                broken.append(("empty key", column.name, text.isnull() | (text.strip() == "")))
            elif column.type is ColumnType.CODE:
                broken.append(("empty code", column.name, text.isnull()))
            if column.type is not ColumnType.TEXT:
                valid = self.valid(table, column)
                rule = "not a date of its formats" if column.name in self._dates else _RULES[column.type]
                broken.append((rule, column.name, text.notnull() & ~valid))
                if column.least is not None:
                    between = self.value(table, column.name).between(column.least, column.most)
                    broken.append(("out of bounds", column.name, text.notnull() & valid & ~between))
        return broken


def _check_bounds(column: Column) -> None:
    """Both or neither; two integers, or two days."""
    least, most = column.least, column.most
    if least is None and most is None:
        return
    kind = {ColumnType.INTEGER: int, ColumnType.DATE: str}.get(column.type)
    if kind is None or type(least) is not kind or type(most) is not kind:
        raise ValueError(f"{column.name}: least and most come together, as two integers or two days of such a column")
    for end in (least, most):
        if isinstance(end, str) and not is_day(end):
            raise ValueError(f"{column.name}: {end} is no ISO 8601 day")
    if not least < most:  # type: ignore[operator]  # of one type by now
        raise ValueError(f"{column.name}: least is not below most")


def _integer(cell: str | int | None) -> str | int | None:
    return int(cell) if isinstance(cell, str) and _INTEGER.fullmatch(cell) else cell
