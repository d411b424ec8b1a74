"""One dataset in a file: what is read, what is reported, what is refused."""

from __future__ import annotations

import hashlib
import io
import os
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors.sources.errors import SourceError
from connectors.sources.files import Opened, Row
from connectors.sources.snapshot import Snapshot
from connectors.sources.tables import DatasetSource, Problem, Report, SourceConfig, YearOf
from gateway.domain.dataset import Code, Column, ColumnType
from gateway.domain.errors import Reason
from gateway.domain.query import Between, Filter

KEY = b"k" * 32
COLUMNS = (
    Column("name", ColumnType.TEXT),
    Column("born", ColumnType.DATE),
    Column("form", ColumnType.CODE, codes=(Code("Labour", ""), Code("Sexual", ""))),
    Column("children", ColumnType.INTEGER),
    Column("year", ColumnType.CODE, codes=(Code("2012", ""), Code("2013", ""))),
    Column("referred", ColumnType.DATE),
)
ALL = tuple(column.name for column in COLUMNS)
GOOD = """name,born,form,children,referred
Ana,1990-01-01,Labour,2,2012-05-06
"Bo, jr",1985-12-31,Sexual,0,2013-01-01
Çağla,2000-02-29,Labour,,2012-12-31
"""


def source(folder: Path, content: str | bytes | None = GOOD, path: str = "people.csv") -> DatasetSource:
    if content is not None:
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    return DatasetSource(SourceConfig(folder, path, COLUMNS, ("name", "born"), (YearOf("year", "referred"),)))


def pinned(source: DatasetSource) -> str:
    digest = source.check(KEY).pinned
    assert digest is not None
    return digest


def read(source: DatasetSource, columns: Sequence[str], filters: Sequence[Filter] = ()) -> list[Row]:
    return source.read(columns, filters, key=KEY, pinned=pinned(source))


def names(rows: list[Row]) -> list[str | int | None]:
    return [row[0] for row in rows]


def parquet(folder: Path, select: str) -> Path:
    path = folder / "people.parquet"
    duckdb.connect().execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path


def test_rows_come_in_the_file_s_order_typed_by_the_description(tmp_path: Path) -> None:
    assert read(source(tmp_path), ALL) == [
        ("Ana", "1990-01-01", "Labour", 2, "2012", "2012-05-06"),
        ("Bo, jr", "1985-12-31", "Sexual", 0, "2013", "2013-01-01"),
        ("Çağla", "2000-02-29", "Labour", None, "2012", "2012-12-31"),
    ]
    assert source(tmp_path).check(KEY).rows == 3
    assert source(tmp_path).check(KEY).problems == ()


def test_parquet_gives_the_same_rows_and_digest_as_csv(tmp_path: Path) -> None:
    parquet(
        tmp_path,
        """SELECT * FROM (VALUES ('Ana', DATE '1990-01-01', 'Labour', 2, DATE '2012-05-06'),
           ('Bo, jr', DATE '1985-12-31', 'Sexual', 0, DATE '2013-01-01'),
           ('Çağla', DATE '2000-02-29', 'Labour', NULL, DATE '2012-12-31'))
           t(name, born, form, children, referred)""",
    )
    other = source(tmp_path, None, "people.parquet")
    assert other.check(KEY) == source(tmp_path).check(KEY)
    assert read(other, ALL) == read(source(tmp_path), ALL)


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    windows = source(tmp_path, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(), "windows.csv")
    assert read(windows, ALL) == read(source(tmp_path), ALL)
    assert windows.check(KEY) == source(tmp_path).check(KEY)


def test_a_table_without_rows_is_read_as_such(tmp_path: Path) -> None:
    empty = source(tmp_path, GOOD.splitlines()[0] + "\n")
    assert (empty.check(KEY).rows, empty.check(KEY).problems, read(empty, ALL)) == (0, (), [])


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([Filter("form", equals="Labour")], ["Ana", "Çağla"]),
        ([Filter("year", one_of=("2013",))], ["Bo, jr"]),
        ([Filter("born", between=Between("1985-12-31", "1990-01-01"))], ["Ana", "Bo, jr"]),
        ([Filter("children", between=Between(1, 9))], ["Ana"]),
        ([Filter("children", equals=0)], ["Bo, jr"]),
        ([Filter("children", one_of=(0, 2)), Filter("form", equals="Labour")], ["Ana"]),
        ([Filter("born", equals="2000-02-29")], ["Çağla"]),
        ([Filter("year", equals="2013"), Filter("form", equals="Labour")], []),
    ],
)
def test_filters_keep_what_they_say(tmp_path: Path, filters: list[Filter], expected: list[str]) -> None:
    assert names(read(source(tmp_path), ["name"], filters)) == expected


@pytest.mark.parametrize(
    ("wanted", "reason", "field"),
    [
        (Filter("colour", equals="red"), Reason.UNKNOWN_COLUMN, "filters[0].column"),
        (Filter("form\" = '' OR 1=1 --", equals="Labour"), Reason.UNKNOWN_COLUMN, "filters[0].column"),
        (Filter("form", equals="Labor"), Reason.UNKNOWN_CODE, "filters[0].equals"),
        (Filter("form", one_of=("Labour", "x' OR 'a'='a")), Reason.UNKNOWN_CODE, "filters[0].one_of[1]"),
        (Filter("form", equals=3), Reason.WRONG_FILTER_TYPE, "filters[0].equals"),
        (Filter("form", between=Between("A", "B")), Reason.WRONG_FILTER_TYPE, "filters[0].between"),
        (Filter("children", equals="2"), Reason.WRONG_FILTER_TYPE, "filters[0].equals"),
        (Filter("children", equals=True), Reason.WRONG_FILTER_TYPE, "filters[0].equals"),
        (Filter("born", equals="1990"), Reason.WRONG_FILTER_TYPE, "filters[0].equals"),
        (Filter("born", between=Between("1990-01-01", 5)),
         Reason.WRONG_FILTER_TYPE, "filters[0].between.high"),
        (Filter("name", equals="Ana"), Reason.WRONG_FILTER_TYPE, "filters[0].column"),
        (Filter("born", between=Between("1991-01-01", "1990-01-01")),
         Reason.MALFORMED_QUERY, "filters[0].between"),
        (Filter("form"), Reason.MALFORMED_QUERY, "filters[0]"),
        (Filter("form", equals="Labour", one_of=("Labour",)), Reason.MALFORMED_QUERY, "filters[0]"),
        (Filter("form", one_of=()), Reason.MALFORMED_QUERY, "filters[0].one_of"),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_is_refused_before_the_source_is_opened(
    tmp_path: Path, wanted: Filter, reason: Reason, field: str
) -> None:
    absent = source(tmp_path, None, "absent.csv")
    with pytest.raises(SourceError) as refusal:
        absent.read(["name"], [wanted], key=KEY, pinned="")
    assert (refusal.value.reason, refusal.value.field) == (reason, field)
    assert refusal.value.advice


def test_an_unknown_column_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="colour") as refusal:
        read(source(tmp_path), ["name", "colour"])
    assert (refusal.value.reason, refusal.value.field) == (Reason.UNKNOWN_COLUMN, "columns[1]")


def test_check_counts_each_broken_rule_and_names_its_first_lines(tmp_path: Path) -> None:
    content = (
        "name,born,form,children,referred\n"
        "Ana,1990-01-01,Labour,2,2012-05-06\n"
        ",1990-02-30,Labor,two,2011-01-01\n"
        '" ",,,1,13-01-01\n' + "Bo,1990-1-1,Labour,1.5,2012-05-06\n" * 6
    )
    report = source(tmp_path, content).check(KEY)
    assert report.rows == 9
    assert set(report.problems) == {
        Problem("empty key", "name", 2, (3, 4)),
        Problem("empty key", "born", 1, (4,)),
        Problem("not an ISO date", "born", 7, (3, 5, 6, 7, 8)),
        Problem("code not in list", "form", 1, (3,)),
        Problem("empty code", "form", 1, (4,)),
        Problem("not an integer", "children", 7, (3, 5, 6, 7, 8)),
        Problem("code not in list", "year", 1, (3,)),
        Problem("empty code", "year", 1, (4,)),
        Problem("not an ISO date", "referred", 1, (4,)),
    }


@pytest.mark.parametrize(("rules", "lines"), [(None, (4,)), (("case", "punctuation"), (2, 3)), (("case",), ())])
def test_check_counts_keys_of_which_their_rules_leave_nothing(
    tmp_path: Path, rules: tuple[str, ...] | None, lines: tuple[int, ...]
) -> None:
    (tmp_path / "people.csv").write_text("name\n?\n - \n\u0301\n'a'\n  \n")
    column = Column("name", ColumnType.TEXT, normalise=rules)
    report = DatasetSource(SourceConfig(tmp_path, "people.csv", (column,), ("name",))).check(KEY)
    nothing = [Problem("nothing left of a key", "name", len(lines), lines)] if lines else []
    assert report.problems == (Problem("empty key", "name", 1, (6,)), *nothing)
    (tmp_path / "people.csv").write_text("name\n" + "Ana\n" * 9000 + "\u00a0\n")
    report = DatasetSource(SourceConfig(tmp_path, "people.csv", (column,), ("name",))).check(KEY)
    assert report == Report(9001, (Problem("nothing left of a key", "name", 1, (9002,)),), None)


def test_check_counts_what_lies_beyond_public_bounds(tmp_path: Path) -> None:
    columns = (
        Column("age", ColumnType.INTEGER, least=0, most=99),
        Column("seen", ColumnType.DATE, least="2012-01-01", most="2012-12-31"),
    )
    rows = ("0,2012-01-01", "99,2012-12-31", ",", "100,2011-12-31", "-1,2013-01-01", "x,2012-05-05")
    (tmp_path / "people.csv").write_text("age,seen\n" + "\n".join(rows) + "\n")
    report = DatasetSource(SourceConfig(tmp_path, "people.csv", columns)).check(KEY)
    assert set(report.problems) == {
        Problem("out of bounds", "age", 2, (5, 6)),
        Problem("not an integer", "age", 1, (7,)),
        Problem("out of bounds", "seen", 2, (5, 6)),
    }


@pytest.mark.parametrize(
    "column",
    [
        Column("a", ColumnType.INTEGER, least=0),
        Column("a", ColumnType.INTEGER, least=0, most="9"),
        Column("a", ColumnType.INTEGER, least=9, most=9),
        Column("a", ColumnType.DATE, least=0, most=9),
        Column("a", ColumnType.DATE, least="2012-01-01", most="2012-13-01"),
        Column("a", ColumnType.TEXT, least="a", most="b"),
    ],
)
def test_bounds_that_cannot_be_are_refused_by_name(tmp_path: Path, column: Column) -> None:
    with pytest.raises(ValueError, match=r"^a: "):
        DatasetSource(SourceConfig(tmp_path, "people.csv", (column,)))


def test_check_names_a_missing_column_and_still_checks_the_others(tmp_path: Path) -> None:
    report = source(tmp_path, "name,form,referred\nAna,Labor,2012-01-01\n").check(KEY)
    assert set(report.problems) == {
        Problem("missing column", "born", 0),
        Problem("missing column", "children", 0),
        Problem("code not in list", "form", 1, (2,)),
    }


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("name,born,form,referred\nAna,1990-01-01,Labour,2012-01-01\n", "children"),
        ("name,born,form,children\nAna,1990-01-01,Labour,2\n", "referred"),
        (GOOD.replace("Sexual", "Labor"), "form"),
        (GOOD.replace("2000-02-29", "2001-02-29"), "born"),
        (GOOD.replace("2013-01-01", "2011-01-01"), "year"),
        (GOOD.replace(",2,", ",two,"), "children"),
        (GOOD.replace("Ana", ""), "name"),
    ],
)
def test_what_breaks_the_description_is_reported_pinned_by_nothing_and_never_read(
    tmp_path: Path, content: str, field: str
) -> None:
    people = source(tmp_path)
    good = pinned(people)
    report = source(tmp_path, content).check(KEY)
    assert field in {problem.column for problem in report.problems}
    assert report.pinned is None
    with pytest.raises(SourceError) as refusal:
        people.read(ALL, key=KEY, pinned=good)
    assert refusal.value.reason is Reason.EDITION_CHANGED


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_change_is_noticed_though_size_times_and_file_are_what_they_were(tmp_path: Path, suffix: str) -> None:
    """The engine stays open from one reading to the next, and its caches are no evidence."""
    select = "SELECT '{}' AS name, '1990-01-01' AS born, 'Labour' AS form, {} AS children, '2012-05-06' AS referred"
    path = tmp_path / f"people{suffix}"

    def write(name: str, children: str) -> bytes:
        if suffix == ".csv":
            return f"name,born,form,children,referred\n{name},1990-01-01,Labour,{children},2012-05-06\n".encode()
        return parquet(tmp_path, select.format(name, f"'{children}'")).read_bytes()

    first, second, third = write("Ana", "2"), write("Bea", "2"), write("Ana", "x")
    assert len(first) == len(second) == len(third)
    path.write_bytes(first)
    people = source(tmp_path, None, path.name)
    good, before = pinned(people), path.stat()
    for content in (second, third):
        with path.open("r+b") as file:
            file.write(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = path.stat()
        assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
        with pytest.raises(SourceError) as refusal:
            people.read(ALL, key=KEY, pinned=good)
        assert refusal.value.reason is Reason.EDITION_CHANGED
    path.write_bytes(first)
    assert names(people.read(ALL, key=KEY, pinned=good)) == ["Ana"]


def test_a_cell_that_is_no_integer_is_not_taken_for_the_empty_one_that_was_pinned(tmp_path: Path) -> None:
    people = source(tmp_path)
    good = pinned(people)
    for cell in ("1.5", "two", "9" * 19, "٣", " 3"):
        source(tmp_path, GOOD.replace("Labour,,", f"Labour,{cell},"))
        for filters in ([], [Filter("children", between=Between(0, 9))]):
            with pytest.raises(SourceError) as refusal:
                people.read(ALL, filters, key=KEY, pinned=good)
            assert refusal.value.reason is Reason.EDITION_CHANGED


def test_a_file_s_new_layout_is_followed_and_its_rows_decide(tmp_path: Path) -> None:
    people = source(tmp_path)
    good, rows = pinned(people), read(people, ALL)
    turned = [",".join(reversed(line.split(","))) for line in GOOD.replace('"Bo, jr"', "Bo").splitlines()]
    source(tmp_path, "\n".join(turned).replace("Bo", '"Bo, jr"') + "\n")
    assert people.read(ALL, key=KEY, pinned=good) == rows
    source(tmp_path, GOOD.replace("children", "colour"))
    with pytest.raises(SourceError) as refusal:
        people.read(ALL, key=KEY, pinned=good)
    assert refusal.value.reason is Reason.EDITION_CHANGED
    parquet(tmp_path, "SELECT 'Ana' AS name, 1 AS colour")
    other = source(tmp_path, None, "people.parquet")
    assert {problem.rule for problem in other.check(KEY).problems} == {"missing column"}
    parquet(tmp_path, "SELECT 'Ana' AS name, 'Labour' form, 3 children, DATE '2012-01-01' referred, '1990-01-01' born")
    assert read(other, ALL) == [("Ana", "1990-01-01", "Labour", 3, "2012", "2012-01-01")]


def test_a_link_that_takes_the_file_s_place_is_refused_by_an_engine_that_is_open(tmp_path: Path) -> None:
    people = source(tmp_path)
    good = pinned(people)
    (tmp_path / "people.csv").rename(tmp_path / "elsewhere.csv")
    (tmp_path / "people.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(SourceError, match="symlink"):
        people.read(ALL, key=KEY, pinned=good)


def test_after_a_file_that_cannot_be_read_the_mended_one_is(tmp_path: Path) -> None:
    people = source(tmp_path)
    good, rows = pinned(people), read(people, ALL)
    for content in (GOOD.encode() + b"\xff", b"", GOOD.encode() + b'"'):
        source(tmp_path, content)
        with pytest.raises(SourceError) as refusal:
            people.read(ALL, key=KEY, pinned=good)
        assert refusal.value.reason is Reason.SOURCE_UNREADABLE
        source(tmp_path)
        assert people.read(ALL, key=KEY, pinned=good) == rows


def test_sessions_that_read_one_dataset_at_once_get_its_rows_each(tmp_path: Path) -> None:
    many = GOOD.splitlines()[0] + "\n" + "".join(f"P{i},1990-01-01,Labour,{i},2012-05-06\n" for i in range(20_000))
    people = source(tmp_path, many)
    good = pinned(people)
    with ThreadPoolExecutor(4) as threads:
        wanted = [[Filter("children", between=Between(0, n))] for n in range(8)]
        found = threads.map(lambda f: people.read(["children"], f, key=KEY, pinned=good), wanted)
    assert [len(rows) for rows in found] == list(range(1, 9))


SECRET = "Zuzanna"


@pytest.mark.parametrize(
    "content",
    [
        b"name,born,form,children,referred\nZuzanna,1990-01-01,Labour\xff\xfe,2,2012-05-06\n",
        b'name,born,form,children,referred\n"Zuzanna,1990-01-01,Labour,2,2012-05-06\n' * 3,
        GOOD.encode() + b"Zuzanna,1990-01-01\n",
        GOOD.replace("children", "name").encode(),
        GOOD.replace("children", "").encode(),
        GOOD.encode("utf-16"),
        b"",
        GOOD.encode() + b"Zuzanna,1990-01-01,Labour,1,2012-05-06,extra\n",
    ],
)
def test_a_csv_that_cannot_be_read_is_refused_without_quoting_it(tmp_path: Path, content: bytes) -> None:
    def check(broken: DatasetSource) -> object:
        return broken.check(KEY)

    for use in (check, lambda broken: broken.read(ALL, key=KEY, pinned="")):
        with pytest.raises(SourceError) as refusal:
            use(source(tmp_path, content))
        assert refusal.value.reason is Reason.SOURCE_UNREADABLE
        assert SECRET not in str(refusal.value) + refusal.value.private
        assert refusal.value.__cause__ is None


def test_a_title_above_the_header_is_not_skipped_silently(tmp_path: Path) -> None:
    titled = source(tmp_path, "Zuzanna's list\n" + GOOD)
    with pytest.raises(SourceError, match="unreadable"):
        titled.check(KEY)
    with pytest.raises(SourceError, match="not what it was"):
        titled.read(ALL, key=KEY, pinned="")


def test_a_half_written_parquet_file_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path, "SELECT 'Zuzanna' AS name FROM range(1000)")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError) as refusal:
        source(tmp_path, None, "people.parquet").check(KEY)
    assert refusal.value.reason is Reason.SOURCE_UNREADABLE


def test_nothing_outside_the_folder_is_read(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    (inside / "deep").mkdir(parents=True)
    (tmp_path / "people.csv").write_text(GOOD)
    (inside / "link.csv").symlink_to(tmp_path / "people.csv")
    (inside / "up").symlink_to(tmp_path)
    (inside / "deep" / "people.csv").write_text(GOOD)
    refused = (
        "../people.csv",
        str(tmp_path / "people.csv"),
        "link.csv",
        "up/people.csv",
        "deep/../../people.csv",
    )
    for path in (*refused, "*/people.csv", "absent.csv", "deep", "deep/people.txt"):
        with pytest.raises(SourceError) as refusal:
            source(inside, None, path).check(KEY)
        assert (refusal.value.reason, refusal.value.field) == (Reason.SOURCE_UNREADABLE, "path")
        assert str(tmp_path) not in str(refusal.value)
    assert source(inside, None, "deep/people.csv").check(KEY).rows == 3


def test_a_file_name_with_a_quote_and_columns_with_sql_in_them_are_only_names(tmp_path: Path) -> None:
    odd = 'n"; DROP TABLE x; --'
    (tmp_path / "o'brien.csv").write_text(f'"{odd.replace(chr(34), chr(34) * 2)}"\nAna\n')
    described = DatasetSource(SourceConfig(tmp_path, "o'brien.csv", (Column(odd, ColumnType.TEXT),)))
    assert read(described, [odd]) == [("Ana",)]


def digest_of(rows: Iterable[Row], key: bytes) -> str:
    snapshot = Snapshot(key)
    for row in rows:
        snapshot.add([row])
    return snapshot.digest()


def test_the_snapshot_ignores_order_and_sees_every_other_change() -> None:
    rows: list[Row] = [("Ana", 1), ("Bo", None), ("Bo", None), ("", 1)]
    digest = digest_of(rows, KEY)
    shuffled = rows[:]
    random.Random(1).shuffle(shuffled)
    assert digest_of(reversed(rows), KEY) == digest_of(shuffled, KEY) == digest
    changed: list[list[Row]] = [
        rows[:-1],
        [*rows, ("Bo", None)],
        [("Ana", 2), *rows[1:]],
        [("Ana", "1"), *rows[1:]],
        [("An", "a1"), *rows[1:]],
        [*rows[:-1], (None, 1)],
        [],
    ]
    assert len({digest, digest_of(rows, b"j" * 32), *(digest_of(c, KEY) for c in changed)}) == 9
    with pytest.raises(ValueError, match="32 bytes"):
        digest_of(rows, b"short")


@pytest.mark.parametrize(
    ("columns", "keys", "derived"),
    [
        ((COLUMNS[0], COLUMNS[0]), (), ()),
        ((COLUMNS[0],), ("born",), ()),
        ((COLUMNS[0], COLUMNS[4]), (), (YearOf("year", "name"),)),
        ((Column("form", ColumnType.CODE),), (), ()),
    ],
)
def test_a_description_that_cannot_be_is_refused(
    tmp_path: Path, columns: tuple[Column, ...], keys: tuple[str, ...], derived: tuple[YearOf, ...]
) -> None:
    with pytest.raises(ValueError):
        DatasetSource(SourceConfig(tmp_path, "people.csv", columns, keys, derived))


class Reluctant(io.BytesIO):
    """Takes a few bytes at a time, as an unbuffered file may."""

    def write(self, piece: Any) -> int:
        return super().write(bytes(piece)[:7])


def test_what_is_hashed_is_what_is_read_even_if_memory_takes_it_bit_by_bit(tmp_path: Path) -> None:
    content = b"name,born\nAna,1990-01-02\n" * 3
    (tmp_path / "list.csv").write_bytes(content)
    taken = Reluctant()
    opened = Opened(None, "", taken, ".csv")
    opened.take(tmp_path / "list.csv")
    assert taken.getvalue() == content and opened.content == hashlib.sha256(content).digest()
