"""A steward writes another policy while the federation works: it is offered at once, and ends what it forbids."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.client import Client
from gateway.domain.computation import State
from gateway.domain.errors import Reason
from tests.attacks.lone import until
from tests.attacks.test_12_running_sessions import held_back
from tests.e2e.shell import QUERIES, Shell
from tests.faults.federated import in_mid_session

LA, PFNCA = "spaces/care.example/datasets/la", "spaces/police.example/datasets/pfnca"
# The agent looks twice a second and takes what it found the same twice; its parties and peers are told at once.
WITHIN = 4.0


def version(shell: Shell, space: str, dataset: str) -> int:
    """What the gateway of `space` offers."""
    with Client(shell.profile(space)) as client:
        return client.dataset(dataset).dataset.terms.version


@contextmanager
def under(shell: Shell, space: str, dataset: str, *more: str) -> Iterator[Path]:
    """Version 2 of its policy with these lines; the first one is back in force afterwards."""
    file = shell.folder / "spaces" / space / "datasets" / f"{dataset.rsplit('/', 1)[-1]}.policy.toml"
    first = file.read_text()
    try:
        file.write_text("\n".join([first.replace("version = 1", "version = 2"), *more]))
        yield file
    finally:
        file.write_text(first)
        assert until(lambda: version(shell, space, dataset) == 1)


def test_a_new_policy_is_offered_and_a_broken_one_is_not_without_a_restart(shell: Shell) -> None:
    before = len(shell.facts(database="agent.db"))
    with under(shell, "care", LA, "spaces = []") as file:
        assert until(lambda: version(shell, "care", LA) == 2, WITHIN)
        plan = shell("plan", QUERIES / "form_year.yaml", "--json")
        assert plan.code == 3
        (refused,) = [verdict for verdict in plan.json["verdicts"] if verdict["decision"] == "REFUSED"]
        assert (refused["space"], refused["reason"]) == ("https://care.example", Reason.POLICY_REFUSED)
        file.write_text("version = 3\n")
        kinds = ["policy.changed", "policy.refused"]
        assert until(
            lambda: [fact.kind for fact in shell.facts(start=before, database="agent.db")][-1] == kinds[1], WITHIN
        )
        assert version(shell, "care", LA) == 2
    assert shell("plan", QUERIES / "form_year.yaml").code == 0


async def test_a_running_session_ends_everywhere_when_one_policy_is_withdrawn(shell: Shell) -> None:
    party = shell.warm_party("neutral")
    async with in_mid_session(shell) as (_, _, ends), held_back(party):
        began = time.monotonic()
        with under(shell, "police", PFNCA, "spaces = []"):
            accounts = await ends()
            assert until(lambda: version(shell, "police", PFNCA) == 2)  # before the first one is waited for
    assert max(account.at for account in accounts) - began < WITHIN
    assert {account.told for account in accounts} == {
        (State.FAILED, Reason.POLICY_REFUSED.value, "https://police.example")
    }
    done = shell("run", QUERIES / "form_year.yaml")
    assert done.code == 0, done
