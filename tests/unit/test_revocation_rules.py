"""The rules of revocation lists: what one may say, whose counts for what, how old one may be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.identity import Anchor, EntityId, b64url
from gateway.domain.revocation import Freshness, RevocationList, Revoked
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.revocation import (
    LIFETIME,
    MAX_ENTRIES,
    MOST_GRACE,
    OVERTAKEN,
    SEQ_AHEAD,
    Standing,
    check_succession,
    freshness,
    keeps,
    needed,
    next_seq,
    plain,
    read_list,
    read_revoked,
    with_what_is_final,
)
from tests.unit.trust_kit import ANCHOR, CARE, NOW, POLICE

ELSEWHERE = EntityId("https://police.example.org")
BELOW = EntityId("https://police.example/north")
OTHER_ANCHOR = EntityId("https://other-anchor.example")
ANCHORS = (Anchor(ANCHOR, (), (CARE, POLICE)), Anchor(OTHER_ANCHOR, (), (ELSEWHERE,)))
EVERYBODY = (ANCHOR, OTHER_ANCHOR, CARE, POLICE, ELSEWHERE)


def kid(number: int) -> str:
    return b64url(number.to_bytes(32, "big"))


def digest(number: int) -> str:
    return f"{number:064x}"


def listed(issuer: EntityId = CARE, seq: int = 1, revoked: Revoked | None = None, at: int = NOW) -> RevocationList:
    return RevocationList(issuer, seq, at, revoked or Revoked(), f"digest {issuer} {seq}", "token")


def claims(**changes: Any) -> dict[str, Any]:
    return {"iss": CARE, "sub": CARE, "iat": NOW, "exp": NOW + 300, "seq": NOW, "revoked": {}, **changes}


small = st.integers(0, 9)
some_revoked = st.builds(
    Revoked,
    st.frozensets(small.map(kid), max_size=4),
    st.frozensets(small.map(str), max_size=4),
    st.frozensets(st.sampled_from(EVERYBODY), max_size=3),
    st.frozensets(small.map(digest), max_size=4),
)


@given(some_revoked)
def test_what_is_written_reads_back_the_same(revoked: Revoked) -> None:
    assert read_revoked(plain(revoked)) == revoked
    assert read_list(claims(revoked=plain(revoked)), "d", "t").revoked == revoked


@pytest.mark.parametrize(
    "value",
    [
        {"keys": []},
        {"kids": ""},
        {"kids": None},
        {"kids": {"a": 1}},
        {"kids": ["short"]},
        {"kids": [kid(1) + "="]},
        {"kids": [kid(1), kid(1)]},
        {"kids": [7]},
        {"jtis": [""]},
        {"jtis": ["a b"]},
        {"jtis": ["x" * 129]},
        {"jtis": [True]},
        {"entities": ["https://CARE.example"]},
        {"entities": ["https://care.example/"]},
        {"entities": [None]},
        {"entities": [CARE, CARE]},
        {"contracts": ["AB" * 32]},
        {"contracts": ["ab" * 31]},
        {"kids": [kid(n) for n in range(MAX_ENTRIES)], "jtis": ["one-more"]},
    ],
)
def test_anything_but_four_plain_bounded_lists_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(TokenProblem) as caught:
        read_revoked(value)
    assert caught.value.problem is Problem.CLAIMS


def test_the_longest_list_is_read_and_fits_its_profile() -> None:
    from gateway.edges.keys import new_signing_key
    from gateway.edges.tokens import sign
    from gateway.rules.tokens import PROFILES

    revoked = Revoked(contracts=frozenset(digest(n) for n in range(MAX_ENTRIES)))
    assert len(read_revoked(plain(revoked))) == MAX_ENTRIES
    token = sign("isthmus-revocation+jwt", claims(revoked=plain(revoked), jti="1"), new_signing_key())
    assert len(token) <= PROFILES["isthmus-revocation+jwt"].max_bytes


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "care", "sub": "care"},
        {"sub": POLICE},
        {"seq": 0},
        {"seq": -1},
        {"seq": NOW + SEQ_AHEAD + 1},
        {"seq": 2**53 - 1},
    ],
)
def test_a_list_in_anothers_name_or_with_a_number_out_of_time_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenProblem):
        read_list(claims(**changes), "d", "t")


def test_a_list_may_run_ahead_of_its_second_by_little() -> None:
    assert read_list(claims(seq=NOW + SEQ_AHEAD), "d", "t").seq == NOW + SEQ_AHEAD


def test_a_lower_number_is_older_and_the_same_number_with_other_bytes_is_refused() -> None:
    known = listed(seq=5)
    check_succession(None, known)
    check_succession(known, known)
    check_succession(known, listed(seq=6))
    for seq, problem in ((4, Problem.OVERTAKEN), (5 - OVERTAKEN, Problem.OVERTAKEN), (4 - OVERTAKEN, Problem.OLDER)):
        with pytest.raises(TokenProblem) as caught:
            check_succession(known, listed(seq=seq))
        assert caught.value.problem is problem
    with pytest.raises(TokenProblem) as caught:
        check_succession(known, replace(known, digest="other bytes"))
    assert caught.value.problem is Problem.TAKEN_BACK


@given(some_revoked, some_revoked)
def test_keys_tokens_and_contracts_never_come_back(before: Revoked, after: Revoked) -> None:
    known, new = listed(seq=1, revoked=before), listed(seq=2, revoked=after)
    lost = (before.kids - after.kids) | (before.jtis - after.jtis) | (before.contracts - after.contracts)
    if lost:
        with pytest.raises(TokenProblem):
            check_succession(known, new)
    else:
        check_succession(known, new)
    made = with_what_is_final(after, before)
    assert keeps(before, made)
    assert made.entities == after.entities


@given(st.lists(st.tuples(st.integers(0, 3), some_revoked), max_size=30))
def test_whatever_comes_in_whatever_order_numbers_never_go_back(arriving: list[tuple[int, Revoked]]) -> None:
    known: RevocationList | None = None
    for seq, revoked in arriving:
        new = replace(listed(seq=seq + 1, revoked=revoked), digest=f"{seq} {plain(revoked)}")
        before = known
        try:
            check_succession(known, new)
        except TokenProblem:
            continue
        known = new
        assert before is None or new.seq > before.seq or new.digest == before.digest
        assert before is None or keeps(before.revoked, new.revoked)


@given(st.integers(0, 2 * NOW), st.integers(0, 2 * NOW))
def test_the_next_number_is_greater_and_not_behind_the_clock(before: int, now: int) -> None:
    assert next_seq(before, now) > before
    assert next_seq(before, now) >= now


def test_a_list_is_fresh_for_five_minutes_then_in_grace_then_stale() -> None:
    def at(age: int, grace: int = 0) -> Freshness:
        return freshness(NOW, NOW + age, grace)

    assert [at(0), at(LIFETIME), at(LIFETIME + 1)] == [Freshness.FRESH, Freshness.FRESH, Freshness.STALE]
    assert [at(LIFETIME + 1, 60), at(LIFETIME + 60, 60)] == [Freshness.GRACE, Freshness.GRACE]
    assert at(LIFETIME + 61, 60) is Freshness.STALE
    assert at(LIFETIME + MOST_GRACE, 10 * MOST_GRACE) is Freshness.GRACE
    assert at(LIFETIME + MOST_GRACE + 1, 10 * MOST_GRACE) is Freshness.STALE


def test_a_list_from_the_future_is_no_fresh_one_beyond_the_leeway_of_clocks() -> None:
    assert freshness(NOW + 5, NOW, 0) is Freshness.FRESH
    assert freshness(NOW + 6, NOW, MOST_GRACE) is Freshness.STALE


def test_a_space_revokes_its_own_keys_tokens_and_contracts_and_itself_alone() -> None:
    everything = Revoked(frozenset({kid(1)}), frozenset({"t"}), frozenset({CARE, POLICE}), frozenset({digest(1)}))
    standing = Standing(ANCHORS, {CARE: listed(CARE, revoked=everything)})
    assert standing.key(CARE, kid(1)) == CARE
    assert standing.key(CARE, kid(2)) is None
    assert standing.key(POLICE, kid(1)) is None
    assert standing.token(CARE, "t") == CARE
    assert standing.token(POLICE, "t") is None
    assert standing.entity(CARE) == CARE
    assert standing.entity(POLICE) is None
    assert standing.contract(digest(1), (POLICE, CARE)) == CARE
    assert standing.contract(digest(1), (POLICE,)) is None
    assert standing.contract(digest(2), (POLICE, CARE)) is None
    assert standing.key(ANCHOR, kid(1)) is None


def test_an_anchor_revokes_entities_and_keys_within_its_prefixes_and_its_own_keys_alone() -> None:
    everything = Revoked(frozenset({kid(1)}), frozenset({"t"}), frozenset(EVERYBODY), frozenset({digest(1)}))
    standing = Standing(ANCHORS, {ANCHOR: listed(ANCHOR, revoked=everything)})
    for entity in (CARE, POLICE, BELOW):
        assert standing.key(entity, kid(1)) == ANCHOR
    assert standing.entity(CARE) == ANCHOR
    assert standing.entity(ELSEWHERE) is None
    assert standing.key(ELSEWHERE, kid(1)) is None
    assert standing.key(ANCHOR, kid(1)) == ANCHOR
    assert standing.key(OTHER_ANCHOR, kid(1)) is None
    # Tokens and contracts are their issuer's and parties' to take back.
    assert standing.token(CARE, "t") is None
    assert standing.contract(digest(1), (CARE, POLICE)) is None


@given(st.lists(st.tuples(st.sampled_from(EVERYBODY), some_revoked), max_size=6), st.sampled_from(EVERYBODY), small)
def test_nobody_revokes_beyond_its_authority(
    given_lists: list[tuple[EntityId, Revoked]], target: EntityId, number: int
) -> None:
    lists = {issuer: listed(issuer, revoked=revoked) for issuer, revoked in given_lists}
    standing = Standing(ANCHORS, lists)
    allowed = {target, *(a.entity_id for a in ANCHORS if a.may_vouch_for(target))}
    assert standing.key(target, kid(number)) in {None, *allowed}
    assert standing.entity(target) in {None, *allowed}
    assert standing.token(target, str(number)) in {None, target}
    by = standing.key(target, kid(number))
    assert (by is not None) == any(kid(number) in lists[i].revoked.kids for i in allowed & lists.keys())


def test_a_list_of_an_anchor_that_is_not_pinned_counts_for_nothing() -> None:
    revoked = Revoked(kids=frozenset({kid(1)}), entities=frozenset({CARE}))
    standing = Standing((), {ANCHOR: listed(ANCHOR, revoked=revoked)})
    assert standing.entity(CARE) is None
    assert standing.key(CARE, kid(1)) is None


def test_it_takes_the_lists_of_all_spaces_and_of_the_anchors_over_any_of_them() -> None:
    assert needed((CARE, POLICE), ANCHORS) == (CARE, POLICE, ANCHOR)
    assert needed((CARE, ELSEWHERE), ANCHORS) == (CARE, ELSEWHERE, ANCHOR, OTHER_ANCHOR)
    assert needed((CARE, CARE), ()) == (CARE,)
