"""The gateway's end of the agent's line: nobody waits for an agent that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.api.agent.v1 import agent_pb2 as pb
from gateway.api.client.v1 import approvals_pb2 as inbox
from gateway.api.peer.v1 import peer_pb2 as peer
from gateway.api.peer.v1.examination_pb2 import ListOpenDatasetsResponse
from gateway.domain.caller import Caller, CallerKind
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.plan import Decision
from gateway.domain.session import Approval, Failure, Frame, Progress
from gateway.edges.agents import WAITING_EVENTS, AgentLine
from gateway.edges.tunnel import Tunnel
from tests.examples import HOME

AGENT = Caller(CallerKind.AGENT, HOME)
GONE = (Reason.AGENT_UNREACHABLE, HOME)


class Bench:
    """An agent's connection, driven by hand."""

    def __init__(self) -> None:
        self.offers: list[str] = []
        self.chains: list[tuple[str, ...]] = []
        self.line = AgentLine(HOME, Tunnel(HOME, _no_dial, _no_failure), self._offered, lambda: ("own", "superior"))
        self._tasks: list[asyncio.Task[None]] = []

    async def _offered(self, token: str) -> None:
        if token == "refused":
            raise IsthmusError(Reason.UNAUTHENTICATED, "not this space's offer")
        self.offers.append(token)

    async def connect(
        self, offer: str = "offer", process: str = ""
    ) -> tuple[asyncio.Queue[pb.ConnectResponse], asyncio.Queue]:  # type: ignore[type-arg]
        asked: asyncio.Queue[pb.ConnectResponse] = asyncio.Queue()
        answers: asyncio.Queue[pb.ConnectRequest | None] = asyncio.Queue()

        async def rest() -> AsyncIterator[pb.ConnectRequest]:
            while (message := await answers.get()) is not None:
                yield message

        async def serve() -> None:
            async for message in self.line.connect(
                pb.ConnectRequest(hello=pb.Hello(offer=offer, process=process)), rest(), AGENT
            ):
                if message.WhichOneof("message") == "believe":
                    self.chains.append(tuple(message.believe.chains[0].statements))
                else:
                    asked.put_nowait(message)

        before = len(self.offers)
        self._tasks.append(asyncio.create_task(serve()))
        while len(self.offers) == before and not self._tasks[-1].done():
            await asyncio.sleep(0)  # until the line is up, or refused
        return asked, answers

    async def ended(self) -> None:
        await self._tasks[-1]


async def _no_dial(entity: str, session: str, outgoing: AsyncIterator[Frame]) -> AsyncIterator[Frame]:
    raise AssertionError("nothing is dialled here")
    yield


async def _no_failure(session: str, failure: Failure) -> None:
    raise AssertionError("nothing fails here")


async def test_answers_find_their_questions_in_any_order() -> None:
    bench = Bench()
    asked, answers = await bench.connect()
    check = asyncio.create_task(bench.line.check(b"{}"))
    propose = asyncio.create_task(bench.line.propose("contract", []))
    first, second = await asked.get(), await asked.get()
    assert first.number != second.number
    answers.put_nowait(pb.ConnectRequest(number=second.number, proposed=peer.ProposeResponse(approval="yes")))
    answers.put_nowait(pb.ConnectRequest(number=999, proposed=peer.ProposeResponse(approval="to nobody")))
    answers.put_nowait(pb.ConnectRequest(number=first.number, checked=peer.CheckDraftResponse(allowed=True)))
    assert await propose == Approval("yes")
    assert (await check).decision is Decision.ALLOWED
    answers.put_nowait(None)
    await bench.ended()


async def test_the_agent_says_which_datasets_are_open_to_a_space() -> None:
    bench = Bench()
    asked, answers = await bench.connect()
    opened = asyncio.create_task(bench.line.open_to("https://police.example"))
    message = await asked.get()
    assert message.open_to.space == "https://police.example"
    answer = ListOpenDatasetsResponse(datasets=["spaces/home.example/datasets/list"])
    answers.put_nowait(pb.ConnectRequest(number=message.number, opened=answer))
    assert await opened == ("spaces/home.example/datasets/list",)
    wrong = asyncio.create_task(bench.line.open_to("https://police.example"))
    message = await asked.get()
    answers.put_nowait(pb.ConnectRequest(number=message.number, checked=peer.CheckDraftResponse(allowed=True)))
    with pytest.raises(IsthmusError) as caught:
        await wrong
    assert caught.value.reason is Reason.PROTOCOL_VIOLATION
    answers.put_nowait(None)
    await bench.ended()


async def test_a_broken_line_tells_everybody_who_waits() -> None:
    bench = Bench()
    asked, answers = await bench.connect()
    check = asyncio.create_task(bench.line.check(b"{}"))
    run = bench.line.run("contract", [], [])
    event = asyncio.create_task(anext(run))
    await asked.get()
    await asked.get()
    answers.put_nowait(None)
    with pytest.raises(IsthmusError) as caught:
        await check
    assert (caught.value.reason, caught.value.space) == GONE
    failure = await event
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.culprit) == GONE
    assert [event async for event in run] == []
    await bench.ended()
    assert bench.line.offer() is None


async def test_without_an_agent_nobody_waits() -> None:
    bench = Bench()
    with pytest.raises(IsthmusError) as caught:
        await bench.line.propose("contract", [])
    assert (caught.value.reason, caught.value.space) == GONE
    with pytest.raises(IsthmusError):
        await anext(bench.line.run("contract", [], []))
    await bench.line.stop("session", Failure("CANCELLED", HOME, "session", "", ""))


async def test_a_newer_connection_ends_the_older_one() -> None:
    bench = Bench()
    asked, _ = await bench.connect("old")
    check = asyncio.create_task(bench.line.check(b"{}"))
    await asked.get()
    old = bench._tasks[-1]
    _, answers = await bench.connect("new")
    await old
    with pytest.raises(IsthmusError) as caught:
        await check
    assert caught.value.reason is Reason.AGENT_UNREACHABLE
    assert bench.line.offer() == "new"
    answers.put_nowait(None)
    await bench.ended()


async def test_an_offer_that_does_not_hold_ends_the_line_with_its_reason() -> None:
    bench = Bench()
    await bench.connect("refused")
    with pytest.raises(IsthmusError) as caught:
        await bench.ended()
    assert caught.value.reason is Reason.UNAUTHENTICATED
    _, answers = await bench.connect("good")
    answers.put_nowait(pb.ConnectRequest(hello=pb.Hello(offer="refused")))
    with pytest.raises(IsthmusError):
        await bench.ended()
    assert bench.line.offer() is None


async def test_whoever_reads_slowly_misses_progress_alone_and_holds_up_nobody() -> None:
    bench = Bench()
    asked, answers = await bench.connect()
    run = bench.line.run("contract", [], [])
    first = asyncio.create_task(anext(run))
    number = (await asked.get()).number
    for step in range(2 * WAITING_EVENTS):
        said = peer.RunResponse(progress=peer.Progress(phase=str(step), fraction=0.5))
        answers.put_nowait(pb.ConnectRequest(number=number, ran=said))
    failure = peer.Failure(reason="PARTY_DIED", culprit=HOME)
    answers.put_nowait(pb.ConnectRequest(number=number, ran=peer.RunResponse(failure=failure)))
    answers.put_nowait(pb.ConnectRequest(number=number, done=pb.Done()))
    check = asyncio.create_task(bench.line.check(b"{}"))  # answered although nobody reads the report
    number = (await asked.get()).number
    answers.put_nowait(pb.ConnectRequest(number=number, checked=peer.CheckDraftResponse(allowed=True)))
    assert (await check).decision is Decision.ALLOWED
    events = [await first, *[event async for event in run]]
    assert isinstance(events[0], Progress)
    assert isinstance(events[-1], Failure)
    assert len(events) <= WAITING_EVENTS + 2
    answers.put_nowait(None)
    await bench.ended()


async def test_a_refusal_comes_back_as_the_agents_own_words() -> None:
    bench = Bench()
    asked, answers = await bench.connect()
    check = asyncio.create_task(bench.line.check(b"{}"))
    number = (await asked.get()).number
    refusal = peer.Refusal(reason="CONTRACT_CONSUMED", text="it was run before", advice="ask again")
    answers.put_nowait(pb.ConnectRequest(number=number, refused=refusal))
    with pytest.raises(IsthmusError) as caught:
        await check
    assert (caught.value.reason, caught.value.public) == (Reason.CONTRACT_CONSUMED, "it was run before")
    propose = asyncio.create_task(bench.line.propose("contract", []))
    number = (await asked.get()).number
    answers.put_nowait(pb.ConnectRequest(number=number, checked=peer.CheckDraftResponse(allowed=True)))
    with pytest.raises(IsthmusError) as caught:
        await propose
    assert caught.value.reason is Reason.PROTOCOL_VIOLATION
    answers.put_nowait(None)
    await bench.ended()


async def test_what_stewards_ask_goes_to_the_agent_as_it_came_and_its_answer_back() -> None:
    bench = Bench()
    asked, answers = await bench.connect()
    request = inbox.DecidePlanRequest(plan="0" * 64, decision="signed")
    decide = asyncio.create_task(bench.line.steward(request))
    message = await asked.get()
    assert message.decide_plan == request
    answer = inbox.DecidePlanResponse(waiting=inbox.WaitingPlan(digest="0" * 64, have=1))
    answers.put_nowait(pb.ConnectRequest(number=message.number, plan_decided=answer))
    assert await decide == answer
    decide = asyncio.create_task(bench.line.steward(request))
    refusal = peer.Refusal(reason="PERMISSION_DENIED", text="no steward's key", field="iss")
    answers.put_nowait(pb.ConnectRequest(number=(await asked.get()).number, refused=refusal))
    with pytest.raises(IsthmusError) as caught:
        await decide
    assert (caught.value.reason, caught.value.field) == (Reason.PERMISSION_DENIED, "iss")
    show = asyncio.create_task(bench.line.steward(inbox.GetPlanRequest(plan="0")))
    answers.put_nowait(pb.ConnectRequest(number=(await asked.get()).number, plan_decided=answer))
    with pytest.raises(IsthmusError) as caught:
        await show
    assert caught.value.reason is Reason.PROTOCOL_VIOLATION
    answers.put_nowait(None)
    await bench.ended()


async def test_a_newer_line_of_the_same_process_leaves_the_older_one_to_finish_what_runs_there() -> None:
    bench = Bench()
    asked, answers = await bench.connect("old", "one")
    check = asyncio.create_task(bench.line.check(b"{}"))
    run = bench.line.run("contract", [], [])
    event = asyncio.create_task(anext(run))
    numbers = [(await asked.get()).number for _ in range(2)]
    old = bench._tasks[-1]
    newer, answers_of_newer = await bench.connect("new", "one")
    propose = asyncio.create_task(bench.line.propose("contract", []))
    number = (await newer.get()).number  # what is asked from now on is asked there
    answers_of_newer.put_nowait(pb.ConnectRequest(number=number, proposed=peer.ProposeResponse(approval="yes")))
    assert await propose == Approval("yes")
    answers.put_nowait(pb.ConnectRequest(number=numbers[0], checked=peer.CheckDraftResponse(allowed=True)))
    assert (await check).decision is Decision.ALLOWED
    assert not old.done()
    progress = peer.RunResponse(progress=peer.Progress(phase="sort", fraction=0.5))
    answers.put_nowait(pb.ConnectRequest(number=numbers[1], ran=progress))
    assert await event == Progress("sort", 0.5)
    answers.put_nowait(pb.ConnectRequest(number=numbers[1], done=pb.Done()))
    assert [event async for event in run] == []
    await old  # the gateway ends it: nothing can still be on its way there
    assert bench.line.offer() == "new"
    answers_of_newer.put_nowait(None)
    await bench.ended()


async def test_an_agent_hears_the_own_chain_before_its_offer_is_judged_and_whenever_it_changes() -> None:
    bench = Bench()
    await bench.connect("refused")
    with pytest.raises(IsthmusError):
        await bench.ended()
    assert bench.chains == [("own", "superior")]
    _, answers = await bench.connect("good")
    bench.line.believe()
    while len(bench.chains) < 3:
        await asyncio.sleep(0)
    answers.put_nowait(None)
    await bench.ended()
