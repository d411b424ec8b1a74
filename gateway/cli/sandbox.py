"""`isthmus sandbox up | ps | down`: a whole federation on this machine.

Invariants: one sandbox per folder; `up` in the foreground ends with Ctrl-C and leaves nothing running; a
detached one is a supervisor process that `down` stops; the state file says where it is and is gone with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from gateway.cli.output import answering
from gateway.client.profile import SANDBOX_RUNS, sandbox_state
from gateway.domain.errors import IsthmusError, Reason

app = typer.Typer(no_args_is_help=True, help="A whole federation on this machine, to try everything on.")
out = Console()

Folder = Annotated[
    Path | None, typer.Option("--folder", help="Where it keeps its keys, data and state.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DETACHED_WITHIN = 90.0
DOWN_WITHIN = 20.0


@app.command(epilog="Example: isthmus sandbox up --detach --json")
def up(
    folder: Folder = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when it is ready, and leave it running.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep keys, data and logs when it ends.")] = False,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
    json_: Json = False,
) -> None:
    """Start three data spaces and a neutral operator with made-up people, and keep them running."""
    with answering(json_):
        import uvloop

        place = _place(folder)
        if _state(place) is not None:
            raise IsthmusError(
                Reason.ALREADY_EXISTS,
                f"a sandbox runs already in {place}",
                advice="See `isthmus sandbox ps`, or take it down",
            )
        _is_ours(place)
        if detach:
            _detached(place)
            _print(_described(place), json_)
        else:
            uvloop.run(_foreground(place, json_))
            if not (keep or supervised):
                shutil.rmtree(place)


@app.command(epilog="Example: isthmus sandbox ps --json")
def ps(folder: Folder = None, json_: Json = False) -> None:
    """Addresses, data folders, users and processes of the sandbox that runs."""
    with answering(json_):
        _print(_described(_place(folder)), json_)


@app.command(epilog="Example: isthmus sandbox down --keep")
def down(
    folder: Folder = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep keys, data and logs for the next `up`.")] = False,
    json_: Json = False,
) -> None:
    """Stop the sandbox and clear its folder away."""
    with answering(json_) as output:
        from gateway.sandbox.federation import PORTS_FILE

        place = _place(folder)
        left_over = _state(place) is None and (place / PORTS_FILE).is_file() and not keep
        if not left_over:
            _end(_running(place)["supervisor"])
        if not keep:
            shutil.rmtree(place)
        output.give(
            lambda: {"folder": str(place), "stopped": not left_over, "kept": keep},
            lambda: (
                f"No sandbox ran in {place}; what was left of one is cleared away."
                if left_over
                else f"The sandbox in {place} is down."
            ),
        )


def _end(supervisor: int) -> None:
    """Stop the supervisor, which stops everything else, and wait until it is gone."""
    from gateway.sandbox.processes import is_alive

    with contextlib.suppress(ProcessLookupError):
        os.kill(supervisor, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_WITHIN
    while is_alive(supervisor):
        if time.monotonic() > deadline:
            raise IsthmusError(
                Reason.DEADLINE_EXCEEDED,
                f"the sandbox's supervisor (process {supervisor}) does not stop",
                advice="Look at sandbox.log in its folder",
            )
        time.sleep(0.1)


async def _foreground(place: Path, json_: bool) -> None:
    from gateway.sandbox.federation import running

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (place / "sandbox.log").open("ab") as log:
        starting = asyncio.create_task(stop.wait())
        async with running(place, log=log.fileno()) as sandbox:
            state = place / SANDBOX_RUNS
            state.write_text(json.dumps({"supervisor": os.getpid()}))
            try:
                _print(sandbox.describe(), json_)
                if not json_:
                    out.print("Ctrl-C stops it.")
                await starting
            finally:
                state.unlink(missing_ok=True)


def _detached(place: Path) -> None:
    """Start a supervisor of its own session and wait until it has written the state file."""
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (place / "sandbox.log").open("ab") as log:
        supervisor = subprocess.Popen(
            (sys.executable, "-m", "gateway", "sandbox", "up", "--folder", str(place), "--json", "--supervised"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + DETACHED_WITHIN
    ready = False
    try:
        while not (ready := _state(place) is not None):
            if supervisor.poll() is not None or time.monotonic() > deadline:
                raise IsthmusError(
                    Reason.CONFIGURATION, "the sandbox did not start", advice=f"{place / 'sandbox.log'} says why"
                )
            time.sleep(0.1)
    finally:
        if not ready:  # nor when whoever waited for it gave up
            supervisor.terminate()


def _place(folder: Path | None) -> Path:
    return (folder or sandbox_state()).absolute()


def _state(place: Path) -> dict[str, Any] | None:
    """The state of a sandbox that runs in `place`; a file that its supervisor did not outlive counts for nothing."""
    from gateway.sandbox.processes import is_supervisor

    try:
        state: dict[str, Any] = json.loads((place / SANDBOX_RUNS).read_text())
    except (OSError, ValueError):
        return None
    return state if is_supervisor(state["supervisor"]) else None


def _is_ours(place: Path) -> None:
    """What is cleared away at the end holds nothing but a sandbox."""
    from gateway.sandbox.federation import PORTS_FILE

    found = {entry.name for entry in place.iterdir()} if place.is_dir() else set()
    if found - {"sandbox.log"} and PORTS_FILE not in found:
        raise IsthmusError(
            Reason.ALREADY_EXISTS,
            f"{place} is not empty and holds no sandbox",
            field="folder",
            advice="Choose a new folder; a sandbox clears its own away when it ends",
        )


def _running(place: Path) -> dict[str, Any]:
    state = _state(place)
    if state is None:
        raise IsthmusError(Reason.NOT_FOUND, f"no sandbox runs in {place}", advice="Start one: isthmus sandbox up")
    return state


def _described(place: Path) -> dict[str, Any]:
    from gateway.sandbox.federation import attached

    return attached(place, _running(place)["supervisor"]).describe()


def _print(described: dict[str, Any], json_: bool) -> None:
    if json_:
        print(json.dumps(described), flush=True)
        return
    table = Table(
        "Space", "Run by", "Address", "Processes", title="The sandbox", box=box.SIMPLE_HEAD, title_justify="left"
    )
    for space in described["spaces"]:
        ids = [
            f"{role} {' '.join(map(str, spaces[space['name']]))}"
            for role, spaces in described["processes"].items()
            if space["name"] in spaces
        ]
        table.add_row(space["name"], space["operator"], space["address"], ", ".join(ids))
    out.print(table)
    first = described["spaces"][0]
    folder = described["folder"]
    for what, where in (
        ("Folder", folder),
        ("Data", f"{folder}/spaces/…/data"),
        ("Profiles", f"{folder}/users/….toml, with a fresh token beside each"),
    ):
        out.print(f"{what:9} {where}", highlight=False, soft_wrap=True)
    out.print(f"Without --profile you ask as {first['users'][0]['id']} of {first['name']}: isthmus datasets")
