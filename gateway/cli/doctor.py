"""`isthmus doctor`: what is wrong between the own gateway and a peer, and who must act.

Invariant: what is printed is what the gateways measured and judged; this command adds only whether the own
gateway could be asked at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.output import AsJson, ProfileFile, answering, profile_at

if TYPE_CHECKING:
    from gateway.client.messages import Found
    from gateway.client.profile import Profile

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: isthmus doctor police.example")
def doctor(
    peer: Annotated[str, typer.Argument(metavar="PEER", help="The peer's entity ID, or the host name in it.")],
    profile: ProfileFile = None,
    json: AsJson = False,
) -> None:
    """Test the line to a peer and back: what is wrong, who must act, what to do.

    Asks your own gateway, as a client with the scope `operate`. Exit code: 0 when all is well or works, 3 when the
    peer refuses us, 5 when something fails.
    """
    with answering(json) as output:
        from gateway.cli.render_doctor import examination, verdict

        found = _examined(peer, profile_at(profile), quiet=json)
        output.give(lambda: as_json(found), lambda: examination(found), lambda: verdict(found))
        if code := exit_code(found):
            raise typer.Exit(code)


def _examined(peer: str, profile: Profile, *, quiet: bool) -> list[Found]:
    import sys

    from gateway.cli.output import console_of, printable
    from gateway.client.messages import Found
    from gateway.client.sync import Client
    from gateway.domain.diagnosis import Actor, Cause, Finding, Outcome, Step, Way
    from gateway.domain.errors import IsthmusError, Reason

    console = console_of(sys.stderr)
    console.quiet = quiet
    found: list[Found] = []
    shown = printable(peer)
    try:
        with console.status(f"asking your gateway about {shown}") as status, Client(profile) as client:
            for item in client.diagnose(peer):
                found.append(item)
                status.update(f"{shown}: {len(found)} steps done, last {item.finding.step}")
    except IsthmusError as problem:
        if problem.reason not in (Reason.PEER_UNREACHABLE, Reason.DEADLINE_EXCEEDED):
            raise
        lost = Finding(
            Step.GATEWAY,
            Outcome.FAILED,
            f"Your own gateway does not answer: {problem.public}.",
            Cause.GATEWAY_UNREACHABLE,
            profile.gateway,
            Actor.OWN,
            "Start it, or correct `gateway`, `server_name` and `ca` of your profile",
        )
        found.append(Found(peer, Way.THERE, lost))
    return found


def exit_code(found: Sequence[Found]) -> int:
    """0, or that of the first step that failed."""
    from gateway.cli import exits
    from gateway.domain.diagnosis import REFUSALS, Outcome

    failed = [item.finding for item in found if item.finding.outcome is Outcome.FAILED]
    if not failed:
        return exits.OK
    return exits.REFUSED if failed[0].cause in REFUSALS else exits.FAILED


def as_json(found: Sequence[Found]) -> dict[str, Any]:
    from gateway.rules.diagnosis_peer import root

    first = root([item.finding for item in found])
    return {
        "peer": found[0].peer if found else "",
        "cause": "" if first is None else first.cause.value,
        "act": "" if first is None else first.actor.value,
        "findings": [
            {
                "way": item.way.value,
                "step": item.finding.step.value,
                "outcome": item.finding.outcome.value,
                "cause": item.finding.cause.value,
                "measured": item.finding.measured,
                "text": item.finding.text,
                "act": item.finding.actor.value,
                "advice": item.finding.advice,
            }
            for item in found
        ],
    }
