"""What an issuer has taken back, and what a space believes of others: nouns only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.domain.identity import EntityId


@dataclass(frozen=True)
class Revoked:
    """Keys by RFC 7638 thumbprint, tokens by `jti`, entities by ID, contracts by digest (SHA-256 in hex)."""

    kids: frozenset[str] = frozenset()
    jtis: frozenset[str] = frozenset()
    entities: frozenset[EntityId] = frozenset()
    contracts: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.kids) + len(self.jtis) + len(self.entities) + len(self.contracts)


@dataclass(frozen=True)
class RevocationList:
    """One issuer's list as it was signed; `token` is its signed form, `digest` that of its payload."""

    issuer: EntityId
    seq: int
    issued_at: int
    revoked: Revoked
    digest: str
    token: str = field(repr=False)


class Freshness(StrEnum):
    FRESH = "FRESH"
    GRACE = "GRACE"  # older than a list may be, within what this space's own policy puts up with
    STALE = "STALE"


@dataclass(frozen=True)
class Belief:
    """Something signed that is believed of `issuer` until one of greater `order` comes; `body` is as it came."""

    issuer: str
    order: int
    body: str = field(repr=False)
