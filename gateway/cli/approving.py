"""What `isthmus approvals` does: opens the agent's database beside it, tells what is asked, signs what is decided.

Invariants: what is shown, what is signed and what the agent checks is one digest, computed here again from the plan
that is shown; nothing is read of the gateway or of a row; a name never leaves this machine, only thumbprints do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.budgets import Budget, Described, budgets, describe
from connectors.config import AgentConfig
from connectors.people import People, standing
from connectors.rules.decisions import Decided, Rule, Steward, in_force, longest, may_decide_for
from connectors.stewards import load_stewards, named_in, rule_of
from gateway.cli.auditing import opened
from gateway.config import load
from gateway.domain.audit import Fact
from gateway.domain.contract import Contract
from gateway.domain.decision import APPROVE, REJECT, Consulted, Delivered, SignedPlan, Stage
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Offer, Operator, Space
from gateway.domain.plan import Plan
from gateway.edges import steward_keys
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.documents import Reader, recall_plan
from gateway.edges.federation import Federation, operator_of
from gateway.edges.keys import SigningKey
from gateway.edges.store.database import Database
from gateway.edges.tokens import Verifier, signature_holds
from gateway.rules import planning
from gateway.rules.contract import read_contract
from gateway.rules.jose import parse_compact
from gateway.rules.profiles import DAY
from gateway.rules.tokens import payload_digest

MOST = 1000
EARLIER_SINCE, EARLIER_READ, EARLIER_SHOWN = 365 * DAY, 500, 20
MAX_STORED = 512 * 1024
STANDING_LIFETIME = 366 * DAY


@dataclass(frozen=True, slots=True)
class Row:
    """One plan of the inbox, and where it stands: the stage, or WITHDRAWN or EXPIRED."""

    entry: Delivered
    body: Contract
    said: Consulted
    state: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """A question over one of the same datasets that this space approved before."""

    title: str
    initiator: str
    purpose: str
    at: int
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """All that somebody needs who decides. `verified`: the initiator's signature holds now, by this agent's anchors."""

    row: Row
    plan: Plan
    asker: Operator
    own: tuple[str, ...]
    titles: Mapping[str, str]
    stewards: Mapping[str, str]
    decided: tuple[Decided, ...]
    earlier: tuple[Earlier, ...]
    budgets: tuple[Budget, ...]
    verified: bool


@dataclass(frozen=True, slots=True)
class Done:
    """What was signed, and how far the plan is now."""

    row: Row
    said: str
    name: str
    place: str


@dataclass(frozen=True, slots=True)
class _Inbox:
    settings: AgentConfig
    database: Database
    stewards: tuple[Steward, ...]
    described: Mapping[str, Described]
    people: People
    clock: SystemClock

    async def entries(self) -> AsyncIterator[Delivered]:
        """All of them, newest first: however many newer ones somebody has put before it, none is left out."""
        after = ""
        while page := await self.database.inbox.list(after=after, limit=MOST):
            for entry in page:
                yield entry
            after = page[-1].digest

    async def find(self, named: str) -> Row:
        """The one plan whose digest begins so. Raises IsthmusError(NOT_FOUND, INVALID_ARGUMENT)."""
        found = [entry async for entry in self.entries() if entry.digest.startswith(named)]
        if not named or not found:
            text, advice = f"there is no plan {named!r:.80} here", "See: isthmus approvals list --all"
            raise IsthmusError(Reason.NOT_FOUND, text, field="PLAN", advice=advice)
        if len(found) > 1:
            text = f"{len(found)} plans begin with {named}"
            raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="PLAN", advice="Give more of it")
        return await self.row(found[0])

    async def row(self, entry: Delivered) -> Row:
        plan = recall_plan(entry.plan, entry.digest)
        said = standing(entry, await self.people.tally(plan.body, self.people.rules(plan.body)))
        return Row(entry, plan.body, said, _state(entry, said, self.clock.now()))

    def holder(self, key: SigningKey) -> Steward:
        for steward in self.stewards:
            if steward.key.kid == key.kid:
                return steward
        raise IsthmusError(
            Reason.PERMISSION_DENIED,
            "this key is no steward's of this space",
            field="--key",
            advice="Name its public half in agent.toml, under [[stewards]]",
        )

    def seat(self, signer: Steward, place: str, rules: list[Rule]) -> Steward:
        """For whom `signer` decides: themselves, or the steward called `place`. Raises IsthmusError."""
        seat = next((item for item in self.stewards if item.name == (place or signer.name)), None)
        if seat is None or not may_decide_for(signer, seat, self.clock.now()):
            text = f"{signer.name} does not decide in the place of {place!r:.80} now"
            advice = "agent.toml names delegates, and until when"
            raise IsthmusError(Reason.PERMISSION_DENIED, text, field="--as", advice=advice)
        if not any(seat.name in rule.stewards for rule in rules):
            text = f"the policies of these datasets do not want the decision of {seat.name}"
            raise IsthmusError(
                Reason.PERMISSION_DENIED, text, field="--as" if place else "--key", advice="They name their stewards"
            )
        return seat


@asynccontextmanager
async def _opened(agent: Path) -> AsyncIterator[_Inbox]:
    settings = load(AgentConfig, agent)
    stewards = load_stewards(settings.stewards)
    described = describe(settings)
    clock = SystemClock()

    def rule(name: str, statistic: str) -> Rule | None:
        held = described.get(name)
        return None if held is None else rule_of(held.dataset.terms, held.stewards, statistic, stewards)

    async with opened(agent, settings) as database:
        people = People(settings.entity, rule, stewards, database.inbox, clock)
        yield _Inbox(settings, database, stewards, described, people, clock)


async def listed(agent: Path, everything: bool) -> list[Row]:
    async with _opened(agent) as inbox:
        now = inbox.clock.now()
        return [
            await inbox.row(entry)
            async for entry in inbox.entries()
            if everything or not (entry.withdrawn or entry.deadline <= now)
        ]


async def shown(agent: Path, named: str, key: Path) -> Page:
    signer = steward_keys.load(key)
    async with _opened(agent) as inbox:
        inbox.holder(signer)
        row = await inbox.find(named)
        now = inbox.clock.now()
        fact = Fact(now, "plan.seen", inbox.settings.entity, row.entry.digest, f"by the key {signer.kid}")
        await inbox.database.inbox.see(row.entry.digest, signer.kid, now, [fact])
        return await _page(inbox, await inbox.find(row.entry.digest))


async def decide(agent: Path, named: str, key: Path, place: str, said: str, reason: str) -> Done:
    """Sign and keep a decision. Raises IsthmusError when this person, or this plan, is not to be decided by or on."""
    if len(reason) > 500 or not reason.isprintable():
        text = "a reason is one line of at most 500 characters"
        raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="--reason", advice="Shorten it")
    signer = steward_keys.load(key)
    async with _opened(agent) as inbox:
        holder, row = inbox.holder(signer), await inbox.find(named)
        if said == APPROVE and named != row.entry.digest:
            # Who asks chooses the plan, and with some patience how its digest begins.
            text = "an approval names the whole digest of its plan: another plan may begin like the one that was shown"
            advice = "Take it from the last line of: isthmus approvals show"
            raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="PLAN", advice=advice)
        rules, now, entry = inbox.people.rules(row.body), inbox.clock.now(), row.entry
        seat = inbox.seat(holder, place, rules)
        if said == APPROVE and (entry.withdrawn or entry.deadline <= now):
            over = "withdrawn by its asker" if entry.withdrawn else "not decided in time, and is over"
            text, advice = f"the plan was {over}", "Nothing is left to decide; it may be asked again"
            raise IsthmusError(Reason.ILLEGAL_TRANSITION, text, field="PLAN", advice=advice)
        plan = SignedPlan(row.body, entry.digest, entry.plan, entry.expires)
        token = steward_keys.decision(
            plan,
            signer,
            said,
            reason,
            now,
            SystemIds().fresh(),
            space=inbox.settings.entity,
            seat=seat.key.kid,
            expires=_expires(plan, said, now),
        )
        whose = "" if seat == holder else f", in the place of the key {seat.key.kid}"
        fact = Fact(now, f"plan.{_PAST[said]}", inbox.settings.entity, entry.digest, f"by the key {signer.kid}{whose}")
        digest = payload_digest(parse_compact(token, MAX_STORED).payload)
        await inbox.database.inbox.decide(entry.digest, digest, token, now, [fact])
        return Done(await inbox.find(entry.digest), said, holder.name, "" if seat == holder else seat.name)


_PAST = {APPROVE: "approved", REJECT: "rejected"}


def _expires(plan: SignedPlan, said: str, now: int) -> int:
    """An approval is good until the plan is over, or for a year of editions; a rejection outlives every approval that
    it may take back."""
    if said == REJECT:
        return now + longest(plan.body, said)
    return now + STANDING_LIFETIME if plan.body.query.standing > 1 else plan.expires


def _state(entry: Delivered, said: Consulted, now: int) -> str:
    if entry.withdrawn:
        return "WITHDRAWN"
    decided = said.stage in (Stage.APPROVED, Stage.REJECTED)
    return "EXPIRED" if entry.deadline <= now and not decided else said.stage.value


async def _page(inbox: _Inbox, row: Row) -> Page:
    trust = Federation([anchor.load() for anchor in inbox.settings.anchors], inbox.clock.now, inbox.database.beliefs)
    await trust.restore()
    known = {str(entity.entity_id): operator_of(entity) for entity in trust.entities()}
    body = row.body
    named = {seat.entity: seat.operator for seat in body.seats}
    everybody = dict.fromkeys((*body.entities(), body.initiator))
    operators = {
        entity: known.get(entity) or Operator(entity, named.get(entity, entity), entity) for entity in everybody
    }
    nothing = Offer((), (), 0, "", 0)
    plan = planning.plan(body, {entity: Space(operator, nothing, 0) for entity, operator in operators.items()}, ())
    try:
        await Reader(Verifier(trust, inbox.clock.now)).plan(row.entry.plan)
        verified = True
    except IsthmusError:
        verified = False
    signed, _ = await inbox.database.inbox.decided(row.entry.digest)
    own = tuple(named_in(body, inbox.settings.entity))
    return Page(
        row=row,
        plan=plan,
        asker=operators[body.initiator],
        own=own,
        titles={name: held.dataset.title for name, held in inbox.described.items()},
        stewards={steward.key.kid: steward.name for steward in inbox.stewards},
        decided=in_force(signed, body, inbox.settings.entity, inbox.stewards, inbox.clock.now(), signature_holds),
        earlier=await _earlier(inbox, set(own)),
        budgets=tuple(
            await budgets(
                inbox.database,
                [inbox.described[name] for name in own if name in inbox.described],
                body.initiator,
                operators,
            )
        ),
        verified=verified,
    )


async def _earlier(inbox: _Inbox, own: set[str]) -> tuple[Earlier, ...]:
    """What this agent approved of late over the same datasets, newest first."""
    now, after = inbox.clock.now(), ""
    found: list[Earlier] = []
    while True:
        page = await inbox.database.approvals.list(
            since=now - EARLIER_SINCE, until=now + DAY, after=after, limit=EARLIER_READ
        )
        if not page:
            return tuple(found[::-1][:EARLIER_SHOWN])
        for approved in page:
            if not approved.contract:
                continue
            body = read_contract(parse_compact(approved.contract, MAX_STORED).claims)
            shared = tuple(name for name in named_in(body, inbox.settings.entity) if name in own)
            if shared:
                asked = body.query
                found.append(Earlier(asked.title, approved.initiator, asked.purpose, approved.at, shared))
        after = page[-1].digest
