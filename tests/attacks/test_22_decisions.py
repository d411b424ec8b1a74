"""Row 22, the decision part: an agent past its gateway, under a policy that wants two stewards. The attacker holds the
gateway's keys and writes into the agent's inbox what it likes; it holds no steward's key."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from gateway.domain.contract import Contract
from gateway.domain.decision import APPROVE, REJECT, Consulted, SignedPlan, Stage
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Filter
from gateway.domain.session import Approval, Refusal
from gateway.edges import steward_keys
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.documents import Writer
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.store.database import Database
from gateway.edges.tokens import sign
from gateway.rules.jose import parse_compact
from gateway.rules.plans import audience, plan_digest
from gateway.rules.tokens import payload_digest
from tests.attacks.lone import until
from tests.attacks.rogue import CARE, COUNT, POLICE, World
from tests.attacks.test_run_past_its_gateway import agree, refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")
YEAR = Filter("year", equals="2013")


@dataclass
class Inbox:
    """What the attacker can do at the agent: write into its database; and what stewards do by themselves."""

    world: World
    database: Database

    def steward(self, name: str) -> SigningKey:
        return steward_keys.load(self.world.folder / "users" / f"care-{name}.jwk")

    def contract(self) -> Contract:
        """A question whose rows no other one asks about, so that no ledger objects to it."""
        sources = tuple(replace(source, filters=(YEAR,)) for source in COUNT.sources)
        return self.world.contract(replace(COUNT, sources=sources, title=f"A question {secrets.token_hex(4)}"))

    def plan(self, contract: Contract) -> SignedPlan:
        """As an honest home gateway would sign it."""
        expires = int(time.time()) + 3600
        writer = Writer(contract.initiator, lambda: self.world.token_key(CARE), SystemClock(), SystemIds())
        return SignedPlan(contract, plan_digest(contract), writer.plan(contract, expires), expires)

    def decision(self, contract: Contract, name: str, said: str = APPROVE, at: int = 0, space: str = CARE) -> str:
        key, now = self.steward(name), at or int(time.time())
        return steward_keys.decision(self.plan(contract), key, said, "", now, SystemIds().fresh(), space=space)

    async def put(self, contract: Contract, *tokens: str) -> None:
        plan = plan_digest(contract)
        for token in tokens:
            try:
                digest = payload_digest(parse_compact(token, 65536).payload)
            except IsthmusError:
                digest = secrets.token_hex(32)
            await self.database.inbox.decide(plan, digest, token, int(time.time()), [])

    async def propose(self, contract: Contract) -> Approval | Refusal:
        return await self.world.line.propose(self.world.sign(contract), self.world.chains(contract))

    async def is_refused(self, contract: Contract) -> None:
        start, parties = len(self.world.facts()), await self.world.warm_parties()
        answer = await self.propose(contract)
        assert isinstance(answer, Refusal), answer
        assert answer.reason == Reason.NOT_APPROVED
        (fact,) = self.world.facts(start)
        assert (fact.kind, fact.detail.partition(":")[0]) == ("contract.refused", Reason.NOT_APPROVED)
        assert self.world.parties() == parties


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def inbox(world: World) -> AsyncIterator[Inbox]:
    policy = world.home(CARE) / "datasets" / "la.policy.toml"
    first = policy.read_text()
    policy.write_text(first.replace("version = 1", "version = 2") + "\n[approval]\npersons = 2\n")
    async with await Database.open(f"sqlite+aiosqlite:///{world.home(CARE)}/agent.db") as database:
        assert await asyncio.to_thread(until, lambda: any(fact.kind == "policy.changed" for fact in world.facts()))
        yield Inbox(world, database)


async def test_22_the_control_what_two_stewards_approved_is_approved_and_carries_what_they_signed(
    inbox: Inbox,
) -> None:
    contract = inbox.contract()
    await inbox.is_refused(contract)
    tokens = [inbox.decision(contract, name) for name in ("anna", "ben")]
    await inbox.put(contract, *tokens)
    answer = await inbox.propose(contract)
    assert isinstance(answer, Approval), answer
    assert sorted(parse_compact(answer.token, 65536).claims["decisions"]) == sorted(tokens)


def invented(inbox: Inbox, contract: Contract) -> str:
    """By a key that the gateway made."""
    return steward_keys.decision(
        inbox.plan(contract), new_signing_key(), APPROVE, "", int(time.time()), "j1", space=CARE
    )


def in_the_name_of_ben(inbox: Inbox, contract: Contract) -> str:
    """By the gateway's own token key, under ben's thumbprint."""
    kid, now = inbox.steward("ben").kid, int(time.time())
    claims = {"iss": kid, "sub": kid, "aud": audience(plan_digest(contract)), "iat": now, "exp": now + 60, "jti": "j2"}
    return sign(steward_keys.DECISION, {**claims, "decision": APPROVE, "space": CARE}, inbox.world.token_key(CARE))


def altered(inbox: Inbox, contract: Contract) -> str:
    """Ben's no, made a yes: his signature stands under other bytes."""
    head, _, signature = inbox.decision(contract, "ben", REJECT).split(".")
    payload = inbox.decision(contract, "ben").split(".")[1]
    return f"{head}.{payload}.{signature}"


def of_another_plan(inbox: Inbox, contract: Contract) -> str:
    return inbox.decision(inbox.contract(), "ben")


def of_yesterday(inbox: Inbox, contract: Contract) -> str:
    """What ben signed once, and has expired."""
    plan, now = inbox.plan(contract), int(time.time())
    ben = inbox.steward("ben")
    return steward_keys.decision(plan, ben, APPROVE, "", now - 7200, "j3", space=CARE, expires=now - 60)


def of_another_space(inbox: Inbox, contract: Contract) -> str:
    """What ben signed of this very plan where he is a steward too: the gateway found it in an approval."""
    return inbox.decision(contract, "ben", space=POLICE)


def anna_again(inbox: Inbox, contract: Contract) -> str:
    return inbox.decision(contract, "anna", at=int(time.time()) - 1)


def anna_for_ben(inbox: Inbox, contract: Contract) -> str:
    """In the place of somebody who gave her no leave."""
    plan, seat = inbox.plan(contract), inbox.steward("ben").kid
    now = int(time.time())
    return steward_keys.decision(plan, inbox.steward("anna"), APPROVE, "", now, "j4", space=CARE, seat=seat)


FORGED: dict[str, Callable[[Inbox, Contract], str]] = {
    "one that is invented": invented,
    "one in a steward's name": in_the_name_of_ben,
    "one that is altered": altered,
    "one of another plan": of_another_plan,
    "one of another space": of_another_space,
    "one that has expired": of_yesterday,
    "the same steward twice": anna_again,
    "a steward for another": anna_for_ben,
    "no token at all": lambda inbox, contract: "x",
}


@pytest.mark.parametrize("name", FORGED)
async def test_22_a_decision_that_no_second_steward_signed_does_not_count(inbox: Inbox, name: str) -> None:
    contract = inbox.contract()
    await inbox.put(contract, inbox.decision(contract, "anna"), FORGED[name](inbox, contract))
    await inbox.is_refused(contract)


def _key(contract: Contract) -> Contract:
    (recipient,) = contract.recipients
    return replace(contract, recipients=(replace(recipient, key="A" * 43 + "="),))


def _filter(contract: Contract) -> Contract:
    wider = tuple(replace(source, filters=()) for source in contract.query.sources)
    return replace(contract, query=replace(contract.query, sources=wider))


def _title(contract: Contract) -> Contract:
    return replace(contract, query=replace(contract.query, title="Something harmless"))


def _deadline(contract: Contract) -> Contract:
    return replace(contract, deadlines=replace(contract.deadlines, total=contract.deadlines.total + 1))


SWAPS = {"the recipient's key": _key, "a filter": _filter, "the title": _title, "a deadline": _deadline}


@pytest.mark.parametrize("name", SWAPS)
async def test_22_what_is_swapped_after_the_decision_was_not_decided_on(inbox: Inbox, name: str) -> None:
    contract = inbox.contract()
    tokens = [inbox.decision(contract, who) for who in ("anna", "ben")]
    await inbox.put(contract, *tokens)
    swapped = SWAPS[name](contract)
    await inbox.put(swapped, *tokens)
    await inbox.is_refused(swapped)


async def test_22_a_no_outlasts_every_yes_that_is_played_again(inbox: Inbox) -> None:
    contract, now = inbox.contract(), int(time.time())
    old = [inbox.decision(contract, name, at=now - 60) for name in ("anna", "ben")]
    await inbox.put(contract, *old, inbox.decision(contract, "ben", REJECT, at=now - 30))
    await inbox.put(contract, *old)
    await inbox.is_refused(contract)


async def test_22_what_is_taken_back_after_the_approval_does_not_run(inbox: Inbox) -> None:
    contract, now = inbox.contract(), int(time.time())
    await inbox.put(contract, *(inbox.decision(contract, name, at=now - 60) for name in ("anna", "ben")))
    agreed = await agree(inbox.world, contract)
    await inbox.put(contract, inbox.decision(contract, "anna", REJECT))
    found = await refusal(inbox.world, agreed.token, list(agreed.approvals.values()), agreed.chains)
    assert found.reason is Reason.NOT_APPROVED


async def test_22_a_plan_is_put_before_people_as_its_initiator_signed_it_or_not_at_all(inbox: Inbox) -> None:
    contract = inbox.contract()
    plan, chains = inbox.plan(contract), inbox.world.chains(contract)
    told = await inbox.world.line.consult(plan.token, chains, False)
    assert isinstance(told, Consulted)
    assert (told.stage, told.have, told.need) == (Stage.DELIVERED, 0, 2)
    head, payload, signature = plan.token.split(".")
    other = inbox.plan(inbox.contract()).token.split(".")[1]
    for forged in (f"{head}.{other}.{signature}", f"{head}.{payload}.", "x"):
        answer = await inbox.world.line.consult(forged, chains, False)
        assert isinstance(answer, Refusal) and answer.reason == "UNAUTHENTICATED"
    now = int(time.time())
    claims = parse_compact(plan.token, 512 * 1024).claims
    elsewhere = sign("isthmus-plan+jwt", {**claims, "aud": audience("0" * 64), "iat": now}, inbox.world.token_key(CARE))
    answer = await inbox.world.line.consult(elsewhere, chains, False)
    assert isinstance(answer, Refusal) and answer.reason == "CONTRACT_INVALID"
    entry = await inbox.database.inbox.get(plan.digest)
    assert entry is not None and entry.plan == plan.token
