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
        from gateway.cli.ask import Answer
        from gateway.client.aio import has_table
        from gateway.client.summary import summary
        from gateway.client.sync import Client

        with Client(profile_at(profile)) as client:
            found = client.get(name)
            table = client.result(found) if has_table(found) else None
        short = summary(found) if found.approvals else None
        answer = Answer(found, short, table) if short is not None and table is not None else None
        output.give(
            lambda: {**shapes.of_computation(found), **shapes.of_run(found, table, None, short)},
            lambda: render.computation(found),
            *(() if answer is None else (lambda: render.result(answer),)),
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
