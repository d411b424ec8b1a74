"""Revocation along the route: nothing begins without fresh lists, and what is revoked ends at every space alike."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.domain.computation import Computation, State
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import UNDETERMINED, Failure
from gateway.rules.jose import parse_compact
from tests import examples
from tests.fakes import ANALYST, World
from tests.unit.trust_kit import ANCHOR

POLICE, CARE, HOME = examples.POLICE, examples.CARE, examples.HOME


def told(ended: dict[str, Computation]) -> set[tuple[State, str, str, str]]:
    said = set()
    for computation in ended.values():
        assert computation.ending is not None, computation
        said.add((computation.state, computation.ending.reason, computation.ending.space, computation.ending.text))
    return said


async def held(here: World, state: State) -> Computation:
    """A computation that every space waits for, or runs."""
    let_on = asyncio.Event()
    for node in here.nodes.values():
        if state is State.RUNNING:
            node.agent.hold = let_on
        else:
            node.agent.answers = let_on
    asked = await here.home.ask()
    if state is State.RUNNING:
        await asyncio.gather(*(node.agent.started.wait() for node in here.nodes.values()))
    else:
        await asyncio.gather(*(node.agent.proposed.wait() for node in here.nodes.values()))
    found = await here.home.get(asked.id)
    assert found is not None
    assert found.state is state
    return found


def let_on(here: World) -> None:
    for node in here.nodes.values():
        for event in (node.agent.hold, node.agent.answers):
            if event is not None:
                event.set()


@pytest.mark.parametrize("what", ["the token key", "the contract", "the space", "by the anchor", "a federation key"])
async def test_a_running_session_ends_everywhere_with_the_same_reason_and_culprit(here: World, what: str) -> None:
    running = await held(here, State.RUNNING)
    kid = parse_compact(running.contract, len(running.contract)).kid
    keyring = here.keyring
    match what:
        case "the token key":
            culprit, text = HOME, f"the token key {kid} of {HOME} was revoked by itself"
            await here.revoke(HOME, kids=[kid])
        case "the contract":
            culprit, text = POLICE, f"the contract was revoked by {POLICE}"
            await here.revoke(POLICE, contracts=[running.contract_digest])
        case "the space":
            culprit, text = CARE, f"{CARE} was revoked by itself"
            await here.revoke(CARE, entities=[CARE])
        case "by the anchor":
            culprit, text = POLICE, f"{POLICE} was revoked by {ANCHOR}"
            await here.revoke(ANCHOR, entities=[POLICE])
        case _:
            culprit, kid = CARE, keyring[CARE].federation.kid
            text = f"the federation key {kid} of {CARE} was revoked by {ANCHOR}"
            await here.revoke(ANCHOR, kids=[kid])
    async with asyncio.timeout(2):
        ended = await here.all_ended(running.id)
    assert told(ended) == {(State.FAILED, Reason.REVOKED.value, culprit, text)}
    for node in here.nodes.values():
        assert node.agent.stopped[running.id].reason == Reason.REVOKED
        assert "computation.failed" in await node.kinds()


@pytest.mark.parametrize("heard", [True, False], ids=["true", "not heard of"])
async def test_a_revocation_that_one_reports_is_held_against_the_home_gateways_own_lists(
    here: World, heard: bool
) -> None:
    """The report comes before the home gateway has looked again at what runs."""
    running = await held(here, State.RUNNING)
    kid, police = here.keyring[CARE].contracts.kid, here.nodes[POLICE].agent
    here.home.withdraw = replace(here.home.withdraw, stop=lambda id, stopped: True)
    others = {entity: here.nodes.pop(entity) for entity in list(here.nodes) if entity != HOME}
    if heard:
        await here.revoke(CARE, kids=[kid])
    here.nodes.update(others)
    await police.stop(running.id, Failure("REVOKED", CARE, "session", "a key of care was revoked"))
    ended = await here.all_ended(running.id)
    text = f"the contract key {kid} of {CARE} was revoked by itself"
    if heard:
        assert told(ended) == {(State.FAILED, Reason.REVOKED.value, CARE, text)}
    else:
        assert {space for _, _, space, _ in told(ended)} == {UNDETERMINED}


async def test_a_contract_key_ends_what_runs_under_its_approval(here: World) -> None:
    running = await held(here, State.RUNNING)
    kid = here.keyring[CARE].contracts.kid
    await here.revoke(CARE, kids=[kid])
    ended = await here.all_ended(running.id)
    text = f"the contract key {kid} of {CARE} was revoked by itself"
    assert told(ended) == {(State.FAILED, Reason.REVOKED.value, CARE, text)}


async def test_what_waits_for_approvals_ends_as_well(here: World) -> None:
    waiting = await held(here, State.AWAITING_APPROVAL)
    await here.revoke(ANCHOR, entities=[POLICE])
    let_on(here)
    ended = await here.all_ended(waiting.id)
    text = f"{POLICE} was revoked by {ANCHOR}"
    assert told(ended) == {(State.FAILED, Reason.REVOKED.value, POLICE, text)}


async def test_a_key_that_is_revoked_between_approval_and_start_starts_nothing(here: World) -> None:
    answers = asyncio.Event()
    slow = here.nodes[POLICE].agent
    slow.answers = answers
    asked = await here.home.ask()
    await asyncio.gather(*(node.agent.proposed.wait() for node in here.nodes.values()))
    kid = here.keyring[CARE].contracts.kid
    # By now care has approved; police answers after the revocation.
    await here.nodes[CARE].reaches(asked.id, State.AGREED)
    await here.revoke(CARE, kids=[kid])
    answers.set()
    ended = await here.home.ended(asked.id)
    assert ended.state in (State.FAILED, State.REJECTED)
    assert ended.ending is not None
    assert not any(node.agent.started.is_set() for node in here.nodes.values())


async def test_a_tls_key_under_which_a_space_speaks_ends_its_sessions(here: World) -> None:
    running = await held(here, State.RUNNING)
    trust, kid = here.home.agent.trust, "K" * 43
    trust.saw(CARE, kid)
    trust.saw(CARE, "L" * 43)
    before = trust.severed()
    assert before == {}
    await here.revoke(CARE, kids=["M" * 43])  # of nobody that is seen here
    assert (await here.home.get(running.id)) is not None
    still = await here.home.get(running.id)
    assert still is not None
    assert still.state is State.RUNNING
    await here.revoke(CARE, kids=[kid])
    ended = await here.home.ended(running.id)
    assert ended.ending is not None
    assert (ended.ending.reason, ended.ending.space) == (Reason.REVOKED, CARE)
    assert ended.ending.text == f"the TLS key {kid} of {CARE} was revoked by itself"
    # The space has another one: what is asked next goes its way.
    for node in here.nodes.values():
        node.agent.hold = None
    again = await here.home.ask(request_id="request-2")
    assert (await here.home.ended(again.id)).state is State.RELEASED


async def test_a_revocation_that_does_not_concern_it_leaves_a_session_alone(here: World) -> None:
    running = await held(here, State.RUNNING)
    await here.revoke(POLICE, kids=[here.keyring[CARE].tokens.kid], contracts=["ab" * 32], entities=[CARE])
    await here.revoke(ANCHOR, contracts=[running.contract_digest], jtis=["x"])
    let_on(here)
    assert (await here.home.ended(running.id)).state is State.RELEASED


@pytest.mark.parametrize("issuer", [POLICE, ANCHOR])
async def test_without_a_fresh_list_nothing_is_planned_or_created_and_it_is_said_whose(
    here: World, issuer: str
) -> None:
    here.clock.at += 301
    for other in here.signers:
        if other != issuer:
            await here.revoke(other)
    with pytest.raises(IsthmusError) as planned:
        await here.home.submit.validate(ANALYST, examples.question())
    with pytest.raises(IsthmusError) as created:
        await here.home.ask()
    for caught in (planned.value, created.value):
        assert (caught.reason, caught.space) == (Reason.REVOCATION_STALE, issuer)
        assert issuer in caught.public
        assert caught.advice
    assert not await here.home.database.computations.list(requester=None, after="", limit=1)
    await here.revoke(issuer)
    created_now = await here.home.ask()
    assert (await here.home.ended(created_now.id)).state is State.RELEASED


async def test_a_revoked_space_is_refused_in_the_plan(here: World) -> None:
    await here.revoke(ANCHOR, entities=[POLICE])
    with pytest.raises(IsthmusError) as caught:
        await here.home.ask()
    assert (caught.value.reason, caught.value.space) == (Reason.REVOKED, POLICE)
