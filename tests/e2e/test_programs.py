"""A program that no release has comes to a federation: installed, allowed by two owners of three, then by all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli import exits
from gateway.domain.errors import Reason
from tests.attacks.lone import until
from tests.e2e.shell import ROOT, Shell
from tests.e2e.test_policy_changes import version
from tests.e2e.truth import everyone, form_and_gender

PACKAGE = ROOT / "docs" / "programs" / "dissimilarity"
QUESTION = PACKAGE / "question.yaml"
SOURCES = {"care": "ng", "police": "pfnca", "registry": "go"}


@pytest.fixture(scope="module")
def digest(shell: Shell) -> str:
    checked = shell("programs", "check", PACKAGE, "--json")
    assert checked.code == 0, checked.err
    assert all(finding["holds"] for finding in checked.json["findings"])
    return str(checked.json["digest"])


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A sandbox of its own, for agents read their configuration when they start."""
    with Shell.with_sandbox(tmp_path_factory.mktemp("programs")) as shell:
        yield shell


def install(shell: Shell, digest: str, *spaces: str) -> None:
    """In the agents' configurations, as their operators do; then they start again."""
    assert shell("sandbox", "down", "--keep").code == 0
    for space in spaces:
        with (shell.folder / "spaces" / space / "agent.toml").open("a") as file:
            file.write(f'\n[[programs]]\nfolder = "{PACKAGE}"\ndigest = "{digest}"\n')
    up = shell("sandbox", "up", "--detach", "--json")
    assert up.code == 0, up.err


def allow(shell: Shell, digest: str, space: str) -> None:
    """In the policy of its dataset, which the agent sees change."""
    dataset = SOURCES[space]
    file = shell.folder / "spaces" / space / "datasets" / f"{dataset}.policy.toml"
    file.write_text(file.read_text().replace("version = 1", "version = 2") + f'packages = ["{digest}"]\n')
    assert until(lambda: version(shell, space, f"spaces/{space}.example/datasets/{dataset}") == 2, 10.0)


def test_a_program_runs_once_every_operator_has_it_and_every_owner_allows_its_digest(shell: Shell, digest: str) -> None:
    named = f"program dissimilarity@sha256:{digest}"
    nowhere = shell("plan", QUESTION, "--json")
    assert (nowhere.code, nowhere.json["error"]["reason"]) == (exits.REFUSED, Reason.PROGRAM_UNKNOWN)
    assert "no space of this question runs a program dissimilarity" in nowhere.json["error"]["text"]

    install(shell, digest, "care", "police", "registry")
    lacking = shell("plan", QUESTION)
    assert lacking.code == exits.REFUSED and lacking.is_one_line()
    assert f"neutral.example does not allow {named}" in lacking.err and "isthmus programs check DIR" in lacking.err
    assert all(f"{space}.example" in lacking.err for space in SOURCES)

    install(shell, digest, "neutral")
    listed = shell("programs", "dissimilarity", "--json").json["programs"]
    assert [(item["digest"], item["statistics"]) for item in listed] == [(digest, ["program"])]
    assert len(listed[0]["spaces"]) == 4
    allow(shell, digest, "care")
    allow(shell, digest, "police")
    plan = shell("plan", QUESTION, "--json")
    verdicts = {item["space"]: item for item in plan.json["verdicts"]}
    assert plan.code == exits.REFUSED
    assert {space: item["decision"] for space, item in verdicts.items()} == {
        "https://care.example": "ALLOWED",
        "https://police.example": "ALLOWED",
        "https://neutral.example": "ALLOWED",
        "https://registry.example": "REFUSED",
    }
    refused = verdicts["https://registry.example"]
    assert refused["reason"] == Reason.POLICY_REFUSED
    assert refused["text"].startswith(f"registry.example does not allow {named} on go")
    assert "isthmus programs check DIR" in refused["advice"] and "packages" in refused["advice"]
    rejected = shell("run", QUESTION, "--json")
    assert rejected.code == exits.REFUSED and "registry.example does not allow" in rejected.err

    allow(shell, digest, "registry")
    done = shell("run", QUESTION, "--json")
    assert done.code == 0, done.err
    counts = form_and_gender(
        everyone(),
        ("NG", "PFNCA", "GO"),
        (2010, 2012, 2014),
        ("ForcedLabour", "SexualExploitation", "Servitude"),
        ("Feminine", "Masculine"),
    )
    women, men = zip(*counts, strict=True)
    index = sum(abs(a / sum(women) - b / sum(men)) for a, b in zip(women, men, strict=True)) / 2
    (row,) = done.json["rows"]
    assert row == {"dissimilarity": pytest.approx(index, abs=0.005), "suppressed": []}
    assert round(100 * row["dissimilarity"]) == 100 * row["dissimilarity"]
    again = shell("run", QUESTION, "--json")
    assert again.json["rows"] == done.json["rows"] and again.json["receipt"]["redelivered"]
    shown = shell("run", QUESTION, COLUMNS="100")
    assert shown.code == 0 and "dissimilarity" in shown.out and f"{row['dissimilarity']:.3g}" in shown.out
    forecast, spent = shell("plan", QUESTION, "--json").json["forecast"], done.json["receipt"]["cost"]
    assert abs(max(item["rounds"] for item in spent) - forecast["rounds"]) <= 2
    assert max(item["bytes_sent"] for item in spent) == pytest.approx(forecast["bytes_per_party"], rel=0.1)


def test_other_settings_are_another_table_of_the_same_people(shell: Shell, tmp_path: Path) -> None:
    finer = tmp_path / "finer.yaml"
    finer.write_text(QUESTION.read_text().replace("value: 100", "value: 99"))
    done = shell("run", finer, "--json")
    assert (done.code, done.json["ending"]["reason"]) == (exits.REFUSED, Reason.NOT_RELEASABLE)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("value: 100", "value: 1000", "steps is from 10 to 100"),
        ("name: steps", "name: stairs", "has no setting stairs"),
        ("name: over", "name: under", "has no input under"),
        ("[Feminine, Masculine]", "[Feminine]", "groups takes 2 codes"),
        ("[Feminine, Masculine]", "[Feminine, Nobody]", "not a code of prs_Gender"),
        ("name: dissimilarity", "name: similarity", "no space of this question runs a program similarity"),
    ],
)
def test_a_question_that_does_not_fit_the_program_says_what_does(
    shell: Shell, old: str, new: str, said: str, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.yaml"
    text = QUESTION.read_text()
    assert old in text
    wrong.write_text(text.replace(old, new))
    done = shell("plan", wrong)
    assert done.is_one_line() and done.code in (exits.USAGE, exits.REFUSED), done
    assert said in done.err
