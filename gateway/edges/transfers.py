"""How much passes on the line to a peer: messages of each size, and bytes per second.

Invariants: what is sent ends within seconds on any line, for a message that would take longer at the speed seen so
far is left out; nothing is retried.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from gateway.domain.diagnosis import SIZES, Answer, Flow, Sent
from gateway.edges.contact import Contact

PATIENCE = 5.0  # seconds for one message
FLOW_LASTS = 0.7  # seconds, each way
IN_FLIGHT = 2


async def sizes(contact: Contact, round_trip: float) -> list[Sent]:
    """One message of each size each way, until one does not pass or would take too long."""
    sent: list[Sent] = []
    for size in SIZES:
        for up in (True, False):
            expected = size / _speed([item for item in sent if item.up is up], round_trip)
            if expected > PATIENCE:
                sent.append(Sent(size, up, None))
                continue
            within = max(PATIENCE, 4 * expected)
            called = await contact.probe(*((size, 0) if up else (0, size)), within=within)
            answer = called.answer
            if called.message is not None and not up and len(called.message.padding) != size:
                answer = Answer.REFUSED
            sent.append(Sent(size, up, answer, called.seconds))
            if answer is not Answer.GIVEN:
                return sent
    return sent


def _speed(sent: Sequence[Sent], round_trip: float) -> float:
    """Bytes per second of the largest message that passed; infinite before there was one."""
    passed = [item for item in sent if item.answer is Answer.GIVEN]
    return passed[-1].size / max(passed[-1].seconds - round_trip, 1e-3) if passed else float("inf")


def chunk(sent: Sequence[Sent], round_trip: float) -> int:
    """What the line carries in a quarter of a second, from 1 KiB to 1 MiB."""
    slowest = min(_speed([item for item in sent if item.up is up], round_trip) for up in (True, False))
    return int(max(SIZES[0], min(slowest / 4, SIZES[2])))


async def flow(contact: Contact, size: int) -> Flow:
    """A timed bulk each way, a few messages in flight."""

    async def way(padding: int, answer_bytes: int) -> float | Answer:
        began = time.perf_counter()
        carried = 0
        while (lasted := time.perf_counter() - began) < FLOW_LASTS:
            calls = (contact.probe(padding, answer_bytes, within=4 * PATIENCE) for _ in range(IN_FLIGHT))
            for called in await asyncio.gather(*calls):
                if called.answer is not Answer.GIVEN:
                    return called.answer
                carried += size
        return carried / lasted

    up = await way(size, 0)
    down = await way(0, size) if isinstance(up, float) else up
    if isinstance(up, float) and isinstance(down, float):
        return Flow(up, down)
    return Flow(broken=up if isinstance(up, Answer) else down if isinstance(down, Answer) else None)
