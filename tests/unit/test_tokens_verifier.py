"""The one verifier against abuse cases 1 to 5 of the threat list: algorithms, headers, keys, typ."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.exceptions import InvalidKeyError

from gateway.domain.errors import Reason
from gateway.domain.identity import b64url
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.tokens import Verifier, sign, signature_holds
from gateway.rules.jose import Problem, TokenProblem, parse_compact
from gateway.rules.jwks import jwk_object
from tests.unit.trust_kit import (
    CARE,
    NOW,
    POLICE,
    SESSION,
    THUMBPRINT,
    Absent,
    Bench,
    FixedDirectory,
    approval_claims,
    at,
    at_claims,
    forge,
    forged,
    header_of,
    new_bench,
    refused_at,
)


@pytest.fixture(scope="module")
def shared() -> Bench:
    return new_bench()


@pytest.fixture
def bench(shared: Bench) -> Bench:
    """Fresh memory and clock over keys that are made once."""
    shared.clock.now = NOW
    shared.replay.used.clear()
    return shared


@pytest.mark.parametrize("alg", ["Ed25519", "ES256"])
async def test_a_good_token_passes_under_either_algorithm(alg: str) -> None:
    bench = new_bench(alg)
    compact = sign("at+jwt", at_claims(THUMBPRINT), bench.care.tokens)
    verified = await at(bench, compact)
    assert (verified.issuer, verified.kid) == (CARE, bench.care.tokens.kid)
    assert verified.claims["client_id"] == "analyst"


async def test_our_signature_is_over_canonical_bytes_and_another_implementation_agrees(bench: Bench) -> None:
    compact = sign("at+jwt", at_claims(THUMBPRINT), bench.care.tokens)
    canonical = json.dumps(at_claims(THUMBPRINT), sort_keys=True, separators=(",", ":"))
    key = bench.care.tokens
    header = json.dumps(header_of("at+jwt", key), sort_keys=True, separators=(",", ":"))
    assert compact == forge(header, canonical, key.secret)  # Ed25519 signs deterministically


async def test_a_refusal_tells_the_caller_nothing_and_the_log_everything(bench: Bench) -> None:
    problem = await refused_at(bench, forged(bench, aud=POLICE))
    assert problem.reason is Reason.UNAUTHENTICATED
    assert POLICE not in str(problem)
    assert POLICE in problem.private


# 1: algorithms ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "alg", ["none", "None", "", "HS256", "RS256", "PS256", "ES384", "EdDSA", "ed25519", None, 1, ["Ed25519"]]
)
async def test_01_algorithms_that_are_not_ours_are_refused(bench: Bench, alg: object) -> None:
    assert (await refused_at(bench, forged(bench, header={"alg": alg}))).problem is Problem.ALGORITHM


async def test_01_no_signature_at_all_is_refused(bench: Bench) -> None:
    unsigned = forged(bench, header={"alg": "none"}).rsplit(".", 1)[0] + "."
    assert (await refused_at(bench, unsigned)).problem in (Problem.MALFORMED, Problem.ALGORITHM)


async def test_01_hmac_keyed_with_a_public_key_or_its_jwk_is_refused(bench: Bench) -> None:
    key = bench.care.tokens
    public = key.secret.public_key()
    for secret in (
        public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(jwk_object(key.jwk)).encode(),
    ):
        for alg in ("HS256", "Ed25519"):
            head = forge(header_of("at+jwt", key, alg=alg), at_claims(THUMBPRINT), b"").rsplit(".", 1)[0]
            mac = hmac.new(secret, head.encode(), hashlib.sha256).digest()
            await refused_at(bench, f"{head}.{b64url(mac)}")


async def test_01_an_algorithm_other_than_the_keys_is_refused(bench: Bench) -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    problem = await refused_at(bench, forged(bench, header={"alg": "ES256"}, secret=secret))
    assert problem.problem is Problem.ALGORITHM


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519", "Ed448"])
async def test_01_ed448_is_refused_under_every_name(bench: Bench, alg: str) -> None:
    secret = Ed448PrivateKey.generate()
    public = secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    posing = replace(bench.care.tokens.jwk, x=b64url(public))
    header = {"alg": alg, "kid": posing.kid, "typ": "at+jwt"}
    verifier = Verifier(FixedDirectory([posing]), bench.clock, bench.replay)
    with pytest.raises(TokenProblem):
        await verifier.verify(
            forge(header, at_claims(THUMBPRINT), secret),
            "at+jwt",
            CARE,
            issuer=CARE,
            certificate_thumbprint=THUMBPRINT,
        )


async def test_01_another_key_under_a_known_kid_is_refused(bench: Bench) -> None:
    problem = await refused_at(bench, forged(bench, secret=new_signing_key().secret))
    assert problem.problem is Problem.SIGNATURE


# 2, 3: headers and JSON ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "x5t#S256", "crit", "b64", "zip", "cty", "foo"])
async def test_02_03_header_parameters_outside_the_list_are_refused(bench: Bench, name: str) -> None:
    values: dict[str, Any] = {
        "jwk": jwk_object(bench.care.tokens.jwk),
        "crit": ["exp"],
        "b64": False,
        "x5c": ["MIIB"],
    }
    header = {name: values.get(name, "https://attacker.example/keys")}
    assert (await refused_at(bench, forged(bench, header=header))).problem is Problem.HEADER


async def test_03_duplicate_names_are_refused_in_header_and_payload(bench: Bench) -> None:
    key = bench.care.tokens
    header = json.dumps(header_of("at+jwt", key))
    payload = json.dumps(at_claims(THUMBPRINT))
    twice = {
        "header": forge(header[:-1] + ', "alg": "Ed25519"}', payload, key.secret),
        "payload": forge(header, payload[:-1] + f', "aud": "{CARE}"}}', key.secret),
        "nested": forge(header, payload[:-1] + ', "act": {"sub": "a", "sub": "b"}}', key.secret),
        "escaped": forge(header, payload[:-1] + ', "\\u0061ud": "x"}', key.secret),
    }
    for compact in twice.values():
        assert (await refused_at(bench, compact)).problem is Problem.MALFORMED


@pytest.mark.parametrize(
    "member",
    [
        '"n": NaN',
        '"n": Infinity',
        '"n": -Infinity',
        '"n": 1e999',
        '"n": 9007199254740992',
        '"n": ' + "9" * 5000,
        '"n": ' + "[" * 17 + "]" * 17,
        '"n": ' + "[" * 3000,
        '"n": "\\ud800"',
        "'n': 1",
        '"n": 1,',
    ],
)
async def test_03_json_with_more_than_one_reading_is_refused(bench: Bench, member: str) -> None:
    key = bench.care.tokens
    payload = json.dumps(at_claims(THUMBPRINT))[:-1] + f", {member}}}"
    problem = await refused_at(bench, forge(header_of("at+jwt", key), payload, key.secret))
    assert problem.problem is Problem.MALFORMED


async def test_03_brackets_inside_strings_are_no_nesting(bench: Bench) -> None:
    compact = forged(bench, note='"[[[[' * 50 + "\\")
    assert (await at(bench, compact)).claims["note"].startswith('"[[')


# 4: keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kid", ["../../etc/passwd", "' OR 1=1 --", "", "a" * 42, "a" * 44, None, 7, Absent])
async def test_04_a_kid_that_is_no_thumbprint_is_refused(bench: Bench, kid: object) -> None:
    assert (await refused_at(bench, forged(bench, header={"kid": kid}))).problem is Problem.HEADER


async def test_04_unknown_kid_is_refused(bench: Bench) -> None:
    assert (await refused_at(bench, forged(bench, header={"kid": "A" * 43}))).problem is Problem.KEY


@pytest.mark.parametrize("fault", ["none", "two", "use", "key_ops", "both_ops", "other_key"])
async def test_04_anything_but_one_fit_key_is_refused(bench: Bench, fault: str) -> None:
    jwk = bench.care.tokens.jwk
    answers = {
        "none": [],
        "two": [jwk, jwk],
        "use": [replace(jwk, use="enc")],
        "key_ops": [replace(jwk, key_ops=("sign",))],
        "both_ops": [replace(jwk, key_ops=("sign", "verify"))],
        "other_key": [bench.police.tokens.jwk],
    }
    compact = sign("at+jwt", at_claims(THUMBPRINT), bench.care.tokens)
    verifier = Verifier(FixedDirectory(answers[fault]), bench.clock, bench.replay)
    with pytest.raises(TokenProblem) as caught:
        await verifier.verify(compact, "at+jwt", CARE, issuer=CARE, certificate_thumbprint=THUMBPRINT)
    assert caught.value.problem is Problem.KEY


async def test_04_contract_and_federation_keys_sign_no_access_tokens(bench: Bench) -> None:
    for key in (bench.care.contracts, bench.care.federation):
        compact = sign("at+jwt", at_claims(THUMBPRINT), key)
        assert (await refused_at(bench, compact)).problem is Problem.KEY


async def test_04_a_gateways_token_key_signs_no_approvals(bench: Bench) -> None:
    good = sign("isthmus-approval+jwt", approval_claims(), bench.police.contracts)
    bad = sign("isthmus-approval+jwt", approval_claims(), bench.police.tokens)
    assert (await bench.verifier.verify(good, "isthmus-approval+jwt", SESSION)).issuer == POLICE
    with pytest.raises(TokenProblem) as caught:
        await bench.verifier.verify(bad, "isthmus-approval+jwt", SESSION)
    assert caught.value.problem is Problem.KEY


# 5: typ -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typ", [Absent, "JWT", "AT+JWT", "application/at+jwt", "at+jwt ", "", None, ["at+jwt"]])
async def test_05_missing_or_wrong_typ_is_refused(bench: Bench, typ: object) -> None:
    assert (await refused_at(bench, forged(bench, header={"typ": typ}))).problem is Problem.TYP


async def test_05_an_entity_statement_is_no_access_token(bench: Bench) -> None:
    statement = forge(
        header_of("entity-statement+jwt", bench.care.federation),
        at_claims(THUMBPRINT),
        bench.care.federation.secret,
    )
    assert (await refused_at(bench, statement)).problem is Problem.TYP


async def test_05_a_typ_without_a_profile_is_refused(bench: Bench) -> None:
    with pytest.raises(TokenProblem) as caught:
        await bench.verifier.verify(forged(bench, header={"typ": "JWT"}), "JWT", CARE)
    assert caught.value.problem is Problem.TYP
    with pytest.raises(ValueError, match="unknown typ"):
        sign("JWT", at_claims(THUMBPRINT), bench.care.tokens)


async def test_a_token_over_its_profiles_size_is_refused(bench: Bench) -> None:
    problem = await refused_at(bench, forged(bench, note="x" * 8192))
    assert problem.problem is Problem.MALFORMED


async def test_01_no_other_key_is_signed_with_under_the_name_ed25519(bench: Bench) -> None:
    posing = SigningKey(Ed448PrivateKey.generate(), bench.care.tokens.jwk)  # type: ignore[arg-type]
    with pytest.raises(InvalidKeyError):
        sign("at+jwt", at_claims(THUMBPRINT), posing)


async def test_04_a_signature_holds_only_under_the_key_that_the_token_names(bench: Bench) -> None:
    key = bench.care.tokens
    token = parse_compact(forged(bench), 8192)
    assert signature_holds(token, key.jwk)
    for jwk in (replace(key.jwk, use="enc"), replace(key.jwk, key_ops=("sign",)), replace(key.jwk, alg="ES256")):
        assert not signature_holds(token, jwk)
    assert not signature_holds(parse_compact(forged(bench, header={"kid": "k" * 43}), 8192), key.jwk)
    assert not signature_holds(parse_compact(forged(bench, header={"alg": "ES256"}), 8192), key.jwk)
