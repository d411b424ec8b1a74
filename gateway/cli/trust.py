"""`isthmus trust`: an anchor's operator founds it, invites and suspends; a space's operator joins; both look."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.output import AsJson, answering

AnchorFile = Annotated[Path, typer.Option("--config", help="anchor.toml; `isthmus trust init` writes one.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask: the fingerprint was compared before.")]
Embedded = Annotated[bool, typer.Option("--embedded", hidden=True)]
_SPAN = re.compile(r"(?P<number>[1-9][0-9]{0,5})(?P<unit>[smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is new or empty.")],
    entity: Annotated[str, typer.Option(help="The anchor's entity ID, an https URI that you own.")],
    listen: Annotated[str, typer.Option(help="host:port on which it answers its members.")],
    prefix: Annotated[
        list[str] | None,
        typer.Option(help="Names it vouches for, may be repeated. Default: every host beside the anchor's own."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Found an anchor: write its keys, CA and configuration; overwrite nothing."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli.trust_init import found, hand_out
        from gateway.edges.clock import SystemClock

        founded = found(folder, entity, listen, prefix or [], SystemClock().now())
        output.give(
            lambda: {
                "folder": str(folder),
                "files": [str(file) for file in founded.files],
                "fingerprint": founded.fingerprint,
                "prefixes": list(founded.prefixes),
            },
            lambda: Text(f"Wrote {len(founded.files)} files to {folder}."),
            lambda: Text(hand_out(folder, founded)),
        )


def serve(config: AnchorFile, embedded: Embedded = False) -> None:
    """Run an anchor until it is told to stop."""
    with answering():
        import uvloop

        from gateway.anchor.app import serve_until_stopped

        uvloop.run(serve_until_stopped(config, embedded=embedded))


def invite(
    config: AnchorFile,
    entity: Annotated[str, typer.Argument(help="The entity ID of the space that is invited.")] = "",
    valid: Annotated[str, typer.Option(help="For how long: 90m, 72h, 7d.")] = "72h",
    again: Annotated[bool, typer.Option("--again", help="For a member that lost its keys: pin new ones.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write it to a new file that only you can read.")] = None,
    withdraw: Annotated[str, typer.Option(help="Take an invitation back, by its ID.")] = "",
    json: AsJson = False,
) -> None:
    """Invite a space: one line that lets it join once, under that name only. Hand it over by a safe channel."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli import trust_anchor

        if withdraw:
            trust_anchor.run(trust_anchor.withdraw(config, withdraw))
            output.give(lambda: {"withdrawn": withdraw}, lambda: Text(f"Invitation {withdraw} is withdrawn."))
            return
        made = trust_anchor.run(trust_anchor.invite(config, entity, _seconds(valid), again=again))
        if out is not None:
            from gateway.edges.keys import write_secret

            write_secret(out, (made.line + "\n").encode())
        told: dict[str, Any] = {
            "id": made.id, "entity": made.entity, "expires": made.expires, "fingerprint": made.fingerprint,
        }  # fmt: skip
        told |= {"invitation": made.line} if out is None else {"file": str(out)}
        if out is None and not json:
            print(made.line)  # whole and alone on standard output, to be piped or copied
            _aside(
                f"Invitation {made.id} for {made.entity}, valid for {valid}, good for one use. "
                f"Whoever has this line can join under that name. Fingerprint of your keys: {made.fingerprint}"
            )
            return
        output.give(
            lambda: told,
            lambda: Text(f"Invitation {made.id} for {made.entity}, valid for {valid}, good for one use: {out}"),
            lambda: Text(f"Fingerprint of your keys, to be compared by another way: {made.fingerprint}"),
        )


def join(
    invitation: Annotated[str, typer.Argument(metavar="INVITATION", help="The line, a file that holds it, or -.")],
    config: Annotated[Path, typer.Option("--config", help="gateway.toml of the space that joins.")],
    agent: Annotated[
        Path | None, typer.Option(help="agent.toml, where gateway.toml does not name it: it gets the same pins.")
    ] = None,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Join an anchor's federation: pin its keys, be pinned by it, write both into the configuration."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli import trust_join

        wanted = trust_join.prepare(invitation, config, agent)
        if not yes:
            _aside(trust_join.question(wanted))
            trust_join.confirmed(typer.confirm("Is this the fingerprint you were told, and may it vouch for these?"))
        joined = trust_join.run(trust_join.join(wanted))
        output.give(
            lambda: joined.plain(),
            lambda: Text(joined.told()),
            lambda: Text(f"Start it: isthmus gateway serve --config {config}"),
        )


def show(
    config: Annotated[Path, typer.Option("--config", help="gateway.toml of a space, or anchor.toml.")],
    json: AsJson = False,
) -> None:
    """Who is believed, invited or a member: by whom, until when, with which keys."""
    with answering(json) as output:
        from gateway.cli import trust_show

        shown = trust_show.run(trust_show.shown(config))
        output.give(lambda: shown, *trust_show.tables(shown))


def suspend(
    entity: Annotated[str, typer.Argument(help="The entity ID of a member.")],
    config: AnchorFile,
    lift: Annotated[bool, typer.Option("--lift", help="Vouch for it again.")] = False,
    json: AsJson = False,
) -> None:
    """Stop vouching for a member at once; it disappears from everybody's catalogue within seconds."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli import trust_anchor

        trust_anchor.run(trust_anchor.suspend(config, entity, lift=lift))
        state = "vouched for again" if lift else "suspended"
        output.give(lambda: {"entity": entity, "suspended": not lift}, lambda: Text(f"{entity} is {state}."))


def _seconds(span: str) -> int:
    match = _SPAN.fullmatch(span)
    if match is None:
        raise typer.BadParameter(f"{span!r} is no time: 90m, 72h, 7d", param_hint="--valid")
    return int(match["number"]) * _SECONDS[match["unit"]]


def _aside(text: str) -> None:
    """For the person, beside what standard output carries."""
    typer.echo(text, err=True)
