"""The stewards' desk at an agent: what waits, what a plan says, and the one way in for what they sign.

Invariants: a decision is believed for its signature alone, by this agent's own configuration, for exactly the plan that
lies in the inbox, whoever brings it: the command line beside the agent, or a gateway that passes it on; what is kept
here would count (`connectors.rules.decisions`), what would not is refused with a reason; no name leaves, only
thumbprints do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.budgets import Described, budgets
from connectors.people import People, standing
from connectors.rules.decisions import MAX_BYTES, in_force, may_decide_for
from connectors.stewards import named_in, no_steward
from gateway.domain.audit import Fact
from gateway.domain.contract import Contract
from gateway.domain.decision import APPROVE, REJECT, SEEN, Delivered, SignedPlan, Stage
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.inbox import Earlier, Shown, Standing, Waiting, Word
from gateway.domain.offer import Operator
from gateway.edges.documents import Reader
from gateway.edges.store.database import Database
from gateway.edges.tokens import signature_holds
from gateway.ports import Clock
from gateway.rules.contract import read_contract
from gateway.rules.jose import Problem, TokenProblem, parse_compact
from gateway.rules.plans import audience
from gateway.rules.profiles import DAY
from gateway.rules.recall import recall_plan
from gateway.rules.tokens import LEEWAY, payload_digest
from gateway.rules.verification import read_decision

MOST = 1000
EARLIER_SINCE, EARLIER_READ, EARLIER_SHOWN = 365 * DAY, 500, 20
MAX_STORED = 512 * 1024

# Who is believed now, by entity, and who can verify what they sign.
Believed = Callable[[], Awaitable[tuple[Reader, Mapping[str, Operator]]]]


@dataclass(frozen=True, slots=True)
class Desk:
    """Of one agent. `described` are its datasets as they are held now."""

    entity: str
    database: Database
    people: People
    described: Callable[[], Mapping[str, Described]]
    believed: Believed
    clock: Clock

    async def entries(self) -> AsyncIterator[Delivered]:
        """All of them, newest first: however many newer ones somebody has put before it, none is left out."""
        after = ""
        while page := await self.database.inbox.list(after=after, limit=MOST):
            for entry in page:
                yield entry
            after = page[-1].digest

    async def listed(self, everything: bool, *, after: str, limit: int) -> tuple[list[Waiting], str]:
        """A page of what waits, newest first, and after what the next one begins; empty: there is none."""
        entries = await self.database.inbox.list(after=after, limit=limit + 1)
        page, now = entries[:limit], self.clock.now()
        rows = [
            await self._waiting(entry) for entry in page if everything or not (entry.withdrawn or entry.deadline <= now)
        ]
        return rows, page[-1].digest if len(entries) > limit else ""

    async def find(self, named: str) -> Delivered:
        """The one plan whose digest begins so. Raises IsthmusError(NOT_FOUND, INVALID_ARGUMENT)."""
        found = [entry async for entry in self.entries() if entry.digest.startswith(named)]
        if not named or not found:
            raise _unknown(named)
        if len(found) > 1:
            text = f"{len(found)} plans begin with {named}"
            raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="plan", advice="Give more of it")
        return found[0]

    async def show(self, named: str) -> Shown:
        entry = await self.find(named)
        body = recall_plan(entry.plan, entry.digest).body
        reader, known = await self.believed()
        named_so = {seat.entity: seat.operator for seat in body.seats}
        operators = {
            entity: known.get(entity) or Operator(entity, named_so.get(entity, entity), entity)
            for entity in dict.fromkeys((*body.entities(), body.initiator))
        }
        signed, _ = await self.database.inbox.decided(entry.digest)
        decided = in_force(signed, body, self.entity, self.people.stewards, self.clock.now(), signature_holds)
        own, described = tuple(named_in(body, self.entity)), self.described()
        mine = [described[name] for name in own if name in described]
        return Shown(
            waiting=await self._waiting(entry),
            plan=entry.plan,
            verified=await _verifies(reader, entry.plan),
            operators=tuple(operators.values()),
            titles=tuple((held.dataset.name, held.dataset.title) for held in mine),
            decided=tuple(Word(one.signer, one.seat, one.approves, one.at, one.text) for one in decided),
            earlier=await self._earlier(set(own)),
            budgets=tuple(await budgets(self.database, mine, body.initiator, operators)),
        )

    async def take(self, digest: str, token: str) -> Waiting:
        """Keep what a steward signed about the plan of this digest.

        Raises IsthmusError: NOT_FOUND, PERMISSION_DENIED for a key or place that does not decide here (`field` is the
        claim that is wrong), INVALID_ARGUMENT for a token that is none about this plan now, or older than this person's
        newest, ILLEGAL_TRANSITION for an approval of what is over.
        """
        entry = await self.database.inbox.get(digest)
        if entry is None:
            raise _unknown(digest)
        plan = recall_plan(entry.plan, digest)
        claims, now = self._read(token, plan), self.clock.now()
        signer, said = str(claims["iss"]), str(claims["decision"])
        whose = "" if claims["sub"] == signer else f", in the place of the key {claims['sub']}"
        fact = Fact(now, f"plan.{PAST[said]}", self.entity, digest, f"by the key {signer}{whose}")
        if said == SEEN:
            if claims["iat"] + LEEWAY < entry.delivered:
                raise _stale("it was signed before the plan came")
            await self.database.inbox.see(digest, signer, now, [fact])
            return await self._kept(digest)
        await self._check_newest(plan.body, entry, claims)
        if said == APPROVE and (entry.withdrawn or entry.deadline <= now):
            over = "withdrawn by its asker" if entry.withdrawn else "not decided in time, and is over"
            text, advice = f"the plan was {over}", "Nothing is left to decide; it may be asked again"
            raise IsthmusError(Reason.ILLEGAL_TRANSITION, text, field="plan", advice=advice)
        kept = payload_digest(parse_compact(token, MAX_BYTES).payload)
        await self.database.inbox.decide(digest, kept, token, now, [fact])
        return await self._kept(digest)

    def _read(self, token: str, plan: SignedPlan) -> Mapping[str, Any]:
        """The claims of a decision about this plan, by somebody who may make it. Raises IsthmusError."""
        now = self.clock.now()
        stewards = {steward.key.kid: steward for steward in self.people.stewards}
        try:
            kid = parse_compact(token, MAX_BYTES).kid
            if (signer := stewards.get(kid)) is None:
                raise no_steward(kid)
            claims = read_decision(token, kid, (signer.key,), audience(plan.digest), now, signature_holds).claims
        except TokenProblem as problem:
            raise _no_decision(problem) from None
        if claims.get("space") != self.entity:  # of the same person at another space it says nothing
            raise _stale("it was signed for another space")
        seat = stewards.get(claims["sub"])
        if seat is None or not may_decide_for(signer, seat, now):
            text = "this key does not decide in the place of another now"
            advice = "agent.toml names delegates, and until when"
            raise IsthmusError(Reason.PERMISSION_DENIED, text, field="sub", advice=advice)
        if claims["decision"] == SEEN:
            return claims
        if claims["decision"] not in PAST:
            text = f"there is no decision {claims['decision']!r:.40}"
            raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="decision", advice=f"Sign {APPROVE} or {REJECT}")
        if not any(seat.name in rule.stewards for rule in self.people.rules(plan.body)):
            text = "the policies of these datasets do not want the decision of this steward"
            field = "iss" if seat == signer else "sub"
            raise IsthmusError(Reason.PERMISSION_DENIED, text, field=field, advice="They name their stewards")
        # The last word has the rule that counts.
        if not in_force((token,), plan.body, self.entity, self.people.stewards, now, signature_holds):
            raise _stale("it would be good for longer than a decision about this plan can be")
        return claims

    async def _check_newest(self, body: Contract, entry: Delivered, claims: Mapping[str, Any]) -> None:
        """An older word of a person is not put beside their newer one, however long somebody kept it back."""
        signed, _ = await self.database.inbox.decided(entry.digest)
        approves = claims["decision"] == APPROVE
        for one in in_force(signed, body, self.entity, self.people.stewards, self.clock.now(), signature_holds):
            newer = (one.at, not one.approves) > (claims["iat"], not approves)
            if newer and (one.signer, one.seat) == (claims["iss"], claims["sub"]):
                raise _stale("this person has signed something newer about this plan")

    async def _kept(self, digest: str) -> Waiting:
        entry = await self.database.inbox.get(digest)
        if entry is None:
            raise _unknown(digest)
        return await self._waiting(entry)

    async def _waiting(self, entry: Delivered) -> Waiting:
        body = recall_plan(entry.plan, entry.digest).body
        said = standing(entry, await self.people.tally(body, self.people.rules(body)))
        return Waiting(
            digest=entry.digest,
            title=body.query.title,
            initiator=entry.initiator,
            requester=body.requester,
            state=_state(entry, said.stage, self.clock.now()),
            have=said.have,
            need=said.need,
            editions=body.query.standing,
            delivered=entry.delivered,
            deadline=entry.deadline,
            expires=entry.expires,
            seen=entry.seen,
            seen_by=entry.seen_by,
            withdrawn=entry.withdrawn,
        )

    async def _earlier(self, own: set[str]) -> tuple[Earlier, ...]:
        """What this agent approved of late over the same datasets, newest first."""
        now, after = self.clock.now(), ""
        found: list[Earlier] = []
        while True:
            page = await self.database.approvals.list(
                since=now - EARLIER_SINCE, until=now + DAY, after=after, limit=EARLIER_READ
            )
            if not page:
                return tuple(found[::-1][:EARLIER_SHOWN])
            for approved in page:
                if not approved.contract:
                    continue
                body = read_contract(parse_compact(approved.contract, MAX_STORED).claims)
                shared = tuple(name for name in named_in(body, self.entity) if name in own)
                if shared:
                    asked = body.query
                    found.append(Earlier(asked.title, approved.initiator, asked.purpose, approved.at, shared))
            after = page[-1].digest


PAST = {APPROVE: "approved", REJECT: "rejected", SEEN: "seen"}


async def _verifies(reader: Reader, plan: str) -> bool:
    try:
        await reader.plan(plan)
    except IsthmusError:
        return False
    return True


def _state(entry: Delivered, stage: Stage, now: int) -> Standing:
    if entry.withdrawn:
        return Standing.WITHDRAWN
    decided = stage in (Stage.APPROVED, Stage.REJECTED)
    return Standing.EXPIRED if entry.deadline <= now and not decided else Standing(stage.value)


def _unknown(named: str) -> IsthmusError:
    text, advice = f"there is no plan {named!r:.80} here", "See: isthmus approvals list --all"
    return IsthmusError(Reason.NOT_FOUND, text, field="plan", advice=advice)


def _no_decision(problem: TokenProblem) -> IsthmusError:
    said = {
        Problem.AUDIENCE: ("it was signed about another plan", "Look at this plan, and sign what it says"),
        Problem.TIMES: ("it has expired, or is not valid yet", "Sign it again, and check the clock of your machine"),
        Problem.LIFETIME: ("it would be good for too long", "Sign it again"),
    }
    text, advice = said.get(problem.problem, ("it is no decision that this key has signed", "Sign it again"))
    return IsthmusError(
        Reason.INVALID_ARGUMENT,
        f"the decision does not count: {text}",
        private=problem.private,
        field="decision",
        advice=advice,
    )


def _stale(text: str) -> IsthmusError:
    return IsthmusError(
        Reason.INVALID_ARGUMENT,
        f"the decision does not count: {text}",
        field="decision",
        advice="Look at the plan, and sign it again",
    )
