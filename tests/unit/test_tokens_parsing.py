"""Each rule of reading a token, by itself, on the reader alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.identity import b64url
from gateway.rules.jose import Problem, TokenProblem, decode_segment, parse_compact, parse_object
from gateway.rules.tokens import (
    PROFILES,
    Binding,
    Channel,
    check_audience,
    check_binding,
    check_shape,
    check_times,
    payload_digest,
)
from tests.unit.trust_kit import CARE, NOW, SESSION, THUMBPRINT, approval_claims, at_claims

HEADER: dict[str, Any] = {"alg": "Ed25519", "kid": "k" * 43, "typ": "at+jwt"}


def compact(header: Any = HEADER, payload: str = "{}") -> str:
    return f"{b64url(json.dumps(header).encode())}.{b64url(payload.encode())}.{b64url(bytes(64))}"


def problem_of(text: str, max_bytes: int = 200_000) -> Problem:
    with pytest.raises(TokenProblem) as caught:
        parse_compact(text, max_bytes)
    return caught.value.problem


def test_a_token_is_read_into_the_very_bytes_that_were_signed() -> None:
    token = parse_compact(compact(payload='{ "a" : 1 }'), 1000)
    assert token.claims == {"a": 1}
    assert token.payload == b'{ "a" : 1 }'
    assert token.signing_input == compact(payload='{ "a" : 1 }').rpartition(".")[0].encode()
    assert token.signature == bytes(64)


def test_size_is_looked_at_first() -> None:
    text = compact()
    assert parse_compact(text, len(text)).typ == "at+jwt"
    assert problem_of(text, len(text) - 1) is Problem.MALFORMED


@pytest.mark.parametrize(
    "text", ["", ".", "..", "...", compact() + ".x", compact().rpartition(".")[0], compact() + "é"]
)
def test_three_ascii_segments_or_nothing(text: str) -> None:
    assert problem_of(text) is Problem.MALFORMED


@pytest.mark.parametrize("text", ["A", "AA=", "AA==", "AB", "A+/A", "A A", "AAAA\n", "A.A", "AAAAA", "é"])
def test_a_segment_has_one_spelling(text: str) -> None:
    with pytest.raises(TokenProblem):
        decode_segment(text, "segment")
    assert decode_segment("AA", "segment") == b"\0"


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1", b"null", b"", b"{", b"\xff", b"\xef\xbb\xbf{}", b"{}{}", b"{} x"])
def test_only_one_json_object_in_utf8_is_read(raw: bytes) -> None:
    with pytest.raises(TokenProblem) as caught:
        parse_object(raw, "payload")
    assert caught.value.problem is Problem.MALFORMED


def test_depth_and_integers_are_bounded_where_they_are_said_to_be() -> None:
    deepest = '{"a":' + "[" * 15 + "]" * 15 + "}"
    assert parse_object(deepest.encode(), "payload")
    with pytest.raises(TokenProblem):
        parse_object(deepest.replace("[]", "[[]]").encode(), "payload")
    assert parse_object(b'{"a":[-9007199254740991,9007199254740991]}', "payload")
    for value in (b"9007199254740992", b"-9007199254740992"):
        with pytest.raises(TokenProblem):
            parse_object(b'{"a":' + value + b"}", "payload")


def test_a_surrogate_pair_is_a_character_and_half_a_pair_is_none() -> None:
    assert parse_object(b'{"a":"\\ud83d\\ude00"}', "payload") == {"a": "\U0001f600"}
    with pytest.raises(TokenProblem):
        parse_object(b'{"a":"\\ude00\\ud83d"}', "payload")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"alg": "HS256"}, Problem.ALGORITHM),
        ({"alg": ["Ed25519"]}, Problem.ALGORITHM),
        ({"kid": "k" * 42}, Problem.HEADER),
        ({"typ": 1}, Problem.TYP),
        ({"trust_chain": "x"}, Problem.HEADER),
        ({"trust_chain": ["x"] * 9}, Problem.HEADER),
        ({"trust_chain": [1]}, Problem.HEADER),
        ({"trust_chain": [["x"]]}, Problem.HEADER),
        ({"trust_chain": ["x" * 65537]}, Problem.HEADER),
        ({"jwk": {}}, Problem.HEADER),
    ],
)
def test_each_header_parameter_is_checked(change: dict[str, Any], problem: Problem) -> None:
    assert problem_of(compact({**HEADER, **change})) is problem


def test_a_pushed_chain_is_read_and_not_followed() -> None:
    assert parse_compact(compact({**HEADER, "trust_chain": ["a", "b"]}), 1000).trust_chain == ("a", "b")
    assert parse_compact(compact(), 1000).trust_chain == ()


# Profiles as data ---------------------------------------------------------------------------------


def test_a_typ_is_its_profiles_own_key_and_each_bounds_its_size() -> None:
    assert all(typ == profile.typ and profile.max_bytes > 0 for typ, profile in PROFILES.items())
    assert {typ for typ, profile in PROFILES.items() if profile.once} == {
        "isthmus-client-assertion+jwt",
        "isthmus-invitation+jwt",
        "isthmus-request+jwt",
    }
    assert {typ for typ, profile in PROFILES.items() if profile.lifetime is None} == {"isthmus-receipt+jwt"}
    bound = {typ for typ, profile in PROFILES.items() if profile.binding is not Binding.NONE}
    assert bound == {"at+jwt", "isthmus-request+jwt"}


def test_optional_claims_pass_when_right_and_are_refused_when_wrong() -> None:
    profile = PROFILES["at+jwt"]
    right: dict[str, Any] = {"nbf": NOW, "act": {"sub": "console"}, "authorization_details": [{"type": "isthmus"}]}
    check_shape(profile, at_claims(THUMBPRINT, **right))
    check_times(at_claims(THUMBPRINT, nbf=NOW + 5), 300, NOW)
    for name, value in (("act", "x"), ("act", []), ("authorization_details", {}), ("authorization_details", [1])):
        with pytest.raises(TokenProblem) as caught:
            check_shape(profile, at_claims(THUMBPRINT, **{name: value}))
        assert caught.value.problem is Problem.CLAIMS


def test_an_audience_is_expected_exactly_where_the_profile_has_one() -> None:
    for typ, audience in (("at+jwt", None), ("isthmus-approval+jwt", CARE), ("entity-statement+jwt", CARE)):
        with pytest.raises(TokenProblem) as caught:
            check_audience(PROFILES[typ], {**approval_claims(), "aud": audience}, audience)
        assert caught.value.problem is Problem.AUDIENCE
    check_audience(PROFILES["isthmus-approval+jwt"], approval_claims(), SESSION)


def test_nothing_presented_matches_nothing() -> None:
    for typ in ("at+jwt", "isthmus-request+jwt"):
        claims = {**at_claims(THUMBPRINT), "rpc": "/a/b", "rqh": THUMBPRINT}
        check_binding(PROFILES[typ], claims, Channel(THUMBPRINT, THUMBPRINT, "/a/b"), issuer_named=True)
        for channel, named in ((Channel(), True), (Channel(THUMBPRINT, THUMBPRINT, "/a/b"), False)):
            with pytest.raises(TokenProblem) as caught:
                check_binding(PROFILES[typ], claims, channel, issuer_named=named)
            assert caught.value.problem is Problem.BINDING


def test_a_digest_is_sha256_of_the_payload_in_hex() -> None:
    assert payload_digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
