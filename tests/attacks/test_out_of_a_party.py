"""Somebody has broken into a party: what they find there, and what the kernel lets them do. Real parties of a real fork
server, confined in full; all of it under `python -O` too."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.engine import programs
from connectors.rules.party_job import blame
from gateway.domain.errors import Reason
from gateway.rules.sealing import open_output
from tests import examples
from tests.engine import intruder
from tests.engine.relay import SETTINGS, Federation, Seat, run
from tests.engine.test_programs import BOUNDS, LISTS, SOME

SERVER = "tests.engine.intruder"
FLAGS = pytest.mark.parametrize("flags", [(), ("-O",)], ids=["plain", "optimised"])


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    """The agent's side seals inputs for the program too."""
    intruder.installed()
    yield
    del programs.PROGRAMS[intruder.NAME]


def breaking_in(tries: str, **more: object) -> Federation:
    parameters = {"tries": tries, "agent": os.getpid(), "overlap": dict(LISTS), **more}
    return Federation(intruder, parameters, SOME, BOUNDS)


def told(seats: list[Seat]) -> dict[str, Any]:
    return next(seat.ended for seat in seats if seat.ended)


@FLAGS
async def test_nothing_of_the_machine_can_be_reached_from_a_party(flags: Sequence[str]) -> None:
    seats = await run(breaking_in("everything"), flags=flags, server=SERVER)
    tried = json.loads(told(seats)["detail"])
    assert set(tried) == set(intruder.REFUSED)
    assert {name: why for name, why in tried.items() if not why} == {}
    assert not Path("/tmp/left-by-a-party").exists()


@pytest.mark.parametrize("tries", intruder.DEADLY)
async def test_what_only_an_intruder_does_ends_the_party_there(tries: str) -> None:
    seats = await run(breaking_in(tries), server=SERVER)
    assert [seat.ending for seat in seats] == ["at a system call that no party makes"] * 3


async def test_a_party_has_its_pipes_and_its_loop_and_nothing_of_its_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_SECRET", "a canary")
    inheritable = os.dup(2)
    os.set_inheritable(inheritable, True)
    has = json.loads(told(await run(breaking_in("what it has"), server=SERVER))["detail"])
    os.close(inheritable)
    assert has["environment"] == {}
    assert set(has["at start"]) == {"LANG", "NUMBA_CACHE_DIR", "OPENBLAS_NUM_THREADS", "PATH", "PYTHONPATH"}
    # In, nothing, nothing, out; the event loop's own: a queue of events and a pair of sockets.
    assert has["descriptors"] == [0, 1, 2, 3, 4, 5, 6]


async def test_more_memory_than_its_limit_ends_the_session_and_names_the_party() -> None:
    small = replace(SETTINGS, memory=512 << 20)
    seats = await run(breaking_in("memory"), server=SERVER, settings=small)
    said = told(seats)
    assert said["reason"] == "OUT_OF_MEMORY"
    failure = blame(examples.contract(), examples.HOME, 0, said)
    assert (failure.reason, failure.culprit) == (Reason.RESOURCE_EXHAUSTED, examples.HOME)
    assert failure.text.startswith("party 0: the session needs more memory")


async def test_a_busy_party_cannot_outlive_its_deadline() -> None:
    def hurried(pid: int, job: dict[str, Any]) -> None:
        job["deadline_seconds"] = 0.5 if pid == 0 else 60

    seats = await run(breaking_in("time"), edit_job=hurried, server=SERVER)
    used_up = (Reason.RESOURCE_EXHAUSTED, "when it had used up its processor time")
    assert await seats[0].party.ending() == used_up


@FLAGS
async def test_a_pickle_that_is_in_the_party_already_is_not_loaded(tmp_path: Path, flags: Sequence[str]) -> None:
    canary = tmp_path / "canary"
    said = told(await run(breaking_in("a pickle", canary=str(canary)), flags=flags, server=SERVER))
    assert said["reason"] == "UNDECLARED_PAYLOAD"
    assert not canary.exists()


async def test_parties_of_one_server_draw_nothing_alike() -> None:
    federation = breaking_in("randomness")
    seats = await run(federation, server=SERVER)
    drawn = [
        open_output(
            federation.recipient[0],
            federation.seat_keys[pid][1],
            federation.transcript,
            pid,
            "analyst",
            seat.outputs["analyst"],
        )
        for pid, seat in enumerate(seats)
    ]
    numbers = [number for shares in drawn for number in shares]
    assert len(numbers) == 15
    assert len(set(numbers)) == len(numbers)
