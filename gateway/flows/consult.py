"""Step 3 of the route at the home gateway: the plan waits until the people of every space have decided.

Invariants: nothing is frozen before all of them have approved exactly this plan; a computation that waits outlives
this process; one space's silence delays, its people's no ends, and a deadline that is over ends, naming whose turn it
was. What a space says of its people is not believed further than this: its agent decides again when the contract comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from tenacity import AsyncRetrying, retry_if_result, wait_exponential_jitter

from gateway.domain.approval import SignedContract
from gateway.domain.computation import Computation, SpaceStatus
from gateway.domain.contract import Contract
from gateway.domain.decision import Consulted, Need, SignedPlan, Stage
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import Failure, Refusal
from gateway.flows.account import Account
from gateway.ports import Documents, Federation, Plans, Revocations
from gateway.rules import plans as rules
from gateway.rules.lifecycle import Event
from gateway.rules.planning import STARTS_WITHIN
from gateway.rules.plans import HOUR, PLAN_LIFETIME

ANSWER_WITHIN = 30.0
WITHDRAW_WITHIN = 2.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
# What a space says that may pass by itself.
_PASSING = frozenset(
    {
        Reason.PEER_UNREACHABLE,
        Reason.AGENT_UNREACHABLE,
        Reason.DEADLINE_EXCEEDED,
        Reason.CANCELLED,
        Reason.INTERNAL,
        Reason.RESOURCE_EXHAUSTED,
        Reason.REVOCATION_STALE,
    }
)
_STATUS = {
    Stage.NOT_NEEDED: "READY",
    Stage.DELIVERED: "DELIVERED",
    Stage.SEEN: "SEEN",
    Stage.APPROVED: "APPROVED",
    Stage.REJECTED: "REFUSED",
}


class NotDecided(Exception):
    """The people of a space said no, or not in time; or the space refuses the plan itself."""

    def __init__(self, event: Event, failure: Failure) -> None:
        super().__init__(failure.text)
        self.event = event
        self.failure = failure


@dataclass(slots=True)
class _Asking:
    """What is known so far; `deadlines` by space, `plan` as it is signed now."""

    computation: Computation
    plan: SignedPlan
    deadlines: dict[str, int]
    answers: dict[str, Consulted]


@dataclass(frozen=True, slots=True)
class Consult:
    account: Account
    federation: Federation
    documents: Documents
    plans: Plans
    revocations: Revocations
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    def needs(self, draft: Contract) -> Mapping[str, Need]:
        """Where people have to decide before this can run; empty where nobody has to."""
        return rules.needs(draft, self.federation.spaces())

    def sign(self, draft: Contract, needs: Mapping[str, Need]) -> SignedPlan:
        """The plan, for as long as the slowest space gives its people."""
        longest = max(need.within for need in needs.values()) * HOUR
        return self.plans.sign(draft, self.account.clock.now() + min(longest, PLAN_LIFETIME))

    async def decided(self, computation: Computation, plan: SignedPlan) -> tuple[Computation, SignedContract]:
        """The contract, frozen and stored, once the people of every space have approved its plan. Raises NotDecided."""
        asking = _Asking(computation, plan, {}, {})

        async def pause(seconds: float) -> None:
            left = min((asking.deadlines[space] for space in self._undecided(asking)), default=plan.expires)
            await self.pause(min(seconds, max(1.0, left - self.account.clock.now())))

        retrying = AsyncRetrying(
            retry=retry_if_result(lambda done: not done),
            wait=wait_exponential_jitter(initial=FIRST_WAIT, max=LONGEST_WAIT),
            sleep=pause,
        )
        await retrying(self._round, asking)
        return await self._freeze(asking)

    async def withdraw(self, plan: SignedPlan) -> None:
        """Tell every space that the plan is asked no more, so that nobody decides for nothing."""
        renewed = self.plans.renew(plan)
        spaces = [provider.entity for provider in plan.body.providers]
        # Who asks is all that they have to know for that: another space that is gone keeps nobody from hearing it.
        chains = [list(chain) for chain in self.federation.chains([self.account.entity])]

        async def tell(entity: str) -> None:
            try:
                async with asyncio.timeout(WITHDRAW_WITHIN):
                    await self.federation.line(entity).consult(renewed.token, chains, True)
            except (TimeoutError, IsthmusError):
                return  # its people see when the plan is over

        await asyncio.gather(*(tell(entity) for entity in spaces))

    async def _round(self, asking: _Asking) -> bool:
        """Ask every space; whether the people of all have approved, and a contract could run."""
        asking.plan = self.plans.renew(asking.plan)
        for entity, need in self.needs(asking.plan.body).items():
            asking.deadlines.setdefault(entity, asking.computation.created + need.within * HOUR)
        for status in asking.computation.spaces:  # of before a restart, or of offers that were others then
            if status.status != "READY":
                asking.deadlines.setdefault(status.space, asking.plan.expires)
        # All of them each time: what was approved can be taken back.
        asked = list(asking.deadlines)
        answers = await asyncio.gather(*(self._ask(entity, asking.plan) for entity in asked))
        statuses = {status.space: status for status in asking.computation.spaces}
        ended = []
        for entity, answer in zip(asked, answers, strict=True):
            statuses[entity] = self._take(asking, entity, answer)
            if (no := _no(entity, answer)) is not None:
                ended.append(no)
        asking.computation = await self._note(asking, tuple(statuses.values()))
        for no in ended:
            raise no
        self._check_deadlines(asking)
        if self._undecided(asking):
            return False
        try:
            self.revocations.check(asking.plan.body)
        except IsthmusError as problem:
            if problem.reason in _PASSING:
                return False
            raise
        return True

    async def _ask(self, entity: str, plan: SignedPlan) -> Consulted | Refusal:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return await self.federation.line(entity).consult(plan.token, self._chains(plan.body), False)
        except TimeoutError:
            return Refusal(Reason.DEADLINE_EXCEEDED.value, "did not answer in time", space=entity)
        except IsthmusError as problem:
            return Refusal(problem.reason.value, problem.public, problem.field, problem.advice, entity)

    def _chains(self, body: Contract) -> list[list[str]]:
        return [list(chain) for chain in self.federation.chains(body.entities())]

    def _take(self, asking: _Asking, entity: str, answer: Consulted | Refusal) -> SpaceStatus:
        """What one space says, and for how long it is waited for."""
        if isinstance(answer, Refusal):
            asking.answers.pop(entity, None)
            status = "UNREACHABLE" if answer.reason in _PASSING else "REFUSED"
            return SpaceStatus(entity, status, answer.text[:200])
        asking.answers[entity] = answer
        if answer.deadline:  # its own policy counts, and no space can wait longer than the plan lives
            asking.deadlines[entity] = min(answer.deadline, asking.plan.expires)
        fraction = answer.have / answer.need if answer.need > 0 else 1.0
        phase = f"{answer.have} of {answer.need}" if answer.need > 0 else ""
        return SpaceStatus(entity, _STATUS[answer.stage], phase, min(1.0, max(0.0, fraction)))

    def _undecided(self, asking: _Asking) -> list[str]:
        done = (Stage.APPROVED, Stage.NOT_NEEDED)
        return [
            space
            for space in asking.deadlines
            if (answer := asking.answers.get(space)) is None or answer.stage not in done
        ]

    def _check_deadlines(self, asking: _Asking) -> None:
        now = self.account.clock.now()
        over = [space for space in self._undecided(asking) if now >= asking.deadlines[space]]
        if not over and now < asking.plan.expires:
            return
        if not over:  # all have decided, and something else kept it from being frozen in time
            text, culprit = "the plan expired before it could be run", self.account.entity
        else:
            culprit = over[0]
            text = "; ".join(f"{space}: {self._how_far(asking.answers.get(space))}" for space in over)
        action = f"It was the turn of the stewards of {', '.join(over)}" if over else "Ask again"
        raise NotDecided(
            Event.EXPIRE, Failure(Reason.DEADLINE_EXCEEDED.value, culprit, "approval", text, f"{action}. Ask again")
        )

    def _how_far(self, answer: Consulted | None) -> str:
        if answer is None:
            return "its people could not be reached in time"
        seen = "seen" if answer.stage is Stage.SEEN else "delivered"
        return f"its people had not decided in time; {seen}, {answer.have} of {answer.need} had approved"

    async def _note(self, asking: _Asking, spaces: tuple[SpaceStatus, ...]) -> Computation:
        """Write down what has changed, so that whoever watches sees it."""
        found = asking.computation
        if (found.spaces, found.plan) == (spaces, asking.plan.token):
            return found
        told = [f"{now.space} {now.status} {now.phase}".strip() for now in spaces if now not in found.spaces]
        changed = replace(found, spaces=spaces, plan=asking.plan.token)
        return await self.account.note(changed, "approval.status", "; ".join(told) or "plan signed again")

    async def _freeze(self, asking: _Asking) -> tuple[Computation, SignedContract]:
        now = self.account.clock.now()
        body = replace(asking.plan.body, not_before=now, expires=now + STARTS_WITHIN)
        signed = await self.documents.contract(self.documents.sign(body))
        proposed = tuple(SpaceStatus(entity, "PROPOSED") for entity in body.entities())
        changed = replace(
            asking.computation,
            contract=signed.token,
            contract_digest=signed.digest,
            expires=body.expires,
            spaces=proposed,
        )
        detail = f"contract {signed.digest} of plan {asking.plan.digest}"
        return await self.account.note(changed, "contract.frozen", detail), signed


def _no(entity: str, answer: Consulted | Refusal) -> NotDecided | None:
    """How it ends, if the space or its people refuse."""
    if isinstance(answer, Refusal):
        if answer.reason in _PASSING:
            return None
        event = Event.EXPIRE if answer.reason == Reason.CONTRACT_EXPIRED else Event.REJECT
        return NotDecided(event, Failure(answer.reason, entity, "approval", answer.text[:500], answer.advice))
    if answer.stage is not Stage.REJECTED:
        return None
    said = f": {answer.text}" if answer.text else ""
    text = f"a steward at {entity} did not approve it{said}"
    action = "Ask another question, or ask that steward"
    return NotDecided(Event.REJECT, Failure(Reason.NOT_APPROVED.value, entity, "approval", text, action))
