"""How a person sees an examination: a check list for each way, then the one thing to do first.

Invariants: as of `gateway.cli.render`: text from elsewhere is text, nothing is said by colour alone, and 80 columns
are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.cli.typeset import host, words
from gateway.domain.diagnosis import Actor, Finding, Outcome, Way
from gateway.rules.diagnosis_peer import root

if TYPE_CHECKING:
    from gateway.client.messages import Found

MARKS = {Outcome.OK: "✓", Outcome.WARNING: "!", Outcome.FAILED: "✗", Outcome.NOT_TRIED: "·"}
STYLES = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.FAILED: "bold red", Outcome.NOT_TRIED: "dim"}


def examination(found: Sequence[Found]) -> RenderableType:
    """One list per way."""
    peer = host(found[0].peer) if found else ""
    titles = {Way.THERE: f"From your gateway to {peer}", Way.BACK: f"From {peer} to your gateway, as it says"}
    shown: list[RenderableType] = []
    for way, title in titles.items():
        findings = [item.finding for item in found if item.way is way]
        if findings:
            shown += [*([Text()] if shown else []), words(title, "bold"), _list(findings)]
    return Group(*shown)


def verdict(found: Sequence[Found]) -> RenderableType:
    first = root([item.finding for item in found])
    if first is None:
        return words("All is well, both ways.", "bold green")
    ways = {id(item.finding): item.way for item in found}
    peer = host(found[0].peer)
    line = f"from {peer} to your gateway" if ways[id(first)] is Way.BACK else f"to {peer}"
    begins = "Fix first" if first.outcome is Outcome.FAILED else "It works. Worth a look"
    text = words(f"{begins} ({line}, {first.step}): {first.text}", "bold")
    return Group(text, words(f"{_who(first.actor, peer)}: {first.advice}."))


def _list(findings: Sequence[Finding]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        if finding.outcome is Outcome.NOT_TRIED:
            continue
        style = STYLES[finding.outcome]
        said = words(finding.text)
        if finding.outcome is Outcome.OK:  # what is well is said by its measurement, in a line
            said = words(finding.measured or finding.text)
        elif finding.measured:
            said = Text("\n").join([said, words(finding.measured, "dim")])
        table.add_row(words(MARKS[finding.outcome], style), words(finding.step, style), said)
    if left := ", ".join(finding.step for finding in findings if finding.outcome is Outcome.NOT_TRIED):
        table.add_row(words(MARKS[Outcome.NOT_TRIED], "dim"), words("not tried", "dim"), words(left, "dim"))
    return table


def _who(actor: Actor, peer: str) -> str:
    return {
        Actor.OWN: "You, as operator of your gateway",
        Actor.PEER: f"The operator of {peer}",
        Actor.BOTH: f"You and the operator of {peer}",
        Actor.NETWORK: "Whoever runs the network in between",
    }.get(actor, "Nobody")
