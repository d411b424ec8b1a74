"""Key files are private or refused; secrets do not print."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.keys import (
    load_agreement_key,
    load_signing_key,
    new_agreement_key,
    new_signing_key,
    pem_of,
    signing_key,
    verification_key,
    write_secret,
)
from gateway.rules.jose import Problem, TokenProblem


@pytest.mark.parametrize("alg", ["Ed25519", "ES256"])
def test_a_signing_key_comes_back_from_its_file(tmp_path: Path, alg: str) -> None:
    key = new_signing_key(alg)
    write_secret(tmp_path / "key.pem", pem_of(key.secret))
    assert load_signing_key(tmp_path / "key.pem").jwk == key.jwk
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_an_agreement_key_comes_back_from_its_file(tmp_path: Path) -> None:
    key = new_agreement_key()
    write_secret(tmp_path / "key.pem", pem_of(key.secret))
    assert load_agreement_key(tmp_path / "key.pem").jwk == key.jwk


def test_a_key_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_secret(tmp_path / "key.pem", pem_of(new_signing_key().secret))
    finally:
        os.umask(before)
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o777])
def test_a_key_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.pem"
    write_secret(path, pem_of(new_signing_key().secret))
    path.chmod(mode)
    with pytest.raises(IsthmusError) as caught:
        load_signing_key(path)
    assert caught.value.reason is Reason.CONFIGURATION
    assert f"chmod 600 {path}" in caught.value.advice
    assert f"{mode:04o}" in caught.value.public


def test_a_key_is_never_overwritten_nor_written_through_a_link(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_secret(path, b"first")
    (tmp_path / "link.pem").symlink_to(tmp_path / "elsewhere.pem")
    for target in (path, tmp_path / "link.pem"):
        with pytest.raises(IsthmusError):
            write_secret(target, b"second")
    assert path.read_bytes() == b"first"
    assert not (tmp_path / "elsewhere.pem").exists()


def test_files_that_hold_no_key_of_the_kind_are_refused_in_plain_words(tmp_path: Path) -> None:
    def pem(secret: rsa.RSAPrivateKey | Ed448PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
        return secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    encrypted = new_signing_key().secret.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
    )
    contents = {
        "rsa": pem(rsa.generate_private_key(65537, 2048)),
        "ed448": pem(Ed448PrivateKey.generate()),
        "p384": pem(ec.generate_private_key(ec.SECP384R1())),
        "x25519": pem_of(new_agreement_key().secret),
        "encrypted": encrypted,
        "garbage": b"garbage",
    }
    for name, content in contents.items():
        write_secret(tmp_path / name, content)
        with pytest.raises(IsthmusError) as caught:
            load_signing_key(tmp_path / name)
        assert str(tmp_path / name) in caught.value.public
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(IsthmusError):
            load_signing_key(path)
    write_secret(tmp_path / "ed25519", pem_of(new_signing_key().secret))
    with pytest.raises(IsthmusError):
        load_agreement_key(tmp_path / "ed25519")


@pytest.mark.parametrize("make", [new_signing_key, lambda: new_signing_key("ES256"), new_agreement_key])
def test_a_secret_does_not_print(make: Callable[[], object]) -> None:
    key = make()
    assert "rivate" not in repr(key)
    assert "secret" not in repr(key)


def test_a_point_off_its_curve_is_refused() -> None:
    jwk = new_signing_key("ES256").jwk
    with pytest.raises(TokenProblem) as caught:
        verification_key(replace(jwk, y=jwk.x))
    assert caught.value.problem is Problem.KEY


def test_no_key_is_made_for_other_algorithms() -> None:
    for alg in ("RS256", "HS256", "Ed448", "none"):
        with pytest.raises(ValueError, match=alg):
            new_signing_key(alg)
    with pytest.raises(ValueError, match="P-256"):
        signing_key(ec.generate_private_key(ec.SECP384R1()))
