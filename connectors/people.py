"""What the people of this space have decided: plans come into their inbox, and nothing runs without what they signed.

Invariants: whom a policy wants is asked of the policies in force, each time; what was signed is verified against this
agent's own configuration, each time; how many sets of editions were run is written down before an input leaves, and
the number that was approved is never exceeded, however many contracts come at once. Who may do this has been checked
by whoever calls (connectors/agent.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from connectors.rules.decisions import Rule, Steward, Tally, in_force, tally
from connectors.stewards import named_in
from gateway.domain.audit import Fact
from gateway.domain.contract import Contract
from gateway.domain.decision import Consulted, Delivered, Ran, SignedPlan, Stage
from gateway.domain.errors import IsthmusError
from gateway.edges.store.inbox import StoredInbox
from gateway.edges.tokens import signature_holds
from gateway.ports import Clock
from gateway.rules.plans import HOUR, editions, not_approved, plan_digest

# The rule of one dataset for a statistic; None where its policy wants nobody, or it is not held here.
RuleOf = Callable[[str, str], Rule | None]


@dataclass(frozen=True, slots=True)
class People:
    entity: str
    rule_of: RuleOf
    stewards: Sequence[Steward]
    inbox: StoredInbox
    clock: Clock

    def rules(self, contract: Contract) -> list[Rule]:
        """Whom the policies in force want for this contract: one rule per dataset that wants any."""
        statistic = contract.query.statistic.name
        found = [self.rule_of(name, statistic) for name in named_in(contract, self.entity)]
        return [rule for rule in found if rule is not None]

    async def consult(self, plan: SignedPlan) -> Consulted:
        """Put the plan into the inbox where people have to decide; how far they are."""
        rules = self.rules(plan.body)
        if not rules:
            return Consulted(Stage.NOT_NEEDED)
        now = self.clock.now()
        within = min(rule.need.within for rule in rules) * HOUR
        asked = Delivered(
            digest=plan.digest,
            plan=plan.token,
            initiator=plan.body.initiator,
            session=plan.body.session,
            delivered=now,
            deadline=min(now + within, plan.expires),
            expires=plan.expires,
        )
        fact = Fact(now, "plan.delivered", plan.body.initiator, plan.digest, f"session {plan.body.session}")
        found = await self.inbox.deliver(asked, [fact])
        return standing(found, await self.tally(plan.body, rules))

    async def withdraw(self, plan: SignedPlan) -> None:
        """Its initiator asks it no more."""
        now = self.clock.now()
        fact = Fact(now, "plan.withdrawn", plan.body.initiator, plan.digest, f"session {plan.body.session}")
        await self.inbox.withdraw(plan.digest, plan.body.session, now, [fact])

    async def tally(self, contract: Contract, rules: Sequence[Rule]) -> Tally:
        signed, ran = await self.inbox.decided(plan_digest(contract))
        return self._tally(contract, rules, signed, ran)

    async def check(self, contract: Contract) -> tuple[str, ...]:
        """The decisions on which the contract may be approved and run; none where nobody has to decide.

        Raises IsthmusError(NOT_APPROVED).
        """
        rules = self.rules(contract)
        if not rules:
            return ()
        found = await self.tally(contract, rules)
        self._refuse_unless(found)
        return found.evidence

    async def spend(self, contract: Contract, digest: str) -> None:
        """Write down that the contract of this digest runs its editions under its people's decision, before an input
        leaves. Raises IsthmusError(NOT_APPROVED) when that does not cover them any more."""
        rules = self.rules(contract)
        if not rules:
            return
        plan, now = plan_digest(contract), self.clock.now()
        fact = Fact(now, "plan.run", contract.initiator, plan, f"contract {digest}")

        def check(signed: Sequence[str], ran: Sequence[Ran]) -> None:
            self._refuse_unless(self._tally(contract, rules, signed, ran))

        await self.inbox.run(plan, editions(contract), digest, now, fact, check)

    def _tally(self, contract: Contract, rules: Sequence[Rule], signed: Sequence[str], ran: Sequence[Ran]) -> Tally:
        decided = in_force(signed, contract, self.entity, self.stewards, self.clock.now(), signature_holds)
        return tally(decided, contract, rules, self.stewards, ran)

    def _refuse_unless(self, found: Tally) -> None:
        if (problem := objection(found, self.entity)) is not None:
            raise problem


def objection(found: Tally, entity: str) -> IsthmusError | None:
    """Why a contract may not go on, if it may not."""
    if found.is_approved:
        return None
    if found.rejection is not None:
        said = f": {found.rejection.text}" if found.rejection.text else ""
        return not_approved(f"a steward did not approve this{said}", entity, advice="Ask another question")
    if found.used_up:
        text = f"the approval was for {found.used_up} sets of editions, and these are used up"
        return not_approved(text, entity)
    return not_approved(f"{found.have} of {found.need} stewards who have to have approved this", entity)


def standing(found: Delivered, counted: Tally) -> Consulted:
    """Where a plan in the inbox stands, as its initiator is told."""
    stage = Stage.SEEN if found.seen else Stage.DELIVERED
    said = Consulted(stage, counted.have, counted.need, found.delivered, found.seen, found.deadline)
    if counted.rejection is not None:
        return replace(said, stage=Stage.REJECTED, text=counted.rejection.text)
    return replace(said, stage=Stage.APPROVED) if counted.is_approved else said
