"""Ring files: the public side of a ring as JSON, its secrets and certificates as PEM files beside it.

Invariants: a ring file is replaced whole or not at all, by one command at a time, after the files that it names; a
secret that does not belong to its public half is refused.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Jwk
from gateway.edges import certificates, keys
from gateway.edges.certificates import Credentials
from gateway.edges.keys import AgreementKey, SigningKey
from gateway.rules import keyring
from gateway.rules.keyring import Entry, Ring

MAX_RING = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Public:
    """What is known of a key whose secret lies elsewhere."""

    jwk: Jwk


def read(path: Path) -> Ring:
    """Raises IsthmusError(CONFIGURATION)."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_RING)
        return keyring.parse_ring(json.loads(content))
    except OSError as problem:
        raise _broken(path, f"cannot be read: {problem.strerror}") from None
    except (ValueError, RecursionError) as problem:
        raise _broken(path, f"is no ring of keys: {problem}") from None


def write(path: Path, ring: Ring) -> None:
    """The whole file at once: readers see the old one or the new one."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w") as file:
        file.write(json.dumps(keyring.ring_object(ring), indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(0o644)  # public: the gateway reads its agent's
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One command at a time may change this ring. Raises IsthmusError when another one does."""
    with path.with_name(f".{path.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IsthmusError(
                Reason.ALREADY_EXISTS, f"another command changes {path}", advice="Wait until it has ended"
            ) from None
        yield


def path_of(folder: Path, name: str) -> Path:
    return folder / f"{name}.ring.json"


def begin(folder: Path, name: str, key: SigningKey | AgreementKey, now: int) -> None:
    """A key file and its ring of one key, in use at once."""
    keys.write_secret(folder / f"{name}.pem", keys.pem_of(key.secret))
    write(path_of(folder, name), Ring((Entry(key.kid, f"{name}.pem", now, now, jwk=key.jwk),)))


def begin_certificate(folder: Path, name: str, made: Credentials, now: int) -> None:
    """A certificate with its key, and their ring, in use at once."""
    keys.write_secret(folder / f"{name}.key.pem", made.key_pem)
    (folder / f"{name}.pem").write_bytes(made.certificate_pem)
    kid = certificates.kid_of(made.certificate_pem)
    write(path_of(folder, name), Ring((Entry(kid, f"{name}.key.pem", now, now, certificate=f"{name}.pem"),)))


def signing(folder: Path, entry: Entry) -> SigningKey:
    made = keys.load_signing_key(folder / entry.secret)
    _belongs(folder / entry.secret, made.kid, entry)
    return made


def agreement(folder: Path, entry: Entry) -> AgreementKey:
    made = keys.load_agreement_key(folder / entry.secret)
    _belongs(folder / entry.secret, made.kid, entry)
    return made


def public(folder: Path, entry: Entry) -> Public:
    if entry.jwk is None:
        raise _broken(folder, "holds certificates, not keys")
    return Public(entry.jwk)


def certificate(folder: Path, entry: Entry) -> bytes:
    """PEM. Its secret may lie elsewhere, as that of a CA should."""
    path = folder / (entry.certificate or entry.secret)
    try:
        content = path.read_bytes()
        _belongs(path, certificates.kid_of(content), entry)
    except OSError as problem:
        raise _broken(path, f"cannot be read: {problem.strerror}") from None
    return content


def credentials(folder: Path, entry: Entry) -> Credentials:
    made = Credentials(certificate(folder, entry), keys.read_secret(folder / entry.secret))
    _belongs(folder / entry.secret, keys.load_signing_key(folder / entry.secret).kid, entry)
    return made


def _belongs(path: Path, kid: str, entry: Entry) -> None:
    if kid != entry.kid:
        raise _broken(path, f"is not the key {entry.kid} of its ring")


def _broken(path: Path, what: str) -> IsthmusError:
    return IsthmusError(
        Reason.CONFIGURATION, f"{path} {what}", advice="Put the last good one back; docs/rotation.md shows one"
    )
