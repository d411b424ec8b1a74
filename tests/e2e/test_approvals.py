"""Two stewards decide on the command line while the asker waits: seen, approved, run; and a no."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.client import Client
from tests.attacks.lone import until
from tests.e2e.shell import ROOT, Shell
from tests.e2e.test_policy_changes import under, version

LA, GP = "spaces/care.example/datasets/la", "spaces/registry.example/datasets/gp"
WITHIN = 60.0


def question(title: str) -> str:
    """Of rows about which no other test asks."""
    filters = [{"column": "prs_Gender", "equals": "Masculine"}]
    return json.dumps(
        {
            "title": title,
            "purpose": "trend-monitoring",
            "legal_basis": "gdpr-6-1-e",
            "sources": [{"dataset": name, "filters": filters} for name in (LA, GP)],
            "link_on": ["prs_FirstName", "prs_SecondName", "prs_Birthdate"],
            "statistic": {"overlap": {}},
            "limits": {"minimum_cell": 0},
        }
    )


@contextmanager
def wanting(shell: Shell, *lines: str) -> Iterator[None]:
    """The policy of GP wants people, and the asker's gateway has heard of it; afterwards both are as before."""
    with under(shell, "registry", GP, "[approval]", *lines):
        assert until(lambda: version(shell, "care", GP) == 2, WITHIN)
        yield
    assert until(lambda: version(shell, "care", GP) == 1, WITHIN)


@contextmanager
def asking(shell: Shell, file: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "gateway", "run", str(file), "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, env=shell.environment(), stdout=pipe, stderr=pipe, stdin=subprocess.DEVNULL, text=True
    ) as asked:
        try:
            yield asked
        finally:
            asked.kill()


def inbox(shell: Shell, *arguments: object) -> Any:
    done = shell("approvals", *arguments, "--agent", shell.folder / "spaces" / "registry" / "agent.toml", "--json")
    assert done.code == 0, done
    return done.json


def waiting(shell: Shell, title: str) -> str:
    """The digest of the plan with this title, once it is there."""
    found: list[str] = []

    def is_there() -> bool:
        found.extend(plan["plan"] for plan in inbox(shell, "list")["plans"] if plan["title"] == title)
        return bool(found)

    assert until(is_there, WITHIN)
    return found[0]


def key(shell: Shell, name: str) -> Path:
    return shell.folder / "users" / f"registry-{name}.jwk"


def status(shell: Shell, title: str) -> tuple[str, str]:
    """What the asker sees of the registry's people."""
    with Client(shell.profile()) as client:
        found = next(item for item in client.list() if title in item.query)
    return next((item.status, item.phase) for item in found.spaces if item.space == "https://registry.example")


def test_two_stewards_approve_on_the_command_line_and_the_question_runs(shell: Shell) -> None:
    title = "Known to the public and to local authorities"
    file = shell.file("approved.json", question(title))
    with wanting(shell, "persons = 2", "within_hours = 24"):
        plan = shell("plan", file)
        assert "Needs 2 stewards at registry.example, within 1 day." in " ".join(plan.out.split()), plan
        with asking(shell, file) as asked:
            digest = waiting(shell, title)
            seen = inbox(shell, "show", digest[:12], "--key", key(shell, "anna"))
            told = {line["topic"]: line["text"] for line in seen["told"]}
            assert "exactly which of 2 lists" in told["Asked"]
            assert "analyst at care.example" in told["By"] and seen["verified"]
            assert (seen["state"], told["You sign"]) == ("SEEN", f"plan {digest}")
            assert seen["contract"]["query"]["title"] == title
            assert until(lambda: status(shell, title) == ("SEEN", "0 of 2"), WITHIN)
            alone = inbox(shell, "approve", digest, "--key", key(shell, "anna"))
            assert (alone["state"], alone["have"]) == ("SEEN", 1)
            twice = inbox(shell, "approve", digest, "--key", key(shell, "anna"))
            assert twice["have"] == 1
            both = inbox(shell, "approve", digest, "--key", key(shell, "ben"), "--reason", "as agreed")
            assert (both["state"], both["have"]) == ("APPROVED", 2)
            out, err = asked.communicate(timeout=WITHIN)
        assert asked.returncode == 0, err
        assert json.loads(out)["state"] == "RELEASED"
        facts = shell.facts("registry", database="agent.db")
        kinds = [fact.kind for fact in facts if fact.about == digest]
        assert kinds == ["plan.delivered", "plan.seen", "plan.approved", "plan.approved", "plan.approved", "plan.run"]
        assert not [fact for fact in facts if "anna" in fact.detail + fact.subject]


def test_a_no_reaches_the_asker_with_its_reason(shell: Shell) -> None:
    title = "A question that a steward turns down"
    file = shell.file("rejected.json", question(title))
    with wanting(shell, "persons = 1"), asking(shell, file) as asked:
        digest = waiting(shell, title)
        bad = shell(
            "approvals", "approve", digest, "--agent", shell.folder / "spaces" / "registry" / "agent.toml",
            "--key", shell.folder / "users" / "care-anna.jwk",
        )  # fmt: skip
        assert bad.code == 3 and bad.is_one_line(), bad
        done = inbox(shell, "reject", digest, "--key", key(shell, "ben"), "--reason", "not these people")
        assert done["state"] == "REJECTED"
        out, err = asked.communicate(timeout=WITHIN)
        assert asked.returncode == 3, err
        ending = json.loads(out)["ending"]
        assert (ending["reason"], ending["space"]) == ("NOT_APPROVED", "https://registry.example")
        assert "not these people" in ending["text"]


def test_stewards_write_the_policy_and_decide_by_their_gateway_alone(shell: Shell) -> None:
    """No steward touches the agent's folder: a policy that two sign wants two of them, who then approve a question."""
    title = "Decided from afar"
    file = shell.file("afar.json", question(title))
    policy = shell.folder / "spaces" / "registry" / "datasets" / "gp.policy.toml"
    first, start = policy.read_text(), len(shell.facts("registry", database="agent.db"))
    profile = shell.sandbox.profile("registry", "operator")

    def steward(*command: object, code: int = 0, profile: Path = profile) -> Any:
        done = shell(*command, "--profile", profile, "--json")
        assert done.code == code, done
        return done.json

    shown = steward("policies", "show", GP)
    assert (shown["version"], shown["text"]) == (1, first)
    wanted = shell.file("gp.policy.toml", first.replace("version = 1", "version = 2") + "\n[approval]\npersons = 2\n")
    propose = ("policies", "propose", wanted, "--dataset", GP, "--key")
    try:
        analyst = shell.sandbox.profile("registry", "analyst")
        assert steward(*propose, key(shell, "anna"), code=3, profile=analyst)["error"]["reason"] == "PERMISSION_DENIED"
        foreign = shell.folder / "users" / "care-anna.jwk"
        assert steward(*propose, foreign, code=3)["error"]["reason"] == "PERMISSION_DENIED"
        alone = steward(*propose, key(shell, "anna"))
        assert (alone["have"], alone["need"], alone["accepted"]) == (1, 2, False)
        assert policy.read_text() == first
        both = steward(*propose, key(shell, "ben"))
        assert (both["have"], both["accepted"], both["in_force"]) == (2, True, True)
        assert policy.read_text() == wanted.read_text()
        assert until(lambda: version(shell, "care", GP) == 2, WITHIN)
        with asking(shell, file) as asked:
            found: list[str] = []

            def is_there() -> bool:
                plans = steward("approvals", "list")["plans"]
                found.extend(plan["plan"] for plan in plans if plan["title"] == title)
                return bool(found)

            assert until(is_there, WITHIN)
            page = steward("approvals", "show", found[0][:12], "--key", key(shell, "anna"))
            told = {line["topic"]: line["text"] for line in page["told"]}
            assert (page["state"], told["You sign"]) == ("SEEN", f"plan {found[0]}") and page["verified"]
            decide = ("approvals", "approve", found[0], "--key")
            assert steward(*decide, foreign, code=3)["error"]["field"] == "--key"
            assert steward(*decide, key(shell, "anna"))["have"] == 1
            assert steward(*decide, key(shell, "ben"))["state"] == "APPROVED"
            out, err = asked.communicate(timeout=WITHIN)
        assert asked.returncode == 0, err
        assert json.loads(out)["state"] == "RELEASED"
    finally:
        policy.write_text(first)
        assert until(lambda: version(shell, "care", GP) == 1, WITHIN)
    facts = shell.facts("registry", start=start, database="agent.db")
    kinds = [fact.kind for fact in facts]
    for kind in ("policy.proposed", "policy.accepted", "policy.refused", "policy.changed", "decision.refused"):
        assert kind in kinds
    assert not [fact for fact in facts if "anna" in fact.detail + fact.subject]
