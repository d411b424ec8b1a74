"""`isthmus demo`: a federation on this machine, one question after another, and everything cleared away.

Nothing here computes: it asks a gateway as any client would.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gateway.cli import ask, render, render_catalogue
from gateway.cli.output import answering
from gateway.client import AsyncClient, Profile
from gateway.client.queries import load_query
from gateway.sandbox.federation import running


def demo(
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask one question across three data spaces on this machine, and show every step of the way."""
    with answering(json_) as output:
        import uvloop

        try:
            told = uvloop.run(_demo(Console(quiet=json_)))
        except asyncio.CancelledError:  # told to stop; everything has been cleared away
            raise KeyboardInterrupt from None
        if json_:
            output.give(lambda: told)


async def _demo(out: Console) -> dict[str, Any]:
    began = time.monotonic()
    task = asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal too leaves nothing behind
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with tempfile.TemporaryDirectory(prefix="isthmus-demo-") as folder:
        async with AsyncExitStack() as stack:
            log = stack.enter_context((Path(folder) / "demo.log").open("ab"))
            with out.status("Starting four gateways, four agents and three parties on this machine …"):
                sandbox = await stack.enter_async_context(running(Path(folder) / "federation", log=log.fileno()))
            ready = time.monotonic() - began
            async with AsyncClient(Profile.load(sandbox.profile())) as client:
                told = await _tell(out, client)
            with out.status("Stopping everything …"):
                await stack.aclose()
    told["seconds"] = {"to_ready": round(ready, 2), "total": round(time.monotonic() - began, 2)}
    out.print(
        f"\nReady after {told['seconds']['to_ready']} s, all of it in {told['seconds']['total']} s. "
        "Every process has ended and the folder is gone.\n"
        "Try it yourself: [bold]isthmus sandbox up --detach[/], then [bold]isthmus run docs/queries/form_year.yaml[/]"
    )
    return told


async def _tell(out: Console, client: AsyncClient) -> dict[str, Any]:
    """The seven steps; returns what was shown as plain values."""
    out.rule("1  What can be asked: the joint catalogue, from one gateway")
    datasets = await client.datasets()
    out.print(render_catalogue.catalogue(datasets))

    out.rule("2  The plan, before anything is asked of anyone's data")
    by_form, _ = load_query(query_file("form_year.yaml"))
    out.print(render.plan(await client.plan(by_form)))

    out.rule("3  Victims by form of exploitation and year, small cells suppressed")
    grouped = await ask.run(client, by_form, out)
    out.print(render.result(grouped))

    out.rule("4  How many people are on exactly which of five lists")
    overlap_query, models = load_query(query_file("overlap.yaml"))
    # One party shows a sample of its receive buffer: the contract says so, and every owner approved it.
    overlap = await ask.run(client, replace(overlap_query, demo_view=True), out)
    out.print(render.result(overlap))

    out.rule("5  From that table: how many victims there are in all")
    estimates = await asyncio.to_thread(ask.estimates, overlap.table, models)
    out.print(render.estimates(estimates))

    out.rule("6  What one party saw of it")
    out.print(render.view(overlap.computation.views))

    out.rule("7  The receipt")
    out.print(render.receipt(overlap.summary))
    return {
        "form_year": ask.as_json(grouped),
        "overlap": ask.as_json(overlap, estimates),
    }


def query_file(name: str) -> Path:
    """A query of docs/queries: beside the package in a wheel, in the checkout otherwise."""
    packaged = Path(str(files("gateway.sandbox"))) / "queries" / name
    return packaged if packaged.is_file() else Path(__file__).parents[2] / "docs" / "queries" / name
