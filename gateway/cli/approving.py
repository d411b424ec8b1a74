"""What `isthmus approvals` does: tells what is asked, signs what is decided, beside the agent or through its gateway.

Invariants: what is shown, what is signed and what the agent checks is one digest, computed here from the plan that is
shown; a decision is kept by the agent's one rule (`connectors.desk`), whichever way it comes; through a gateway, which
may lie, nothing is signed for a digest that the steward did not give whole, and no name goes, only thumbprints do.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from gateway.client.aio import AsyncClient
from gateway.client.profile import Profile
from gateway.client.stewards import signed_plan
from gateway.domain.contract import Contract
from gateway.domain.decision import APPROVE, SEEN
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.inbox import Shown, Waiting
from gateway.domain.offer import Offer, Operator, Space
from gateway.domain.plan import Plan
from gateway.edges import steward_keys
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.keys import SigningKey
from gateway.rules import planning, plans
from gateway.rules.jose import TokenProblem, is_thumbprint
from gateway.rules.jwks import parse_jwk
from gateway.rules.profiles import is_hex_digest

# Which option of the command a refusal means, by the claim or field that it names.
OPTIONS = {"iss": "--key", "sub": "--as", "plan": "PLAN"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the inbox is asked: beside the agent, or at its gateway; exactly one of the two."""

    agent: Path | None
    profile: Path | None

    def __post_init__(self) -> None:
        if (self.agent is None) == (self.profile is None):
            text = "one of the two says where the inbox is"
            advice = "Beside the agent --agent agent.toml, elsewhere --profile PROFILE"
            raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="--agent, --profile", advice=advice)


class Source(Protocol):
    async def list(self, everything: bool) -> Sequence[Waiting]: ...

    async def show(self, plan: str) -> Shown: ...

    async def hand_in(self, plan: str, decision: str) -> Waiting: ...


@dataclass(frozen=True, slots=True)
class Inbox:
    """Of the space of this entity ID. `names` are the stewards' by thumbprint, where they are known: a gateway says
    none."""

    source: Source
    space: str
    names: Mapping[str, str]
    is_local: bool

    def named(self, thumbprint: str) -> str:
        return self.names.get(thumbprint, thumbprint)

    def seat(self, place: str) -> str:
        """The thumbprint of the steward who is called `place`: by name, by thumbprint, or by a file of the public key;
        empty: whoever signs. Raises IsthmusError."""
        for kid, name in self.names.items():
            if name == place:
                return kid
        if not place or is_thumbprint(place):
            return place
        try:
            return parse_jwk(json.loads(Path(place).read_text())).kid
        except (OSError, ValueError, TokenProblem):
            advice = (
                "agent.toml names its stewards"
                if self.is_local
                else "Give the thumbprint or the public file of the key"
            )
            text = f"{place!r:.80} is no steward here"
            raise IsthmusError(Reason.PERMISSION_DENIED, text, field="--as", advice=advice) from None


@dataclass(frozen=True, slots=True)
class Page:
    """All that somebody needs who decides."""

    shown: Shown
    body: Contract
    plan: Plan
    asker: Operator
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Done:
    """What was signed, and how far the plan is now."""

    waiting: Waiting
    said: str
    name: str
    place: str


@asynccontextmanager
async def _reached(place: Place) -> AsyncIterator[Inbox]:
    try:
        if place.agent is None:
            assert place.profile is not None
            async with AsyncClient(Profile.load(place.profile)) as client:
                yield Inbox(client.approvals, client.approvals.space, {}, is_local=False)
        else:
            # An agent's machine has what this needs; a steward's own need not.
            from gateway.cli.approving_beside import beside

            async with beside(place.agent) as (source, names):
                yield Inbox(source, source.desk.entity, names, is_local=True)
    except IsthmusError as problem:
        problem.field = OPTIONS.get(problem.field, problem.field)
        raise


async def listed(place: Place, everything: bool) -> Sequence[Waiting]:
    async with _reached(place) as inbox:
        return await inbox.source.list(everything)


async def shown(place: Place, named: str, key: Path) -> Page:
    signer = steward_keys.load(key)
    async with _reached(place) as inbox:
        found = await inbox.source.show(named)
        waiting = await _hand_in(inbox, found, signer, SEEN, "", "")
        return page_of(replace(found, waiting=waiting), inbox.names)


async def decide(place: Place, named: str, key: Path, instead: str, said: str, reason: str) -> Done:
    """Sign a decision and hand it in. Raises IsthmusError when this person, or this plan, is not to be decided by or
    on."""
    if len(reason) > 500 or not reason.isprintable():
        text = "a reason is one line of at most 500 characters"
        raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="--reason", advice="Shorten it")
    signer = steward_keys.load(key)
    async with _reached(place) as inbox:
        if (said == APPROVE or not inbox.is_local) and not is_hex_digest(named):
            # Who asks chooses the plan, and with some patience how its digest begins; a gateway what it shows.
            text = "a decision names the whole digest of its plan: another plan may begin like the one that was shown"
            advice = "Take it from the last line of: isthmus approvals show"
            raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="PLAN", advice=advice)
        found = await inbox.source.show(named)
        seat = inbox.seat(instead)
        waiting = await _hand_in(inbox, found, signer, said, reason, seat)
        by = inbox.named(signer.kid)
        return Done(waiting, said, by, "" if seat in ("", signer.kid) else inbox.named(seat))


async def _hand_in(inbox: Inbox, found: Shown, signer: SigningKey, said: str, reason: str, seat: str) -> Waiting:
    """What is signed is the digest of what was found, as computed here."""
    plan, now = signed_plan(found), SystemClock().now()
    until = plans.expires(plan, said, now)
    token = steward_keys.decision(
        plan,
        signer,
        said,
        reason,
        now,
        SystemIds().fresh(),
        space=inbox.space,
        seat=seat or signer.kid,
        expires=until,
    )
    return await inbox.source.hand_in(plan.digest, token)


def page_of(found: Shown, names: Mapping[str, str]) -> Page:
    """What is said of the plan follows from what its initiator signed; who is in it, from what the agent knows."""
    body = signed_plan(found).body
    known = {operator.entity: operator for operator in found.operators}
    operators = {
        entity: known.get(entity) or Operator(entity, entity, entity)
        for entity in dict.fromkeys((*body.entities(), body.initiator))
    }
    nothing = Offer((), (), 0, "", 0)
    plan = planning.plan(body, {entity: Space(operator, nothing, 0) for entity, operator in operators.items()}, ())
    return Page(found, body, plan, operators[body.initiator], names)
