"""Step 2 of the route: a query becomes a plan, and a computation that is written once.

One read of facts (`Federation`), pure rules, one write. A refusal names field, space and next step and
changes nothing.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gateway.domain.approval import SignedContract
from gateway.domain.audit import Fact
from gateway.domain.caller import Caller
from gateway.domain.computation import Computation, Role, SpaceStatus, State
from gateway.domain.contract import Contract, Recipient
from gateway.domain.decision import SignedPlan
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.plan import Decision, Plan, Verdict
from gateway.domain.query import Query
from gateway.flows.consult import Consult
from gateway.ports import Clock, ComputationStore, Documents, Federation, Ids, Opener, Revocations
from gateway.rules import access, planning, redelivery, roles, seats
from gateway.rules.records import to_bytes

VERDICT_WITHIN = 10.0
HINT_WITHIN = 2.0  # of what only makes it cheaper
MAX_WAITING_OF_ONE = 20  # questions of one requester that wait for people; an inbox takes 100 of a space


@dataclass(frozen=True, slots=True)
class Submit:
    entity: str
    clock: Clock
    ids: Ids
    store: ComputationStore
    federation: Federation
    documents: Documents
    opener: Opener
    revocations: Revocations
    # Starts what `create` wrote; the driver owns the computation from then on.
    start: Callable[[Computation, SignedContract | SignedPlan], None]
    consult: Consult

    async def validate(self, caller: Caller, asked: Query, recipient_key: bytes = b"") -> Plan:
        """The plan with every space's verdict from public metadata; nothing is written."""
        draft = await self._seated(self._draft(caller, asked, recipient_key))
        verdicts = await self._verdicts(draft, draft.entities(), VERDICT_WITHIN)
        return planning.plan(draft, self.federation.spaces(), verdicts)

    async def create(self, caller: Caller, request_id: str, asked: Query, recipient_key: bytes) -> Computation:
        """Write the computation with its audit record in one transaction, then start it.

        The same request_id with the same bytes returns the same computation; other bytes raise
        IsthmusError(ALREADY_EXISTS).
        """
        draft = await self._seated(self._draft(caller, asked, recipient_key))
        now = self.clock.now()
        signed: SignedContract | SignedPlan
        if needs := self.consult.needs(draft):
            await self._check_patience(caller, request_id)
            signed = self.consult.sign(draft, needs)
            plan, contract, expires = (signed.token, signed.digest), ("", ""), signed.expires
            about = f"plan {signed.digest}"
        else:
            signed = await self.documents.contract(self.documents.sign(draft))
            plan, contract, expires = ("", ""), (signed.token, signed.digest), draft.expires
            about = f"contract {signed.digest}"
        wanted = Computation(
            id=draft.session,
            role=Role.HOME,
            requester=caller.id,
            request_id=request_id,
            request_digest=hashlib.sha256(to_bytes(asked) + recipient_key).hexdigest(),
            state=State.PENDING,
            query=to_bytes(asked).decode(),
            contract=contract[0],
            contract_digest=contract[1],
            created=now,
            updated=now,
            expires=expires,
            spaces=tuple(
                SpaceStatus(entity, "READY" if needs and entity not in needs else "PROPOSED")
                for entity in draft.entities()
            ),
            plan=plan[0],
            plan_digest=plan[1],
        )
        fact = Fact(now, "computation.created", caller.id, wanted.name, about)
        stored = await self.store.create(wanted, [fact])
        if stored.id == wanted.id:
            self.start(stored, signed)
        return stored

    async def _check_patience(self, caller: Caller, request_id: str) -> None:
        """Raises IsthmusError(RESOURCE_EXHAUSTED) where too many questions of the caller wait for people: inboxes hold
        so many of a whole space, and one of its clients must not take the place of the others."""
        waiting = [
            found.request_id
            for found in await self.store.live([State.PENDING, State.AWAITING_APPROVAL])
            if found.role is Role.HOME and found.requester == caller.id and found.waits_for_people
        ]
        if len(waiting) >= MAX_WAITING_OF_ONE and not (request_id and request_id in waiting):
            raise IsthmusError(
                Reason.RESOURCE_EXHAUSTED,
                f"{MAX_WAITING_OF_ONE} questions of yours wait for people already",
                advice="Wait until some are decided, or cancel some: isthmus computations cancel",
            )

    def _draft(self, caller: Caller, asked: Query, recipient_key: bytes) -> Contract:
        access.allow_query(caller, asked)
        if recipient_key and len(recipient_key) != 32:
            raise IsthmusError(
                Reason.INVALID_ARGUMENT,
                "a recipient key is an X25519 public key of 32 bytes",
                field="recipient_key",
                advice="Leave it empty to let the home gateway receive the result",
            )
        recipient = (
            Recipient(f"client {caller.id}", "client", base64.b64encode(recipient_key).decode())
            if recipient_key
            else Recipient(f"gateway {self.entity}", "gateway", self.opener.key())
        )
        named = roles.in_order(caller.rights.roles)
        request = planning.Request(self.entity, caller.id, recipient, self.ids.fresh(), self.clock.now(), named)
        draft = planning.draft_contract(asked, self.federation.spaces(), request)
        self.revocations.check(draft)
        return draft

    async def _seated(self, draft: Contract) -> Contract:
        """The draft with the seats that keep the shares of an answer to its very question, where there is a choice:
        those who can keep any are asked, or this space alone where every answer needs its seat. Whether they are shown
        again, the approvals say."""
        spaces = self.federation.spaces()
        able = [item.entity for item in draft.providers if spaces[item.entity].offer.seats]
        if self.entity in able and sum(space.offer.seats > 0 for space in spaces.values()) <= draft.m:
            able = [self.entity]
        if draft.query.seats.at or draft.demo_view or not able:
            return draft
        kept_seats = redelivery.agreed_seats(draft, await self._verdicts(draft, able, HINT_WITHIN))
        seated = seats.placed(kept_seats, draft.m, spaces)
        if not seated or seated == draft.seats:
            return draft
        moved = replace(draft, seats=seated)
        self.revocations.check(moved)
        return moved

    async def _verdicts(self, draft: Contract, entities: Sequence[str], within: float) -> list[Verdict]:
        asked = to_bytes(draft)
        return list(await asyncio.gather(*(self._verdict(entity, asked, within) for entity in entities)))

    async def _verdict(self, entity: str, draft: bytes, within: float) -> Verdict:
        try:
            async with asyncio.timeout(within):
                return await self.federation.line(entity).check(draft)
        except TimeoutError:
            late = IsthmusError(Reason.DEADLINE_EXCEEDED, "did not answer in time", advice="Try again later")
            return _unreachable(entity, late)
        except IsthmusError as problem:
            return _unreachable(entity, problem)


def _unreachable(entity: str, problem: IsthmusError) -> Verdict:
    return Verdict(
        entity, Decision.UNREACHABLE, reason=problem.reason.value, text=problem.public, advice=problem.advice
    )
