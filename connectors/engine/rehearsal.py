"""What a party would look up or load at first use, done once in the fork server: a session of three parties in one
process, to its first exchange. Its keys are thrown away.
"""

import asyncio

from connectors.engine import cold, programs
from connectors.engine.cost import Shape
from connectors.engine.runtime import Engine
from connectors.rules.session_keys import open_input, pair_keys, seal_input
from gateway.rules.sealing import fresh_key, seal_output

# Programs import it when they run, for agents import them without MPyC.
__all__ = ["cold", "rehearse"]


def rehearse() -> None:
    """In a process without a running event loop."""
    asyncio.run(_rehearse())


async def _rehearse() -> None:
    private, public = zip(*(fresh_key() for _ in range(3)), strict=True)
    transcript, loop = bytes(32), asyncio.get_running_loop()
    engines: list[Engine] = []

    def engine(pid: int) -> Engine:
        def post(peer: int, sealed: bytes) -> None:
            loop.call_soon(engines[peer].channels[pid].feed, sealed)

        pairs = pair_keys(private[pid], pid, transcript, dict(enumerate(public)))
        return Engine(pid, Shape(3, 1), pairs, 1 << 20, post)

    engines.extend(engine(pid) for pid in range(3))
    await asyncio.gather(*(engine.start() for engine in engines))
    sealed = seal_input(public[0], private[1], transcript, "rehearsal", 0, 0, True, b"")
    open_input(private[0], public[1], transcript, "rehearsal", 0, 0, True, sealed)
    seal_output(public[0], private[1], transcript, 0, "rehearsal", [0])
    for name in programs.PROGRAMS:
        programs.digest(name)  # kept; the files are out of reach later
