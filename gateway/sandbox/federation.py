"""A federation of real processes on this machine: started, watched, its users' tokens renewed, stopped.

Invariants: everything it starts ends with it, however it ends (children hold the end of a pipe); it is ready
only when every gateway sees every space.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.client import AsyncClient, Profile
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.edges.anchors import write_statements
from gateway.sandbox import processes
from gateway.sandbox.anchor import NAME, enrol
from gateway.sandbox.layout import CLIENTS, SPACES, STATEMENT, SpaceSpec, is_laid_out, lay_out

PORTS_FILE = "ports.json"
READY_WITHIN = 60.0
RENEW_EVERY = 120.0
STOP_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that runs: `addresses` by space name."""

    folder: Path
    supervisor: int
    spaces: tuple[SpaceSpec, ...]
    addresses: Mapping[str, str]

    def profile(self, space: str = "care", client: str = "analyst") -> Path:
        return self.folder / "users" / f"{space}-{client}.toml"

    def process_ids(self) -> dict[str, dict[str, list[int]]]:
        """Role → space → process IDs, as they are now."""
        found: dict[str, dict[str, list[int]]] = {"anchor": {}, "gateway": {}, "agent": {}, "party": {}}
        space_of: dict[int, str] = {}
        for process in processes.descendants(self.supervisor):
            name = _space_in(process.command, self.spaces) or space_of.get(process.parent, "")
            space_of[process.id] = name
            role = processes.role_of(process)
            if role and name:
                found[role].setdefault(name, []).append(process.id)
        return found

    def describe(self) -> dict[str, object]:
        """What `sandbox up --json` and `sandbox ps --json` print."""
        return {
            "folder": str(self.folder),
            "supervisor": self.supervisor,
            "spaces": [
                {
                    "name": spec.name,
                    "entity": spec.entity,
                    "operator": spec.operator,
                    "address": self.addresses[spec.name],
                    "seats": spec.seats,
                    "data": str(self.folder / "spaces" / spec.name / "data"),
                    "users": [
                        {
                            "id": client,
                            "profile": str(self.profile(spec.name, client)),
                            "token": str(self.profile(spec.name, client).with_suffix(".token")),
                        }
                        for client in CLIENTS
                    ],
                }
                for spec in self.spaces
            ],
            "processes": self.process_ids(),
        }


def attached(folder: Path, supervisor: int) -> Sandbox:
    """A sandbox that another process keeps running in `folder`."""
    ports: dict[str, int] = json.loads((folder / PORTS_FILE).read_text())
    return Sandbox(folder, supervisor, SPACES, {spec.name: f"127.0.0.1:{ports[spec.name]}" for spec in SPACES})


@asynccontextmanager
async def running(
    folder: Path,
    *,
    spaces: Sequence[SpaceSpec] = SPACES,
    seed: int = 2013,
    change: Callable[[Path], None] | None = None,
    edit: Callable[[Path], None] | None = None,
    log: int | None = None,
) -> AsyncIterator[Sandbox]:
    """Lay out `folder` unless it is laid out already, start everything, and stop it on the way out.

    `change` may edit the made-up lists before they are described, `edit` the folder before anything is started.
    `log` is a file descriptor for what the processes write; by default their standard error is ours.
    Raises IsthmusError when a gateway does not come up.
    """
    ports_file = folder / PORTS_FILE
    newcomers: Mapping[EntityId, str] = {}
    if not is_laid_out(folder):
        free = _free_ports(spaces)
        newcomers = lay_out(folder, free, int(time.time()), spaces=spaces, seed=seed, change=change)
        ports_file.write_text(json.dumps(free))
    if edit is not None:
        edit(folder)
    ports: dict[str, int] = json.loads(ports_file.read_text())
    addresses = {spec.name: f"127.0.0.1:{ports[spec.name]}" for spec in spaces}
    sandbox = Sandbox(folder, os.getpid(), tuple(spaces), addresses)
    started: list[asyncio.subprocess.Process] = []
    try:
        anchor = folder / NAME / "anchor.toml"
        if newcomers:
            statements = await enrol(anchor, newcomers)
            for spec in spaces:
                write_statements(folder / "spaces" / spec.name / STATEMENT, [statements[spec.entity]])
        # The anchor first: gateways ask it before they listen, and then know each other at the first handshake.
        started.append(await _start("trust", anchor, log))
        for spec in spaces:
            started.append(await _start("gateway", folder / "spaces" / spec.name / "gateway.toml", log))
        await _ready(sandbox, started)
        renewal = asyncio.create_task(_renew_for_ever(sandbox))
        try:
            yield sandbox
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)
    finally:
        await asyncio.gather(*(_stop(process) for process in started))


async def _start(noun: str, config: Path, log: int | None) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "gateway", noun, "serve", "--config", str(config), "--embedded")
    return await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
    )


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_WITHIN):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    if process.stdin is not None:
        process.stdin.close()


async def _ready(sandbox: Sandbox, started: Sequence[asyncio.subprocess.Process]) -> None:
    """Every gateway sees every space, and every user has a token."""
    try:
        async with asyncio.timeout(READY_WITHIN):
            await asyncio.gather(*(_sees_everybody(sandbox, spec, started) for spec in sandbox.spaces))
            await _renew(sandbox)
    except TimeoutError:
        raise _not_up("the sandbox was not ready in time") from None


async def _sees_everybody(sandbox: Sandbox, spec: SpaceSpec, started: Sequence[asyncio.subprocess.Process]) -> None:
    profile = Profile.load(sandbox.profile(spec.name))
    async with AsyncClient(profile) as client:
        while True:
            for process in started:
                if process.returncode is not None:
                    raise _not_up("a process ended while the sandbox started")
            try:
                seen = await client.spaces()
                if sum(space.reachable for space in seen) == len(sandbox.spaces):
                    return
            except IsthmusError as problem:
                if problem.reason not in (Reason.PEER_UNREACHABLE, Reason.DEADLINE_EXCEEDED):
                    raise
            await asyncio.sleep(0.1)


async def _renew_for_ever(sandbox: Sandbox) -> None:
    while True:
        await asyncio.sleep(RENEW_EVERY)
        with contextlib.suppress(IsthmusError):
            await _renew(sandbox)


async def _renew(sandbox: Sandbox) -> None:
    """A fresh access token in every user's token file."""
    for spec in sandbox.spaces:
        for client in CLIENTS:
            path = sandbox.profile(spec.name, client)
            async with AsyncClient(Profile.load(path)) as user:
                token = await user.issue_token()
            fresh = path.with_suffix(".token.new")
            fresh.touch(mode=0o600)
            fresh.write_text(token)
            fresh.replace(path.with_suffix(".token"))


def _free_ports(spaces: Sequence[SpaceSpec]) -> dict[str, int]:
    """A free loopback port per space, and one for the anchor; all are held at once, so that no two are the same."""
    with contextlib.ExitStack() as stack:
        ports = {}
        for name in (*(spec.name for spec in spaces), NAME):
            held = stack.enter_context(socket.socket())
            held.bind(("127.0.0.1", 0))
            ports[name] = int(held.getsockname()[1])
        return ports


def _space_in(command: str, spaces: Sequence[SpaceSpec]) -> str:
    if f"/{NAME}/anchor.toml" in command:
        return NAME
    return next((spec.name for spec in spaces if f"/spaces/{spec.name}/" in command), "")


def _not_up(text: str) -> IsthmusError:
    return IsthmusError(
        Reason.CONFIGURATION, text, advice="sandbox.log in its folder says why; `isthmus sandbox down` clears it away"
    )
