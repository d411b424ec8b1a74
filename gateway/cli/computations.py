"""`isthmus computations`: list, show, cancel."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.output import AsJson, ProfileFile, answering, profile_at

Name = Annotated[str, typer.Argument(help="As `isthmus computations list` shows it.")]


def list_(profile: ProfileFile = None, json: AsJson = False) -> None:
    """Your computations, newest first."""
    with answering(json) as output:
        from gateway.cli import render, shapes
        from gateway.client.sync import Client

        with Client(profile_at(profile)) as client:
            found = client.list()
        output.give(
            lambda: {"computations": [shapes.of_computation(item) for item in found]},
            lambda: render.computations(found),
        )


def show(name: Name, profile: ProfileFile = None, json: AsJson = False) -> None:
    """Where one computation stands, and its table where the gateway is the recipient."""
    with answering(json) as output:
        from gateway.cli import render, shapes
        from gateway.cli.questions import labels_of, short_of
        from gateway.client.aio import has_table
        from gateway.client.sync import Client

        with Client(profile_at(profile)) as client:
            found = client.get(name)
            table = client.result(found) if has_table(found) else None
            short = short_of(found)
            labels = labels_of(client, short) if table is not None and not json else {}
        output.give(
            lambda: {**shapes.of_computation(found), **shapes.of_run(found, table, None, short)},
            lambda: render.computation(found),
            *((lambda: render.result(table, short, labels),) if table is not None and short is not None else ()),
            *((lambda: render.receipt(short),) if short is not None and found.receipts else ()),
        )


def cancel(name: Name, profile: ProfileFile = None, json: AsJson = False) -> None:
    """End a computation that has not ended, at all spaces."""
    with answering(json) as output:
        from gateway.cli import render, shapes
        from gateway.client.sync import Client

        with Client(profile_at(profile)) as client:
            found = client.cancel(name)
        output.give(lambda: shapes.of_computation(found), lambda: render.computation(found))
