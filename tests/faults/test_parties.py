"""A party that dies or stops in mid-session fails it at every space in time, with the same culprit everywhere."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from gateway.client import AsyncClient
from gateway.domain.computation import Computation, State
from tests.e2e.shell import QUERIES, ROOT, Shell
from tests.faults.federated import FOUR, QUERY, in_mid_session

STALL = 5.0
TOLD_WITHIN = 2.0


async def party(shell: Shell, space: str) -> int:
    found = await parties(shell, lambda now: sorted(map(len, now.values())) == [1, 1, 1])
    return found[space][0]


async def parties(shell: Shell, wanted: Callable[[dict[str, list[int]]], bool]) -> dict[str, list[int]]:
    """The parties, once they are as `wanted`; a deadline says when they have to be."""
    async with asyncio.timeout(10):
        while not wanted(found := await asyncio.to_thread(lambda: shell.sandbox.process_ids()["party"])):
            continue
    return found


async def test_a_killed_party_fails_the_session_everywhere_within_two_seconds(shell: Shell) -> None:
    held, killed = await party(shell, "care"), await party(shell, "police")
    async with in_mid_session(shell) as (_, _, ends):
        os.kill(held, signal.SIGSTOP)  # so that the session lasts until the other one is dead
        began = time.monotonic()
        os.kill(killed, signal.SIGKILL)
        accounts = await ends()
    assert {account.told for account in accounts} == {(State.FAILED, "PARTY_DIED", "https://police.example")}
    assert [account.space for account in accounts] == list(FOUR)
    assert max(account.at for account in accounts) - began < TOLD_WITHIN
    await usable_again(shell, {held, killed})


async def test_a_stopped_party_fails_the_session_everywhere_after_its_stall_deadline(shell: Shell) -> None:
    stopped = await party(shell, "neutral")
    async with in_mid_session(shell) as (_, _, ends):
        began = time.monotonic()
        os.kill(stopped, signal.SIGSTOP)
        accounts = await ends()
    assert {account.told for account in accounts} == {(State.FAILED, "PARTY_STALLED", "https://neutral.example")}
    assert STALL - 1 < max(account.at for account in accounts) - began < STALL + TOLD_WITHIN
    await usable_again(shell, {stopped})


async def test_a_cancelled_session_ends_everywhere_and_its_seats_are_free(shell: Shell) -> None:
    held = await party(shell, "care")
    async with in_mid_session(shell) as (asker, created, ends):
        os.kill(held, signal.SIGSTOP)
        began = time.monotonic()
        cancelled = await asker.cancel(created.name)
        accounts = await ends()
    assert cancelled.state is State.CANCELLED
    assert {account.told[0] for account in accounts} == {State.CANCELLED}
    assert max(account.at for account in accounts) - began < TOLD_WITHIN
    await usable_again(shell, {held})


async def test_an_interrupted_asker_cancels_at_all_spaces(shell: Shell) -> None:
    before = {computation.name for computation in await _all(shell, "care")}
    held = await party(shell, "care")
    os.kill(held, signal.SIGSTOP)  # the session starts and waits for it, so that it cannot be over too soon
    asking = subprocess.Popen(
        [sys.executable, "-m", "gateway", "run", str(QUERIES / "form_year.yaml"), "--json"],
        cwd=ROOT,
        env=shell.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    async with AsyncClient(shell.profile("care", "operator")) as client, asyncio.timeout(20):
        while not (fresh := [c for c in await client.list() if c.name not in before]):
            continue
        async for computation in client.watch(fresh[0].name):
            # A provider shares its inputs once its own party has its job: the stopped one is taken by then.
            if any(status.space == "https://care.example" and status.phase for status in computation.spaces):
                break
    asking.send_signal(signal.SIGINT)
    out, err = await asyncio.to_thread(asking.communicate, timeout=20)
    assert asking.returncode == 5, (out, err)
    assert "Traceback" not in err
    async with asyncio.timeout(10):
        while {c.state for c in await _all(shell, "neutral") if c.name == fresh[0].name} != {State.CANCELLED}:
            continue
    await usable_again(shell, {held})


async def usable_again(shell: Shell, used: set[int]) -> None:
    """The parties of the session are gone, each seat has a fresh one, and the next session runs."""
    found = await parties(shell, lambda now: sorted(map(len, now.values())) == [1, 1, 1] and not used & _flat(now))
    assert set(found) == {"care", "police", "neutral"}
    async with AsyncClient(shell.profile()) as client:
        created = await client.create(QUERY)
        async with asyncio.timeout(30):
            async for computation in client.watch(created.name):
                last = computation
        assert last.state is State.RELEASED, last.ending
        assert len((await client.result(last)).rows) > 0
    await parties(shell, lambda now: sorted(map(len, now.values())) == [1, 1, 1])


def _flat(found: dict[str, list[int]]) -> set[int]:
    return {process for processes in found.values() for process in processes}


async def _all(shell: Shell, space: str) -> list[Computation]:
    async with AsyncClient(shell.profile(space, "operator")) as client:
        return list(await client.list())
