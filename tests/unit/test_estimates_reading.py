"""Overlap tables in files: what is read, and that everything else is refused with its place and the next step."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import shapes
from gateway.client.estimates import OverlapTable
from gateway.client.estimates.reading import MAX_BYTES, from_csv, from_json, read_table
from gateway.client.export import as_csv
from gateway.client.summary import Summary
from gateway.domain.contract import Limits
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.result import Row, Table
from tests import examples
from tests.unit.mse_kit import MSE

RELEASED = {
    "computation": "computations/4f",
    "columns": ["la", "ng", "count"],
    "rows": [
        {"la": "1", "ng": "0", "count": 54, "suppressed": []},
        {"la": "0", "ng": "1", "count": 463, "suppressed": []},
        {"la": "1", "ng": "1", "count": 15, "suppressed": []},
    ],
    "receipt": {"limits": {"minimum_cell": 0, "rounding": None}},
}


def refusal(read: Any, *arguments: Any) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        read(*arguments)
    assert caught.value.reason is Reason.INVALID_ARGUMENT and caught.value.advice
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_published_table_is_read_with_its_source_and_its_zeros() -> None:
    published = read_table(MSE / "artificial_3lists.csv")
    assert published.source == "constructed example, Chan, Silverman & Vincent (2021), Table 2"
    assert published.table == OverlapTable(("A", "B", "C"), (40, 30, 6, 20, 0, 0, 0))


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffA,B,count\n1,0,3\n0,1,4\n",
        "# one\r\nA,B,count\r\n1,0,3\r\n\r\n0,1,4\r\n,,\r\n# two",
        ' A , "B",count\n 1 ,0, 3\n"0",1,04\n1,1,0',
    ],
    ids=["byte order mark", "line ends of Windows, empty lines", "blanks, quotes and a written zero"],
)
def test_what_spreadsheets_make_of_a_table_is_the_same_table(text: str, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(text.encode())
    assert read_table(file).table == OverlapTable(("A", "B"), (3, 4, 0))


@pytest.mark.parametrize(
    ("text", "place", "field", "said"),
    [
        ("", "t.csv", "", "is empty"),
        ("# a source alone\n", "t.csv", "", "is empty"),
        ("A,B,people\n1,0,3\n", "t.csv, line 1", "column 3", "the last column is 'people', not `count`"),
        ("A,count,B\n1,3,0\n", "t.csv, line 1", "column 3", "the last column is 'B'"),
        ("A;B;count\n1;0;3\n", "t.csv, line 1", "column 1", "separated by commas"),
        ("A,count\n1,3\n", "t.csv, line 1", "", "1 lists"),
        ("A,B,C,D,E,F,G,H,I,count\n", "t.csv, line 1", "", "9 lists"),
        ("A,A,count\n1,0,3\n", "t.csv, line 1", "column 2", "a second list 'A'"),
        ("A,,count\n1,0,3\n", "t.csv, line 1", "column 2", "a list without a name"),
        ("# s\nA,B,count\n1,0\n", "t.csv, line 3", "", "2 values for 3 columns"),
        ("A,B,count\n1,0,3,\n", "t.csv, line 2", "", "4 values for 3 columns"),
        ("A,B,count\n1,2,3\n", "t.csv, line 2", "column B", "'2' is neither 0 nor 1"),
        ("A,B,count\n1,x,3\n", "t.csv, line 2", "column B", "'x' is neither 0 nor 1"),
        ("A,B,count\n1,0,-3\n", "t.csv, line 2", "column count", "'-3' is no whole number"),
        ("A,B,count\n1,0,2.5\n", "t.csv, line 2", "column count", "'2.5' is no whole number"),
        ("A,B,count\n1,0,1e3\n", "t.csv, line 2", "column count", "'1e3' is no whole number"),
        ("A,B,count\n1,0,٣\n", "t.csv, line 2", "column count", "is no whole number"),
        ('A,B,count\n1,0,"1,234"\n', "t.csv, line 2", "column count", "'1,234' is no whole number"),
        (f"A,B,count\n1,0,{'9' * 5000}\n", "t.csv, line 2", "column count", "more people than there are"),
        ("A,B,count\n1,0,10000000001\n", "t.csv, line 2", "column count", "more people than there are"),
        ("A,B,count\n1,0,3\n\n1,0,4\n", "t.csv, line 4", "", "the pattern of line 2 again"),
        ("A,B,count\n0,0,3\n", "t.csv, line 2", "", "those on no list"),
        ("A,B,count\n", "t.csv", "", "counts nobody"),
        ("A,B,count\n1,0,0\n0,1,0\n", "t.csv", "", "counts nobody"),
        ('A,B,count\n1,"0,3\n', "t.csv, line 2", "", "not CSV"),
        ('A,B,count\n1,"0"x,3\n', "t.csv, line 2", "", "not CSV"),
    ],
)
def test_bad_csv_is_refused_with_its_place(text: str, place: str, field: str, said: str) -> None:
    problem = refusal(from_csv, text, "t.csv")
    assert problem.public.startswith(place) and problem.field == field
    assert said in str(problem)


@pytest.mark.parametrize("mark", ["<11*", "< 11", "hidden*", "*", "", "null", "NA", "n/a", "-", "suppressed"])
def test_a_suppressed_cell_is_refused_as_one(mark: str) -> None:
    problem = refusal(from_csv, f"A,B,count\n1,0,54\n1,1,{mark}\n", "t.csv")
    assert "t.csv, line 3" in problem.public and "suppressed" in problem.public
    assert "released exactly" in problem.advice


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"A,B,count\n1,0,\xff\n", "line 2: not UTF-8"),
        ("A,B,count\n".encode("utf-16"), "line 1: not UTF-8"),
        (b"#" * (MAX_BYTES + 1), "longer than"),
        (b"A,B,count\n1,0,3\0\n", "line 2"),
    ],
)
def test_a_file_that_is_no_text_of_a_table_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(content)
    assert said in refusal(read_table, file).public


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(read_table, tmp_path / "none.csv").public
    assert "cannot be read" in refusal(read_table, tmp_path).public


def test_what_run_prints_as_json_is_read(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps(RELEASED))
    published = read_table(file)
    assert published.table == OverlapTable(("la", "ng"), (54, 463, 15))
    assert "computations/4f" in published.source


@pytest.mark.parametrize("hidden", [False, True])
def test_the_rows_that_run_really_prints_are_read_or_refused_as_suppressed(hidden: bool) -> None:
    released = Table(("la", "ng"), (Row(("1", "0"), 54), Row(("0", "1"), 463), Row(("1", "1"), None if hidden else 15)))
    text = json.dumps({**RELEASED, "rows": shapes.of_rows(released)})
    if hidden:
        assert "row 3: '' is a suppressed cell" in refusal(from_json, text, "run.json").public
    else:
        assert from_json(text, "run.json").table == OverlapTable(("la", "ng"), (54, 463, 15))


@pytest.mark.parametrize(
    ("count", "limits", "said"),
    [
        (15, Limits(0, False, False), ""),
        (None, Limits(11, False, True), ": 'suppressed' is a suppressed cell"),
        (15, Limits(0, False, False, rounding=5), "rounding 5"),
        (15, Limits(0, False, False, epsilon="0.5"), "epsilon 0.5"),
    ],
)
def test_what_run_writes_as_csv_is_read_if_it_is_exact(count: int | None, limits: Limits, said: str) -> None:
    released = Table(("la", "ng"), (Row(("1", "0"), 54), Row(("0", "1"), 463), Row(("1", "1"), count)))
    short = Summary("c" * 64, replace(examples.contract(), limits=limits), (), (), 0.5)
    text = as_csv(released, short)
    if said:
        assert said in refusal(from_csv, text, "run.csv").public
    else:
        published = from_csv(text, "run.csv")
        assert published.table == OverlapTable(("la", "ng"), (54, 463, 15))
        assert short.contract.query.title in published.source and "c" * 64 in published.source


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": []}, "nothing was released"),
        ({"rows": None}, "not what `isthmus run --json` prints"),
        ({"rows": [7]}, "not what `isthmus run --json` prints"),
        ({"columns": ["la", "count"]}, "1 lists"),
        ({"columns": ["la", "xx", "count"]}, "not what `isthmus run --json` prints"),
        ({"rows": [{"la": "1", "ng": "0", "count": None}]}, "row 1: '' is a suppressed cell"),
        ({"rows": [{"la": "1", "ng": "0", "count": 2.5}]}, "row 1: '2.5' is no whole number"),
        ({"rows": [{"la": "1", "ng": "0", "count": True}]}, "row 1: 'True' is no whole number"),
        ({"rows": [{"la": "labour", "ng": "2013", "count": 5}]}, "row 1: 'labour' is neither 0 nor 1"),
        ({"receipt": {"limits": {"epsilon": "0.5"}}}, "epsilon 0.5"),
        ({"receipt": {"limits": {"rounding": 5}}}, "rounding 5"),
    ],
)
def test_json_of_what_is_no_exact_overlap_table_is_refused(changes: dict[str, Any], said: str) -> None:
    assert said in refusal(from_json, json.dumps({**RELEASED, **changes}), "run.json").public


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"columns": 3, "rows": 4}', "{" * 100_000])
def test_text_that_only_begins_like_json_is_refused(text: str) -> None:
    assert "run --json" in refusal(from_json, text, "run.json").public


@given(st.text(max_size=80))
def test_no_text_at_all_ends_in_anything_but_a_table_or_a_refusal(text: str) -> None:
    for read in (from_csv, from_json):
        try:
            assert read(text).table.observed > 0
        except IsthmusError as problem:
            assert problem.reason is Reason.INVALID_ARGUMENT and problem.advice


@given(st.lists(st.integers(0, 1000), min_size=7, max_size=7).filter(any))
def test_a_table_that_is_written_and_read_is_the_same(counts: list[int]) -> None:
    rows = [f"{mask & 1},{mask >> 1 & 1},{mask >> 2},{count}" for mask, count in enumerate(counts, start=1)]
    assert from_csv("\n".join(["A,B,C,count", *rows])).table.counts == tuple(counts)
