"""`isthmus trust revoke`: for those who run a space or an anchor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import AsJson, answering

Config = Annotated[Path, typer.Option("--config", help="gateway.toml, or an anchor's anchor.toml.")]


def revoke(
    config: Config,
    key: Annotated[
        str, typer.Option(metavar="KID|FILE", help="A key: its thumbprint, or a file with it (JWK, PEM, certificate).")
    ] = "",
    token: Annotated[str, typer.Option(metavar="JTI", help="A token that this space issued.")] = "",
    contract: Annotated[str, typer.Option(metavar="DIGEST", help="A contract in which this space takes part.")] = "",
    entity: Annotated[str, typer.Option(metavar="ENTITY", help="This space itself; of an anchor: a member.")] = "",
    reason: Annotated[str, typer.Option(help="Why, for your own file; it is sent to nobody.")] = "",
    json: AsJson = False,
) -> None:
    """Take back a key, a token, a contract or the space itself; the running process passes it on within seconds."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli.revoking import Wanted, revoke_it

        done = revoke_it(config, Wanted(key, token, contract, entity), reason)
        output.give(done.plain, lambda: Text(done.said()))
