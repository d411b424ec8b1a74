"""Long vectors in blocks, so that one block is computed while another is on its way.

Invariants: each block has a lane, which is the same engine with program counters of its own (lane * LANE + step), so
nothing depends on which block is ready first; lanes start at their parent's step and the parent goes on after the
longest of them, so no counter occurs twice. Rounds are those of one block.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from connectors.engine.field import Array
from connectors.engine.wire import LANES_AT_ONCE

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

Result = TypeVar("Result")


async def blocks(
    rt: "Engine", n: int, size: int, work: "Callable[[Engine, int, int], Awaitable[Result]]"
) -> list[Result]:
    """`work(lane, start, stop)` for each block of `size` of the range n, LANES_AT_ONCE at a time; results in order.

    Within a lane there are no further lanes: there the whole range is one block.
    """
    if n <= size or rt.lane:
        return [await work(rt, 0, n)]
    lanes = [rt.fork(i + 1) for i in range(-(-n // size))]
    turn = asyncio.Semaphore(LANES_AT_ONCE)

    async def one(lane: "Engine", start: int) -> Result:
        async with turn:
            return await work(lane, start, min(start + size, n))

    results = await asyncio.gather(*(one(lane, i * size) for i, lane in enumerate(lanes)), return_exceptions=True)
    rt.join(lanes)
    failed = [result for result in results if isinstance(result, BaseException)]
    if failed:
        raise failed[0]
    return [result for result in results if not isinstance(result, BaseException)]


def joined(parts: list[Array]) -> Array:
    """Blocks along the last axis, in one again."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
