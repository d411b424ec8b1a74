"""Products of field elements.

Invariant: nothing is opened here.

Multiplication is a local product and a re-sharing (sharing.py): 1 round, t elements sent per party.
"""

from typing import TYPE_CHECKING

from connectors.engine.field import Array, mul
from connectors.engine.lanes import blocks, joined
from connectors.engine.sharing import BLOCK, reshare

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


async def multiply(rt: "Engine", x: Array, y: Array, step: str) -> Array:
    """Products of two arrays of shares, with broadcasting. 1 round, t elements per product."""
    if x.shape != y.shape:
        return await reshare(rt, mul(x, y), step)
    left, right = x.reshape(-1), y.reshape(-1)

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        return await reshare(lane, mul(left[start:stop], right[start:stop]), step)

    return joined(await blocks(rt, left.size, BLOCK, block)).reshape(x.shape)
