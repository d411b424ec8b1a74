"""People and services that sign in, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.domain.caller import Rights
from gateway.domain.records import record


@record
class Grant:
    """What somebody may do; "*" in a list allows all."""

    scopes: tuple[str, ...]
    rights: Rights


@record
class ClaimRule:
    """Whoever's token has `value` as its `claim`, or among it, may do what `grant` says."""

    claim: str
    value: str
    grant: Grant


@record
class Inbound:
    """A token of somebody else's, verified. `key` is the JWK that verified it, as JSON."""

    provider: str
    issuer: str
    subject: str
    claims: Mapping[str, Any]
    token: str
    digest: str
    key: str
    once: str  # what makes it this token and no other, at its issuer
    expires: int


@record
class Evidence:
    """Why a token was issued: the inbound token as it came, and the public key that verified it. Never logged."""

    jti: str
    at: int
    person: str
    client: str
    issuer: str
    digest: str
    token: str
    key: str


@record
class Code:
    """What an authorization code stands for; the code itself is not kept, only its hash is."""

    person: str
    client: str
    challenge: str
    signed_in: int
    expires: int
