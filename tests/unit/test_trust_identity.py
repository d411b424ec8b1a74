"""Entity IDs have one spelling; prefixes end where names end; keys are named by what they are."""

from __future__ import annotations

import pytest

from gateway.domain.identity import Anchor, Jwk, host_of, is_within, parse_entity_id, parse_prefix
from gateway.edges.keys import new_agreement_key, new_signing_key
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.jwks import jwk_object, jwk_set, parse_jwk, parse_verification_keys


@pytest.mark.parametrize("text", ["https://care.example", "https://care.example/nl/space-1", "https://localhost"])
def test_plain_https_names_are_entity_ids(text: str) -> None:
    assert parse_entity_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "care.example",
        "http://care.example",
        "HTTPS://care.example",
        "https://Care.example",
        "https://care.example/",
        "https://care.example:443",
        "https://care.example:",
        "https://user@care.example",
        "https://care.example@evil.example",
        "https://care.example?x=1",
        "https://care.example#x",
        "https://care.example/../evil",
        "https://care.example/./a",
        "https://care.example//a",
        "https://care.example/%2e%2e",
        "https://care.example\\evil",
        "https://care.example\n",
        "https://care..example",
        "https://-care.example",
        "https://.example",
        "https://127.0.0.1",
        "https://0x7f.1",
        "https://[::1]",
        "https://cäre.example",
        "https://care.example/agent",
        "https://care.example/clients/analyst",
        "https://" + "a" * 64 + ".example",
        "https://care.example/" + "a" * 255,
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="entity ID"):
        parse_entity_id(text)


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("https://care.example", True),
        ("https://care.example/nl", True),
        ("https://care.example.evil", False),
        ("https://care.examples", False),
        ("https://evil.care.example", False),
        ("https://care.exampl", False),
    ],
)
def test_a_prefix_ends_at_the_host(name: str, inside: bool) -> None:
    assert is_within(parse_entity_id(name), parse_entity_id("https://care.example")) is inside


def test_a_prefix_ends_at_a_path_segment() -> None:
    anchor = Anchor(parse_entity_id("https://a.example"), (), (parse_entity_id("https://fed.example/nl"),))
    assert anchor.may_vouch_for(parse_entity_id("https://fed.example/nl/care"))
    assert not anchor.may_vouch_for(parse_entity_id("https://fed.example/nl-evil"))
    assert not anchor.may_vouch_for(parse_entity_id("https://fed.example"))


def test_the_host_is_what_the_server_certificate_must_name() -> None:
    assert host_of(parse_entity_id("https://care.example/nl")) == "care.example"


def test_kid_is_the_thumbprint_of_rfc_8037_appendix_a3() -> None:
    jwk = Jwk("OKP", "Ed25519", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    assert jwk.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("jwk", [new_signing_key().jwk, new_signing_key("ES256").jwk, new_agreement_key().jwk])
def test_a_key_survives_json(jwk: Jwk) -> None:
    assert parse_jwk(jwk_object(jwk)) == jwk
    assert jwk_object(jwk)["kid"] == jwk.kid


@pytest.mark.parametrize(
    "change",
    [
        {"kid": "A" * 43},
        {"kid": 1},
        {"d": "AAAA"},
        {"k": "AAAA"},
        {"x5u": "https://attacker.example"},
        {"kty": "RSA"},
        {"kty": "oct"},
        {"crv": "Ed448"},
        {"crv": "P-256"},
        {"alg": "EdDSA"},
        {"alg": "ES256"},
        {"alg": ""},
        {"use": "other"},
        {"key_ops": "verify"},
        {"key_ops": ["verify", "verify"]},
        {"key_ops": [1]},
        {"key_ops": [["verify"]]},
        {"key_ops": ["teleport"]},
        {"key_ops": {"verify": 1}},
        {"x": 7},
        {"x": "A" * 44},
        {"use": ["sig"]},
        {"x": ""},
        {"x": "AAAA"},
        {"y": "A" * 43},
        {"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp"},
    ],
)
def test_a_key_that_is_not_exactly_one_of_ours_is_refused(change: dict[str, object]) -> None:
    good = jwk_object(Jwk("OKP", "Ed25519", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", alg="Ed25519"))
    del good["kid"]  # so that each change is refused for itself
    assert parse_jwk(good).kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    with pytest.raises(TokenProblem) as caught:
        parse_jwk({**good, **change})
    assert caught.value.problem in (Problem.KEY, Problem.MALFORMED)


def test_a_key_set_for_verifying_holds_nothing_else() -> None:
    signing, agreement = new_signing_key().jwk, new_agreement_key().jwk
    assert parse_verification_keys(jwk_set((signing,))) == (signing,)
    for keys in (
        (),
        (signing, signing),
        (signing, agreement),
        tuple(new_signing_key().jwk for _ in range(9)),
    ):
        with pytest.raises(TokenProblem):
            parse_verification_keys(jwk_set(keys))
    for value in (None, [], {}, {"keys": {}}, {"keys": [None]}):
        with pytest.raises(TokenProblem):
            parse_verification_keys(value)


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("https://care.example", True),
        ("https://nl.care.example/agencies", True),
        ("https://example", False),
        ("https://evilexample", False),
        ("https://care.example.evil", False),
    ],
)
def test_a_prefix_may_be_every_host_below_one(name: str, inside: bool) -> None:
    assert is_within(parse_entity_id(name), parse_prefix("https://*.example")) is inside


@pytest.mark.parametrize("text", ["https://*", "https://*.", "https://*.example/nl", "https://care.*.example", "*"])
def test_nothing_else_is_a_prefix(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        parse_prefix(text)
    with pytest.raises(ValueError, match="is no"):
        parse_entity_id("https://*.example")
