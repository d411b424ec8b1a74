"""What an operation starts from, and how its outcome is checked.

Inputs are public numbers that every party shares to itself from a fixed seed: nothing is sent before the clock starts.
Every outcome is held against the clear text, so that no figure is that of a wrong answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from connectors.engine.bits import open_bits, share_bits
from connectors.engine.field import Array
from connectors.engine.runtime import Engine
from connectors.engine.sharing import open_, split
from gateway.rules.sharing import P

# An operation with its inputs at one party: what to run, and whether what comes of it is right.
Made = tuple[Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[bool]]]
SHOWN = 1 << 12  # elements, or words of bits, of a result that are opened and compared


def elements(seed: int, n: int, most: int = P) -> Array:
    return np.random.default_rng(seed).integers(0, most, n, dtype=np.uint64)


def shares(rt: Engine, values: Array, seed: int) -> Array:
    """This party's share of `values`, on polynomials that all parties draw alike."""
    return split(values, rt.shape, lambda n: elements(seed, n))[rt.pid]


def packed(rt: Engine, words: Array, seed: int) -> Array:
    """This party's replicated shares [S, ...] of words of bits."""
    draws = np.random.default_rng(seed)
    return share_bits(words, rt.shape, lambda n: draws.integers(0, 2**64, n, dtype=np.uint64))[rt.pid]


async def opens_to(rt: Engine, result: Array, expected: Array) -> bool:
    opened = await open_(rt, result[:SHOWN], "bench: compare")
    return bool(np.array_equal(opened, expected[:SHOWN]))


async def bits_open_to(rt: Engine, plane: Array, expected: Array) -> bool:
    """Whether the plane [S, W] has these bits, one a row."""
    words = (await open_bits(rt, plane[:, :SHOWN], "bench: compare")).astype("<u8")
    opened = np.unpackbits(words.view(np.uint8), bitorder="little")[: expected.size]
    return bool(np.array_equal(opened, expected[: opened.size]))


async def words_open_to(rt: Engine, words: Array, expected: Array) -> bool:
    opened = await open_bits(rt, words[:, :SHOWN], "bench: compare")
    return bool(np.array_equal(opened, expected[:SHOWN]))
