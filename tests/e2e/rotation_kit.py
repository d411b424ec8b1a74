"""A small federation in which one space rotates its keys under a stream of computations."""

from __future__ import annotations

import asyncio
import csv
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.cli import rings
from gateway.client import AsyncClient, Profile
from gateway.domain.computation import Computation, State
from gateway.domain.query import CountBy, Limits, Query, Source, Statistic
from gateway.edges import certificates, keys, ringfiles
from gateway.edges.anchors import write_statements
from gateway.edges.certificates import Role
from gateway.rules.keyring import Ring
from gateway.sandbox.anchor import enrol
from gateway.sandbox.federation import PORTS_FILE, Sandbox, _free_ports, running
from gateway.sandbox.layout import CLIENTS, SPACES, STATEMENT, SpaceSpec, lay_out
from tests.afresh import keeping_nothing

SEATS = 3
ROWS = 12
# Two lists and three seats: what a computation needs at least.
SMALL: tuple[SpaceSpec, ...] = tuple(
    replace(spec, seats=SEATS, lists=spec.lists[:1], suspects=False) for spec in SPACES if spec.name != "registry"
)
QUERY = Query(
    "People by form of exploitation",
    "trend-monitoring",
    "gdpr-6-1-e",
    (Source("spaces/care.example/datasets/la"), Source("spaces/police.example/datasets/pfnca")),
    ("prs_FirstName", "prs_SecondName", "prs_Birthdate"),
    Statistic(count_by=CountBy(("vic_TypeOfExploitation",))),
    limits=Limits(minimum_cell=11),
)


async def lay_out_small(folder: Path) -> None:
    """Three spaces with a dozen rows each, members of their anchor."""
    ports = _free_ports(SMALL)
    joining = lay_out(folder, ports, int(time.time()), spaces=SMALL, change=_cut)
    (folder / PORTS_FILE).write_text(json.dumps(ports))
    keeping_nothing(folder)
    for file in folder.glob("spaces/*/datasets/*.toml"):
        file.write_text(re.sub(r"row_bound = \d+", "row_bound = 16", file.read_text()))
    statements = await enrol(folder / "anchor" / "anchor.toml", joining)
    for spec in SMALL:
        write_statements(folder / "spaces" / spec.name / STATEMENT, [statements[spec.entity]])


@asynccontextmanager
async def federation(folder: Path, log: int) -> AsyncIterator[Sandbox]:
    """It runs, and every gateway sees every space."""
    await lay_out_small(folder)
    async with running(folder, spaces=SMALL, log=log) as sandbox:
        yield sandbox


def _cut(lists: Path) -> None:
    kept = {name for spec in SMALL for name in spec.lists}
    for file in lists.glob("*.csv"):
        if file.stem not in kept:
            file.unlink()
            continue
        with file.open(newline="") as source:
            rows = list(csv.reader(source))[: ROWS + 1]
        with file.open("w", newline="") as target:
            csv.writer(target, lineterminator="\n").writerows(rows)


@dataclass(frozen=True, slots=True)
class Asked:
    """One computation: when its client began, when it had the result, and what came of it."""

    space: str
    began: float
    ended: float
    computation: Computation


@dataclass(slots=True)
class Stream:
    """Clients of every space, each asking again as soon as it has an answer."""

    sandbox: Sandbox
    done: list[Asked] = field(default_factory=list)
    _progress: asyncio.Condition = field(default_factory=asyncio.Condition)
    _clients: list[asyncio.Task[None]] = field(default_factory=list)

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[Stream]:
        self._clients = [
            asyncio.create_task(self._ask_for_ever(spec.name, client))
            for spec, client in zip(SMALL, ("analyst", "operator", "analyst"), strict=True)
        ]
        try:
            yield self
        finally:
            for task in self._clients:
                task.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until `reached()`, looked at whenever a computation has ended. A client that fails raises here."""
        async with self._progress:
            while not reached():
                for task in self._clients:
                    if task.done():
                        task.result()
                await self._progress.wait()

    async def more(self, count: int) -> None:
        """Wait for `count` computations that begin after now."""
        now = time.time()
        await self.until(lambda: sum(asked.began > now for asked in self.done) >= count)

    async def _ask_for_ever(self, space: str, client: str) -> None:
        try:
            while True:
                asked = await ask(self.sandbox, space, client)
                async with self._progress:
                    self.done.append(asked)
                    self._progress.notify_all()
        finally:
            async with self._progress:
                self._progress.notify_all()


async def ask(sandbox: Sandbox, space: str, client: str) -> Asked:
    """One computation by a client that reads its profile now. Half of them let their gateway open the result."""
    profile = Profile.load(sandbox.profile(space, client)).model_copy(update={"token": None})
    began = time.time()
    async with AsyncClient(profile) as user:
        created = await user.create(QUERY, recipient="gateway" if client == "operator" else "self")
        async for computation in user.watch(created.name):
            last = computation
        if last.state is State.RELEASED:
            await user.result(last)  # opens and checks it
    return Asked(space, began, time.time(), last)


def rotate(home: Path, key: str, ahead: int, overlap: int) -> rings.Rotated:
    """`isthmus trust rotate KEY`, with times of a drill."""
    config = home / ("agent.toml" if key in ("contract", "tls-agent") else "gateway.toml")
    return rings.rotate(config, rings.Wanted(key, ahead, overlap, "a drill", compromised=False))


def tell_clients_of_ca(users: Path, home: Path, space: str) -> None:
    """The operator's part, within the time ahead: both CAs in the file of every client."""
    tls = home / "tls"
    ring = ringfiles.read(tls / "ca.ring.json")
    _replace(users / f"{space}.ca.pem", b"".join((tls / entry.certificate).read_bytes() for entry in ring.entries))


def give_clients_certificates(users: Path, home: Path, space: str) -> None:
    """The operator's part, within the overlap: certificates of the new CA. Key first: a client reads both."""
    tls = home / "tls"
    latest = ringfiles.read(tls / "ca.ring.json").latest
    authority = certificates.load_authority(tls / latest.certificate, tls / latest.secret)
    entity = next(spec.entity for spec in SMALL if spec.name == space)
    for client in CLIENTS:
        made = certificates.client_certificate(authority, entity, Role.CLIENT, int(time.time()), client_id=client)
        stem = users / f"{space}-{client}"
        keys.write_secret(stem.with_name(f"{stem.name}-next.key.pem"), made.key_pem)
        _replace(stem.with_name(f"{stem.name}-next.pem"), made.certificate_pem)
        profile = stem.with_name(f"{stem.name}.toml")
        _replace(profile, profile.read_text().replace(f"{stem.name}.pem", f"{stem.name}-next.pem")
                 .replace(f"{stem.name}.key.pem", f"{stem.name}-next.key.pem").encode())  # fmt: skip


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def lengthen(paths: Sequence[Path], until: int) -> None:
    """Let the old keys stay longer than planned."""
    for path in paths:
        with ringfiles.locked(path):
            entries = ringfiles.read(path).entries
            longer = tuple(e if e.retire is None else replace(e, retire=max(e.retire, until)) for e in entries)
            ringfiles.write(path, Ring(longer))
