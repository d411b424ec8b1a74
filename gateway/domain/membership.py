"""What an anchor keeps: whom it vouches for, and whom it has invited. Nouns only.

Invariant: the keys in a `Member` are the pins. They change on a rotation token that a pinned key signed, or on a new
invitation that names the entity again, and on nothing else.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.domain.identity import Jwk, KeyUse
from gateway.domain.records import record


class InvitationState(StrEnum):
    OPEN = "open"
    USED = "used"
    WITHDRAWN = "withdrawn"


@record
class Invitation:
    """`key` is the public half of its secret part; `again` lets a member that lost its keys join with new ones."""

    id: str
    entity: str
    key: Jwk
    issued: int
    expires: int
    again: bool = False
    state: InvitationState = InvitationState.OPEN
    attempts: int = 0


@record
class Pins:
    """The keys that the anchor vouches for, whatever the member says of itself later."""

    federation: tuple[Jwk, ...]
    contracts: tuple[Jwk, ...]
    revocations: tuple[Jwk, ...]

    def keys(self, use: KeyUse) -> tuple[Jwk, ...]:
        match use:
            case KeyUse.FEDERATION:
                return self.federation
            case KeyUse.CONTRACTS:
                return self.contracts
            case KeyUse.REVOCATIONS:
                return self.revocations
            case _:
                return ()


@record
class Member:
    """`configuration` is its own latest statement, `statement` ours about it; `rotated` says when a pin was last
    replaced, by use. `version` counts the changes of all members: this one's last. Who `left` is suspended too."""

    entity: str
    pins: Pins
    configuration: str
    statement: str
    statement_expires: int
    joined: int
    rotated: tuple[tuple[str, int], ...] = ()
    suspended: int = 0
    version: int = 0
    left: int = 0
