"""Party processes on pipes, and the agents' part of the work: the real thing without a network."""

import asyncio
import base64
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from connectors.engine import programs
from connectors.engine.inputs import seal_inputs
from connectors.engine.pipe import Frames, FromParty, ToParty, frame
from connectors.engine.rows import InputRows
from gateway.rules.roster import transcript
from gateway.rules.sealing import fresh_key, open_output
from gateway.rules.sharing import reconstruct

# What a test does to a frame on its way: (from, to, sealed) -> the frames that arrive, as (from, sealed).
Tamper = Callable[[int, int, bytes], Sequence[tuple[int, bytes]]]


@dataclass
class Seat:
    process: asyncio.subprocess.Process
    events: list[tuple[FromParty, Any]] = field(default_factory=list)
    outputs: dict[str, bytes] = field(default_factory=dict)
    ended: dict[str, Any] = field(default_factory=dict)

    def send(self, kind: ToParty, body: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(frame(kind, body))


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
        }

    def inputs(self) -> list[dict[int, list[bytes]]]:
        return [
            seal_inputs(
                transcript=self.transcript, entity=self.entities[i], private_key=self.provider_keys[i][0],
                seats={pid: k[1] for pid, k in enumerate(self.seat_keys)}, program=self.program.NAME,
                parameters=self.parameters, bound=self.bounds[i], rows=rows,
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
) -> list[Seat]:
    """Run all parties to their end; GO is given as soon as it is asked for."""
    pipes = asyncio.subprocess.PIPE
    seats = [
        Seat(
            await asyncio.create_subprocess_exec(
                sys.executable, *flags, "-m", "connectors.engine.party", stdin=pipes, stdout=pipes
            )
        )
        for _ in range(federation.m)
    ]
    loop = asyncio.get_running_loop()
    inputs = federation.inputs()
    if edit_inputs:
        edit_inputs(inputs)

    def carry(origin: int, peer: int, sealed: bytes) -> None:
        for claimed, body in tamper(origin, peer, sealed) if tamper else [(origin, sealed)]:
            message = bytes([claimed]) + body
            if delay:
                loop.call_later(delay, seats[peer].send, ToParty.PEER, message)
            else:
                seats[peer].send(ToParty.PEER, message)

    async def drive(pid: int, seat: Seat) -> None:
        assert seat.process.stdout is not None
        frames = Frames()
        while data := await seat.process.stdout.read(1 << 18):
            for number, body in frames.feed(data):
                kind = FromParty(number)
                if kind is FromParty.PEER:
                    carry(pid, body[0], body[1:])
                    continue
                parsed = json.loads(body) if body else None
                seat.events.append((kind, parsed))
                if kind is FromParty.READY_FOR_JOB:
                    job = federation.job(pid)
                    if edit_job:
                        edit_job(pid, job)
                    for index, chunks in enumerate(inputs):
                        for chunk in chunks[pid]:
                            seat.send(ToParty.INPUT, bytes([index]) + chunk)
                    seat.send(ToParty.JOB, json.dumps(job).encode())
                elif kind is FromParty.OUTPUT_READY:
                    seat.send(ToParty.GO, b"")
                elif kind is FromParty.OUTPUT:
                    seat.outputs = {name: base64.b64decode(sealed) for name, sealed in parsed.items()}
                elif kind in (FromParty.DONE, FromParty.FAILED):
                    seat.ended = parsed
                    if kind is FromParty.FAILED:  # the agent of a failed party tells the others; here they just end
                        for other in seats:
                            if other.process.stdin is not None:
                                other.process.stdin.close()
        await seat.process.wait()

    if started:
        started(seats)
    await asyncio.gather(*(drive(pid, seat) for pid, seat in enumerate(seats)))
    return seats
