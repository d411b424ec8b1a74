"""The anchor's own signature: port `Vouching`, and invitations.

Invariant: what is signed here was verified here first, with the same code and the same depth as a gateway's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Anchor, Entity, EntityId
from gateway.domain.membership import Invitation, Pins
from gateway.domain.rulebook import Rulebook
from gateway.edges.federation import SUBORDINATE_LIFETIME, subordinate_statement
from gateway.edges.keys import SigningKey, signing_key
from gateway.edges.tokens import sign, signature_holds
from gateway.ports import Clock, Ids
from gateway.rules import invitations
from gateway.rules.invitations import AnchorCard, Invited
from gateway.rules.membership import policy_of
from gateway.rules.trust import verify_chain


@dataclass(frozen=True, slots=True)
class AnchorDesk:
    """`above` are the statements between this anchor and the one on top."""

    card: AnchorCard
    key: SigningKey
    clock: Clock
    superiors: Callable[[], Sequence[str]] = tuple

    def statement(self, entity: str, pins: Pins, rulebooks: Sequence[Rulebook]) -> tuple[str, int]:
        now = self.clock.now()
        made = subordinate_statement(
            self.card.entity,
            EntityId(entity),
            pins.federation,
            self.key,
            now,
            metadata_policy=policy_of(pins),
            rulebooks=rulebooks,
        )
        return made, now + SUBORDINATE_LIFETIME

    def verify(self, configuration: str, statement: str) -> Entity:
        own = Anchor(self.card.entity, self.card.keys, self.card.prefixes)
        return verify_chain([configuration, statement], [own], self.clock.now(), signature_holds)

    def above(self) -> Sequence[str]:
        return self.superiors()

    def invitation(self, token: str) -> Invited:
        """An invitation that this anchor signed. Raises TokenProblem, IsthmusError(PERMISSION_DENIED)."""
        return invitations.read(token, self.clock.now(), signature_holds, self.card.keys)

    def invite(self, entity: EntityId, valid: int, ids: Ids, *, again: bool = False) -> tuple[Invitation, str]:
        """What is kept of a new invitation, and the line that is handed over. `valid` is in seconds.

        Raises IsthmusError(INVALID_ARGUMENT) for a name outside this anchor's prefixes, or too long a time.
        """
        if not Anchor(self.card.entity, (), self.card.prefixes).may_vouch_for(entity):
            raise IsthmusError(
                Reason.INVALID_ARGUMENT,
                f"{entity} is outside the names that this anchor vouches for",
                field="ENTITY",
                advice="Widen `prefixes` in anchor.toml; members have to accept that too",
            )
        if not 0 < valid <= (invitations.INVITATION.lifetime or 0):
            raise IsthmusError(
                Reason.INVALID_ARGUMENT, "an invitation is valid for 30 days at most", field="--valid", advice="72h"
            )
        secret = Ed25519PrivateKey.generate()
        public = signing_key(secret).jwk
        now, id = self.clock.now(), ids.fresh()
        claims = invitations.claims_of(self.card, entity, id, public, now, now + valid)
        token = sign(invitations.INVITATION.typ, claims, self.key)
        kept = Invitation(id, entity, public, now, now + valid, again)
        return kept, invitations.line(token, secret.private_bytes_raw())
