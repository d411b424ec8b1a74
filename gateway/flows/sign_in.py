"""Issues access tokens: to a client for itself, and to a client for a person who signed in (RFC 8693).

Invariants: what is issued for a person grants what configuration grants both at that moment, names the client as
actor, is bound to the client's certificate, and outlives neither 300 s nor the sign-in; an inbound token and a code
serve once; each token that is issued for a person is in the audit log, and the token that it was issued for is kept
beside it, by its digest, never in a log.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.domain.audit import Fact
from gateway.domain.caller import Caller
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.sign_in import Code, Evidence, Grant
from gateway.ports import AuditLog, Clock, Ids, Once, OwnTokens, People, Providers, SignIns
from gateway.rules import grants
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.oidc import TokenType, issuer_of

CODE_LASTS = 60
SIGN_IN_LASTS = 8 * 3600  # of the built-in issuer: a working day


@dataclass(frozen=True, slots=True)
class Issued:
    """An access token with what it says."""

    token: str
    expires: int
    subject: str
    grant: Grant
    ends: int = 0


@dataclass(frozen=True, slots=True)
class SigningIn:
    """`clients` maps a client's ID to what it may do; those in `for_people` do nothing for themselves."""

    entity: str
    clock: Clock
    ids: Ids
    once: Once
    store: SignIns
    audit: AuditLog
    tokens: OwnTokens
    providers: Providers
    people: People
    clients: Mapping[str, Grant]
    for_people: frozenset[str] = frozenset()

    def issue(self, caller: Caller) -> Issued:
        """A token for the client itself."""
        if caller.id in self.for_people:
            raise IsthmusError(
                Reason.PERMISSION_DENIED,
                "this client acts for people only",
                advice="Sign in with `isthmus login`, or exchange a token of your organisation's provider",
            )
        grant, now = self.clients[caller.id], self.clock.now()
        claims = grants.claims_of(self.entity, caller.id, caller.certificate, grant, self.ids.fresh(), now)
        return Issued(self.tokens.sign(claims), claims["exp"], caller.id, grant)

    async def exchange(self, caller: Caller, token: str, token_type: TokenType) -> Issued:
        """A token for whom another token is about: a provider's, or one of this gateway that has not expired."""
        if token_type is TokenType.ACCESS_TOKEN and issuer_of(token) == self.entity:
            return await self._renewed(caller, token)
        inbound = self.providers.verify(token, token_type)
        mapped = grants.grant_of(inbound.claims, self.providers.rules(inbound.provider))
        person = grants.person_id(inbound.subject, inbound.provider)
        grant = grants.granted_to(self.clients[caller.id], mapped)
        if not await self.once.consume("subject-token", inbound.issuer, inbound.once, inbound.expires):
            raise TokenProblem(Problem.REPLAY, f"token {inbound.once} of {inbound.issuer} was exchanged before")
        jti = self.ids.fresh()
        issued = self._issued(caller, jti, person, grant, inbound.expires)
        now = self.clock.now()
        evidence = Evidence(
            jti, now, person, caller.id, inbound.issuer, inbound.digest, inbound.token, inbound.key
        )  # fmt: skip
        said = f"token {jti} for a token of {inbound.issuer} with digest {inbound.digest}: {_said(grant)}"
        await self.store.keep(evidence, [Fact(now, "token.exchanged", person, _actor(caller), said)])
        return issued

    async def redeem(self, caller: Caller, code: str, verifier: str) -> Issued:
        """A token for whoever signed in on the login page (RFC 7636 section 4.6). A wrong verifier spends the code."""
        found = await self.store.take(hash_of(code))
        now = self.clock.now()
        if found is None:
            raise TokenProblem(Problem.REPLAY, "a code that is not known, or was used before")
        if now >= found.expires:
            raise TokenProblem(Problem.TIMES, f"a code of {found.person} that expired at {found.expires}")
        if found.client != caller.id:
            raise TokenProblem(Problem.BINDING, f"a code of {found.person} for {found.client}")
        if not hmac.compare_digest(challenge_of(verifier).encode(), found.challenge.encode()):
            raise TokenProblem(Problem.BINDING, f"a code of {found.person} with another verifier")
        grant = grants.granted_to(self.clients[caller.id], self._built_in(found.person))
        jti = self.ids.fresh()
        issued = self._issued(caller, jti, found.person, grant, found.signed_in + SIGN_IN_LASTS)
        said = f"token {jti} for a code of the login page: {_said(grant)}"
        await self.audit.append([Fact(now, "token.exchanged", found.person, _actor(caller), said)])
        return issued

    async def password(self, name: str, password: str, client: str, challenge: str, address: str) -> str | None:
        """A code for the redirect of the login page, or None where name and password are not somebody's."""
        known = self.people.grant(name) is not None
        now = self.clock.now()
        if not await self.people.knows(name, password):
            # What was typed as a name may be a password.
            subject = grants.person_id(name, grants.BUILT_IN) if known else "somebody"
            await self.audit.append(
                [Fact(now, "login.refused", subject, self._client(client), f"wrong name or password, from {address}")]
            )
            return None
        person = grants.person_id(name, grants.BUILT_IN)
        code = self.ids.fresh() + self.ids.fresh()
        code = base64.urlsafe_b64encode(bytes.fromhex(code)).rstrip(b"=").decode()
        kept = Code(person, client, challenge, now, now + CODE_LASTS)
        fact = Fact(now, "login.accepted", person, self._client(client), f"from {address}")
        await self.store.offer(hash_of(code), kept, [fact])
        return code

    def standing(self, person: str) -> Sequence[Grant]:
        """What configuration may grant a person now; a token for them has to be covered by one of these."""
        provider = grants.provider_of(person)
        if provider == grants.BUILT_IN:
            return (self._built_in(person),)
        return tuple(rule.grant for rule in self.providers.rules(provider))

    async def _renewed(self, caller: Caller, token: str) -> Issued:
        claims = await self.tokens.verify(token, caller.certificate)
        person = grants.check_actor(claims)
        ends = claims.get("sign_in_ends")
        now = self.clock.now()
        if not person or claims["client_id"] != caller.id or type(ends) is not int:
            raise TokenProblem(Problem.BINDING, f"a token of {claims['client_id']!r:.100} for nobody else")
        if ends <= now:
            raise TokenProblem(Problem.TIMES, f"the sign-in of {person} ended at {ends}")
        grant = grants.grant_in(claims)
        grants.check_not_widened(grant, self.clients[caller.id], self.standing(person))
        jti = self.ids.fresh()
        issued = self._issued(caller, jti, person, grant, ends)
        said = f"token {jti} for token {claims['jti']}: {_said(grant)}"
        await self.audit.append([Fact(now, "token.renewed", person, _actor(caller), said)])
        return issued

    def _issued(self, caller: Caller, jti: str, person: str, grant: Grant, ends: int) -> Issued:
        now = self.clock.now()
        claims = grants.claims_of(
            self.entity, caller.id, caller.certificate, grant, jti, now, person=person, ends=ends
        )  # fmt: skip
        return Issued(self.tokens.sign(claims), claims["exp"], person, grant, ends)

    def _built_in(self, person: str) -> Grant:
        return self.people.grant(person.removesuffix(f"@{grants.BUILT_IN}")) or grants.NOBODY

    def _client(self, client: str) -> str:
        return f"{self.entity}/clients/{client}"


def hash_of(code: str) -> str:
    """What a code is kept as: SHA-256, in hex. A code has 256 random bits, so that no salt is needed."""
    return hashlib.sha256(code.encode()).hexdigest()


def challenge_of(verifier: str) -> str:
    """RFC 7636 section 4.2, S256."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _actor(caller: Caller) -> str:
    return f"clients/{caller.id}"


def _said(grant: Grant) -> str:
    lists = (grant.rights.datasets, grant.rights.statistics, grant.rights.purposes)
    said = [" ".join(grant.scopes), *(", ".join(item) for item in lists)]
    return "; ".join([*said, f"as {', '.join(grant.rights.roles)}"] if grant.rights.roles else said)
