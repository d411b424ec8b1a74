"""Party processes from a fork server, and the agents' part of the work: the real thing without a network."""

import asyncio
import base64
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from connectors.engine import programs
from connectors.engine.confinement import DEFAULT_MEMORY_MIB
from connectors.engine.forking import PartySettings
from connectors.engine.inputs import seal_inputs
from connectors.engine.kernelcache import OF_THE_PACKAGE
from connectors.engine.pipe import FromParty, ToParty
from connectors.engine.rows import InputRows
from connectors.launch.subprocesses import Party, PartyPool
from gateway.rules.roster import transcript
from gateway.rules.sealing import fresh_key, open_output
from gateway.rules.sharing import reconstruct

# What a test does to a frame on its way: (from, to, sealed) -> the frames that arrive, as (from, sealed).
Tamper = Callable[[int, int, bytes], Sequence[tuple[int, bytes]]]


SETTINGS = PartySettings(str(OF_THE_PACKAGE), DEFAULT_MEMORY_MIB << 20, "required")
SERVER = "connectors.engine.forkserver"


@contextlib.asynccontextmanager
async def forked(
    count: int, flags: Sequence[str] = (), server: str = SERVER, settings: PartySettings = SETTINGS
) -> AsyncIterator[tuple[PartyPool, list[Party]]]:
    """A pool with its own fork server (a module, run by Python with `flags`), and `count` parties taken from it."""
    pool = PartyPool(count, settings, (sys.executable, *flags, "-P", "-m", server))
    pool.start()
    try:
        yield pool, [await pool.take() for _ in range(count)]
    finally:
        await pool.close()


@dataclass
class Seat:
    party: Party
    events: list[tuple[FromParty, Any]] = field(default_factory=list)
    outputs: dict[str, bytes] = field(default_factory=dict)
    ended: dict[str, Any] = field(default_factory=dict)
    ending: str = ""


class Federation:
    """Keys, job and rows of one session of m parties."""

    def __init__(
        self,
        program: ModuleType,
        parameters: dict[str, object],
        providers: list[InputRows],
        bounds: list[int],
        m: int = 3,
    ):
        self.program, self.parameters, self.providers, self.bounds, self.m = (
            program,
            parameters,
            providers,
            bounds,
            m,
        )
        self.t = (m - 1) // 2
        self.seat_keys = [fresh_key() for _ in range(m)]
        self.provider_keys = [fresh_key() for _ in providers]
        self.noise_seeds = [bytes([i]) * 32 for i in range(len(providers))]
        self.recipient = fresh_key()
        self.entities = [f"https://space{i}.example" for i in range(len(providers))]
        self.transcript = transcript(
            bytes(32), {i: bytes([i]) * 32 for i in range(m)}, {e: bytes(32) for e in self.entities}
        )
        self.deadline = 60.0

    def job(self, pid: int) -> dict[str, Any]:
        def b64(raw: bytes) -> str:
            return base64.b64encode(raw).decode()

        name = self.program.NAME
        return {
            "session": "s1",
            "transcript": self.transcript.hex(),
            "pid": pid,
            "m": self.m,
            "t": self.t,
            "program": {"name": name, "version": self.program.VERSION, "digest": programs.digest(name)},
            "parameters": self.parameters,
            "providers": [
                {"entity": e, "rows": b, "session_key": b64(k[1])}
                for e, b, k in zip(self.entities, self.bounds, self.provider_keys, strict=True)
            ],
            "seats": [
                {"pid": i, "entity": f"https://seat{i}.example", "session_key": b64(k[1])}
                for i, k in enumerate(self.seat_keys)
            ],
            "private_key": b64(self.seat_keys[pid][0]),
            "recipients": [{"name": "analyst", "key": b64(self.recipient[1])}],
            "deadline_seconds": self.deadline,
            "demo_view": True,
            "keeper": None,
        }

    def inputs(self) -> list[dict[int, list[bytes]]]:
        return [
            seal_inputs(
                transcript=self.transcript, entity=self.entities[i], private_key=self.provider_keys[i][0],
                seats={pid: k[1] for pid, k in enumerate(self.seat_keys)}, program=self.program.NAME,
                parameters=self.parameters, bound=self.bounds[i], rows=rows, noise_seed=self.noise_seeds[i],
            )
            for i, rows in enumerate(self.providers)
        ]  # fmt: skip

    def result(self, seats: list[Seat]) -> list[int]:
        shares = {
            pid: open_output(
                self.recipient[0],
                self.seat_keys[pid][1],
                self.transcript,
                pid,
                "analyst",
                seat.outputs["analyst"],
            )
            for pid, seat in enumerate(seats)
        }
        return reconstruct(shares, self.t)


async def run(
    federation: Federation,
    tamper: Tamper | None = None,
    edit_job: Callable[[int, dict[str, Any]], None] | None = None,
    edit_inputs: Callable[[list[dict[int, list[bytes]]]], None] | None = None,
    delay: float = 0.0,
    flags: Sequence[str] = (),
    started: Callable[[list[Seat]], None] | None = None,
    server: str = SERVER,
    settings: PartySettings = SETTINGS,
) -> list[Seat]:
    """Run all parties to their end; GO is given as soon as it is asked for."""
    async with forked(federation.m, flags, server, settings) as (_, parties):
        seats = [Seat(party) for party in parties]
        if started:
            started(seats)
        await _drive(federation, seats, tamper, edit_job, edit_inputs, delay)
    return seats


async def _drive(
    federation: Federation,
    seats: list[Seat],
    tamper: Tamper | None,
    edit_job: Callable[[int, dict[str, Any]], None] | None,
    edit_inputs: Callable[[list[dict[int, list[bytes]]]], None] | None,
    delay: float,
) -> None:
    loop = asyncio.get_running_loop()
    inputs = federation.inputs()
    if edit_inputs:
        edit_inputs(inputs)

    def carry(origin: int, peer: int, sealed: bytes) -> None:
        for claimed, body in tamper(origin, peer, sealed) if tamper else [(origin, sealed)]:
            message = bytes([claimed]) + body
            if delay:
                loop.call_later(delay, seats[peer].party.send, ToParty.PEER, message)
            else:
                seats[peer].party.send(ToParty.PEER, message)

    async def drive(pid: int, seat: Seat) -> None:
        job = federation.job(pid)
        if edit_job:
            edit_job(pid, job)
        for index, chunks in enumerate(inputs):
            for chunk in chunks[pid]:
                seat.party.send(ToParty.INPUT, bytes([index]) + chunk)
        seat.party.send(ToParty.JOB, json.dumps(job).encode())
        async for number, body in seat.party.messages():
            kind = FromParty(number)
            if kind is FromParty.PEER:
                carry(pid, body[0], bytes(body[1:]))
                continue
            parsed = json.loads(bytes(body)) if body else None
            seat.events.append((kind, parsed))
            if kind is FromParty.OUTPUT_READY:
                seat.party.send(ToParty.GO)
            elif kind is FromParty.OUTPUT:
                seat.outputs = {name: base64.b64decode(sealed) for name, sealed in parsed.items()}
            elif kind in (FromParty.DONE, FromParty.FAILED):
                seat.ended = parsed
                if kind is FromParty.FAILED:  # the agent of a failed party tells the others; here they just end
                    for other in seats:
                        if other is not seat:
                            await other.party.end()
        seat.ending = (await seat.party.ending())[1]

    await asyncio.gather(*(drive(pid, seat) for pid, seat in enumerate(seats)))
