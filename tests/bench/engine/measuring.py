"""One party's part of a measurement: the same for every way that parties can be joined.

A run is timed from a common start (a round in which every party has its inputs) to the end of the last party.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from connectors.engine.field import Array
from connectors.engine.runtime import Engine
from tests.bench.engine.operations import OPERATIONS

WARM = 1 << 15


@dataclass(frozen=True)
class Measured:
    """Seconds of each run; rounds, and bytes that the busiest party sent, of the last one."""

    operation: str
    n: int
    seconds: Sequence[float]
    rounds: int
    sent: int
    right: bool

    def plain(self) -> dict[str, Any]:
        return asdict(self)


async def measure(rt: Engine, operation: str, n: int, repeats: int) -> Measured:
    """Every party calls this alike; each of them learns the figures of all."""
    warm, _ = OPERATIONS[operation].made(rt, min(n, WARM))
    await warm()  # not counted: code and caches warm up
    run, check = OPERATIONS[operation].made(rt, n)
    taken, rounds, sent, right = [], 0, 0, True
    for _ in range(repeats):
        await most(rt, 0)
        rounds, sent = rt.rounds, _sent(rt)
        began = time.perf_counter()
        result = await run()
        microseconds = int(1e6 * (time.perf_counter() - began))
        rounds, sent = rt.rounds - rounds, _sent(rt) - sent
        taken.append(await most(rt, microseconds) / 1e6)
        right = right and await check(result)
    return Measured(operation, n, taken, rounds, await most(rt, sent), right)


async def most(rt: Engine, value: int) -> int:
    """The largest of what the parties say. 1 round."""
    rt.advance()
    own: Array = np.array([value], dtype=np.uint64)
    heard = await rt.exchange(dict.fromkeys(rt.peers, own), dict.fromkeys(rt.peers, 1), "bench: figures")
    return max(value, *(int(theirs[0]) for theirs in heard.values()))


def _sent(rt: Engine) -> int:
    return sum(channel.bytes_sent for channel in rt.channels.values())
