"""In front of an anchor's rpcs. No certificate is asked: Join is open to strangers, Fetch to members by their token.

Invariants: a stranger costs little: size and deadline are bounded, attempts are counted by address and in all before
anything is verified, and what they do writes a bounded number of audit records a minute; a member is believed by its
own chain under this anchor's pins, and by an `isthmus-request+jwt` over the very bytes that came.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import grpc
import structlog

from gateway.api.trust.v1 import anchor_pb2 as pb
from gateway.domain.audit import Fact
from gateway.domain.caller import Caller, CallerKind
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Entity, Jwk
from gateway.edges.documents import ReplayStore
from gateway.edges.grpc.gate import Stream, bearer
from gateway.edges.grpc.serve import parse
from gateway.edges.grpc.throttle import Throttle, address_of
from gateway.edges.tokens import Verifier
from gateway.flows.vouch import Vouch
from gateway.ports import AuditLog, Clock
from gateway.rules import access
from gateway.rules.jose import MAX_CHAIN_BYTES, Problem, TokenProblem, parse_compact
from gateway.rules.tokens import profile_of, request_hash

JOIN = "/isthmus.trust.v1.AnchorService/Join"
REQUEST = "isthmus-request+jwt"
JOINS_OF_ONE, JOINS = 10, 120  # a minute
RECORDS_OF_ONE, RECORDS = 10, 60  # of refusals, a minute

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Only:
    """The keys of one entity: whoever fetches signs with its own."""

    entity: Entity

    def keys(self, issuer: str, kid: str, typ: str) -> list[Jwk]:
        use = profile_of(typ).signed_with
        if issuer != self.entity.entity_id or use is None:
            return []
        return [key for key in self.entity.keys(use) if key.kid == kid]

    def token_revoked(self, issuer: str, jti: str) -> bool:
        return False  # an anchor holds no member's list; a request token is good for one use in any case


@dataclass(frozen=True, slots=True)
class AnchorGate:
    vouch: Vouch
    replay: ReplayStore
    audit: AuditLog
    clock: Clock
    streams: set[Stream] = field(default_factory=set)
    joins: Throttle = field(default_factory=lambda: Throttle(JOINS_OF_ONE, JOINS, time.monotonic))
    records: Throttle = field(default_factory=lambda: Throttle(RECORDS_OF_ONE, RECORDS, time.monotonic))

    async def admit(self, rpc: str, received: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
        address = address_of(context.peer())
        try:
            caller = await self._caller(rpc, received, context, address)
            access.allow(rpc, caller)
            return caller
        except IsthmusError as problem:
            await self.refused(rpc, address, problem)
            raise

    async def refused(self, rpc: str, subject: str, problem: IsthmusError) -> None:
        """An audit record, as long as there are not too many of them."""
        if self.records.allows(subject):
            await self.audit.append([Fact(self.clock.now(), "call.refused", subject, rpc, problem.in_full[:1000])])
        else:
            log.warning("refusals are no longer recorded one by one", rpc=rpc, who=subject)

    async def _caller(
        self, rpc: str, received: bytes, context: grpc.aio.ServicerContext[Any, Any], address: str
    ) -> Caller:
        if rpc == JOIN:
            if not self.joins.allows(address):
                raise IsthmusError(
                    Reason.RESOURCE_EXHAUSTED, "too many attempts to join", advice="Wait a minute, and try again"
                )
            return Caller(CallerKind.INVITED, address)
        request: pb.FetchRequest = parse(pb.FetchRequest, received)
        token = bearer(context)
        if token is None:
            raise TokenProblem(Problem.MALFORMED, f"no {REQUEST} came with the call")
        claimed = parse_compact(request.configuration, MAX_CHAIN_BYTES).claims.get("sub")
        known = await self.vouch.known(str(claimed), request.configuration, tuple(request.rotations))
        verifier = Verifier(_Only(known.entity), self.clock.now, self.replay)
        await verifier.verify(
            token,
            REQUEST,
            self.vouch.entity,
            issuer=known.entity.entity_id,
            request_hash=request_hash(received),
            method=rpc,
        )
        for problem in known.refused:  # a rotation: the rest of the call is answered as ever
            await self.refused(rpc, known.entity.entity_id, problem)
        return Caller(CallerKind.MEMBER, known.entity.entity_id)
