"""Ours, through the gateways' tunnel: three spaces of real gateways, agents and parties on this machine.

Each row is a computation that a client asks for: its contract, its approvals and its session are those of any other.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.client import AsyncClient, Profile
from gateway.domain.computation import State
from gateway.domain.query import Limits, Overlap, Query, Source, Statistic
from gateway.edges.anchors import write_statements
from gateway.sandbox.anchor import NAME, enrol
from gateway.sandbox.federation import PORTS_FILE, Sandbox, running
from gateway.sandbox.layout import STATEMENT, SpaceSpec, lay_out
from tests.afresh import keeping_nothing
from tests.bench.engine import program
from tests.bench.engine.direct import free_ports
from tests.bench.engine.measuring import Measured
from tests.bench.engine.operations import START, Row

SPACES = (
    SpaceSpec("care", "Care Alliance", 1, ("LA", "NG")),
    SpaceSpec("police", "Police Cooperation", 1, ("PFNCA", "GO")),
    SpaceSpec("neutral", "Neutral Compute Foundation", 1, ("GP",)),
)
EMBEDDED = '[agent]\nconfig = "agent.toml"\n'
# The least that a provider reads: three short lists.
FEW = (("care", "la"), ("care", "ng"), ("neutral", "gp"))
ALL = tuple((spec.name, name.lower()) for spec in SPACES for name in spec.lists)


async def run(rows: Sequence[Row]) -> list[Measured]:
    """Every row in a session of its own; a session's start in as many as it has repeats."""
    measured = []
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as folder:
        async with federation(Path(folder) / "federation") as sandbox:
            async with AsyncClient(Profile.load(sandbox.profile())) as client:
                await _session(client, START)  # not counted: code and caches warm up
                for row in rows:
                    if row is START:
                        taken = [await _start(client) for _ in range(row.repeats)]
                        measured.append(Measured(row.operation, row.n, taken, 0, 0, True))
                    else:
                        measured.append(program.measured((await _session(client, row))[1], row))
    return measured


async def _start(client: AsyncClient) -> float:
    """Seconds from agreed to the first value opened; reading the providers' sources is part of it."""
    agreed, cells = await _session(client, START)
    return program.started(cells) - agreed


async def _session(client: AsyncClient, row: Row) -> tuple[float, list[int]]:
    """When all had agreed, on the machine's running clock, and the cells of the result."""
    lists = FEW if row is START else ALL
    asked = Query(
        title="Bench",
        purpose="trend-monitoring",
        legal_basis="gdpr-6-1-e",
        sources=tuple(Source(f"spaces/{space}.example/datasets/{name}") for space, name in lists),
        link_on=("prs_FirstName", "prs_SecondName", "prs_Birthdate"),
        statistic=Statistic(overlap=Overlap()),
        limits=Limits(minimum_cell=program.minimum_cell(row)),
    )
    agreed = 0.0
    created = await client.create(asked)
    last = created
    async for last in client.watch(created.name):
        if last.state in (State.AGREED, State.RUNNING):
            agreed = agreed or time.monotonic()
    table = await client.result(last)
    return agreed, [cell.count or 0 for cell in table.rows]


@asynccontextmanager
async def federation(folder: Path) -> AsyncIterator[Sandbox]:
    """A sandbox whose agents run the bench's program."""
    names = [*(spec.name for spec in SPACES), NAME]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    newcomers = lay_out(folder, ports, int(time.time()), spaces=SPACES)
    (folder / PORTS_FILE).write_text(json.dumps(ports))
    keeping_nothing(folder)
    statements = await enrol(folder / NAME / "anchor.toml", newcomers)
    agents = []
    log = (folder / "log").open("ab")
    try:
        for spec in SPACES:
            home = folder / "spaces" / spec.name
            write_statements(home / STATEMENT, [statements[spec.entity]])
            settings = (home / "gateway.toml").read_text()
            (home / "gateway.toml").write_text(settings.replace(EMBEDDED, ""))
            command = (sys.executable, "-m", "tests.bench.engine.agent", str(home / "agent.toml"))
            agents.append(
                await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log)
            )
        async with running(folder, spaces=SPACES, log=log.fileno()) as sandbox:
            yield sandbox
    finally:
        for agent in agents:
            if agent.stdin is not None:
                agent.stdin.close()
        for agent in agents:
            await agent.wait()
        log.close()
