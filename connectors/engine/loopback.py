"""m parties of a session in one event loop, joined by real sealed channels: what a fork server rehearses, and what
packages are examined with. Its keys are thrown away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass, field

from connectors.engine.cost import Shape
from connectors.engine.runtime import Engine
from connectors.rules.session_keys import pair_keys
from gateway.rules.sealing import fresh_key

TRANSCRIPT = bytes(32)


@dataclass(slots=True)
class Seat:
    """One party, what it sent (to whom, bytes of each message) and how many elements it received in each message."""

    engine: Engine
    private: bytes = field(repr=False)
    sent: list[tuple[int, int]] = field(default_factory=list)
    received: list[int] = field(default_factory=list)


def seats(shape: Shape, cap: int, opens: Container[str] | None = None) -> tuple[list[Seat], list[bytes]]:
    """Within a running loop: the seats, not started yet, and their public keys. `opens` as in `Engine`."""
    private, public = zip(*(fresh_key() for _ in range(shape.m)), strict=True)
    loop = asyncio.get_running_loop()
    made: list[Seat] = []

    def seat(pid: int) -> Seat:
        sent: list[tuple[int, int]] = []
        received: list[int] = []

        def post(peer: int, sealed: bytes) -> None:
            sent.append((peer, len(sealed)))
            loop.call_soon(made[peer].engine.channels[pid].feed, sealed)

        pairs = pair_keys(private[pid], pid, TRANSCRIPT, dict(enumerate(public)))
        engine = Engine(pid, shape, pairs, cap, post, lambda step, peer, got: received.append(got.size), opens=opens)
        return Seat(engine, private[pid], sent, received)

    made.extend(seat(pid) for pid in range(shape.m))
    return made, list(public)


async def session(
    shape: Shape, protocol: Callable[[Engine], Awaitable[object]], cap: int, opens: Container[str] | None = None
) -> tuple[list[Seat], list[object]]:
    """`protocol` at each party, from the first exchange to the last; the seats, and what it returned."""
    made, _ = seats(shape, cap, opens)

    async def one(engine: Engine) -> object:
        await engine.start()
        result = await protocol(engine)
        engine.finish()
        return result

    return made, list(await asyncio.gather(*(one(seat.engine) for seat in made)))
