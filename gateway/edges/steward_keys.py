"""A steward's own key: made, kept and used by the steward alone, on their machine; and what they sign with it.

Invariants: the secret is a file that its owner alone can read, never over an existing one; beside it lies the public
half, which an agent's configuration names; a decision carries no name, only thumbprints (RFC 7638): of the key that
signs, and of the steward's in whose place it is. The format is a JWK (RFC 7517, RFC 8037).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.domain.decision import SignedPlan
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import b64url
from gateway.edges import keys
from gateway.edges.keys import SigningKey, read_secret, signing_key, write_secret
from gateway.edges.tokens import sign
from gateway.rules import policy_texts
from gateway.rules.jose import TokenProblem, decode_segment
from gateway.rules.jwks import jwk_object
from gateway.rules.plans import audience

DECISION = "isthmus-decision+jwt"


def public_beside(secret: Path) -> Path:
    """Where the public half of the key in `secret` lies: anna.jwk has anna.pub.jwk beside it."""
    return secret.with_name(f"{secret.name.removesuffix('.jwk')}.pub.jwk")


def make(secret: Path) -> SigningKey:
    """A new pair of files. Raises IsthmusError(CONFIGURATION) where one of them exists."""
    key, public = keys.new_signing_key(), public_beside(secret)
    if public.exists():
        raise _configuration(public, "exists already, and a key is never overwritten")
    if not isinstance(key.secret, Ed25519PrivateKey):
        raise AssertionError("new keys are Ed25519")
    raw = key.secret.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    # Its operations are the private half's, as RFC 7517 section 4.3 names them.
    private = {**jwk_object(key.jwk), "key_ops": ["sign"], "d": b64url(raw)}
    write_secret(secret, json.dumps(private).encode())
    public.write_text(json.dumps(jwk_object(key.jwk)) + "\n")
    return key


def load(secret: Path) -> SigningKey:
    """Raises IsthmusError(CONFIGURATION), where others can read the file too."""
    try:
        found: Any = json.loads(read_secret(secret))
        raw = decode_segment(found["d"], "d")
        key = signing_key(Ed25519PrivateKey.from_private_bytes(raw))
        whole = (found["kty"], found["crv"], found["x"]) == (key.jwk.kty, key.jwk.crv, key.jwk.x)
    except (ValueError, TypeError, KeyError, AttributeError, TokenProblem):
        whole = False
    if not whole:
        raise _configuration(secret, "holds no private Ed25519 key as a JWK")
    return key


def decision(
    plan: SignedPlan,
    key: SigningKey,
    said: str,
    reason: str,
    now: int,
    jti: str,
    *,
    space: str,
    seat: str = "",
    expires: int = 0,
) -> str:
    """The signed decision `said` about `plan` at `space`, in the place of the steward whose key has the thumbprint
    `seat`, by default the signer's own; by default good until the plan is over."""
    claims: dict[str, Any] = {
        "iss": key.kid,
        "sub": seat or key.kid,
        "aud": audience(plan.digest),
        "iat": now,
        "exp": expires or plan.expires,
        "jti": jti,
        "decision": said,
        "space": space,
    }
    if reason:
        claims["reason"] = reason
    return sign(DECISION, claims, key)


def proposal(dataset: str, text: str, version: int, key: SigningKey, now: int, jti: str, *, expires: int = 0) -> str:
    """The policy `text` of this version, signed for `dataset`; by default good for as long as a proposal can be."""
    claims: dict[str, Any] = {
        "iss": key.kid,
        "sub": key.kid,
        "aud": policy_texts.audience(dataset),
        "iat": now,
        "exp": expires or now + policy_texts.LIFETIME,
        "jti": jti,
        "policy": text,
        "version": version,
    }
    return sign(policy_texts.TYP, claims, key)


def _configuration(path: Path, what: str) -> IsthmusError:
    advice = "Make one with: isthmus approvals key --out NAME.jwk"
    return IsthmusError(Reason.CONFIGURATION, f"the key file {path} {what}", advice=advice)
