"""A party that dies or stops in mid-session fails it at every space in time, with the same culprit everywhere."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from gateway.client import AsyncClient
from gateway.domain.computation import Computation, State
from tests.e2e.shell import QUERIES, ROOT, Shell
from tests.faults.federated import FOUR, QUERY, in_mid_session, until_computing

STALL = 5.0
TOLD_WITHIN = 2.0


async def party(shell: Shell, space: str) -> int:
    found = await parties(shell, lambda now: sorted(map(len, now.values())) == [1, 1, 1])
    return found[space][0]


@pytest.fixture(scope="module")
def shell(apart: Shell) -> Shell:
    """One that has no hundreds of computations behind it: here seconds count."""
    return apart


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
    asking, held, name = await _asking_and_held(shell)
    asking.send_signal(signal.SIGINT)
    out, err = await asyncio.to_thread(asking.communicate, timeout=20)
    assert asking.returncode == 5, (out, err)
    assert "Traceback" not in err
    until = time.monotonic() + 10
    while (found := await _told(shell, "neutral", name)).state is not State.CANCELLED:
        assert time.monotonic() < until, (found.state, found.ending)
    await usable_again(shell, {held})


async def _asking_and_held(shell: Shell) -> tuple[subprocess.Popen[str], int, str]:
    """`isthmus run` in mid-session, the stopped party that holds it there, and its computation.

    A session that is over before its party is stopped is asked again.
    """
    query = shell.file("shown.yaml", (QUERIES / "form_year.yaml").read_text() + "demo_view: true\n")
    async with AsyncClient(shell.profile("care", "operator")) as client, asyncio.timeout(60):
        while True:
            before = {computation.name for computation in await client.list()}
            held = await party(shell, "care")
            asking = subprocess.Popen(
                [sys.executable, "-m", "gateway", "run", str(query), "--json"],
                cwd=ROOT,
                env=shell.environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            while not (fresh := [c for c in await client.list() if c.name not in before]):
                continue
            try:
                await until_computing(client, fresh[0].name)
                os.kill(held, signal.SIGSTOP)
                if (await client.get(fresh[0].name)).state is State.RUNNING:
                    return asking, held, fresh[0].name
            except (AssertionError, ProcessLookupError):
                pass
            await asyncio.to_thread(asking.communicate, timeout=20)


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


async def _told(shell: Shell, space: str, name: str) -> Computation:
    async with AsyncClient(shell.profile(space, "operator")) as client:
        return await client.get(name)
