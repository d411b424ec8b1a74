"""Measured on field elements: products, and openings one after another."""

from __future__ import annotations

from connectors.engine import arithmetic
from connectors.engine.field import Array, mul
from connectors.engine.runtime import Engine
from connectors.engine.sharing import open_
from tests.bench.engine.given import SHOWN, Made, elements, opens_to, shares


def multiply(rt: Engine, n: int) -> Made:
    x, y = elements(1, n), elements(2, n)
    mine = shares(rt, x, 3), shares(rt, y, 4)
    return (
        lambda: arithmetic.multiply(rt, *mine, "bench: multiply"),
        lambda result: opens_to(rt, result, mul(x[:SHOWN], y[:SHOWN])),
    )


def nothing(rt: Engine, n: int) -> Made:
    """What is measured of it is over when a party gets here."""
    x = elements(1, n)
    mine = shares(rt, x, 3)

    async def run() -> Array:
        return mine

    return run, lambda result: opens_to(rt, result, x)


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
