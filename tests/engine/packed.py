"""Packed bits for tests: shares of values in the clear, and what the parties' shares stand for."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from connectors.engine.bits import planes, share_bits, words
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array
from connectors.engine.randomness import fresh
from connectors.engine.runtime import Engine
from tests.engine.harness import Party, run


def vector(values: Sequence[int]) -> Array:
    return np.array(values, dtype=np.uint64)


def shared_words(shape: Shape, values: Array) -> list[Array]:
    """Per party [S, ...]."""
    return share_bits(values, shape, fresh().words)


def shared_planes(shape: Shape, values: Sequence[int], bits: int) -> list[Array]:
    """Per party planes [S, bits, W] of numbers of at most 64 bits."""
    return [planes(share[:, None], bits) for share in shared_words(shape, vector(values))]


def words_of(parties: list[Party], part: int | None = None) -> Array:
    """What the parties' shares [S, ...] stand for; checks that all members of a group hold the same."""
    by_group: dict[tuple[int, ...], Array] = {}
    for party in parties:
        result: Any = party.result
        shares = result if part is None else result[part]
        for group, share in zip(party.engine.held, shares, strict=True):
            assert np.array_equal(by_group.setdefault(group, share), share)
    return np.bitwise_xor.reduce(list(by_group.values()))


def numbers_of(parties: list[Party], n: int, part: int | None = None) -> list[int]:
    """The numbers of n rows behind planes [S, L, W], or the bits behind one plane [S, W]."""
    values = words_of(parties, part)
    return [int(value) for value in words(values if values.ndim == 2 else values[None], n)[0]]


def sent(parties: list[Party]) -> Cost:
    """What a run cost, without its set-up; `largest` as no set-up message is longer."""
    shape = parties[0].engine.shape
    idle = run(shape, _nothing)
    payloads = [length - 24 for party in parties for _, length in party.lengths]
    return Cost(
        parties[0].engine.rounds - 1,
        (_bytes(parties) - _bytes(idle)) // 8,
        max(payloads) // 8,
    )


async def _nothing(rt: Engine) -> None:
    return None


def _bytes(parties: list[Party]) -> int:
    return sum(c.bytes_sent - 24 * c.messages_sent for p in parties for c in p.engine.channels.values())
