"""m engines in one event loop, joined by real sealed channels; and values as every party sees them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from connectors.engine.cost import Shape
from connectors.engine.field import Array
from connectors.engine.randomness import fresh
from connectors.engine.runtime import Engine
from connectors.engine.sharing import split
from connectors.rules.session_keys import pair_keys
from gateway.rules.sealing import fresh_key
from gateway.rules.sharing import reconstruct

SESSION = bytes(range(32))
SHAPES = [Shape(3, 1), Shape(5, 2), Shape(7, 3)]


@dataclass
class Party:
    engine: Engine
    result: object = None
    lengths: list[tuple[int, int]] = field(default_factory=list)
    seen: list[tuple[str, int, Array]] = field(default_factory=list, repr=False)


Protocol = Callable[[Engine], Awaitable[object]]


def engines(shape: Shape, cap: int = 1 << 26) -> list[Party]:
    """Started by whoever calls; frames go straight into the peer's channel on the next turn of the loop."""
    private, public = zip(*(fresh_key() for _ in range(shape.m)), strict=True)
    seats = dict(enumerate(public))
    parties: list[Party] = []
    loop = asyncio.get_running_loop()

    def build(pid: int) -> Party:
        lengths: list[tuple[int, int]] = []
        seen: list[tuple[str, int, Array]] = []

        def post(peer: int, sealed: bytes) -> None:
            lengths.append((peer, len(sealed)))
            loop.call_soon(parties[peer].engine.channels[pid].feed, sealed)

        engine = Engine(
            pid,
            shape,
            pair_keys(private[pid], pid, SESSION, seats),
            cap,
            post,
            lambda s, p, e: seen.append((s, p, e)),
        )
        return Party(engine, lengths=lengths, seen=seen)

    parties.extend(build(pid) for pid in range(shape.m))
    return parties


async def run_parties(shape: Shape, protocol: Protocol) -> list[Party]:
    parties = engines(shape)

    async def one(party: Party) -> None:
        await party.engine.start()
        party.result = await protocol(party.engine)
        party.engine.finish()

    await asyncio.gather(*(one(party) for party in parties))
    return parties


def run(shape: Shape, protocol: Protocol) -> list[Party]:
    return asyncio.run(run_parties(shape, protocol))


def shared(shape: Shape, values: Sequence[int] | Array) -> list[Array]:
    return split(np.asarray(values, dtype=np.uint64), shape, fresh().elements)


def revealed(parties: list[Party], t: int, part: int | None = None) -> list[int]:
    """What the parties' result shares stand for; checks that they fit together."""
    results: list[Any] = [party.result for party in parties]
    if part is not None:
        results = [result[part] for result in results]
    return reconstruct({pid: [int(v) for v in np.ravel(r)] for pid, r in enumerate(results)}, t)
