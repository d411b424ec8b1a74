"""The fork server and the pool over it: parties come and go without a trace, and die with whom they belong to."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import uvloop

from connectors.engine.pipe import FromParty, ToParty
from connectors.launch.forkserver import COMMAND, ForkServer, ServerGone
from connectors.launch.subprocesses import PartyPool
from gateway.domain.errors import IsthmusError, Reason
from gateway.sandbox import processes
from tests.engine.relay import SETTINGS, forked

WITHIN = 20.0


def children(process: int) -> list[str]:
    """Of one thread; those that ended and were not reaped too."""
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


def server_of(party: int) -> int:
    return next(process.parent for process in processes.table() if process.id == party)


async def test_two_hundred_parties_come_and_go_and_leave_nothing_behind() -> None:
    async with forked(4) as (pool, parties):
        server, descriptors, seen = server_of(parties[0].process_id), os.listdir("/proc/self/fd"), set()
        for _ in range(50):
            for party in parties:
                seen.add(party.process_id)
                await pool.give_back(party)
            parties = [await pool.take() for _ in parties]
        assert len(seen) == 200
        assert sorted(children(server)) == sorted(str(party.process_id) for party in parties)
        assert len(os.listdir("/proc/self/fd")) == len(descriptors)
    assert not processes.is_alive(server)


async def test_a_server_that_dies_takes_its_parties_with_it_and_another_one_serves() -> None:
    async with forked(2) as (pool, (party, other)):
        server = server_of(party.process_id)
        await pool.give_back(other)  # so that one has a job, and one waits for it
        os.kill(server, signal.SIGKILL)
        assert [kind async for kind, _ in party.messages()] == []
        assert await party.ending() == (Reason.PARTY_DIED, "with the server that it was forked from")
        await pool.give_back(party)
        async with asyncio.timeout(WITHIN):
            again = [await pool.take(), await pool.take()]
        assert {server_of(one.process_id) for one in again} != {server}
        assert all(one.is_alive for one in again)
        # The first server's are gone, all of them.
        assert [one for one in processes.table() if one.parent == server] == []


async def test_a_party_that_dies_while_it_waits_is_replaced_when_it_is_wanted() -> None:
    async with forked(1) as (pool, (party,)):
        await pool.give_back(party)
        waiting = await pool.take()
        os.kill(waiting.process_id, signal.SIGKILL)
        assert await waiting.ending() == (Reason.PARTY_DIED, "by SIGKILL")
        await pool.give_back(waiting)
        assert (await pool.take()).is_alive


async def test_there_are_as_many_parties_as_seats() -> None:
    async with forked(1) as (pool, (party,)):
        with pytest.raises(IsthmusError) as refused:
            await pool.take()
        assert refused.value.reason is Reason.NO_FREE_SEAT
        await pool.give_back(party)
        assert (await pool.take()).process_id != party.process_id


AGENT = """
import asyncio
from connectors.launch.subprocesses import PartyPool
from tests.engine.relay import SETTINGS

async def main():
    pool = PartyPool(1, SETTINGS)
    pool.start()
    party = await pool.take()
    print(party.process_id, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_when_the_agent_is_killed_server_and_parties_die() -> None:
    with subprocess.Popen([sys.executable, "-c", AGENT], stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        while not (line := agent.stdout.readline()).strip().isdigit():
            assert line  # its log stands before the number
        party = int(line)
        # A descriptor of a process can be read when it has ended.
        held = [os.pidfd_open(process) for process in (party, server_of(party))]
        agent.kill()
    for descriptor in held:
        assert select.select([descriptor], [], [], WITHIN)[0]
        os.close(descriptor)


async def test_a_server_that_refuses_to_serve_says_why_and_nobody_waits_for_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    refusing = replace(SETTINGS, kernels=str(tmp_path))
    server = await ForkServer.started(refusing)
    with pytest.raises(ServerGone, match="compiled kernels are not loaded from"):
        await server.warm()
    await server.close()
    for pool in (PartyPool(1, refusing), PartyPool(1, SETTINGS, ("/no/such/command",))):
        pool.start()
        with pytest.raises(IsthmusError) as refused:
            await pool.take()
        assert refused.value.reason is Reason.NO_FREE_SEAT
        await pool.close()


async def test_a_server_that_forks_has_one_thread() -> None:
    async with forked(1) as (_, (party,)):
        assert len(os.listdir(f"/proc/{server_of(party.process_id)}/task")) == 1


@pytest.mark.parametrize("loop", [asyncio, uvloop])
def test_what_the_pipe_does_not_hold_arrives_whole_whichever_loop_runs(loop: ModuleType) -> None:
    async def talk() -> None:
        async with forked(1) as (_, (party,)):
            for _ in range(40):  # MiB: less than a party keeps before its job
                party.send(ToParty.PEER, bytes(1 << 20))
            await party.drained()
            party.send(ToParty.JOB, b"no job")
            said = [(kind, body) async for kind, body in party.messages()]
            assert [kind for kind, _ in said] == [FromParty.FAILED]
            assert b"BAD_JOB" in bytes(said[0][1])

    loop.run(talk())


async def test_what_a_party_has_not_read_is_counted() -> None:
    async with forked(1) as (_, (party,)):
        os.kill(party.process_id, signal.SIGSTOP)
        assert party.unread() == 0
        for _ in range(2):
            party.send(ToParty.PEER, bytes(1 << 20))
        assert party.unread() == 2 * (5 + (1 << 20))


def test_the_command_runs_the_packages_own_code() -> None:
    assert COMMAND[:2] == (sys.executable, "-P")


async def test_where_full_confinement_is_required_no_party_starts_without_it() -> None:
    with pytest.raises(IsthmusError, match="no files to confine a party with") as refused:
        async with forked(1, server="tests.engine.unconfinable"):
            raise AssertionError("a party started")
    assert refused.value.reason is Reason.NO_FREE_SEAT


async def test_where_it_is_not_a_party_starts_with_what_there_is() -> None:
    best = replace(SETTINGS, confinement="best effort")
    async with forked(1, server="tests.engine.unconfinable", settings=best) as (_, (party,)):
        assert party.is_alive
