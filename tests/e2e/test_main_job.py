"""The main job as a user does it: one question across three data spaces, from the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.shell import QUERIES, ROOT, Shell
from tests.e2e.truth import cells, everyone, form_by_year, overlap

FOUR = ["https://care.example", "https://neutral.example", "https://police.example", "https://registry.example"]


@pytest.fixture(scope="module")
def form_year(shell: Shell) -> Any:
    done = shell("run", QUERIES / "form_year.yaml", "--json")
    assert done.code == 0, done.err
    return done.json


@pytest.fixture(scope="module")
def overlapping(shell: Shell) -> Any:
    done = shell("run", QUERIES / "overlap.yaml", "--json")
    assert done.code == 0, done.err
    return done.json


def test_the_joint_catalogue_is_asked_at_one_gateway(shell: Shell) -> None:
    listed = shell("datasets", "--json").json
    names = ("la", "ng", "pfnca", "go", "gp", "suspects")
    assert {item["name"].rsplit("/", 1)[-1] for item in listed["datasets"]} == set(names)
    assert {item["space"] for item in listed["datasets"]} == set(FOUR) - {"https://neutral.example"}
    assert listed["unreachable"] == []
    seen = shell("spaces", "--json").json["spaces"]
    assert sorted(space["entity"] for space in seen) == FOUR
    shown = shell("datasets").out
    assert all(name in shown for name in ("la", "ng", "pfnca", "go", "gp", "suspects", "registry.example"))


def test_the_plan_says_who_sits_where_and_what_every_space_says(shell: Shell) -> None:
    done = shell("plan", QUERIES / "form_year.yaml", "--json")
    assert done.code == 0, done.err
    plan = done.json
    seats = [seat["entity"] for seat in plan["draft"]["seats"]]
    assert seats == ["https://care.example", "https://police.example", "https://neutral.example"]
    assert (plan["draft"]["m"], plan["draft"]["t"]) == (3, 1)
    assert len(plan["smallest_group"]) == 2
    assert sorted(verdict["space"] for verdict in plan["verdicts"]) == FOUR
    assert {verdict["decision"] for verdict in plan["verdicts"]} == {"ALLOWED"}
    assert plan["forecast"]["bytes_per_party"] > 0


def test_victims_by_form_and_year_equal_the_truth_with_small_cells_suppressed(form_year: Any) -> None:
    truth = form_by_year(everyone())
    assert cells(form_year) == truth
    assert None in truth.values()
    assert form_year["state"] == "RELEASED"
    assert form_year["columns"] == ["vic_TypeOfExploitation", "year", "count"]


def test_the_receipt_names_contract_limits_approvals_and_audit_heads(form_year: Any) -> None:
    receipt = form_year["receipt"]
    assert form_year["contract"] in str(receipt)
    for entity in FOUR:
        assert entity in str(receipt)
    assert "11" in str(receipt)


def test_the_overlap_table_is_the_published_one_and_so_is_the_estimate(overlapping: Any) -> None:
    truth = overlap(everyone())
    assert len(truth) == 31
    assert cells(overlapping) == truth
    entries = sum(len(person.lists) for person in everyone())
    assert overlapping["overlap"] == {
        "union": 2744, "entries": entries, "double_counted": pytest.approx(1 - 2744 / entries),
    }  # fmt: skip
    estimates = {item["model"]: item for item in overlapping["estimates"]}
    stepwise = estimates["stepwise-aic"]
    assert [round(stepwise[name]) for name in ("point", "lo", "hi")] == [11313, 9889, 13063]
    assert len(estimates) >= 3


def test_two_spaces_alone_are_refused_and_told_what_would_pass(shell: Shell) -> None:
    for command in ("plan", "run"):
        done = shell(command, QUERIES / "two_spaces.yaml")
        assert done.code == 3, done
        assert done.is_one_line(), done.err
        assert "neutral" in done.err
    assert shell("run", QUERIES / "two_spaces.yaml", "--json").json["error"]["reason"] == "SEATS_REFUSED"


def test_thirty_lines_of_plain_grpc_get_a_result(shell: Shell) -> None:
    script = ROOT / "docs" / "examples" / "ask.py"
    assert len(script.read_text().splitlines()) <= 40
    profile = shell.sandbox.profile()
    done = subprocess.run(
        [sys.executable, str(script), str(profile)],
        cwd=ROOT,
        env=shell.environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told = form_by_year(everyone())
    printed = {(form, year): count for form, year, count in map(str.split, done.stdout.splitlines())}
    assert printed == {cell: "suppressed" if count is None else str(count) for cell, count in told.items()}
    assert len(set(printed.values())) > 2


def test_a_result_for_a_person_is_a_table_and_says_what_is_suppressed(shell: Shell) -> None:
    done = shell("run", QUERIES / "form_year.yaml", COLUMNS="100")
    assert done.code == 0, done.err
    assert "Sexual" in done.out
    assert "{" not in done.out
    shown = shell("computations", "list").out
    assert "RELEASED" in shown


def test_nothing_is_taken_over_on_import() -> None:
    check = (
        "import sys, logging; before = (list(sys.argv), list(logging.root.handlers), logging.root.level);"
        "import gateway.client, gateway.__main__, gateway.cli.app, gateway.app, connectors.app, gateway.sandbox.layout;"
        "assert (sys.argv, logging.root.handlers, logging.root.level) == before, sys.argv;"
        "assert 'mpyc' not in sys.modules"
    )
    command = [sys.executable, "-c", check, "--log-level", "x"]
    done = subprocess.run(command, cwd=Path(ROOT), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
