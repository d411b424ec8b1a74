"""`python -m tests.bench suspects`: two lists of 10^4 made-up people at two spaces, three parties: how many are on
both, and whether one person is. Medians of seconds; never a test.

A hit waits for four stewards, which is not measured: its figures are of the session, from agreed to all receipts.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gateway.client import AsyncClient, Profile, load_query
from gateway.domain.computation import Computation
from gateway.domain.decision import APPROVE
from gateway.domain.query import Filter, Query
from gateway.edges import steward_keys
from gateway.sandbox import suspects
from gateway.sandbox.federation import Sandbox, running
from tests.afresh import keeping_nothing
from tests.bench.federation import QUERIES, once

PEOPLE, BOTH, RUNS = 10_000, 100, 3
SPACES = ("police", "registry")


def _larger(folder: Path) -> None:
    """Both lists with so many people; cases are numbered as they stand in the list."""
    keeping_nothing(folder)
    for space in SPACES:
        home = folder / "spaces" / space
        # The people on both lists come last on the one and first on the other.
        first = 0 if space == "police" else PEOPLE - BOTH
        rows = [
            f"Person {number},MADE UP,1990-01-02,Feminine,{case}"
            for case, number in enumerate(range(first, first + PEOPLE), start=1)
        ]
        file = home / "data" / f"{suspects.ID}.csv"
        head = file.read_text(encoding="utf-8").splitlines()[0]
        file.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
        described = home / "datasets" / f"{suspects.ID}.toml"
        text = re.sub(r"row_bound = \d+", f"row_bound = {PEOPLE}", described.read_text())
        described.write_text(text.replace(f"most = {suspects.MOST_CASE}", f"most = {PEOPLE}"))


async def _approved(sandbox: Sandbox, client: AsyncClient, asked: Query) -> Computation:
    """The question, once two stewards of both spaces have signed it."""
    created = await client.create(asked)
    for space in SPACES:
        async with AsyncClient(Profile.load(sandbox.profile(space, "operator"))) as stewards:
            while not (waiting := [p for p in await stewards.approvals.list() if p.title == asked.title]):
                await asyncio.sleep(0.1)
            shown = await stewards.approvals.show(waiting[0].digest)
            for name in ("anna", "ben"):
                key = steward_keys.load(sandbox.folder / "users" / f"{space}-{name}.jwk")
                await stewards.approvals.decide(shown, key, APPROVE)
    last = [found async for found in client.watch(created.name)][-1]
    found = await client.result(last)
    if [row.count for row in found.rows] != [1]:
        raise SystemExit("the person is on both lists, and yet there is no hit")
    return last


async def main() -> None:
    count = load_query(QUERIES / "suspects_count.yaml").query
    hit = load_query(QUERIES / "hit.yaml").query
    table = Table("question", "runs", "median", "least", "most", title=f"Two lists of {PEOPLE:,} people, seconds")
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as folder, (Path(folder) / "log").open("ab") as log:
        async with (
            running(Path(folder) / "federation", edit=_larger, log=log.fileno()) as sandbox,
            AsyncClient(Profile.load(sandbox.profile("police"))) as client,
        ):
            await once(client, count)  # not counted: code and caches warm up
            counted = [await once(client, count) for _ in range(RUNS)]
            _row(table, "count: asked to table", [total for _, total, _ in counted])
            _row(table, "count: session", [computation.seconds for computation, _, _ in counted])
            taken = []
            for case in range(PEOPLE - RUNS, PEOPLE + 1):
                own = replace(hit.sources[0], filters=(Filter(suspects.CASE, equals=case),))
                asked = replace(hit, title=f"Case {case}", sources=(own, *hit.sources[1:]))
                taken.append((await _approved(sandbox, client, asked)).seconds)
            _row(table, "hit: session", taken[1:])
    Console(width=100).print(table)


def _row(table: Table, what: str, values: Sequence[float]) -> None:
    shown = (statistics.median(values), min(values), max(values))
    table.add_row(what, str(len(values)), *(f"{value:.2f}" for value in shown))


def run() -> None:
    asyncio.run(main())
