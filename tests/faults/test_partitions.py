"""A line that is cut, an agent or a gateway that stands still, the home gateway killed: every space ends the session,
frees everything, and names nobody who cannot be known to have done it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.client import AsyncClient
from gateway.domain.computation import State
from gateway.domain.session import UNDETERMINED
from gateway.sandbox.layout import SPACES
from tests.attacks.test_12_running_sessions import held_back
from tests.e2e.shell import Shell
from tests.faults.federated import FOUR, QUERY, Account, in_mid_session
from tests.faults.proxies import Line, Lines, sandbox_with_lines

STALL = 5.0
# A line that is silent is asked every second; then the others are heard for a moment.
SILENT = STALL + 1.8
# Gateways ask each other every second; who is cut off from the home gateway waits for its conclusion as well.
ALONE = SILENT + 1.4
TOLD_WITHIN = 2.0
ENDS_WITHIN = 20.0
CARE, POLICE = "https://care.example", "https://police.example"
HOME_AND_POLICE: tuple[Line, ...] = (("care", "police"), ("police", "care"))
POLICE_AND_NEUTRAL: tuple[Line, ...] = (("police", "neutral"), ("neutral", "police"))


@pytest.fixture(scope="module")
def cuttable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shell, Lines]]:
    """A sandbox of this module alone: its last test kills the home gateway."""
    with sandbox_with_lines(tmp_path_factory.mktemp("cut"), (*HOME_AND_POLICE, *POLICE_AND_NEUTRAL)) as made:
        yield made


@asynccontextmanager
async def slowly(shell: Shell, watched: Sequence[str] = FOUR) -> AsyncIterator[asyncio.Future[list[Account]]]:
    """In the middle of a session that lasts, because neutral's party hardly moves: all accounts of its end."""
    (party,) = (await until_fresh(shell))["neutral"]
    async with in_mid_session(shell, tuple(watched)) as (_, _, ends), held_back(party):
        yield ends()


async def until_fresh(shell: Shell, spaces: Sequence[str] = ("care", "police", "neutral")) -> dict[str, list[int]]:
    """One warm party for each seat, and no other."""
    async with asyncio.timeout(20):
        while True:
            found = await asyncio.to_thread(lambda: shell.sandbox.process_ids()["party"])
            if {space: len(found.get(space, [])) for space in spaces} == dict.fromkeys(spaces, 1):
                return found


async def until_reachable(shell: Shell) -> None:
    async with AsyncClient(shell.profile()) as client, asyncio.timeout(60):
        while sum(space.reachable for space in await client.spaces()) < len(SPACES):
            await asyncio.sleep(0.1)  # what another process does is waited for by asking it


async def runs_again(shell: Shell) -> None:
    await until_reachable(shell)
    await until_fresh(shell)
    async with AsyncClient(shell.profile()) as client, asyncio.timeout(60):
        created = await client.create(QUERY, recipient="gateway")
        async for computation in client.watch(created.name):
            last = computation
    assert last.state is State.RELEASED, last.ending


async def partitioned(cuttable: tuple[Shell, Lines], between: tuple[Line, ...]) -> tuple[list[Account], float]:
    """All accounts of a session that these lines are cut in, and when they were; none of them blames anybody."""
    shell, lines = cuttable
    async with slowly(shell) as ends:
        began = time.monotonic()
        lines.cut(between)
        async with asyncio.timeout(ENDS_WITHIN):
            accounts = await ends
    lines.cut(())
    assert {account.told for account in accounts} == {(State.FAILED, "PEER_UNREACHABLE", UNDETERMINED)}
    return accounts, began


async def test_a_partition_between_two_participants_blames_neither(cuttable: tuple[Shell, Lines]) -> None:
    accounts, began = await partitioned(cuttable, POLICE_AND_NEUTRAL)
    assert max(account.at for account in accounts) - began < SILENT + TOLD_WITHIN
    for account in accounts:
        ending = account.computation.ending
        assert ending is not None
        # Everybody is told the same, with both sides and with what to do.
        assert "cannot be told" in ending.text
        assert ending.action.startswith("Ask again")
    await until_fresh(cuttable[0])


async def test_a_partition_from_the_home_gateway_blames_nobody_on_either_side(cuttable: tuple[Shell, Lines]) -> None:
    accounts, began = await partitioned(cuttable, HOME_AND_POLICE)
    told = {account.space: account.at - began for account in accounts}
    cut_off = told.pop("police")
    assert max(told.values()) < SILENT + TOLD_WITHIN
    assert cut_off < ALONE + TOLD_WITHIN
    await until_fresh(cuttable[0])


async def test_an_agent_that_stands_still_is_found_by_its_own_gateway(cuttable: tuple[Shell, Lines]) -> None:
    shell, _ = cuttable
    (agent,) = shell.sandbox.process_ids()["agent"]["police"]
    async with slowly(shell) as ends:
        began = time.monotonic()
        os.kill(agent, signal.SIGSTOP)
        async with asyncio.timeout(ENDS_WITHIN):
            accounts = await ends
    os.kill(agent, signal.SIGCONT)
    assert {account.told for account in accounts} == {(State.FAILED, "AGENT_UNREACHABLE", POLICE)}
    assert max(account.at for account in accounts) - began < STALL + TOLD_WITHIN
    await runs_again(shell)


async def test_the_home_gateway_is_killed_and_the_others_end_without_it(cuttable: tuple[Shell, Lines]) -> None:
    shell, _ = cuttable
    (gateway,) = shell.sandbox.process_ids()["gateway"]["care"]
    async with slowly(shell, ("police", "neutral", "registry")) as ends:
        began = time.monotonic()
        os.kill(gateway, signal.SIGKILL)
        async with asyncio.timeout(ENDS_WITHIN):
            accounts = await ends
    assert {account.told[0] for account in accounts} == {State.FAILED}
    # Nobody else knows what the others saw. Started again, it names itself (tests/flows/test_taking_part.py).
    assert {account.told[2] for account in accounts} == {UNDETERMINED}
    assert all(CARE in account.computation.ending.action for account in accounts if account.computation.ending)
    assert max(account.at for account in accounts) - began < TOLD_WITHIN
    await until_fresh(shell, ("police", "neutral"))
    async with asyncio.timeout(10):
        while (await asyncio.to_thread(lambda: shell.sandbox.process_ids()["party"])).get("care"):
            continue  # its agent and its party go with it
