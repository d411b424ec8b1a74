"""Whatever is wrong with a question: one line that names field, space and next step, and an exit code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.sandbox.anchor import NAME as ANCHOR_NAME
from gateway.sandbox.layout import SPACES, lay_out
from tests.e2e.shell import QUERIES, ROOT, WITHIN, Done, Shell

GOOD = (QUERIES / "form_year.yaml").read_text()
LA = "  - dataset: spaces/care.example/datasets/la\n"


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def filtered(column: str, condition: str) -> str:
    return changed(LA, f"{LA}    filters:\n      - column: {column}\n        {condition}\n")


# Query, exit code, reason, and what the line has to name.
BAD: dict[str, tuple[str, int, str, tuple[str, ...]]] = {
    "an unknown dataset": (
        changed("datasets/la", "datasets/lb"),
        2,
        "UNKNOWN_DATASET",
        ("sources[0].dataset", "Did you mean spaces/care.example/datasets/la"),
    ),
    "an unknown column": (
        changed("[vic_TypeOfExploitation, year]", "[vic_TypeOfExploitatoin]"),
        2,
        "UNKNOWN_COLUMN",
        ("statistic.count_by.columns[0]", "https://care.example", "Did you mean vic_TypeOfExploitation"),
    ),
    "a filter of the wrong type": (
        filtered("prs_Gender", "equals: 7"),
        2,
        "WRONG_FILTER_TYPE",
        ("sources[0].filters[0]", "https://care.example", "isthmus datasets"),
    ),
    "a range of codes": (
        filtered("prs_Gender", "between: {low: a, high: b}"),
        2,
        "WRONG_FILTER_TYPE",
        ("sources[0].filters[0].between", "no order"),
    ),
    "a wrong code": (
        filtered("prs_Gender", "equals: Femenine"),
        2,
        "UNKNOWN_CODE",
        ("sources[0].filters[0]", "https://care.example", "Did you mean Feminine"),
    ),
    "no such day": (
        filtered("cas_IncomingReferralDate", 'equals: "2001-02-30"'),
        2,
        "WRONG_FILTER_TYPE",
        ("sources[0].filters[0]", "https://care.example"),
    ),
    "a filter on who somebody is": (
        filtered("prs_Birthdate", 'equals: "2001-02-28"'),
        3,
        "PERMISSION_DENIED",
        ("sources[0].filters[0].column", "https://care.example"),
    ),
    "a column to count that has no codes": (
        changed("[vic_TypeOfExploitation, year]", "[prs_Birthdate]"),
        2,
        "WRONG_FILTER_TYPE",
        ("statistic.count_by.columns[0]",),
    ),
    "a column that nobody links on": (
        changed("[prs_FirstName,", "[prs_Gender,"),
        2,
        "UNKNOWN_COLUMN",
        ("link_on[0]", "It links on"),
    ),
    "cells that are too small": (changed("minimum_cell: 11", "minimum_cell: 3"), 3, "POLICY_REFUSED", ("11", "limits")),
    "an unknown field": (GOOD + "colour: red\n", 2, "MALFORMED_QUERY", ("colour", "line")),
    "a key twice": (GOOD + "purpose: prevalence-estimation\n", 2, "MALFORMED_QUERY", ("purpose", "line")),
    "a missing field": (changed("purpose: trend-monitoring\n", ""), 2, "MALFORMED_QUERY", ("purpose",)),
    "a text for a number": (changed("minimum_cell: 11", "minimum_cell: few"), 2, "MALFORMED_QUERY", ("minimum_cell",)),
    "no YAML": ("title: [unclosed\n", 2, "MALFORMED_QUERY", ("line",)),
    "nothing": ("", 2, "MALFORMED_QUERY", ("docs/queries",)),
    "four seats": (GOOD + "seats: {count: 4}\n", 3, "SEATS_REFUSED", ("3, 5 or 7",)),
    "more seats than there are": (GOOD + "seats: {count: 5}\n", 3, "SEATS_REFUSED", ("seat",)),
}


@pytest.mark.parametrize("name", BAD)
def test_a_query_that_cannot_be_asked_is_refused_in_one_line(shell: Shell, name: str) -> None:
    text, code, reason, named = BAD[name]
    before = len(shell.facts())
    done = shell("run", shell.file("query.yaml", text), "--json")
    assert done.code == code, done
    assert done.is_one_line(), done.err
    assert done.json["error"]["reason"] == reason
    for part in named:
        assert part in done.err, done.err
    # Nothing was started: no computation was made of it.
    assert "computation.created" not in {fact.kind for fact in shell.facts(start=before)}


def test_what_an_owner_refuses_is_rejected_with_what_would_pass(shell: Shell) -> None:
    query = shell.file("query.yaml", changed("trend-monitoring", "immigration-enforcement"))
    plan = shell("plan", query, "--json")
    assert plan.code == 3
    assert "REFUSED" in {verdict["decision"] for verdict in plan.json["verdicts"]}
    done = shell("run", query, "--json")
    assert (done.code, done.is_one_line()) == (3, True), done.err
    assert "trend-monitoring" in done.err
    assert done.json["state"] == "REJECTED"
    assert done.json["ending"]["reason"] == "POLICY_REFUSED"
    assert done.json["rows"] == []


def test_files_and_arguments_that_are_wrong_are_named(shell: Shell) -> None:
    missing = shell("run", shell.home / "nowhere.yaml")
    assert (missing.code, missing.is_one_line()) == (2, True)
    assert "nowhere.yaml" in missing.err
    for arguments in (("run",), ("frobnicate",), ("computations", "show"), ("datasets", "--colour", "red")):
        wrong = shell(*arguments)
        assert wrong.code == 2, arguments
        assert "Traceback" not in wrong.err
    unknown = shell("computations", "show", "0" * 32)
    assert (unknown.code, unknown.is_one_line()) == (2, True)
    nowhere = shell("datasets", ISTHMUS_PROFILE=str(shell.home / "no-profile.toml"))
    assert (nowhere.code, nowhere.is_one_line()) == (2, True)
    assert "no-profile.toml" in nowhere.err


def test_a_gateway_that_is_not_there_is_named_with_the_next_step(shell: Shell) -> None:
    profile = shell.sandbox.profile()
    elsewhere = profile.with_name("nobody.toml")
    elsewhere.write_text(profile.read_text().replace(shell.sandbox.addresses["care"], "127.0.0.1:9"))
    try:
        done = shell("datasets", "--profile", elsewhere)
    finally:
        elsewhere.unlink()
    assert done.code == 5
    assert done.is_one_line(), done.err
    assert "127.0.0.1:9" in done.err or "gateway" in done.err


def _agent(config: Path) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "agent", "serve", "--config", str(config)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def _unreadable(home: Path) -> None:
    (home / "data" / "pfnca.csv").unlink()


def _wrong_code(home: Path) -> None:
    file = home / "data" / "pfnca.csv"
    file.write_text(file.read_text().replace("ForcedLabour", "Forced labour", 1))


def _lacks_column(home: Path) -> None:
    file = home / "data" / "pfnca.csv"
    file.write_text(file.read_text().replace("prs_Gender", "gender", 1))


def _unknown_key(home: Path) -> None:
    file = home / "datasets" / "pfnca.policy.toml"
    file.write_text(file.read_text().replace("minimum_cell", "minimal_cell", 1))


def _open_to_others(home: Path) -> None:
    (home / "agent" / "contract.pem").chmod(0o644)


SOURCES: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "a file that is not there": (_unreadable, ("datasets/pfnca", "file")),
    "a wrong code": (_wrong_code, ("datasets/pfnca", "vic_TypeOfExploitation", "line")),
    "a column that the file lacks": (_lacks_column, ("datasets/pfnca", "prs_Gender")),
    "a policy with an unknown key": (_unknown_key, ("pfnca.policy.toml", "minimal_cell")),
    "a key that others can read": (_open_to_others, ("contract.pem", "chmod 600")),
}


@pytest.mark.parametrize("name", SOURCES)
def test_an_agent_does_not_start_on_a_broken_source_and_says_which(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path / "federation", {spec.name: 9 for spec in SPACES} | {ANCHOR_NAME: 9}, 1_700_000_000)
    home = tmp_path / "federation" / "spaces" / "police"
    change, named = SOURCES[name]
    change(home)
    done = _agent(home / "agent.toml")
    assert done.code in (2, 5), done
    assert done.is_one_line(), done.err
    for part in named:
        assert part in done.err, done.err
