"""The rows of the bench's table: which operation, of what size, with which goal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from connectors.engine.runtime import Engine
from tests.bench.engine import packed, products
from tests.bench.engine.given import Made


def sorting(n: int) -> float:
    return n * math.log2(n)


@dataclass(frozen=True)
class Operation:
    """`stock` and `spu` are the sizes at which the other engines are measured: what takes them minutes is measured
    smaller, and scaled by `growth(n)`."""

    title: str
    made: Callable[[Engine, int], Made]
    growth: Callable[[int], float] = float
    stock: int = 0
    spu: int = 0


OPERATIONS = {
    "multiply": Operation("multiply", products.multiply, stock=10**5, spu=10**6),
    "less": Operation("a < b, 32 bit", packed.less, stock=10**3, spu=10**5),
    "equal": Operation("a = b, 32 bit", packed.equal, stock=10**3, spu=10**5),
    "sort": Operation("sort, 32-bit keys", packed.ordered, sorting, stock=256, spu=10**4),
    "histogram": Operation("histogram of 16 bins", packed.histogram, stock=500, spu=10**5),
    "overlap": Operation("overlap table, 3 lists of", packed.overlap_table),
    "start": Operation("a session's start, warm pool", products.nothing, stock=1, spu=1),
    "sequential": Operation("products one after another", products.sequential),
    "openings": Operation("openings one after another", products.openings),
}


@dataclass(frozen=True)
class Row:
    """`goal` is in seconds, direct, at m = 3."""

    operation: str
    n: int
    goal: float | None = None
    repeats: int = 9

    @property
    def key(self) -> str:
        return f"{self.operation}:{self.n}"


# From agreed (every party has its keys) to the first value opened.
START = Row("start", 1, 0.08)
# The issue's own rows have a goal; the others show how cost grows, and what a round takes.
ROWS = (
    Row("multiply", 10**4),
    Row("multiply", 10**5),
    Row("multiply", 10**6, 0.06),
    Row("less", 10**4),
    Row("less", 10**5, 0.15),
    Row("less", 10**6, repeats=3),
    Row("equal", 10**4),
    Row("equal", 10**5, 0.07),
    Row("equal", 10**6, repeats=3),
    Row("sort", 10**4, repeats=5),
    Row("sort", 10**5, 3.0, repeats=3),
    Row("sort", 10**6, 40.0, repeats=1),
    Row("histogram", 10**4),
    Row("histogram", 10**5, 0.5),
    Row("histogram", 10**6, repeats=3),
    Row("overlap", 10**4, repeats=5),
    Row("overlap", 10**5, 6.0, repeats=3),
    Row("overlap", 10**6, 100.0, repeats=1),
    START,
    Row("sequential", 200),
    Row("openings", 200),
)
