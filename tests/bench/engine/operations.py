"""What is measured: each operation with its inputs, shared beforehand, and what its outcome has to be.

Inputs are public numbers that every party shares to itself from a fixed seed: nothing is sent before the clock starts.
Every outcome is held against the clear text, so that no figure is that of a wrong answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from connectors.engine import arithmetic
from connectors.engine.field import Array, mul
from connectors.engine.runtime import Engine
from connectors.engine.sharing import open_, split
from gateway.rules.sharing import P

# Makes an operation's inputs at one party: what to run, and what its result must be once it is opened.
Made = tuple[Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[bool]]]
SHOWN = 1 << 12  # elements of a result that are opened and compared


@dataclass(frozen=True)
class Operation:
    """`goal` is in seconds, direct, at m = 3; `others` says at which size the other engines are measured: what takes
    them minutes is measured smaller and scaled by `growth(n)`."""

    title: str
    made: Callable[[Engine, int], Made]
    growth: Callable[[int], float] = float
    stock: int = 0
    spu: int = 0


def elements(seed: int, n: int, most: int = P) -> Array:
    return np.random.default_rng(seed).integers(0, most, n, dtype=np.uint64)


def shares(rt: Engine, values: Array, seed: int) -> Array:
    """This party's share of `values`, on polynomials that all parties draw alike."""
    return split(values, rt.shape, lambda n: elements(seed, n))[rt.pid]


async def opens_to(rt: Engine, result: Array, expected: Array) -> bool:
    opened = await open_(rt, result[:SHOWN], "bench: compare")
    return bool(np.array_equal(opened, expected[:SHOWN]))


def multiply(rt: Engine, n: int) -> Made:
    x, y = elements(1, n), elements(2, n)
    mine = shares(rt, x, 3), shares(rt, y, 4)
    return (
        lambda: arithmetic.multiply(rt, *mine, "bench: multiply"),
        lambda result: opens_to(rt, result, mul(x[:SHOWN], y[:SHOWN])),
    )


def sequential(rt: Engine, n: int) -> Made:
    """n multiplications of one pair, each of the product before: what a round takes."""
    x = elements(1, 1)
    mine = shares(rt, x, 3)

    async def run() -> Array:
        y = mine
        for _ in range(n):
            y = await arithmetic.multiply(rt, y, mine, "bench: sequential")
        return y

    expected = x
    for _ in range(n):
        expected = mul(expected, x)
    return run, lambda result: opens_to(rt, result, expected)


def openings(rt: Engine, n: int) -> Made:
    """n openings of one value: rounds in which every party sends to every other."""
    x = elements(1, 1)
    mine = shares(rt, x, 3)

    async def run() -> Array:
        for _ in range(n):
            await open_(rt, mine, "bench: openings")
        return mine

    return run, lambda result: opens_to(rt, result, x)


OPERATIONS = {
    "multiply": Operation("multiply", multiply, stock=10**5, spu=10**6),
    "openings": Operation("openings one after another", openings),
    "sequential": Operation("products one after another", sequential),
}


@dataclass(frozen=True)
class Row:
    operation: str
    n: int
    goal: float | None = None
    repeats: int = 9

    @property
    def key(self) -> str:
        return f"{self.operation}:{self.n}"


# The issue's own rows have a goal; the others show how cost grows.
ROWS = (
    Row("multiply", 10**4),
    Row("multiply", 10**5),
    Row("multiply", 10**6, 0.06),
    Row("sequential", 200),
    Row("openings", 200),
)
