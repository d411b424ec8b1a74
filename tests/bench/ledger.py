"""`python -m tests.bench ledger`: the verdict on one more question of a dataset that has answered ten thousand.
Processor milliseconds; never a test.

Row sets are of a dataset of a million rows, each about a quarter, half or three quarters of them, none like another.
"""

from __future__ import annotations

import statistics
import time
from itertools import combinations, islice

import numpy as np
from pyroaring import BitMap
from rich.console import Console
from rich.table import Table

from connectors.rules.ledger import Answer, Ledger, Terms

ROWS = 10**6
ANSWERS = 10_000
RUNS = 25
TERMS = Terms(least=11)
SOURCES = frozenset({"spaces/care.example/datasets/list", "spaces/police.example/datasets/list"})


def answer(name: str, rows: BitMap) -> Answer:
    return Answer(name, "2026-1", SOURCES, rows)


def row_sets(count: int) -> list[BitMap]:
    """Made of a few by intersection, union and difference."""
    random = np.random.default_rng(1)
    some = [BitMap(np.flatnonzero(random.random(ROWS) < 0.5).astype(np.uint32)) for _ in range(90)]
    made = (rows for a, b in combinations(some, 2) for rows in (a & b, a | b, a ^ b))
    return list(islice(made, count))


def of_one_size(sets: list[BitMap]) -> list[BitMap]:
    """The worst there is: every answer has as many rows as the question, so that each has to be compared."""
    size = min(map(len, sets))
    return [BitMap(rows.to_array()[:size]) for rows in sets]


def verdicts(sets: list[BitMap]) -> list[float]:
    ledger = Ledger(answer(str(number), rows) for number, rows in enumerate(sets[RUNS:]))
    taken = []
    for number, rows in enumerate(sets[:RUNS]):
        began = time.process_time()
        objection = ledger.objection(answer(f"asked {number}", rows), TERMS)
        taken.append(1000 * (time.process_time() - began))
        if objection is not None:
            raise SystemExit(f"none of these sets is close to another, and yet: {objection}")
    return taken


def run() -> None:
    sets = row_sets(ANSWERS + RUNS)
    size = sum(len(rows.serialize()) for rows in sets) / 2**20
    table = Table(
        "earlier answers", "median", "least", "most", title=f"A question held against {ANSWERS:,} answers: ms"
    )
    for what, some in (("of all sizes", sets), ("all of the question's size", of_one_size(sets))):
        taken = verdicts(some)
        table.add_row(what, *(f"{value:,.2f}" for value in (statistics.median(taken), min(taken), max(taken))))
    console = Console(width=120)
    console.print(table)
    console.print(f"{ROWS:,} rows; the answers' row sets take {size:,.0f} MiB")
