"""Public keys that are no points, have a second spelling, or belong to a small group are refused as they are read."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from gateway.domain.identity import b64url
from gateway.edges.keys import new_agreement_key, new_signing_key
from gateway.rules.curves import P256, P25519, SMALL_ORDER_U, SMALL_ORDER_Y
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.jwks import jwk_object, parse_jwk

SIGN = 1 << 255


def little(value: int) -> bytes:
    return value.to_bytes(32, "little")


def ed25519(raw: bytes) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "use": "sig", "x": b64url(raw)}


def x25519(raw: bytes) -> dict[str, str]:
    return {"kty": "OKP", "crv": "X25519", "use": "enc", "x": b64url(raw)}


def p256(x: int, y: int) -> dict[str, str]:
    coordinates = {name: b64url(value.to_bytes(32, "big")) for name, value in (("x", x), ("y", y))}
    return {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", **coordinates}


def refused(jwk: dict[str, str], why: str) -> None:
    with pytest.raises(TokenProblem, match="credentials") as caught:
        parse_jwk(jwk)
    assert caught.value.problem is Problem.KEY
    assert why in caught.value.private


def test_keys_as_they_are_made_pass() -> None:
    for key in (new_signing_key(), new_signing_key("ES256")):
        assert parse_jwk(jwk_object(key.jwk)) == key.jwk
    agreement = new_agreement_key()
    assert parse_jwk(jwk_object(agreement.jwk)) == agreement.jwk


@pytest.mark.parametrize("sign", [0, SIGN])
@pytest.mark.parametrize("y", sorted(SMALL_ORDER_Y))
def test_ed25519_keys_of_small_order_are_refused(y: int, sign: int) -> None:
    refused(ed25519(little(y | sign)), "small order")


def test_a_small_order_key_would_let_one_signature_hold_for_any_message() -> None:
    """Why they are refused: under the neutral element, R = [S]B holds whatever is signed (RFC 8032 section 5.1.7)."""
    neutral = Ed25519PublicKey.from_public_bytes(little(1))
    base = bytes.fromhex("58" + "66" * 31)  # B itself, so S = 1
    for message in (b"one thing", b"another thing"):
        neutral.verify(base + little(1), message)
    with pytest.raises(InvalidSignature):
        Ed25519PrivateKey.generate().public_key().verify(base + little(1), b"one thing")


@pytest.mark.parametrize("y", [P25519, P25519 + 1, P25519 + 18, SIGN - 1])
@pytest.mark.parametrize("sign", [0, SIGN])
def test_a_second_spelling_of_an_ed25519_key_is_refused(y: int, sign: int) -> None:
    """RFC 8032 section 5.1.3: y is less than p."""
    refused(ed25519(little(y | sign)), "second spelling")


def test_half_of_all_texts_are_no_ed25519_key() -> None:
    refused_ones = 0
    for y in range(2, 66):
        try:
            parse_jwk(ed25519(little(y)))
        except TokenProblem as problem:
            assert "no point" in problem.private
            refused_ones += 1
    assert 16 < refused_ones < 48


@pytest.mark.parametrize("u", sorted(SMALL_ORDER_U))
def test_x25519_keys_of_small_order_are_refused_because_all_agree_on_zero(u: int) -> None:
    """RFC 7748 section 6.1."""
    refused(x25519(little(u)), "small order")
    with pytest.raises(ValueError, match=r"(?i)shared|exchange|comput"):
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(little(u)))


@pytest.mark.parametrize("u", [P25519, P25519 + 9, SIGN - 1, SIGN, SIGN | 9])
def test_a_second_spelling_of_an_x25519_key_is_refused(u: int) -> None:
    refused(x25519(little(u)), "second spelling")
    assert parse_jwk(x25519(little(9))).crv == "X25519"


def test_p256_points_off_the_curve_or_with_unreduced_coordinates_are_refused() -> None:
    """SEC 1 section 3.2.2.1; off the curve, an agreement would leak the secret piece by piece."""
    numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    assert parse_jwk(p256(numbers.x, numbers.y))
    assert parse_jwk(p256(numbers.x, P256 - numbers.y))
    for x, y in ((numbers.x, numbers.y ^ 1), (numbers.y, numbers.x), (0, 0), (numbers.x, 0), (1, 1)):
        refused(p256(x, y), "no point")
    # x = 0 has a point; x = p would be its second spelling.
    root = pow(0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B, (P256 + 1) // 4, P256)
    assert parse_jwk(p256(0, root))
    refused(p256(P256, root), "not reduced")
    refused(p256(2**256 - 1, root), "not reduced")
