"""The rulebook's rules: what statements say of it, who has accepted it, and who begins no session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Entity
from gateway.domain.rulebook import NO_WORD, Acceptance, OwnWord, Rulebook
from gateway.edges.federation import Federation, entity_configuration, subordinate_statement
from gateway.edges.keys import new_signing_key
from gateway.edges.rulebooks import OwnWordFile, RulebookFiles
from gateway.rules import rulebook
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.tokens import DAY
from tests.fakes import MemoryBeliefs
from tests.unit.trust_kit import ANCHOR, CARE, NOW, POLICE, Space, anchor_of, new_space

TEXTS = {1: "# Rules\n\nOne.\n", 2: "# Rules\n\nTwo: café.\n", 3: "# Rules\n\nThree.\n"}
ANCHOR_KEY = new_signing_key()


def book(version: int, in_force: int = NOW - DAY) -> Rulebook:
    return Rulebook(version, rulebook.digest_of(TEXTS[version]), in_force)


def accepts(version: int, digest: str = "", anchor: str = ANCHOR) -> OwnWord:
    return OwnWord((Acceptance(anchor, version, digest or rulebook.digest_of(TEXTS[version])),))


def chain(
    space: Space, books: Sequence[Rulebook], word: OwnWord = NO_WORD, now: int = NOW, **policy: Any
) -> tuple[str, str]:
    configuration = entity_configuration(space.entity_id, space.metadata(word=word), [ANCHOR], space.federation, now)
    statement = subordinate_statement(
        ANCHOR, space.entity_id, [space.federation.jwk], ANCHOR_KEY, now, metadata_policy=policy, rulebooks=books
    )
    return configuration, statement


def federation(now: list[int] | None = None, beliefs: MemoryBeliefs | None = None) -> Federation:
    return Federation([anchor_of(ANCHOR_KEY, CARE, POLICE)], lambda: NOW if now is None else now[0], beliefs)


def refused(trust: Federation, entity: str = CARE) -> IsthmusError:
    problem = trust.objection(entity)
    assert problem is not None and problem.space == entity and problem.advice
    return problem


def test_a_federation_without_a_rulebook_asks_nothing() -> None:
    trust = federation()
    entity = trust.admit(chain(new_space(CARE), ()))
    assert (entity.rulebooks, entity.word) == ((), NO_WORD)
    assert trust.objection(CARE) is None and trust.objection(POLICE) is None


def test_statements_of_both_say_it_and_are_read_as_they_were_signed() -> None:
    books, word = (book(1), book(2, NOW + DAY)), replace(accepts(1), paused=True, leaving=(POLICE,))
    entity = federation().admit(chain(new_space(CARE), books, word))
    assert (entity.rulebooks, entity.word) == (books, word)


@pytest.mark.parametrize(
    ("books", "word", "demanded"),
    [
        ((book(1),), accepts(1), 0),
        ((book(1),), NO_WORD, 1),
        ((book(1, NOW + 1),), NO_WORD, 0),
        ((book(1), book(2, NOW + 1)), accepts(1), 0),
        ((book(1), book(2, NOW + 1)), accepts(2), 0),
        ((book(1), book(2, NOW + 1)), NO_WORD, 1),
        ((book(1), book(2, NOW)), accepts(1), 2),
        ((book(1), book(2, NOW)), accepts(2), 0),
        ((book(2),), accepts(2, "0" * 64), 2),
        ((book(1),), accepts(3), 1),
        ((book(1),), accepts(1, anchor=POLICE), 1),
    ],
)
def test_a_version_is_owed_from_its_day_on(books: tuple[Rulebook, ...], word: OwnWord, demanded: int) -> None:
    trust = federation()
    trust.admit(chain(new_space(CARE), books, word))
    if not demanded:
        assert trust.objection(CARE) is None
        return
    problem = refused(trust)
    assert problem.reason is Reason.RULEBOOK_NOT_ACCEPTED
    assert f"version {demanded} of the rulebook of {ANCHOR}" in problem.public
    assert "isthmus trust rulebook accept" in problem.advice and CARE in problem.advice


def test_the_day_comes_without_anybody_saying_so() -> None:
    now = [NOW]
    trust = federation(now)
    trust.admit(chain(new_space(CARE), (book(1), book(2, NOW + 60)), accepts(1)))
    assert trust.objection(CARE) is None
    now[0] = NOW + 60
    assert "version 2" in refused(trust).public


def test_what_one_member_s_chain_says_binds_all_and_an_older_statement_takes_nothing_back() -> None:
    trust = federation()
    trust.admit(chain(new_space(CARE), (book(1),), accepts(1)))
    trust.admit(chain(new_space(POLICE), (book(1), book(2)), accepts(2)))
    assert "version 2" in refused(trust).public and trust.objection(POLICE) is None
    trust.admit(chain(new_space(CARE), (book(1),), accepts(1), NOW + 1))
    assert trust.rulebooks.of(ANCHOR) == (book(1), book(2)) and "version 2" in refused(trust).public


async def test_it_never_goes_back_restarts_included() -> None:
    beliefs = MemoryBeliefs()
    care = new_space(CARE)
    await federation(beliefs=beliefs).believe(chain(care, (book(1), book(2)), accepts(2)))
    # The anchor was restored from a backup of before version 2: its statements do not name it any more.
    await federation(beliefs=beliefs).believe(chain(care, (book(1),), accepts(1), NOW + 1))
    again = federation(beliefs=beliefs)
    await again.restore()
    assert again.rulebooks.of(ANCHOR) == (book(1), book(2)) and "version 2" in refused(again).public


@pytest.mark.parametrize("other", [Rulebook(1, "0" * 64, NOW - DAY), book(1, NOW + DAY)])
def test_a_version_with_another_text_or_day_is_refused(other: Rulebook) -> None:
    trust = federation()
    trust.admit(chain(new_space(CARE), (book(1),)))
    with pytest.raises(TokenProblem) as caught:
        trust.admit(chain(new_space(POLICE), (other,)))
    assert caught.value.problem is Problem.POLICY and "two things" in caught.value.private
    assert trust.rulebooks.of(ANCHOR) == (book(1),) and trust.entity(POLICE) is None


def test_an_acceptance_of_before_is_not_replayed_over_a_later_one() -> None:
    trust, care = federation(), new_space(CARE)
    before = chain(care, (book(1), book(2)), accepts(1))
    trust.admit(chain(care, (book(1), book(2)), accepts(2), NOW + 1))
    with pytest.raises(TokenProblem) as caught:
        trust.admit(before)
    assert caught.value.problem is Problem.OLDER and trust.objection(CARE) is None


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("rulebooks", rulebook.metadata_of(accepts(1))["rulebooks"]),
        ("paused", True),
        ("leaving", [ANCHOR]),
    ],
)
def test_an_anchor_accepts_pauses_and_leaves_for_nobody(parameter: str, value: object) -> None:
    with pytest.raises(TokenProblem) as caught:
        federation().admit(chain(new_space(CARE), (book(1),), **{parameter: {"value": value}}))
    assert "speaks for" in caught.value.private


def test_a_space_that_has_paused_or_left_begins_no_session_whatever_it_accepted() -> None:
    trust, care = federation(), new_space(CARE)
    trust.admit(chain(care, (book(1),), replace(accepts(1), paused=True)))
    assert refused(trust).reason is Reason.SPACE_PAUSED
    trust.admit(chain(care, (book(1),), accepts(1), NOW + 1))
    assert trust.objection(CARE) is None
    trust.admit(chain(care, (book(1),), replace(accepts(1), leaving=(ANCHOR,)), NOW + 2))
    assert refused(trust).reason is Reason.REVOKED


@pytest.mark.parametrize(
    "said",
    [
        {},
        [{}],
        [{"version": 1, "digest": "0" * 64}],
        [{"version": True, "digest": "0" * 64, "in_force": 0}],
        [{"version": 0, "digest": "0" * 64, "in_force": 0}],
        [{"version": 1, "digest": "A" * 64, "in_force": 0}],
        [{"version": 1, "digest": "0" * 64, "in_force": 0.5}],
        [{"version": 1, "digest": "0" * 64, "in_force": -1}],
        [{"version": 1, "digest": "0" * 64, "in_force": 0, "text": ""}],
        [{"version": v, "digest": "0" * 64, "in_force": 0} for v in (2, 1)],
        [{"version": v, "digest": "0" * 64, "in_force": 0} for v in (1, 1)],
        [{"version": v, "digest": "0" * 64, "in_force": 0} for v in range(1, 6)],
    ],
)
def test_a_statement_that_says_what_is_no_rulebook_is_refused(said: Any) -> None:
    with pytest.raises(TokenProblem):
        rulebook.books_in({"rulebooks": said})


@pytest.mark.parametrize(
    "said",
    [
        {"rulebooks": {}},
        {"rulebooks": [{"anchor": ANCHOR, "version": 1}]},
        {"rulebooks": [{"anchor": "anchor", "version": 1, "digest": "0" * 64}]},
        {"rulebooks": 2 * [{"anchor": ANCHOR, "version": 1, "digest": "0" * 64}]},
        {"rulebooks": 9 * [{"anchor": ANCHOR, "version": 1, "digest": "0" * 64}]},
        {"paused": 1},
        {"leaving": "all"},
        {"leaving": ["nobody"]},
    ],
)
def test_a_space_that_says_what_is_no_word_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(TokenProblem):
        rulebook.word_in(said)


@pytest.mark.parametrize(
    ("known", "next_", "says"),
    [
        ((), book(1, NOW), ""),
        ((), book(1, NOW - DAY), "the day is past"),
        ((book(1),), book(2, NOW + DAY), ""),
        ((book(2),), book(1, NOW), "does not come after"),
        ((book(1),), Rulebook(1, "0" * 64, NOW), "does not come after"),
        ((book(1), book(2, NOW + 9 * DAY)), book(3, NOW + 8 * DAY), "before that of the version before"),
        (tuple(Rulebook(v, "0" * 64, NOW + v * DAY) for v in (1, 2, 3, 4)), Rulebook(5, "0" * 64, NOW + 5 * DAY),
         "to come already"),
    ],
)  # fmt: skip
def test_versions_follow_each_other(known: tuple[Rulebook, ...], next_: Rulebook, says: str) -> None:
    if not says:
        rulebook.check_succession(known, next_, NOW)
        return
    with pytest.raises(IsthmusError) as caught:
        rulebook.check_succession(known, next_, NOW)
    assert caught.value.reason is Reason.INVALID_ARGUMENT and says in caught.value.public


def test_a_statement_names_the_version_in_force_and_what_comes() -> None:
    books = (book(1), book(2, NOW), book(3, NOW + DAY))
    assert rulebook.standing(books, NOW) == books[1:]
    assert rulebook.standing(books, NOW - 1) == books
    assert rulebook.in_force(books, NOW + DAY) == books[2] and rulebook.in_force(books[2:], NOW) is None


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "between 1 and"),
        (b" \n", "between 1 and"),
        (b"x" * (256 * 1024 + 1), "between 1 and"),
        (b"caf\xe9", "UTF-8"),
        (b"one\ntwo\x1b[2J", "line 2"),
        ("one\u202etwo".encode(), "line 1"),
        (b"one\r\n", "line 1"),
    ],
)
def test_a_text_that_a_terminal_would_not_show_as_it_is_is_no_rulebook(raw: bytes, says: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        rulebook.checked_text(raw)
    assert caught.value.reason is Reason.INVALID_ARGUMENT and says in caught.value.public
    assert rulebook.checked_text(TEXTS[2].encode()) == TEXTS[2]


def test_a_text_is_kept_only_under_the_digest_that_was_signed(tmp_path: Path) -> None:
    files = RulebookFiles(tmp_path / "rulebooks")
    assert files.missing(ANCHOR, (book(1), book(2))) == book(1)
    with pytest.raises(IsthmusError) as caught:
        files.keep(ANCHOR, book(1), TEXTS[2])
    assert caught.value.reason is Reason.UNAUTHENTICATED and caught.value.space == ANCHOR
    files.keep(ANCHOR, book(1), TEXTS[1])
    files.keep(ANCHOR, book(2), TEXTS[2])
    assert files.missing(ANCHOR, (book(1), book(2))) is None and files.text(ANCHOR, book(2)) == TEXTS[2]
    files.path(ANCHOR, 1).write_text(TEXTS[1] + "and more\n")
    assert files.text(ANCHOR, book(1)) is None and files.missing(ANCHOR, (book(1), book(2))) == book(1)


def test_a_lower_version_is_not_accepted_after_a_higher_one(tmp_path: Path) -> None:
    word = rulebook.accepting(accepts(1), accepts(2).accepted[0])
    assert word == accepts(2)
    with pytest.raises(IsthmusError, match="which comes after"):
        rulebook.accepting(word, accepts(1).accepted[0])
    file = OwnWordFile(tmp_path / "new" / "membership.json")
    assert file.read() == NO_WORD
    file.write(replace(word, paused=True))
    assert file.read() == replace(word, paused=True)
    file.path.write_text('{"paused": "no"}')
    with pytest.raises(IsthmusError) as caught:
        file.read()
    assert caught.value.reason is Reason.CONFIGURATION


def test_an_entity_of_another_anchor_owes_that_one_s_rulebook() -> None:
    entity: Entity = replace(federation().admit(chain(new_space(CARE), (book(1),), accepts(1))), anchor=POLICE)
    assert rulebook.objection(entity, (), NOW) is None
    assert rulebook.objection(entity, (book(1),), NOW) is not None
