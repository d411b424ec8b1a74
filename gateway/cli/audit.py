"""`isthmus audit verify | export | prove | check-proof | heads | accept`: for those who run a process with a log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import AsJson, answering

Config = Annotated[Path, typer.Option("--config", help="gateway.toml, agent.toml or anchor.toml.")]
OfGateway = Annotated[Path, typer.Option("--config", help="gateway.toml.")]


def verify(
    config: Config,
    heads: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Heads of this log that somebody else holds (audit heads).")
    ] = None,
    json: AsJson = False,
) -> None:
    """Hash a log again and hold it against every signed head; says which record does not fit first."""
    with answering(json) as output:
        import asyncio

        from rich.text import Text

        from gateway.cli import auditing
        from gateway.cli.output import printable

        report = asyncio.run(auditing.verify(config, heads))
        output.give(report.plain, lambda: Text("\n".join(map(printable, report.said().splitlines()))))
        report.check()


def export(
    config: Config,
    first: Annotated[int, typer.Option("--from", min=0, metavar="N", help="The first record's position.")] = 0,
    last: Annotated[int | None, typer.Option("--to", min=0, metavar="N", help="The last one's. Default: all.")] = None,
    json: AsJson = False,
) -> None:
    """Print a log's records, one a line; with --json one object a line, with the record's hash."""
    with answering(json) as output:
        import asyncio

        from gateway.cli import auditing

        async def work() -> None:
            _, settings = auditing.settings_of(config)
            async with auditing.opened(config, settings) as database:
                start = first
                while last is None or start <= last:
                    limit = auditing.PAGE if last is None else min(auditing.PAGE, last - start + 1)
                    page = await database.audit.raw(start=start, limit=limit)
                    for position, record in page:
                        output.line(auditing.exported(position, record), auditing.exported_line(position, record))
                    if not page:
                        return
                    start = page[-1][0] + 1

        asyncio.run(work())


def prove(
    config: Config,
    position: Annotated[int | None, typer.Argument(metavar="[POSITION]", help="The record that is proven.")] = None,
    size: Annotated[
        int | None, typer.Option(metavar="N", help="Of the log when it had N records. Default: now.")
    ] = None,
    since: Annotated[
        int | None, typer.Option(metavar="N", help="Instead: that the log begins with what it was with N records.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Prove that a record is in the log, or that the log has only grown; the proof is JSON, for `check-proof`."""
    with answering(json) as output:
        import asyncio

        from gateway.cli import auditing
        from gateway.domain.errors import IsthmusError, Reason

        if (position is None) == (since is None):
            text, advice = "name the record's position, or --since", "See: isthmus audit prove --help"
            raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="position", advice=advice)
        made = asyncio.run(auditing.prove(config, position, since, size))
        output.line(made, auditing.in_one_line(made))  # JSON for a person too: it goes into a file


def check_proof(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `isthmus audit prove` printed.")],
    root: Annotated[str, typer.Option(metavar="HEX", help="The head that you hold, from a receipt.")] = "",
    json: AsJson = False,
) -> None:
    """Check a proof by itself; give --root, or compare what it says with a receipt of that space."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli import proofs
        from gateway.cli.output import printable

        proof = proofs.read(file)
        proofs.check(proof, root)
        said = "" if root else " Whether that is its head, its receipts say."
        output.give(
            lambda: {"holds": True, "log": proof.log, "size": proof.size, "root": proof.root},
            lambda: Text(printable(proof.said() + said)),
        )


def heads(
    config: OfGateway,
    of: Annotated[str, typer.Option("--of", metavar="ENTITY", help="Of one space. Default: of all.")] = "",
    json: AsJson = False,
) -> None:
    """The heads of agents' logs in the receipts that a gateway holds: what their operators verify against."""
    with answering(json) as output:
        import asyncio

        from rich.text import Text

        from gateway.cli import auditing
        from gateway.cli.output import printable
        from gateway.rules.records import to_plain

        found = asyncio.run(auditing.heads(config, of))
        lines = [printable(f"{head.space}: {head.size} records, root {head.root}") for head in found]
        output.give(
            lambda: {"heads": [to_plain(head) for head in found]},
            lambda: Text("\n".join(lines) or "This gateway holds no receipt."),
        )


def accept(
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="The space whose log has forked.")],
    config: OfGateway,
    json: AsJson = False,
) -> None:
    """Let sessions begin again with a space whose fork its operator has explained to you."""
    with answering(json) as output:
        import asyncio

        from rich.text import Text

        from gateway.cli import auditing

        stood = asyncio.run(auditing.accept(config, entity))
        said = f"Sessions with {entity} may begin again." if stood else f"Nothing stood against {entity}."
        output.give(lambda: {"entity": entity, "accepted": stood}, lambda: Text(said))
