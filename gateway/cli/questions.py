"""`isthmus plan` and `isthmus run`: a query file becomes a plan, or a table."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import AsJson, ProfileFile, answering, profile_at

if TYPE_CHECKING:
    from gateway.cli.ask import Answer
    from gateway.client.profile import Profile
    from gateway.domain.query import Query

QueryPath = Annotated[Path, typer.Argument(metavar="FILE", help="A query in YAML or JSON; docs/queries has examples.")]


class Receives(StrEnum):
    """Who can read the result."""

    SELF = "self"
    GATEWAY = "gateway"


def plan(file: QueryPath, profile: ProfileFile = None, json: AsJson = False) -> None:
    """Show what a query would do, and ask nothing.

    Seats, who learns what, every space's verdict, time and bytes: from public descriptions alone.
    """
    with answering(json) as output:
        from gateway.cli import exits, render
        from gateway.client.queries import load_query
        from gateway.client.sync import Client
        from gateway.domain.plan import Decision
        from gateway.rules.records import to_plain

        asked = load_query(file).query
        with Client(profile_at(profile)) as client:
            made = client.plan(asked)
        output.give(lambda: to_plain(made), lambda: render.plan(made))
        decisions = {verdict.decision for verdict in made.verdicts}
        if Decision.REFUSED in decisions:
            raise typer.Exit(exits.REFUSED)
        if Decision.UNREACHABLE in decisions:
            raise typer.Exit(exits.FAILED)


def run(
    file: QueryPath,
    recipient: Annotated[
        Receives, typer.Option(help="Who can read the result: this command alone, or the home gateway too.")
    ] = Receives.SELF,
    profile: ProfileFile = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the table as CSV too.")] = None,
    arrow: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the table as an Arrow file too.")] = None,
    json: AsJson = False,
) -> None:
    """Ask a query and print its table and receipt."""
    with answering(json) as output:
        from asyncio import run as run_loop

        from gateway.cli import ask, exits, render, shapes
        from gateway.cli.output import check_writable, write_private
        from gateway.client import export
        from gateway.client.queries import load_query
        from gateway.client.summary import summary

        asked = load_query(file)
        if asked.estimates:
            _installed("scipy", "the query asks for estimates, which need SciPy", "estimates", "stats")
        if arrow is not None:
            _installed("pyarrow", "an Arrow file needs PyArrow", "--arrow", "arrow")
        for path, option in ((csv, "--csv"), (arrow, "--arrow")):
            if path is not None:
                check_writable(path, option)
        try:
            answer = run_loop(_answer(profile_at(profile), asked.query, recipient, quiet=json))
        except ask.NoAnswer as ended:
            if json:
                found = ended.computation
                short = summary(found) if found.approvals else None
                output.give(lambda: shapes.of_run(found, None, [] if asked.estimates else None, short))
            output.refuse(ended)
            raise typer.Exit(exits.BY_STATE[ended.computation.state]) from None
        if csv is not None:
            write_private(csv, export.as_csv(answer.table, answer.summary).encode())
        if arrow is not None:
            write_private(arrow, export.arrow_file(export.as_arrow(answer.table, answer.summary)))
        limits = answer.summary.contract.limits
        changed = {"noised": limits.epsilon is not None, "rounded": limits.rounding is not None}
        estimated = ask.estimates(answer.table, asked.estimates, **changed) if asked.estimates else None
        output.give(
            lambda: ask.as_json(answer, estimated),
            lambda: render.result(answer),
            *(() if estimated is None else (lambda: render.estimates(estimated),)),
            *((lambda: render.view(answer.computation.views),) if answer.computation.views else ()),
            lambda: render.receipt(answer.summary),
        )
        if answer.withheld:
            raise typer.Exit(exits.WITHHELD)


async def _answer(profile: Profile, asked: Query, recipient: Receives, *, quiet: bool) -> Answer:
    import sys

    from gateway.cli import ask
    from gateway.cli.output import console_of
    from gateway.client.aio import AsyncClient

    console = console_of(sys.stderr)
    console.quiet = quiet
    async with AsyncClient(profile) as client:
        return await ask.run(client, asked, console, "gateway" if recipient is Receives.GATEWAY else "self")


def _installed(module: str, why: str, field: str, extra: str) -> None:
    """Raises before anything is asked, rather than after everybody has computed."""
    from importlib.util import find_spec

    from gateway.domain.errors import IsthmusError, Reason

    if find_spec(module) is None:
        raise IsthmusError(
            Reason.CONFIGURATION,
            f"{why}, and it is not installed here",
            field=field,
            advice=f"Install it with: pip install 'isthmus[{extra}]'",
        )
