"""`python -m tests.bench lists [csv|parquet] [KIND [ROWS]]`: questions on three lists through gateways with three
parties. Kinds, all of them unless one is named, each with its own number of rows of a list unless ROWS says otherwise.
Of records, where nobody is recognised across lists:

- count: records of a million rows each in 1 056 cells;
- median: of an age, of 10^5 rows each;
- linear: least squares of an age on ten columns of two codes, of 10^5 rows each;
- logistic: the same columns, and whether somebody has one code of another one;

and of people, who are linked:

- overlap: how many of 10^5 people each are on which of the lists;
- linked_median: the median of an age, of 10^5 people each.

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from gateway.client import AsyncClient, Profile, load_query
from gateway.domain.computation import State
from gateway.domain.dataset import Code, Column, ColumnType
from gateway.domain.errors import IsthmusError
from gateway.domain.query import (
    Between,
    CountBy,
    Covariate,
    Events,
    Filter,
    Grid,
    LinearRegression,
    LogisticRegression,
    Outcome,
    Overlap,
    Quantiles,
    Query,
    Source,
    Statistic,
)
from gateway.domain.result import Table as Result
from gateway.sandbox import data, federation
from gateway.sandbox.federation import running
from tests.afresh import keeping_nothing
from tests.bench.federation import QUERIES

RUNS = 7
LISTS = {"care": "ng", "police": "pfnca", "registry": "go"}
BY = ("prs_Gender", "prs_Citizenship", data.FORM)
FIRST_WITHIN = 600.0  # seconds in which agents check their files
FEW = tuple(
    Column(f"x{number}", ColumnType.CODE, label=f"x{number}", codes=(Code("no", "no"), Code("yes", "yes")))
    for number in range(10)
)
ON = tuple(Covariate(column.name) for column in FEW)


@dataclass(frozen=True, slots=True)
class Kind:
    """How many rows a list has, which columns more than the sandbox's, and what is asked."""

    rows: int
    columns: tuple[Column, ...]
    asked: Statistic
    link_on: tuple[str, ...] = ()


MEDIAN = Statistic(quantiles=Quantiles(Grid("age", 0, 120), (50,)))
PEOPLE = load_query(QUERIES / "overlap.yaml").query.link_on
KINDS: Mapping[str, Kind] = {
    "count": Kind(10**6, (), Statistic(count_by=CountBy(BY))),
    "median": Kind(10**5, (), MEDIAN),
    "linear": Kind(10**5, FEW, Statistic(linear_regression=LinearRegression(Outcome("age", 0, 120), ON))),
    "logistic": Kind(
        10**5,
        FEW,
        Statistic(logistic_regression=LogisticRegression(Events("prs_Gender", ("Feminine",)), ON)),
    ),
    "overlap": Kind(10**5, (), Statistic(overlap=Overlap()), PEOPLE),
    "linked_median": Kind(10**5, (), MEDIAN, PEOPLE),
}


def larger(suffix: str, rows: int, further: Sequence[Column]) -> Callable[[Path], None]:
    """Three lists of a laid out federation get so many made-up people instead."""

    def edit(folder: Path) -> None:
        keeping_nothing(folder)
        for number, (space, name) in enumerate(LISTS.items()):
            home = folder / "spaces" / space
            (home / "data" / f"{name}.csv").unlink()
            _write(home / "data" / f"{name}.{suffix}", rows, number, further)
            description = home / "datasets" / f"{name}.toml"
            text = description.read_text().replace(f'"{name}.csv"', f'"{name}.{suffix}"')
            lines = [f"row_bound = {rows}" if line.startswith("row_bound") else line for line in text.split("\n")]
            description.write_text("\n".join([*lines, *map(_described, further)]))

    return edit


def _described(column: Column) -> str:
    codes = ", ".join(f'{{ value = "{code.value}", label = "{code.label}" }}' for code in column.codes)
    return f'[[columns]]\nname = "{column.name}"\ntype = "code"\nlabel = "{column.label}"\ncodes = [{codes}]\n'


def _write(file: Path, rows: int, seed: int, further: Sequence[Column]) -> None:
    cells = []
    for place, column in enumerate([*data.columns(), *further]):
        if column.name == data.YEAR:
            continue  # the owner works it out
        # Of a text: the lowest bits of a hash of several numbers differ between columns by one constant alone.
        drawn = f"hash(i || '/{place}/{seed}')"
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


def question(kind: Kind, run: int) -> Query:
    """All but those of the last `run` years of age."""
    asked = load_query(QUERIES / "records.yaml").query
    kept = () if not run else (Filter("age", between=Between(0, 79 - run)),)
    sources = tuple(Source(source.dataset, kept) for source in asked.sources)
    return replace(asked, sources=sources, statistic=kind.asked, link_on=kind.link_on)


async def main(suffix: str, name: str, rows: int) -> None:
    federation.READY_WITHIN = FIRST_WITHIN
    seconds: dict[str, list[float]] = defaultdict(list)
    kind = KINDS[name]
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as folder, (Path(folder) / "log").open("ab") as log:
        async with (
            running(Path(folder) / "federation", edit=larger(suffix, rows, kind.columns), log=log.fileno()) as sandbox,
            AsyncClient(Profile.load(sandbox.profile())) as client,
        ):
            await _offered(client, kind)
            forecast = (await client.plan(question(kind, 0))).forecast
            for run in range(1 + RUNS):
                found = await _once(client, question(kind, run), rows)
                for phase, taken in found.items():
                    # The first is not counted: rows get their numbers, and people theirs.
                    seconds[phase if run else f"first time: {phase}"].append(taken)
    size = f"{forecast.rounds} rounds, {forecast.bytes_per_party / 1e6:.1f} MB a party"
    title = f"{name}, three lists of {rows:,} rows, {suffix}, {size}; seconds"
    table = Table("what", "runs", "median", "least", "most", title=title)
    for phase, values in seconds.items():
        shown = (statistics.median(values), min(values), max(values))
        table.add_row(phase, str(len(values)), *(f"{value:.2f}" for value in shown))
    Console(width=120).print(table)


async def _offered(client: AsyncClient, kind: Kind) -> None:
    """Once all agents have checked their files."""
    async with asyncio.timeout(FIRST_WITHIN):
        while True:
            try:
                await client.plan(question(kind, 0))
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
    _check(answer, rows)
    inputs = marks.get("inputs", done)
    return {
        "asked → table opened by the client": whole,
        "plan, ledgers' row sets, approvals: asked → agreed": marks["agreed"],
        "reading, sharing: agreed → parties compute": inputs - marks["agreed"],
        "parties compute → all receipts": done - inputs,
        "session, all agreed → all receipts": last.seconds,
    }


def _check(table: Result, rows: int) -> None:
    """That it is told, and of as many as there are. The median of numbers from 0 to 79 less is below 40."""
    if table.measures[:2] == ("from", "to"):
        right = all(row.values[0] is not None and 25 <= row.values[0] <= 40 for row in table.rows)
    else:
        overall = [figure.value for figure in table.overall if figure.name == "people"]
        counted = sum(row.count or 0 for row in table.rows) if table.counted else overall[0] or 0
        right = 0.7 * 3 * rows < counted <= 3 * rows
    if not right:
        raise AssertionError(f"of three lists of {rows} it came to {table}")


def run(arguments: Sequence[str]) -> None:
    suffix, *more = [*arguments] or ["csv"]
    if suffix not in ("csv", "parquet"):
        sys.exit("a list is csv or parquet")
    for name in more[:1] or KINDS:
        if name not in KINDS:
            sys.exit(f"a kind is one of {', '.join(KINDS)}")
        asyncio.run(main(suffix, name, int(more[1]) if len(more) > 1 else KINDS[name].rows))
