"""Totals that the data engine makes, against those of rows that are linked in Python; and what is known of a file by
its bytes."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.sources.errors import SourceError
from connectors.sources.linking import link_locally
from connectors.sources.pooling import Adding, again, totals
from connectors.sources.snapshot import Snapshot, identities_of
from connectors.sources.tables import DatasetSource, SourceConfig, YearOf
from gateway.domain.dataset import Code, Column, ColumnType
from gateway.domain.errors import Reason
from gateway.domain.query import Between, Filter

KEY = bytes(range(32))
FORMS, SEXES = ("LABOUR", "it's", "ÖTHER"), ("F", "M")
YEARS = ("2011", "2012", "1969")
NAME = Column("name", ColumnType.TEXT)
BORN = Column("born", ColumnType.DATE)
AGE = Column("age", ColumnType.INTEGER, least=-5, most=130)
SEEN = Column("seen", ColumnType.DATE, least="1960-01-01", most="2020-12-31")
FORM = Column("form", ColumnType.CODE, codes=tuple(Code(code, code) for code in FORMS))
SEX = Column("sex", ColumnType.CODE, codes=tuple(Code(code, code) for code in SEXES))
YEAR = Column("year", ColumnType.CODE, codes=tuple(Code(code, code) for code in YEARS))
COLUMNS = (NAME, BORN, AGE, SEEN, FORM, SEX, YEAR)
STORED = [column.name for column in COLUMNS if column is not YEAR]
DAY = 15_000  # so many after the first of 1970
MEASURED = [Adding("age", -5, squares=True), Adding("seen", -4000, days=True)]

names = st.sampled_from(["Ana", "ana ", "Áná", "Bo", "Cé", "ce", 'D"i', "E,f"])
rows = st.lists(
    st.tuples(
        names,
        st.sampled_from(["1990-01-01", "1990-01-02"]),
        st.sampled_from(["", "-5", "+7", "0", "17", "18", "130"]),
        st.sampled_from(["2011-01-01", "2012-02-29", "1969-12-31"]),
        st.sampled_from(FORMS),
        st.sampled_from(SEXES),
    ),
    max_size=20,
)
FILTERS: list[tuple[Filter, ...]] = [
    (),
    (Filter("form", one_of=("it's", "ÖTHER")),),
    (Filter("age", between=Between(0, 18)), Filter("sex", equals="F")),
    (Filter("seen", between=Between("2000-01-01", "2012-01-01")),),
    (Filter("year", equals="2012"),),
]
# Columns to count by, and edges of intervals.
BY: list[list[tuple[Column, tuple[Any, ...]]]] = [
    [],
    [(FORM, ())],
    [(YEAR, ()), (SEX, ())],
    [(AGE, (0, 18)), (FORM, ())],
    [(SEEN, ("1970-01-01", "2012-01-01"))],
]


def source(folder: Path, path: str, lines: Sequence[Sequence[str]]) -> DatasetSource:
    table = ",".join(STORED) + "\n"
    table += "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in line) + "\n" for line in lines)
    csv = folder / Path(path).with_suffix(".csv")
    csv.write_text(table)
    if path.endswith(".parquet"):
        with duckdb.connect() as engine:
            read = f"read_csv('{csv}', all_varchar = true, header = true, auto_detect = false, columns = {dict.fromkeys(STORED, 'VARCHAR')})"  # noqa: E501
            engine.execute(f"COPY (SELECT * FROM {read}) TO '{folder / path}' (FORMAT parquet)")
    return DatasetSource(SourceConfig(folder, path, COLUMNS, ("name", "born"), (YearOf("year", "seen"),)))


def pinned(made: DatasetSource) -> str:
    report = made.check(KEY)
    assert report.pinned is not None, report
    return report.pinned


def in_python(
    lists: Sequence[tuple[DatasetSource, str]],
    by: Sequence[tuple[Column, tuple[Any, ...]]],
    filters: Sequence[Filter],
) -> list[list[int]]:
    """The same of rows that are linked at home."""
    wanted = ["name", "born", *(column.name for column, _ in by), "age", "seen"]
    read = [(i, made.read(wanted, filters, key=KEY, pinned=of)) for i, (made, of) in enumerate(lists)]
    edges = {column.name: edges for column, edges in by if edges}
    linked = link_locally(read, [NAME, BORN], [column for column, _ in by], b"s" * 32, edges, measured=[AGE, SEEN])
    shape = sizes(by)
    made = np.zeros((6, int(np.prod(shape or [1]))), dtype=np.int64)
    for codes, (age, seen) in zip(linked.codes, linked.values, strict=True):
        cell = int(np.ravel_multi_index(codes, shape)) if codes else 0
        made[0, cell] += 1
        if age is not None:
            made[1:4, cell] += [1, age + 5, (age + 5) ** 2]
        if seen is not None:
            made[4:6, cell] += [1, seen + 4000]
    return made.tolist()


def sizes(by: Sequence[tuple[Column, tuple[Any, ...]]]) -> list[int]:
    return [len(edges) + 2 if edges else len(column.codes) for column, edges in by]


def by_engine(
    lists: Sequence[tuple[DatasetSource, str]],
    by: Sequence[tuple[Column, tuple[Any, ...]]],
    filters: Sequence[Filter],
) -> list[list[int]]:
    everybody = [made.people(filters, key=KEY, pinned=of) for made, of in lists]
    named = [column.name for column, _ in by]
    found = [
        made.groups(named, MEASURED, filters, without, key=KEY, pinned=of)
        for (made, of), without in zip(lists, again(everybody), strict=True)
    ]
    of = totals(found, [column for column, _ in by], [edges for _, edges in by], [() for _ in by], MEASURED)
    shape = sizes(by)
    made = np.zeros((6, int(np.prod(shape or [1]))), dtype=np.int64)
    for codes, own in zip(of.codes, of.totals.T, strict=True):
        made[:, int(np.ravel_multi_index(codes, shape)) if codes else 0] += own.astype(np.int64)
    return made.tolist()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    lists=st.lists(rows, min_size=1, max_size=2),
    by=st.sampled_from(BY),
    filters=st.sampled_from(FILTERS),
    suffix=st.sampled_from([".csv", ".parquet"]),
)
def test_totals_are_those_of_people_who_are_linked_at_home(
    lists: list[list[Any]], by: Any, filters: Any, suffix: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = [source(Path(folder), f"{number}{suffix}", lines) for number, lines in enumerate(lists)]
        held = [(one, pinned(one)) for one in made]
        assert by_engine(held, by, filters) == in_python(held, by, filters)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=rows, filters=st.sampled_from(FILTERS), suffix=st.sampled_from([".csv", ".parquet"]))
def test_identities_are_the_keyed_hashes_of_the_rows_that_filters_keep(
    lines: list[Any], filters: Any, suffix: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = source(Path(folder), f"list{suffix}", lines)
        of = pinned(made)
        kept = made.read(STORED, filters, key=KEY, pinned=of)
        assert made.identities(filters, key=KEY, pinned=of).tolist() == identities_of(Snapshot(KEY).add(kept)).tolist()


def many(n: int = 60_000) -> list[Sequence[str]]:
    rng = random.Random(5)
    return [
        (f"P{i}", "1990-01-01", str(rng.randrange(90)), "2011-01-01", rng.choice(FORMS), rng.choice(SEXES))
        for i in range(n)
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_keep_their_numbers_in_a_file_that_is_read_in_parts(tmp_path: Path, suffix: str) -> None:
    made = source(tmp_path, f"list{suffix}", many())
    of, filters = pinned(made), (Filter("form", equals="it's"),)
    assert made.people((), key=KEY, pinned=of).different
    kept = identities_of(Snapshot(KEY).add(made.read(STORED, filters, key=KEY, pinned=of)))
    assert np.array_equal(made.identities(filters, key=KEY, pinned=of), kept)
    assert by_engine([(made, of)], BY[1], filters) == in_python([(made, of)], BY[1], filters)


READINGS: dict[str, Callable[[DatasetSource, str], Any]] = {
    "rows": lambda made, of: made.read(["name"], key=KEY, pinned=of),
    "identities": lambda made, of: made.identities((), key=KEY, pinned=of),
    "people": lambda made, of: made.people((), key=KEY, pinned=of),
    "groups": lambda made, of: made.groups(["form"], (), (), np.zeros(0, dtype=np.int64), key=KEY, pinned=of),
}
LINE = ("Ana", "1990-01-01", "17", "2011-01-01", "LABOUR", "F")
OTHER = ("Ana", "1990-01-01", "18", "2011-01-01", "LABOUR", "F")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("reading", READINGS)
def test_a_changed_row_is_noticed_in_every_reading(tmp_path: Path, reading: str, suffix: str) -> None:
    made = source(tmp_path, f"list{suffix}", [LINE])
    of, read = pinned(made), READINGS[reading]
    read(made, of)
    state = os.stat(tmp_path / f"list{suffix}")
    source(tmp_path, f"list{suffix}", [OTHER])
    os.utime(tmp_path / f"list{suffix}", ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(SourceError) as refused:
        read(made, of)
    assert refused.value.reason is Reason.EDITION_CHANGED
    # The same bytes again are what was checked, and so are the same rows in other bytes.
    source(tmp_path, f"list{suffix}", [LINE])
    read(made, of)
    if suffix == ".csv":
        (tmp_path / "list.csv").write_text(",".join(STORED) + "\r\n" + ",".join(LINE) + "\r\n")
        read(made, of)


def test_rows_in_another_order_are_numbered_as_the_file_has_them_now(tmp_path: Path) -> None:
    made = source(tmp_path, "list.csv", [LINE, OTHER])
    of, filters = pinned(made), (Filter("age", equals=18),)
    before = made.identities(filters, key=KEY, pinned=of)
    people = made.people(filters, key=KEY, pinned=of)
    source(tmp_path, "list.csv", [OTHER, LINE])
    assert np.array_equal(made.identities(filters, key=KEY, pinned=of), before)
    now = made.people(filters, key=KEY, pinned=of)
    assert (people.places.tolist(), now.places.tolist()) == ([1], [0])
    assert by_engine([(made, of)], BY[1], ())[2] == [23, 0, 0]


def test_a_file_that_changes_while_it_is_read_is_read_as_it_was(tmp_path: Path) -> None:
    """What is hashed is what is read: writing to the file meanwhile changes neither."""
    made = source(tmp_path, "list.csv", [LINE])
    of = pinned(made)
    with made._as_checked(KEY, of) as (opened, _):
        source(tmp_path, "list.csv", [OTHER])
        assert [row[2] for row in made._rows(opened, STORED, ())] == [17]
    with pytest.raises(SourceError):
        made.read(["name"], key=KEY, pinned=of)


def test_nothing_of_the_content_is_kept_between_readings(tmp_path: Path) -> None:
    made = source(tmp_path, "list.csv", [LINE])
    of = pinned(made)
    made.groups(["form"], MEASURED, (), np.zeros(0, dtype=np.int64), key=KEY, pinned=of)
    assert made._file._opened is not None and made._file._opened.memory is not None
    assert os.fstat(made._file._opened.memory.fileno()).st_size == 0
    assert "Ana" not in json.dumps(repr(made._file._opened))


def test_where_no_file_can_be_in_memory_each_row_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    made = source(tmp_path, "list.csv", [LINE, LINE])
    of = pinned(made)
    assert by_engine([(made, of)], BY[1], ())[0] == [1, 0, 0]
    source(tmp_path, "list.csv", [LINE, OTHER])
    for read in READINGS.values():
        with pytest.raises(SourceError) as refused:
            read(made, of)
        assert refused.value.reason is Reason.EDITION_CHANGED
