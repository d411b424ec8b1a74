"""The one chain in front of every rpc: certificate → token → caller → access table → deadline.

Invariants: nobody gets past without a certificate of a CA that is pinned for the entity it names; a client
brings an `at+jwt` bound to that certificate, a gateway an `isthmus-request+jwt` over the very bytes that
came; whom a client acts for is what `act` says, one deep, and a token that grants more than configuration does at
this moment is refused; every refusal is in the audit log with its private reason and leaves with its public text
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc

from gateway.domain.audit import Fact
from gateway.domain.caller import Caller, CallerKind
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Entity, EntityId
from gateway.domain.sign_in import Grant
from gateway.edges.certificates import CertificateHolder, Role, claimed_uri, entity_in, holder_of
from gateway.edges.federation import Federation, admit_pushed
from gateway.edges.tokens import Verifier
from gateway.ports import AuditLog, Clock
from gateway.rules import access, grants
from gateway.rules.jose import Problem, TokenProblem, parse_compact
from gateway.rules.tokens import PROFILES, request_hash

# They ask for a token, so that they bring none.
_FOR_HOLDERS = frozenset(rpc for rpc, entry in access.TABLE.items() if entry.kind is CallerKind.HOLDER)
LEAST_SECONDS = 0.001
MAX_TOKEN = PROFILES["isthmus-request+jwt"].max_bytes


class Stream(Protocol):
    """A call that goes on: what it came with, and how it is ended."""

    context: grpc.aio.ServicerContext[Any, Any]

    def cut(self, problem: IsthmusError) -> None: ...


@dataclass(frozen=True, slots=True)
class Gate:
    """Everything that is known about who may come in. `clients` are the configured grants by client ID, `standing` what
    configuration may grant a person now."""

    entity: EntityId
    own_ca: Callable[[], bytes]
    trust: Federation
    verifier: Verifier
    audit: AuditLog
    clock: Clock
    clients: Mapping[str, Grant]
    standing: Callable[[str], Sequence[Grant]]
    # Streams that are open now, to be cut when what let them in is revoked.
    streams: set[Stream] = field(default_factory=set)

    async def admit(self, rpc: str, received: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
        """The caller, or IsthmusError with the refusal written to the audit log. `received` is the request
        (of a stream: its first message) as it came."""
        subject = "nobody"
        try:
            holder = self._holder(context)
            subject = _subject(holder)
            if holder.role is Role.GATEWAY:
                self.trust.saw(holder.entity_id, holder.kid)
            caller = await self._caller(rpc, received, holder, bearer(context))
            access.allow(rpc, caller)
            return caller
        except IsthmusError as problem:
            await self.refused(rpc, subject, problem)
            raise

    async def refused(self, rpc: str, subject: str, problem: IsthmusError) -> None:
        """An audit record of what was refused and why."""
        await self.audit.append([Fact(self.clock.now(), "call.refused", subject, rpc, problem.in_full[:1000])])

    def look_again(self) -> None:
        """Cut every open stream whose certificate or token was revoked since it was let in."""
        for stream in list(self.streams):
            try:
                self._still(stream.context)
            except TokenProblem as problem:
                stream.cut(problem)

    def _still(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self._holder(context)
        if (text := bearer(context)) is not None:
            token = parse_compact(text, MAX_TOKEN)
            issuer, jti = str(token.claims.get("iss")), str(token.claims.get("jti"))
            if self.trust.token_revoked(issuer, jti) or self.trust.standing.key(issuer, token.kid) is not None:
                raise TokenProblem(Problem.REVOKED, f"token {jti} of {issuer}, or its key {token.kid}")

    def _holder(self, context: grpc.aio.ServicerContext[Any, Any]) -> CertificateHolder:
        """Whom the connection's certificate names, confirmed by that entity's own CA."""
        presented = list(context.auth_context().get("x509_pem_cert", ()))
        if len(presented) != 1:
            raise TokenProblem(Problem.BINDING, f"{len(presented)} client certificates")
        certificate = bytes(presented[0])
        claimed = entity_in(claimed_uri(certificate))
        if claimed == self.entity:
            return self._confirmed(certificate, self.entity, self.own_ca())
        peer = self.trust.entity(claimed) or self._introduced(claimed, bearer(context))
        if (withdrawn := self.trust.withdrawn(claimed)) is not None:
            raise TokenProblem(Problem.REVOKED, withdrawn.public)
        if peer is None:
            raise TokenProblem(Problem.BINDING, f"certificate of {claimed!r:.200}, which is not believed here")
        return self._confirmed(certificate, peer.entity_id, peer.tls_ca.encode())

    def _confirmed(self, certificate: bytes, entity: EntityId, authorities: bytes) -> CertificateHolder:
        def revoked(kid: str) -> bool:
            return self.trust.standing.key(entity, kid) is not None

        return holder_of(certificate, entity, authorities, self.clock.now(), revoked)

    def _introduced(self, claimed: str, token: str | None) -> Entity | None:
        """Whom a pushed chain makes known. What the connection proved is still to be checked against it."""
        if token is not None:
            admit_pushed(self.trust, token, claimed)
        return self.trust.entity(claimed)

    async def _caller(self, rpc: str, received: bytes, holder: CertificateHolder, token: str | None) -> Caller:
        if holder.role is Role.AGENT and holder.entity_id == self.entity:
            return Caller(CallerKind.AGENT, self.entity, certificate=holder.thumbprint)
        if holder.role is Role.CLIENT and holder.entity_id == self.entity:
            return await self._client(rpc, holder, token)
        if holder.role is Role.GATEWAY and holder.entity_id != self.entity:
            if token is None:
                raise TokenProblem(Problem.MALFORMED, "no isthmus-request+jwt came with the call")
            admit_pushed(self.trust, token, holder.entity_id)  # a key that its statement gained meanwhile
            await self.verifier.verify(
                token,
                "isthmus-request+jwt",
                self.entity,
                issuer=holder.entity_id,
                request_hash=request_hash(received),
                method=rpc,
            )
            return Caller(CallerKind.PEER, holder.entity_id, certificate=holder.thumbprint)
        raise TokenProblem(Problem.BINDING, f"a {holder.role} of {holder.entity_id} has nothing to ask here")

    async def _client(self, rpc: str, holder: CertificateHolder, token: str | None) -> Caller:
        configured = self.clients.get(holder.client_id)
        if configured is None:
            raise TokenProblem(Problem.BINDING, f"client {holder.client_id} is not configured here")
        if rpc in _FOR_HOLDERS:
            return Caller(CallerKind.HOLDER, holder.client_id, certificate=holder.thumbprint)
        if token is None:
            raise TokenProblem(Problem.MALFORMED, "no at+jwt came with the call")
        verified = await self.verifier.verify(
            token, "at+jwt", self.entity, issuer=self.entity, certificate_thumbprint=holder.thumbprint
        )
        claims = verified.claims
        if claims["client_id"] != holder.client_id:
            raise TokenProblem(Problem.BINDING, f"a token of {claims['client_id']!r:.100} came from {holder.client_id}")
        person = grants.check_actor(claims)
        grant = grants.grant_in(claims)
        grants.check_not_widened(grant, configured, self.standing(person) if person else None)
        return Caller(
            CallerKind.CLIENT,
            person or holder.client_id,
            scopes=frozenset(grant.scopes),
            rights=grant.rights,
            certificate=holder.thumbprint,
        )


def seconds_allowed(rpc: str, remaining: float | None, *, streams: bool) -> float:
    """How long a call may take: its deadline, cut to what the access table allows (THREATS row 17)."""
    longest = access.TABLE[rpc].longest
    if remaining is None:
        if streams:
            return longest
        raise IsthmusError(
            Reason.NO_DEADLINE, "the call has no deadline", advice=f"Set one of at most {longest:.0f} seconds"
        )
    return max(LEAST_SECONDS, min(remaining, longest))


def bearer(context: grpc.aio.ServicerContext[Any, Any]) -> str | None:
    """The bearer token; two `authorization` headers are none (THREATS row 14)."""
    values = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
    if not values:
        return None
    value = values[0] if isinstance(values[0], str) else ""
    if len(values) > 1 or not value.startswith("Bearer "):
        raise TokenProblem(Problem.MALFORMED, f"{len(values)} authorization headers, or no bearer token")
    return value.removeprefix("Bearer ")


def _subject(holder: CertificateHolder) -> str:
    return f"{holder.entity_id}/clients/{holder.client_id}" if holder.client_id else f"{holder.entity_id} {holder.role}"
