"""`isthmus plan` and `isthmus run`: a query file becomes a plan, or a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import AsJson, ProfileFile, answering, profile_at

if TYPE_CHECKING:
    from gateway.client.estimates import Estimate
    from gateway.client.summary import Summary
    from gateway.client.sync import Client
    from gateway.domain.computation import Computation
    from gateway.domain.query import Query
    from gateway.domain.result import Table

QueryPath = Annotated[Path, typer.Argument(metavar="FILE", help="A query in YAML or JSON; docs/queries has examples.")]


class Receives(StrEnum):
    """Who can read the result."""

    SELF = "self"
    GATEWAY = "gateway"


def plan(file: QueryPath, profile: ProfileFile = None, json: AsJson = False) -> None:
    """What a query would mean before it is asked: seats, who learns what, verdicts, cost. Changes nothing."""
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
    json: AsJson = False,
) -> None:
    """Ask a query, wait while the spaces compute, and print the table with its receipt."""
    with answering(json) as output:
        from gateway.cli import exits, render, shapes
        from gateway.client.queries import load_query
        from gateway.client.sync import Client
        from gateway.domain.computation import State

        asked = load_query(file)
        if asked.estimates:
            _can_estimate()
        with Client(profile_at(profile)) as client:
            found = follow(client, asked.query, recipient, quiet=json)
            short = short_of(found)
            if found.state is not State.RELEASED:
                from gateway.client.aio import ended

                if json:
                    estimates = [] if asked.estimates else None
                    output.give(lambda: shapes.of_run(found, None, estimates, short))
                output.refuse(ended(found))
                raise typer.Exit(exits.BY_STATE[found.state])
            table = client.result(found)
            labels = {} if json else labels_of(client, short)
        estimated = estimates_of(table, asked.estimates) if asked.estimates else None
        output.give(
            lambda: shapes.of_run(found, table, estimated, short),
            *(() if short is None else (lambda: render.result(table, short, labels),)),
            *(() if estimated is None else (lambda: render.estimates(estimated),)),
            *((lambda: render.view(found.views),) if found.views else ()),
            *(() if short is None else (lambda: render.receipt(short),)),
        )
        if table.rows and all(row.suppressed for row in table.rows):
            raise typer.Exit(exits.WITHHELD)


def follow(client: Client, asked: Query, recipient: str, *, quiet: bool) -> Computation:
    """Create and watch until it has ended; a bar per space on standard error unless `quiet`. An interrupt cancels
    the computation at all spaces, because nobody else could read its result."""
    from gateway.cli.progress import bars
    from gateway.domain.errors import IsthmusError

    found = client.create(asked, recipient="gateway" if recipient == Receives.GATEWAY else "self")
    try:
        with bars(quiet) as show:
            for found in client.watch(found.name):
                show(found)
    except KeyboardInterrupt:
        try:
            client.cancel(found.name)
        except IsthmusError:
            pass  # it had ended, or the gateway is gone: either way there is nothing left to stop
        raise
    return found


def short_of(found: Computation) -> Summary | None:
    """The receipt in short; None before every space has approved."""
    from gateway.client.summary import summary

    return summary(found) if found.contract and found.approvals else None


def labels_of(client: Client, short: Summary | None) -> Mapping[str, Mapping[str, str]]:
    """What the codes of the table's columns mean, as the first source's description says it."""
    if short is None or short.contract.query.statistic.count_by is None:
        return {}
    dataset = client.dataset(short.contract.query.sources[0].dataset).dataset
    columns = [dataset.column(name) for name in short.contract.query.statistic.count_by.columns]
    return {
        column.name: {"": column.label, **{code.value: code.label for code in column.codes}}
        for column in columns
        if column is not None
    }


def estimates_of(table: Table, models: Sequence[str]) -> list[Estimate]:
    """One estimate per model; all refused where a cell is suppressed."""
    from gateway.client.estimates import Estimate, OverlapTable, estimate

    counts = [row.count for row in table.rows if row.count is not None]
    if len(counts) < len(table.rows):
        refused = "the table has suppressed cells, and zeros and small cells are what the models live on"
        return [Estimate(model, sum(counts), refused=refused) for model in models]
    patterns = [([int(code) for code in row.codes], row.count or 0) for row in table.rows]
    return estimate(OverlapTable.from_patterns(table.columns, patterns), models)


def _can_estimate() -> None:
    """Raises before anything is asked, rather than after everybody has computed."""
    from importlib.util import find_spec

    from gateway.domain.errors import IsthmusError, Reason

    if find_spec("scipy") is None:
        raise IsthmusError(
            Reason.CONFIGURATION,
            "the query asks for estimates, which need SciPy, and it is not installed here",
            field="estimates",
            advice="Install it with: pip install 'isthmus[stats]'",
        )
