"""What an anchor does, over a real database: whom it makes a member, what it pins, what it renews and tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import KeyUse
from gateway.domain.membership import InvitationState
from gateway.domain.rulebook import NO_WORD
from gateway.edges.keys import new_signing_key
from gateway.rules import invitations
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.tokens import DAY
from tests import anchor_kit
from tests.anchor_kit import HOUR, Office
from tests.unit.trust_kit import ANCHOR, CARE, NOW, POLICE, new_space


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with anchor_kit.office(tmp_path) as made:
        yield made


async def refused(work: object) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        await work  # type: ignore[misc]
    return caught.value


async def test_an_invited_space_becomes_a_member_with_its_keys_pinned(office: Office) -> None:
    care = new_space(CARE)
    member = await office.joined(care)
    assert member.pins.federation == (care.federation.jwk,)
    assert member.pins.contracts == (care.contracts.jwk,)
    assert member.pins.revocations == (care.revocations.jwk,)
    believed = office.desk.verify(office.configuration(care), member.statement)
    assert believed.entity_id == CARE
    assert await office.kinds() == ["invited", "member.joined"]
    (kept,) = await office.database.invitations.list()
    assert (kept.state, kept.attempts) == (InvitationState.USED, 1)


async def test_an_invitation_is_good_for_one_join(office: Office) -> None:
    care, line = new_space(CARE), await office.invited(CARE)
    await office.join(line, office.configuration(care))
    again = await refused(office.join(line, office.configuration(new_space(CARE))))
    assert again.reason is Reason.PERMISSION_DENIED and "was used before" in again.public
    member = await office.database.members.get(CARE)
    assert member is not None and member.pins.federation == (care.federation.jwk,)


async def test_an_expired_invitation_is_refused_in_plain_words(office: Office) -> None:
    line = await office.invited(CARE, HOUR)
    office.clock.time += HOUR + 5
    late = await refused(office.join(line, office.configuration(new_space(CARE))))
    assert late.reason is Reason.PERMISSION_DENIED and "has expired" in late.public


async def test_a_withdrawn_invitation_is_refused_and_cannot_be_withdrawn_twice(office: Office) -> None:
    line = await office.invited(CARE)
    (kept,) = await office.database.invitations.list()
    await office.vouch.withdraw(kept.id)
    gone = await refused(office.join(line, office.configuration(new_space(CARE))))
    assert gone.reason is Reason.PERMISSION_DENIED and "was withdrawn" in gone.public
    assert (await refused(office.vouch.withdraw(kept.id))).reason is Reason.NOT_FOUND
    assert await office.kinds() == ["invited", "invitation.withdrawn"]


async def test_whoever_holds_an_invitation_joins_under_its_name_alone(office: Office) -> None:
    line = await office.invited(CARE)
    other = await refused(office.join(line, office.configuration(new_space(POLICE))))
    assert isinstance(other, TokenProblem) and other.problem is Problem.CHAIN
    assert await office.database.members.get(POLICE) is None


async def test_the_token_without_its_secret_part_is_worth_nothing(office: Office) -> None:
    line, configuration = await office.invited(CARE), office.configuration(new_space(CARE))
    token, _ = invitations.split(line)
    forged = invitations.proof(bytes(32), token, configuration)
    assert "secret part" in (await refused(office.join(line, configuration, proof=forged))).public


async def test_a_recorded_join_proves_nothing_for_another_configuration(office: Office) -> None:
    line, configuration = await office.invited(CARE), office.configuration(new_space(CARE))
    token, seed = invitations.split(line)
    recorded = invitations.proof(seed, token, configuration)
    thief = office.configuration(new_space(CARE))
    assert "secret part" in (await refused(office.join(line, thief, proof=recorded))).public


async def test_attempts_with_one_invitation_are_counted(office: Office) -> None:
    line, configuration = await office.invited(CARE), office.configuration(new_space(CARE))
    for _ in range(10):
        await refused(office.join(line, configuration, proof=bytes(64)))
    assert "too many attempts" in (await refused(office.join(line, configuration))).public


async def test_an_invitation_of_another_anchor_is_not_read(office: Office, tmp_path: Path) -> None:
    async with anchor_kit.office(tmp_path / "other") as elsewhere:
        foreign = await elsewhere.invited(CARE)
    problem = await refused(office.join(foreign, office.configuration(new_space(CARE))))
    assert isinstance(problem, TokenProblem) and problem.problem is Problem.KEY


async def test_nobody_outside_the_anchors_names_is_invited(office: Office) -> None:
    with pytest.raises(IsthmusError) as caught:
        office.desk.invite(anchor_kit.EntityId("https://care.elsewhere"), HOUR, anchor_kit.SystemIds())
    assert caught.value.field == "ENTITY"


async def test_a_member_joins_with_new_keys_only_if_it_is_invited_again(office: Office) -> None:
    await office.joined(new_space(CARE))
    assert (await refused(office.invited(CARE))).reason is Reason.ALREADY_EXISTS
    fresh = new_space(CARE)
    line = await office.invited(CARE, again=True)
    assert (await office.join(line, office.configuration(fresh))).pins.federation == (fresh.federation.jwk,)


async def test_an_invitation_from_before_does_not_replace_a_member(office: Office) -> None:
    first, second = await office.invited(CARE), await office.invited(CARE)
    await office.join(first, office.configuration(new_space(CARE)))
    late = await refused(office.join(second, office.configuration(new_space(CARE))))
    assert late.reason is Reason.ALREADY_EXISTS


async def test_a_statement_is_renewed_when_half_its_life_is_over_and_not_before(office: Office) -> None:
    care = new_space(CARE)
    joined = await office.joined(care)
    office.clock.time = NOW + 14 * DAY
    assert (await office.fetch(care))[0].statement == joined.statement
    office.clock.time = NOW + 16 * DAY
    renewed, _, _ = await office.fetch(care)
    assert renewed.statement_expires == office.clock.time + 30 * DAY
    assert (await office.kinds())[-1] == "member.statement"


async def test_members_hear_of_each_other_by_version(office: Office) -> None:
    care, police = new_space(CARE), new_space(POLICE)
    await office.joined(care)
    _, first, _ = await office.fetch(care)
    seen = max(member.version for member in first)
    assert (await office.fetch(care, version=seen))[1] == ()
    await office.joined(police)
    _, changed, more = await office.fetch(care, version=seen)
    assert [member.entity for member in changed] == [POLICE] and not more


async def test_a_leaf_that_is_pushed_reaches_the_others_and_an_older_one_does_not(office: Office) -> None:
    care = new_space(CARE)
    await office.joined(care)
    old = office.configuration(care)
    office.clock.time += 60
    fresh, _, _ = await office.fetch(care, endpoint="127.0.0.1:2")
    known = await office.vouch.known(CARE, old, ())
    assert (await office.vouch.fetch(known, 0))[0].configuration == fresh.configuration != old


async def test_pins_change_on_a_token_by_the_present_key_alone(office: Office) -> None:
    care, fresh, thief = new_space(CARE), new_signing_key(), new_signing_key()
    await office.joined(care)
    office.clock.time += 10
    for use, by in ((KeyUse.CONTRACTS, thief), (KeyUse.CONTRACTS, care.federation), (KeyUse.REVOCATIONS, care.tokens)):
        token = office.rotation(care, use, by, thief.jwk)
        known = await office.vouch.known(CARE, office.configuration(care), (token,))
        assert known.member.pins == known.before.pins and len(known.refused) == 1
    token = office.rotation(care, KeyUse.CONTRACTS, care.contracts, care.contracts.jwk, fresh.jwk)
    member, _, _ = await office.fetch(care, (token,))
    assert member.pins.contracts == (care.contracts.jwk, fresh.jwk)
    believed = office.desk.verify(office.configuration(care), member.statement)
    assert believed.contract_keys == (care.contracts.jwk, fresh.jwk)


async def test_rotations_are_applied_in_their_order_and_once(office: Office) -> None:
    care, second, third = new_space(CARE), new_signing_key(), new_signing_key()
    await office.joined(care)
    office.clock.time += 10
    now = office.clock.now()
    one = office.rotation(care, KeyUse.REVOCATIONS, care.revocations, second.jwk, iat=now - 2)
    two = office.rotation(care, KeyUse.REVOCATIONS, second, third.jwk, iat=now - 1)
    member, _, _ = await office.fetch(care, (two, one))
    assert member.pins.revocations == (third.jwk,)
    known = await office.vouch.known(CARE, office.configuration(care), (one, two))
    assert known.member.pins == member.pins and known.refused == ()


async def test_a_rotation_that_is_not_due_or_of_another_anchor_is_passed_over(office: Office) -> None:
    care, fresh = new_space(CARE), new_signing_key()
    await office.joined(care)
    now = office.clock.now()
    tokens = (
        office.rotation(care, KeyUse.CONTRACTS, care.contracts, fresh.jwk, nbf=now + 60),
        office.rotation(care, KeyUse.CONTRACTS, care.contracts, fresh.jwk, aud="https://other.example"),
    )
    known = await office.vouch.known(CARE, office.configuration(care), tokens)
    assert known.member.pins == known.before.pins and known.refused == ()


async def test_a_federation_key_that_is_not_pinned_signs_nothing(office: Office) -> None:
    care = new_space(CARE)
    await office.joined(care)
    thief = office.configuration(care, key=new_signing_key())
    assert (await refused(office.vouch.known(CARE, thief, ()))).reason is Reason.UNAUTHENTICATED


async def test_a_suspended_member_fetches_nothing_and_comes_back_when_that_is_lifted(office: Office) -> None:
    care, police = new_space(CARE), new_space(POLICE)
    await office.joined(care)
    await office.joined(police)
    await office.vouch.suspend(CARE)
    assert (await refused(office.fetch(care))).reason is Reason.PERMISSION_DENIED
    _, changed, _ = await office.fetch(police)
    assert [member.entity for member in changed if member.suspended] == [CARE]
    await office.vouch.suspend(CARE, lift=True)
    assert not (await office.fetch(care))[0].suspended
    assert [kind for kind in await office.kinds() if kind.startswith("member.") and "joined" not in kind] == [
        "member.suspended", "member.reinstated",
    ]  # fmt: skip


@pytest.mark.parametrize("leaves", [False, True])
async def test_an_invitation_of_before_does_not_lift_a_suspension_and_a_newer_one_does(
    office: Office, leaves: bool
) -> None:
    care = new_space(CARE)
    await office.joined(care)
    before = await office.invited(CARE, again=True)
    office.clock.time += 60
    if leaves:
        await office.fetch(care, word=replace(NO_WORD, leaving=(ANCHOR,)))
    else:
        await office.vouch.suspend(CARE)
    problem = await refused(office.join(before, office.configuration(new_space(CARE))))
    assert problem.reason is Reason.PERMISSION_DENIED and "suspended since" in problem.public
    member = await office.database.members.get(CARE)
    assert member is not None and member.suspended and member.pins.federation == (care.federation.jwk,)
    # Its operator has it join with new keys, knowing that.
    fresh = new_space(CARE)
    back = await office.join(await office.invited(CARE, again=True), office.configuration(fresh))
    assert not back.suspended and back.pins.federation == (fresh.federation.jwk,)


async def test_a_stranger_fetches_nothing(office: Office) -> None:
    assert (await refused(office.fetch(new_space(CARE)))).reason is Reason.UNAUTHENTICATED
