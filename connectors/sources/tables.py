"""One dataset in a CSV or Parquet file, read through ibis on an embedded DuckDB.

Invariants: everything is read as text and typed by the dataset's description, so that nothing is guessed; a row that
breaks the description is reported or refused, never dropped; what is read are the rows that were checked: the file has
the bytes that it had then (files.py), or each of its rows is looked at again; rows reach no log. Plain blocking calls:
keeping them off an event loop is the caller's affair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from connectors.sources.described import Described
from connectors.sources.errors import SourceError
from connectors.sources.files import Opened, Row, SourceFile
from connectors.sources.filters import check_filters
from connectors.sources.key_texts import FIRST_LINES, KeyTexts
from connectors.sources.pooling import Adding, Persons, Places, grouped, persons
from connectors.sources.snapshot import Identities, Snapshot, identities_of
from gateway.domain.dataset import Column, ColumnType
from gateway.domain.errors import Reason
from gateway.domain.query import Filter


@dataclass(frozen=True, slots=True)
class YearOf:
    """A derived column: the year of a date column, as text, decided at the owner."""

    column: str
    date: str


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """`path` is relative to `folder`. `columns` describes the file's columns and the derived ones; `dates` says in
    which formats days stand in a column (vocabularies/days.py); `by_digits` as described.py has it."""

    folder: Path
    path: str
    columns: tuple[Column, ...]
    key_columns: tuple[str, ...] = ()
    derived: tuple[YearOf, ...] = ()
    dates: Mapping[str, Sequence[str]] = field(default_factory=dict)
    by_digits: frozenset[str] = frozenset()


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
    """`pinned` is the keyed digest of rows that nothing is wrong with."""

    rows: int
    problems: tuple[Problem, ...]
    pinned: str | None


@dataclass(frozen=True, slots=True)
class _Checked:
    """Bytes, by their SHA-256, whose rows are known: the keyed digest of these, and their identities in order."""

    content: bytes
    pinned: str
    identities: Identities


class DatasetSource:
    """Reads one file. Raises SourceError, and ValueError for a configuration that cannot be."""

    def __init__(self, config: SourceConfig) -> None:
        self._config = config
        self._file = SourceFile(config.folder, config.path)
        self._checked: _Checked | None = None
        # Who each row is, and which rows these filters keep, of the bytes with this SHA-256: a session reads what its
        # approval read.
        self._people: tuple[bytes, Persons] | None = None
        self._chosen: tuple[bytes, tuple[Filter, ...], Places] | None = None
        derived = {item.column: item.date for item in config.derived}
        self._about = Described(config.columns, config.key_columns, derived, config.dates, config.by_digits)
        # The number of the first row: a CSV's header is its line 1.
        self._first = 2 if config.path.endswith(".csv") else 1

    def at(self, folder: Path, path: str) -> DatasetSource:
        """The same description over another file."""
        return DatasetSource(replace(self._config, folder=folder, path=path))

    def plain(self, names: Sequence[str]) -> DatasetSource:
        """These columns of the same file as mere text, of which no rule can be broken; days by their digits alone,
        since another file may have them in another format."""
        columns = tuple(Column(name, ColumnType.TEXT) for name in sorted(names))
        days = frozenset(name for name in names if self._about.columns[name].type is ColumnType.DATE)
        made = replace(self._config, columns=columns, key_columns=(), derived=(), dates={}, by_digits=days)
        return DatasetSource(made)

    def present(self) -> list[str]:
        """Which of the described columns the file has. Raises SourceError."""
        with self._file.opened() as opened:
            return [name for name in self._about.stored if name in opened.table]

    def hashes(self, key: bytes) -> list[bytes]:
        """The keyed hash of each row as it is now, whatever rules it breaks. Raises SourceError."""
        snapshot = Snapshot(key)
        with self._file.opened() as opened:
            statement = opened.engine.compile(self._reading(opened.table, self._about.stored))
            batches = opened.rows(statement)
            return [one for batch in batches for one in snapshot.add(self._about.typed(batch, self._about.stored))]

    def check(self, key: bytes) -> Report:
        """Counts rows and what breaks the description, over all columns; pins them, if nothing does."""
        with self._file.opened() as opened:
            table = opened.table
            missing = tuple(Problem("missing column", name, 0) for name in self._about.stored if name not in table)
            present = [column for column in self._about.columns.values() if self._about.physical(column.name) in table]
            names = [name for name in self._about.stored if name in table]
            rows, broken, snapshot = 0, False, Snapshot(key)
            nameless = [KeyTexts(names.index(one.name), one) for one in self._about.text_keys if one.name in table]
            hashes: list[bytes] = []
            # One statement: what is pinned is what was checked.
            for batch in opened.rows(opened.engine.compile(self._checking(table, present))):
                rows += len(batch)
                broken = broken or any(row[-1] for row in batch)
                for one in nameless:
                    one.look(batch, rows - len(batch) + self._first)
                hashes += snapshot.add(self._about.typed([row[:-1] for row in batch], names))
            problems = self._problems(opened, present) if broken else []
            if broken and not problems:
                raise self._file.unreadable("it changes while it is read")
            problems += [
                Problem("nothing left of a key", one.name, one.rows, one.lines) for one in nameless if one.rows
            ]
            if missing or problems:
                return Report(rows, (*missing, *problems), None)
            self._checked = _Checked(opened.content, snapshot.digest(), identities_of(hashes))
            return Report(rows, (), self._checked.pinned)

    def read(self, columns: Sequence[str], filters: Sequence[Filter] = (), *, key: bytes, pinned: str) -> list[Row]:
        """Rows in the file's order, cells in the order of `columns`: int for integers, None for empty.

        `pinned` is what a check pinned: rows with that digest are those that were checked, so they are not checked
        again.

        Raises SourceError: what `check_filters` raises, UNKNOWN_COLUMN, SOURCE_UNREADABLE for a file that cannot be
        read, EDITION_CHANGED, in words that do not depend on rows, for one with other rows.
        """
        self._about.known(columns)
        check_filters(filters, self._about.columns)
        with self._as_checked(key, pinned) as (opened, _):
            return list(self._rows(opened, columns, filters))

    def identities(self, filters: Sequence[Filter], *, key: bytes, pinned: str) -> Identities:
        """64 bits of the keyed hash (snapshot.py) of each row that the filters keep. Raises as `read` does."""
        check_filters(filters, self._about.columns)
        with self._as_checked(key, pinned) as (opened, checked):
            return checked.identities[self._places(opened, filters)] if filters else checked.identities

    def people(self, filters: Sequence[Filter], *, key: bytes, pinned: str) -> Persons:
        """Who each row is that the filters keep, by its cells in the key columns. Raises as `read` does, and
        INPUT_OUT_OF_RANGE for a cell that tells nobody apart."""
        check_filters(filters, self._about.columns)
        with self._as_checked(key, pinned) as (opened, checked):
            if self._people is None or self._people[0] != checked.content or not checked.content:
                columns = self._config.key_columns
                described = [self._about.columns[name] for name in columns]
                self._people = (checked.content, persons(self._rows(opened, columns, ()), described))
            everybody = self._people[1]
            return everybody.at(self._places(opened, filters)) if filters else everybody

    def groups(
        self,
        columns: Sequence[str],
        measured: Sequence[Adding],
        filters: Sequence[Filter],
        without: Places,
        *,
        key: bytes,
        pinned: str,
    ) -> list[Row]:
        """For each combination of cells in `columns` among the rows that the filters keep, but for those at the places
        `without`: these cells, how many rows there are, and of each measure what is added up. Raises as `read` does."""
        import ibis

        self._about.known([*columns, *(measure.column for measure in measured)])
        check_filters(filters, self._about.columns)
        with self._as_checked(key, pinned) as (opened, _):
            table = opened.table

            def cells() -> Any:
                named = {f"c{number}": self._about.value(table, name) for number, name in enumerate(columns)}
                named |= {
                    f"m{number}": self._about.number(table, measure.column) for number, measure in enumerate(measured)
                }
                return table.select(**named, kept=self._about.kept(table, filters), place=ibis.row_number())

            name = repr(("groups", tuple(columns), tuple(measure.column for measure in measured), tuple(filters)))
            return grouped(opened, opened.statement(name, cells), len(columns), measured, without)

    def _rows(self, opened: Opened, columns: Sequence[str], filters: Sequence[Filter]) -> Iterator[Row]:
        """Cells in the order of `columns` of the rows that the filters keep."""
        table = opened.table
        statement = opened.statement(_named(columns, filters), lambda: self._reading(table, columns, filters))
        for batch in opened.rows(statement):
            yield from self._about.typed(batch, columns)

    @contextmanager
    def _as_checked(self, key: bytes, pinned: str) -> Iterator[tuple[Opened, _Checked]]:
        """The file, once it is known that it has the rows with this digest: by its bytes, or by each row."""
        with self._file.opened() as opened:
            checked = self._checked
            if checked is None or not opened.content or (checked.content, checked.pinned) != (opened.content, pinned):
                checked = self._hashed(opened, key)
                if checked.pinned != pinned:
                    raise self._changed()
                self._checked = checked
            yield opened, checked

    def _hashed(self, opened: Opened, key: bytes) -> _Checked:
        table, snapshot, hashes = opened.table, Snapshot(key), []
        if any(name not in table for name in self._about.stored):
            raise self._changed()
        statement = opened.statement(_named(self._about.stored, ()), lambda: self._reading(table, self._about.stored))
        for batch in opened.rows(statement):
            hashes += snapshot.add(self._about.typed(batch, self._about.stored))
        return _Checked(opened.content, snapshot.digest(), identities_of(hashes))

    def _places(self, opened: Opened, filters: Sequence[Filter]) -> Places:
        """Which rows the filters keep, by their number in the file, from 0."""
        import ibis

        chosen = self._chosen
        if chosen is not None and opened.content and chosen[:2] == (opened.content, tuple(filters)):
            return chosen[2]

        def kept() -> Any:
            numbered = opened.table.select(place=ibis.row_number(), kept=self._about.kept(opened.table, filters))
            return numbered.filter(numbered.kept).select("place")

        places = opened.numbers(opened.statement(repr(("places", tuple(filters))), kept))
        self._chosen = opened.content, tuple(filters), places
        return places

    def _checking(self, table: Any, present: Sequence[Column]) -> Any:
        """What the file has of the columns, and whether the row breaks a rule."""
        import ibis

        rules = [bad.fill_null(False) for _, _, bad in self._about.rules(table, present)]
        cells = [self._about.text(table, name) for name in self._about.stored if name in table]
        return _numbered(table, [*cells, reduce(or_, rules, ibis.literal(False))])

    def _reading(self, table: Any, columns: Sequence[str], filters: Sequence[Filter] = ()) -> Any:
        """These cells of every row that the filters keep."""
        kept = table.filter(self._about.kept(table, filters)) if filters else table
        return _numbered(kept, [self._about.text(kept, name) for name in columns])

    def _problems(self, opened: Opened, columns: Sequence[Column]) -> list[Problem]:
        """Each broken rule with its count and its first lines."""
        table = opened.table
        broken = self._about.rules(table, columns)
        if not broken:
            return []
        counts = opened.fetch(table.aggregate(**{f"b{i}": bad.sum() for i, (_, _, bad) in enumerate(broken)}))[0]
        problems: list[Problem] = []
        for (rule, name, bad), count in zip(broken, counts, strict=True):
            if count:
                import ibis

                numbered = table.mutate(isthmus_line=ibis.row_number() + self._first, isthmus_bad=bad)
                found = numbered.filter(numbered.isthmus_bad).select("isthmus_line")
                lines = opened.fetch(found.order_by("isthmus_line").limit(FIRST_LINES))
                problems.append(Problem(rule, name, int(count), tuple(int(line or 0) for (line,) in lines)))
        return problems

    def _changed(self) -> SourceError:
        return SourceError(
            Reason.EDITION_CHANGED,
            "the source is not what it was when it was checked",
            field="path",
            advice="Its owner publishes the change as a new edition.",
        )


def _numbered(table: Any, cells: Sequence[Any]) -> Any:
    """Whatever the columns' names are, they meet no others."""
    return table.select(**{f"c{place}": cell for place, cell in enumerate(cells)})


def _named(columns: Sequence[str], filters: Sequence[Filter]) -> str:
    return repr((tuple(columns), tuple(filters)))
