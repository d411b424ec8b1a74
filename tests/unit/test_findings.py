"""Findings on their way: between gateways, to the client, onto the screen; and how many a caller may have."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.cli import doctor as command
from gateway.cli import exits
from gateway.cli.output import console_of
from gateway.cli.render_doctor import examination, verdict
from gateway.client.messages import Found
from gateway.domain.diagnosis import (
    LINE,
    REFUSALS,
    Actor,
    Answer,
    Cause,
    ClockSeen,
    Ends,
    Finding,
    Flow,
    Handshake,
    Reached,
    Sent,
    Step,
    Trouble,
    Way,
)
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.grpc import finding_convert
from gateway.edges.grpc.examination_api import Allowance
from gateway.rules import diagnosis, diagnosis_peer
from tests import examples
from tests.unit.trust_kit import NOW

HOME, PEER = examples.HOME, examples.POLICE
ENDS = Ends(HOME, PEER, "gw.police.example:8443", "gw.police.example:8443")
SHOWN = Handshake(None, "TLSv1.3", "h2", ("police.example",), "CN=police", True, NOW - 100, NOW + 86400 * 60)
CUT = diagnosis_peer.sizes(ENDS, [Sent(1024, True, Answer.LATE)])
REFUSED = diagnosis.tls(ENDS, replace(SHOWN, trouble=Trouble.CLIENT_REFUSED), NOW, own_holds=True)
SLOW = diagnosis_peer.bandwidth(ENDS, Flow(1, 1))
CLOSED = diagnosis.port(ENDS, Reached(trouble=Trouble.REFUSED))


def test_a_peers_finding_is_turned_around_and_nothing_else_of_it_changes() -> None:
    for finding in (CUT, REFUSED, SLOW, CLOSED, diagnosis.clock(ENDS, ClockSeen(9000, 1), [])):
        turned = {Actor.OWN: Actor.PEER, Actor.PEER: Actor.OWN}.get(finding.actor, finding.actor)
        assert finding_convert.finding_from(finding_convert.finding_to(finding)) == replace(finding, actor=turned)
        for way in Way:
            assert finding_convert.shown_from(finding_convert.shown_to(way, finding)) == (way, finding)


def test_what_a_peer_makes_up_is_bounded_or_passed_over() -> None:
    message = finding_convert.finding_to(CLOSED)
    message.text, message.cause = "\x1b[2J" + "x" * 10_000, "A_CAUSE_OF_TOMORROW"
    found = finding_convert.finding_from(message)
    assert found is not None
    assert (found.cause, len(found.text), "\x1b" in found.text) == (Cause.UNNAMED, finding_convert.MAX_TEXT, False)
    for step in ("own gateway", "examination", "luck", ""):
        message.step = step
        assert finding_convert.finding_from(message) is None
    message.step, message.outcome = "port", 0
    assert finding_convert.finding_from(message) is None


async def test_an_allowance_counts_each_caller_by_itself() -> None:
    allowance = Allowance(at_once=1, per_minute=3)

    async def use(caller: str, held: asyncio.Event | None = None) -> bool:
        try:
            with allowance.of(caller):
                if held is not None:
                    await held.wait()
        except IsthmusError as problem:
            assert problem.reason is Reason.RESOURCE_EXHAUSTED
            return False
        return True

    held = asyncio.Event()
    first = asyncio.create_task(use("a", held))
    await asyncio.sleep(0)
    assert [await use("a"), await use("b")] == [False, True]
    held.set()
    assert await first
    assert [await use("a") for _ in range(3)] == [True, True, False]


def found(*findings: Finding, way: Way = Way.THERE) -> list[Found]:
    return [Found(PEER, way, finding) for finding in findings]


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ((), exits.OK),
        ((SLOW,), exits.OK),
        ((SLOW, CLOSED), exits.FAILED),
        ((REFUSED,), exits.REFUSED),
        ((CLOSED, REFUSED), exits.FAILED),
    ],
)
def test_the_first_failure_decides_the_exit_code(findings: tuple[Finding, ...], code: int) -> None:
    assert command.exit_code(found(*findings)) == code
    assert {REFUSED.cause} <= REFUSALS


def test_a_person_reads_what_to_do_first_and_who(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    evil = replace(CLOSED, text="\x1b[2Jgone.", advice="[bold]run[/bold] rm")
    left = [diagnosis.not_tried(step, Step.PORT) for step in LINE[2:]]
    shown = [*found(SLOW, evil, *left), *found(diagnosis.not_tried(Step.EXAMINATION, Step.PORT), way=Way.BACK)]
    console = console_of(sys.stdout)
    console.width = 80
    console.print(examination(shown))
    console.print(verdict(shown))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out and "[bold]run[/bold] rm" in out
    assert "✗  port" in out and "!  bandwidth" in out and out.count("not tried") == 2
    assert "Fix first (to police.example, port)" in out and "The operator of police.example:" in out

    console.print(verdict(found(SLOW, way=Way.BACK)))
    out = capsys.readouterr().out
    assert "It works. Worth a look (from police.example to your gateway, bandwidth)" in out
    assert "Whoever runs the network in between" in out
