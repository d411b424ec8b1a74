"""Suspect lists, by the files and commands of docs/suspects.md: how many are on both, and whether one person is, as an
investigator asks it and stewards of both spaces decide on it."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from functools import partial

import pytest

from gateway.cli import exits
from gateway.client import load_query
from tests.attacks.lone import until
from tests.e2e import truth
from tests.e2e.shell import QUERIES, ROOT, WITHIN, Shell
from tests.e2e.walk import Operator, Step, steps

PAGE = ROOT / "docs" / "suspects.md"
SPACES = ("police", "registry")
NAMES = tuple(f"{space}.example/suspects" for space in SPACES)


@pytest.fixture
def investigator(shell: Shell) -> Operator:
    for name in ("suspects_count", "hit"):
        shutil.copy(QUERIES / f"{name}.yaml", shell.folder)
    return Operator(shell)


def is_on_both(shell: Shell) -> dict[int, bool]:
    own, other = (shell.folder / "spaces" / space / "data" / "suspects.csv" for space in SPACES)
    return truth.cases(own, other)


def commands() -> tuple[Step, Step, Step, list[Step]]:
    """Counting, the plan, the question that waits, and what the people of both spaces do."""
    count, plan, ask, *decide = (step for step in steps(PAGE, "In the sandbox") if step.kind == "sh")
    assert ask.waits
    return count, plan, ask, decide


def finds(investigator: Operator, listing: Step, case: int, found: list[str]) -> bool:
    """Whether a plan about this case waits, and which."""
    plans = investigator.run(Step("sh", f"{listing.text} --json")).json["plans"]
    found[:] = [plan["plan"] for plan in plans if (plan["title"], plan["state"]) == (f"Case {case}", "DELIVERED")]
    return bool(found)


def asked(investigator: Operator, case: int, whole: bool = True) -> tuple[int, str, str]:
    """How the question about this case ends, asked and decided on by the commands of the page; if not by the `whole` of
    them, without those that only look."""
    file = investigator.folder / "hit.yaml"
    file.write_text((QUERIES / "hit.yaml").read_text().replace("4711", str(case)))
    _, _, ask, decide = commands()
    found: list[str] = []
    with investigator.start(ask) as waiting:
        try:
            for step in decide:
                verb = step.text.split()[2]
                if verb == "approve":
                    assert waiting.poll() is None
                    investigator.run(step, DIGEST=found[0])
                elif verb == "list":
                    assert until(partial(finds, investigator, step, case, found), WITHIN)
                    assert not whole or f"{found[0][:12]}  Case {case}" in investigator.run(step).out
                elif whole:
                    shown = "".join(investigator.run(step, PLAN=found[0][:12]).out.split())
                    assert f"Yousignplan{found[0]}" in shown
            out, err = waiting.communicate(timeout=WITHIN)
        finally:
            waiting.kill()
    return waiting.returncode, out, err


def test_the_page_shows_the_question_of_its_file() -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), flags=re.S)
    kept = (QUERIES / "hit.yaml").read_text()
    assert shown == "".join(line for line in kept.splitlines(keepends=True) if not line.startswith("#"))
    assert load_query(QUERIES / "hit.yaml").query.statistic.name == "hit"


def test_how_many_are_on_both_lists(investigator: Operator) -> None:
    ours = is_on_both(investigator.shell)
    theirs = truth.cases(*(investigator.folder / "spaces" / s / "data" / "suspects.csv" for s in reversed(SPACES)))
    there = Counter(ours.values())
    count, *_ = commands()
    out = investigator.run(count).out
    rows = [line.split() for line in out.splitlines() if re.match(r" +[●·]", line)]
    expected = {"●·": there[False], "·●": len(theirs) - there[True], "●●": there[True]}
    assert {row[0] + row[1]: int(row[2]) for row in rows} == expected
    assert all(line.rstrip() in PAGE.read_text() for line in out.splitlines() if re.match(r" +[●·]", line))


@pytest.mark.timeout(600)
def test_a_hit_a_miss_and_a_repeat_after_two_stewards_of_each_space_approved(investigator: Operator) -> None:
    shell, cases = investigator.shell, is_on_both(investigator.shell)
    assert cases[4711], "the page shows a hit"
    said = " ".join(investigator.run(commands()[1]).out.split())
    assert all(f"Needs 2 stewards at {space}.example" in said for space in SPACES)
    missing = next(case for case, both in cases.items() if not both)
    kinds: list[list[str]] = []
    for case, shown in ((4711, "a hit"), (missing, "no hit")):
        before = len(shell.facts("registry", database="agent.db"))
        code, out, err = asked(investigator, case)
        assert code == 0, err
        assert f"registry.example/suspects: {shown}" in out
        after = shell.facts("registry", start=before, database="agent.db")
        kinds.append([fact.kind for fact in after])
        assert not [fact for fact in after if str(case) in fact.detail]
    # What the other space has written down is the same, hit or miss.
    assert kinds[0] == kinds[1] and "person.answered" in kinds[0] and "kept.stored" not in kinds[0]
    code, _, err = asked(investigator, missing, whole=False)
    assert code == exits.REFUSED and "is not answered here" in err, err


def test_nobody_asks_by_default_nor_about_another_spaces_people(shell: Shell) -> None:
    text = (QUERIES / "hit.yaml").read_text()
    plain = text.replace("police.example/datasets/suspects", "police.example/datasets/pfnca")
    other = text.replace("police.example", "x").replace("registry.example", "police.example")
    for name, asking, profile in (
        ("never.yaml", plain.replace("column: case, equals: 4711", "column: age, equals: 20"), "police-analyst"),
        ("turned.yaml", other.replace("/x/", "/registry.example/"), "registry-analyst"),
    ):
        done = shell("plan", shell.file(name, asking), "--profile", shell.folder / "users" / f"{profile}.toml")
        assert done.code == exits.REFUSED, done
