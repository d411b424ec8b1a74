"""What a space does for others: whom it listens to, what it keeps, and what it never does twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from gateway.domain.approval import SignedContract
from gateway.domain.computation import State
from gateway.domain.contract import Deadlines
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import UNDETERMINED, Approval, Failure, Progress, Refusal, RunEvent
from gateway.flows import oversee
from gateway.flows.approve import Approve
from gateway.rules.planning import LONGEST_SESSION, STARTS_WITHIN
from tests import examples
from tests.examples import CARE, HOME, NEUTRAL, POLICE
from tests.fakes import Node, World

STOPPED = Failure("PARTY_DIED", NEUTRAL, "sort", "party 2 died", "")


async def contract_of(here: World, session: str = examples.SESSION, **changes: object) -> SignedContract:
    made = examples.contract(session=session, **changes)
    return await here.home.documents.contract(here.home.documents.sign(made))


async def refused(here: Node, *args: object, caller: str = HOME) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        await here.take_part.conclude(*args, caller=caller)  # type: ignore[arg-type]
    return caught.value


async def approved(here: World, contract: SignedContract) -> list[str]:
    approvals, refusals = await Approve(here.home.federation, here.home.documents).gather(contract)
    assert refusals == []
    return [approval.token for approval in approvals]


def report(node: Node, contract: SignedContract, tokens: list[str]) -> AsyncGenerator[RunEvent, None]:
    return node.take_part.run(contract.token, tokens, [], caller=HOME)


async def until_progress(events: AsyncGenerator[RunEvent, None]) -> None:
    async for event in events:
        if isinstance(event, Progress):
            return


async def test_the_same_contract_gets_the_same_approval_again(here: World) -> None:
    contract = await contract_of(here)
    police = here.nodes[POLICE]
    answers = [await police.take_part.propose(contract.token, [], caller=HOME) for _ in range(2)]
    assert answers[0] == answers[1]
    assert isinstance(answers[0], Approval)
    assert (await police.kinds()).count("contract.approved") == 1


async def test_two_proposals_of_one_contract_at_the_same_time_get_one_answer(here: World) -> None:
    contract = await contract_of(here)
    police = here.nodes[POLICE]
    police.agent.answers = asyncio.Event()
    asks = [asyncio.create_task(police.take_part.propose(contract.token, [], caller=HOME)) for _ in range(2)]
    await police.agent.proposed.wait()
    police.agent.answers.set()
    first, second = await asyncio.gather(*asks)
    assert first == second
    assert isinstance(first, Approval)


async def test_what_was_refused_stays_refused(here: World) -> None:
    contract = await contract_of(here)
    police = here.nodes[POLICE]
    police.agent.veto = Refusal("POLICY_REFUSED", "no", advice="ask for less", space=POLICE)
    assert isinstance(await police.take_part.propose(contract.token, [], caller=HOME), Refusal)
    police.agent.veto = None
    again = await police.take_part.propose(contract.token, [], caller=HOME)
    assert again == Refusal("POLICY_REFUSED", "no", advice="ask for less", space=POLICE)
    assert police.tunnel._routes == {}


async def test_a_proposal_that_comes_to_nothing_leaves_no_tunnel_open(here: World) -> None:
    contract = await contract_of(here)
    police = here.nodes[POLICE]
    police.agent.connected = False
    with pytest.raises(IsthmusError):
        await police.take_part.propose(contract.token, [], caller=HOME)
    assert police.tunnel._routes == {}
    police.agent.connected = True
    assert isinstance(await police.take_part.propose(contract.token, [], caller=HOME), Approval)
    # One that fails after the contract was approved leaves it as it is.
    police.agent.connected = False
    with pytest.raises(IsthmusError):
        await police.take_part.propose(contract.token, [], caller=HOME)
    assert list(police.tunnel._routes) == [contract.body.session]


async def test_a_proposal_whose_caller_goes_away_leaves_no_tunnel_open(here: World) -> None:
    contract = await contract_of(here)
    police = here.nodes[POLICE]
    police.agent.answers = asyncio.Event()
    asking = asyncio.create_task(police.take_part.propose(contract.token, [], caller=HOME))
    await police.agent.proposed.wait()
    assert list(police.tunnel._routes) == [contract.body.session]
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert police.tunnel._routes == {}


async def test_a_contract_is_brought_by_its_initiator_alone(here: World) -> None:
    contract = await contract_of(here)
    police = here.nodes[POLICE]
    with pytest.raises(IsthmusError) as caught:
        await police.take_part.propose(contract.token, [], caller=CARE)
    assert caught.value.reason is Reason.PERMISSION_DENIED
    with pytest.raises(IsthmusError) as caught:
        await anext(police.take_part.run(contract.token, [], [], caller=CARE))
    assert caught.value.reason is Reason.PERMISSION_DENIED
    assert await police.kinds() == []


async def test_a_contract_that_was_not_proposed_is_not_run(here: World) -> None:
    contract = await contract_of(here)
    with pytest.raises(IsthmusError) as caught:
        await anext(report(here.nodes[POLICE], contract, []))
    assert caught.value.reason is Reason.CONTRACT_INVALID


async def test_other_bytes_for_a_known_session_are_refused(here: World) -> None:
    police = here.nodes[POLICE]
    first, second = await contract_of(here), await contract_of(here, requester="somebody else")
    await police.take_part.propose(first.token, [], caller=HOME)
    with pytest.raises(IsthmusError) as caught:
        await police.take_part.propose(second.token, [], caller=HOME)
    assert caught.value.reason is Reason.CONTRACT_INVALID


async def test_a_session_runs_once(here: World) -> None:
    contract = await contract_of(here)
    tokens = await approved(here, contract)
    police = here.nodes[POLICE]
    police.agent.hold = asyncio.Event()
    async with aclosing(report(police, contract, tokens)) as first:
        await until_progress(first)
        with pytest.raises(IsthmusError) as caught:
            await anext(report(police, contract, tokens))
        assert caught.value.reason is Reason.CONTRACT_CONSUMED
        police.agent.hold.set()
        assert [type(event).__name__ async for event in first] == ["SealedShare", "Completed"]
    with pytest.raises(IsthmusError) as caught:
        await anext(report(police, contract, tokens))
    assert caught.value.reason is Reason.ILLEGAL_TRANSITION


async def test_a_third_space_cannot_end_a_session(here: World) -> None:
    contract = await contract_of(here)
    tokens = await approved(here, contract)
    police = here.nodes[POLICE]
    police.agent.hold = asyncio.Event()
    async with aclosing(report(police, contract, tokens)) as events:
        await until_progress(events)
        for caller in (CARE, NEUTRAL):
            problem = await refused(police, examples.SESSION, contract.digest, State.FAILED, STOPPED, (), caller=caller)
            assert problem.reason is Reason.NOT_FOUND
        assert police.agent.stopped == {}
        assert examples.SESSION in police.tunnel._routes


async def test_a_participant_cannot_end_the_session_at_its_home_gateway(here: World) -> None:
    here.nodes[POLICE].agent.hold = asyncio.Event()
    asked = await here.home.ask()
    await here.nodes[POLICE].agent.started.wait()
    problem = await refused(here.home, asked.id, asked.contract_digest, State.FAILED, STOPPED, (), caller=CARE)
    assert problem.reason is Reason.NOT_FOUND
    assert here.home.agent.stopped == {}
    here.nodes[POLICE].agent.hold.set()
    assert (await here.home.ended(asked.id)).state is State.RELEASED


async def test_a_conclusion_for_another_contract_is_refused(here: World) -> None:
    contract = await contract_of(here)
    await approved(here, contract)
    problem = await refused(here.nodes[POLICE], examples.SESSION, "ab" * 32, State.FAILED, STOPPED, ())
    assert problem.reason is Reason.NOT_FOUND


@pytest.mark.parametrize("state", [State.PENDING, State.RUNNING, State.AGREED])
async def test_a_session_does_not_end_in_a_live_state(here: World, state: State) -> None:
    contract = await contract_of(here)
    await approved(here, contract)
    problem = await refused(here.nodes[POLICE], examples.SESSION, contract.digest, state, None, ())
    assert problem.reason is Reason.INVALID_ARGUMENT


async def test_a_release_without_the_receipts_of_all_spaces_is_not_believed(here: World) -> None:
    contract = await contract_of(here)
    tokens = await approved(here, contract)
    police = here.nodes[POLICE]
    completed = [event async for event in report(police, contract, tokens)][-1]
    receipts = (completed.receipt,)  # type: ignore[union-attr]
    problem = await refused(police, examples.SESSION, contract.digest, State.RELEASED, None, receipts)
    assert problem.reason is Reason.APPROVALS_INVALID
    known = await police.get(examples.SESSION)
    assert known is not None
    assert known.state is State.RUNNING


@pytest.mark.parametrize(
    ("state", "failure"), [(State.RELEASED, STOPPED), (State.WITHHELD, STOPPED), (State.FAILED, None)]
)
async def test_a_release_comes_with_receipts_and_no_failure_and_anything_else_with_one(
    here: World, state: State, failure: Failure | None
) -> None:
    """Or an initiator would have a release believed here whose receipts nobody looked at."""
    contract = await contract_of(here)
    tokens = await approved(here, contract)
    police = here.nodes[POLICE]
    assert [event async for event in report(police, contract, tokens)]
    problem = await refused(police, examples.SESSION, contract.digest, state, failure, ())
    assert (problem.reason, problem.field) == (Reason.INVALID_ARGUMENT, "failure")
    known = await police.get(examples.SESSION)
    assert known is not None and known.state is State.RUNNING
    assert police.agent.stopped == {}


async def test_a_session_whose_initiator_vanishes_ends_here_too_and_blames_nobody(here: World) -> None:
    contract = await contract_of(here)
    tokens = await approved(here, contract)
    police = here.nodes[POLICE]
    police.agent.hold = asyncio.Event()
    events = report(police, contract, tokens)
    await until_progress(events)
    await events.aclose()
    ended = await police.ended(examples.SESSION)
    assert ended.state is State.FAILED
    assert ended.ending is not None
    # Its gateway, or the line to it: nobody here can tell. Whom to ask, everybody can.
    assert (ended.ending.reason, ended.ending.space) == ("PEER_UNREACHABLE", UNDETERMINED)
    assert HOME in ended.ending.action
    assert police.agent.stopped[examples.SESSION].culprit == UNDETERMINED
    assert police.tunnel._routes == {}


async def test_a_failure_that_nobody_concludes_is_kept_with_its_own_culprit(here: World) -> None:
    contract = await contract_of(here)
    tokens = await approved(here, contract)
    police = here.nodes[POLICE]
    police.agent.fails_with = Failure("PARTY_DIED", POLICE, "sort", "party 1 died", "")
    async for _ in report(police, contract, tokens):
        pass
    ended = await police.ended(examples.SESSION)
    assert ended.ending is not None
    assert (ended.ending.reason, ended.ending.space) == ("PARTY_DIED", POLICE)


async def test_a_space_reports_that_its_agent_is_away(here: World) -> None:
    here.nodes[CARE].agent.connected = False
    ended = await here.home.ended((await here.home.ask()).id)
    assert ended.ending is not None
    assert (ended.state, ended.ending.reason, ended.ending.space) == (State.FAILED, "AGENT_UNREACHABLE", CARE)


async def test_a_restart_ends_what_was_live_and_everybody_names_the_gateway_that_went_away(here: World) -> None:
    contract = await contract_of(here)
    tokens = await approved(here, contract)
    police, care = here.nodes[POLICE], here.nodes[CARE]
    police.agent.hold = asyncio.Event()
    async with aclosing(report(police, contract, tokens)) as events:
        await until_progress(events)
        await police.recover.end_what_is_left()
        ended = await police.get(examples.SESSION)
        assert ended is not None
        assert ended.ending is not None
        assert (ended.state, ended.ending.reason, ended.ending.space) == (State.FAILED, "PEER_UNREACHABLE", POLICE)
    # What was approved and not begun may still be run: nothing of it was lost.
    await care.recover.end_what_is_left()
    agreed = await care.get(examples.SESSION)
    assert agreed is not None
    assert agreed.state is State.AGREED


async def test_a_restart_ends_home_computations(here: World) -> None:
    here.nodes[CARE].agent.answers = asyncio.Event()
    asked = await here.home.ask()
    await here.nodes[CARE].agent.proposed.wait()
    await here.home.recover.end_what_is_left()
    ended = await here.home.get(asked.id)
    assert ended is not None
    assert ended.state is State.FAILED
    here.nodes[CARE].agent.answers.set()
    # The drive that was still at it finds the end and changes nothing.
    for task in list(here.home.drive._tasks):
        await task
    assert await here.home.get(asked.id) == ended


async def test_contracts_that_nobody_runs_expire_and_give_back_their_tunnel(here: World) -> None:
    contract = await contract_of(here)
    await approved(here, contract)
    police = here.nodes[POLICE]
    await police.recover.expire()
    still = await police.get(examples.SESSION)
    assert still is not None
    assert still.state is State.AGREED
    here.clock.at += STARTS_WITHIN + 60
    await police.recover.expire()
    ended = await police.get(examples.SESSION)
    assert ended is not None
    assert ended.ending is not None
    assert (ended.state, ended.ending.space) == (State.EXPIRED, HOME)
    assert police.tunnel._routes == {}
    assert (await police.kinds())[-1] == "computation.expired"


async def test_a_session_that_its_initiator_never_concludes_is_no_longer_live_at_last(here: World) -> None:
    contract = await contract_of(here)
    tokens = await approved(here, contract)
    police = here.nodes[POLICE]
    async for _ in report(police, contract, tokens):
        pass
    here.clock.at += STARTS_WITHIN + 60
    await police.recover.expire()
    running = await police.get(examples.SESSION)
    assert running is not None
    assert running.state is State.RUNNING
    here.clock.at += LONGEST_SESSION
    await police.recover.expire()
    ended = await police.get(examples.SESSION)
    assert ended is not None
    assert ended.ending is not None
    assert (ended.state, ended.ending.reason, ended.ending.space) == (State.FAILED, "PEER_UNREACHABLE", UNDETERMINED)


async def test_a_space_that_has_done_its_part_does_not_wait_for_an_initiator_that_is_silent(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oversee, "ASKED_EVERY", 0.01)
    contract = await contract_of(here, deadlines=Deadlines(connect=60, stall=1, total=60))
    tokens = await approved(here, contract)
    police = here.nodes[POLICE]
    assert [event async for event in report(police, contract, tokens)][-1:] != []
    running = await police.get(examples.SESSION)
    assert running is not None
    assert running.state is State.RUNNING
    police.federation.silent.add(HOME)
    ended = await police.ended(examples.SESSION)
    assert ended.ending is not None
    assert (ended.state, ended.ending.reason, ended.ending.space) == (State.FAILED, "PEER_UNREACHABLE", UNDETERMINED)
    assert police.tunnel._routes == {}
    assert police.take_part._done == police.take_part._found == {}


async def test_a_line_that_is_silent_ends_what_runs_over_it_and_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oversee, "ASKED_EVERY", 0.01)
    contract = examples.contract(deadlines=Deadlines(connect=60, stall=1, total=60))
    asked: set[str] = set()

    async def alive(entity: str, within: float) -> bool:
        asked.add(entity)
        return entity != NEUTRAL

    found: asyncio.Future[Failure] = asyncio.get_running_loop().create_future()
    async with oversee.lines_watched(POLICE, contract, alive, found):
        failure = await found
    assert (failure.reason, failure.culprit) == ("PEER_UNREACHABLE", UNDETERMINED)
    assert NEUTRAL in failure.text
    assert asked == {HOME, NEUTRAL, CARE}
