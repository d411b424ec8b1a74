"""What is fuzzed: each reader of what others send, the genuine inputs that mutations start from, and what must hold.

A target answers whether it accepted; an exception other than `TokenProblem` is for the caller to see. An input that
was signed by the right key may be accepted only if it still says what the call expects; any other only if it is the
genuine one, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from gateway.domain.identity import Anchor, EntityId, KeyUse
from gateway.edges.keys import SigningKey, new_signing_key, verification_key
from gateway.edges.tokens import Verifier, sign, signature_holds
from gateway.rules.gateway_metadata import parse_gateway_metadata
from gateway.rules.jose import parse_compact, parse_object
from gateway.rules.jwks import jwk_object, jwk_set, parse_jwk
from gateway.rules.metadata_policy import apply_policy, combine, read_policy
from gateway.rules.revocation import plain, read_revoked
from gateway.rules.tokens import PROFILES, Binding, request_hash
from gateway.rules.trust import verify_chain
from gateway.rules.verification import keys_of_one, read_decision, read_rotation
from tests.fuzz import mutate
from tests.unit.federation_simulator import Simulator
from tests.unit.trust_kit import ANCHOR, CARE, NOW, THUMBPRINT, MemoryReplay, new_space

Input = Any
T = TypeVar("T")
METHOD = "/isthmus.peer.v1.PeerService/Propose"
RQH = request_hash(b"request")
SPECIAL = {
    "isthmus-decision+jwt": {"decision": "approve"},
    "isthmus-plan+jwt": {"contract": {"session": "1"}},
    "isthmus-policy+jwt": {"policy": "version = 2", "version": 2},
    "isthmus-rotation+jwt": {"use": "contracts"},
    "isthmus-revocation+jwt": {"seq": 7, "revoked": {"kids": ["A" * 43], "jtis": [], "entities": [], "contracts": []}},
    "isthmus-offer+jwt": {"offer": {"datasets": []}},
    "isthmus-approval+jwt": {"contract_digest": "ab" * 32},
    "isthmus-receipt+jwt": {"contract_digest": "ab" * 32},
    "isthmus-request+jwt": {"rpc": METHOD, "rqh": RQH},
    "at+jwt": {"client_id": "analyst", "cnf": {"x5t#S256": THUMBPRINT}, "scope": "compute"},
}


@dataclass(frozen=True)
class Target:
    """`make` draws an input and says whether it may be accepted; `read` reads it."""

    name: str
    make: Callable[[Random], tuple[Input, bool]]
    read: Callable[[Input], object]


class OneKey:
    """A directory of one issuer's one key."""

    def __init__(self, issuer: str, key: SigningKey) -> None:
        self.keys = keys_of_one(issuer, [key.jwk])

    def token_revoked(self, issuer: str, jti: str) -> bool:
        return False


def targets() -> list[Target]:
    keys = {alg: (new_signing_key(alg), new_signing_key(alg)) for alg in ("Ed25519", "ES256")}
    genuine = {
        (typ, alg): sign(typ, _claims(typ, keys[alg][0]), keys[alg][0])
        for typ in PROFILES
        if typ != "entity-statement+jwt"
        for alg in keys
    }
    tokens = [_token(typ, alg, keys[alg], genuine) for typ, alg in genuine]
    return [*tokens, *(_chain(depth) for depth in (1, 2, 3)), _jwk(), _metadata(), _policy(), _revoked(), _json()]


def _claims(typ: str, key: SigningKey) -> dict[str, Any]:
    profile = PROFILES[typ]
    claims: dict[str, Any] = {"iss": CARE, "sub": CARE, "iat": NOW, **SPECIAL.get(typ, {})}
    if profile.lifetime is not None:
        claims["exp"] = NOW + min(profile.lifetime, 3600)
    if profile.has_jti:
        claims["jti"] = "jti-1"
    if profile.audience is not None:
        claims["aud"] = _audience(typ)
    if typ == "isthmus-rotation+jwt":
        claims["jwks"] = jwk_set((key.jwk,))
    return claims


def _audience(typ: str) -> str | None:
    prefix = PROFILES[typ].audience
    return None if prefix is None else {"https://": ANCHOR}.get(prefix, prefix + "ab" * 32)


def _token(typ: str, alg: str, keys: tuple[SigningKey, SigningKey], genuine: dict[tuple[str, str], str]) -> Target:
    key, stranger = keys
    own, others = genuine[typ, alg], list(genuine.values())
    signers = {"right": key.secret, "stranger": stranger.secret}

    def make(random: Random) -> tuple[str, bool]:
        text = mutate.token(random, own, others, signers)
        return text, text == own or _rightly_signed(text, own, key)

    def read(text: str) -> object:
        if typ == "isthmus-decision+jwt":
            return read_decision(text, CARE, [key.jwk], str(_audience(typ)), NOW, signature_holds)
        if typ == "isthmus-rotation+jwt":
            present = {KeyUse.CONTRACTS: [key.jwk], KeyUse.FEDERATION: [stranger.jwk]}
            return read_rotation(text, CARE, present, ANCHOR, NOW, signature_holds)
        call: dict[str, Any] = {}
        if PROFILES[typ].binding is not Binding.NONE:
            call = {"issuer": CARE, "certificate_thumbprint": THUMBPRINT, "request_hash": RQH, "method": METHOD}
        verifier = Verifier(OneKey(CARE, key), lambda: NOW, MemoryReplay())
        verified = at_once(verifier.verify(text, typ, _audience(typ), **call))
        assert (verified.issuer, verified.kid) == (CARE, key.kid)
        assert verified.claims.get("aud") == _audience(typ)
        return verified

    return Target(f"{typ} {alg}", make, read)


def _rightly_signed(text: str, own: str, key: SigningKey) -> bool:
    """Whether the mutation signed it with the right key: it then differs in more than the signature, and holds."""
    head, _, _ = text.rpartition(".")
    if head == own.rpartition(".")[0]:
        return False
    try:
        return signature_holds(parse_compact(text, 2**22), key.jwk)
    except Exception:  # whatever the reader makes of it, `read` will show
        return False


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("it waits")


def _chain(depth: int) -> Target:
    simulator, elsewhere = Simulator(depth), Simulator(depth, leaf=new_space(EntityId("https://police.example")))
    chain, stranger = simulator.chain(), new_signing_key()
    keys = [simulator.leaf.federation, *(key for _, key in simulator.superiors)]
    others = [*chain, *elsewhere.chain()]
    anchors = [simulator.anchor, Anchor(EntityId("https://b.example"), (stranger.jwk,), (CARE,))]

    def make(random: Random) -> tuple[list[str], bool]:
        copy, at = list(chain), random.randrange(len(chain))
        right = False
        match random.randrange(8):
            case 0:
                copy = random.choices(others, k=random.randrange(10))
            case 1:
                random.shuffle(copy)
            case 2:
                copy[at] = random.choice(others)
            case _:
                signers = {"right": keys[at].secret, "stranger": stranger.secret}
                copy[at] = mutate.token(random, chain[at], others, signers)
                right = _rightly_signed(copy[at], chain[at], keys[at])
        return copy, right or copy == chain

    def read(statements: list[str]) -> object:
        entity = verify_chain(statements, anchors, NOW, signature_holds)
        assert entity.entity_id == CARE
        assert entity.expires_at > NOW - 5
        return entity

    return Target(f"chain of depth {depth}", make, read)


def _jwk() -> Target:
    genuine = [jwk_object(new_signing_key(alg).jwk) for alg in ("Ed25519", "ES256")]

    def read(value: object) -> object:
        jwk = parse_jwk(value)
        assert parse_jwk(jwk_object(jwk)) == jwk
        if jwk.crv != "X25519":
            verification_key(jwk)
        return jwk

    return Target("jwk", lambda random: (_json_of(random, random.choice(genuine)), True), read)


def _metadata() -> Target:
    space = new_space(CARE)
    genuine = space.metadata().to_json()

    def read(value: dict[str, Any]) -> object:
        metadata = parse_gateway_metadata(value, (space.federation.jwk,))
        assert parse_gateway_metadata(metadata.to_json(), (space.federation.jwk,)) == metadata
        return metadata

    def make(random: Random) -> tuple[Input, bool]:
        value = _json_of(random, genuine)
        return value if isinstance(value, dict) else {}, True

    return Target("metadata", make, read)


def _policy() -> Target:
    operators = {
        "jurisdiction": {"one_of": ["NL", "RO"]},
        "affiliates": {"subset_of": ["A", "B"]},
        "seats": {"value": 1},
    }
    metadata = {"jurisdiction": "NL", "affiliates": ["A"], "seats": 1}
    claims = {"metadata_policy": {"isthmus_gateway": operators}, "metadata_policy_crit": ["one_of"]}

    def make(random: Random) -> tuple[Input, bool]:
        drawn = [_json_of(random, value) for value in (claims, claims, metadata)]
        return [value if isinstance(value, dict) else {} for value in drawn], True

    def read(value: list[dict[str, Any]]) -> object:
        upper, lower = (read_policy(part, "isthmus_gateway") for part in value[:2])
        both = combine(upper, lower)
        resolved = apply_policy(both, value[2])
        # Never more than either allows: what both let pass, each of them lets pass unchanged.
        assert (
            json.dumps(apply_policy(upper, resolved))
            == json.dumps(resolved)
            == json.dumps(apply_policy(lower, resolved))
        )
        return resolved

    return Target("metadata policy", make, read)


def _revoked() -> Target:
    genuine = {
        "kids": [new_signing_key().kid for _ in range(3)],
        "jtis": ["jti-1"],
        "entities": [CARE],
        "contracts": ["ab" * 32],
    }

    def make(random: Random) -> tuple[Input, bool]:
        value = _json_of(random, genuine)
        return value if isinstance(value, dict) else {}, True

    def read(value: dict[str, Any]) -> object:
        revoked = read_revoked(value)
        assert read_revoked(plain(revoked)) == revoked
        return revoked

    return Target("revoked", make, read)


def _json() -> Target:
    genuine = new_space(CARE).metadata().to_json()

    def read(raw: bytes) -> object:
        value = parse_object(raw, "payload")
        assert json.loads(raw) == value
        return value

    return Target("json", lambda random: (mutate.written(random, mutate.changed(random, genuine)), True), read)


def _json_of(random: Random, value: Any) -> Any:
    """A mutation of `value` as strict JSON can hold it: what the parser would refuse is another target's."""
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        value = mutate.changed(random, value)
    try:
        return parse_object(json.dumps({"value": value}).encode(), "payload")["value"]
    except Exception:
        return {}
