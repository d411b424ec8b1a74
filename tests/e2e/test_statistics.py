"""Each kind of statistic as a user asks it: its file in docs/queries, against the made-up people themselves."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tests.e2e.shell import QUERIES, Shell
from tests.e2e.truth import by_period_and_gender, by_year_and_gender, everyone

# Millions, as docs/queries/rate.yaml has them.
UNITED_KINGDOM = {
    ("2012", "Feminine"): 32.4,
    ("2012", "Masculine"): 31.3,
    ("2013", "Feminine"): 32.6,
    ("2013", "Masculine"): 31.5,
    ("2014", "Feminine"): 32.8,
    ("2014", "Masculine"): 31.8,
}


def test_rates_by_year_and_sex(shell: Shell, tmp_path: Path) -> None:
    files = (tmp_path / "rates.csv", tmp_path / "rates.arrow")
    done = shell("run", QUERIES / "rate.yaml", "--json", "--csv", files[0], "--arrow", files[1])
    assert done.code == 0, done.err
    arrow = pa.ipc.open_file(pa.OSFile(str(files[1]))).read_all()
    assert arrow.column("count").to_pylist() == [row["count"] for row in done.json["rows"]]
    assert f'# contract: "{done.json["contract"]}"' in files[0].read_text()
    assert done.json["receipt"]["editions"]["spaces/care.example/datasets/ng"] == "2013-1"
    truth = by_year_and_gender(
        everyone(), {"care": {"NG"}, "police": {"PFNCA"}, "registry": {"GO"}}, {2012, 2013, 2014}
    )
    rows = {(row["year"], row["prs_Gender"]): row for row in done.json["rows"]}
    assert {cell: row["count"] for cell, row in rows.items()} == truth
    assert None in truth.values()
    for cell, row in rows.items():
        millions, count = UNITED_KINGDOM.get(cell), row["count"]
        if millions is None or count is None:
            assert row["per_100000"] is None and "per_100000" in row["suppressed"]
        else:
            assert row["per_100000"] == pytest.approx(count / millions / 10)
            assert row["low"] < row["per_100000"] < row["high"]
    shown = shell("run", QUERIES / "rate.yaml", COLUMNS="110")
    assert shown.code == 0 and "Per 100" in shown.out and "█" in shown.out


def test_a_histogram_by_period_and_sex(shell: Shell) -> None:
    done = shell("run", QUERIES / "histogram.yaml", "--json")
    assert done.code == 0, done.err
    truth = by_period_and_gender(everyone(), {"care": {"NG"}, "police": {"PFNCA"}}, (2011, 2013, 2014))
    rows = {(row["cas_IncomingReferralDate"], row["prs_Gender"]): row["count"] for row in done.json["rows"]}
    assert rows == truth
    assert sum(count or 0 for count in rows.values()) > 1000
