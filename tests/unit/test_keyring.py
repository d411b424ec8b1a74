"""Rings of keys as a rule: who is published, who signs, how one takes over, for every instant and every schedule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import IsthmusError, Reason
from gateway.rules.keyring import (
    DAY,
    HOUR,
    TERMS,
    Entry,
    KeyName,
    Ring,
    Terms,
    active,
    is_under_way,
    next_change,
    parse_ring,
    published,
    ring_object,
    rotated,
)

BEGIN = 1_700_000_000
TOKEN = TERMS[KeyName.TOKEN]


def entry(number: int, at: int = BEGIN, **changes: object) -> Entry:
    made = Entry(f"key-{number}", f"{number}.pem", at, at, certificate="any.pem")
    return replace(made, **changes)  # type: ignore[arg-type]


def one() -> Ring:
    return Ring((entry(0),))


@st.composite
def histories(draw: st.DrawFn) -> tuple[Ring, list[tuple[int, int, int]]]:
    """A ring with its rotations as (when, ahead, overlap), each begun as soon as it may be, or later."""
    ring, done, now = one(), [], BEGIN
    for number in range(1, draw(st.integers(1, 5))):
        while (change := next_change(ring, now)) is not None:
            now = change
        now += draw(st.integers(0, 10 * DAY))
        ahead = draw(st.integers(TOKEN.ahead, 5 * DAY))
        overlap = draw(st.integers(TOKEN.overlap, 5 * DAY))
        ring = rotated(ring, entry(number, now), now, ahead, overlap, TOKEN)
        done.append((now, ahead, overlap))
    return ring, done


def instants(ring: Ring) -> list[int]:
    """Every instant at which something changes, and its neighbours: between them nothing does."""
    times = {time for e in ring.entries for time in (e.publish, e.use, e.retire) if time is not None}
    return sorted({time + step for time in times for step in (-1, 0, 1)} - {BEGIN - 1})


@given(histories())
def test_at_every_instant_one_key_is_in_use_and_was_published_for_long_enough(
    made: tuple[Ring, list[tuple[int, int, int]]],
) -> None:
    ring, done = made
    for now in instants(ring):
        in_use = active(ring, now)
        assert sum(e is in_use for e in ring.entries) == 1
        assert in_use in published(ring, now)
        if in_use is not ring.entries[0]:
            when, ahead, overlap = done[ring.entries.index(in_use) - 1]
            # Whoever has heard of nothing since before the rotation began, has had the whole time to hear of it.
            assert in_use.publish == when and now >= when + ahead >= when + TOKEN.ahead
            before = ring.entries[ring.entries.index(in_use) - 1]
            assert (before in published(ring, now)) == (now < in_use.use + overlap)


@given(histories(), st.sets(st.integers(0, 5)), st.integers(0, 60 * DAY))
def test_a_key_that_nobody_vouches_for_is_not_used_while_another_is(
    made: tuple[Ring, list[tuple[int, int, int]]], vouched: set[int], later: int
) -> None:
    ring, now = made[0], BEGIN + later
    kids = {f"key-{number}" for number in vouched}
    in_use = active(ring, now, kids.__contains__)
    candidates = [e for e in ring.entries if e.use <= now and e.kid in kids]
    assert in_use is (candidates[-1] if candidates else in_use)
    assert in_use.use <= now
    assert in_use in published(ring, now, kids.__contains__)


@given(histories())
def test_the_next_change_is_the_first_instant_at_which_something_is_different(
    made: tuple[Ring, list[tuple[int, int, int]]],
) -> None:
    ring = made[0]
    for now in instants(ring):
        change = next_change(ring, now)
        until = now + 100 * DAY if change is None else change - 1
        assert (active(ring, until), published(ring, until)) == (active(ring, now), published(ring, now))


@given(histories())
def test_a_ring_comes_back_from_its_json_and_forgets_no_key(made: tuple[Ring, list[tuple[int, int, int]]]) -> None:
    ring, done = made
    assert parse_ring(ring_object(ring)) == ring
    assert [e.kid for e in ring.entries] == [f"key-{number}" for number in range(len(done) + 1)]


@pytest.mark.parametrize(
    ("ahead", "overlap", "field"),
    [(TOKEN.ahead - 1, TOKEN.overlap, "--ahead"), (TOKEN.ahead, TOKEN.overlap - 1, "--overlap")],
)
def test_less_time_is_refused_unless_somebody_says_why(ahead: int, overlap: int, field: str) -> None:
    with pytest.raises(IsthmusError) as refused:
        rotated(one(), entry(1), BEGIN, ahead, overlap, TOKEN)
    assert refused.value.field == field
    assert rotated(one(), entry(1, because="a drill"), BEGIN, ahead, overlap, TOKEN).latest.because == "a drill"


def test_every_key_that_peers_have_to_know_is_published_two_days_ahead() -> None:
    known_by_peers = {KeyName.FEDERATION, KeyName.TOKEN, KeyName.CONTRACT, KeyName.REVOCATION, KeyName.TLS_CA}
    assert {name for name in KeyName if TERMS[name].ahead >= 48 * HOUR} == known_by_peers
    assert TERMS[KeyName.CONTRACT].overlap >= DAY and TERMS[KeyName.FEDERATION].overlap >= DAY


def test_a_second_rotation_waits_for_the_first_unless_the_key_is_compromised() -> None:
    under_way = rotated(one(), entry(1), BEGIN, TOKEN.ahead, TOKEN.overlap, TOKEN)
    ended = BEGIN + TOKEN.ahead + TOKEN.overlap
    assert is_under_way(under_way, ended - 1) and not is_under_way(under_way, ended)
    for now in (BEGIN, BEGIN + TOKEN.ahead, ended - 1):
        with pytest.raises(IsthmusError) as refused:
            rotated(under_way, entry(2), now, TOKEN.ahead, TOKEN.overlap, TOKEN)
        assert refused.value.reason is Reason.ALREADY_EXISTS
    at_once = rotated(under_way, entry(2, because="stolen"), BEGIN + 5, 0, 0, TOKEN, compromised=True)
    assert [e.kid for e in at_once.entries] == ["key-0", "key-2"]  # the one that still waited is given up
    assert active(at_once, BEGIN + 5).kid == "key-2" and len(published(at_once, BEGIN + 5)) == 1


def test_a_recipients_key_is_never_retired() -> None:
    kept = Terms(0, 0, kept=True)
    ring = rotated(one(), entry(1), BEGIN + 5, 0, 0, kept)
    ring = rotated(ring, entry(2), BEGIN + 6, 0, 0, kept)
    assert [e.retire for e in ring.entries] == [None, None, None]
    assert active(ring, BEGIN + 6).kid == "key-2"


def test_before_anybody_is_known_to_vouch_the_key_that_everybody_knows_is_used() -> None:
    ring = rotated(one(), entry(1), BEGIN, TOKEN.ahead, TOKEN.overlap, TOKEN)
    switched, removed = BEGIN + TOKEN.ahead, BEGIN + TOKEN.ahead + TOKEN.overlap
    nobody = frozenset[str]().__contains__
    assert active(ring, switched, nobody).kid == "key-0"
    assert active(ring, removed, nobody).kid == "key-1"


BROKEN = {
    "no object": [],
    "no keys": {"keys": []},
    "another member": {"keys": [], "more": 1},
    "a file elsewhere": {"keys": [{**ring_object(one())["keys"][0], "secret": "../../etc/passwd"}]},
    "used before it is published": {"keys": [{**ring_object(one())["keys"][0], "publish": BEGIN + 1}]},
    "a last key that ends": {"keys": [{**ring_object(one())["keys"][0], "retire": BEGIN + 1}]},
    "a time that is a truth": {"keys": [{**ring_object(one())["keys"][0], "publish": True, "use": True}]},
    "one key twice": {"keys": ring_object(one())["keys"] * 2},
    "keys in the wrong order": {"keys": ring_object(Ring((entry(1, BEGIN + 9), entry(0))))["keys"]},
    "a secret in the ring": {"keys": [{**ring_object(one())["keys"][0], "d": "secret"}]},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_ring_that_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_ring(BROKEN[name])
