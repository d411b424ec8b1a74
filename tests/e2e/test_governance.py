"""An operator's walk from policy file to report, by the files and commands of docs/governance.md as they stand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.client import Client, Profile
from tests.attacks.lone import until
from tests.e2e.shell import ROOT, WITHIN, Done, Shell

PAGE = ROOT / "docs" / "governance.md"
GO = "spaces/registry.example/datasets/go"


@dataclass(frozen=True, slots=True)
class Step:
    """A file block (its language and text) or one command, with the exit code that the page says."""

    kind: str
    text: str
    code: int = 0
    waits: bool = False


def steps(heading: str) -> list[Step]:
    section = re.split(r"^## ", PAGE.read_text().partition(f"\n## {heading}")[2], maxsplit=1, flags=re.M)[0]
    found = []
    for kind, text in re.findall(r"```(\w+)\n(.*?)```", section, flags=re.S):
        if kind != "sh":
            found.append(Step(kind, text))
            continue
        for line in text.splitlines():
            command, _, remark = line.partition(" # ")
            code = int(remark.removeprefix("exit ")) if remark.startswith("exit ") else 0
            found.append(Step(kind, command, code, remark == "waits"))
    return found


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody at a terminal in the sandbox's folder."""

    shell: Shell

    @property
    def folder(self) -> Path:
        return self.shell.folder

    def words(self, command: str, **names: str) -> list[str]:
        written = [names.get(word, word) for word in shlex.split(command)[1:]]
        return [sys.executable, "-m", "gateway", *written]

    def run(self, step: Step, **names: str) -> Done:
        """The command as it stands on the page; it ends as the page says."""
        done = subprocess.run(
            self.words(step.text, **names), cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=WITHIN,
        )  # fmt: skip
        assert done.returncode == step.code, (step.text, done.stdout, done.stderr)
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, step: Step) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.words(step.text), cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL, stdout=pipe,
            stderr=pipe, text=True,
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        return self.shell.environment(PYTHONPATH=str(ROOT))

    def write_policy(self, step: Step) -> None:
        """Into the dataset's own file; done when the police's gateway offers it."""
        (self.folder / "spaces" / "registry" / "datasets" / "go.policy.toml").write_text(step.text)
        version = int(re.search(r"^version = (\d+)", step.text, flags=re.M).group(1))  # type: ignore[union-attr]
        profile = Profile.load(self.folder / "users" / "police-analyst.toml")

        def is_offered() -> bool:
            with Client(profile) as client:
                return client.dataset(GO).dataset.terms.version == version

        assert until(is_offered, WITHIN)

    def has_offered(self, edition: str) -> bool:
        profile = Profile.load(self.folder / "users" / "police-analyst.toml")

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
    policy, query, *tries = steps("1 ")
    (operator.folder / "by-form.yaml").write_text(query.text)
    operator.write_policy(policy)
    said, allowed, refused = [operator.run(step) for step in tries]
    assert "2 different stewards" in " ".join(said.out.split())
    assert "allowed" in allowed.out and "https://care.example" in refused.out

    first, second, listed = [operator.run(step) for step in steps("2 ")]
    assert "2014-1" in first.out and "2014-1" in listed.out and "2014-2" not in listed.out
    assert "2014-2" not in second.out.splitlines()[-1] or "nothing" in second.out.lower()
    assert operator.has_offered("2014-1")

    planned, asking = steps("3 ")
    assert "Needs 2 stewards at registry.example, within 3 days" in " ".join(operator.run(planned).out.split())
    assert asking.waits
    with operator.start(asking) as asked:
        try:
            listing, show, *yes = steps("4 ")
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

    again, computations = [operator.run(step) for step in steps("5 ")]
    assert "no session was run" in " ".join(again.out.split())
    counts = [re.findall(r"\d[\d\u202f ]*$|<11\*", line) for line in out.splitlines()]
    assert counts[:20] == [re.findall(r"\d[\d\u202f ]*$|<11\*", line) for line in again.out.splitlines()][:20]
    (latest, *_) = re.findall(r"\b[0-9a-f]{32}\b", computations.out)

    withdrawn, no = steps("6 ")
    operator.write_policy(withdrawn)
    assert "POLICY_REFUSED" in operator.run(no).err + operator.run(no).out or "not open" in operator.run(no).err

    verified, _, report, record = [operator.run(step, ID=latest) for step in steps("7 ")]
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
