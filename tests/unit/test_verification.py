"""Tokens under keys that the caller gives, since no statement names them: decisions, rotations, client assertions."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.identity import KeyUse
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.tokens import Verifier, sign, signature_holds
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.jwks import jwk_set
from gateway.rules.profiles import PROFILES
from gateway.rules.verification import Rotation, Verified, keys_of_one, read_decision, read_rotation
from tests.unit.trust_kit import ANCHOR, CARE, NOW, POLICE, FixedDirectory, MemoryReplay, forge, header_of, new_bench

PLAN = "urn:isthmus:plan:" + "ab" * 32
STEWARD = "urn:isthmus:person:steward"
DAY = 86400
STEWARDS, FEDERATION, CONTRACTS, NEXT, STRANGER = (new_signing_key() for _ in range(5))
PRESENT = {KeyUse.FEDERATION: (FEDERATION.jwk,), KeyUse.CONTRACTS: (CONTRACTS.jwk,)}


def decided(key: SigningKey = STEWARDS, **changes: Any) -> str:
    claims = {
        "iss": STEWARD,
        "sub": STEWARD,
        "aud": PLAN,
        "iat": NOW,
        "exp": NOW + DAY,
        "jti": "decision-1",
        "decision": "approve",
        **changes,
    }
    return forge(header_of("isthmus-decision+jwt", key), claims, key.secret)


def read(compact: str, keys: tuple[SigningKey, ...] = (STEWARDS,), audience: str = PLAN) -> Verified:
    return read_decision(compact, STEWARD, [key.jwk for key in keys], audience, NOW, signature_holds)


def test_a_decision_is_believed_under_its_persons_own_key_for_its_own_plan() -> None:
    verified = read(decided())
    assert (verified.issuer, verified.claims["decision"], verified.kid) == (STEWARD, "approve", STEWARDS.kid)


@pytest.mark.parametrize(
    ("compact", "problem"),
    [
        (decided(key=STRANGER), Problem.KEY),
        (decided(iss="urn:isthmus:person:other"), Problem.KEY),
        (decided(aud="urn:isthmus:plan:" + "cd" * 32), Problem.AUDIENCE),
        (decided(aud=CARE), Problem.AUDIENCE),
        (decided(decision=""), Problem.CLAIMS),
        (decided(exp=NOW + 401 * DAY), Problem.LIFETIME),
        (decided(iat=NOW - 10, exp=NOW - 5), Problem.TIMES),
    ],
)
def test_any_other_decision_is_refused(compact: str, problem: Problem) -> None:
    with pytest.raises(TokenProblem) as caught:
        read(compact)
    assert caught.value.problem is problem


def test_a_decision_for_a_space_is_none() -> None:
    with pytest.raises(TokenProblem) as caught:
        read(decided(aud=CARE), audience=CARE)
    assert caught.value.problem is Problem.AUDIENCE


def rotated(key: SigningKey = CONTRACTS, **changes: Any) -> str:
    claims = {
        "iss": CARE,
        "sub": CARE,
        "aud": ANCHOR,
        "iat": NOW,
        "exp": NOW + DAY,
        "jti": "rotation-1",
        "use": "contracts",
        "jwks": jwk_set((CONTRACTS.jwk, NEXT.jwk)),
        **changes,
    }
    return forge(header_of("isthmus-rotation+jwt", key), claims, key.secret)


def rotate(compact: str) -> Rotation:
    return read_rotation(compact, CARE, PRESENT, ANCHOR, NOW, signature_holds)


def test_a_present_key_vouches_for_the_next_of_its_own_use() -> None:
    assert rotate(rotated()) == Rotation(CARE, KeyUse.CONTRACTS, (CONTRACTS.jwk, NEXT.jwk))
    federation = rotated(FEDERATION, use="federation", jwks=jwk_set((NEXT.jwk,)))
    assert rotate(federation) == Rotation(CARE, KeyUse.FEDERATION, (NEXT.jwk,))


@pytest.mark.parametrize(
    ("compact", "problem"),
    [
        (rotated(FEDERATION), Problem.KEY),  # a broken-in gateway has this key: it renews no contract key
        (rotated(NEXT), Problem.KEY),  # the next key does not vouch for itself
        (rotated(use="federation"), Problem.KEY),
        (rotated(use="tokens"), Problem.CLAIMS),  # nothing is pinned for it
        (rotated(use="CONTRACTS"), Problem.CLAIMS),
        (rotated(use=1), Problem.CLAIMS),
        (rotated(use=["contracts"]), Problem.CLAIMS),
        (rotated(iss=POLICE, sub=POLICE), Problem.KEY),
        (rotated(sub=POLICE), Problem.CLAIMS),
        (rotated(aud=POLICE), Problem.AUDIENCE),
        (rotated(jwks=jwk_set((NEXT.jwk, FEDERATION.jwk))), Problem.KEY),  # one key, two uses
        (rotated(jwks={"keys": []}), Problem.KEY),
        (rotated(jwks=[]), Problem.CLAIMS),
        (rotated(exp=NOW + 31 * DAY), Problem.LIFETIME),
        (rotated(iat=NOW - 100, exp=NOW - 5), Problem.TIMES),
    ],
)
def test_any_other_rotation_is_refused(compact: str, problem: Problem) -> None:
    with pytest.raises(TokenProblem) as caught:
        rotate(compact)
    assert caught.value.problem is problem


def asserted(**changes: Any) -> dict[str, Any]:
    return {"iss": "registry", "sub": "registry", "aud": CARE, "iat": NOW, "exp": NOW + 30, "jti": "a-1", **changes}


async def test_a_client_asserts_itself_with_its_own_key_once() -> None:
    """RFC 7523 section 3: issuer and subject are both the client's ID."""
    verifier = Verifier(OneClient("registry", STEWARDS), lambda: NOW, MemoryReplay())
    typ = "isthmus-client-assertion+jwt"
    compact = sign(typ, asserted(), STEWARDS)
    assert (await verifier.verify(compact, typ, CARE)).issuer == "registry"
    for other, problem in (
        (compact, Problem.REPLAY),
        (forge(header_of(typ, STEWARDS), asserted(sub="analyst"), STEWARDS.secret), Problem.CLAIMS),
        (sign(typ, asserted(iss="analyst", sub="analyst"), STEWARDS), Problem.KEY),
        (sign(typ, asserted(jti="a-2", exp=NOW + 31), STEWARDS), Problem.LIFETIME),
        (sign(typ, asserted(jti="a-3", aud=POLICE), STEWARDS), Problem.AUDIENCE),
        (sign(typ, asserted(jti="a-4"), STRANGER), Problem.KEY),
    ):
        with pytest.raises(TokenProblem) as caught:
            await verifier.verify(other, typ, CARE)
        assert caught.value.problem is problem


class OneClient:
    def __init__(self, name: str, key: SigningKey) -> None:
        self.keys = keys_of_one(name, [key.jwk])

    def token_revoked(self, issuer: str, jti: str) -> bool:
        return False


def test_no_key_of_a_statement_signs_what_a_person_or_a_client_signs() -> None:
    bench = new_bench()
    own = {typ for typ, profile in PROFILES.items() if profile.signed_with is None}
    assert own == {
        "isthmus-client-assertion+jwt",
        "isthmus-decision+jwt",
        "isthmus-policy+jwt",
        "isthmus-rotation+jwt",
    }
    for typ in own:
        for use in ("federation", "tokens", "contracts", "revocations"):
            assert bench.federation.keys(CARE, getattr(bench.care, use).kid, typ) == []


def test_whoever_speaks_of_itself_says_so_in_both_names() -> None:
    of_itself = {typ for typ, profile in PROFILES.items() if profile.of_itself}
    assert of_itself == {
        "isthmus-client-assertion+jwt",
        "isthmus-policy+jwt",
        "isthmus-request+jwt",
        "isthmus-revocation+jwt",
        "isthmus-rotation+jwt",
    }
    assert {typ for typ, profile in PROFILES.items() if profile.pushes_chain} == {"isthmus-request+jwt"}


async def test_a_directory_that_answers_with_another_key_than_asked_for_is_not_believed() -> None:
    verifier = Verifier(FixedDirectory([STRANGER.jwk]), lambda: NOW, MemoryReplay())
    typ = "isthmus-client-assertion+jwt"
    with pytest.raises(TokenProblem) as caught:
        await verifier.verify(sign(typ, asserted(), STEWARDS), typ, CARE)
    assert caught.value.problem is Problem.KEY
