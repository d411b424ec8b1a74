"""What a space has seen of everybody's audit logs: the heads in their receipts, and which of them cannot both be true.

Invariants: a fork is noticed when the receipt that proves it comes, is in this space's own audit log, and stays until
its operator accepts it; until then this space begins no session with the forked one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.audit import Fact, SignedHead
from gateway.domain.computation import Receipt
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.revocation import Belief
from gateway.ports import AuditLog, Beliefs, Clock
from gateway.rules import heads

# Kinds under which these are stored: a space's newest receipt; two receipts of which one must be false.
HEADS, FORKS = "head", "fork"


@dataclass(frozen=True, slots=True)
class Witness:
    beliefs: Beliefs
    audit: AuditLog
    clock: Clock

    async def see(self, receipts: Sequence[Receipt]) -> None:
        """Hold verified receipts against what their spaces signed before."""
        for receipt in receipts:
            await self._see(heads.signed_head(receipt.token))

    async def check(self, entities: Sequence[str]) -> None:
        """Raises IsthmusError(AUDIT_BROKEN) while one of them is known to have forked its log."""
        for belief in await self.beliefs.all(FORKS):
            if belief.body and belief.issuer in entities:
                raise IsthmusError(
                    Reason.AUDIT_BROKEN,
                    f"the audit log of {belief.issuer} contradicts what it signed before",
                    space=belief.issuer,
                    advice="The two operators hold its receipts against its log: isthmus audit verify",
                )

    async def accept(self, entity: str) -> bool:
        """The operator knows why: sessions with `entity` may begin again. False when nothing stood against it."""
        stands = [belief for belief in await self.beliefs.all(FORKS) if belief.issuer == entity and belief.body]
        if stands:
            await self.audit.append([self._fact("audit.accepted", entity, "its fork is accepted by this operator")])
            await self.beliefs.renew(FORKS, entity, lambda before: _next(entity, before, ""))
        return bool(stands)

    async def _see(self, came: SignedHead) -> None:
        wrong: tuple[str, str] | None = None

        def newest(before: Belief | None) -> Belief:
            nonlocal wrong
            mine = Belief(came.space, came.at, came.receipt)
            if before is None:
                return mine
            known = heads.signed_head(before.body)
            wrong = (text, before.body) if (text := heads.fork(known, came)) else None
            return mine if heads.takes_the_place_of(known, came) else before

        await self.beliefs.renew(HEADS, came.space, newest)
        if wrong is not None:
            await self.audit.append([self._fact("audit.forked", came.space, wrong[0])])
            both = json.dumps([wrong[1], came.receipt])
            await self.beliefs.renew(FORKS, came.space, lambda old: _next(came.space, old, both))

    def _fact(self, kind: str, entity: str, detail: str) -> Fact:
        return Fact(self.clock.now(), kind, entity, "audit log", detail)


def _next(entity: str, before: Belief | None, body: str) -> Belief:
    return Belief(entity, 1 if before is None else before.order + 1, body)
