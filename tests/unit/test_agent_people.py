"""An agent by itself and its people: nothing is approved or run without what its own policy wants of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from connectors.config import AgentConfig
from connectors.rules.decisions import Steward
from connectors.session import Session, SessionKeys
from connectors.stewards import check_terms, load_stewards
from gateway.config import load
from gateway.domain.approval import SignedContract
from gateway.domain.contract import Contract
from gateway.domain.decision import APPROVE, REJECT, Consulted, SignedPlan, Stage
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import Approval, Failure, Refusal
from gateway.edges import steward_keys
from gateway.edges.documents import PlanDesk, Reader, Writer
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.rules import sealing
from gateway.rules.canonical import question
from gateway.rules.jose import parse_compact
from gateway.rules.profiles import DAY
from gateway.rules.records import to_bytes
from gateway.rules.roster import Roster
from gateway.rules.tokens import payload_digest
from tests import examples
from tests.examples import HOME, POLICE, dataset
from tests.fakes import FakeIds
from tests.held import offered
from tests.unit.test_agent_revocation import NOW, World, world

__all__ = ["world"]
SAMPLES = Path(__file__).parents[2] / "deploy" / "samples"


@dataclass
class Desk:
    """The agent of `police` under a policy that wants two stewards, and who decides there."""

    world: World
    signers: dict[str, SigningKey]

    def body(self, request: str = "1", **changes: object) -> Contract:
        known = offered(self.world.holding)
        made = examples.contract(known=known, session=request * 32, not_before=NOW, expires=NOW + 600)
        return replace(made, **changes)  # type: ignore[arg-type]

    @property
    def _writer(self) -> Writer:
        return Writer(HOME, lambda: self.world.spaces[HOME].tokens, self.world.clock, FakeIds())

    def plan(self, body: Contract | None = None) -> SignedPlan:
        return PlanDesk(cast(Reader, None), self._writer).sign(body or self.body(), NOW + 3600)

    def contract(self, body: Contract | None = None) -> str:
        return self._writer.contract(body or self.body())

    async def consult(self, plan: SignedPlan, withdrawn: bool = False) -> Consulted:
        answer = await self.world.agent.consult(plan.token, [], withdrawn)
        assert isinstance(answer, Consulted), answer
        return answer

    async def decide(self, name: str, said: str = APPROVE, plan: SignedPlan | None = None, jti: str = "1") -> None:
        asked, now = plan or self.plan(), self.world.clock.at
        token = steward_keys.decision(asked, self.signers[name], said, "", now, f"{name}{jti}", space=POLICE)
        digest = payload_digest(parse_compact(token, 65536).payload)
        await self.world.agent.database.inbox.decide(asked.digest, digest, token, now, [])

    async def refused(self, body: Contract | None = None) -> Refusal:
        answer = await self.world.agent.propose(self.contract(body), [])
        assert isinstance(answer, Refusal), answer
        return answer


@pytest.fixture
async def desk(world: World) -> AsyncIterator[Desk]:
    await world.agent.hear(world.chains(), world.lists(NOW))
    signers = {name: new_signing_key() for name in ("anna", "ben")}
    world.agent.stewards = tuple(Steward(name, key.jwk) for name, key in signers.items())
    world.agent.__post_init__()
    held = world.holding
    wanting = replace(held.dataset, terms=replace(held.dataset.terms, persons=2))
    world.holding = replace(held, dataset=wanting)
    await world.agent.change_policy(world.holding)
    yield Desk(world, signers)


async def test_nothing_is_approved_before_enough_stewards_have(desk: Desk) -> None:
    assert (await desk.refused()).reason == Reason.NOT_APPROVED
    await desk.decide("anna")
    assert "1 of 2" in (await desk.refused()).text
    await desk.decide("ben")
    answer = await desk.world.agent.propose(desk.contract(), [])
    assert isinstance(answer, Approval)
    assert len(parse_compact(answer.token, 65536).claims["decisions"]) == 2


async def test_an_inbox_says_how_far_its_people_are(desk: Desk) -> None:
    plan = desk.plan()
    assert await desk.consult(plan) == Consulted(Stage.DELIVERED, 0, 2, NOW, 0, NOW + 3600)
    await desk.world.agent.database.inbox.see(plan.digest, "thumb", NOW + 1, [])
    await desk.decide("anna")
    assert await desk.consult(plan) == Consulted(Stage.SEEN, 1, 2, NOW, NOW + 1, NOW + 3600)
    await desk.decide("ben")
    assert (await desk.consult(plan)).stage is Stage.APPROVED
    desk.world.clock.at += 1
    await desk.decide("ben", REJECT, jti="2")
    assert (await desk.consult(plan)).stage is Stage.REJECTED
    assert await desk.world.facts("plan.delivered") == [f"session {'1' * 32}"]


async def test_a_plan_for_which_nobody_has_to_decide_stays_out_of_the_inbox(desk: Desk) -> None:
    plan = desk.plan()
    held = desk.world.holding
    await desk.world.agent.change_policy(
        replace(held, dataset=replace(held.dataset, terms=replace(held.dataset.terms, persons=0)))
    )
    assert await desk.consult(plan) == Consulted(Stage.NOT_NEEDED)
    assert await desk.world.agent.database.inbox.list(limit=9) == ()


async def test_a_plan_that_the_policy_refuses_is_put_before_nobody(desk: Desk) -> None:
    body = desk.body()
    plan = desk.plan(replace(body, query=replace(body.query, purpose="another")))
    answer = await desk.world.agent.consult(plan.token, [], False)
    assert isinstance(answer, Refusal) and answer.reason == Reason.POLICY_REFUSED
    assert await desk.world.agent.database.inbox.list(limit=9) == ()
    assert len(await desk.world.facts("plan.refused")) == 1


async def test_an_approval_that_was_taken_back_stops_what_waits_and_what_runs(desk: Desk) -> None:
    for name in desk.signers:
        await desk.decide(name)
    token = desk.contract()
    assert isinstance(await desk.world.agent.propose(token, []), Approval)
    signed = await desk.world.agent.reader.contract(token)
    running = Running(signed)
    desk.world.agent.in_hand.running[signed.body.session] = (cast(Session, running), ())
    await desk.world.agent.look_at_decisions()
    assert running.stopped is None and desk.world.agent.in_hand.waiting
    desk.world.clock.at += 1
    await desk.decide("anna", REJECT, jti="2")
    await desk.world.agent.look_at_decisions()
    assert running.stopped is not None and running.stopped.reason == Reason.NOT_APPROVED
    assert not desk.world.agent.in_hand.waiting
    with pytest.raises(IsthmusError) as caught:
        await desk.world.agent._spend(signed)
    assert caught.value.reason is Reason.NOT_APPROVED
    assert await desk.world.facts("session.output") == []


@dataclass
class Running:
    contract: SignedContract
    stopped: Failure | None = None

    def stop(self, failure: Failure) -> None:
        self.stopped = failure


async def test_an_approval_that_was_taken_back_a_moment_ago_keeps_kept_shares_here_too(desk: Desk) -> None:
    """A repeat without a session is over before anybody looks again at what runs."""
    for name in desk.signers:
        await desk.decide(name)
    agent = desk.world.agent
    signed = await agent.reader.contract(desk.contract())
    repeat = agent._redelivery(signed, Roster(b"", {}, {}), SessionKeys({}, b""), "e" * 64)
    await repeat.spend()
    desk.world.clock.at += 1
    await desk.decide("anna", REJECT, jti="2")
    with pytest.raises(IsthmusError) as caught:
        await repeat.spend()
    assert caught.value.reason is Reason.NOT_APPROVED
    assert len(await desk.world.facts("redelivery.output")) == 1


async def test_a_dry_run_tells_of_an_earlier_answer_only_whoever_might_have_it(desk: Desk) -> None:
    """Not before its people have approved the question, nor to somebody with whom no session begins."""
    agent, body = desk.world.agent, desk.body()
    asked = SignedContract(replace(body, requester="somebody else"), "e" * 64, "")
    key, about = agent.keeper.storage_key, question(asked.body)
    pids = [seat.pid for seat in body.seats_of(POLICE)]
    keys = {pid: sealing.fresh_key() for pid in pids}
    met = Roster(b"T" * 32, {pid: public for pid, (_, public) in keys.items()}, {})
    sealed = {
        pid: sealing.seal_kept(key, keys[pid][0], met.transcript, pid, asked.digest, about, [1, 1]) for pid in pids
    }  # fmt: skip
    agent.keeper.completed(asked, met, sealed)
    await agent.keeper.released(body.session)
    seats = tuple(seat.entity for seat in body.seats)
    assert (await agent.check(to_bytes(body))).kept_seats == ()
    for name in desk.signers:
        await desk.decide(name)
    assert (await agent.check(to_bytes(body))).kept_seats == seats
    assert (await agent.check(to_bytes(replace(body, not_before=NOW - DAY)))).kept_seats == ()
    desk.world.clock.at += DAY  # no list of anybody is fresh any more
    later = replace(body, not_before=NOW + DAY, expires=NOW + DAY + 600)
    assert (await agent.check(to_bytes(later))).kept_seats == ()


async def test_a_policy_that_wants_more_people_stops_what_runs(desk: Desk) -> None:
    for name in desk.signers:
        await desk.decide(name)
    signed = await desk.world.agent.reader.contract(desk.contract())
    held = desk.world.holding
    await desk.world.agent.change_policy(
        replace(held, dataset=replace(held.dataset, terms=replace(held.dataset.terms, persons=3)))
    )
    with pytest.raises(IsthmusError) as caught:
        await desk.world.agent._spend(signed)
    assert "2 of 3" in caught.value.public


async def test_an_agent_that_is_started_again_has_its_plans_and_decisions(desk: Desk) -> None:
    plan = desk.plan()
    await desk.consult(plan)
    await desk.decide("anna")
    from gateway.edges.store.database import Database

    async with await Database.open(desk.world.url) as database:
        assert [entry.digest for entry in await database.inbox.list(limit=9)] == [plan.digest]
        assert len((await database.inbox.decided(plan.digest))[0]) == 1


# Configuration.


def agent_toml(folder: Path, *stewards: str) -> Path:
    for name in ("anna", "ben"):
        if not (folder / f"{name}.jwk").exists():
            steward_keys.make(folder / f"{name}.jwk")
    text = (SAMPLES / "agent.toml").read_text().partition("[[stewards]]")[0].partition("# Rings:")[0]
    rest = (SAMPLES / "agent.toml").read_text().partition("# Rings:")[2]
    file = folder / "agent.toml"
    file.write_text(text + "\n".join(f"[[stewards]]\n{steward}" for steward in stewards) + "\n#" + rest)
    return file


ANNA, BEN = 'name = "anna"\nkey = "anna.pub.jwk"\n', 'name = "ben"\nkey = "ben.pub.jwk"\n'
BROKEN = {
    "one name twice": (ANNA, ANNA.replace("anna.pub", "ben.pub")),
    "one key twice": (ANNA, BEN.replace("ben.pub", "anna.pub")),
    "a private key": (ANNA.replace("anna.pub", "anna"),),
    "no key": (ANNA.replace("anna.pub", "none"),),
    "a delegate that is nobody": (ANNA + 'delegate = "carl"\ndelegate_until = 2099-01-01\n', BEN),
    "oneself as delegate": (ANNA + 'delegate = "anna"\ndelegate_until = 2099-01-01\n',),
    "a delegate for ever": (ANNA + 'delegate = "ben"\n', BEN),
    "a name that is none": (ANNA.replace('"anna"', '"Anna Example"'),),
}


@pytest.mark.parametrize("name", BROKEN)
def test_stewards_that_are_not_who_they_should_be_are_refused(tmp_path: Path, name: str) -> None:
    file = agent_toml(tmp_path, *BROKEN[name])
    with pytest.raises(IsthmusError) as caught:
        load_stewards(load(AgentConfig, file).stewards)
    assert caught.value.reason is Reason.CONFIGURATION
    assert "stewards" in caught.value.field


def test_stewards_are_read_with_their_delegates(tmp_path: Path) -> None:
    file = agent_toml(tmp_path, ANNA + 'delegate = "ben"\ndelegate_until = 2099-01-01\n', BEN)
    anna, ben = load_stewards(load(AgentConfig, file).stewards)
    assert (anna.delegate, anna.until, ben.delegate) == ("ben", "2099-01-01", "")
    assert anna.key.kid == steward_keys.load(tmp_path / "anna.jwk").kid


def test_a_policy_that_nobody_could_satisfy_is_refused() -> None:
    stewards = tuple(Steward(name, new_signing_key().jwk) for name in ("anna", "ben"))
    two = dataset(HOME, terms=replace(dataset(HOME).terms, persons=2))
    check_terms(two, (), stewards)
    check_terms(two, ("anna", "ben"), stewards)
    check_terms(dataset(HOME), (), ())
    for named, known in (((), stewards[:1]), (("anna",), stewards), (("anna", "carl"), stewards), ((), ())):
        with pytest.raises(IsthmusError) as caught:
            check_terms(two, named, known)
        assert caught.value.reason is Reason.CONFIGURATION


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    steward_keys.make(tmp_path / "anna.jwk")
    assert (tmp_path / "anna.jwk").stat().st_mode & 0o777 == 0o600
    assert '"d"' not in (tmp_path / "anna.pub.jwk").read_text()
    with pytest.raises(IsthmusError):
        steward_keys.make(tmp_path / "anna.jwk")
    (tmp_path / "anna.jwk").chmod(0o644)
    with pytest.raises(IsthmusError) as caught:
        steward_keys.load(tmp_path / "anna.jwk")
    assert caught.value.reason is Reason.CONFIGURATION
    (tmp_path / "anna.pub.jwk").chmod(0o600)
    with pytest.raises(IsthmusError):
        steward_keys.load(tmp_path / "anna.pub.jwk")
