"""`isthmus trust rotate | keys | certify`: the next key of a ring, what lies in the rings, a client's certificate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import AsJson, answering

_SPAN = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
KEYS = (
    "federation, token, revocation, recipient, tls-ca, tls-server, tls-client (gateway.toml); "
    "contract, tls-agent (agent.toml)"
)

Config = Annotated[Path, typer.Option("--config", help="gateway.toml, or the agent's agent.toml.")]


def rotate(
    key: Annotated[str, typer.Argument(metavar="KEY", help=f"One of {KEYS}.")],
    config: Config,
    ahead: Annotated[str, typer.Option(help="Published for so long before its use. Default: what the key needs.")] = "",
    overlap: Annotated[str, typer.Option(help="The present key stays for so long after. Default: 24h.")] = "",
    because: Annotated[str, typer.Option(help="Why less time than the key needs is enough; kept in the ring.")] = "",
    compromised: Annotated[
        bool, typer.Option("--compromised", help="Use the next key at once, do not wait for a rotation under way.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Put the next key into its ring: published now, used later, with nothing stopped and no computation lost."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli import rings

        wanted = rings.Wanted(key, _seconds(ahead, "--ahead"), _seconds(overlap, "--overlap"), because, compromised)
        done = rings.rotate(config, wanted)
        output.give(done.plain, lambda: Text(done.told()))


def keys(config: Config, json: AsJson = False) -> None:
    """Every ring that a configuration names: which keys, published and used since when, until when."""
    with answering(json) as output:
        from gateway.cli import rings

        found = rings.found(config)
        output.give(lambda: rings.plain(found), lambda: rings.table(found))


def certify(
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="The id of the client, as gateway.toml has it.")],
    config: Config,
    out: Annotated[Path, typer.Option(help="A folder for the certificate, its key and the space's CAs.")],
    json: AsJson = False,
) -> None:
    """Issue a client's certificate, of the latest CA; what lies in the folder already is not overwritten."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli import rings

        files = [str(file) for file in rings.certify(config, client, out)]
        output.give(lambda: {"client": client, "files": files}, lambda: Text("\n".join(files)))


def _seconds(span: str, option: str) -> int | None:
    if not span:
        return None
    match = _SPAN.fullmatch(span)
    if match is None:
        raise typer.BadParameter(f"{span!r} is no time: 48h, 90m, 7d", param_hint=option)
    return int(match["number"]) * _SECONDS[match["unit"]]
