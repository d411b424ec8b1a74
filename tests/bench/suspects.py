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
from gateway.domain.query import Filter, Query, Source
from gateway.edges import steward_keys
from gateway.sandbox.federation import Sandbox, running
from tests.afresh import keeping_nothing
from tests.bench.federation import QUERIES, once

PEOPLE, BOTH, RUNS = 10_000, 100, 3
LISTS = {"care": "ng", "registry": "go"}
OWN, OTHER = (f"spaces/{space}.example/datasets/{name}" for space, name in LISTS.items())
SECTION = '[one_person]\nlegal_bases = ["led-8"]\nroles = ["analyst"]\nleast_list = 100\ncase = "age"\n'


def _larger(folder: Path) -> None:
    """Both lists with so many people, whose first `RUNS` have an age of their own, which names their cases."""
    keeping_nothing(folder)
    for space, name in LISTS.items():
        home = folder / "spaces" / space
        file, first = home / "data" / f"{name}.csv", 0 if space == "care" else PEOPLE - BOTH
        head, some = file.read_text(encoding="utf-8").splitlines()[:2]
        rest = ["1990-01-02", *some.split(",")[3:-1]]
        # The people on both lists come last on the one and first on the other; cases are among them.
        ages = {PEOPLE - 1 - case: case for case in range(RUNS + 1)}
        rows = [
            ",".join([f"Person {number}", "MADE UP", *rest, str(ages.get(number, 99))])
            for number in range(first, first + PEOPLE)
        ]
        file.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
        described = home / "datasets" / f"{name}.toml"
        described.write_text(re.sub(r"row_bound = \d+", f"row_bound = {PEOPLE}", described.read_text()))
        policy = home / "datasets" / f"{name}.policy.toml"
        text = policy.read_text().replace("purposes = [", 'purposes = ["criminal-investigation", ')
        policy.write_text(text.replace("statistics = [", 'statistics = ["hit", ', 1) + SECTION)


async def _approved(sandbox: Sandbox, client: AsyncClient, asked: Query) -> Computation:
    """The question, once two stewards of both spaces have signed it."""
    created = await client.create(asked)
    for space in LISTS:
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
    count = replace(count, sources=(Source(OWN), Source(OTHER)))
    table = Table("question", "runs", "median", "least", "most", title=f"Two lists of {PEOPLE:,} people, seconds")
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as folder, (Path(folder) / "log").open("ab") as log:
        async with (
            running(Path(folder) / "federation", edit=_larger, log=log.fileno()) as sandbox,
            AsyncClient(Profile.load(sandbox.profile())) as client,
        ):
            await once(client, count)  # not counted: code and caches warm up
            counted = [await once(client, count) for _ in range(RUNS)]
            _row(table, "count: asked to table", [total for _, total, _ in counted])
            _row(table, "count: session", [computation.seconds for computation, _, _ in counted])
            taken = []
            for case in range(RUNS + 1):
                own = Source(OWN, (Filter("age", equals=case),))
                taken.append(
                    (
                        await _approved(
                            sandbox, client, replace(hit, title=f"Case {case}", sources=(own, Source(OTHER)))
                        )
                    ).seconds
                )
            _row(table, "hit: session", taken[1:])
    Console(width=100).print(table)


def _row(table: Table, what: str, values: Sequence[float]) -> None:
    shown = (statistics.median(values), min(values), max(values))
    table.add_row(what, str(len(values)), *(f"{value:.2f}" for value in shown))


def run() -> None:
    asyncio.run(main())
