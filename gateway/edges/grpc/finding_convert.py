"""Findings to and from messages: of a client, and of a peer, whose "own operator" is our "peer's operator".

Invariant: a peer's finding is bounded, in printable characters, and of a step and outcome that are known here.
"""

from __future__ import annotations

from gateway.api.client.v1 import diagnostics_pb2 as client
from gateway.api.peer.v1 import examination_pb2 as peer
from gateway.domain.diagnosis import LINE, Actor, Cause, Finding, Outcome, Step, Way

MAX_TEXT = 600

_WAYS = {Way.THERE: client.Finding.WAY_THERE, Way.BACK: client.Finding.WAY_BACK}
_OUTCOMES = {
    Outcome.OK: peer.Finding.OUTCOME_OK,
    Outcome.WARNING: peer.Finding.OUTCOME_WARNING,
    Outcome.FAILED: peer.Finding.OUTCOME_FAILED,
    Outcome.NOT_TRIED: peer.Finding.OUTCOME_NOT_TRIED,
}
_ACTORS = {
    Actor.NOBODY: peer.Finding.ACTOR_UNSPECIFIED,
    Actor.OWN: peer.Finding.ACTOR_OWN_OPERATOR,
    Actor.PEER: peer.Finding.ACTOR_PEER_OPERATOR,
    Actor.BOTH: peer.Finding.ACTOR_BOTH_OPERATORS,
    Actor.NETWORK: peer.Finding.ACTOR_NETWORK,
}
_OF_OUTCOME = {int(value): outcome for outcome, value in _OUTCOMES.items()}
_OF_ACTOR = {int(value): actor for actor, value in _ACTORS.items()}
_OF_WAY = {int(value): way for way, value in _WAYS.items()}
_TURNED = {Actor.OWN: Actor.PEER, Actor.PEER: Actor.OWN}


def finding_to(finding: Finding) -> peer.Finding:
    return peer.Finding(
        step=finding.step.value,
        outcome=_OUTCOMES[finding.outcome],
        cause=finding.cause.value,
        measured=finding.measured,
        text=finding.text,
        actor=_ACTORS[finding.actor],
        advice=finding.advice,
    )


def finding_from(message: peer.Finding) -> Finding | None:
    """A peer's finding seen from this end; None for a step or outcome of a release that is not known here."""
    outcome = _OF_OUTCOME.get(message.outcome)
    if outcome is None or message.step not in {step.value for step in LINE}:
        return None
    actor = _OF_ACTOR.get(message.actor, Actor.NOBODY)
    return Finding(
        Step(message.step),
        outcome,
        _plain(message.text),
        cause_from(message.cause),
        _plain(message.measured),
        _TURNED.get(actor, actor),
        _plain(message.advice),
    )


def shown_to(way: Way, finding: Finding) -> client.Finding:
    return client.Finding(
        way=_WAYS[way],
        step=finding.step.value,
        outcome=client.Finding.Outcome.Name(_OUTCOMES[finding.outcome]),
        cause=finding.cause.value,
        measured=finding.measured,
        text=finding.text,
        actor=client.Finding.Actor.Name(_ACTORS[finding.actor]),
        advice=finding.advice,
    )


def shown_from(message: client.Finding) -> tuple[Way, Finding] | None:
    """As the client reads it; None for what this release of the client does not know."""
    way, outcome = _OF_WAY.get(message.way), _OF_OUTCOME.get(message.outcome)
    if way is None or outcome is None or message.step not in {step.value for step in Step}:
        return None
    return way, Finding(
        Step(message.step),
        outcome,
        message.text,
        cause_from(message.cause),
        message.measured,
        _OF_ACTOR.get(message.actor, Actor.NOBODY),
        message.advice,
    )


def cause_from(name: str) -> Cause:
    return Cause(name) if name in {cause.value for cause in Cause} else Cause.UNNAMED


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text[:MAX_TEXT])
