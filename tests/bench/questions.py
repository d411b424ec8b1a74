"""`python -m tests.bench questions`: every question of docs/queries against a sandbox, forecast beside measurement.

Seconds are of the session, from all agreed to all receipts; medians, with the range beside them; never a test.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gateway.client import AsyncClient, Profile, load_query
from gateway.domain.errors import IsthmusError
from gateway.sandbox.federation import running
from tests.afresh import keeping_nothing
from tests.bench.federation import QUERIES, once

RUNS = 5


async def main() -> None:
    table = Table("question", "rounds", "MB a party", "forecast", "median", "least", "most", "forecast / median")
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as folder, (Path(folder) / "log").open("ab") as log:
        async with (
            running(Path(folder) / "federation", edit=keeping_nothing, log=log.fileno()) as sandbox,
            AsyncClient(Profile.load(sandbox.profile())) as client,
        ):
            for path in sorted(QUERIES.glob("*.yaml")):
                try:
                    table.add_row(path.stem, *await _row(client, path))
                except IsthmusError as refused:
                    table.add_row(path.stem, f"refused: {refused.reason}")
    Console(width=120).print(table)


async def _row(client: AsyncClient, path: Path) -> list[str]:
    asked = load_query(path).query
    forecast = (await client.plan(asked)).forecast
    await once(client, asked)  # not counted: code and caches warm up
    seconds = [(await once(client, asked))[0].seconds for _ in range(RUNS)]
    middle = statistics.median(seconds)
    shown = (forecast.seconds, middle, min(seconds), max(seconds), forecast.seconds / middle)
    return [str(forecast.rounds), f"{forecast.bytes_per_party / 1e6:.1f}", *(f"{value:.2f}" for value in shown)]


def run() -> None:
    asyncio.run(main())
