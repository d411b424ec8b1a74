"""This space's own agent, as its gateway sees it: the agent dials in, asks are numbered, answers echo them.

Invariants: one agent is connected at a time, and a newer connection replaces an older one: of the same process, what
runs on the older one ends there; of another, the older one is dead. When a line breaks, everybody who waits on it is
told at once; what the agent says is passed on, not believed: whoever it is for verifies its signature.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from gateway.api.agent.v1 import agent_pb2 as pb
from gateway.api.client.v1 import approvals_pb2 as inbox
from gateway.api.client.v1 import policies_pb2 as policies
from gateway.api.peer.v1 import peer_pb2 as peer
from gateway.domain.caller import Caller
from gateway.domain.decision import Consulted
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.plan import Verdict
from gateway.domain.session import Approval, Failure, Frame, Refusal, RunEvent
from gateway.edges.grpc import peer_convert as convert
from gateway.edges.tunnel import Tunnel
from gateway.ports import Chains

ANSWER_WITHIN = 30.0
WAITING_EVENTS = 256
BELIEVED_AT_ONCE = 16

Answer = pb.ConnectRequest | None

# By what is asked: in which field it goes to the agent, and in which the answer comes.
OF_STEWARDS: dict[type[Message], tuple[str, str]] = {
    inbox.ListPlansRequest: ("list_plans", "plans_listed"),
    inbox.GetPlanRequest: ("get_plan", "plan_shown"),
    inbox.DecidePlanRequest: ("decide_plan", "plan_decided"),
    policies.GetPolicyRequest: ("get_policy", "policy_shown"),
    policies.ProposePolicyRequest: ("propose_policy", "policy_proposed"),
}


@dataclass(slots=True)
class _Line:
    """One connection: what goes out, and who waits for which number."""

    outgoing: asyncio.Queue[pb.ConnectResponse] = field(default_factory=asyncio.Queue)
    waiting: dict[int, asyncio.Queue[Answer]] = field(default_factory=dict)
    offer: str = ""
    process: str = ""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    replaced: bool = False

    def replace(self) -> None:
        """Nothing more is asked here; it ends when the last answer has come."""
        self.replaced = True
        if not self.waiting:
            self.gone.set()

    def forget(self, number: int) -> None:
        """Nobody waits for this number any more."""
        self.waiting.pop(number, None)
        if self.replaced and not self.waiting:
            self.gone.set()

    def broken(self) -> None:
        self.gone.set()
        for queue in self.waiting.values():
            queue.put_nowait(None)

    def take(self, message: pb.ConnectRequest) -> None:
        """Pass an answer on to who waits for it. Whoever reads slowly misses progress, and holds up nobody else."""
        queue = self.waiting.get(message.number)
        if queue is not None and (queue.qsize() < WAITING_EVENTS or not _may_be_missed(message)):
            queue.put_nowait(message)


class AgentLine:
    """Port `Agent`, and the service that the agent dials."""

    def __init__(
        self,
        entity: str,
        tunnel: Tunnel,
        offered: Callable[[str], Awaitable[None]],
        own_chain: Callable[[], tuple[str, ...]],
        believed: Callable[[], tuple[Chains, Sequence[str]]] = lambda: ((), ()),
    ) -> None:
        """`offered(token)` verifies the signed offer that a connecting agent brings; it raises to refuse it.

        `believed()` are the chains and revocation lists that a connecting agent is told of first.
        """
        self._entity = entity
        self._tunnel = tunnel
        self._offered = offered
        self._own_chain = own_chain
        self._believed = believed
        self._line: _Line | None = None
        self._numbers = itertools.count(1)

    def offer(self) -> str | None:
        return self._line.offer if self._line is not None else None

    async def check(self, draft: bytes) -> Verdict:
        answer = await self._ask(pb.ConnectResponse(check=peer.CheckDraftRequest(draft=draft)))
        if answer.WhichOneof("message") != "checked":
            raise self._nonsense()
        return convert.checked_from(answer.checked, self._entity)

    async def propose(self, contract: str, chains: Chains) -> Approval | Refusal:
        request = peer.ProposeRequest(contract=contract, chains=convert.chains_to(chains))
        answer = await self._ask(pb.ConnectResponse(propose=request))
        if answer.WhichOneof("message") != "proposed":
            raise self._nonsense()
        return convert.proposed_from(answer.proposed, self._entity)

    async def consult(self, plan: str, chains: Chains, withdrawn: bool) -> Consulted | Refusal:
        """Port `Stewards`: what the agent says of its people."""
        request = peer.ConsultRequest(plan=plan, chains=convert.chains_to(chains), withdrawn=withdrawn)
        answer = await self._ask(pb.ConnectResponse(consult=request))
        if answer.WhichOneof("message") != "consulted":
            raise self._nonsense()
        return convert.consulted_from(answer.consulted, self._entity)

    async def open_to(self, space: str) -> tuple[str, ...]:
        """The datasets that `space` may ask about."""
        answer = await self._ask(pb.ConnectResponse(open_to=pb.OpenTo(space=space)))
        if answer.WhichOneof("message") != "opened":
            raise self._nonsense()
        return tuple(answer.opened.datasets)

    async def steward(self, request: Message) -> Any:
        """What a client of this space asks of its stewards, passed on as it came, and the answer likewise."""
        asked, answered = OF_STEWARDS[type(request)]
        answer = await self._ask(pb.ConnectResponse(**{asked: request}))  # type: ignore[arg-type]
        if answer.WhichOneof("message") != answered:
            raise self._nonsense()
        return getattr(answer, answered)

    async def run(self, contract: str, approvals: Sequence[str], chains: Chains) -> AsyncGenerator[RunEvent, None]:
        """The agent's events; a broken line is a Failure of this space."""
        request = peer.RunRequest(contract=contract, approvals=approvals, chains=convert.chains_to(chains))
        line, number, answers = self._send(pb.ConnectResponse(run=request))
        try:
            while True:
                answer = await answers.get()
                if answer is None:
                    yield self._gone()
                    return
                match answer.WhichOneof("message"):
                    case "ran":
                        yield convert.event_from(answer.ran)
                    case "refused":
                        raise convert.error_of(convert.refusal_from(answer.refused, self._entity))
                    case _:  # done
                        return
        finally:
            line.forget(number)

    async def stop(self, session: str, failure: Failure | None) -> None:
        """Tell the agent how a session has ended; without an agent there is nobody to tell."""
        if self._line is not None:
            said = None if failure is None else convert.failure_to(failure)
            stop = pb.Stop(session=session, failure=said, released=failure is None)
            self._line.outgoing.put_nowait(pb.ConnectResponse(stop=stop))

    def believe(self) -> None:
        """Tell the agent the own chain, which says with which of its keys it may sign."""
        if self._line is not None:
            self._line.outgoing.put_nowait(self._believe())

    def tell(self, chains: Chains, lists: Sequence[str]) -> None:
        """Tell the agent what was heard, before anything that is asked of it from now on; who connects later hears
        of it then."""
        if self._line is not None:
            for message in _heard(chains, lists):
                self._line.outgoing.put_nowait(message)

    # The service that the agent dials.

    async def connect(
        self, first: pb.ConnectRequest, rest: AsyncIterator[pb.ConnectRequest], caller: Caller
    ) -> AsyncIterator[pb.ConnectResponse]:
        line = _Line(offer=first.hello.offer, process=first.hello.process)
        # Before its offer is verified: an agent that signs with a key of yesterday learns better from it.
        yield self._believe()
        await self._offered(line.offer)
        if self._line is not None and line.process and self._line.process == line.process:
            self._line.replace()
        elif self._line is not None:
            self._line.broken()
        self._line = line
        self.tell(*self._believed())
        ended: set[asyncio.Task[Any]] = {
            asyncio.create_task(self._read(line, rest)),
            asyncio.create_task(line.gone.wait()),
        }
        tasks = set(ended)
        try:
            while True:
                getter = asyncio.create_task(line.outgoing.get())
                tasks.add(getter)
                done, _ = await asyncio.wait({*ended, getter}, return_when=asyncio.FIRST_COMPLETED)
                for task in done & ended:
                    task.result()  # an offer that is refused ends the line with its reason
                    return
                tasks.discard(getter)
                yield getter.result()
        finally:
            line.broken()
            if self._line is line:
                self._line = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def carry(
        self, first: pb.CarryRequest, rest: AsyncIterator[pb.CarryRequest], caller: Caller
    ) -> AsyncIterator[pb.CarryResponse]:
        async def frames() -> AsyncIterator[Frame]:
            async for message in rest:
                for frame in convert.frames_from(message):
                    yield frame

        async for waiting in self._tunnel.attach(first.open.session, frames()):
            message = pb.CarryResponse()
            convert.put_frames(message, waiting)
            yield message

    async def _read(self, line: _Line, messages: AsyncIterator[pb.ConnectRequest]) -> None:
        async for message in messages:
            if message.WhichOneof("message") == "hello":
                await self._offered(message.hello.offer)
                line.offer = message.hello.offer
            else:
                line.take(message)

    def _believe(self) -> pb.ConnectResponse:
        return pb.ConnectResponse(believe=pb.Believe(chains=convert.chains_to([self._own_chain()])))

    def _send(self, message: pb.ConnectResponse) -> tuple[_Line, int, asyncio.Queue[Answer]]:
        line = self._line
        if line is None:
            raise IsthmusError(
                Reason.AGENT_UNREACHABLE,
                "this space's agent is not connected to its gateway",
                space=self._entity,
                advice="Its operator has to start the agent",
            )
        message.number = next(self._numbers)
        queue: asyncio.Queue[Answer] = asyncio.Queue()
        line.waiting[message.number] = queue
        line.outgoing.put_nowait(message)
        return line, message.number, queue

    async def _ask(self, message: pb.ConnectResponse) -> pb.ConnectRequest:
        line, number, answers = self._send(message)
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                answer = await answers.get()
        except TimeoutError:
            answer = None
        finally:
            line.forget(number)
        if answer is None:
            gone = self._gone()
            raise IsthmusError(Reason.AGENT_UNREACHABLE, gone.text, space=self._entity, advice=gone.action)
        if answer.WhichOneof("message") == "refused":
            raise convert.error_of(convert.refusal_from(answer.refused, self._entity))
        return answer

    def _gone(self) -> Failure:
        return Failure(
            Reason.AGENT_UNREACHABLE.value,
            self._entity,
            "session",
            "the space's agent went away or does not answer",
            f"The operator of {self._entity} has to start it again",
        )

    def _nonsense(self) -> IsthmusError:
        return IsthmusError(
            Reason.PROTOCOL_VIOLATION, "the agent answered something else than it was asked", space=self._entity
        )


def _heard(chains: Chains, lists: Sequence[str]) -> Iterator[pb.ConnectResponse]:
    """In messages that stay well below what gRPC carries at once: chains first, since lists are verified by them."""
    for start in range(0, len(chains), BELIEVED_AT_ONCE):
        some = convert.chains_to(chains[start : start + BELIEVED_AT_ONCE])
        yield pb.ConnectResponse(believe=pb.Believe(chains=some))
    for token in lists:
        yield pb.ConnectResponse(believe=pb.Believe(revocations=[token]))


def _may_be_missed(message: pb.ConnectRequest) -> bool:
    return message.WhichOneof("message") == "ran" and message.ran.WhichOneof("event") in ("heartbeat", "progress")
