"""`isthmus reports dataset | computation`: for data-protection officers, from a process's own database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.output import AsJson, answering

if TYPE_CHECKING:
    from gateway.cli.output import Output
    from gateway.domain.document import Document

Name = Annotated[str, typer.Argument(help="As the agent's files call it, in short or in full.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="As `isthmus computations list` shows it.")]
AgentFile = Annotated[Path, typer.Option("--agent", help="agent.toml.")]
GatewayFile = Annotated[Path, typer.Option("--config", help="gateway.toml.")]
Since = Annotated[str, typer.Option(metavar="DAY", help="The first day of the period, in UTC. Default: ever.")]
Until = Annotated[str, typer.Option(metavar="DAY", help="The last day of the period, in UTC. Default: today.")]
AsHtml = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write one HTML file that prints well, for you alone.")
]


def dataset(
    name: Name, agent: AgentFile, since: Since = "", until: Until = "", html: AsHtml = None, json: AsJson = False
) -> None:
    """Who asked what of a dataset, on which basis, what came of it, what is left, and what can still be inferred."""
    with answering(json) as output:
        import asyncio
        from dataclasses import asdict

        from connectors.config import AgentConfig
        from connectors.reporting import dataset_report
        from connectors.rules.dataset_document import document
        from connectors.rules.reporting import DatasetReport
        from gateway.cli.auditing import opened
        from gateway.config import load
        from gateway.edges.clock import SystemClock

        settings, clock = load(AgentConfig, agent), SystemClock()
        # What is approved in this very second is in it.
        first, end = _begin(since, "--since"), _end(until) if until else clock.now() + 1

        async def made() -> DatasetReport:
            async with opened(agent, settings) as database:
                return await dataset_report(database, settings, clock, name, first, end)

        report = asyncio.run(made())
        _give(output, {"report": "dataset", **asdict(report)}, document(report), html)


def computation(id: Id, config: GatewayFile, html: AsHtml = None, json: AsJson = False) -> None:
    """The record of processing of one computation that this space was home for or took part in: never its result."""
    with answering(json) as output:
        import asyncio
        from dataclasses import asdict

        from gateway.cli.reporting import processing_of
        from gateway.rules.processing_document import document

        made = asyncio.run(processing_of(config, id))
        _give(output, {"report": "computation", **asdict(made)}, document(made), html)


def _give(output: Output, plain: dict[str, Any], document: Document, html: Path | None) -> None:
    from rich.text import Text

    from gateway.cli import render_reports
    from gateway.cli.output import printable, write_private
    from gateway.rules.pages import page

    if html is None:
        output.give(lambda: plain, lambda: render_reports.document(document))
        return
    write_private(html, page(document).encode())
    output.give(lambda: plain, lambda: Text(printable(f"Written to {html}, for you alone to read.")))


def _begin(day: str, field: str) -> int:
    """The first second of a day in UTC; 0 for none."""
    from datetime import UTC, datetime

    from gateway.domain.errors import IsthmusError, Reason
    from gateway.rules.dates import is_day

    if not day:
        return 0
    if not is_day(day):
        text = f"{day!r:.40} is no day"
        raise IsthmusError(Reason.INVALID_ARGUMENT, text, field=field, advice="For example 2026-01-31")
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


def _end(day: str) -> int:
    """The first second after a day; days end with the year 9999."""
    return min(_begin(day, "--until") + 24 * 60 * 60, 253_402_300_799)
