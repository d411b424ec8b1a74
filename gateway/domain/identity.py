"""Who is who: entity IDs, public keys, verified entities, pinned anchors. Nouns only.

Invariants:
- an entity ID has exactly one spelling (lower-case host, no port, no percent-encoding, no trailing slash),
  so that equality of strings is equality of entities, and a prefix ends where a host, a label of it or a path
  segment ends;
- a `Jwk` is public, and its `kid` is computed (RFC 7638), never taken from whoever sent it;
- an `Entity` is only ever made by `gateway.rules.trust` from a verified chain.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NewType

from gateway.domain.rulebook import NO_WORD, OwnWord, Rulebook

EntityId = NewType("EntityId", str)

MAX_ENTITY_ID = 255
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The last label starts with a letter: what remains of 127.0.0.1 or 0x7f.1 is no name.
_HOST = rf"(?:{_LABEL}\.)*[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?"
_SEGMENT = r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*"  # never "." or "..", never empty, never percent-encoded
_ENTITY_ID = re.compile(rf"https://(?P<host>{_HOST})(?P<path>(?:/{_SEGMENT})*)")
_ANY_HOST = "https://*."
# Certificates name an entity's agent and clients below its entity ID: no entity may be called so.
_RESERVED_SEGMENTS = frozenset({"agent", "clients"})


def parse_entity_id(text: str) -> EntityId:
    """`text` as an entity ID, or ValueError that says what is wrong with it."""
    if len(text) > MAX_ENTITY_ID:
        raise ValueError(f"an entity ID has at most {MAX_ENTITY_ID} characters")
    match = _ENTITY_ID.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is no entity ID: https://, a lower-case host name, plain path segments;"
            " no port, user, query, fragment or trailing slash"
        )
    if not _RESERVED_SEGMENTS.isdisjoint(match["path"].split("/")):
        raise ValueError(f"{text!r} is no entity ID: the segments 'agent' and 'clients' are reserved")
    return EntityId(text)


def parse_prefix(text: str) -> EntityId:
    """`text` as a prefix: an entity ID, or `https://*.` and a host, which stands for every host below it.

    Raises ValueError.
    """
    if not text.startswith(_ANY_HOST):
        return parse_entity_id(text)
    parent = "https://" + text.removeprefix(_ANY_HOST)
    if parse_entity_id(parent) != f"https://{host_of(EntityId(parent))}":
        raise ValueError(f"{text!r} is no prefix: nothing follows the host that * stands below")
    return EntityId(text)


def host_of(entity_id: EntityId) -> str:
    """The host name, which the entity's server certificate must carry."""
    return entity_id.removeprefix("https://").partition("/")[0]


def is_within(entity_id: EntityId, prefix: EntityId) -> bool:
    """Whether `entity_id` is `prefix` or lies under it, by whole path segments of the same host.

    `https://*.example` has every host below `example` under it, and not `example` itself, as a name constraint with
    a leading period has in RFC 5280 section 4.2.1.10.
    """
    if prefix.startswith(_ANY_HOST):
        return host_of(entity_id).endswith("." + prefix.removeprefix(_ANY_HOST))
    return entity_id == prefix or entity_id.startswith(prefix + "/")


class KeyUse(StrEnum):
    """Which of a space's keys: each verifies its own kinds of token and no other."""

    FEDERATION = "federation"
    TOKENS = "tokens"
    CONTRACTS = "contracts"
    REVOCATIONS = "revocations"


def b64url(raw: bytes) -> str:
    """base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


@dataclass(frozen=True)
class Jwk:
    """A public key: Ed25519 or P-256 for signatures, X25519 for agreement. Coordinates as base64url."""

    kty: str
    crv: str
    x: str
    y: str = ""
    alg: str = ""
    use: str = ""
    key_ops: tuple[str, ...] = ()

    @cached_property
    def kid(self) -> str:
        """The RFC 7638 thumbprint: SHA-256 over the required members in lexical order."""
        members = {"crv": self.crv, "kty": self.kty, "x": self.x}
        if self.y:
            members["y"] = self.y
        canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
        return b64url(hashlib.sha256(canonical.encode("ascii")).digest())


@dataclass(frozen=True)
class Anchor:
    """Who may vouch, by which pinned keys, and for whose names only."""

    entity_id: EntityId
    keys: tuple[Jwk, ...]
    prefixes: tuple[EntityId, ...]
    revocation_keys: tuple[Jwk, ...] = ()  # these can only revoke

    def may_vouch_for(self, entity_id: EntityId) -> bool:
        return any(is_within(entity_id, prefix) for prefix in self.prefixes)


@dataclass(frozen=True)
class Entity:
    """A data space as its verified chain describes it; believed until `expires_at` (epoch seconds)."""

    entity_id: EntityId
    operator: str
    operator_group: str
    affiliates: tuple[str, ...]
    jurisdiction: str
    endpoint: str  # host:port of its one gRPC port
    federation_keys: tuple[Jwk, ...]
    token_keys: tuple[Jwk, ...]
    contract_keys: tuple[Jwk, ...]
    revocation_keys: tuple[Jwk, ...]
    tls_ca: str  # PEM; two certificates while a CA is being rotated
    seats: int
    issued_at: int  # of its own statement: an older one never replaces a newer one
    expires_at: int
    anchor: EntityId  # the pinned one at the top of its chain
    word: OwnWord = NO_WORD  # of its own membership
    rulebooks: tuple[Rulebook, ...] = ()  # as the anchor's statement in its chain names them

    def keys(self, use: KeyUse) -> tuple[Jwk, ...]:
        match use:
            case KeyUse.FEDERATION:
                return self.federation_keys
            case KeyUse.TOKENS:
                return self.token_keys
            case KeyUse.CONTRACTS:
                return self.contract_keys
            case KeyUse.REVOCATIONS:
                return self.revocation_keys
