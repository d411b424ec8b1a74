"""The one verifier against abuse cases 6 to 9 of the threat list: names, times, replay, binding."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.identity import b64url
from gateway.edges.tokens import Verifier, sign
from gateway.rules.jose import Problem, TokenProblem, decode_segment
from gateway.rules.tokens import request_hash
from tests.unit.trust_kit import (
    CARE,
    METHOD,
    NOW,
    POLICE,
    RQH,
    SESSION,
    THUMBPRINT,
    Absent,
    Bench,
    approval_claims,
    at,
    at_claims,
    forged,
    new_bench,
    refused_at,
    request,
    request_claims,
)

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


# 6: audience and issuer ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "aud",
    [
        [CARE],
        [CARE, POLICE],
        POLICE,
        CARE + "/",
        "https://CARE.example",
        "https://care.example:443",
        "127.0.0.1:7443",
        "",
        None,
        Absent,
        {"aud": CARE},
    ],
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
async def test_07_times_outside_the_rules_are_refused(bench: Bench, claims: dict[str, Any], problem: Problem) -> None:
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
    raw = decode_segment(signature, "signature")
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
