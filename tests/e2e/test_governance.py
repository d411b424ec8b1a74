"""An operator's walk from policy file to report, by the files and commands of docs/governance.md as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from gateway.client import Client, Profile
from tests.attacks.lone import until
from tests.e2e.shell import ROOT, WITHIN, Shell
from tests.e2e.walk import Operator, Step, steps

PAGE = ROOT / "docs" / "governance.md"
GO = "spaces/registry.example/datasets/go"


def write_policy(operator: Operator, step: Step) -> None:
    """Into the dataset's own file; done when the police's gateway offers it."""
    (operator.folder / "spaces" / "registry" / "datasets" / "go.policy.toml").write_text(step.text)
    version = int(re.search(r"^version = (\d+)", step.text, flags=re.M).group(1))  # type: ignore[union-attr]
    profile = Profile.load(operator.folder / "users" / "police-analyst.toml")

    def is_offered() -> bool:
        with Client(profile) as client:
            return client.dataset(GO).dataset.terms.version == version

    assert until(is_offered, WITHIN)


def has_offered(operator: Operator, edition: str) -> bool:
    profile = Profile.load(operator.folder / "users" / "police-analyst.toml")

    def is_offered() -> bool:
        with Client(profile) as client:
            return client.dataset(GO).dataset.edition.id == edition

    return until(is_offered, WITHIN)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The walk changes a policy for good: its sandbox is its own."""
    with Shell.with_sandbox(tmp_path_factory.mktemp("governance")) as shell:
        yield Operator(shell)


@pytest.mark.timeout(600)
def test_the_page_takes_an_operator_from_policy_file_to_report(operator: Operator) -> None:
    policy, query, *tries = steps(PAGE, "1 ")
    (operator.folder / "by-form.yaml").write_text(query.text)
    write_policy(operator, policy)
    said, allowed, refused = [operator.run(step) for step in tries]
    assert "2 different stewards" in " ".join(said.out.split())
    assert "allowed" in allowed.out and "https://care.example" in refused.out

    first, second, listed = [operator.run(step) for step in steps(PAGE, "2 ")]
    assert "2014-1" in first.out and "2014-1" in listed.out and "2014-2" not in listed.out
    assert "2014-2" not in second.out.splitlines()[-1] or "nothing" in second.out.lower()
    assert has_offered(operator, "2014-1")

    planned, asking = steps(PAGE, "3 ")
    assert "Needs 2 stewards at registry.example, within 3 days" in " ".join(operator.run(planned).out.split())
    assert asking.waits
    with operator.start(asking) as asked:
        try:
            listing, show, *yes = steps(PAGE, "4 ")
            found: list[str] = []

            def is_delivered() -> bool:
                found[:] = re.findall(r"^([0-9a-f]{12})\b", operator.run(listing).out, flags=re.M)
                return bool(found)

            assert until(is_delivered, WITHIN)
            shown = operator.run(show, PLAN=found[0]).out
            assert "Victims of each form of exploitation" in shown and "police.example" in shown
            (digest,) = re.findall(r"Yousignplan([0-9a-f]{64})", "".join(shown.split()))
            for step in yes:
                operator.run(step, DIGEST=digest)
            out, err = asked.communicate(timeout=WITHIN)
        finally:
            asked.kill()
    assert asked.returncode == 0, err
    assert "<11*" in out  # suppressed cells are marked

    again, computations = [operator.run(step) for step in steps(PAGE, "5 ")]
    assert "no session was run" in " ".join(again.out.split())
    counts = [re.findall(r"\d[\d\u202f ]*$|<11\*", line) for line in out.splitlines()]
    assert counts[:20] == [re.findall(r"\d[\d\u202f ]*$|<11\*", line) for line in again.out.splitlines()][:20]
    (latest, *_) = re.findall(r"\b[0-9a-f]{32}\b", computations.out)

    withdrawn, no = steps(PAGE, "6 ")
    write_policy(operator, withdrawn)
    assert "POLICY_REFUSED" in operator.run(no).err + operator.run(no).out or "not open" in operator.run(no).err

    verified, _, report, record = [operator.run(step, ID=latest) for step in steps(PAGE, "7 ")]
    assert "holds" in verified.out
    told = report.json
    assert [item["outcome"] for item in told["asked"]] == ["released", "delivered again"]
    assert [len(set(item["stewards"])) for item in told["asked"]] == [2, 2]
    assert {item["kind"] for item in told["inferences"]} >= {"combinations of several answers", "answers with noise"}
    for name in ("go.html", "record.html"):
        page = (operator.folder / name).read_text()
        assert page.startswith("<!doctype html>".upper()) or page.lower().startswith("<!doctype html>")
        assert "Victims of each form of exploitation" in page and "<script" not in page
    assert record.code == 0
