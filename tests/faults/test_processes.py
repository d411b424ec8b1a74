"""Whole processes that go away: an agent, a gateway, the sandbox. Nothing is left behind."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

from gateway.domain.computation import State
from gateway.domain.query import Filter, Source
from gateway.sandbox import processes
from gateway.sandbox.data import YEAR
from tests.e2e.shell import QUERIES, Shell, is_open, processes_in
from tests.faults.federated import QUERY, in_mid_session

TOLD_WITHIN = 2.0
LA, PFNCA = "spaces/care.example/datasets/la", "spaces/police.example/datasets/pfnca"


async def test_processes_that_vanish_are_named_and_a_sandbox_leaves_nothing_behind(apart: Shell) -> None:
    # A gateway dies in mid-session, and its agent with it.
    held = apart.warm_party("neutral")
    (gateway,) = apart.sandbox.process_ids()["gateway"]["registry"]
    async with in_mid_session(apart, ("care", "police", "neutral")) as (_, _, ends):
        os.kill(held, signal.SIGSTOP)
        began = time.monotonic()
        os.kill(gateway, signal.SIGKILL)
        accounts = await ends()
    told = {(State.FAILED, "PEER_UNREACHABLE", "https://registry.example")}
    assert {account.told for account in accounts} == told
    assert max(account.at for account in accounts) - began < TOLD_WITHIN
    assert not is_open(apart.sandbox.addresses["registry"])

    # Who asks what needs that space is told whom to call.
    refused = apart("run", QUERIES / "form_year.yaml")
    assert (refused.code, refused.is_one_line()) == (5, True), refused
    assert "https://registry.example" in refused.err

    # An agent dies in mid-session: its gateway, which embeds it, tells everybody and stops.
    held = apart.warm_party("neutral")
    (agent,) = apart.sandbox.process_ids()["agent"]["police"]
    # Of fewer sources, so of other rows: else the ledgers would object.
    late = (Filter(YEAR, one_of=("2013", "2014")),)
    query = replace(QUERY, sources=(Source(LA, late), Source(PFNCA, late)))
    async with in_mid_session(apart, ("care", "neutral"), query) as (_, _, ends):
        os.kill(held, signal.SIGSTOP)
        began = time.monotonic()
        os.kill(agent, signal.SIGKILL)
        accounts = await ends()
    told = {(State.FAILED, "AGENT_UNREACHABLE", "https://police.example")}
    assert {account.told for account in accounts} == told
    assert max(account.at for account in accounts) - began < TOLD_WITHIN

    # What is left of the sandbox goes down, and nothing of it stays: process, port, file.
    addresses, supervisor = dict(apart.sandbox.addresses), apart.sandbox.supervisor
    started = processes_in(apart.folder)
    assert supervisor in started
    down = apart("sandbox", "down", "--json")
    assert down.code == 0, down.err
    alive = {process.id for process in processes.table()}
    assert not started & alive
    assert not processes_in(apart.folder)
    assert not any(is_open(address) for address in addresses.values())
    assert not apart.folder.exists()
    again = apart("sandbox", "ps")
    assert (again.code, again.is_one_line()) == (2, True)
