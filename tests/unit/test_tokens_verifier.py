"""The one verifier against the abuse cases 1 to 9 of the threat list, at the level of a unit."""

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

from gateway.domain.errors import Reason
from gateway.domain.identity import b64url
from gateway.edges.keys import new_signing_key
from gateway.edges.tokens import Verified, Verifier, sign
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.jwks import jwk_object
from gateway.rules.tokens import request_hash
from tests.unit.trust_kit import (
    CARE,
    METHOD,
    NOW,
    POLICE,
    SESSION,
    Absent,
    Bench,
    FixedDirectory,
    approval_claims,
    at_claims,
    forge,
    header_of,
    new_bench,
    request_claims,
)

THUMBPRINT = b64url(hashlib.sha256(b"certificate").digest())
BODY = b"request bytes as received"
RQH = request_hash(BODY)
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture(scope="module")
def shared() -> Bench:
    return new_bench()


@pytest.fixture
def bench(shared: Bench) -> Bench:
    """Fresh memory and clock over keys that are made once."""
    shared.clock.now = NOW
    shared.replay.used.clear()
    return shared


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
    return forge(
        header_of("at+jwt", key, **(header or {})), at_claims(THUMBPRINT, **claims), secret or key.secret
    )


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


# 6: audience and issuer ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "aud",
    [[CARE], [CARE, POLICE], POLICE, CARE + "/", "https://CARE.example", "https://care.example:443", "127.0.0.1:7443"]
    + ["", None, Absent, {"aud": CARE}],
)
async def test_06_any_audience_but_the_exact_one_is_refused(bench: Bench, aud: object) -> None:
    assert (await refused_at(bench, forged(bench, aud=aud))).problem is Problem.AUDIENCE


async def test_06_a_session_audience_is_none_for_an_access_token(bench: Bench) -> None:
    with pytest.raises(TokenProblem) as caught:
        await bench.verifier.verify(
            forged(bench, aud=SESSION), "at+jwt", SESSION, issuer=CARE, certificate_thumbprint=THUMBPRINT
        )
    assert caught.value.problem is Problem.AUDIENCE


async def test_06_a_known_key_under_another_issuer_is_refused(bench: Bench) -> None:
    assert (await refused_at(bench, forged(bench, iss=POLICE))).problem is Problem.KEY


async def test_06_a_peer_issues_no_tokens_for_our_clients(bench: Bench) -> None:
    compact = sign("at+jwt", at_claims(THUMBPRINT, iss=POLICE), bench.police.tokens)
    assert (await refused_at(bench, compact)).problem is Problem.ISSUER


@pytest.mark.parametrize("iss", [None, 1, ["https://care.example"], "", Absent, "https://unknown.example"])
async def test_06_an_issuer_that_is_nobody_is_refused(bench: Bench, iss: object) -> None:
    assert (await refused_at(bench, forged(bench, iss=iss))).problem in (Problem.CLAIMS, Problem.KEY)


# 7: times -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iat", "exp", "nbf"])
@pytest.mark.parametrize("value", [str(NOW), float(NOW), True, None, [NOW], {}])
async def test_07_times_that_are_no_integers_are_refused(bench: Bench, name: str, value: object) -> None:
    assert (await refused_at(bench, forged(bench, **{name: value}))).problem is Problem.TIMES


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        ({"exp": Absent}, Problem.TIMES),
        ({"iat": Absent}, Problem.TIMES),
        ({"iat": NOW - 400, "exp": NOW - 100}, Problem.TIMES),
        ({"iat": NOW + 6, "exp": NOW + 300}, Problem.TIMES),
        ({"iat": NOW, "exp": NOW}, Problem.TIMES),
        ({"iat": NOW, "exp": NOW - 1}, Problem.TIMES),
        ({"iat": -1, "exp": 200}, Problem.TIMES),
        ({"iat": NOW, "exp": NOW + 301}, Problem.LIFETIME),
        ({"nbf": NOW + 6}, Problem.TIMES),
    ],
)
async def test_07_times_outside_the_rules_are_refused(
    bench: Bench, claims: dict[str, Any], problem: Problem
) -> None:
    assert (await refused_at(bench, forged(bench, **claims))).problem is problem


async def test_07_five_seconds_of_skew_are_forgiven_and_no_more(bench: Bench) -> None:
    compact = sign("at+jwt", at_claims(THUMBPRINT), bench.care.tokens)
    for now in (NOW - 5, NOW + 304):
        bench.clock.now = now
        await at(bench, compact)
    for now in (NOW - 6, NOW + 305):
        bench.clock.now = now
        assert (await refused_at(bench, compact)).problem is Problem.TIMES


async def test_07_a_receipt_never_expires_and_says_no_expiry(bench: Bench) -> None:
    claims = approval_claims(exp=Absent)
    receipt = sign("isthmus-receipt+jwt", claims, bench.police.contracts)
    assert (await bench.verifier.verify(receipt, "isthmus-receipt+jwt", SESSION)).claims == claims
    with pytest.raises(ValueError, match="does not expire"):
        sign("isthmus-receipt+jwt", approval_claims(), bench.police.contracts)


# 8: replay ----------------------------------------------------------------------------------------


async def test_08_a_request_is_good_for_one_use_and_remembered_past_its_leeway(bench: Bench) -> None:
    compact = sign("isthmus-request+jwt", request_claims(RQH), bench.police.tokens)
    await request(bench, compact)
    with pytest.raises(TokenProblem) as caught:
        await request(bench, compact)
    assert caught.value.problem is Problem.REPLAY
    assert bench.replay.used == {(POLICE, "isthmus-request+jwt", "request-1"): NOW + 60 + 5}


async def test_08_a_second_verifier_on_the_same_store_refuses_the_replay(bench: Bench) -> None:
    compact = sign("isthmus-request+jwt", request_claims(RQH), bench.police.tokens)
    await request(bench, compact)
    replica = replace(bench)
    with pytest.raises(TokenProblem):
        await request(replica, compact)


async def test_08_a_padded_or_respelled_signature_is_refused(bench: Bench) -> None:
    compact = sign("isthmus-request+jwt", request_claims(RQH), bench.police.tokens)
    last = compact[-1]
    respelled = compact[:-1] + chr(ord(last) + 1)  # the last character of 64 bytes carries four unused bits
    for other in (compact + "=", compact + "==", respelled, compact + ".", compact + " ", "\n" + compact):
        with pytest.raises(TokenProblem) as caught:
            await request(bench, other)
        assert caught.value.problem is Problem.MALFORMED
    assert not bench.replay.used


async def test_08_a_malleated_ecdsa_signature_is_the_same_use_and_the_same_digest() -> None:
    bench = new_bench("ES256")
    compact = sign("isthmus-request+jwt", request_claims(RQH), bench.police.tokens)
    head, _, signature = compact.rpartition(".")
    raw = bytes.fromhex("") + __import__("base64").urlsafe_b64decode(signature + "==")
    other = (P256_ORDER - int.from_bytes(raw[32:])).to_bytes(32, "big")
    malleated = f"{head}.{b64url(raw[:32] + other)}"
    assert malleated != compact
    first = await request(bench, malleated)
    with pytest.raises(TokenProblem) as caught:
        await request(bench, compact)
    assert caught.value.problem is Problem.REPLAY
    bench.replay.used.clear()
    assert (await request(bench, compact)).digest == first.digest


async def test_08_without_a_store_or_with_a_broken_one_nothing_passes(bench: Bench) -> None:
    class BrokenReplay:
        async def consume(self, issuer: str, typ: str, jti: str, expires_at: int) -> bool:
            raise ConnectionError("store is down")

    compact = sign("isthmus-request+jwt", request_claims(RQH), bench.police.tokens)
    call: dict[str, Any] = {"issuer": POLICE, "request_hash": RQH, "method": METHOD}
    with pytest.raises(TokenProblem):
        await Verifier(bench.federation, bench.clock).verify(compact, "isthmus-request+jwt", CARE, **call)
    with pytest.raises(ConnectionError):
        await Verifier(bench.federation, bench.clock, BrokenReplay()).verify(
            compact, "isthmus-request+jwt", CARE, **call
        )


async def test_08_a_refused_request_consumes_nothing(bench: Bench) -> None:
    compact = sign("isthmus-request+jwt", request_claims(RQH), bench.police.tokens)
    with pytest.raises(TokenProblem):
        await request(bench, compact, request_hash=request_hash(b"another"))
    await request(bench, compact)


@pytest.mark.parametrize("jti", ["", "a\u0000b", "a'b", "x" * 129, 1, None, Absent])
async def test_08_a_jti_that_a_store_could_not_tell_apart_is_refused(bench: Bench, jti: object) -> None:
    assert (await refused_at(bench, forged(bench, jti=jti))).problem is Problem.CLAIMS


# 9: binding ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("presented", [None, "", b64url(hashlib.sha256(b"thief").digest())])
async def test_09_a_token_on_another_certificate_is_refused(bench: Bench, presented: str | None) -> None:
    compact = sign("at+jwt", at_claims(THUMBPRINT), bench.care.tokens)
    problem = await refused_at(bench, compact, certificate_thumbprint=presented)
    assert problem.problem is Problem.BINDING


@pytest.mark.parametrize("cnf", [Absent, {}, None, "x", {"x5t#S256": ""}, {"jkt": THUMBPRINT}, {"x5t": "a"}])
async def test_09_a_token_bound_to_no_certificate_is_refused(bench: Bench, cnf: object) -> None:
    assert (await refused_at(bench, forged(bench, cnf=cnf))).problem is Problem.CLAIMS


@pytest.mark.parametrize(
    "call",
    [
        {"request_hash": request_hash(b"another request")},
        {"request_hash": None},
        {"method": "/isthmus.peer.v1.PeerService/Run"},
        {"method": METHOD.lower()},
        {"method": None},
        {"issuer": None},
    ],
)
async def test_09_a_request_token_for_another_call_is_refused(bench: Bench, call: dict[str, Any]) -> None:
    compact = sign("isthmus-request+jwt", request_claims(RQH), bench.police.tokens)
    with pytest.raises(TokenProblem) as caught:
        await request(bench, compact, **call)
    assert caught.value.problem is Problem.BINDING
    assert not bench.replay.used


async def test_09_a_caller_that_forgets_whose_token_it_accepts_gets_nothing(bench: Bench) -> None:
    compact = sign("at+jwt", at_claims(THUMBPRINT), bench.care.tokens)
    assert (await refused_at(bench, compact, issuer=None)).problem is Problem.BINDING


async def test_09_another_operators_certificate_is_refused(bench: Bench) -> None:
    compact = sign("isthmus-request+jwt", request_claims(RQH), bench.police.tokens)
    with pytest.raises(TokenProblem) as caught:
        await request(bench, compact, issuer=CARE)
    assert caught.value.problem is Problem.ISSUER


async def test_a_token_over_its_profiles_size_is_refused(bench: Bench) -> None:
    problem = await refused_at(bench, forged(bench, note="x" * 8192))
    assert problem.problem is Problem.MALFORMED
