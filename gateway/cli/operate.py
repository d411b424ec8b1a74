"""`isthmus gateway init | serve` and `isthmus agent serve`: for those who run a space."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import AsJson, answering

Config = Annotated[Path, typer.Option("--config", help="The configuration; `isthmus gateway init` writes one.")]
Embedded = Annotated[bool, typer.Option("--embedded", hidden=True)]


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is new or empty.")],
    entity: Annotated[str, typer.Option(help="The entity ID of your space, an https URI that you own.")],
    listen: Annotated[str, typer.Option(help="host:port on which the gateway listens.")],
    operator: Annotated[str, typer.Option(help="The name of your organisation. Default: the entity's host.")] = "",
    jurisdiction: Annotated[str, typer.Option(help="Two letters of ISO 3166-1, or EU.")] = "XX",
    json: AsJson = False,
) -> None:
    """Write keys, certificates, configuration and an example dataset for a new space; overwrite nothing."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli.init import Wanted, lay_out, next_steps
        from gateway.edges.clock import SystemClock

        wanted = Wanted.checked(entity, listen, operator, jurisdiction)
        files = lay_out(folder, wanted, SystemClock().now())
        steps = next_steps(folder, wanted)
        output.give(
            lambda: {"folder": str(folder), "files": [str(file) for file in files], "next": list(steps)},
            lambda: Text(f"Wrote {len(files)} files to {folder}."),
            lambda: Text("\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))),
        )


def serve_gateway(config: Config, embedded: Embedded = False) -> None:
    """Run a gateway, and its agent where the configuration embeds one, until it is told to stop."""
    with answering():
        import uvloop

        from gateway.app import serve_until_stopped

        uvloop.run(serve_until_stopped(config, embedded=embedded))


def serve_agent(config: Config, embedded: Embedded = False) -> None:
    """Run an agent, the process next to the data, until it is told to stop."""
    with answering():
        import uvloop

        from connectors.app import serve_until_stopped

        uvloop.run(serve_until_stopped(config, embedded=embedded))
