"""A rulebook at its anchor: published, in every statement, accepted by members; and members that pause or leave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.rulebook import NO_WORD, Acceptance, OwnWord, Rulebook
from gateway.rules import rulebook
from gateway.rules.jose import TokenProblem
from gateway.rules.membership import rulebooks_of, word_of
from gateway.rules.tokens import DAY
from tests import anchor_kit
from tests.anchor_kit import Office
from tests.unit.trust_kit import ANCHOR, CARE, NOW, POLICE, new_space

ONE, TWO = "# Rules\n\nOne.\n", "# Rules\n\nTwo.\n"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with anchor_kit.office(tmp_path) as made:
        yield made


async def refused(work: Any) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        await work
    return caught.value


def accepts(book: Rulebook) -> OwnWord:
    return OwnWord((Acceptance(ANCHOR, book.version, book.digest),))


async def test_a_published_version_is_in_the_next_statement_of_every_member(office: Office) -> None:
    care, police = new_space(CARE), new_space(POLICE)
    before = await office.joined(care)
    book = await office.vouch.publish(ONE, 1, NOW + DAY)
    joined = await office.joined(police)
    assert rulebooks_of(before.statement) == () and rulebooks_of(joined.statement) == (book,)
    member, _, _ = await office.fetch(care)
    assert rulebooks_of(member.statement) == (book,)
    assert office.desk.verify(office.configuration(care), member.statement).rulebooks == (book,)
    _, changed, _ = await office.fetch(police)
    assert {item.entity: rulebooks_of(item.statement) for item in changed} == {CARE: (book,), POLICE: (book,)}
    assert (await office.fetch(care))[0].statement == member.statement
    assert await office.vouch.text(1) == ONE and await office.vouch.text(2) == await office.vouch.text(0) == ""
    assert [kind for kind in await office.kinds() if kind in ("rulebook.published", "member.statement")] == [
        "rulebook.published", "member.statement",
    ]  # fmt: skip


async def test_the_version_before_is_named_until_the_next_one_is_in_force(office: Office) -> None:
    care = new_space(CARE)
    await office.joined(care)
    one = await office.vouch.publish(ONE, 1, NOW)
    two = await office.vouch.publish(TWO, 2, NOW + DAY)
    assert rulebooks_of((await office.fetch(care))[0].statement) == (one, two)
    office.clock.time = NOW + DAY
    assert rulebooks_of((await office.fetch(care))[0].statement) == (two,)


async def test_a_version_is_published_once_and_none_before_it(office: Office) -> None:
    await office.vouch.publish(TWO, 2, NOW)
    for text, version in ((ONE, 1), (ONE, 2), (TWO, 2)):
        problem = await refused(office.vouch.publish(text, version, NOW))
        assert problem.reason is Reason.INVALID_ARGUMENT and "--version 3" in problem.advice
    assert [item.book.version for item in await office.database.rulebooks.list()] == [2]
    assert await office.vouch.text(2) == TWO
    assert (await office.kinds()).count("rulebook.published") == 1


async def test_an_acceptance_is_written_down_once_and_everybody_sees_it(office: Office) -> None:
    care, police = new_space(CARE), new_space(POLICE)
    book = await office.vouch.publish(ONE, 1, NOW)
    await office.joined(care)
    await office.joined(police)
    for _ in range(3):
        office.clock.time += 60
        await office.fetch(care, word=accepts(book))
    _, changed, _ = await office.fetch(police)
    (seen,) = [member for member in changed if member.entity == CARE]
    assert word_of(seen.configuration) == accepts(book)
    assert rulebook.objection(office.desk.verify(seen.configuration, seen.statement), (book,), NOW) is None
    facts = [fact for fact in await office.database.audit.read(start=0, limit=100) if fact.kind == "rulebook.accepted"]
    assert [(fact.subject, fact.about, fact.detail) for fact in facts] == [
        (CARE, ANCHOR, f"version 1, digest {book.digest}")
    ]


async def test_an_acceptance_of_before_that_is_replayed_changes_nothing(office: Office) -> None:
    care = new_space(CARE)
    one, two = await office.vouch.publish(ONE, 1, NOW), await office.vouch.publish(TWO, 2, NOW)
    await office.joined(care)
    old = office.configuration(care, word=accepts(one))
    office.clock.time += 60
    await office.fetch(care, word=accepts(two))
    member, _, _ = await office.vouch.fetch(await office.vouch.known(CARE, old, ()), 0)
    assert word_of(member.configuration) == accepts(two)
    assert (await office.kinds()).count("rulebook.accepted") == 1


async def test_nobody_accepts_pauses_or_leaves_for_another(office: Office) -> None:
    care, police = new_space(CARE), new_space(POLICE)
    book = await office.vouch.publish(ONE, 1, NOW)
    await office.joined(care)
    await office.joined(police)
    for word in (accepts(book), replace(NO_WORD, paused=True), replace(NO_WORD, leaving=(ANCHOR,))):
        forged = office.configuration(care, key=police.federation, word=word)
        for caller in (CARE, POLICE):
            assert isinstance(await refused(office.vouch.known(caller, forged, ())), TokenProblem)
    member = await office.database.members.get(CARE)
    assert member is not None and word_of(member.configuration) == NO_WORD and not member.left
    assert not {"rulebook.accepted", "member.paused", "member.left"} & set(await office.kinds())


async def test_a_pause_and_its_end_are_written_down(office: Office) -> None:
    care = new_space(CARE)
    await office.joined(care)
    for paused in (True, True, False):
        office.clock.time += 60
        member, _, _ = await office.fetch(care, word=replace(NO_WORD, paused=paused))
        assert word_of(member.configuration).paused is paused and not member.suspended
    assert (await office.kinds())[-2:] == ["member.paused", "member.resumed"]


async def test_a_member_leaves_at_once_and_comes_back_by_an_invitation_alone(office: Office) -> None:
    care, police = new_space(CARE), new_space(POLICE)
    await office.joined(care)
    await office.joined(police)
    office.clock.time += 60
    member, _, _ = await office.fetch(care, word=replace(NO_WORD, leaving=(ANCHOR,)))
    assert member.left == member.suspended == office.clock.time
    _, changed, _ = await office.fetch(police)
    assert [item.entity for item in changed if item.suspended] == [CARE]
    for work in (office.fetch(care), office.vouch.suspend(CARE, lift=True), office.vouch.suspend(CARE)):
        problem = await refused(work)
        assert problem.reason is Reason.PERMISSION_DENIED and "left" in problem.public and "--again" in problem.advice
    office.clock.time += 60
    back = await office.join(await office.invited(CARE, again=True), office.configuration(care))
    assert not back.left and not back.suspended
    assert not (await office.fetch(care))[0].suspended
    assert (await office.kinds()).count("member.left") == 1


async def test_who_leaves_another_anchor_stays_with_this_one(office: Office) -> None:
    care = new_space(CARE)
    await office.joined(care)
    office.clock.time += 60
    member, _, _ = await office.fetch(care, word=replace(NO_WORD, leaving=("https://other.example",)))
    assert not member.left and not member.suspended
