"""`isthmus datasets publish | editions`: for owners, on the agent's machine, as the agent's user.

Invariant: what is said of rows, such as how many have changed, is said here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.output import AsJson, answering

if TYPE_CHECKING:
    from rich.console import RenderableType

    from connectors.publishing import Publisher, Standing
    from connectors.rules.editions import Decision
    from connectors.sources.tables import Problem

DatasetFile = Annotated[Path, typer.Argument(metavar="DATASET.toml", help="A dataset that the agent holds.")]
Agent = Annotated[Path, typer.Option("--agent", help="The configuration of its agent, which may be running.")]


def publish(
    dataset: DatasetFile,
    agent: Agent,
    id: Annotated[str | None, typer.Option("--id", help="What the edition is called. Default: the day.")] = None,
    row_bound: Annotated[
        int | None,
        typer.Option("--row-bound", help="Public: what people are padded to. Default: as before, doubled when needed."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Freeze the source as the next edition, which the agent then offers; exit 3 if its changes are too few yet."""
    with answering(json) as output:
        from connectors.rules.editions import Outcome
        from gateway.cli.exits import REFUSED

        done = _with_publisher(agent, lambda publisher: publisher.publish(dataset, id, row_bound))
        output.give(lambda: _plain(done), lambda: _said(done, will=False))
        _refuse_problems(done)
        if done.decision is not None and done.decision.outcome is Outcome.WAITS:
            raise typer.Exit(REFUSED)


def editions(dataset: DatasetFile, agent: Agent, json: AsJson = False) -> None:
    """Editions of a dataset, and what of its source waits for the next one; changes nothing."""
    with answering(json) as output:
        found = _with_publisher(agent, lambda publisher: publisher.look(dataset))
        output.give(
            lambda: {**_plain(found), "editions": _listed(found)},
            lambda: _table(found),
            lambda: _said(found, will=True),
        )
        _refuse_problems(found)


def _with_publisher(agent: Path, work: Callable[[Publisher], Awaitable[Standing]]) -> Standing:
    import asyncio

    from connectors.config import AgentConfig
    from connectors.publishing import Publisher, editions_folder
    from gateway.cli.auditing import opened
    from gateway.config import load
    from gateway.edges.clock import SystemClock

    settings = load(AgentConfig, agent)

    async def run() -> Standing:
        async with opened(agent, settings) as database:
            folder = editions_folder(settings, agent.parent)
            return await work(Publisher(settings, folder, database, SystemClock().now))

    return asyncio.run(run())


def _refuse_problems(found: Standing) -> None:
    from gateway.domain.errors import IsthmusError, Reason

    if found.problems:
        raise IsthmusError(
            Reason.SOURCE_UNREADABLE,
            f"{found.dataset}: its source breaks its description, and is not published",
            field=found.problems[0].column,
            advice="Correct the source or the description",
        )


def _plain(found: Standing) -> dict[str, Any]:
    from gateway.rules.records import to_plain

    plain: dict[str, Any] = {"dataset": found.dataset, "edition": None if not found.newest else to_plain(found.newest)}
    if found.problems:
        broken = [{"rule": p.rule, "column": p.column, "rows": p.rows, "lines": list(p.lines)} for p in found.problems]
        return {**plain, "outcome": "broken", "problems": broken}
    if (decision := found.decision) is None:
        return plain
    return {**plain, **to_plain(decision), "restored": found.restored}


def _listed(found: Standing) -> list[dict[str, Any]]:
    from gateway.rules.records import to_plain

    return [{**to_plain(one.edition), "copy": one.file} for one in found.editions]


def _said(found: Standing, *, will: bool) -> RenderableType:
    """`will`: of what a publication would do, not of what one has done."""
    from rich.text import Text

    from gateway.cli.output import printable

    return Text("\n".join(map(printable, [*map(_problem, found.problems), *_decided(found, will)])))


def _problem(one: Problem) -> str:
    if not one.lines:
        return f"{one.column}: {one.rule}"
    lines = f"line{'s' * (len(one.lines) > 1)} {', '.join(map(str, one.lines))}"
    return f"{one.column}: {one.rule} ({_rows(one.rows)}, first in {lines})"


def _decided(found: Standing, will: bool) -> list[str]:
    from connectors.rules.editions import Outcome

    if (decision := found.decision) is None:
        return []
    newest = "" if found.newest is None else found.newest.id
    changed = f"{_rows(decision.come)} new, {decision.gone} gone"
    match decision.outcome:
        case Outcome.PUBLISHED if will:
            return [f"Ready to be published: {changed}."]
        case Outcome.PUBLISHED:
            padded = f"padded to {found.editions[-1].row_bound}"
            return [f"Edition {newest} of {found.dataset} is published, {padded}: {changed}. The agent offers it now."]
        case Outcome.UNCHANGED:
            restored = ["Its copy was lost, and is there again."] if found.restored else []
            return [f"Nothing has changed since edition {newest}.", *restored]
        case Outcome.WAITS:
            return [f"{_few(decision, newest)}; they are published once there are {decision.least}."]


def _few(decision: Decision, newest: str) -> str:
    from connectors.rules.editions import Against

    match decision.against:
        case Against.NOTHING:
            return f"The source has {_rows(decision.apart)}"
        case Against.ANSWER:
            return f"The rows differ by {decision.apart} alone from some that were answered for"
        case _ if decision.since != newest:
            return f"The rows differ by {decision.apart} alone from edition {decision.since}"
    return f"{_rows(decision.apart)} {'has' if decision.apart == 1 else 'have'} changed since edition {newest}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _table(found: Standing) -> RenderableType:
    from gateway.cli.typeset import number, table, words
    from gateway.rules.dates import day_of

    if not found.editions:
        return words(f"{found.dataset} was never published: the agent answers from its source as it was at start.")
    made = table("Edition", "Published", "Padded to", "Copy", numbers=("Padded to",))
    for one in found.editions:
        made.add_row(words(one.id), day_of(one.created), number(one.row_bound), words(one.file or "deleted"))
    return made
