"""Private keys on disk and in memory.

Invariants: a private key's file is readable by its owner alone, or it is refused; nothing here prints,
compares or serialises a secret but `pem_of`, which exists to write the file; a key's `kid` is its RFC 7638
thumbprint.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Jwk, b64url
from gateway.rules.jose import Problem, TokenProblem, decode_segment

SigningSecret = Ed25519PrivateKey | ec.EllipticCurvePrivateKey
VerificationKey = Ed25519PublicKey | ec.EllipticCurvePublicKey

_MAX_KEY_FILE = 16 * 1024


@dataclass(frozen=True, eq=False)
class SigningKey:
    """A private signing key (Ed25519, or P-256 as fallback) with its public JWK."""

    secret: SigningSecret = field(repr=False)
    jwk: Jwk

    @property
    def kid(self) -> str:
        return self.jwk.kid


@dataclass(frozen=True, eq=False)
class AgreementKey:
    """A private X25519 key with its public JWK."""

    secret: X25519PrivateKey = field(repr=False)
    jwk: Jwk

    @property
    def kid(self) -> str:
        return self.jwk.kid


def new_signing_key(alg: str = "Ed25519") -> SigningKey:
    """A fresh key for `alg`: "Ed25519" or "ES256"."""
    match alg:
        case "Ed25519":
            return signing_key(Ed25519PrivateKey.generate())
        case "ES256":
            return signing_key(ec.generate_private_key(ec.SECP256R1()))
        case _:
            raise ValueError(f"no key is made for algorithm {alg!r}")


def new_agreement_key() -> AgreementKey:
    return agreement_key(X25519PrivateKey.generate())


def signing_key(secret: SigningSecret) -> SigningKey:
    """`secret` with its JWK."""
    return SigningKey(secret, public_jwk(secret.public_key()))


def public_jwk(public: VerificationKey) -> Jwk:
    """Its JWK: use sig, key_ops verify, alg per RFC 9864 or RFC 7518."""
    if isinstance(public, Ed25519PublicKey):
        x = b64url(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
        return Jwk("OKP", "Ed25519", x, alg="Ed25519", use="sig", key_ops=("verify",))
    if not isinstance(public.curve, ec.SECP256R1):
        raise ValueError("the only elliptic curve beside Ed25519 is P-256")
    point = public.public_numbers()
    x, y = (b64url(coordinate.to_bytes(32, "big")) for coordinate in (point.x, point.y))
    return Jwk("EC", "P-256", x, y, alg="ES256", use="sig", key_ops=("verify",))


def agreement_key(secret: X25519PrivateKey) -> AgreementKey:
    x = b64url(secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    # No key_ops: RFC 7517 names operations of the private half, deriveBits, and this is the public one.
    return AgreementKey(secret, Jwk("OKP", "X25519", x, use="enc"))


@lru_cache(maxsize=4096)
def verification_key(jwk: Jwk) -> VerificationKey:
    """The public key that a signature `jwk` describes. Raises TokenProblem, if off its curve too."""
    try:
        x = decode_segment(jwk.x, "coordinate x")
        if (jwk.kty, jwk.crv) == ("OKP", "Ed25519"):
            return Ed25519PublicKey.from_public_bytes(x)
        if (jwk.kty, jwk.crv) == ("EC", "P-256"):
            y = decode_segment(jwk.y, "coordinate y")
            point = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
            return point.public_key()
    except ValueError as problem:
        raise TokenProblem(Problem.KEY, f"no {jwk.crv} key: {problem}") from problem
    raise TokenProblem(Problem.KEY, f"kty {jwk.kty!r:.20} with crv {jwk.crv!r:.20} verifies nothing here")


def pem_of(secret: SigningSecret | X25519PrivateKey) -> bytes:
    """The secret as PKCS8 PEM, in the clear."""
    return secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_secret(path: Path, content: bytes) -> None:
    """A new file that only its owner can read; never over an existing one."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise _configuration(path, "exists already, and a key is never overwritten", "Move it away first.") from None
    except OSError as problem:
        raise _configuration(path, f"cannot be written: {problem.strerror}", "Check the folder.") from None
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # whatever the umask made of it
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def read_secret(path: Path) -> bytes:
    """The content of a key file. Raises IsthmusError if anyone but its owner could read it too."""
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())  # of the file opened, not of whatever the name means a moment later
            if not stat.S_ISREG(state.st_mode):
                raise _configuration(path, "is not a regular file", "Name the key file itself.")
            if stat.S_IMODE(state.st_mode) & 0o077:
                mode = f"{stat.S_IMODE(state.st_mode):04o}"
                raise _configuration(path, f"can be read by others (mode {mode})", f"Run: chmod 600 {path}")
            if state.st_uid not in (0, os.geteuid()):
                raise _configuration(path, "belongs to another user", f"Run: chown {os.geteuid()} {path}")
            return file.read(_MAX_KEY_FILE)
    except OSError as problem:
        raise _configuration(path, f"cannot be read: {problem.strerror}", "Check the path and its owner.") from None


def load_signing_key(path: Path) -> SigningKey:
    secret = _load_pem(path)
    if isinstance(secret, Ed25519PrivateKey) or (
        isinstance(secret, ec.EllipticCurvePrivateKey) and isinstance(secret.curve, ec.SECP256R1)
    ):
        return signing_key(secret)
    raise _configuration(path, "holds no Ed25519 or P-256 key", "Make one with: isthmus gateway init")


def load_agreement_key(path: Path) -> AgreementKey:
    secret = _load_pem(path)
    if isinstance(secret, X25519PrivateKey):
        return agreement_key(secret)
    raise _configuration(path, "holds no X25519 key", "Make one with: isthmus gateway init")


def _load_pem(path: Path) -> object:
    try:
        return load_pem_private_key(read_secret(path), password=None)
    except (ValueError, TypeError):  # TypeError: an encrypted key
        raise _configuration(path, "is no unencrypted PKCS8 PEM key", "Check that it is the right file.") from None


def _configuration(path: Path, what: str, advice: str) -> IsthmusError:
    return IsthmusError(Reason.CONFIGURATION, f"The key file {path} {what}", advice=advice)
