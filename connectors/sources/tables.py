"""One dataset in a CSV or Parquet file, read through ibis on an embedded DuckDB.

Invariants: the file lies in the allowed folder, reached through no symlink, and the engine can open no
other; everything is read as text and typed by the dataset's description, so that nothing is guessed; a
row that breaks the description is reported or refused, never dropped; rows reach no log. Plain blocking
calls: keeping them off an event loop is the caller's affair.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from connectors.sources.errors import SourceError
from connectors.sources.filters import check_filters, predicates
from connectors.sources.snapshot import snapshot_digest
from gateway.domain.dataset import Column, ColumnType
from gateway.domain.errors import Reason
from gateway.domain.query import Filter

Row = tuple[str | int | None, ...]

# How many line numbers a report names per rule.
FIRST_LINES = 5

_PATTERNS = {
    ColumnType.DATE: r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    ColumnType.INTEGER: r"^[+-]?[0-9]{1,18}$",
}
_RULES = {
    ColumnType.DATE: "not an ISO date",
    ColumnType.INTEGER: "not an integer",
    ColumnType.CODE: "code not in list",
}


@dataclass(frozen=True, slots=True)
class YearOf:
    """A derived column: the year of a date column, as text, decided at the owner."""

    column: str
    date: str


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """`path` is relative to `folder`. `columns` describes the file's columns and the derived ones."""

    folder: Path
    path: str
    columns: tuple[Column, ...]
    key_columns: tuple[str, ...] = ()
    derived: tuple[YearOf, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """How many rows break one rule in one column; `lines` are the first of them, as a text editor counts a
    CSV's lines (header 1) while no cell has a line break in it, or row numbers from 1 in Parquet. A missing
    column counts no rows."""

    rule: str
    column: str
    rows: int
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    rows: int
    problems: tuple[Problem, ...]


class DatasetSource:
    """Reads one file. Raises SourceError, and ValueError for a configuration that cannot be."""

    def __init__(self, config: SourceConfig) -> None:
        self._config = config
        self._columns = {column.name: column for column in config.columns}
        self._derived = {derived.column: derived.date for derived in config.derived}
        if len(self._columns) != len(config.columns):
            raise ValueError("two columns have one name")
        for name in (*config.key_columns, *self._derived, *self._derived.values()):
            if name not in self._columns:
                raise ValueError(f"{name} is not among the columns")
        for date in self._derived.values():
            if self._columns[date].type is not ColumnType.DATE or date in self._derived:
                raise ValueError(f"{date} is no date column of the file")
        for column in config.columns:
            if (column.type is ColumnType.CODE) != bool(column.codes):
                raise ValueError(f"{column.name}: a code list belongs to a column of codes, and to no other")

    @property
    def path(self) -> Path:
        """The file, if it may be read: looked at again each time, since a link may have taken its place."""
        relative = PurePosixPath(self._config.path)
        where = self._config.folder.resolve()
        # `*`, `?` and `[` would make the engine look for other files.
        if relative.is_absolute() or ".." in relative.parts or re.search(r"[*?\[\]\\\x00]", str(relative)):
            raise self._unreadable("its path leaves the allowed folder or has wildcards in it")
        if relative.suffix not in (".csv", ".parquet"):
            raise self._unreadable("it is neither .csv nor .parquet")
        for part in relative.parts:
            where = where / part
            if where.is_symlink():
                raise self._unreadable("there is a symlink in its path")
        if not where.is_file():
            raise self._unreadable("there is no such file")
        return where

    def check(self) -> Report:
        """Counts rows and what breaks the description, over all columns."""
        with self._table() as (table, fetch):
            rows = int(fetch(table.aggregate(rows=table.count()))[0][0] or 0)
            present = [column for column in self._columns.values() if self._physical(column.name) in table]
            missing = [
                Problem("missing column", name, 0)
                for name in self._columns
                if name not in self._derived and name not in table
            ]
            return Report(rows, (*missing, *self._problems(table, fetch, present)))

    def read(self, columns: Sequence[str], filters: Sequence[Filter] = ()) -> list[Row]:
        """Rows in the file's order, cells in the order of `columns`: int for integers, None for empty.

        Raises SourceError: what `check_filters` raises, UNKNOWN_COLUMN, SOURCE_UNREADABLE for a file that
        cannot be read, INPUT_OUT_OF_RANGE for one that breaks its description in a column in use.
        """
        for index, name in enumerate(columns):
            if name not in self._columns:
                raise SourceError(
                    Reason.UNKNOWN_COLUMN,
                    f"the dataset has no column {name!r}",
                    field=f"columns[{index}]",
                    advice=f"Choose from {', '.join(self._columns)}.",
                )
        check_filters(filters, self._columns)
        used = [self._columns[name] for name in dict.fromkeys((*columns, *(f.column for f in filters)))]
        with self._table() as (table, fetch):
            for column in used:
                if self._physical(column.name) not in table:
                    raise self._broken("the source lacks the column", column.name)
            for problem in self._problems(table, fetch, used):
                raise self._broken(problem.rule, problem.column)
            wanted = predicates(filters, lambda name: self._value(table, name))
            kept = table.filter(wanted) if wanted else table
            cells = {f"c{i}": self._value(kept, name) for i, name in enumerate(columns)}
            return fetch(kept.select(**cells))

    def snapshot(self, key: bytes) -> str:
        """The keyed digest of the whole dataset, whatever the order of its rows."""
        return snapshot_digest(self.read([name for name in self._columns if name not in self._derived]), key)

    def _physical(self, name: str) -> str:
        return self._derived.get(name, name)

    def _text(self, table: Any, name: str) -> Any:
        """A column as text, blank taken as empty; a derived column from a bad date is empty."""
        if name not in self._derived:
            text = table[name].cast("string")
            return text.nullif("")
        date = self._derived[name]
        return self._valid(table, self._columns[date]).ifelse(self._text(table, date).left(4), None)

    def _value(self, table: Any, name: str) -> Any:
        text = self._text(table, name)
        return text.cast("int64") if self._columns[name].type is ColumnType.INTEGER else text

    def _valid(self, table: Any, column: Column) -> Any:
        text = self._text(table, column.name)
        if column.type is ColumnType.CODE:
            return text.isin([code.value for code in column.codes])
        formed = text.re_search(_PATTERNS[column.type])
        if column.type is ColumnType.DATE:
            # The calendar begins with the year 1 for Python and with 0 for DuckDB.
            return formed & text.try_cast("date").notnull() & (text >= "0001-01-01")
        return formed

    def _problems(self, table: Any, fetch: Callable[[Any], list[Row]], columns: Sequence[Column]) -> list[Problem]:
        """Rules per column: key and code columns are never empty; what is not empty fits its type."""
        broken: list[tuple[str, str, Any]] = []
        for column in columns:
            text = self._text(table, column.name)
            if column.name in self._config.key_columns:
                broken.append(("empty key", column.name, text.isnull() | (text.strip() == "")))
            elif column.type is ColumnType.CODE:
                broken.append(("empty code", column.name, text.isnull()))
            if column.type is not ColumnType.TEXT:
                valid = self._valid(table, column)
                broken.append((_RULES[column.type], column.name, text.notnull() & ~valid))
        if not broken:
            return []
        counts = fetch(table.aggregate(**{f"b{i}": bad.sum() for i, (_, _, bad) in enumerate(broken)}))[0]
        first = 2 if self.path.suffix == ".csv" else 1
        problems: list[Problem] = []
        for (rule, name, bad), count in zip(broken, counts, strict=True):
            if count:
                import ibis

                numbered = table.mutate(isthmus_line=ibis.row_number() + first, isthmus_bad=bad)
                found = numbered.filter(numbered.isthmus_bad).select("isthmus_line")
                lines = fetch(found.order_by("isthmus_line").limit(FIRST_LINES))
                problems.append(Problem(rule, name, int(count), tuple(int(line or 0) for (line,) in lines)))
        return problems

    @contextmanager
    def _table(self) -> Iterator[tuple[Any, Callable[[Any], list[Row]]]]:
        """The file as an ibis table, and a function that fetches an expression's rows."""
        import duckdb
        import ibis

        path = str(self.path)
        engine = ibis.duckdb.connect(threads=2, autoinstall_known_extensions=False, autoload_known_extensions=False)
        try:
            quoted = path.replace("'", "''")
            for setting in (
                f"allowed_paths = ['{quoted}']",
                "enable_external_access = false",
                "lock_configuration = true",
            ):
                engine.raw_sql(f"SET {setting}")
            if self.path.suffix == ".csv":
                # The sniffer would widen a table, or skip lines, to make odd rows fit.
                table = engine.read_csv(
                    path,
                    auto_detect=False,
                    columns=dict.fromkeys(self._header(), "VARCHAR"),
                    header=True,
                    delim=",",
                    quote='"',
                    escape='"',
                )
            else:
                table = engine.read_parquet(path)

            def fetch(expression: Any) -> list[Row]:
                rows: list[Row] = engine.con.execute(engine.compile(expression)).fetchall()
                return rows

            yield table, fetch
        except (duckdb.Error, ibis.common.exceptions.IbisError) as error:
            line = re.search(r"Line: ([0-9]+)", str(error))
            at = f" at line {line.group(1)}" if line else ""
            raise self._unreadable(f"its content cannot be read{at}", type(error).__name__) from None
        finally:
            engine.disconnect()

    def _header(self) -> list[str]:
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                names = next(csv.reader(file, strict=True), [])
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise self._unreadable("its header cannot be read", type(error).__name__) from None
        # DuckDB takes names that differ in case alone for one.
        if not names or not all(names) or len({name.lower() for name in names}) != len(names):
            raise self._unreadable("its header is missing, or has a name that is empty or there twice")
        return names

    def _unreadable(self, what: str, private: str = "") -> SourceError:
        return SourceError(
            Reason.SOURCE_UNREADABLE,
            f"the source {PurePosixPath(self._config.path).name} is unreadable: {what}",
            field="path",
            private=private,
            advice="Its owner has to repair it; nothing was read.",
        )

    def _broken(self, rule: str, column: str) -> SourceError:
        """Says which rule, not how often or where: that depends on rows and is the owner's to see."""
        return SourceError(
            Reason.INPUT_OUT_OF_RANGE,
            f"the source breaks its description in {column}: {rule}",
            field=column,
            advice="Its owner finds the rows with a check of the dataset.",
        )
