"""Invitations: a signed statement of whom an anchor invites, and a secret part that proves who holds it. Pure.

An invitation is one line, `<isthmus-invitation+jwt>.<seed>`: the token carries all that the newcomer has to know of the
anchor, the seed is a one-time Ed25519 key whose public half the token names (`cnf`, RFC 7800). The seed never travels
to the anchor: the newcomer signs with it what it joins with, so that a recorded Join is of no use to anybody.

Invariants: what is proven is this invitation and this configuration, and no other; a text that is refused says why to
whoever holds an invitation, and nothing to who does not.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId, Jwk, b64url, parse_entity_id, parse_prefix
from gateway.rules.jose import Problem, TokenProblem, decode_segment
from gateway.rules.jwks import jwk_object, jwk_set, parse_jwk, parse_verification_keys
from gateway.rules.tokens import profile_of
from gateway.rules.verification import SignatureCheck, judge, keys_of_one, read_token

INVITATION = profile_of("isthmus-invitation+jwt")
MAX_PREFIXES = 64
_CONTEXT = b"isthmus invitation v1\0"


@dataclass(frozen=True)
class AnchorCard:
    """What a newcomer has to know of an anchor, as its invitation hands it over."""

    entity: EntityId
    address: str
    tls_ca: str
    keys: tuple[Jwk, ...]
    revocation_keys: tuple[Jwk, ...]
    prefixes: tuple[EntityId, ...]


@dataclass(frozen=True)
class Invited:
    """An invitation as read: genuine, if the keys that verified it are the anchor's."""

    id: str
    entity: EntityId
    expires: int
    key: Jwk
    anchor: AnchorCard
    token: str


def claims_of(anchor: AnchorCard, entity: EntityId, id: str, key: Jwk, issued: int, expires: int) -> dict[str, Any]:
    """The claims of an invitation, to be signed with the anchor's federation key."""
    return {
        "iss": anchor.entity,
        "sub": entity,
        "aud": anchor.entity,
        "jti": id,
        "iat": issued,
        "exp": expires,
        "cnf": {"jwk": jwk_object(key)},
        "anchor": {
            "address": anchor.address,
            "tls_ca": anchor.tls_ca,
            "jwks": jwk_set(anchor.keys),
            "revocation_jwks": jwk_set(anchor.revocation_keys),
            "prefixes": list(anchor.prefixes),
        },
    }


def read(token: str, now: int, signature_holds: SignatureCheck, keys: Sequence[Jwk] | None = None) -> Invited:
    """The invitation in `token`, signed by one of `keys`; None: by the keys that it names itself.

    The latter says that it is whole, not whose it is: whoever reads it so compares the anchor's fingerprint.
    Raises TokenProblem; IsthmusError(PERMISSION_DENIED) once it has expired.
    """
    claims = read_token(token, INVITATION).claims
    card = _card(claims)
    named = keys_of_one(card.entity, card.keys if keys is None else keys)
    try:
        judge(token, INVITATION, card.entity, named, now, signature_holds)
    except TokenProblem as problem:
        if problem.problem is Problem.TIMES:  # the signature holds: who has it may be told
            refuse("this invitation has expired", "Ask the anchor's operator for a new one; is your clock right?")
        raise
    return Invited(claims["jti"], _entity(claims["sub"]), claims["exp"], _confirmed(claims), card, token)


def line(token: str, seed: bytes) -> str:
    """What is handed over by a safe channel."""
    return f"{token}.{b64url(seed)}"


def split(text: str) -> tuple[str, bytes]:
    """Token and seed of an invitation's line. Raises IsthmusError(INVALID_ARGUMENT)."""
    token, _, seed = text.strip().rpartition(".")
    try:
        raw = decode_segment(seed, "seed")
    except TokenProblem:
        raw = b""
    if len(raw) != 32 or token.count(".") != 2:
        raise IsthmusError(
            Reason.INVALID_ARGUMENT, "this is no invitation, or not all of it", field="INVITATION",
            advice="Copy the whole line that the anchor's operator handed over",
        )  # fmt: skip
    return token, raw


def proof(seed: bytes, token: str, configuration: str) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).sign(_proven(token, configuration))


def proves(signature: bytes, invited: Invited, configuration: str) -> bool:
    try:
        public = Ed25519PublicKey.from_public_bytes(decode_segment(invited.key.x, "coordinate x"))
        public.verify(signature, _proven(invited.token, configuration))
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(keys: Sequence[Jwk]) -> str:
    """What two people compare over the telephone: 80 bits of SHA-256 over the keys' thumbprints, in base32."""
    digest = hashlib.sha256(" ".join(sorted(key.kid for key in keys)).encode()).digest()
    text = base64.b32encode(digest[:10]).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def refuse(public: str, advice: str) -> NoReturn:
    raise IsthmusError(Reason.PERMISSION_DENIED, public, advice=advice)


def _proven(token: str, configuration: str) -> bytes:
    return _CONTEXT + hashlib.sha256(token.encode()).digest() + hashlib.sha256(configuration.encode()).digest()


def _card(claims: dict[str, Any]) -> AnchorCard:
    anchor = claims.get("anchor")
    if not isinstance(anchor, dict):
        _malformed("no anchor")
    address, tls_ca, prefixes = anchor.get("address"), anchor.get("tls_ca"), anchor.get("prefixes")
    if not isinstance(address, str) or not 3 <= len(address) <= 300 or not address.isprintable():
        _malformed("anchor.address is no host:port")
    if not isinstance(tls_ca, str) or len(tls_ca) > 8192 or not tls_ca.isascii():
        _malformed("anchor.tls_ca is no PEM text")
    if not isinstance(prefixes, list) or not 1 <= len(prefixes) <= MAX_PREFIXES:
        _malformed(f"anchor.prefixes is no list of 1 to {MAX_PREFIXES}")
    try:
        names = tuple(parse_prefix(str(prefix)) for prefix in prefixes)
    except ValueError as problem:
        _malformed(str(problem))
    return AnchorCard(
        entity=_entity(claims.get("iss")),
        address=address,
        tls_ca=tls_ca,
        keys=parse_verification_keys(anchor.get("jwks")),
        revocation_keys=parse_verification_keys(anchor.get("revocation_jwks")),
        prefixes=names,
    )


def _confirmed(claims: dict[str, Any]) -> Jwk:
    confirmation = claims.get("cnf")
    if not isinstance(confirmation, dict) or confirmation.keys() != {"jwk"}:
        _malformed("cnf names no key")
    key = parse_jwk(confirmation["jwk"])
    if (key.kty, key.crv) != ("OKP", "Ed25519"):
        _malformed("cnf names no Ed25519 key")
    return key


def _entity(value: object) -> EntityId:
    try:
        return parse_entity_id(str(value))
    except ValueError as problem:
        raise TokenProblem(Problem.CLAIMS, str(problem)) from None


def _malformed(detail: str) -> NoReturn:
    raise TokenProblem(Problem.CLAIMS, detail)
