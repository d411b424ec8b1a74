"""`isthmus policies check | test`, in process, on the policy of the documentation and the dataset of the samples."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.engine import packages, programs
from gateway.cli.app import app

ROOT = Path(__file__).parents[2]
POLICE, CARE = "https://police.example", "https://care.example"
QUESTION = """\
title: People by year of referral
purpose: trend-monitoring
legal_basis: gdpr-6-1-e
sources:
  - dataset: spaces/shelters.example/datasets/shelters
  - dataset: spaces/police.example/datasets/reports
    filters: [{column: their_own, equals: something}]
link_on: [prs_FirstName, prs_Birthdate]
statistic: {count_by: {columns: [year]}}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The dataset of the samples under the policy of the page."""
    page = re.search(r"```toml\n(.*?)```", (ROOT / "docs" / "policies.md").read_text(), flags=re.S)
    assert page is not None
    (tmp_path / "policy.toml").write_text(page[1])
    (tmp_path / "shelters.toml").write_text((ROOT / "deploy" / "samples" / "dataset.toml").read_text())
    (tmp_path / "question.yaml").write_text(QUESTION)
    return tmp_path


def isthmus(*arguments: object) -> tuple[int, Any, str]:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    return done.exit_code, json.loads(done.stdout), done.stderr


def tried(
    files: Path,
    text: str = QUESTION,
    asker: str = CARE,
    jurisdiction: str = "NL",
    roles: tuple[str, ...] = ("analyst",),
) -> dict[str, Any]:
    (files / "question.yaml").write_text(text)
    where = "--from", asker, "--jurisdiction", jurisdiction, *(f"--role={role}" for role in roles)
    code, plain, _ = isthmus("policies", "test", files / "shelters.toml", files / "question.yaml", *where)
    (verdict,) = plain["queries"]
    assert code == (0 if verdict["allowed"] else 3)
    return verdict  # type: ignore[no-any-return]


def test_check_says_in_plain_words_what_is_allowed(files: Path) -> None:
    code, plain, _ = isthmus("policies", "check", files / "policy.toml", ROOT / "deploy" / "samples" / "policy.toml")
    assert (code, len(plain["policies"])) == (0, 2)
    words = plain["policies"][0]["allows"]
    for topic, said in {
        "Holds": "version 3, until the day before 2099-01-01",
        "May ask": f"{CARE}, {POLICE}",
        "In the role of": "analyst (Analyses trends, forms and routes for an organisation that takes part); rapporteur",
        "On the basis of": "Wet maatschappelijke ondersteuning",
        "Cells": "counts under 11 are suppressed, and zero like them",
        "Computed by": "3 seats or more, of which no single one",
        "Results go to": "spaces in member states of the Union, NO",
        "Columns": f"prs_Gender only for {CARE}, to count by in count_by; all others",
        "Questions": "500 different ones",
        "Programs": "any that its space offers",
    }.items():
        assert said in words[topic], topic
    shown = CliRunner().invoke(app, ["policies", "check", str(files / "policy.toml")])
    assert shown.exit_code == 0 and all(topic in shown.stdout for topic in words)


def test_check_says_that_a_policy_holds_no_more(files: Path) -> None:
    (files / "policy.toml").write_text((files / "policy.toml").read_text().replace("2099", "2020"))
    assert (
        "expired on 2020-01-01"
        in isthmus("policies", "check", files / "policy.toml")[1]["policies"][0]["allows"]["Holds"]
    )
    assert tried(files)["field"] == "policy.expires"


def test_check_names_the_field_and_the_nearest_code(files: Path) -> None:
    (files / "policy.toml").write_text(
        (files / "policy.toml").read_text().replace("trend-monitoring", "trends-monitoring")
    )
    code, plain, line = isthmus("policies", "check", files / "policy.toml")
    assert (code, plain["error"]["reason"], plain["error"]["field"]) == (2, "CONFIGURATION", "purposes")
    assert "Did you mean trend-monitoring?" in line and len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "asker", "jurisdiction", "field"),
    [
        ("", "", CARE, "NL", ""),
        ("", "", POLICE, "RO", ""),
        ("", "", POLICE, "NO", ""),
        ("", "", POLICE, "CH", "initiator"),
        ("", "", POLICE, "", "initiator"),
        ("", "", "https://shelters.example", "", "initiator"),
        ("", "", "https://registry.example", "NL", "initiator"),
        ("trend-monitoring", "policy-evaluation", CARE, "NL", "purpose"),
        ("gdpr-6-1-e", "national-NL-wmo-5", CARE, "NL", ""),
        ("gdpr-6-1-e", "gdpr-6-1-f", CARE, "NL", "legal_basis"),
        ("[year]", "[prs_Gender]", CARE, "NL", ""),
        ("[year]", "[prs_Gender]", POLICE, "NL", "statistic.count_by.columns[0]"),
        ("[year]", "[prs_Gander]", CARE, "NL", "statistic.count_by.columns[0]"),
        ("datasets/shelters", "datasets/shelters\n    filters: [{column: prs_Gender, equals: F}]", CARE, "NL",
         "sources[0].filters[0].column"),
        ("statistic:", "limits: {minimum_cell: 5}\nstatistic:", CARE, "NL", "limits.minimum_cell"),
        ("statistic:", "seats: {count: 5}\nlimits: {minimum_cell: 50}\nstatistic:", CARE, "NL", ""),
        ("{count_by: {columns: [year]}}", "{overlap: {}}", CARE, "NL", ""),
    ],
)  # fmt: skip
def test_examples_are_allowed_or_refused_as_the_policy_says(
    files: Path, old: str, new: str, asker: str, jurisdiction: str, field: str
) -> None:
    verdict = tried(files, QUESTION.replace(old, new, 1), asker, jurisdiction)
    assert verdict.get("field", "") == field, verdict
    assert verdict["allowed"] == (not field)


@pytest.mark.parametrize(
    ("asker", "roles", "advice"),
    [
        (CARE, (), "It answers: analyst, rapporteur."),
        (CARE, ("inspector", "judge"), "It answers: analyst, rapporteur."),
        (POLICE, ("rapporteur",), "It answers: analyst."),
        (POLICE, ("rapporteur", "analyst"), ""),
        (CARE, ("rapporteur",), ""),
    ],
)
def test_examples_are_tried_in_a_role(files: Path, asker: str, roles: tuple[str, ...], advice: str) -> None:
    verdict = tried(files, asker=asker, roles=roles)
    assert verdict.get("advice", "").startswith(advice) and verdict["allowed"] == (not advice), verdict
    assert verdict.get("field", "requester_roles") == "requester_roles"


def test_a_program_that_the_policy_does_not_know_is_refused_in_a_trial_too(files: Path) -> None:
    text = (files / "policy.toml").read_text()
    (files / "policy.toml").write_text(text.replace("questions = 500", f'programs = ["{"0" * 64}"]'))
    assert tried(files)["field"] == "program"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("--from", "police"), "--from"),
        (("--jurisdiction", "UK"), "--jurisdiction"),
        (("--role", "analist"), "--role"),
    ],
)
def test_a_trial_names_the_argument_that_is_wrong(files: Path, arguments: tuple[str, ...], field: str) -> None:
    code, plain, _ = isthmus("policies", "test", files / "shelters.toml", files / "question.yaml", *arguments)
    assert (code, plain["error"]["field"]) == (2, field)


def test_a_question_that_does_not_ask_the_dataset_is_no_example_for_it(files: Path) -> None:
    (files / "question.yaml").write_text(QUESTION.replace("datasets/shelters", "datasets/shelter"))
    code, plain, _ = isthmus("policies", "test", files / "shelters.toml", files / "question.yaml")
    assert (code, plain["error"]["field"]) == (2, "QUERY")


def test_a_rule_for_a_column_that_the_dataset_lacks_ends_the_trial(files: Path) -> None:
    text = (files / "policy.toml").read_text()
    (files / "policy.toml").write_text(text.replace('name = "prs_Gender"', 'name = "gender"'))
    verdict = isthmus("policies", "test", files / "shelters.toml", files / "question.yaml")[1]
    assert verdict["error"]["field"] == "columns.0.name"


@pytest.mark.parametrize("allowed", [True, False])
def test_a_package_is_tried_as_if_all_had_it_installed(files: Path, allowed: bool) -> None:
    folder = ROOT / "docs" / "programs" / "dissimilarity"
    policy = re.sub(r"^statistics = .*$", 'statistics = ["program"]', (files / "policy.toml").read_text(), flags=re.M)
    digest = packages.read(folder).digest if allowed else "0" * 64
    (files / "policy.toml").write_text(policy.replace("questions = 500", f'packages = ["{digest}"]'))
    asked = (
        "statistic: {program: {name: dissimilarity, inputs: [{name: groups, column: year, codes: ['2024', '2025']},"
        " {name: over, column: prs_Gender}]}}\n"
    )
    (files / "question.yaml").write_text(QUESTION.partition("statistic:")[0] + asked)
    where = "--from", CARE, "--jurisdiction", "NL", "--role=analyst", "--program", folder
    code, plain, _ = isthmus("policies", "test", files / "shelters.toml", files / "question.yaml", *where)
    (verdict,) = plain["queries"]
    assert (code, verdict["allowed"]) == ((0, True) if allowed else (3, False)), verdict
    assert allowed or verdict["text"].startswith("shelters.example does not allow program dissimilarity@sha256:")
    assert "dissimilarity" not in programs.PROGRAMS  # it is tried, not installed
