"""Step 3 of the route: a plan waits until the people of every space have decided, however that ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.domain.computation import Computation, State
from gateway.domain.decision import APPROVE, REJECT, SignedPlan
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import Failure
from gateway.flows import submit
from gateway.flows.drive import Stopped
from gateway.rules.lifecycle import Event
from gateway.rules.plans import plan_digest
from tests.examples import CARE, HOME, NEUTRAL, POLICE, question
from tests.fakes import ANALYST, World
from tests.unit.trust_kit import ANCHOR

CANCEL = Stopped(Event.CANCEL, Failure("CANCELLED", HOME, "session", "the requester cancelled", "Ask again"))
HOURS = 3600


def wants_persons(here: World, *entities: str, **terms: int) -> None:
    """From now on these spaces want people, and everybody knows it."""
    for entity in entities:
        agent = here.nodes[entity].agent
        agent.wants_persons(**{"persons": 2, **terms})
        for node in here.nodes.values():
            node.federation.known[entity] = replace(node.federation.known[entity], offer=agent.own.offer)


async def now(here: World, id: str) -> Computation:
    found = await here.home.get(id)
    assert found is not None
    return found


async def plan_of(here: World, id: str) -> SignedPlan:
    return here.home.plans.recall(await now(here, id))


def statuses(found: Computation) -> dict[str, tuple[str, str]]:
    return {status.space: (status.status, status.phase) for status in found.spaces}


async def asked(here: World, **query: int) -> str:
    """A question that waits: the first round is over."""
    id = (await here.home.ask(question(**query))).id
    await here.home.rounds.over(1)
    return id


async def test_a_question_waits_until_both_stewards_have_approved_and_then_runs(here: World) -> None:
    wants_persons(here, CARE)
    id = await asked(here)
    waiting = await now(here, id)
    assert (waiting.state, waiting.contract) == (State.AWAITING_APPROVAL, "")
    assert statuses(waiting) == {
        HOME: ("READY", ""), POLICE: ("READY", ""), NEUTRAL: ("READY", ""), CARE: ("DELIVERED", "0 of 2"),
    }  # fmt: skip
    plan, care = await plan_of(here, id), here.nodes[CARE].agent
    await care.inbox.see(plan.digest, "thumb", here.clock.at, [])
    await care.decide(plan, "anna")
    await here.home.rounds.next()
    await here.home.rounds.over(2)
    assert statuses(await now(here, id))[CARE] == ("SEEN", "1 of 2")
    await care.decide(plan, "ben")
    await here.home.rounds.next()
    accounts = await here.all_ended(id)
    assert {account.state for account in accounts.values()} == {State.RELEASED}
    contract, approvals = here.home.documents.recall(accounts[HOME])
    assert plan_digest(contract.body) == plan.digest == accounts[HOME].plan_digest
    assert contract.body.session == id
    evidence = {approval.entity: len(approval.body.decisions) for approval in approvals}
    assert evidence == {HOME: 0, POLICE: 0, NEUTRAL: 0, CARE: 2}
    assert await here.home.kinds() == [
        "computation.created", "plan.proposed", "approval.status", "approval.status", "approval.status",
        "contract.frozen", "computation.agreed", "session.started", "computation.released",
    ]  # fmt: skip
    facts = await here.nodes[CARE].database.audit.read(start=0, limit=100)
    assert [fact.kind for fact in facts][:1] == ["plan.delivered"]
    assert "plan.run" in [fact.kind for fact in facts]
    assert not [fact for fact in facts if "anna" in fact.subject + fact.about + fact.detail]


async def test_nobody_is_asked_where_no_policy_wants_people(here: World) -> None:
    ended = await here.home.ended((await here.home.ask()).id)
    assert (ended.state, ended.plan, here.home.rounds.asked) == (State.RELEASED, "", 0)


async def test_a_plan_says_whom_it_needs_before_anything_is_asked(here: World) -> None:
    wants_persons(here, CARE, persons=1, decide_within=24)
    made = await here.home.submit.validate(ANALYST, question())
    assert [(item.space, item.persons, item.hours) for item in made.persons] == [(CARE, 1, 24)]


async def test_a_no_rejects_it_with_the_reason_and_leaves_no_open_plan_anywhere(here: World) -> None:
    wants_persons(here, CARE, POLICE)
    id = await asked(here)
    plan = await plan_of(here, id)
    await here.nodes[CARE].agent.decide(plan, "anna", APPROVE)
    await here.nodes[CARE].agent.decide(plan, "ben", REJECT, "too fine for so few people")
    await here.home.rounds.next()
    ended = await here.home.ended(id)
    assert ended.state is State.REJECTED and ended.ending is not None
    assert (ended.ending.reason, ended.ending.space) == ("NOT_APPROVED", CARE)
    assert "too fine for so few people" in ended.ending.text
    assert statuses(ended)[CARE] == ("REFUSED", "1 of 2")
    await here.idle()
    entry = await here.nodes[POLICE].agent.inbox.get(plan.digest)
    assert entry is not None and entry.withdrawn == here.clock.at


async def test_a_deadline_that_is_over_expires_it_and_names_whose_turn_it_was(here: World) -> None:
    wants_persons(here, CARE, decide_within=6)
    wants_persons(here, POLICE, decide_within=12)
    id = await asked(here)
    await here.nodes[CARE].agent.decide(await plan_of(here, id), "anna")
    here.clock.at += 6 * HOURS
    await here.list_all()
    await here.home.rounds.next()
    ended = await here.home.ended(id)
    assert ended.state is State.EXPIRED and ended.ending is not None
    assert (ended.ending.reason, ended.ending.space) == ("DEADLINE_EXCEEDED", CARE)
    assert "1 of 2" in ended.ending.text and POLICE not in ended.ending.text
    assert CARE in ended.ending.action


async def test_a_space_that_cannot_be_asked_delays_it_and_does_not_end_it(here: World) -> None:
    wants_persons(here, CARE)
    here.nodes[CARE].agent.connected = False
    id = await asked(here)
    assert statuses(await now(here, id))[CARE][0] == "UNREACHABLE"
    here.nodes[CARE].agent.connected = True
    await here.home.rounds.next()
    await here.home.rounds.over(2)
    assert statuses(await now(here, id))[CARE] == ("DELIVERED", "0 of 2")
    assert here.home.drive.stop(id, CANCEL)
    await here.home.ended(id)


async def test_a_space_whose_statement_has_expired_delays_it_and_does_not_end_it(here: World) -> None:
    """What waits for people waits for longer than a statement lives, of a seat that nobody asks too."""
    wants_persons(here, CARE)
    here.home.federation.gone.add(NEUTRAL)
    id = await asked(here)
    assert statuses(await now(here, id))[CARE][0] == "UNREACHABLE"
    here.home.federation.gone.clear()
    await here.home.rounds.next()
    await here.home.rounds.over(2)
    assert statuses(await now(here, id))[CARE] == ("DELIVERED", "0 of 2")
    # Whoever is there hears all the same that it is asked no more.
    here.home.federation.gone.add(NEUTRAL)
    plan = await plan_of(here, id)
    assert here.home.drive.stop(id, CANCEL)
    await here.home.ended(id)
    await here.idle()
    entry = await here.nodes[CARE].agent.inbox.get(plan.digest)
    assert entry is not None and entry.withdrawn


async def test_one_client_does_not_fill_the_inboxes_that_a_whole_space_has(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "MAX_WAITING_OF_ONE", 2)
    wants_persons(here, CARE)
    ids = [(await here.home.ask(question(title=f"Number {n}"), f"request-{n}")).id for n in range(2)]
    with pytest.raises(IsthmusError) as caught:
        await here.home.ask(question(title="One more"), "request-2")
    assert caught.value.reason is Reason.RESOURCE_EXHAUSTED
    # One that waits already is found again, and what another client asks, or no person has to decide on, runs.
    assert (await here.home.ask(question(title="Number 1"), "request-1")).id == ids[1]
    other = await here.home.submit.create(replace(ANALYST, id="another"), "request-2", question(), b"")
    free = await here.home.ask(question((HOME, POLICE)), "request-3")
    assert (await here.home.ended(free.id)).state is State.RELEASED
    for id in (*ids, other.id):
        assert here.home.drive.stop(id, CANCEL)
        await here.home.ended(id)
    again = (await here.home.ask(question(title="One more"), "request-4")).id
    assert here.home.drive.stop(again, CANCEL)
    await here.home.ended(again)


async def test_what_is_cancelled_while_it_waits_is_withdrawn_everywhere(here: World) -> None:
    wants_persons(here, CARE, POLICE)
    id = await asked(here)
    plan = await plan_of(here, id)
    assert here.home.drive.stop(id, CANCEL)
    assert (await here.home.ended(id)).state is State.CANCELLED
    await here.idle()
    for entity in (CARE, POLICE):
        entry = await here.nodes[entity].agent.inbox.get(plan.digest)
        assert entry is not None and entry.withdrawn


async def test_a_gateway_that_is_started_again_goes_on_waiting(here: World) -> None:
    wants_persons(here, CARE)
    id = await asked(here)
    plan = await plan_of(here, id)
    await here.home.drive.drain(CANCEL)
    assert (await now(here, id)).state is State.AWAITING_APPROVAL
    for name in ("anna", "ben"):
        await here.nodes[CARE].agent.decide(plan, name)
    here.clock.at += 3 * HOURS
    await here.list_all()
    await here.home.recover.end_what_is_left()
    await here.home.recover.expire()
    assert (await here.home.ended(id)).state is State.RELEASED


async def test_the_same_question_again_needs_no_other_decision(here: World) -> None:
    wants_persons(here, CARE)
    id = await asked(here)
    plan = await plan_of(here, id)
    for name in ("anna", "ben"):
        await here.nodes[CARE].agent.decide(plan, name)
    await here.home.rounds.next()
    await here.home.ended(id)
    again = await here.home.ask(question(), request_id="request-2")
    ended = await here.home.ended(again.id)
    assert (ended.state, ended.plan_digest) == (State.RELEASED, plan.digest)


def publish(here: World, entity: str, number: int) -> None:
    """The next edition of its dataset, in everybody's catalogue."""
    agent = here.nodes[entity].agent
    (dataset,) = agent.own.offer.datasets
    fresh = replace(dataset.edition, id=f"2026-{number}", snapshot=f"{number}" * 64)
    agent.own = replace(
        agent.own, offer=replace(agent.own.offer, datasets=(replace(dataset, edition=fresh),))
    )  # fmt: skip
    for node in here.nodes.values():
        node.federation.known[entity] = replace(node.federation.known[entity], offer=agent.own.offer)


async def test_one_approval_covers_the_next_editions_and_no_more(here: World) -> None:
    wants_persons(here, CARE, standing=3)
    id = await asked(here, standing=3)
    plan = await plan_of(here, id)
    for name in ("anna", "ben"):
        await here.nodes[CARE].agent.decide(plan, name)
    await here.home.rounds.next()
    assert (await here.home.ended(id)).state is State.RELEASED
    for number in (2, 3):
        here.clock.at += 30
        publish(here, CARE, number)
        ended = await here.home.ended((await here.home.ask(question(standing=3), f"request-{number}")).id)
        assert (ended.state, ended.plan_digest) == (State.RELEASED, plan.digest)
    publish(here, CARE, 4)
    fourth = (await here.home.ask(question(standing=3), "request-4")).id
    await here.home.rounds.over(2)
    assert statuses(await now(here, fourth))[CARE] == ("DELIVERED", "0 of 2")
    with pytest.raises(IsthmusError) as caught:
        await here.nodes[CARE].agent.people.check((await plan_of(here, fourth)).body)
    assert caught.value.reason is Reason.NOT_APPROVED
    assert "3 sets of editions" in caught.value.public
    assert here.home.drive.stop(fourth, CANCEL)
    await here.home.ended(fourth)


async def test_more_editions_than_a_policy_allows_at_once_are_refused(here: World) -> None:
    wants_persons(here, CARE, standing=3)
    ended = await here.home.ended((await here.home.ask(question(standing=4))).id)
    assert ended.state is State.REJECTED and ended.ending is not None
    assert (ended.ending.reason, ended.ending.space) == ("POLICY_REFUSED", CARE)


async def test_a_policy_that_wants_people_since_a_moment_is_not_passed_by(here: World) -> None:
    """The asker's gateway has not heard of it yet: the space's agent counts."""
    here.nodes[CARE].agent.wants_persons(1)
    ended = await here.home.ended((await here.home.ask()).id)
    assert ended.state is State.REJECTED and ended.ending is not None
    assert (ended.ending.reason, ended.ending.space) == ("NOT_APPROVED", CARE)


async def test_only_its_initiator_brings_a_plan(here: World) -> None:
    wants_persons(here, CARE)
    id = await asked(here)
    plan = await plan_of(here, id)
    with pytest.raises(IsthmusError) as caught:
        await here.nodes[CARE].take_part.consult(plan.token, [], True, caller=POLICE)
    assert caught.value.reason is Reason.PERMISSION_DENIED
    entry = await here.nodes[CARE].agent.inbox.get(plan.digest)
    assert entry is not None and not entry.withdrawn
    assert here.home.drive.stop(id, CANCEL)
    await here.home.ended(id)


async def test_what_waits_ends_when_one_of_its_spaces_is_revoked(here: World) -> None:
    wants_persons(here, CARE)
    id = await asked(here)
    await here.revoke(ANCHOR, entities=[POLICE])
    ended = await here.home.ended(id)
    assert ended.state is State.FAILED and ended.ending is not None
    assert (ended.ending.reason, ended.ending.space) == ("REVOKED", POLICE)
