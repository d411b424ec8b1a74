"""Stewards who decide through their gateway: it passes on and decides nothing, and what it makes up counts nowhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from google.protobuf.message import Message

from connectors import steward_line
from gateway.api.agent.v1 import agent_pb2
from gateway.api.client.v1 import approvals_pb2 as pb
from gateway.client.stewards import Approvals
from gateway.domain.decision import APPROVE, REJECT, SEEN, Stage
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.inbox import Standing
from gateway.edges import steward_keys
from gateway.edges.agents import OF_STEWARDS
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.ports import Clock
from gateway.rules.dates import day_of
from gateway.rules.profiles import DAY
from tests.unit.test_agent_people import Desk, desk
from tests.unit.test_agent_revocation import HOME, NOW, POLICE, world

__all__ = ["desk", "world"]

Lie = Callable[[Any], None]


@dataclass
class Gateway:
    """What stands between a steward and the agent; it may change what it passes on, both ways."""

    desk: Desk
    asked: Lie = lambda message: None
    answered: Lie = lambda message: None

    async def __call__(self, rpc: str, request: Message, answer: type[Message]) -> Any:
        self.asked(request)
        field, back = OF_STEWARDS[type(request)]
        message = agent_pb2.ConnectResponse(number=7, **{field: request})  # type: ignore[arg-type]
        said = await steward_line.answer(self.desk.world.agent, message)
        assert said is not None and said.number == 7 and said.WhichOneof("message") == back
        found = answer.FromString(getattr(said, back).SerializeToString())
        self.answered(found)
        return found

    @property
    def inbox(self) -> Approvals:
        return Approvals(self, cast(Clock, self.desk.world.clock), POLICE)


def key(desk: Desk, name: str = "anna") -> SigningKey:
    return desk.signers[name]


async def refused(work: Any) -> tuple[Reason, str]:
    with pytest.raises(IsthmusError) as caught:
        await work
    return caught.value.reason, caught.value.field


async def kinds(desk: Desk) -> list[str]:
    found = await desk.world.agent.database.audit.read(start=0, limit=1000)
    return [fact.kind for fact in found if fact.kind.startswith(("plan.", "decision."))]


async def test_two_stewards_list_see_and_approve_through_the_gateway(desk: Desk) -> None:
    plan, inbox = desk.plan(), Gateway(desk).inbox
    await desk.consult(plan)
    (row,) = await inbox.list()
    assert (row.digest, row.state, row.have, row.need) == (plan.digest, Standing.DELIVERED, 0, 2)
    shown = await inbox.show(plan.digest[:8])
    assert (shown.plan, shown.verified, shown.waiting) == (plan.token, True, row)
    assert {operator.entity for operator in shown.operators} >= set(plan.body.entities())
    assert [budget.dataset for budget in shown.budgets] == [name for name, _ in shown.titles] != []
    assert (await inbox.decide(shown, key(desk), SEEN)).state is Standing.SEEN
    assert (await inbox.decide(shown, key(desk), APPROVE)).have == 1
    assert (await inbox.decide(shown, key(desk), APPROVE)).have == 1, "one person counts once"
    assert (await inbox.decide(shown, key(desk, "ben"), APPROVE, "as agreed")).state is Standing.APPROVED
    assert (await desk.consult(plan)).stage is Stage.APPROVED
    assert {word.text for word in (await inbox.show(plan.digest)).decided} == {"", "as agreed"}
    facts = await desk.world.agent.database.audit.read(start=0, limit=1000)
    assert not [fact for fact in facts if "anna" in fact.detail or "ben" in fact.detail]
    assert (await kinds(desk))[:3] == ["plan.delivered", "plan.seen", "plan.approved"]


async def test_what_is_not_signed_by_a_steward_about_this_plan_now_is_refused_and_noted(desk: Desk) -> None:
    plan, inbox = desk.plan(), Gateway(desk).inbox
    other = desk.plan(replace(desk.body(), requester="somebody else"))
    await desk.consult(plan)

    def signed(by: SigningKey, said: str = APPROVE, about: Any = plan, at: int = NOW, **more: Any) -> str:
        return steward_keys.decision(about, by, said, "", at, "j", **{"space": POLICE, **more})

    stranger = new_signing_key()
    anna, ben = key(desk), key(desk, "ben")
    tampered = signed(anna)[:-4] + ("AAAA" if not signed(anna).endswith("AAAA") else "BBBB")
    bad = Reason.INVALID_ARGUMENT, "decision"
    for token, expected in (
        (signed(stranger), (Reason.PERMISSION_DENIED, "iss")),
        (signed(anna, about=other), bad),
        (signed(anna, at=NOW - 7200, expires=NOW - 3600), bad),
        (signed(anna, at=NOW + 60), bad),
        (signed(anna, space=HOME), bad),
        (signed(anna, said=SEEN, space=HOME), bad),
        (signed(anna, expires=NOW + 60 * DAY), bad),
        (signed(anna, seat=ben.kid), (Reason.PERMISSION_DENIED, "sub")),
        (signed(anna, said="perhaps"), bad),
        (tampered, bad),
        (plan.token, (Reason.PERMISSION_DENIED, "iss")),
        ("a.b.c", bad),
    ):
        assert await refused(inbox.hand_in(plan.digest, token)) == expected
    assert await refused(inbox.hand_in(other.digest, signed(anna))) == (Reason.NOT_FOUND, "plan")
    assert (await desk.consult(plan)).have == 0
    assert (await kinds(desk)).count("decision.refused") == 13
    assert await desk.world.agent.database.inbox.decided(plan.digest) == ((), ())


async def test_an_older_word_that_was_kept_back_does_not_come_after_a_newer_one(desk: Desk) -> None:
    plan, inbox = desk.plan(), Gateway(desk).inbox
    await desk.consult(plan)
    old = steward_keys.decision(plan, key(desk), APPROVE, "", NOW, "old", space=POLICE)
    desk.world.clock.at += 10
    shown = await inbox.show(plan.digest)
    assert (await inbox.decide(shown, key(desk), REJECT, "no")).state is Standing.REJECTED
    assert await refused(inbox.hand_in(plan.digest, old)) == (Reason.INVALID_ARGUMENT, "decision")
    assert (await desk.consult(plan)).stage is Stage.REJECTED


async def test_nobody_is_said_to_have_seen_a_plan_who_has_not(desk: Desk) -> None:
    """Neither by a gateway alone, nor with what was signed when the plan was asked before."""
    plan, inbox = desk.plan(), Gateway(desk).inbox
    await desk.consult(plan)
    await inbox.list()
    seen = steward_keys.decision(plan, key(desk), SEEN, "", NOW, "s", space=POLICE, expires=NOW + 300)
    await desk.consult(plan, withdrawn=True)
    desk.world.clock.at += 100
    await desk.consult(desk.plan(desk.body("2")))
    assert (await inbox.list())[0].digest == plan.digest
    assert await refused(inbox.hand_in(plan.digest, seen)) == (Reason.INVALID_ARGUMENT, "decision")
    assert (await inbox.show(plan.digest)).waiting.state is Standing.DELIVERED


async def test_what_is_over_or_withdrawn_is_not_approved(desk: Desk) -> None:
    plan, inbox = desk.plan(), Gateway(desk).inbox
    await desk.consult(plan)
    shown = await inbox.show(plan.digest)
    await desk.consult(plan, withdrawn=True)
    assert await inbox.list() == ()
    assert [row.state for row in await inbox.list(everything=True)] == [Standing.WITHDRAWN]
    assert await refused(inbox.decide(shown, key(desk), APPROVE)) == (Reason.ILLEGAL_TRANSITION, "plan")


async def test_a_gateway_that_shows_another_plan_is_found_out(desk: Desk) -> None:
    plan, evil = desk.plan(), desk.plan(replace(desk.body(), requester="somebody else"))
    await desk.consult(plan)

    def shows_other(found: Any) -> None:
        found.plan = evil.token

    gateway = Gateway(desk, answered=shows_other)
    assert await refused(gateway.inbox.show(plan.digest)) == (Reason.PROTOCOL_VIOLATION, "plan")

    def shows_other_whole(found: Any) -> None:
        found.plan, found.waiting.digest = evil.token, evil.digest

    gateway = Gateway(desk, answered=shows_other_whole)
    assert await refused(gateway.inbox.show(plan.digest)) == (Reason.PROTOCOL_VIOLATION, "plan")


async def test_what_is_signed_about_a_plan_that_a_gateway_made_up_counts_nowhere(desk: Desk) -> None:
    """It lists and shows a harmless plan of its own, and hands in for another what is signed about it."""
    plan, harmless = desk.plan(), desk.plan(replace(desk.body(), requester="harmless"))
    await desk.consult(plan)

    def asks_for_the_other(request: Any) -> None:
        request.plan = plan.digest

    def shows_the_harmless(found: Any) -> None:
        if isinstance(found, pb.GetPlanResponse):
            found.plan, found.waiting.digest = harmless.token, harmless.digest

    gateway = Gateway(desk, asks_for_the_other, shows_the_harmless)
    shown = await gateway.inbox.show(harmless.digest)
    for name in desk.signers:
        decided = gateway.inbox.decide(shown, key(desk, name), APPROVE)
        assert await refused(decided) == (Reason.INVALID_ARGUMENT, "decision")
    assert (await desk.consult(plan)).have == 0
    assert (await desk.refused()).reason == Reason.NOT_APPROVED


async def test_a_delegate_decides_in_a_place_by_thumbprint(desk: Desk) -> None:
    agent, (anna, ben) = desk.world.agent, desk.world.agent.stewards
    agent.stewards = (replace(anna, delegate="ben", until=day_of(NOW + DAY)), ben)
    agent.__post_init__()
    plan, inbox = desk.plan(), Gateway(desk).inbox
    await desk.consult(plan)
    shown = await inbox.show(plan.digest)
    assert (await inbox.decide(shown, key(desk, "ben"), APPROVE, seat=anna.key.kid)).have == 1
    (word,) = (await inbox.show(plan.digest)).decided
    assert (word.signer, word.seat) == (ben.key.kid, anna.key.kid)


async def test_a_long_inbox_comes_in_pages(desk: Desk) -> None:
    plans = [desk.plan(replace(desk.body(), requester=f"asker {number}")) for number in range(5)]
    for plan in plans:
        await desk.consult(plan)

    def two_at_once(request: Any) -> None:
        if isinstance(request, pb.ListPlansRequest):
            request.page_size = 2

    rows = await Gateway(desk, two_at_once).inbox.list()
    assert sorted(row.digest for row in rows) == sorted(plan.digest for plan in plans)
