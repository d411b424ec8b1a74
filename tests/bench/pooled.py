"""`python -m tests.bench pooled [csv|parquet] [ROWS]`: records of three lists, each of a million rows unless ROWS says
otherwise, in 1 056 cells, through gateways with three parties; nobody is recognised across them.

Each run filters other rows away, so that every question is a new one, which the owners' ledgers hold against all
before.
Seconds: medians, with the range beside them; never a test.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from gateway.client import AsyncClient, Profile, load_query
from gateway.domain.computation import State
from gateway.domain.dataset import ColumnType
from gateway.domain.errors import IsthmusError
from gateway.domain.query import Between, CountBy, Filter, Query, Source, Statistic
from gateway.sandbox import data, federation
from gateway.sandbox.federation import running
from tests.afresh import keeping_nothing
from tests.bench.federation import QUERIES

RUNS, ROWS = 7, 10**6
LISTS = {"care": "ng", "police": "pfnca", "registry": "go"}
BY = ("prs_Gender", "prs_Citizenship", data.FORM)
FIRST_WITHIN = 600.0  # seconds in which agents check their files


def larger(suffix: str, rows: int) -> Callable[[Path], None]:
    """Three lists of a laid out federation get so many made-up people instead."""

    def edit(folder: Path) -> None:
        keeping_nothing(folder)
        for number, (space, name) in enumerate(LISTS.items()):
            home = folder / "spaces" / space
            (home / "data" / f"{name}.csv").unlink()
            _write(home / "data" / f"{name}.{suffix}", rows, number)
            description = home / "datasets" / f"{name}.toml"
            text = description.read_text().replace(f'"{name}.csv"', f'"{name}.{suffix}"')
            lines = [f"row_bound = {rows}" if line.startswith("row_bound") else line for line in text.split("\n")]
            description.write_text("\n".join(lines))

    return edit


def _write(file: Path, rows: int, seed: int) -> None:
    cells = []
    for place, column in enumerate(data.columns()):
        if column.name == data.YEAR:
            continue  # the owner works it out
        drawn = f"hash(i, {place}, {seed})"
        if column.codes:
            codes = ", ".join("'" + code.value.replace("'", "''") + "'" for code in column.codes)
            cell = f"list_extract([{codes}], 1 + ({drawn} % {len(column.codes)})::INT)"
        elif column.type is ColumnType.INTEGER:
            cell = f"({drawn} % 80)::VARCHAR"
        elif column.type is ColumnType.DATE:
            cell = f"strftime(DATE '2009-01-01' + ({drawn} % 2190)::INT, '%Y-%m-%d')"
        else:
            cell = f"'N' || (i * {place + 1}) || '-{seed}'"
        cells.append(f"{cell} AS {column.name}")
    with duckdb.connect() as engine:
        options = "HEADER" if file.suffix == ".csv" else "FORMAT parquet"
        engine.execute(f"COPY (SELECT {', '.join(cells)} FROM range({rows}) t(i)) TO '{file}' ({options})")


def question(run: int) -> Query:
    """All but those of the last `run` years of age."""
    asked = load_query(QUERIES / "records.yaml").query
    kept = () if not run else (Filter("age", between=Between(0, 79 - run)),)
    sources = tuple(Source(source.dataset, kept) for source in asked.sources)
    return replace(asked, sources=sources, statistic=Statistic(count_by=CountBy(BY)))


async def main(suffix: str, rows: int) -> None:
    federation.READY_WITHIN = FIRST_WITHIN
    seconds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as folder, (Path(folder) / "log").open("ab") as log:
        async with (
            running(Path(folder) / "federation", edit=larger(suffix, rows), log=log.fileno()) as sandbox,
            AsyncClient(Profile.load(sandbox.profile())) as client,
        ):
            await _offered(client)
            for run in range(1 + RUNS):
                found = await _once(client, question(run), rows)
                for phase, taken in found.items():
                    # The first is not counted: rows get their numbers, and people theirs.
                    seconds[phase if run else f"first time: {phase}"].append(taken)
    table = Table("what", "runs", "median", "least", "most", title=f"three lists of {rows:,} rows, {suffix}, seconds")
    for phase, values in seconds.items():
        shown = (statistics.median(values), min(values), max(values))
        table.add_row(phase, str(len(values)), *(f"{value:.2f}" for value in shown))
    Console(width=120).print(table)


async def _offered(client: AsyncClient) -> None:
    """Once all agents have checked their files."""
    async with asyncio.timeout(FIRST_WITHIN):
        while True:
            try:
                await client.plan(question(0))
                return
            except IsthmusError:
                await asyncio.sleep(0.2)


async def _once(client: AsyncClient, asked: Query, rows: int) -> dict[str, float]:
    """Seconds from asking to the table, and of them until all agreed, until parties compute, and until the receipts."""
    began = time.perf_counter()
    created = await client.create(asked)
    marks: dict[str, float] = {}
    last = created
    async for last in client.watch(created.name):
        now = time.perf_counter() - began
        if last.state in (State.AGREED, State.RUNNING):
            marks.setdefault("agreed", now)
        if any(space.phase not in ("", "start", "input") for space in last.spaces):
            marks.setdefault("inputs", now)
    done = time.perf_counter() - began
    answer = await client.result(last)
    whole = time.perf_counter() - began
    counted = sum(row.count or 0 for row in answer.rows)
    if not 0.8 * 3 * rows < counted <= 3 * rows:
        raise AssertionError(f"{counted} records are in cells of three lists of {rows}")
    inputs = marks.get("inputs", done)
    return {
        "asked → table opened by the client": whole,
        "plan, ledgers' row sets, approvals: asked → agreed": marks["agreed"],
        "reading, sharing: agreed → parties compute": inputs - marks["agreed"],
        "parties compute → all receipts": done - inputs,
        "session, all agreed → all receipts": last.seconds,
    }


def run(arguments: Sequence[str]) -> None:
    suffix, *rows = [*arguments] or ["csv"]
    if suffix not in ("csv", "parquet"):
        sys.exit("a list is csv or parquet")
    asyncio.run(main(suffix, int(rows[0]) if rows else ROWS))
