"""A federation in memory for the tests of trust: real keys, real signatures, a clock that stands still.

`forge` signs with `cryptography` alone, whatever it is given: the second implementation that the verifier is
held against, and the attacker's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.domain.identity import Anchor, EntityId, Jwk, b64url, parse_entity_id
from gateway.edges.certificates import Authority, create_authority
from gateway.edges.federation import Federation, entity_configuration, subordinate_statement
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.tokens import Verified, Verifier, sign
from gateway.rules.gateway_metadata import GatewayMetadata
from gateway.rules.jose import TokenProblem
from gateway.rules.tokens import request_hash

NOW = 1_800_000_000
ANCHOR = parse_entity_id("https://anchor.example")
CARE = parse_entity_id("https://care.example")
POLICE = parse_entity_id("https://police.example")
SESSION = "urn:isthmus:session:0197"
METHOD = "/isthmus.peer.v1.PeerService/Propose"


ANCHOR_REVOCATIONS = new_signing_key()


@dataclass
class StoppedClock:
    now: int = NOW

    def __call__(self) -> int:
        return self.now


@dataclass
class MemoryReplay:
    used: dict[tuple[str, str, str], int] = field(default_factory=dict)

    async def consume(self, issuer: str, typ: str, jti: str, expires_at: int) -> bool:
        if (issuer, typ, jti) in self.used:
            return False
        self.used[issuer, typ, jti] = expires_at
        return True


@dataclass(frozen=True)
class Space:
    entity_id: EntityId
    federation: SigningKey
    tokens: SigningKey
    contracts: SigningKey
    revocations: SigningKey
    authority: Authority

    def metadata(self, **changes: Any) -> GatewayMetadata:
        return GatewayMetadata(
            **{
                "endpoint": "127.0.0.1:7443",
                "operator": "Care Organisations",
                "operator_group": "care",
                "affiliates": ("Shelter Foundation",),
                "jurisdiction": "NL",
                "token_keys": (self.tokens.jwk,),
                "contract_keys": (self.contracts.jwk,),
                "revocation_keys": (self.revocations.jwk,),
                "tls_ca": self.authority.certificate_pem.decode(),
                "seats": 1,
                **changes,
            }
        )


def new_space(entity_id: EntityId, alg: str = "Ed25519") -> Space:
    federation, tokens, contracts, revocations = (new_signing_key(alg) for _ in range(4))
    return Space(entity_id, federation, tokens, contracts, revocations, create_authority(entity_id, NOW))


def configuration_of(space: Space, now: int = NOW, hint: EntityId = ANCHOR) -> str:
    return entity_configuration(space.entity_id, space.metadata(), [hint], space.federation, now)


def chain_of(space: Space, anchor_key: SigningKey, now: int = NOW) -> list[str]:
    statement = subordinate_statement(ANCHOR, space.entity_id, [space.federation.jwk], anchor_key, now)
    return [configuration_of(space, now), statement]


def anchor_of(key: SigningKey, *prefixes: EntityId) -> Anchor:
    return Anchor(ANCHOR, (key.jwk,), prefixes or (CARE, POLICE), (ANCHOR_REVOCATIONS.jwk,))


def revocation_list(
    issuer: EntityId, key: SigningKey, at: int = NOW, *, claims: Mapping[str, Any] | None = None, **revoked: list[str]
) -> str:
    """A list made at `at`, with that as its number; `revoked` are kids, jtis, entities, contracts."""
    said = {
        "iss": issuer,
        "sub": issuer,
        "iat": at,
        "exp": at + 300,
        "jti": "list",
        "seq": at,
        "revoked": revoked,
        **(claims or {}),
    }
    return sign("isthmus-revocation+jwt", said, key)


@dataclass
class Bench:
    """Two spaces that believe each other, and a verifier that stands at the first."""

    care: Space
    police: Space
    anchor_key: SigningKey
    clock: StoppedClock
    replay: MemoryReplay
    federation: Federation

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.federation, self.clock, self.replay)


def new_bench(alg: str = "Ed25519") -> Bench:
    care, police, anchor_key = new_space(CARE, alg), new_space(POLICE, alg), new_signing_key(alg)
    clock = StoppedClock()
    federation = Federation([anchor_of(anchor_key)], clock)
    for space in (care, police):
        federation.admit(chain_of(space, anchor_key))
    return Bench(care, police, anchor_key, clock, MemoryReplay(), federation)


def at_claims(thumbprint: str, **changes: Any) -> dict[str, Any]:
    claims = {
        "iss": CARE,
        "sub": "analyst",
        "aud": CARE,
        "iat": NOW,
        "exp": NOW + 300,
        "jti": "token-1",
        "client_id": "analyst",
        "cnf": {"x5t#S256": thumbprint},
    }
    return _changed(claims, changes)


def request_claims(rqh: str, **changes: Any) -> dict[str, Any]:
    claims = {
        "iss": POLICE,
        "sub": POLICE,
        "aud": CARE,
        "iat": NOW,
        "exp": NOW + 60,
        "jti": "request-1",
        "rpc": METHOD,
        "rqh": rqh,
    }
    return _changed(claims, changes)


def approval_claims(**changes: Any) -> dict[str, Any]:
    claims = {
        "iss": POLICE,
        "sub": SESSION,
        "aud": SESSION,
        "iat": NOW,
        "exp": NOW + 600,
        "jti": "approval-1",
        "contract_digest": "ab" * 32,
    }
    return _changed(claims, changes)


class Absent:
    """Given as a change, it takes the claim away."""


def _changed(claims: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if value is not Absent}


def header_of(typ: str, key: SigningKey, /, **changes: Any) -> dict[str, Any]:
    return _changed({"alg": key.jwk.alg, "kid": key.kid, "typ": typ}, changes)


def forge(header: Mapping[str, Any] | str, claims: Mapping[str, Any] | str, secret: Any) -> str:
    """A compact JWS of anything at all. Texts are taken as they are, spelling and duplicates included."""
    segments = [
        b64url((part if isinstance(part, str) else json.dumps(part)).encode("utf-8")) for part in (header, claims)
    ]
    signing_input = ".".join(segments)
    return f"{signing_input}.{b64url(raw_signature(signing_input.encode(), secret))}"


def raw_signature(data: bytes, secret: Any) -> bytes:
    if isinstance(secret, Ed25519PrivateKey | Ed448PrivateKey):
        return secret.sign(data)
    if isinstance(secret, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(secret.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return secret if isinstance(secret, bytes) else b"\0" * 64


@dataclass(frozen=True)
class FixedDirectory:
    """Answers every question with the same keys, as a faulty or captured directory would."""

    answer: Sequence[Jwk]

    def keys(self, issuer: str, kid: str, typ: str) -> Sequence[Jwk]:
        return self.answer

    def token_revoked(self, issuer: str, jti: str) -> bool:
        return False


THUMBPRINT = b64url(hashlib.sha256(b"certificate").digest())
RQH = request_hash(b"request bytes as received")


async def at(bench: Bench, compact: str, **changes: Any) -> Verified:
    call: dict[str, Any] = {"issuer": CARE, "certificate_thumbprint": THUMBPRINT, **changes}
    return await bench.verifier.verify(compact, "at+jwt", CARE, **call)


async def request(bench: Bench, compact: str, **changes: Any) -> Verified:
    call: dict[str, Any] = {"issuer": POLICE, "request_hash": RQH, "method": METHOD, **changes}
    return await bench.verifier.verify(compact, "isthmus-request+jwt", CARE, **call)


async def refused_at(bench: Bench, compact: str, **changes: Any) -> TokenProblem:
    with pytest.raises(TokenProblem) as caught:
        await at(bench, compact, **changes)
    return caught.value


def forged(bench: Bench, *, header: dict[str, Any] | None = None, secret: Any = None, **claims: Any) -> str:
    key = bench.care.tokens
    return forge(header_of("at+jwt", key, **(header or {})), at_claims(THUMBPRINT, **claims), secret or key.secret)
