"""A released table for other programs: nothing suppressed becomes a number, and what it rests on travels along."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pytest

from gateway.cli.output import check_writable, write_private
from gateway.client.export import arrow_file, as_arrow, as_csv, column_names
from gateway.client.summary import Summary
from gateway.domain.computation import Receipt
from gateway.domain.errors import IsthmusError
from gateway.domain.result import Row, Table
from tests import examples

RATES = Table(
    ("form", "count"),
    (
        Row(("LABOUR", "2013"), 50, (2.5, 1.9, 3.3)),
        Row(("=HYPERLINK(1)", "-5 and over"), None, (None, None, None)),
        Row(('a, "b"', "2013"), 0, (0.0, None, None)),
    ),
    ("per_100000", "low", "high"),
)


@pytest.fixture
def short() -> Summary:
    contract = examples.contract()
    receipt = Receipt(
        space=examples.HOME, contract="c" * 64, outputs=(), minimum_cell=11, zero_is_small=False, tree_size=7,
        tree_head="a" * 64, bytes_sent=1, rounds=2, seconds=0.5, token="",
    )  # fmt: skip
    return Summary("c" * 64, contract, (), (receipt,), 0.5)


def test_csv_has_empty_cells_for_what_is_suppressed_and_names_it(short: Summary) -> None:
    text = as_csv(RATES, short)
    lines = text.splitlines()
    told = [line for line in lines if line.startswith("# ")]
    facts = {name: json.loads(value) for name, value in (line[2:].split(": ", 1) for line in told)}
    assert facts["contract"] == "c" * 64 and facts["unit"] == "people"
    assert facts["limits"]["minimum_cell"] == 11
    assert set(facts["editions"].values()) == {"2026-1"} and len(facts["editions"]) == 3
    assert facts["receipts"] == [{"space": examples.HOME, "size": 7, "root": "a" * 64}]
    rows = list(csv.DictReader(io.StringIO(text.partition(told[-1] + "\n")[2])))
    assert list(rows[0]) == ["form", "count_code", "count", "per_100000", "low", "high", "suppressed"]
    assert rows[0] == {
        "form": "LABOUR", "count_code": "2013", "count": "50", "per_100000": "2.5", "low": "1.9", "high": "3.3",
        "suppressed": "",
    }  # fmt: skip
    assert rows[1]["count"] == "" and rows[1]["suppressed"] == "count per_100000 low high"
    assert rows[2]["count"] == "0" and rows[2]["form"] == 'a, "b"' and rows[2]["suppressed"] == "low high"


def test_a_code_is_no_formula_in_a_spreadsheet(short: Summary) -> None:
    assert "'=HYPERLINK(1),'-5 and over" in as_csv(RATES, short)


def test_arrow_has_types_nulls_and_what_it_rests_on(short: Summary) -> None:
    read = pa.ipc.open_file(pa.py_buffer(arrow_file(as_arrow(RATES, short)))).read_all()
    assert [str(field.type) for field in read.schema] == [
        "string", "string", "int64", "double", "double", "double", "list<item: string>",
    ]  # fmt: skip
    assert read.column("count").to_pylist() == [50, None, 0]
    assert read.column("form").to_pylist()[1] == "=HYPERLINK(1)"
    assert read.column("suppressed").to_pylist()[1] == ["count", "per_100000", "low", "high"]
    assert json.loads(read.schema.metadata[b"isthmus"])["contract"] == "c" * 64


def test_a_file_is_its_owners_alone_and_a_place_that_cannot_be_written_is_found_before(tmp_path: Path) -> None:
    there = tmp_path / "table.csv"
    there.write_text("old")
    there.chmod(0o644)
    write_private(there, b"new")
    assert there.read_bytes() == b"new" and there.stat().st_mode & 0o777 == 0o600
    link = tmp_path / "link.csv"
    link.symlink_to(there)
    with pytest.raises(OSError, match=r"link\.csv"):
        write_private(link, b"elsewhere")
    check_writable(there, "--csv")
    for wrong in (tmp_path, tmp_path / "no" / "table.csv"):
        with pytest.raises(IsthmusError) as caught:
            check_writable(wrong, "--csv")
        assert caught.value.field == "--csv"


def test_no_two_columns_get_one_name() -> None:
    assert column_names(Table(("count", "count_code", "suppressed"), ())) == [
        "count_code_code", "count_code", "suppressed_code",
    ]  # fmt: skip
