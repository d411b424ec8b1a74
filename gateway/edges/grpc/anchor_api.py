"""isthmus.trust.v1, the side that answers: converts, calls `flows/vouch.py`, converts back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.api.peer.v1 import peer_pb2
from gateway.api.trust.v1 import anchor_pb2 as pb
from gateway.domain.caller import Caller
from gateway.edges.vouching import AnchorDesk
from gateway.flows.vouch import Vouch

JOINING_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class AnchorService:
    vouch: Vouch
    desk: AnchorDesk
    # This anchor's fresh `isthmus-revocation+jwt`, or "".
    revocations: Callable[[], str] = str
    _joining: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(JOINING_AT_ONCE))

    async def join(self, request: pb.JoinRequest, caller: Caller) -> pb.JoinResponse:
        async with self._joining:
            invited = self.desk.invitation(request.invitation)
            member = await self.vouch.join(invited, request.proof, request.configuration)
        return pb.JoinResponse(statements=[member.statement, *self.desk.above()])

    async def fetch(self, request: pb.FetchRequest, caller: Caller) -> pb.FetchResponse:
        known = await self.vouch.known(caller.id, request.configuration, tuple(request.rotations))
        own, changed, more = await self.vouch.fetch(known, request.version)
        above = self.desk.above()
        answer = pb.FetchResponse(
            statements=[own.statement, *above],
            version=max((member.version for member in changed), default=request.version),
            more=more,
            revocations=self.revocations(),
            rulebook_text=await self.vouch.text(request.rulebook),
        )
        for member in changed:
            if member.suspended and member.entity != caller.id:
                answer.suspended.append(member.entity)
            elif member.entity != caller.id:
                chain = peer_pb2.Chain(statements=[member.configuration, member.statement, *above])
                answer.members.append(chain)
        return answer
