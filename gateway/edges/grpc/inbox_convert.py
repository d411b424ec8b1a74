"""Between protobuf messages and nouns, for what stewards are shown of their inbox."""

from __future__ import annotations

from gateway.api.client.v1 import approvals_pb2 as pb
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.inbox import Budget, Earlier, Shown, Standing, Waiting, Word
from gateway.domain.offer import Operator


def waiting_to(item: Waiting) -> pb.WaitingPlan:
    return pb.WaitingPlan(
        digest=item.digest,
        title=item.title,
        initiator=item.initiator,
        requester=item.requester,
        state=pb.WaitingPlan.State.Value(f"STATE_{item.state}"),  # type: ignore[arg-type]
        have=item.have,
        need=item.need,
        standing=item.editions,
        deliver_time=item.delivered,
        deadline=item.deadline,
        expire_time=item.expires,
        see_time=item.seen,
        seen_by=item.seen_by,
        withdraw_time=item.withdrawn,
    )


def waiting_from(message: pb.WaitingPlan) -> Waiting:
    """Raises IsthmusError(PROTOCOL_VIOLATION) for a state that is not known here."""
    named = {number: name.removeprefix("STATE_") for name, number in pb.WaitingPlan.State.items()}
    state = named.get(message.state, "")
    if state not in Standing.__members__:
        text, advice = "a plan stands somewhere that is not known here", "Upgrade isthmus here"
        raise IsthmusError(Reason.PROTOCOL_VIOLATION, text, advice=advice)
    return Waiting(
        digest=message.digest,
        title=message.title,
        initiator=message.initiator,
        requester=message.requester,
        state=Standing(state),
        have=message.have,
        need=message.need,
        editions=message.standing,
        delivered=message.deliver_time,
        deadline=message.deadline,
        expires=message.expire_time,
        seen=message.see_time,
        seen_by=message.seen_by,
        withdrawn=message.withdraw_time,
    )


def shown_to(item: Shown) -> pb.GetPlanResponse:
    return pb.GetPlanResponse(
        waiting=waiting_to(item.waiting),
        plan=item.plan,
        verified=item.verified,
        operators=[
            pb.PlanOperator(
                entity=one.entity,
                name=one.name,
                group=one.group,
                affiliates=one.affiliates,
                jurisdiction=one.jurisdiction,
            )
            for one in item.operators
        ],
        datasets=[pb.PlanDataset(name=name, title=title) for name, title in item.titles],
        decisions=[
            pb.PlanDecision(
                signer=one.signer, seat=one.seat, approves=one.approves, decide_time=one.at, reason=one.text
            )
            for one in item.decided
        ],
        earlier=[
            pb.EarlierQuestion(
                title=one.title,
                initiator=one.initiator,
                purpose=one.purpose,
                approve_time=one.at,
                datasets=one.datasets,
            )
            for one in item.earlier
        ],
        budgets=[
            pb.PlanBudget(dataset=one.dataset, what=one.what, spent=one.spent, limit=one.limit, per=one.per)
            for one in item.budgets
        ],
    )


def shown_from(message: pb.GetPlanResponse) -> Shown:
    return Shown(
        waiting=waiting_from(message.waiting),
        plan=message.plan,
        verified=message.verified,
        operators=tuple(
            Operator(one.entity, one.name, one.group, tuple(one.affiliates), one.jurisdiction)
            for one in message.operators
        ),
        titles=tuple((one.name, one.title) for one in message.datasets),
        decided=tuple(
            Word(one.signer, one.seat, one.approves, one.decide_time, one.reason) for one in message.decisions
        ),
        earlier=tuple(
            Earlier(one.title, one.initiator, one.purpose, one.approve_time, tuple(one.datasets))
            for one in message.earlier
        ),
        budgets=tuple(
            Budget(one.dataset, one.what, one.spent, one.limit if one.HasField("limit") else None, max(1, one.per))
            for one in message.budgets
        ),
    )
