"""A chain pushed in the header of a request token makes its own sender known, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.domain.audit import Fact
from gateway.domain.caller import Caller, CallerKind
from gateway.domain.identity import EntityId
from gateway.edges.certificates import Role, client_certificate
from gateway.edges.federation import Federation
from gateway.edges.grpc.gate import Gate
from gateway.edges.keys import new_signing_key
from gateway.edges.tokens import Verifier, sign
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.tokens import request_hash
from tests.fakes import FakeClock
from tests.unit.trust_kit import (
    CARE,
    METHOD,
    NOW,
    POLICE,
    MemoryReplay,
    Space,
    StoppedClock,
    anchor_of,
    at_claims,
    chain_of,
    new_space,
    request_claims,
)

DAY = 86400
RECEIVED = b"the request"
RPC = METHOD


@dataclass
class Log:
    facts: list[Fact] = field(default_factory=list)

    async def append(self, facts: Sequence[Fact]) -> Any:
        self.facts += facts


@dataclass(frozen=True)
class Call:
    """What the gate reads of a gRPC call's context."""

    certificate: bytes
    token: str

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [self.certificate]}

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self.token}")]


class Door:
    """The gate of CARE, which has one anchor pinned and does not know POLICE yet."""

    def __init__(self) -> None:
        self.anchor_key = new_signing_key()
        self.care, self.police, self.other = (new_space(name) for name in (CARE, POLICE, EntityId("https://x.example")))
        self.clock, self.log = StoppedClock(), Log()
        self.trust = Federation([anchor_of(self.anchor_key, CARE, POLICE, self.other.entity_id)], self.clock)
        self.gate = Gate(
            CARE,
            self.care.authority.certificate_pem,
            self.trust,
            Verifier(self.trust, self.clock, MemoryReplay()),
            self.log,  # type: ignore[arg-type]
            FakeClock(),
            {},
            lambda _: (),
        )

    def chain(self, space: Space, now: int = NOW) -> list[str]:
        return chain_of(space, self.anchor_key, now)

    async def knock(self, token: str, of: Space | None = None) -> Caller:
        space = of or self.police
        certificate = client_certificate(space.authority, space.entity_id, Role.GATEWAY, NOW).certificate_pem
        return await self.gate.admit(RPC, RECEIVED, Call(certificate, token))  # type: ignore[arg-type]

    async def refused(self, token: str, of: Space | None = None) -> TokenProblem:
        with pytest.raises(TokenProblem) as caught:
            await self.knock(token, of)
        assert self.log.facts[-1].kind == "call.refused"
        return caught.value


def request(space: Space, chain: Sequence[str] = (), **changes: Any) -> str:
    claims = request_claims(request_hash(RECEIVED), iss=space.entity_id, sub=space.entity_id, **changes)
    return sign("isthmus-request+jwt", claims, space.tokens, chain)


async def test_an_unknown_space_comes_in_with_its_chain_and_afterwards_without() -> None:
    door = Door()
    assert (await door.refused(request(door.police))).problem is Problem.BINDING
    caller = await door.knock(request(door.police, door.chain(door.police)))
    assert (caller.kind, caller.id) == (CallerKind.PEER, POLICE)
    await door.knock(request(door.police, jti="request-2"))


async def test_a_space_whose_chain_has_expired_comes_in_with_a_fresh_one() -> None:
    door = Door()
    door.trust.admit(door.chain(door.police, NOW - DAY))
    assert door.trust.entity(POLICE) is None
    await door.knock(request(door.police, door.chain(door.police)))


async def test_a_key_that_its_statement_gained_comes_with_the_chain() -> None:
    door = Door()
    door.trust.admit(door.chain(door.police))
    rotated = Space(**{**vars(door.police), "tokens": new_signing_key()})
    assert (await door.refused(request(rotated))).problem is Problem.KEY
    await door.knock(request(rotated, door.chain(rotated)))


async def test_a_chain_of_anyone_else_is_refused_and_nobody_is_believed_by_it() -> None:
    door = Door()
    stranger = door.other
    cases = [
        (request(door.police, door.chain(stranger)), door.police),  # another's chain
        (request(stranger, door.chain(stranger)), door.police),  # token and chain of another than the certificate's
        (request(stranger, door.chain(door.police)), stranger),  # chain of another than token and certificate
        (request(stranger, door.chain(door.police)), door.police),  # token of another than chain and certificate
    ]
    for token, of in cases:
        assert (await door.refused(token, of)).problem in (Problem.CHAIN, Problem.ISSUER)
        assert door.trust.entities() == []


async def test_the_pushed_statement_must_name_the_ca_of_the_connection_and_the_key_of_the_token() -> None:
    door = Door()
    posing = Space(**{**vars(door.police), "authority": new_space(POLICE).authority})
    assert (await door.refused(request(door.police, door.chain(door.police)), of=posing)).problem is Problem.BINDING
    door = Door()
    keyless = Space(**{**vars(door.police), "tokens": new_signing_key()})
    assert (await door.refused(request(keyless, door.chain(door.police)))).problem is Problem.KEY


async def test_a_pushed_chain_obeys_every_rule_of_chains() -> None:
    door = Door()
    unpinned = chain_of(door.police, new_signing_key())
    assert (await door.refused(request(door.police, unpinned))).problem is Problem.CHAIN
    assert (await door.refused(request(door.police, door.chain(door.police)[:1]))).problem is Problem.CHAIN
    assert (await door.refused(request(door.police, door.chain(door.police, NOW - DAY - 5)))).problem is Problem.TIMES
    door.trust.admit(door.chain(door.police))
    rotated = Space(**{**vars(door.police), "tokens": new_signing_key()})
    older = await door.refused(request(rotated, door.chain(rotated, NOW - 60)))
    assert older.problem is Problem.OLDER


async def test_a_chain_is_looked_at_only_where_it_is_needed_and_allowed() -> None:
    door = Door()
    door.trust.admit(door.chain(door.police))
    await door.knock(request(door.police, ["nonsense"]))  # its key is known: the chain is not even read
    access = sign("at+jwt", at_claims("a" * 43), door.care.tokens, ["nonsense"])
    with pytest.raises(TokenProblem) as caught:
        await door.gate.verifier.verify(access, "at+jwt", CARE, issuer=CARE, certificate_thumbprint="a" * 43)
    assert caught.value.problem is Problem.HEADER
