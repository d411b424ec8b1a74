"""`isthmus approvals list | show | approve | reject | key`: for the people who decide on questions about its data.

They work on the agent's configuration and database, as the agent's user, and never ask the gateway (`--agent`); or they
ask the gateway, as a client with the scope `steward` (`--profile`). A steward's key is read here alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import AsJson, answering

AgentFile = Annotated[
    Path | None, typer.Option("--agent", metavar="FILE", help="agent.toml of the space, on the agent's machine.")
]
Gateway = Annotated[
    Path | None,
    typer.Option("--profile", metavar="FILE", help="Elsewhere: a client's profile with the scope `steward`."),
]
KeyFile = Annotated[Path, typer.Option("--key", metavar="FILE", help="Your private key (isthmus approvals key).")]
PlanName = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's digest, or how it begins.")]
WholePlan = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's whole digest, as `show` ends with it.")]
Place = Annotated[
    str,
    typer.Option(
        "--as",
        metavar="NAME",
        help="The steward in whose place you decide, as their delegate; with --profile by thumbprint or public key.",
    ),
]


def list_(
    agent: AgentFile = None,
    profile: Gateway = None,
    everything: Annotated[bool, typer.Option("--all", help="Those too that are over or withdrawn.")] = False,
    json: AsJson = False,
) -> None:
    """What waits for people of this space, newest first."""
    with answering(json) as output:
        import asyncio

        from gateway.cli import approving, render_approvals

        found = asyncio.run(approving.listed(approving.Place(agent, profile), everything))
        output.give(
            lambda: {"plans": [render_approvals.plain_row(one) for one in found]}, lambda: render_approvals.rows(found)
        )


def show(plan: PlanName, key: KeyFile, agent: AgentFile = None, profile: Gateway = None, json: AsJson = False) -> None:
    """A plan in plain words; its asker is told that somebody has seen it, and not who."""
    with answering(json) as output:
        import asyncio

        from gateway.cli import approving, render_approvals

        found = asyncio.run(approving.shown(approving.Place(agent, profile), plan, key))
        output.give(lambda: render_approvals.plain(found), lambda: render_approvals.page(found))


def approve(
    plan: WholePlan,
    key: KeyFile,
    agent: AgentFile = None,
    profile: Gateway = None,
    place: Place = "",
    reason: Annotated[str, typer.Option(help="What everybody may read with it.")] = "",
    json: AsJson = False,
) -> None:
    """Sign that the plan may run, exactly as it is shown."""
    with answering(json) as output:
        _decide(output, plan, (agent, profile), key, place, "approve", reason)


def reject(
    plan: PlanName,
    key: KeyFile,
    reason: Annotated[str, typer.Option(help="Why: the asker is told.")],
    agent: AgentFile = None,
    profile: Gateway = None,
    place: Place = "",
    json: AsJson = False,
) -> None:
    """Sign that the plan may not run; also after an approval, until its results have left."""
    with answering(json) as output:
        if not reason.strip():
            from gateway.domain.errors import IsthmusError, Reason

            text = "the asker has a right to a reason"
            raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="--reason", advice="Say why in one line")
        _decide(output, plan, (agent, profile), key, place, "reject", reason)


def key(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the private key goes: NAME.jwk.")],
    json: AsJson = False,
) -> None:
    """Make a steward's key pair: a private file for you alone, and a public one for the agent's configuration."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli.output import printable
        from gateway.edges import steward_keys

        made = steward_keys.make(out)
        public = steward_keys.public_beside(out)
        said = f"{out} is yours alone. {public} goes into agent.toml, under [[stewards]]. Thumbprint: {made.kid}"
        output.give(
            lambda: {"private": str(out), "public": str(public), "thumbprint": made.kid}, lambda: Text(printable(said))
        )


def _decide(
    output: object, plan: str, where: tuple[Path | None, Path | None], key: Path, place: str, said: str, reason: str
) -> None:
    import asyncio

    from rich.text import Text

    from gateway.cli import approving, render_approvals
    from gateway.cli.output import Output, printable

    assert isinstance(output, Output)
    done = asyncio.run(approving.decide(approving.Place(*where), plan, key, place, said, reason))
    output.give(lambda: render_approvals.plain_decision(done), lambda: Text(printable(render_approvals.decision(done))))
