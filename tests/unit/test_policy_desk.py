"""Stewards who change a policy through their gateway: so many of them, one text, this dataset, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from connectors.rules.decisions import Steward
from connectors.steward_line import answer
from gateway.api.agent.v1 import agent_pb2
from gateway.client.stewards import Policies
from gateway.config import load
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.policy_text import Proposed
from gateway.edges import steward_keys
from gateway.edges.agents import OF_STEWARDS
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.ports import Clock
from gateway.rules.policy_texts import text_digest
from gateway.rules.profiles import DAY
from tests.unit.test_policy_watch import NAME, POLICY, Watched, watched
from tests.unit.trust_kit import NOW

__all__ = ["watched"]
NEXT = POLICY.replace("version = 1", "version = 2") + 'spaces = ["https://care.example"]\n'
BAD = Reason.INVALID_ARGUMENT, "proposal"


@dataclass
class Desk:
    watched: Watched
    signers: dict[str, SigningKey]

    @property
    def policies(self) -> Policies:
        """The SDK's, over a gateway that passes on as it should."""
        return Policies(self._relayed, cast(Clock, self.watched.world.clock))

    async def _relayed(self, rpc: str, request: Any, kind: Any) -> Any:
        field, back = OF_STEWARDS[type(request)]
        said = await answer(self.watched.agent, agent_pb2.ConnectResponse(number=1, **{field: request}))
        return kind.FromString(getattr(said, back).SerializeToString())

    async def propose(self, name: str, text: str = NEXT, version: int = 2) -> Proposed:
        return await self.policies.propose(NAME, text, version, self.signers[name])

    def signed(self, name: str = "anna", text: str = NEXT, version: int = 2, dataset: str = NAME, **more: Any) -> str:
        at = more.pop("at", self.watched.world.clock.at)
        return steward_keys.proposal(dataset, text, version, self.signers[name], at, "j", **more)

    async def refused(self, token: str, dataset: str = NAME) -> tuple[Reason, str]:
        with pytest.raises(IsthmusError) as caught:
            await self.policies.hand_in(dataset, token)
        return caught.value.reason, caught.value.field

    @property
    def version(self) -> int:
        return self.watched.agent.own.offer.datasets[0].terms.version


@pytest.fixture
async def desk(watched: Watched) -> AsyncIterator[Desk]:
    agent = watched.agent
    signers = {name: new_signing_key() for name in ("anna", "ben", "cleo", "stranger")}
    agent.stewards = tuple(Steward(name, key.jwk) for name, key in signers.items() if name != "stranger")
    agent.policy_persons = 2
    agent.holdings[NAME] = replace(agent.holdings[NAME], policy_file=watched.file)
    agent.__post_init__()
    watched.file.chmod(0o640)
    yield Desk(watched, signers)


async def test_a_policy_that_two_stewards_sign_is_written_and_put_in_force(desk: Desk) -> None:
    before = await desk.policies.show(NAME)
    assert (before.version, before.text, before.digest) == (1, POLICY, text_digest(POLICY))
    assert await desk.propose("anna") == Proposed(NAME, 2, text_digest(NEXT), 1, 2, False)
    assert desk.watched.file.read_text() == POLICY
    assert await desk.propose("ben") == Proposed(NAME, 2, text_digest(NEXT), 2, 2, True)
    assert desk.watched.file.read_text() == NEXT and desk.watched.file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in desk.watched.file.parent.glob(".*")] == []
    await desk.watched.settle()
    assert desk.version == 2 and (await desk.policies.show(NAME)).text == NEXT
    proposed = await desk.watched.world.facts("policy.proposed")
    (accepted,) = await desk.watched.world.facts("policy.accepted")
    assert len(proposed) == 2 and text_digest(NEXT) in accepted
    for name in ("anna", "ben"):
        assert desk.signers[name].kid in accepted and name not in accepted


async def test_one_steward_twice_and_two_texts_are_not_enough(desk: Desk) -> None:
    assert (await desk.propose("anna")).have == 1
    desk.watched.world.clock.at += 1
    assert (await desk.propose("anna")).have == 1
    assert (await desk.propose("ben", NEXT + "questions = 9\n")).have == 1
    desk.watched.world.clock.at += 1
    # Who signs another text takes back what they signed before.
    assert (await desk.propose("anna", NEXT + "questions = 8\n")).have == 1
    assert await desk.propose("cleo") == Proposed(NAME, 2, text_digest(NEXT), 1, 2, False)
    assert desk.watched.file.read_text() == POLICY


async def test_off_unless_the_configuration_says_by_how_many(desk: Desk) -> None:
    desk.watched.agent.policy_persons = 0
    desk.watched.agent.__post_init__()
    assert (await desk.refused(desk.signed()))[0] is Reason.PERMISSION_DENIED
    assert (await desk.policies.show(NAME)).version == 1


async def test_what_no_steward_signed_for_this_dataset_now_is_refused_and_noted(desk: Desk) -> None:
    good = desk.signed()
    tampered = good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB")
    for token, expected in (
        (desk.signed("stranger"), (Reason.PERMISSION_DENIED, "iss")),
        (desk.signed(dataset="spaces/police.example/datasets/other"), BAD),
        (desk.signed(at=NOW - 8 * DAY, expires=NOW - DAY), BAD),
        (desk.signed(expires=NOW + 8 * DAY), BAD),
        (desk.signed(at=NOW + 60), BAD),
        (tampered, BAD),
        ("a.b.c", BAD),
        (desk.signed(version=3), BAD),
        (desk.signed(text=POLICY, version=1), (Reason.ILLEGAL_TRANSITION, "version")),
        (desk.signed(text="version = 2\n"), (Reason.CONFIGURATION, "purposes")),
        (desk.signed(text="version ="), (Reason.CONFIGURATION, "")),
        (desk.signed(text=NEXT + '[[columns]]\nname = "none"\n'), (Reason.CONFIGURATION, "columns.0.name")),
        (desk.signed(text=NEXT + "[approval]\npersons = 8\n"), (Reason.CONFIGURATION, "approval.stewards")),
    ):
        assert await desk.refused(token) == expected
    assert (await desk.refused(good, "spaces/police.example/datasets/other"))[0] is Reason.NOT_FOUND
    assert len(await desk.watched.world.facts("policy.refused")) == 14
    assert await desk.watched.agent.database.proposals.of(NAME) == ()
    assert desk.watched.file.read_text() == POLICY


async def test_what_is_refused_says_nothing_of_the_agents_folders(desk: Desk) -> None:
    with pytest.raises(IsthmusError) as caught:
        await desk.policies.hand_in(NAME, desk.signed(text="version ="))
    assert "/" not in caught.value.public and "list.policy.toml" in caught.value.public


async def test_an_older_proposal_that_was_kept_back_does_not_come_after_a_newer_one(desk: Desk) -> None:
    old = desk.signed()
    desk.watched.world.clock.at += 10
    await desk.propose("anna", NEXT + "questions = 9\n")
    assert await desk.refused(old) == BAD
    assert (await desk.propose("ben")).have == 1


async def test_what_has_expired_or_lost_its_steward_does_not_count(desk: Desk) -> None:
    await desk.policies.hand_in(NAME, desk.signed(expires=NOW + 100))
    desk.watched.world.clock.at += 200
    assert (await desk.propose("ben")).have == 1
    agent = desk.watched.agent
    agent.stewards = tuple(steward for steward in agent.stewards if steward.name != "ben")
    agent.__post_init__()
    assert (await desk.propose("cleo")).have == 1
    assert desk.watched.file.read_text() == POLICY


async def test_a_text_that_an_operator_has_taken_back_is_not_brought_again(desk: Desk) -> None:
    tokens = [desk.signed(name) for name in ("anna", "ben", "cleo")]
    for token in tokens[:2]:
        await desk.policies.hand_in(NAME, token)
    await desk.watched.settle()
    assert await desk.refused(tokens[0]) == (Reason.ILLEGAL_TRANSITION, "version")
    desk.watched.file.write_text(POLICY)
    await desk.watched.settle()
    assert desk.version == 1
    for token in tokens:
        assert await desk.refused(token) == (Reason.ALREADY_EXISTS, "version")
    assert desk.watched.file.read_text() == POLICY
    assert len(await desk.watched.world.facts("policy.accepted")) == 1


async def test_a_file_that_somebody_is_editing_is_not_overwritten(desk: Desk) -> None:
    await desk.propose("anna")
    edited = POLICY.replace("version = 1", "version = 7")
    desk.watched.file.write_text(edited)
    assert await desk.refused(desk.signed("ben")) == (Reason.ILLEGAL_TRANSITION, "dataset")
    assert desk.watched.file.read_text() == edited
    with pytest.raises(IsthmusError) as caught:
        await desk.policies.show(NAME)
    assert caught.value.reason is Reason.ILLEGAL_TRANSITION
    desk.watched.file.write_text(POLICY)
    await desk.watched.settle()
    assert (await desk.propose("ben")).accepted


def test_more_persons_than_stewards_are_no_configuration(tmp_path: Path) -> None:
    from connectors.config import AgentConfig

    sample = Path(__file__).parents[2] / "deploy" / "samples" / "agent.toml"
    text = sample.read_text()
    stewards = len(load(AgentConfig, sample).stewards)
    for persons, good in ((max(stewards, 1), stewards > 0), (stewards + 1, False)):
        file = tmp_path / "agent.toml"
        bare = text.replace("[policy_changes]\npersons = 2\n", "")
        file.write_text(f"{bare}\n[policy_changes]\npersons = {persons}\n")
        if good:
            assert load(AgentConfig, file).policy_changes is not None
            continue
        with pytest.raises(IsthmusError) as caught:
            load(AgentConfig, file)
        assert caught.value.reason is Reason.CONFIGURATION
