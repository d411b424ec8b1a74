"""From the release to the day on which nobody can read it any more: by the clock, at every space."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.api.client.v1 import computations_pb2 as comp
from gateway.client import messages
from gateway.client.aio import has_table
from gateway.config import RetentionConfig
from gateway.domain.computation import Computation, State
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.grpc.client_api import ComputationService
from gateway.edges.retaining import BATCH, Retaining
from gateway.rules.access import OPERATE
from gateway.rules.retention import DAY, check_result
from tests.examples import HOME, POLICE
from tests.fakes import ANALYST, Node, World

RULES = RetentionConfig()
OPERATOR = replace(ANALYST, id="operator", scopes=frozenset({OPERATE}))


def retaining(world: World, node: Node) -> Retaining:
    return Retaining(node.entity, RULES.rules, node.database.retention, world.clock)


def service(node: Node) -> ComputationService:
    store = node.database.computations
    return ComputationService(
        node.entity, node.submit, node.drive, store, node.documents, node.drive.opener, node.watchers
    )


async def shown(node: Node, id: str) -> tuple[comp.Computation, Computation]:
    answer = await service(node).get_computation(comp.GetComputationRequest(name=f"computations/{id}"), ANALYST)
    return answer.computation, messages.computation_from(answer.computation)


async def test_a_result_is_read_until_its_day_and_then_says_when_it_went_and_why(here: World) -> None:
    done = await here.home.ended((await here.home.ask()).id)
    job = retaining(here, here.home)
    assert await job.look()
    message, seen = await shown(here.home, done.id)
    assert message.HasField("table") and has_table(seen)
    here.clock.at += RULES.results_days * DAY + 1
    assert await job.look()
    message, seen = await shown(here.home, done.id)
    assert (seen.state, seen.receipts, seen.contract) == (State.RELEASED, done.receipts, done.contract)
    assert not message.HasField("table") and not message.shares and not has_table(seen)
    with pytest.raises(IsthmusError) as gone:
        check_result(seen)
    assert gone.value.reason is Reason.RESULT_DELETED
    assert "2027-" in gone.value.public and "90 days" in gone.value.public and "results_days" in gone.value.public
    assert (await here.home.kinds())[-1] == "retention.deleted"
    with pytest.raises(IsthmusError) as late:
        request = comp.AcknowledgeResultRequest(name=f"computations/{done.id}", consistent=False)
        await service(here.home).acknowledge_result(request, ANALYST)
    assert late.value.reason is Reason.RESULT_DELETED


async def test_in_the_end_an_outline_is_left_that_its_operator_sees_and_nobody_else(here: World) -> None:
    done = await here.home.ended((await here.home.ask()).id)
    await here.all_ended(done.id)
    here.clock.at += RULES.computations_days * DAY + 1
    for node in here.nodes.values():
        assert await retaining(here, node).look()
        kept = await node.get(done.id)
        assert kept is not None
        assert (kept.query, kept.contract, kept.approvals, kept.shares) == ("", "", (), ())
        assert (kept.state, kept.contract_digest, kept.receipts) == (
            State.RELEASED,
            done.contract_digest,
            done.receipts,
        )
    with pytest.raises(IsthmusError) as unknown:
        await shown(here.home, done.id)
    assert unknown.value.reason is Reason.NOT_FOUND
    request = comp.GetComputationRequest(name=f"computations/{done.id}")
    answer = (await service(here.home).get_computation(request, OPERATOR)).computation
    assert [gone.kind for gone in answer.deletions] == ["results", "computations"]
    assert (answer.requester, answer.query) == ("", "")


async def test_what_waits_for_its_session_is_left_alone_for_as_long_as_it_waits(here: World) -> None:
    asked = await here.home.ask()
    await here.home.ended(asked.id)
    live = await here.home.get(asked.id)
    assert live is not None
    waiting = replace(live, id="f" * 32, request_id="waits", state=State.AGREED)
    await here.home.database.computations.create(waiting, [])
    here.clock.at += 10 * RULES.computations_days * DAY
    assert await retaining(here, here.home).look()
    assert await here.home.get(waiting.id) == waiting


async def test_more_than_one_batch_goes_at_one_look(here: World) -> None:
    done = await here.home.ended((await here.home.ask()).id)
    for n in range(BATCH + 3):
        copy = replace(done, id=f"a{n:031x}", request_id="", revision=0)
        await here.home.database.computations.create(copy, [])
    here.clock.at += RULES.results_days * DAY + 1
    assert await retaining(here, here.home).look()
    facts = await here.home.database.audit.read(start=0, limit=1000)
    said = [fact.detail.split()[0] for fact in facts if fact.kind == "retention.deleted"]
    assert said == [str(BATCH), "4"]
    assert {fact.subject for fact in facts if fact.kind == "retention.deleted"} == {HOME}
    assert "retention.deleted" not in await here.nodes[POLICE].kinds()
