"""From the question to the release, and every way in which it ends otherwise: the same account at every space."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.domain.computation import Role, State
from gateway.domain.contract import Deadlines
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.plan import Decision
from gateway.domain.session import UNDETERMINED, Failure, Refusal
from gateway.flows.drive import Stopped
from gateway.rules import planning
from gateway.rules.lifecycle import Event
from gateway.rules.records import to_bytes
from tests.examples import CARE, HOME, NEUTRAL, POLICE, question
from tests.fakes import ANALYST, World

CANCEL = Stopped(Event.CANCEL, Failure("CANCELLED", HOME, "session", "the requester cancelled", "Ask again"))


async def test_a_question_is_planned_approved_run_and_released_with_the_same_account_everywhere(here: World) -> None:
    asked = await here.home.ask()
    accounts = await here.all_ended(asked.id)
    assert {account.state for account in accounts.values()} == {State.RELEASED}
    assert {entity for entity, account in accounts.items() if account.role is Role.HOME} == {HOME}
    spaces = [HOME, POLICE, CARE, NEUTRAL]
    for account in accounts.values():
        assert sorted(receipt.space for receipt in account.receipts) == sorted(spaces)
        assert account.contract_digest == asked.contract_digest
    contract, approvals = here.home.documents.recall(accounts[HOME])
    table = here.home.drive.opener.open(contract, approvals, accounts[HOME].shares)
    assert [(row.codes, row.count) for row in table.rows] == [(("LABOUR",), 40), (("SEXUAL",), None), (("OTHER",), 0)]
    assert await here.home.kinds() == [
        "computation.created", "computation.proposed", "computation.agreed", "session.started", "computation.released",
    ]  # fmt: skip
    for entity in (POLICE, CARE, NEUTRAL):
        assert await here.nodes[entity].kinds() == [
            "contract.proposed", "contract.approved", "session.started", "computation.released",
        ]  # fmt: skip


async def test_a_result_can_be_opened_when_its_contract_has_long_expired(here: World) -> None:
    done = await here.home.ended((await here.home.ask()).id)
    here.clock.at += 30 * 24 * 3600
    contract, approvals = here.home.documents.recall(done)
    assert here.home.drive.opener.open(contract, approvals, done.shares).rows


async def test_a_result_without_a_single_cell_is_withheld(here: World) -> None:
    for node in here.nodes.values():
        node.agent.counts = {("LABOUR",): 3, ("SEXUAL",): 4, ("OTHER",): 5}
    accounts = await here.all_ended((await here.home.ask()).id)
    assert {account.state for account in accounts.values()} == {State.WITHHELD}


async def test_a_veto_rejects_it_and_names_the_space_that_refused_and_its_reason(here: World) -> None:
    here.nodes[CARE].agent.veto = Refusal(
        "POLICY_REFUSED", "not for this purpose", advice="Ask for another", space=HOME
    )
    accounts = await here.all_ended((await here.home.ask()).id)
    assert {account.state for account in accounts.values()} == {State.REJECTED}
    for account in accounts.values():
        assert account.ending is not None
        assert (account.ending.space, account.ending.reason) == (CARE, "POLICY_REFUSED")


async def test_a_space_that_cannot_be_reached_fails_it_rather_than_rejects_it(here: World) -> None:
    here.home.federation.cut.add(POLICE)
    ended = await here.home.ended((await here.home.ask()).id)
    assert ended.state is State.FAILED
    assert ended.ending is not None
    assert (ended.ending.space, ended.ending.reason) == (POLICE, "PEER_UNREACHABLE")


async def test_a_failing_space_fails_it_everywhere_with_the_same_culprit(here: World) -> None:
    for entity in (HOME, CARE, NEUTRAL):
        here.nodes[entity].agent.hold = asyncio.Event()
    here.nodes[POLICE].agent.fails_with = Failure("PARTY_DIED", POLICE, "sort", "party 1 died", "Look into it")
    accounts = await here.all_ended((await here.home.ask()).id)
    assert {account.state for account in accounts.values()} == {State.FAILED}
    endings = {account.ending for account in accounts.values()}
    assert len(endings) == 1
    assert {(ending.reason, ending.space, ending.phase) for ending in endings if ending} == {
        ("PARTY_DIED", POLICE, "sort")
    }


@pytest.mark.parametrize("liar", [HOME, POLICE, CARE])
@pytest.mark.parametrize("reason", ["PROTOCOL_VIOLATION", "FRAME_UNREADABLE", "REVOKED", "PARTY_DIED"])
async def test_one_that_accuses_another_has_it_named_nowhere(here: World, liar: str, reason: str) -> None:
    """Its party, its agent or its gateway may lie; the text says who says what of whom."""
    for entity in {HOME, POLICE, NEUTRAL, CARE} - {liar}:
        here.nodes[entity].agent.hold = asyncio.Event()
    here.nodes[liar].agent.fails_with = Failure(reason, NEUTRAL, "sort", "party 2 did wrong", "Look into it")
    accounts = await here.all_ended((await here.home.ask()).id)
    endings = {account.ending for account in accounts.values()}
    assert {(ending.reason, ending.space) for ending in endings if ending} == {(reason, UNDETERMINED)}
    for ending in endings:
        assert ending is not None
        assert f"{liar} reports of {NEUTRAL}: party 2 did wrong" in ending.text
        assert NEUTRAL in ending.action


async def test_more_accusers_than_can_lie_together_have_it_named_everywhere(here: World) -> None:
    here.nodes[CARE].agent.hold = here.nodes[NEUTRAL].agent.hold = asyncio.Event()
    for entity in (HOME, POLICE):
        here.nodes[entity].agent.fails_with = Failure("PROTOCOL_VIOLATION", NEUTRAL, "sort", "party 2 did wrong", "")
    accounts = await here.all_ended((await here.home.ask()).id)
    assert {account.ending.space for account in accounts.values() if account.ending} == {NEUTRAL}


async def test_what_the_home_gateway_finds_itself_in_a_tunnel_names_its_sender(here: World) -> None:
    for node in here.nodes.values():
        node.agent.hold = asyncio.Event()
    asked = await here.home.ask()
    await asyncio.gather(*(node.agent.started.wait() for node in here.nodes.values()))
    wrong = Failure("PROTOCOL_VIOLATION", POLICE, "session", "a frame that the contract does not provide for", "")
    await here.home.take_part.found(asked.id, wrong)
    accounts = await here.all_ended(asked.id)
    assert {account.ending.space for account in accounts.values() if account.ending} == {POLICE}


async def test_what_another_gateway_finds_in_a_tunnel_is_its_word(here: World) -> None:
    for node in here.nodes.values():
        node.agent.hold = asyncio.Event()
    asked = await here.home.ask()
    await asyncio.gather(*(node.agent.started.wait() for node in here.nodes.values()))
    wrong = Failure("PROTOCOL_VIOLATION", POLICE, "session", "a frame that the contract does not provide for", "")
    await here.nodes[NEUTRAL].take_part.found(asked.id, wrong)
    accounts = await here.all_ended(asked.id)
    assert {account.ending.space for account in accounts.values() if account.ending} == {UNDETERMINED}


async def test_nobody_blames_a_space_that_takes_no_part_nor_invents_a_reason(here: World) -> None:
    here.nodes[POLICE].agent.fails_with = Failure("WITCHCRAFT", "https://stranger.example", "sort", "x", "")
    ended = await here.home.ended((await here.home.ask()).id)
    assert ended.ending is not None
    assert (ended.ending.reason, ended.ending.space) == ("INTERNAL", POLICE)


async def test_a_space_cannot_cancel_anothers_computation_by_its_report(here: World) -> None:
    here.nodes[POLICE].agent.fails_with = Failure("CANCELLED", POLICE, "sort", "x", "")
    assert (await here.home.ended((await here.home.ask()).id)).state is State.FAILED


async def test_a_space_without_a_sign_of_life_fails_it_after_the_stall_deadline(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "DEADLINES", Deadlines(connect=60, stall=1, total=60))
    here.nodes[NEUTRAL].agent.silent = True
    accounts = await here.all_ended((await here.home.ask()).id)
    assert {account.state for account in accounts.values()} == {State.FAILED}
    assert {account.ending.space for account in accounts.values() if account.ending} == {NEUTRAL}
    assert {account.ending.reason for account in accounts.values() if account.ending} == {"AGENT_UNREACHABLE"}


@pytest.mark.parametrize("state", [State.AWAITING_APPROVAL, State.RUNNING])
async def test_a_live_computation_is_cancelled_at_every_space(here: World, state: State) -> None:
    for node in here.nodes.values():
        node.agent.hold = asyncio.Event()
        node.agent.answers = asyncio.Event()
        if state is State.RUNNING:
            node.agent.answers.set()
    asked = await here.home.ask()
    for node in here.nodes.values():
        await (node.agent.proposed if state is State.AWAITING_APPROVAL else node.agent.started).wait()
    assert (await here.home.reaches(asked.id, state)).state is state
    assert here.home.drive.stop(asked.id, CANCEL)
    accounts = await here.all_ended(asked.id)
    assert {account.state for account in accounts.values()} == {State.CANCELLED}
    for node in here.nodes.values():
        assert asked.id in node.agent.stopped
        assert node.tunnel._routes == {}


async def test_it_is_cancelled_before_anybody_was_asked(here: World) -> None:
    asked = await here.home.ask()
    assert asked.state is State.PENDING
    assert here.home.drive.stop(asked.id, CANCEL)
    assert (await here.home.ended(asked.id)).state is State.CANCELLED


async def test_what_has_ended_cannot_be_cancelled(here: World) -> None:
    done = await here.home.ended((await here.home.ask()).id)
    assert not here.home.drive.stop(done.id, CANCEL)
    assert (await here.home.get(done.id)) == done


async def test_draining_ends_everything_and_tells_everybody(here: World) -> None:
    for node in here.nodes.values():
        node.agent.hold = asyncio.Event()
    asked = await here.home.ask()
    await here.nodes[POLICE].agent.started.wait()
    await here.home.drive.drain(CANCEL)
    assert {account.state for account in (await here.all_ended(asked.id)).values()} == {State.CANCELLED}


async def test_a_wrong_output_share_is_never_a_wrong_number(here: World) -> None:
    here.nodes[POLICE].agent.wrong_share = True
    accounts = await here.all_ended((await here.home.ask()).id)
    assert {account.state for account in accounts.values()} == {State.FAILED}
    for account in accounts.values():
        assert account.ending is not None
        # Nobody can tell whose share was wrong: nobody is blamed.
        assert (account.ending.reason, account.ending.space) == ("INCONSISTENT_SHARES", UNDETERMINED)
        assert account.shares == ()


@pytest.mark.parametrize(
    "said", [{"outputs": ["ab" * 32]}, {"outputs": []}, {"minimum_cell": 1}, {"zero_is_small": True}, {"epsilon": "1"}]
)
async def test_a_receipt_that_does_not_fit_shares_or_limits_fails_it(here: World, said: dict[str, object]) -> None:
    here.nodes[POLICE].agent.receipt = said
    ended = await here.home.ended((await here.home.ask()).id)
    assert ended.state is State.FAILED
    assert ended.ending is not None
    assert (ended.ending.reason, ended.ending.space) == ("PROTOCOL_VIOLATION", POLICE)


async def test_a_recipient_that_finds_its_shares_inconsistent_fails_it_everywhere(here: World) -> None:
    done = await here.home.ended((await here.home.ask(key=b"\x22" * 32)).id)
    for entity in (POLICE, CARE, NEUTRAL):
        await here.nodes[entity].ended(done.id)
    await here.home.drive.dispute(done)
    for node in here.nodes.values():
        account = await node.get(done.id)
        assert account is not None
        assert account.state is State.FAILED
        assert account.ending is not None
        assert account.ending.reason == "INCONSISTENT_SHARES"
        assert "computation.disputed" in await node.kinds()


async def test_the_same_request_twice_is_one_computation(here: World) -> None:
    first = await here.home.ask(request_id="request-7")
    second = await here.home.ask(request_id="request-7")
    assert first.id == second.id
    with pytest.raises(IsthmusError) as caught:
        await here.home.ask(question(title="Something else"), request_id="request-7")
    assert caught.value.reason is Reason.ALREADY_EXISTS
    await here.home.ended(first.id)
    assert (await here.home.kinds()).count("computation.created") == 1


async def test_a_contract_that_expired_before_it_was_proposed_is_expired(here: World) -> None:
    for node in here.nodes.values():
        node.agent.veto = Refusal("CONTRACT_EXPIRED", "the contract has expired")
    assert (await here.home.ended((await here.home.ask()).id)).state is State.EXPIRED


async def test_a_dry_run_changes_nothing_and_says_who_is_unreachable(here: World) -> None:
    here.home.federation.cut.add(NEUTRAL)
    here.nodes[CARE].agent.connected = False
    plan = await here.home.submit.validate(ANALYST, question())
    decisions = {verdict.space: verdict.decision for verdict in plan.verdicts}
    assert decisions == {
        HOME: Decision.ALLOWED,
        POLICE: Decision.ALLOWED,
        NEUTRAL: Decision.UNREACHABLE,
        CARE: Decision.UNREACHABLE,
    }
    assert all(verdict.advice or verdict.text for verdict in plan.refusals)
    assert [await node.kinds() for node in here.nodes.values()] == [[], [], [], []]


async def test_a_refused_dry_run_says_what_would_pass(here: World) -> None:
    agent = here.nodes[CARE].agent
    dataset = agent.own.offer.datasets[0]
    stricter = replace(dataset, terms=replace(dataset.terms, minimum_cell=20))
    agent.own = replace(agent.own, offer=replace(agent.own.offer, datasets=(stricter,)))
    plan = await here.home.submit.validate(ANALYST, question())
    (refusal,) = plan.refusals
    assert (refusal.space, refusal.decision, refusal.reason) == (CARE, Decision.REFUSED, "POLICY_REFUSED")
    assert "20" in refusal.advice


async def test_nobody_hears_what_a_space_would_say_to_somebody_else(here: World) -> None:
    plan = await here.home.submit.validate(ANALYST, question())
    with pytest.raises(IsthmusError) as caught:
        await here.nodes[CARE].take_part.check(to_bytes(plan.draft), caller=POLICE)
    assert caught.value.reason is Reason.PERMISSION_DENIED


async def test_a_key_of_another_length_is_refused_before_anything_is_written(here: World) -> None:
    with pytest.raises(IsthmusError) as caught:
        await here.home.ask(key=b"\x22" * 31)
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_ARGUMENT, "recipient_key")
    assert await here.home.kinds() == []


async def test_the_contract_says_the_caller_s_roles_in_order(here: World) -> None:
    caller = replace(ANALYST, rights=replace(ANALYST.rights, roles=("rapporteur", "analyst")))
    plan = await here.home.submit.validate(caller, question())
    assert plan.draft.requester_roles == ("analyst", "rapporteur")
    made = await here.home.submit.create(caller, "1", question(), b"")
    contract = (await here.home.documents.contract(made.contract)).body
    assert contract.requester_roles == ("analyst", "rapporteur")
    await here.all_ended(made.id)
