"""Ours, direct: a process per party, each pair joined by one TCP connection on loopback.

Engine, channels and seals are the product's; only the sockets between them are the bench's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from connectors.engine import stock
from connectors.engine.cost import Shape
from connectors.engine.forkserver import warm
from connectors.engine.runtime import Engine
from connectors.engine.sharing import open_
from connectors.rules.session_keys import pair_keys
from gateway.rules.sealing import fresh_key
from tests.bench.engine.measuring import Measured, measure
from tests.bench.engine.operations import START, Row

MOST = 1 << 30
SESSION = bytes(range(32))
WARM = b"warm\n"


async def run(rows: Sequence[Row], m: int = 3) -> list[Measured]:
    """All rows in one session of m party processes; a session's start in as many as it has repeats."""
    figures = []
    for row in rows:
        if row.key == START.key:
            taken = [(await _session([], m))[0] for _ in range(row.repeats)]
            figures.append(Measured(row.operation, row.n, taken, 0, 0, True))
    others = [row for row in rows if row.key != START.key]
    return figures + ((await _session(others, m))[1] if others else [])


async def _session(rows: Sequence[Row], m: int) -> tuple[float, list[Measured]]:
    """Seconds until the first value was open at every warm party, and the figures."""
    pipes = asyncio.subprocess.PIPE
    parties = [
        await asyncio.create_subprocess_exec(sys.executable, "-m", __spec__.name, str(pid), stdin=pipes, stdout=pipes)
        for pid in range(m)
    ]
    for party in parties:
        if party.stdout is None or await party.stdout.readline() != WARM:
            raise RuntimeError("a party of the bench did not start; it said why on standard error")
    began = time.monotonic()
    keys = [fresh_key() for _ in range(m)]
    job = {
        "ports": free_ports(m),
        "private": [base64.b64encode(private).decode() for private, _ in keys],
        "public": [base64.b64encode(public).decode() for _, public in keys],
        "rows": [(row.operation, row.n, row.repeats) for row in rows],
    }
    answers = await asyncio.gather(*(party.communicate(json.dumps(job).encode()) for party in parties))
    if any(party.returncode for party in parties):
        raise RuntimeError("a party of the bench failed; it said why on standard error")
    told = [json.loads(answer) for answer, _ in answers]
    return max(one["opened"] for one in told) - began, [Measured(**one) for one in told[0]["figures"]]


class Wire(asyncio.Protocol):
    """Sealed frames with their lengths, of one peer: the first thing that the dialling side says is its pid."""

    def __init__(self, known: dict[int, Wire], feed: Any) -> None:
        self._known, self._feed, self._buffer = known, feed, bytearray()
        self._peer = -1
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def greet(self, own: int, peer: int) -> None:
        self._transport.write(bytes([own]))
        self._is(peer)

    def _is(self, peer: int) -> None:
        self._peer = peer
        self._known[peer] = self

    def send(self, sealed: bytes) -> None:
        self._transport.writelines((struct.pack("<I", len(sealed)), sealed))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        start = 0
        if self._peer < 0:
            self._is(self._buffer[0])
            start = 1
        while len(self._buffer) - start >= 4:
            (length,) = struct.unpack_from("<I", self._buffer, start)
            if len(self._buffer) - start < 4 + length:
                break
            self._feed(self._peer, bytes(memoryview(self._buffer)[start + 4 : start + 4 + length]))
            start += 4 + length
        del self._buffer[:start]


async def party(pid: int, job: dict[str, Any]) -> dict[str, Any]:
    seats = {peer: base64.b64decode(key) for peer, key in enumerate(job["public"])}
    m, wires = len(seats), {}
    shape = Shape(m, (m - 1) // 2)
    pairs = pair_keys(base64.b64decode(job["private"][pid]), pid, SESSION, seats)
    engine = Engine(pid, shape, pairs, MOST, lambda peer, sealed: wires[peer].send(sealed))
    stock.install(engine)

    def wire() -> Wire:
        return Wire(wires, lambda peer, sealed: engine.channels[peer].feed(sealed))

    loop = asyncio.get_running_loop()
    server = await loop.create_server(wire, "127.0.0.1", job["ports"][pid])
    for peer in range(pid):
        while True:
            try:
                _, dialled = await loop.create_connection(wire, "127.0.0.1", job["ports"][peer])
                break
            except ConnectionError:
                await asyncio.sleep(0.001)  # it is not up yet
        dialled.greet(pid, peer)
    while len(wires) < m - 1:
        await asyncio.sleep(0.001)
    await engine.start()
    await open_(engine, np.zeros(1, dtype=np.uint64), "bench: start")
    opened = time.monotonic()
    figures = [(await measure(engine, *row)).plain() for row in job["rows"]]
    engine.finish()
    server.close()
    return {"opened": opened, "figures": figures}


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]


if __name__ == "__main__":
    warm()
    sys.stdout.buffer.write(WARM)
    sys.stdout.flush()
    print(json.dumps(asyncio.run(party(int(sys.argv[1]), json.load(sys.stdin)))))
