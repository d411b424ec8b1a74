"""Between protobuf messages and nouns, for what spaces say to each other and agents to gateways."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from gateway.api.agent.v1 import agent_pb2 as agent
from gateway.api.peer.v1 import peer_pb2 as pb
from gateway.domain.computation import SealedShare
from gateway.domain.decision import Consulted, Stage
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.plan import Decision, Verdict
from gateway.domain.session import (
    Approval,
    Completed,
    Failure,
    Frame,
    Heartbeat,
    Progress,
    Refusal,
    RunEvent,
    ViewSample,
)

Chains = Sequence[Sequence[str]]
# What carries frames.
Carrier = pb.TunnelRequest | pb.TunnelResponse | agent.CarryRequest | agent.CarryResponse


def chains_to(chains: Chains) -> list[pb.Chain]:
    return [pb.Chain(statements=chain) for chain in chains]


def chains_from(messages: Iterable[pb.Chain]) -> list[tuple[str, ...]]:
    return [tuple(message.statements) for message in messages]


def refusal_to(item: Refusal) -> pb.Refusal:
    return pb.Refusal(reason=item.reason, text=item.text, field=item.field, advice=item.advice, space=item.space)


def refusal_from(message: pb.Refusal, space: str) -> Refusal:
    return Refusal(message.reason, message.text, message.field, message.advice, message.space or space)


def refusal_of(problem: IsthmusError, space: str) -> Refusal:
    """An error as the refusal that others are shown: public texts only."""
    return Refusal(problem.reason.value, problem.public, problem.field, problem.advice, problem.space or space)


def error_of(item: Refusal) -> IsthmusError:
    """A refusal as the error that its asker gets."""
    reason = Reason(item.reason) if item.reason in Reason.__members__ else Reason.INTERNAL
    return IsthmusError(reason, item.text, field=item.field, advice=item.advice, space=item.space)


def checked_to(verdict: Verdict) -> pb.CheckDraftResponse:
    allowed = verdict.decision is Decision.ALLOWED
    return pb.CheckDraftResponse(
        allowed=allowed,
        rounds=verdict.rounds,
        bytes_per_party=verdict.bytes_per_party,
        kept_seats=verdict.kept_seats,
        refusal=None
        if allowed
        else pb.Refusal(reason=verdict.reason, text=verdict.text, advice=verdict.advice, space=verdict.space),
    )


def checked_from(message: pb.CheckDraftResponse, space: str) -> Verdict:
    if message.allowed:
        seats = tuple(message.kept_seats)
        return Verdict(space, Decision.ALLOWED, message.rounds, message.bytes_per_party, kept_seats=seats)
    refusal = message.refusal
    return Verdict(space, Decision.REFUSED, reason=refusal.reason, text=refusal.text, advice=refusal.advice)


def consulted_to(answer: Consulted | Refusal) -> pb.ConsultResponse:
    if isinstance(answer, Refusal):
        return pb.ConsultResponse(refusal=refusal_to(answer))
    return pb.ConsultResponse(
        consulted=pb.Consulted(
            stage=pb.Consulted.Stage.Value(f"STAGE_{answer.stage}"),  # type: ignore[arg-type]
            have=answer.have,
            need=answer.need,
            deliver_time=answer.delivered,
            see_time=answer.seen,
            deadline=answer.deadline,
            text=answer.text,
        )
    )


def consulted_from(message: pb.ConsultResponse, space: str) -> Consulted | Refusal:
    said = message.consulted
    name = pb.Consulted.Stage.Name(said.stage).removeprefix("STAGE_") if said.stage in range(6) else ""
    if message.WhichOneof("answer") != "consulted":
        return refusal_from(message.refusal, space)
    if name not in Stage.__members__:
        text, advice = "the space says something of its people that is not known here", "Upgrade this gateway"
        return Refusal(Reason.PROTOCOL_VIOLATION.value, text, advice=advice, space=space)
    text = "".join(character if character.isprintable() else " " for character in said.text[:500])
    return Consulted(Stage(name), said.have, said.need, said.deliver_time, said.see_time, said.deadline, text)


def proposed_to(answer: Approval | Refusal) -> pb.ProposeResponse:
    if isinstance(answer, Approval):
        return pb.ProposeResponse(approval=answer.token)
    return pb.ProposeResponse(veto=refusal_to(answer))


def proposed_from(message: pb.ProposeResponse, space: str) -> Approval | Refusal:
    if message.WhichOneof("answer") == "approval":
        return Approval(message.approval)
    return refusal_from(message.veto, space)


def event_to(event: RunEvent) -> pb.RunResponse:
    match event:
        case Heartbeat():
            return pb.RunResponse(heartbeat=pb.Heartbeat())
        case Progress():
            return pb.RunResponse(progress=pb.Progress(phase=event.phase, fraction=event.fraction))
        case SealedShare():
            sealed = base64.b64decode(event.sealed)
            return pb.RunResponse(output=pb.Output(pid=event.pid, recipient=event.recipient, sealed=sealed))
        case Completed():
            views = [pb.View(pid=v.pid, step=v.step, sender=v.sender, values=v.values) for v in event.views]
            return pb.RunResponse(completed=pb.Completed(receipt=event.receipt, views=views))
        case Failure():
            return pb.RunResponse(failure=failure_to(event))


def event_from(message: pb.RunResponse) -> RunEvent:
    match message.WhichOneof("event"):
        case "progress":
            return Progress(message.progress.phase, message.progress.fraction)
        case "output":
            sealed = base64.b64encode(message.output.sealed).decode()
            return SealedShare(message.output.pid, message.output.recipient, sealed)
        case "completed":
            views = tuple(ViewSample(v.pid, v.step, v.sender, tuple(v.values)) for v in message.completed.views)
            return Completed(message.completed.receipt, views)
        case "failure":
            return failure_from(message.failure)
        case _:
            return Heartbeat()


def failure_to(item: Failure) -> pb.Failure:
    return pb.Failure(reason=item.reason, culprit=item.culprit, phase=item.phase, text=item.text, action=item.action)


def failure_from(message: pb.Failure) -> Failure:
    return Failure(message.reason, message.culprit, message.phase, message.text, message.action)


def put_frames(message: Carrier, frames: Iterable[Frame]) -> None:
    """Into the message itself: one that is made apart and then put in would be copied, all its bytes with it."""
    for frame in frames:
        message.frames.add(source=frame.source, destination=frame.destination, sealed=frame.sealed, more=frame.more)


def frames_from(message: Carrier) -> list[Frame]:
    return [Frame(item.source, item.destination, item.sealed, item.more) for item in message.frames]
