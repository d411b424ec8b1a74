"""`isthmus mse`: a published table alone, without profile, gateway or network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.client.estimates import MODELS
from gateway.client.estimates.result import SIDE_BY_SIDE
from tests.unit.mse_kit import MSE, model_named, published

UK = MSE / "uk_2013_5lists.csv"
DOCS = Path(__file__).parents[2] / "docs"


def run(*arguments: Any) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["mse", *map(str, arguments)], env={"COLUMNS": "80"})
    return done.exit_code, done.stdout.replace("\N{NO-BREAK SPACE}", " "), done.stderr


def asked(*arguments: Any) -> dict[str, Any]:
    code, out, said = run(*arguments, "--json")
    assert (code, said) == (0, "")
    made: dict[str, Any] = json.loads(out)
    return made


@pytest.mark.parametrize("name", sorted({row["file"] for row in published()}))
def test_every_published_point_is_met_within_a_thousandth_by_the_command(name: str) -> None:
    rows = [row for row in published() if row["file"] == name]
    models = sorted({model_named(row["model"]) for row in rows} | {"main-effects"} | {"stepwise-p"})
    made = asked(MSE / f"{name}.csv", "--models", ",".join(models), "--intervals", "profile")
    points = {item["model"]: item["point"] for item in made["estimates"]}
    for row in rows:
        assert points[model_named(row["model"])] == pytest.approx(float(row["point"]), rel=1e-3)
    assert made["observed"] == int(rows[0]["n"])


def test_a_bare_folder_and_a_bare_environment_are_enough(tmp_path: Path) -> None:
    (tmp_path / "uk.csv").write_bytes(UK.read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "mse", "uk.csv", "--json", "--replicates", "100"],
        cwd=tmp_path, env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1 and done.stderr == ""
    made = json.loads(done.stdout)
    assert [item["model"] for item in made["estimates"]] == list(MODELS)
    assert [path.name for path in tmp_path.iterdir()] == ["uk.csv"]


def test_the_object_says_everything_that_the_page_says_it_does() -> None:
    made = asked(UK, "--models", "stepwise-aic,main-effects", "--replicates", 100, "--seed", 7)
    assert list(made) == ["source", "lists", "observed", "cells", "estimates", "bounds", "warning"]
    assert made["lists"] == ["LA", "NG", "PFNCA", "GO", "GP"] and made["observed"] == 2744
    assert made["cells"]["LA:NG:PFNCA:GO"] == 1 and sum(made["cells"].values()) == 2744
    assert made["source"].startswith("UK 2013") and made["warning"] == SIDE_BY_SIDE
    first = made["estimates"][0]
    assert (round(first["point"]), round(first["lo"]), round(first["hi"])) == (11313, 9889, 13063)
    assert first["interval"] == "profile likelihood" and first["refused"] is None
    drawn = first["bootstrap"]
    assert (drawn["replicates"], drawn["seed"], drawn["refused"]) == (100, 7, 0)
    assert drawn["bca"]["lo"] < first["point"] < drawn["bca"]["hi"]
    assert [bound["source"] for bound in made["bounds"]] == ["Chao 1987", "Chao 1989"]
    page = (DOCS / "estimation.md").read_text()
    names = {*made, *first, *drawn, *made["bounds"][0], *drawn["bca"]}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


def test_the_page_shows_what_the_command_prints() -> None:
    """All but what is resampled, which takes ten seconds and hangs on NumPy's version."""
    page = (DOCS / "estimation.md").read_text().partition("<!-- mse -->")[2].partition("<!-- /mse -->")[0]
    shown = [line.split() for line in page.splitlines()]
    for model in MODELS:
        number, profile = 3, 5  # "11 313" and "9 889 – 13 063" are two and five words
        here = next(
            line.split() for line in run(UK, "--intervals", "profile")[1].splitlines() if line.startswith(model)
        )
        assert here[: number + profile] in [line[: number + profile] for line in shown]
    for bound in asked(UK, "--intervals", "profile")["bounds"]:
        assert any(
            line[:2] == bound["source"].split() and f"{bound['point']:,.0f}".split(",") == line[2:4] for line in shown
        )
    assert " ".join(page.split()).endswith(f"{SIDE_BY_SIDE} ```")


def test_the_same_seed_gives_the_same_answer_and_another_one_other_ends() -> None:
    arguments = (UK, "--models", "downhill-bic,main-effects", "--replicates", 100)
    assert asked(*arguments) == asked(*arguments)
    ends = [asked(*arguments, "--seed", seed)["estimates"][0]["bootstrap"]["percentile"] for seed in (1, 2)]
    assert ends[0] != ends[1]


def test_bootstrap_alone_heads_the_estimate_with_bca() -> None:
    made = asked(UK, "--models", "downhill-bic,main-effects", "--replicates", 100, "--intervals", "bootstrap")
    for item in made["estimates"]:
        assert item["interval"] == "BCa bootstrap"
        assert (item["lo"], item["hi"]) == (item["bootstrap"]["bca"]["lo"], item["bootstrap"]["bca"]["hi"])


def test_people_see_all_models_their_intervals_the_bounds_and_the_warning_last() -> None:
    code, out, said = run(UK, "--replicates", 100)
    assert (code, said) == (0, "")
    assert all(out.count(f"\n{model} ") == 2 for model in MODELS)
    assert "9 889 – 13 063" in out and "BCa 95 %" in out and "Percentiles 95 %" in out
    assert "Chao 1987      17 617" in out and "LA:NG, NG:GP" in out
    assert " ".join(out.split()).endswith(SIDE_BY_SIDE)
    assert all(len(line) <= 80 for line in out.splitlines())


def test_without_a_bootstrap_no_column_speaks_of_one() -> None:
    out = run(UK, "--intervals", "profile")[1]
    assert "9 889 – 13 063" in out and "BCa 95 %" not in out and "Chosen again" not in out


def test_a_table_that_no_model_can_carry_gets_reasons_and_no_number(tmp_path: Path) -> None:
    file = tmp_path / "apart.csv"
    file.write_text("A,B,count\n1,0,5\n0,1,7\n")
    made = asked(file, "--replicates", 100)
    assert all(item["point"] is None and item["refused"] and item["bootstrap"] is None for item in made["estimates"])
    code, out, _ = run(file)
    assert code == 0 and "main-effects: no estimate, because" in out and "exists" in out


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        ("A,B,count\n1,0,<11*\n", (), "isthmus: t.csv, line 2: '<11*' is a suppressed cell"),
        ("A,B,count\n1,0,2.5\n", (), "t.csv, line 2: '2.5' is no whole number of people (column count). Write digits"),
        ("A,B,count\n1,0,3\n", ("--models", "stepwise-aic"), "one model alone would be one number alone"),
        ("A,B,count\n1,0,3\n", ("--models", "stepwise-aic,best"), "there is no model 'best' (models[1])"),
        ("A,B,count\n1,0,3\n", ("--models", ","), "there is no model ''"),
        ("A,B,count\n1,0,3\n", ("--replicates", 5), "5 replicates are too few"),
        ("A,B,count\n1,0,3\n", ("--replicates", 0), "0 replicates are too few"),
        ("A,B,count\n1,0,3\n", ("--seed", -1), "-1 is no seed"),
    ],
)
def test_bad_input_is_one_line_and_exit_two(
    content: str, arguments: tuple[Any, ...], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "t.csv"
    file.write_text(content)
    code, out, told = run(file, *arguments)
    assert (code, out) == (2, "")
    assert said in told and told.count("\n") == 1
    code, out, _ = run(file, *arguments, "--json")
    assert code == 2 and json.loads(out)["error"]["reason"] == "INVALID_ARGUMENT"


def test_a_file_that_is_not_there_is_one_line_and_exit_two(tmp_path: Path) -> None:
    code, out, told = run(tmp_path / "none.csv")
    assert (code, out) == (2, "")
    assert told.startswith("isthmus: ") and "none.csv cannot be read" in told and told.count("\n") == 1
