"""Puts the next key into a ring: the key, what vouches for it, and the ring, in that order.

Invariants: nothing that runs has to be stopped, and nothing on disk is overwritten but the ring file, at the end; a key
that anchors pin is vouched for by the present one, in tokens that lie in the ring and hold no secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId, Jwk
from gateway.edges import certificates, keys, ringfiles
from gateway.edges.certificates import Authority, Credentials, Role
from gateway.edges.keys import AgreementKey, SigningKey
from gateway.edges.tokens import sign
from gateway.ports import Ids
from gateway.rules import keyring
from gateway.rules.jwks import jwk_set
from gateway.rules.keyring import DAY, PINNED, TERMS, Entry, KeyName, Ring

ROTATION = "isthmus-rotation+jwt"
ROTATION_LIFETIME = 30 * DAY


@dataclass(frozen=True, slots=True)
class Wish:
    """How to rotate. `because` allows less time than the terms of the key."""

    ahead: int
    overlap: int
    because: str = ""
    compromised: bool = False


@dataclass(frozen=True, slots=True)
class Leaf:
    """A ring of certificates that the space's CA issues."""

    name: KeyName
    path: Path


def rotate_key(
    path: Path, name: KeyName, entity: EntityId, anchors: Sequence[EntityId], wish: Wish, now: int, ids: Ids
) -> Ring:
    """A fresh key into the ring at `path`. Raises IsthmusError; then nothing has changed."""
    with ringfiles.locked(path):
        ring = ringfiles.read(path)
        made: SigningKey | AgreementKey
        made = keys.new_agreement_key() if name is KeyName.RECIPIENT else keys.new_signing_key()
        secret = _free(path, made.kid, ".pem")
        entry = Entry(made.kid, secret, now, now, jwk=made.jwk, because=wish.because)
        wanted = _rotated(ring, entry, now, wish, name)
        if name in PINNED:
            tokens = _endorsed(path, name, ring, wanted, entity, anchors, now, ids)
            wanted = Ring((*wanted.entries[:-1], replace(wanted.latest, rotations=tokens)))
        keys.write_secret(path.parent / secret, keys.pem_of(made.secret))
        ringfiles.write(path, wanted)
        return wanted


def rotate_leaf(leaf: Leaf, authorities: Path, entity: EntityId, wish: Wish, now: int) -> Ring:
    """A fresh certificate of the latest CA, used no sooner than that. Raises IsthmusError; then nothing has changed."""
    with ringfiles.locked(leaf.path):
        entry = ringfiles.read(authorities).latest
        authority = authority_of(authorities.parent, entry)
        fit = replace(wish, ahead=max(wish.ahead, entry.use - now))
        return _with_leaf(leaf, authority, entity, fit, now)


def rotate_authority(
    path: Path, leaves: Sequence[Leaf], entity: EntityId, wish: Wish, now: int
) -> list[tuple[KeyName, Ring]]:
    """A fresh CA, and certificates of it in every ring of `leaves`, all in use at the same time.

    Raises IsthmusError; then nothing has changed.
    """
    with ExitStack() as stack:
        for held in (path, *(leaf.path for leaf in leaves)):
            stack.enter_context(ringfiles.locked(held))
        ring = ringfiles.read(path)
        authority = certificates.create_authority(entity, now)
        made = authority.credentials
        kid = certificates.kid_of(made.certificate_pem)
        certificate, secret = _free(path, kid, ".pem"), _free(path, kid, ".key.pem")
        entry = Entry(kid, secret, now, now, certificate=certificate, because=wish.because)
        wanted = _rotated(ring, entry, now, wish, KeyName.TLS_CA)
        for leaf in leaves:  # none may refuse after the first file is written
            _rotated(ringfiles.read(leaf.path), replace(entry, kid="next"), now, wish, leaf.name)
        keys.write_secret(path.parent / secret, made.key_pem)
        (path.parent / certificate).write_bytes(made.certificate_pem)
        ringfiles.write(path, wanted)
        return [
            (KeyName.TLS_CA, wanted),
            *((leaf.name, _with_leaf(leaf, authority, entity, wish, now)) for leaf in leaves),
        ]


def issued(name: KeyName, authority: Authority, entity: EntityId, now: int) -> Credentials:
    """A certificate for what `name` is used for."""
    match name:
        case KeyName.TLS_SERVER:
            return certificates.server_certificate(authority, entity, now, loopback=True)
        case KeyName.TLS_CLIENT:
            return certificates.client_certificate(authority, entity, Role.GATEWAY, now)
        case KeyName.TLS_AGENT:
            return certificates.client_certificate(authority, entity, Role.AGENT, now)
        case _:
            raise ValueError(f"{name} is no certificate that a CA issues")


def removable(path: Path, ring: Ring, now: int) -> list[Path]:
    """Secrets of retired keys that still lie there: nothing needs them any more."""
    found = (path.parent / entry.secret for entry in ring.entries[:-1] if entry.is_retired(now))
    return [secret for secret in found if secret.exists()]


def _with_leaf(leaf: Leaf, authority: Authority, entity: EntityId, wish: Wish, now: int) -> Ring:
    made = issued(leaf.name, authority, entity, now)
    kid = certificates.kid_of(made.certificate_pem)
    certificate, secret = _free(leaf.path, kid, ".pem"), _free(leaf.path, kid, ".key.pem")
    entry = Entry(kid, secret, now, now, certificate=certificate, because=wish.because)
    wanted = _rotated(ringfiles.read(leaf.path), entry, now, wish, leaf.name)
    keys.write_secret(leaf.path.parent / secret, made.key_pem)
    (leaf.path.parent / certificate).write_bytes(made.certificate_pem)
    ringfiles.write(leaf.path, wanted)
    return wanted


def _rotated(ring: Ring, entry: Entry, now: int, wish: Wish, name: KeyName) -> Ring:
    return keyring.rotated(ring, entry, now, wish.ahead, wish.overlap, TERMS[name], compromised=wish.compromised)


def _endorsed(
    path: Path,
    name: KeyName,
    ring: Ring,
    wanted: Ring,
    entity: EntityId,
    anchors: Sequence[EntityId],
    now: int,
    ids: Ids,
) -> tuple[str, ...]:
    """Per anchor: pin the next key beside the present one now, and alone once the present one is retired."""
    present = keyring.active(ring, now)
    signer = ringfiles.signing(path.parent, present)
    end = max((entry.retire for entry in wanted.entries if entry.retire is not None), default=now)
    if end >= now + ROTATION_LIFETIME:
        raise IsthmusError(
            Reason.INVALID_ARGUMENT,
            "an anchor has to hear of a key within 30 days",
            field="--ahead",
            advice="Give less time",
        )
    old, new = signer.jwk, wanted.latest.jwk
    if new is None:
        raise ValueError("a pinned key has a JWK")

    def token(anchor: EntityId, pinned: tuple[Jwk, ...], issued_at: int, from_: int) -> str:
        claims = {
            "iss": entity,
            "sub": entity,
            "aud": anchor,
            "iat": issued_at,
            "nbf": from_,
            "exp": now + ROTATION_LIFETIME,
            "jti": ids.fresh(),
            "use": PINNED[name].value,
            "jwks": jwk_set(pinned),
        }
        return sign(ROTATION, claims, signer)

    # Anchors apply a later one after an earlier one, by when they were issued.
    steps = (((old, new), now, now), ((new,), now + 1, end))
    return tuple(token(anchor, *step) for anchor in anchors for step in steps)


def authority_of(folder: Path, entry: Entry) -> Authority:
    """The CA of this entry, to sign with. Raises IsthmusError where its secret is not at hand."""
    if not (folder / entry.secret).exists():
        raise IsthmusError(
            Reason.CONFIGURATION,
            f"the secret key of the space's CA is not in {folder}",
            field="tls.ca",
            advice=f"Bring {entry.secret} there for the time of this command",
        )
    return certificates.load_authority(folder / entry.certificate, folder / entry.secret)


def _free(path: Path, kid: str, suffix: str) -> str:
    """The name of a new file beside the ring: the ring's own and the key's first characters."""
    stem = path.name.removesuffix(".json").removesuffix(".ring")
    return f"{stem}-{''.join(filter(str.isalnum, kid))[:8]}{suffix}"


def told(seconds: int) -> str:
    """A time as people write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
