"""Tokens of OpenID Connect providers: what is taken, and everything else that is not."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwk, jws
from pydantic import ValidationError

from gateway.config import ProviderConfig
from gateway.domain.identity import b64url
from gateway.edges.oidc import Provider, Providers, public_key
from gateway.rules import oidc
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.oidc import TokenType
from tests.fakes import FakeClock

NOW = FakeClock().now()
ISSUER = "https://login.ministry.example/realm"
US = "isthmus-care"
SECRETS: dict[str, Any] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "PS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": Ed25519PrivateKey.generate(),
}
# What providers write beside the key itself.
EXTRAS: dict[str, dict[str, Any]] = {
    "RS256": {"use": "sig"},
    "PS256": {"alg": "PS256"},
    "ES256": {"key_ops": ["verify"]},
    "EdDSA": {"x5t": "ignored"},
}


def public(name: str, **changes: Any) -> dict[str, Any]:
    """The key as a JWK, by another implementation than the one under test."""
    pem = SECRETS[name].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    made = {**jwk.import_key(pem, _KTY[name]).as_dict(private=False), "kid": name, **EXTRAS[name], **changes}
    return {member: value for member, value in made.items() if value is not None}


_KTY: dict[str, Any] = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}


def claims(**changes: Any) -> dict[str, Any]:
    made = {"iss": ISSUER, "sub": "248289761001", "aud": US, "iat": NOW - 5, "exp": NOW + 600, **changes}
    return {name: value for name, value in made.items() if value is not None}


def signed(alg: str = "RS256", body: Any = None, key: Any = None, **header: Any) -> str:
    """Whatever it is given, signed as `alg` says; `key` bytes are an HMAC key."""
    head = {"alg": alg, "kid": alg, "typ": "JWT", **header}
    payload = body if isinstance(body, bytes) else json.dumps(claims() if body is None else body).encode()
    shown = {name: value for name, value in head.items() if value is not None}
    text = f"{b64url(json.dumps(shown).encode())}.{b64url(payload)}"
    return f"{text}.{b64url(_signature(text.encode(), SECRETS.get(alg) if key is None else key, alg))}"


def _signature(text: bytes, key: Any, alg: str) -> bytes:
    if isinstance(key, bytes):
        return hmac.new(key, text, hashlib.sha256).digest()
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size)
        return key.sign(text, pss if alg == "PS256" else padding.PKCS1v15(), SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(text, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return bytes(key.sign(text))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "provider.jwks.json"
    path.write_text(json.dumps({"keys": [public(name) for name in SECRETS]}))
    return path


def providers(file: Path, *algorithms: str, longest_age: int = 3600, now: int = NOW) -> Providers:
    one = Provider("ministry", ISSUER, US, file, algorithms or tuple(SECRETS), longest_age, ())
    return Providers([one], FakeClock(now))


def refused(at: Providers, token: str, kind: TokenType = TokenType.ID_TOKEN) -> Problem:
    with pytest.raises(TokenProblem) as caught:
        at.verify(token, kind)
    assert caught.value.public == "These credentials were not accepted"
    return caught.value.problem


@pytest.mark.parametrize("alg", SECRETS)
def test_a_good_token_of_each_algorithm_is_taken(file: Path, alg: str) -> None:
    inbound = providers(file).verify(signed(alg), TokenType.ID_TOKEN)
    assert (inbound.provider, inbound.issuer, inbound.subject) == ("ministry", ISSUER, "248289761001")
    assert inbound.expires == NOW + 600
    # What is kept as evidence can be verified later by somebody else.
    kept = jwk.import_key(json.loads(inbound.key))
    assert jws.deserialize_compact(inbound.token, kept, algorithms=[alg]).payload == json.dumps(inbound.claims).encode()


@pytest.mark.parametrize("alg", SECRETS)
def test_an_algorithm_that_is_not_configured_is_refused(file: Path, alg: str) -> None:
    assert refused(providers(file, *(other for other in SECRETS if other != alg)), signed(alg)) is Problem.ALGORITHM


def test_a_key_serves_its_own_algorithm(file: Path) -> None:
    assert refused(providers(file), signed("RS256", key=SECRETS["PS256"], kid="PS256")) is Problem.ALGORITHM
    assert refused(providers(file), signed("ES256", kid="EdDSA")) is Problem.ALGORITHM
    assert refused(providers(file), signed("RS256", kid="ES256")) is Problem.ALGORITHM
    ed448 = signed("EdDSA", key=Ed448PrivateKey.generate())
    assert refused(providers(file), ed448) is Problem.SIGNATURE


def test_a_token_of_another_implementation_is_taken(file: Path) -> None:
    for alg, kind in _KTY.items():
        pem = SECRETS[alg].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        head = {"alg": alg, "kid": alg, "typ": "JWT"}
        token = jws.serialize_compact(head, json.dumps(claims()).encode(), jwk.import_key(pem, kind), algorithms=[alg])
        assert providers(file).verify(token, TokenType.ID_TOKEN).subject == "248289761001"


def test_no_hmac_and_no_none(file: Path) -> None:
    pem = SECRETS["RS256"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for key in (pem, json.dumps(public("RS256")).encode(), b""):
        assert refused(providers(file), signed("HS256", key=key, kid="RS256")) is Problem.ALGORITHM
    head, body, _ = signed().split(".")
    assert refused(providers(file), signed("none", key=b"", kid="RS256")) is Problem.ALGORITHM
    assert refused(providers(file), f"{head}.{body}.") is Problem.SIGNATURE


HEADERS: dict[str, dict[str, Any]] = {
    "an embedded key": {"jwk": public("RS256")},
    "a key to be fetched": {"jku": "https://evil.example/jwks"},
    "a certificate to be fetched": {"x5u": "https://evil.example/c"},
    "a critical extension": {"crit": ["exp"], "exp": NOW},
    "a thumbprint": {"x5t": "A" * 27},
    "a content type": {"cty": "JWT"},
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_could_name_another_key_are_refused(file: Path, name: str) -> None:
    assert refused(providers(file), signed(**HEADERS[name])) is Problem.HEADER


def test_one_key_is_chosen_by_its_kid(file: Path) -> None:
    at = providers(file)
    assert refused(at, signed(kid="unknown")) is Problem.KEY
    assert refused(at, signed(kid=None)) is Problem.KEY
    assert refused(at, signed(kid=7)) is Problem.HEADER
    file.write_text(json.dumps({"keys": [public("RS256"), public("PS256", kid="RS256", alg="RS256")]}))
    assert refused(at, signed()) is Problem.KEY
    file.write_text(json.dumps({"keys": [public("RS256", kid=None)]}))
    assert at.verify(signed(kid=None), TokenType.ID_TOKEN)
    assert refused(at, signed()) is Problem.KEY


CLAIMS: dict[str, tuple[Problem, dict[str, Any]]] = {
    "another issuer": (Problem.ISSUER, {"iss": "https://evil.example"}),
    "an issuer with a slash more": (Problem.ISSUER, {"iss": ISSUER + "/"}),
    "no issuer": (Problem.ISSUER, {"iss": None}),
    "a list of issuers": (Problem.ISSUER, {"iss": [ISSUER]}),
    "no audience": (Problem.AUDIENCE, {"aud": None}),
    "another audience": (Problem.AUDIENCE, {"aud": "other"}),
    "a list of others": (Problem.AUDIENCE, {"aud": ["other", "another"]}),
    "an empty list": (Problem.AUDIENCE, {"aud": []}),
    "audiences that are no texts": (Problem.AUDIENCE, {"aud": [US, 7], "azp": US}),
    "several without azp": (Problem.AUDIENCE, {"aud": [US, "other"]}),
    "several with another azp": (Problem.AUDIENCE, {"aud": [US, "other"], "azp": "other"}),
    "another azp": (Problem.AUDIENCE, {"azp": "other"}),
    "no sub": (Problem.CLAIMS, {"sub": None}),
    "an empty sub": (Problem.CLAIMS, {"sub": ""}),
    "a sub with a space": (Problem.CLAIMS, {"sub": "an na"}),
    "a sub that is a number": (Problem.CLAIMS, {"sub": 7}),
    "a long sub": (Problem.CLAIMS, {"sub": "a" * 161}),
    "an empty jti": (Problem.CLAIMS, {"jti": ""}),
    "a jti that is a number": (Problem.CLAIMS, {"jti": 7}),
    "expired": (Problem.TIMES, {"exp": NOW}),
    "expired before it was issued": (Problem.TIMES, {"iat": NOW + 4, "exp": NOW + 3}),
    "no exp": (Problem.TIMES, {"exp": None}),
    "exp as text": (Problem.TIMES, {"exp": str(NOW + 600)}),
    "exp with a fraction": (Problem.TIMES, {"exp": NOW + 0.5}),
    "exp as a truth": (Problem.TIMES, {"exp": True}),
    "no iat": (Problem.TIMES, {"iat": None}),
    "iat as a truth": (Problem.TIMES, {"iat": True}),
    "issued in the future": (Problem.TIMES, {"iat": NOW + 6}),
    "issued before time began": (Problem.TIMES, {"iat": -1}),
    "too old": (Problem.TIMES, {"iat": NOW - 3606}),
    "not yet good": (Problem.TIMES, {"nbf": NOW + 6}),
    "nbf as text": (Problem.TIMES, {"nbf": "0"}),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_that_do_not_hold_are_refused(file: Path, name: str) -> None:
    problem, changes = CLAIMS[name]
    assert refused(providers(file), signed(body=claims(**changes))) is problem


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [US]},
        {"aud": [US], "azp": US},
        {"aud": [US, "other"], "azp": US},
        {"iat": NOW + 5},
        {"iat": NOW - 3605},
        {"nbf": NOW + 5},
        {"exp": NOW + 1},
        {"nonce": "n", "at_hash": "h", "auth_time": NOW, "amr": ["pwd"], "address": {"country": "NL"}},
    ],
)
def test_claims_at_the_edge_hold(file: Path, changes: dict[str, Any]) -> None:
    assert providers(file).verify(signed(body=claims(**changes)), TokenType.ID_TOKEN)


def test_an_id_token_and_an_access_token_are_not_taken_for_each_other(file: Path) -> None:
    at = providers(file)
    for typ, kind in (("JWT", TokenType.ID_TOKEN), (None, TokenType.ID_TOKEN), ("at+jwt", TokenType.ACCESS_TOKEN)):
        assert at.verify(signed(typ=typ), kind)
        (other,) = set(TokenType) - {kind}
        assert refused(at, signed(typ=typ), other) is Problem.TYP
    two = signed(body=claims(aud=[US, "other"], azp=US), typ="at+jwt")
    assert refused(at, two, TokenType.ACCESS_TOKEN) is Problem.AUDIENCE


PAYLOADS = {
    "a name twice": b'{"iss":"x","iss":"%s"}' % ISSUER.encode(),
    "NaN": b'{"iss":"%s","exp":NaN}' % ISSUER.encode(),
    "a list": b"[]",
    "deep nesting": b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
    "not UTF-8": b'{"iss":"\xff"}',
    "nothing": b"",
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_that_is_not_strict_json_is_refused(file: Path, name: str) -> None:
    assert refused(providers(file), signed(body=PAYLOADS[name])) is Problem.MALFORMED


def test_size_and_spelling_are_bounded(file: Path) -> None:
    at, good = providers(file), signed()
    for token in (good + "=", good + ".", good + "é", " " + good, signed(body=claims(more="x" * oidc.MAX_TOKEN))):
        assert refused(at, token) is Problem.MALFORMED


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(st.binary(max_size=60), min_size=3, max_size=3)))
def test_whatever_comes_in_only_token_problems_go_out(given_: Any) -> None:
    text = given_ if isinstance(given_, str) else ".".join(map(b64url, given_))
    for read in (oidc.parse, oidc.issuer_of):
        try:
            read(text)
        except TokenProblem:
            pass


GOOD = signed(body=claims(exp=NOW + 10_000_000, iat=NOW))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.sampled_from("AQgw_-.=\n"))
def test_no_character_of_a_token_can_be_another(tmp_path_factory: Any, at: int, letter: str) -> None:
    changed = GOOD[:at] + letter + GOOD[at + 1 :]
    folder = tmp_path_factory.getbasetemp()
    file = folder / "mutated.jwks.json"
    if not file.exists():
        file.write_text(json.dumps({"keys": [public("RS256")]}))
    if changed != GOOD:
        refused(providers(file), changed)


KEY_FILES: dict[str, object] = {
    "no set": {},
    "no keys": {"keys": []},
    "too many": {"keys": [public("RS256")] * (oidc.MAX_KEYS + 1)},
    "a private key": {"keys": [public("RS256", d="AAAA")]},
    "a shared secret": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]},
    "an RSA key without e": {"keys": [public("RS256", e=None)]},
    "a kid that is a number": {"keys": [public("RS256", kid=7)]},
    "a short coordinate": {"keys": [public("ES256", x="AAAA")]},
    "a key that is a text": {"keys": ["RS256"]},
}


@pytest.mark.parametrize("name", KEY_FILES)
def test_a_key_file_that_does_not_hold_lets_nobody_in(file: Path, name: str) -> None:
    at = providers(file)
    assert at.verify(signed(), TokenType.ID_TOKEN)
    file.write_text(json.dumps(KEY_FILES[name]))
    assert refused(at, signed()) is Problem.KEY
    file.unlink()
    assert refused(at, signed()) is Problem.KEY


def test_keys_for_something_else_are_passed_over(file: Path) -> None:
    encryption = public("RS256", kid="enc", use="enc")
    others = [
        encryption,
        public("RS256", kid="oaep", alg="RSA-OAEP"),
        public("ES256", kid="p", crv="P-384"),
        {"kty": "OKP", "crv": "Ed448"},
    ]
    file.write_text(json.dumps({"keys": [*others, public("RS256")]}))
    at = providers(file)
    assert at.verify(signed(), TokenType.ID_TOKEN)
    assert refused(at, signed(kid="enc")) is Problem.KEY


def test_weak_and_impossible_keys_verify_nothing() -> None:
    small = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    number = oidc.ProviderKey("k", "", "RSA", "", (("n", _b64(small.n)), ("e", _b64(small.e))))
    off_curve = oidc.ProviderKey("k", "", "EC", "P-256", (("x", "A" * 42 + "E"), ("y", "A" * 42 + "E")))
    for key in (number, off_curve):
        with pytest.raises(TokenProblem) as caught:
            public_key(key)
        assert caught.value.problem is Problem.KEY


def _b64(value: int) -> str:
    return b64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def test_what_was_signed_has_one_digest_whatever_the_signature(file: Path) -> None:
    token, again = signed("ES256"), signed("ES256")
    assert again.split(".")[:2] == token.split(".")[:2] and again != token
    at = providers(file)
    first, second = (at.verify(item, TokenType.ID_TOKEN) for item in (token, again))
    assert (first.once, first.digest) == (second.once, second.digest)
    named = at.verify(signed(body=claims(jti="one")), TokenType.ID_TOKEN)
    assert named.once == "jti:one"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"issuer": "http://login.example"}, "issuer"),
        ({"issuer": "https://login.example/?x=1"}, "issuer"),
        ({"algorithms": ()}, "algorithms"),
        ({"algorithms": ("HS256",)}, "algorithms"),
        ({"algorithms": ("none",)}, "algorithms"),
        ({"name": "people"}, "name"),
        ({"name": "Ministry"}, "name"),
        ({"audience": ""}, "audience"),
        ({"longest_age": 0}, "longest_age"),
        ({"people": ({"claim": "sub", "value": "a", "scopes": ("everything",)},)}, "people"),
    ],
)
def test_a_provider_is_configured_strictly(changes: dict[str, Any], field: str) -> None:
    good = {"name": "m", "issuer": ISSUER, "jwks": "j", "algorithms": ("RS256",), "audience": US}
    assert ProviderConfig.model_validate(good)
    assert ProviderConfig.model_validate({**good, "issuer": "http://localhost:8080/realm"})
    with pytest.raises(ValidationError) as caught:
        ProviderConfig.model_validate({**good, **changes})
    assert caught.value.errors()[0]["loc"][0] == field
