"""What a party would look up or load at first use, done once in the fork server: a session of three parties in one
process, to its first exchange. Its keys are thrown away.
"""

import asyncio

from connectors.engine import cold, loopback, programs
from connectors.engine.cost import Shape
from connectors.rules.session_keys import open_input, seal_input
from gateway.rules.sealing import seal_output

# Programs import it when they run, for agents import them without MPyC.
__all__ = ["cold", "rehearse"]


def rehearse() -> None:
    """In a process without a running event loop."""
    asyncio.run(_rehearse())


async def _rehearse() -> None:
    seats, public = loopback.seats(Shape(3, 1), 1 << 20)
    await asyncio.gather(*(seat.engine.start() for seat in seats))
    private, transcript = [seat.private for seat in seats], loopback.TRANSCRIPT
    sealed = seal_input(public[0], private[1], transcript, "rehearsal", 0, 0, True, b"")
    open_input(private[0], public[1], transcript, "rehearsal", 0, 0, True, sealed)
    seal_output(public[0], private[1], transcript, 0, "rehearsal", [0])
    for name in programs.PROGRAMS:
        programs.digest(name)  # kept; the files are out of reach later
