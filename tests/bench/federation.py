"""`python -m tests.bench federation`: what a federation on this machine takes.

Medians, with the range beside them; never a test.

Columns: how often it was measured, median, least and most. A machine shared with others is noisy: compare
figures of one run alone.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gateway.client import AsyncClient, Profile, load_query
from gateway.domain.computation import Computation, State
from gateway.domain.query import Query
from gateway.sandbox.federation import running
from tests.afresh import keeping_nothing
from tests.bench import trust

RUNS = 9
QUERIES = Path(__file__).parents[2] / "docs" / "queries"


async def main() -> None:
    table = Table("what", "runs", "median", "least", "most", title="Isthmus on this machine, seconds unless it says so")
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as folder:
        began = time.perf_counter()
        with (Path(folder) / "log").open("ab") as log:
            async with running(Path(folder) / "federation", edit=keeping_nothing, log=log.fileno()) as sandbox:
                _row(
                    table,
                    "sandbox: four gateways, four agents, three warm parties, ready",
                    [time.perf_counter() - began],
                )
                async with AsyncClient(Profile.load(sandbox.profile())) as client:
                    for name in ("overlap", "form_year"):
                        await _measure(table, client, name, load_query(QUERIES / f"{name}.yaml").query)
    for what, values in await asyncio.to_thread(trust.rows):
        _row(table, what, values)
    Console(width=120).print(table)


async def _measure(table: Table, client: AsyncClient, name: str, asked: Query) -> None:
    await once(client, asked)  # not counted: code and caches warm up
    plans, totals, sessions, starts, sent, rounds = [], [], [], [], [], []
    for _ in range(RUNS):
        began = time.perf_counter()
        plan = await client.plan(asked)
        plans.append(time.perf_counter() - began)
        computation, total, start = await once(client, asked)
        totals.append(total)
        starts.append(start)
        sessions.append(computation.seconds)
        sent += [receipt.bytes_sent for receipt in computation.receipts if receipt.bytes_sent]
        rounds.append(max(receipt.rounds for receipt in computation.receipts))
    _row(table, f"{name}: plan with every space's verdict", plans)
    _row(table, f"{name}: asked → table opened and checked by the client", totals)
    _row(table, f"{name}: session, all agreed → all receipts", sessions)
    _row(table, f"{name}: start of a session, agreed → parties linking", starts)
    _row(table, f"{name}: forecast of the session", [plan.forecast.seconds])
    _row(table, f"{name}: bytes that a party sent", sent)
    _row(table, f"{name}: rounds", rounds)


async def once(client: AsyncClient, asked: Query) -> tuple[Computation, float, float]:
    """How it ended, seconds from asking to the table, and from agreed to parties linking."""
    began = time.perf_counter()
    agreed = linking = 0.0
    created = await client.create(asked)
    last = created
    async for last in client.watch(created.name):
        now = time.perf_counter()
        if last.state is State.AGREED or (last.state is State.RUNNING and not agreed):
            agreed = agreed or now
        if not linking and any(space.phase == "linking" for space in last.spaces):
            linking = now
    await client.result(last)
    return last, time.perf_counter() - began, linking - agreed


def _row(table: Table, what: str, values: Sequence[float]) -> None:
    shown = [statistics.median(values), min(values), max(values)]
    table.add_row(
        what, str(len(values)), *(f"{v:,.0f}" if v >= 1000 or "rounds" in what else f"{v:.3f}" for v in shown)
    )


def run() -> None:
    asyncio.run(main())
