"""isthmus.peer.v1, the side that answers: converts, calls `flows/take_part.py`, converts back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from gateway.api.peer.v1 import peer_pb2 as pb
from gateway.domain.caller import Caller
from gateway.domain.computation import State
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import Frame
from gateway.edges.grpc import peer_convert as convert
from gateway.edges.tunnel import Tunnel
from gateway.flows.take_part import TakePart
from gateway.ports import Agent


@dataclass(frozen=True, slots=True)
class PeerService:
    take_part: TakePart
    agent: Agent
    tunnels: Tunnel
    own_chain: Callable[[], tuple[str, ...]]
    # Believes a caller's pushed chain from now on; raises when it does not hold or is another entity's.
    admit: Callable[[str, tuple[str, ...]], Awaitable[None]]
    # Believes the revocation lists that a caller brings; what is wrong with its own one, if anything.
    hear: Callable[[Sequence[str], str], Awaitable[IsthmusError | None]]
    lists: Callable[[], Sequence[str]]
    # Takes a caller's pushed offer, if it holds.
    offered: Callable[[str, str], Awaitable[None]]

    async def describe(self, request: pb.DescribeRequest, caller: Caller) -> pb.DescribeResponse:
        await self.admit(caller.id, tuple(request.chain))
        if (problem := await self.hear(tuple(request.revocations), caller.id)) is not None:
            raise problem
        if request.offer:
            await self.offered(caller.id, request.offer)
        return pb.DescribeResponse(chain=self.own_chain(), offer=self.agent.offer() or "", revocations=self.lists())

    async def check_draft(self, request: pb.CheckDraftRequest, caller: Caller) -> pb.CheckDraftResponse:
        return convert.checked_to(await self.take_part.check(request.draft, caller=caller.id))

    async def consult(self, request: pb.ConsultRequest, caller: Caller) -> pb.ConsultResponse:
        chains = convert.chains_from(request.chains)
        told = await self.take_part.consult(request.plan, chains, request.withdrawn, caller=caller.id)
        return convert.consulted_to(told)

    async def propose(self, request: pb.ProposeRequest, caller: Caller) -> pb.ProposeResponse:
        chains = convert.chains_from(request.chains)
        return convert.proposed_to(await self.take_part.propose(request.contract, chains, caller=caller.id))

    async def run(self, request: pb.RunRequest, caller: Caller) -> AsyncIterator[pb.RunResponse]:
        chains = convert.chains_from(request.chains)
        events = self.take_part.run(request.contract, tuple(request.approvals), chains, caller=caller.id)
        async with aclosing(events):
            async for event in events:
                yield convert.event_to(event)

    async def conclude(self, request: pb.ConcludeRequest, caller: Caller) -> pb.ConcludeResponse:
        if request.state not in State.__members__:
            raise IsthmusError(Reason.INVALID_ARGUMENT, "this is no state", field="state")
        failure = convert.failure_from(request.failure) if request.HasField("failure") else None
        await self.take_part.conclude(
            request.session,
            request.contract_digest,
            State(request.state),
            failure,
            tuple(request.receipts),
            caller=caller.id,
        )
        return pb.ConcludeResponse()

    async def tunnel(
        self, first: pb.TunnelRequest, rest: AsyncIterator[pb.TunnelRequest], caller: Caller
    ) -> AsyncIterator[pb.TunnelResponse]:
        async for frames in self.tunnels.accept(first.open.session, caller.id, _frames(rest)):
            message = pb.TunnelResponse()
            convert.put_frames(message, frames)
            yield message


async def _frames(messages: AsyncIterator[pb.TunnelRequest]) -> AsyncIterator[Frame]:
    async for message in messages:
        if message.HasField("open"):
            raise IsthmusError(Reason.PROTOCOL_VIOLATION, "a tunnel is opened once")
        for frame in convert.frames_from(message):
            yield frame
