"""`python -m tests.bench audit`: what an audit log of a million records takes. Processor milliseconds; never a test.

Proofs are read from the stored tree in a transaction each, as `isthmus audit prove` does, once the database is open.
"""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from gateway.domain.audit import Break, Fact
from gateway.edges.store.database import Database
from gateway.rules import merkle
from gateway.rules.records import to_bytes

RECORDS = 10**6
RUNS = 200
AT_ONCE = 10_000


def fill(path: Path, records: int) -> None:
    """A log as it would have been appended."""
    frontier = merkle.Frontier()
    with sqlite3.connect(path) as connection:
        for start in range(0, records, AT_ONCE):
            facts = [
                to_bytes(Fact(1_800_000_000 + n, "session.started", "https://care.example", f"{n:064x}", "consumed"))
                for n in range(start, min(start + AT_ONCE, records))
            ]
            rows = [(start + n, fact.decode()) for n, fact in enumerate(facts)]
            frontier, nodes = merkle.with_nodes(frontier, facts)
            connection.executemany("INSERT INTO facts VALUES (?, ?)", rows)
            connection.executemany("INSERT INTO nodes VALUES (?, ?, ?)", [(n.level, n.index, n.hash) for n in nodes])
        roots = " ".join(root.hex() for root in frontier.roots)
        connection.execute("UPDATE tree SET size = ?, frontier = ?", (records, roots))


def spent() -> float:
    """Milliseconds of processor that this process has used, its database's threads included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return 1000 * (used.ru_utime + used.ru_stime)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    before = spent()
    await work()
    return spent() - before


async def measured(folder: Path, records: int) -> list[tuple[str, list[float]]]:
    path = folder / "state.db"
    url = f"sqlite+aiosqlite:///{path}"
    async with await Database.open(url):
        pass
    fill(path, records)
    random = Random(1)
    fact = Fact(1, "session.started", "https://care.example", "0" * 64, "consumed")
    async with await Database.open(url) as database:
        audit, guard, told = database.audit, database.guard, list[Break]()
        places = [random.randrange(1, records) for _ in range(RUNS)]
        rows = [
            ("a record is proven", [await timed(lambda at=at: audit.include(at)) for at in places]),  # type: ignore[misc]
            ("growth is proven", [await timed(lambda at=at: audit.consist(at)) for at in places]),  # type: ignore[misc]
            ("a process starts: all is hashed again", [await timed(lambda: guard.begin(told.append))]),
            ("a session begins: the end and what was seen", [await timed(guard.check) for _ in range(RUNS)]),
            ("a look of the guard, every two seconds", [await timed(guard.look) for _ in range(20)]),
            ("a record is appended", [await timed(lambda: audit.append([fact])) for _ in range(RUNS)]),
        ]
    assert told == []
    return rows


def run(records: int = RECORDS) -> None:
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as folder:
        rows = asyncio.run(measured(Path(folder), records))
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 2**20
    table = Table(
        "what", "runs", "median", "least", "most", title=f"Audit log of {records:,} records, {size:,.0f} MiB: ms"
    )
    for what, values in rows:
        shown = (statistics.median(values), min(values), max(values))
        table.add_row(what, str(len(values)), *(f"{value:,.2f}" for value in shown))
    Console(width=120).print(table)
