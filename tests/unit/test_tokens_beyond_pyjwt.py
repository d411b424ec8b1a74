"""What PyJWT by itself lets pass and our verifier does not. Each test shows both, so that it tells when PyJWT changes.

PyJWT is called as its documentation has it: key, one algorithm, audience and issuer; nothing is switched off.
"""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey

from gateway.domain.identity import Jwk, b64url
from gateway.edges.keys import new_signing_key
from gateway.edges.tokens import Verifier
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.jwks import jwk_object, parse_verification_keys
from tests.unit.trust_kit import (
    CARE,
    NOW,
    THUMBPRINT,
    Absent,
    Bench,
    FixedDirectory,
    MemoryReplay,
    at_claims,
    forge,
    header_of,
    new_bench,
    refused_at,
)

LATER = 2**33  # PyJWT reads the machine's clock: a time that is not over yet, whenever this runs
PAST = 1_000_000_000


@pytest.fixture(scope="module")
def bench() -> Bench:
    """With ES256, the one algorithm that both know by the same name."""
    return new_bench("ES256")


def pyjwt(compact: str, bench: Bench) -> dict[str, Any]:
    key = bench.care.tokens.secret.public_key()
    return jwt.decode(compact, key, algorithms=["ES256"], audience=CARE, issuer=CARE)


def token(bench: Bench, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """Times that PyJWT finds good; `at+jwt` in all else."""
    key = bench.care.tokens
    claims = {"iat": PAST, "exp": LATER, **claims}
    return forge(header_of("at+jwt", key, **(header or {})), at_claims(THUMBPRINT, **claims), key.secret)


async def stands_out(bench: Bench, compact: str, problem: Problem) -> None:
    assert pyjwt(compact, bench)["sub"] == "analyst"
    assert (await refused_at(bench, compact)).problem is problem


@pytest.mark.parametrize("typ", ["JWT", "entity-statement+jwt", "isthmus-request+jwt", "AT+JWT", "application/at+jwt"])
async def test_a_wrong_typ(bench: Bench, typ: str) -> None:
    await stands_out(bench, token(bench, {"typ": typ}), Problem.TYP)


async def test_an_absent_typ(bench: Bench) -> None:
    await stands_out(bench, token(bench, {"typ": Absent}), Problem.TYP)


async def test_a_missing_exp(bench: Bench) -> None:
    await stands_out(bench, token(bench, exp=Absent), Problem.TIMES)


@pytest.mark.parametrize("exp", [str(LATER), float(LATER), LATER + 0.5])
async def test_times_that_are_strings_or_fractions(bench: Bench, exp: object) -> None:
    await stands_out(bench, token(bench, exp=exp), Problem.TIMES)


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize("value", [True, False])
async def test_times_that_are_booleans(bench: Bench, name: str, value: bool) -> None:
    await stands_out(bench, token(bench, **{name: value}), Problem.TIMES)


async def test_a_lifetime_beyond_any_cap(bench: Bench) -> None:
    await stands_out(bench, token(bench), Problem.LIFETIME)


async def test_duplicate_names_in_the_claims(bench: Bench) -> None:
    claims = json.dumps(at_claims(THUMBPRINT, iat=PAST, exp=LATER))
    doubled = claims[:-1] + ', "sub": "analyst"}'
    key = bench.care.tokens
    await stands_out(bench, forge(header_of("at+jwt", key), doubled, key.secret), Problem.MALFORMED)


async def test_duplicate_names_in_the_header(bench: Bench) -> None:
    key = bench.care.tokens
    doubled = json.dumps(header_of("at+jwt", key))[:-1] + ', "typ": "at+jwt"}'
    claims = at_claims(THUMBPRINT, iat=PAST, exp=LATER)
    await stands_out(bench, forge(doubled, claims, key.secret), Problem.MALFORMED)


async def test_numbers_that_json_does_not_have(bench: Bench) -> None:
    claims = json.dumps(at_claims(THUMBPRINT, iat=PAST, exp=LATER))[:-1] + ', "x": NaN}'
    key = bench.care.tokens
    await stands_out(bench, forge(header_of("at+jwt", key), claims, key.secret), Problem.MALFORMED)


@pytest.mark.parametrize("aud", [[CARE], [CARE, "https://police.example"]])
async def test_an_audience_that_is_a_list(bench: Bench, aud: list[str]) -> None:
    await stands_out(bench, token(bench, aud=aud), Problem.AUDIENCE)


@pytest.mark.parametrize("jti", ["", "a\u0000b"])
async def test_a_jti_that_is_empty_or_no_identifier(bench: Bench, jti: str) -> None:
    await stands_out(bench, token(bench, jti=jti), Problem.CLAIMS)


async def test_a_jti_that_is_absent_and_a_token_used_twice(bench: Bench) -> None:
    await stands_out(bench, token(bench, jti=Absent), Problem.CLAIMS)
    compact = token(bench)
    assert pyjwt(compact, bench) == pyjwt(compact, bench)  # PyJWT remembers nothing


@pytest.mark.parametrize("header", [{"jwk": {}}, {"x5c": ["AA"]}, {"jku": "https://x.example"}, {"cty": "JWT"}])
async def test_headers_that_no_token_of_ours_has(bench: Bench, header: dict[str, Any]) -> None:
    await stands_out(bench, token(bench, header), Problem.HEADER)


async def test_a_kid_that_is_another_keys(bench: Bench) -> None:
    await stands_out(bench, token(bench, {"kid": "k" * 43}), Problem.KEY)


@pytest.mark.parametrize(
    "wrong", [{"use": "enc"}, {"key_ops": ["sign"]}, {"key_ops": ["verify", "sign"]}, {"key_ops": ["deriveKey"]}]
)
async def test_a_jwk_that_is_not_for_verifying(bench: Bench, wrong: dict[str, Any]) -> None:
    key = bench.care.tokens
    described = {**jwk_object(key.jwk), **wrong}
    compact = token(bench)
    accepted = jwt.decode(compact, jwt.PyJWK(described), algorithms=["ES256"], audience=CARE, issuer=CARE)
    assert accepted["sub"] == "analyst"
    with pytest.raises(TokenProblem) as caught:
        parse_verification_keys({"keys": [described]})
    assert caught.value.problem is Problem.KEY
    # Nor where a directory names such a key all the same.
    given = Jwk(**{**vars_of(key.jwk), **{n: tuple(v) if n == "key_ops" else v for n, v in wrong.items()}})
    verifier = Verifier(FixedDirectory([given]), lambda: NOW, MemoryReplay())
    with pytest.raises(TokenProblem) as caught:
        await verifier.verify(compact, "at+jwt", CARE, issuer=CARE, certificate_thumbprint=THUMBPRINT)
    assert caught.value.problem is Problem.KEY


async def test_ed448_under_eddsa() -> None:
    """RFC 9864 has a name for each curve; EdDSA is either, so whoever pins EdDSA has not pinned the curve."""
    secret = Ed448PrivateKey.generate()
    x = b64url(secret.public_key().public_bytes_raw())
    claims = at_claims(THUMBPRINT, iat=PAST, exp=LATER)
    for alg in ("EdDSA", "Ed25519"):
        compact = forge({"alg": alg, "kid": "k" * 43, "typ": "at+jwt"}, claims, secret)
        if alg == "EdDSA":
            accepted = jwt.decode(compact, secret.public_key(), algorithms=["EdDSA"], audience=CARE, issuer=CARE)
            assert accepted["sub"] == "analyst"
        named = Jwk("OKP", "Ed448", x, alg=alg, use="sig")
        with pytest.raises(TokenProblem) as caught:
            parse_verification_keys({"keys": [jwk_object(named)]})
        assert caught.value.problem is Problem.KEY
        with pytest.raises(TokenProblem):
            await Verifier(FixedDirectory([named]), lambda: NOW, MemoryReplay()).verify(
                compact, "at+jwt", CARE, issuer=CARE, certificate_thumbprint=THUMBPRINT
            )


def test_ed25519_is_one_registered_algorithm_and_takes_no_ed448_key() -> None:
    from gateway.edges.tokens import _JWS

    assert set(_JWS.get_algorithms()) == {"Ed25519", "ES256"}
    algorithm = _JWS.get_algorithm_by_name("Ed25519")
    assert algorithm.prepare_key(new_signing_key().secret.public_key())
    for key in (Ed448PrivateKey.generate(), Ed448PrivateKey.generate().public_key()):
        with pytest.raises(jwt.InvalidKeyError):
            algorithm.prepare_key(key)
        jwt.get_algorithm_by_name("EdDSA").prepare_key(key)  # PyJWT's own takes it


def vars_of(jwk: Jwk) -> dict[str, Any]:
    return {name: getattr(jwk, name) for name in ("kty", "crv", "x", "y", "alg", "use", "key_ops")}
