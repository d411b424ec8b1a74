"""Whatever bytes come in, the verifier and the chain checker answer with their own error or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.domain.identity import b64url, parse_entity_id
from gateway.edges.certificates import Purpose as CertificatePurpose
from gateway.edges.certificates import claimed_uri, issued_by, thumbprint
from gateway.edges.tokens import sign
from gateway.rules.jose import TokenProblem, parse_compact, parse_object
from gateway.rules.jwks import parse_jwk
from gateway.rules.metadata_policy import apply_policy, combine, read_policy
from tests.unit.trust_kit import (
    CARE,
    NOW,
    THUMBPRINT,
    Bench,
    at_claims,
    chain_of,
    forge,
    header_of,
    new_bench,
    refused_at,
)

BENCH: Bench = new_bench()
GOOD = sign("at+jwt", at_claims(THUMBPRINT), BENCH.care.tokens)
CHAIN = chain_of(BENCH.care, BENCH.anchor_key)
SETTINGS = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
claim_names = st.sampled_from([*at_claims(THUMBPRINT), "nbf", "act", "authorization_details", "jwks", "metadata"])
statement_names = st.sampled_from(
    [
        "iss",
        "sub",
        "iat",
        "exp",
        "nbf",
        "aud",
        "jwks",
        "metadata",
        "metadata_policy",
        "metadata_policy_crit",
        "constraints",
        "crit",
        "authority_hints",
    ]
)


def refuse(compact: str) -> None:
    asyncio.run(refused_at(BENCH, compact))


@SETTINGS
@given(st.text(max_size=200))
@example("..")
@example("a.b.c")
@example("é.é.é")
def test_any_text_is_refused(compact: str) -> None:
    refuse(compact)


@SETTINGS
@given(st.data())
def test_a_token_changed_anywhere_is_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD) - 1))
    put = data.draw(st.characters(max_codepoint=300).filter(lambda c: c != GOOD[at]) | st.just(""))
    refuse(GOOD[:at] + put + GOOD[at + 1 :])


@SETTINGS
@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "trust_chain"]) | st.text(max_size=5), json_values))
def test_any_header_is_refused_or_one_of_ours(header: dict[str, Any]) -> None:
    compact = forge(json.dumps(header), at_claims(THUMBPRINT), BENCH.care.tokens.secret)
    with contextlib.suppress(TokenProblem):
        parse_compact(compact, 100_000)
    refuse(compact)


@SETTINGS
@given(claim_names, json_values)
def test_a_rightly_signed_token_with_any_claim_raises_nothing_else(name: str, value: object) -> None:
    compact = forge(
        header_of("at+jwt", BENCH.care.tokens),
        json.dumps({**at_claims(THUMBPRINT), name: value}),
        BENCH.care.tokens.secret,
    )
    with contextlib.suppress(TokenProblem):
        verified = asyncio.run(
            BENCH.verifier.verify(compact, "at+jwt", CARE, issuer=CARE, certificate_thumbprint=THUMBPRINT)
        )
        assert verified.claims["aud"] == CARE
        assert type(verified.claims["exp"]) is int


@SETTINGS
@given(st.integers(0, 1), st.dictionaries(statement_names, json_values, max_size=3))
def test_a_rightly_signed_chain_with_any_claims_raises_nothing_else(which: int, changes: dict[str, Any]) -> None:
    keys = [BENCH.care.federation, BENCH.anchor_key]
    claims = {**parse_compact(CHAIN[which], 64_000).claims, **changes}
    chain = list(CHAIN)
    chain[which] = forge(header_of("entity-statement+jwt", keys[which]), json.dumps(claims), keys[which].secret)
    with contextlib.suppress(TokenProblem):
        assert BENCH.federation.admit(chain).entity_id == CARE


@SETTINGS
@given(json_values, json_values, json_values)
def test_any_policy_over_any_metadata_raises_nothing_else(policy: Any, other: Any, metadata: Any) -> None:
    with contextlib.suppress(TokenProblem):
        both = [
            read_policy({"metadata_policy": {"t": {"p": {name: operand}}}}, "t")
            for name, operand in (("one_of", policy), ("subset_of", policy), ("value", other))
        ]
        apply_policy(combine(combine(both[0], both[1]), both[2]), {"p": metadata})


@SETTINGS
@given(st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "alg", "use", "key_ops", "kid", "d"]), json_values))
def test_any_jwk_raises_nothing_else(value: dict[str, Any]) -> None:
    with pytest.raises(TokenProblem):
        parse_jwk(value)
    with contextlib.suppress(TokenProblem):
        parse_jwk({"kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "x": b64url(b"x" * 32), **value})


@SETTINGS
@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps({"a": value}).encode()))
def test_what_is_read_as_strict_json_means_the_same_to_everyone(raw: bytes) -> None:
    with contextlib.suppress(TokenProblem):
        value = parse_object(raw, "payload")
        assert json.loads(raw) == value
        assert json.loads(json.dumps(value)) == value


@SETTINGS
@given(st.binary(max_size=300))
def test_any_bytes_are_no_certificate(raw: bytes) -> None:
    authority = BENCH.care.authority.certificate_pem
    assert not issued_by(raw, authority, NOW, CertificatePurpose.CLIENT)
    for read in (claimed_uri, thumbprint):
        with pytest.raises(TokenProblem):
            read(raw)


@SETTINGS
@given(st.from_regex(r"https?://[a-zA-Z0-9.:@%/?#~_-]{0,40}", fullmatch=True))
def test_an_accepted_entity_id_is_spelled_in_its_only_way(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_entity_id(text) == text
        host, _, path = text.removeprefix("https://").partition("/")
        assert host == host.lower()
        assert not set(text.removeprefix("https://")) & set("@:?#%")
        assert not {"", ".", ".."} & set(path.split("/") if path else [])


@pytest.mark.parametrize("payload", ['"\\"' * 80_000, '{"a":' + '"\\"\\"' * 40_000, "[" * 300_000, '"' * 300_000])
def test_hostile_json_is_refused_in_linear_time(payload: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(TokenProblem):
        parse_object(payload.encode(), "payload")
    assert time.perf_counter() - begun < 2  # quadratic would take minutes
