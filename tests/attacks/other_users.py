"""A federation in which one space is run as deploy/README.md says: its gateway and its agent are two users.

Its gateway is `broken_in.py`: somebody broke in. Needs root, because only root starts processes as somebody else.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.engine.kernelcache import OF_THE_PACKAGE, checked
from gateway.client import AsyncClient, Profile
from gateway.domain.audit import Fact
from gateway.domain.computation import Computation
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Query
from gateway.edges.anchors import write_statements
from gateway.sandbox import anchor, federation, processes
from gateway.sandbox.layout import SPACES, STATEMENT, lay_out
from tests.attacks.port import Port, free_address
from tests.e2e.shell import ROOT, Shell

# Numbers that no account has, and of no other run of the tests: a user is nothing but what the kernel makes of it.
GATEWAY_USER = 40_000 + 2 * (os.getpid() % 10_000)
AGENT_USER = GATEWAY_USER + 1
CANARY = "Kanarienvogel"
UP_WITHIN = 90.0


@dataclass(frozen=True, slots=True)
class BrokenIn:
    """`live` runs; `loot` is a copy of everything that was there before, for whoever plays the attacker."""

    live: Shell
    loot: Shell
    python: str
    environment: dict[str, str]
    gateway: int
    agent: int

    @property
    def home(self) -> Path:
        """The gateway's folder, which is the attacker's."""
        return self.live.folder / "spaces" / "care"

    @property
    def agent_home(self) -> Path:
        return self.live.folder / "agents" / "care"

    async def started_parties(self) -> list[int]:
        """Once there are any: kernels are loaded first, or compiled where another user finds the code elsewhere."""
        async with asyncio.timeout(120):
            while not (found := await asyncio.to_thread(self.parties)):
                await asyncio.sleep(0.1)  # what is waited for needs the processor
        return found

    def parties(self) -> list[int]:
        children = processes.descendants(self.agent)
        return [child.id for child in children if processes.role_of(child) == "party"]

    def port(self, space: str) -> Port:
        """The port of another space, for somebody with all of care's gateway's keys."""
        return Port(self.loot, space)

    def order(self, **order: Any) -> None:
        """What the broken-in gateway does from the next session on."""
        (self.home / "orders.json").write_text(json.dumps(order))

    def facts(self, space: str, start: int = 0) -> list[Fact]:
        """The audit log of a space's agent."""
        home = "../agents/care" if space == "care" else space
        return self.live.facts(home, start, database="agent.db")

    async def intrude(self, user: int = GATEWAY_USER, **target: Any) -> dict[str, str]:
        """What a program of the gateway's user, or of another, gets done against files, folders and processes."""
        process = await self.start(user, "-m", "tests.attacks.intruder")
        out, _ = await process.communicate(json.dumps(target).encode())
        assert process.returncode == 0
        found: dict[str, str] = json.loads(out)
        return found

    async def start(self, user: int, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            self.python,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=self.home if user == GATEWAY_USER else self.agent_home,
            env=self.environment,
            **_as(user),
        )

    async def ask(self, query: Query, space: str = "police") -> Computation:
        """A computation of another space's analyst that care takes part in, when it has ended."""
        async with AsyncClient(self.live.profile(space)) as client:
            while True:
                created = await client.create(query)
                async for seen in client.watch(created.name):
                    created = seen
                # The session before may have ended here, and elsewhere not yet.
                if created.ending is None or created.ending.reason != Reason.NO_FREE_SEAT:
                    return created


def _as(user: int) -> dict[str, Any]:
    return {"user": user, "group": user, "extra_groups": []}


@asynccontextmanager
async def broken_in() -> AsyncIterator[BrokenIn]:
    if os.geteuid() != 0:
        pytest.fail("this test starts processes as two other users, which root alone may do: run it as root")
    # Not below pytest's folder, which nobody but its owner may enter.
    base = Path(tempfile.mkdtemp(prefix="isthmus-users-"))
    base.chmod(0o711)
    try:
        live, loot = Shell(base / "live"), Shell(base / "loot")
        names = (*(spec.name for spec in SPACES), anchor.NAME)
        ports = {name: int(free_address().rpartition(":")[2]) for name in names}
        newcomers = lay_out(live.folder, ports, int(time.time()), change=_with_canary)
        statements = await anchor.enrol(live.folder / anchor.NAME / "anchor.toml", newcomers)
        for spec in SPACES:
            write_statements(live.folder / "spaces" / spec.name / STATEMENT, [statements[spec.entity]])
        _write(live.folder, ports)
        shutil.copytree(live.folder, loot.folder)
        python, environment = _installation(base / "installation")
        _separate(live.folder)
        others = [spec for spec in SPACES if spec.name != "care"]
        async with federation.running(live.folder, spaces=others):
            gateway = await _start(live.folder / "spaces" / "care", python, environment)
            agent = await _start(live.folder / "agents" / "care", python, environment)
            try:
                world = BrokenIn(live, loot, python, environment, gateway.pid, agent.pid)
                await _everybody_sees(world)
                yield world
            finally:
                await _end(agent)
                await _end(gateway)
    finally:
        shutil.rmtree(base)


def _with_canary(lists: Path) -> None:
    """One made-up person of care's lists gets a name that occurs nowhere else."""
    file = lists / "LA.csv"
    head, first, rest = file.read_text().split("\n", 2)
    file.write_text("\n".join((head, ",".join([CANARY, *first.split(",")[1:]]), rest)))


def _write(folder: Path, ports: dict[str, int]) -> None:
    """What a running sandbox has beside what is laid out, so that shells find it."""
    (folder / federation.PORTS_FILE).write_text(json.dumps(ports))
    (folder / "sandbox.json").write_text(json.dumps({"supervisor": os.getpid()}))


def _separate(folder: Path) -> None:
    """care's agent gets a folder and a user of its own; the gateway's folder holds no more than it needs."""
    home, agent_home = folder / "spaces" / "care", folder / "agents" / "care"
    (agent_home / "tls").mkdir(parents=True)
    for name in ("agent", "data", "datasets", "agent.toml"):
        (home / name).rename(agent_home / name)
    for name in ("ca.ring.json", "ca.pem"):
        shutil.copy(home / "tls" / name, agent_home / "tls" / name)
    # What this agent would compile in its first ten seconds, because its user may not write to ours.
    shutil.copytree(checked(OF_THE_PACKAGE), agent_home / "kernels")
    # Of the contract key the gateway has the public side alone.
    shutil.copy(agent_home / "agent" / "contract.ring.json", home / "keys" / "contract.ring.json")
    (home / "tls" / "ca.key.pem").unlink()  # "Keep the key of the space's CA on neither machine"
    config = home / "gateway.toml"
    text = config.read_text().replace('[agent]\nconfig = "agent.toml"\n', "")
    config.write_text(text.replace('"agent/contract.ring.json"', '"keys/contract.ring.json"'))
    for open_to_all in (folder.parents[1], folder.parent, folder, home.parent, agent_home.parent, folder / anchor.NAME):
        open_to_all.chmod(0o711)
    for own, user in ((home, GATEWAY_USER), (agent_home, AGENT_USER)):
        own.chmod(0o700)
        for path in (own, *own.rglob("*")):
            os.chown(path, user, user)


async def _start(home: Path, python: str, environment: dict[str, str]) -> asyncio.subprocess.Process:
    """The gateway or the agent whose folder this is, as the user to whom it belongs."""
    is_agent = (home / "agent.toml").exists()
    serve = ("gateway", "agent", "serve", "--embedded", "--config") if is_agent else ("tests.attacks.broken_in",)
    return await asyncio.create_subprocess_exec(
        python,
        "-m",
        *serve,
        str(home / ("agent.toml" if is_agent else "gateway.toml")),
        stdin=asyncio.subprocess.PIPE,
        cwd=home,
        env=environment,
        start_new_session=True,
        **_as(home.stat().st_uid),
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    async with asyncio.timeout(15):
        await process.wait()


async def _everybody_sees(world: BrokenIn) -> None:
    async def sees(space: str) -> None:
        async with AsyncClient(Profile.load(world.live.sandbox.profile(space))) as client:
            while True:
                try:
                    if sum(seen.reachable for seen in await client.spaces()) == len(SPACES):
                        return
                except IsthmusError:
                    assert processes.is_alive(world.gateway), "the gateway ended while it started"
                await asyncio.sleep(0.1)

    async with asyncio.timeout(UP_WITHIN):
        await asyncio.gather(*(sees(spec.name) for spec in SPACES))


# The installation ---------------------------------------------------------------------------------


def _installation(folder: Path) -> tuple[str, dict[str, str]]:
    """An interpreter with everything in it that another user can start, and the environment that it needs.

    It is this one, unless it lies where another user cannot go (below /root, say): then what is out of reach is
    linked, or copied, into `folder`.
    """
    folder.mkdir(mode=0o755)
    code = _within_reach(ROOT, folder / "code", "gateway", "connectors", "tests")
    environment = {"PYTHONPATH": str(code), "PATH": os.defpath, "LANG": "C.UTF-8"}
    base, packages = Path(sys.base_prefix), Path(pytest.__file__).parents[1]
    if _reachable(base) and _reachable(packages):
        return sys.executable, environment
    library = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
    binary = Path(sys.executable).resolve()
    base = _within_reach(base, folder / "base", "bin", *_shared_libraries(base), library)
    packages = _within_reach(packages, folder / "packages", ".")
    made = folder / "venv"
    (made / "bin").mkdir(parents=True)
    (made / library).mkdir(parents=True)
    (made / library / "site-packages").symlink_to(packages)
    (made / "pyvenv.cfg").write_text(f"home = {base / 'bin'}\n")
    python = made / "bin" / "python"
    # Not a link: the interpreter has to find its own shared library too.
    python.write_text(f'#!/bin/bash\nLD_LIBRARY_PATH={base / "lib"} exec -a "$0" {base / "bin" / binary.name} "$@"\n')
    python.chmod(0o755)
    return str(python), environment


def _shared_libraries(base: Path) -> list[str]:
    return [str(file.relative_to(base)) for file in (base / "lib").glob("libpython*.so*")]


def _within_reach(path: Path, instead: Path, *parts: str) -> Path:
    """`path`, or a second name for the parts of it that are named, where another user can go."""
    if _reachable(path):
        return path
    for part in parts:
        source = path / part
        if source.is_dir():
            shutil.copytree(source, instead / part, symlinks=True, copy_function=_link, ignore=_unneeded)
        else:
            (instead / part).parent.mkdir(parents=True, exist_ok=True)
            _link(str(source), str(instead / part))
    return instead


def _reachable(path: Path) -> bool:
    """Whether anybody may go there."""
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents))


def _unneeded(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("test", "idlelib", "ensurepip", ".git")]


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system
        shutil.copy2(source, target, follow_symlinks=False)
