"""One person against another space's list, as an investigator asks it and stewards of both spaces decide on it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.cli import exits
from tests.attacks.lone import until
from tests.e2e.shell import Shell
from tests.e2e.test_approvals import WITHIN, asking
from tests.e2e.test_policy_changes import version
from tests.e2e.truth import referred_alone

NG, GO = "spaces/care.example/datasets/ng", "spaces/registry.example/datasets/go"
SPACES = {"care": NG, "registry": GO}
TERMS = ["[one_person]", 'legal_bases = ["led-8"]', 'roles = ["analyst"]', "least_list = 100"]


def file_of(shell: Shell, space: str, kind: str) -> Path:
    name = SPACES[space].rsplit("/", 1)[-1]
    folder = shell.folder / "spaces" / space
    return folder / "datasets" / f"{name}.policy.toml" if kind == "policy" else folder / "data" / f"{name}.csv"


def question(day: str, title: str, **changes: Any) -> str:
    sources = [
        {"dataset": NG, "filters": [{"column": "cas_IncomingReferralDate", "equals": day}]},
        {"dataset": GO},
    ]
    asked = {
        "title": title,
        "purpose": "criminal-investigation",
        "legal_basis": "led-8",
        "sources": sources,
        "link_on": ["prs_FirstName", "prs_SecondName", "prs_Birthdate"],
        "statistic": {"hit": {"least_list": 100}},
    }
    return json.dumps(asked | changes)


@contextmanager
def answering(shell: Shell) -> Iterator[None]:
    """Both policies have terms for it: NG's people are asked about by the day of their referral."""
    first = {space: file_of(shell, space, "policy").read_text() for space in SPACES}
    try:
        for space, text in first.items():
            more = re.sub(r"statistics = \[", 'statistics = ["hit", ', text, count=1)
            more = more.replace("purposes = [", 'purposes = ["criminal-investigation", ')
            case = ['case = "cas_IncomingReferralDate"'] if space == "care" else []
            written = [more.replace("version = 1", "version = 2"), *TERMS, *case, ""]
            file_of(shell, space, "policy").write_text("\n".join(written))
        for name in SPACES.values():
            assert until(lambda name=name: version(shell, "care", name) == 2, WITHIN)  # type: ignore[misc]
        yield
    finally:
        for space, text in first.items():
            file_of(shell, space, "policy").write_text(text)
        for name in SPACES.values():
            assert until(lambda name=name: version(shell, "care", name) == 1, WITHIN)  # type: ignore[misc]


def inbox(shell: Shell, space: str, *arguments: object) -> Any:
    done = shell("approvals", *arguments, "--agent", shell.folder / "spaces" / space / "agent.toml", "--json")
    assert done.code == 0, done
    return done.json


def approve(shell: Shell, space: str, title: str, *names: str) -> Any:
    """What the last of these stewards hears."""
    found: list[str] = []
    waiting = {(title, state) for state in ("DELIVERED", "SEEN")}

    def is_there() -> bool:
        listed = inbox(shell, space, "list")["plans"]
        found.extend(plan["plan"] for plan in listed if (plan["title"], plan["state"]) in waiting)
        return bool(found)

    assert until(is_there, WITHIN)
    said: Any = None
    for name in names:
        said = inbox(shell, space, "approve", found[0], "--key", shell.folder / "users" / f"{space}-{name}.jwk")
    return said


def answer(shell: Shell, day: str, title: str) -> tuple[int, str, str]:
    """Code, output and errors of a question on which all four stewards have decided, the last of them at the end."""
    with asking(shell, shell.file("hit.json", question(day, title))) as asked:
        approve(shell, "care", title, "anna", "ben")
        alone = approve(shell, "registry", title, "anna")
        assert (alone["have"], alone["need"], alone["state"] != "APPROVED", asked.poll()) == (1, 2, True, None)
        approve(shell, "registry", title, "ben")
        out, err = finished(asked)
    return asked.returncode, out, err


def finished(asked: subprocess.Popen[str]) -> tuple[str, str]:
    return asked.communicate(timeout=WITHIN)


def test_never_by_default(shell: Shell) -> None:
    done = shell("plan", shell.file("never.json", question("2013-03-05", "Never by default")), "--json")
    assert done.code == exits.REFUSED, done
    said = {verdict["space"]: verdict["decision"] for verdict in done.json["verdicts"]}
    assert [said[f"https://{space}.example"] for space in SPACES] == ["REFUSED", "REFUSED"]


def test_a_hit_a_miss_and_a_repeat_after_two_stewards_of_each_space_approved(shell: Shell) -> None:
    days = referred_alone(file_of(shell, "care", "data"), file_of(shell, "registry", "data"))
    on, off = (next(day for day, there in days.items() if there is wanted) for wanted in (True, False))
    kinds: list[list[str]] = []
    with answering(shell):
        for day, hit in ((on, 1), (off, 0)):
            before = len(shell.facts("registry", database="agent.db"))
            code, out, err = answer(shell, day, f"Case of {day}")
            assert code == 0, err
            (row,) = json.loads(out)["rows"]
            assert (row["count"], row["suppressed"]) == (hit, [])
            after = shell.facts("registry", start=before, database="agent.db")
            kinds.append([fact.kind for fact in after])
            assert not [fact for fact in after if day in fact.detail]
        # What the other space has written down is the same, hit or miss.
        assert kinds[0] == kinds[1] and "person.answered" in kinds[0] and "kept.stored" not in kinds[0]
        code, _, err = answer(shell, on, f"Case of {on}")
        assert code == exits.REFUSED and "is not answered here" in err, err
