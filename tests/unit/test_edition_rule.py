"""Which states of a source become editions, and which wait for more changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from connectors.rules.editions import Against, Decision, Former, Outcome, decide, next_bound, next_id, outdated

FIRST = Former("2026-01", BitMap(range(100)))
DAY = 1_800_000_000  # 15 January 2027


def decided(rows: Sequence[int] | range, *formers: Former, answered: Sequence[range] = (), cell: int = 11) -> Decision:
    return decide(BitMap(rows), formers, map(BitMap, answered), cell)


@pytest.mark.parametrize(("more", "outcome"), [(1, Outcome.WAITS), (10, Outcome.WAITS), (11, Outcome.PUBLISHED)])
def test_fewer_new_rows_than_the_least_cell_wait(more: int, outcome: Outcome) -> None:
    grown = decided(range(100 + more), FIRST)
    assert (grown.outcome, grown.come, grown.gone) == (outcome, more, 0)
    shrunk = decided(range(100 - more), FIRST)
    assert (shrunk.outcome, shrunk.come, shrunk.gone) == (outcome, 0, more)
    if outcome is Outcome.WAITS:
        assert (grown.apart, grown.against, grown.since) == (more, Against.EDITION, "2026-01")


@pytest.mark.parametrize(("corrected", "outcome"), [(6, Outcome.WAITS), (10, Outcome.WAITS), (11, Outcome.PUBLISHED)])
def test_a_corrected_record_is_one_person_though_its_row_goes_and_comes(corrected: int, outcome: Outcome) -> None:
    assert decided([*range(corrected, 100), *range(200, 200 + corrected)], FIRST).outcome is outcome


def test_nothing_is_published_where_nothing_has_changed() -> None:
    assert decided(range(100), FIRST) == Decision(Outcome.UNCHANGED, 11, 0, 0)


def test_an_edition_is_held_against_all_before_it() -> None:
    second = Former("2026-02", BitMap(range(130)))
    back = decided(range(104), FIRST, second)
    assert (back.outcome, back.apart, back.since) == (Outcome.WAITS, 4, "2026-01")
    assert decided(range(100), FIRST, second).outcome is Outcome.PUBLISHED, "the very same rows tell nothing new"


def test_what_was_answered_before_any_edition_counts_as_one() -> None:
    near = decided(range(104), answered=[range(100)])
    assert (near.outcome, near.apart, near.against) == (Outcome.WAITS, 4, Against.ANSWER)
    assert decided(range(100), answered=[range(100)]).outcome is Outcome.PUBLISHED
    assert decided(range(120), FIRST, answered=[range(115)]).outcome is Outcome.WAITS


@pytest.mark.parametrize("rows", [0, 1, 10])
def test_a_source_with_hardly_any_row_is_no_edition(rows: int) -> None:
    for formers in ((), (FIRST,)):
        assert (decision := decided(range(rows), *formers)).outcome is Outcome.WAITS
        assert (decision.apart, decision.against) == (rows, Against.NOTHING)


@pytest.mark.parametrize("cell", [0, 1, 2])
def test_where_every_cell_may_be_shown_one_changed_row_waits_all_the_same(cell: int) -> None:
    assert decided(range(101), FIRST, cell=cell).outcome is Outcome.WAITS
    assert decided(range(102), FIRST, cell=cell).outcome is Outcome.PUBLISHED


# A month: how many records are new, and which of the old ones (by place) go or are corrected.
MONTHS = st.lists(
    st.tuples(st.integers(0, 25), st.sets(st.integers(0, 60), max_size=14), st.sets(st.integers(0, 60), max_size=14)),
    max_size=16,
)


@given(st.integers(0, 15), MONTHS, st.lists(st.integers(0, 30), max_size=3))
def test_no_two_editions_are_close_and_nothing_is_lost(
    cell: int, months: Sequence[tuple[int, set[int], set[int]]], asked: Sequence[int]
) -> None:
    """Whatever comes, month by month; after each edition somebody asks of it without its first few rows."""
    least, fresh, live = max(cell, 2), 0, list[int]()
    formers: list[Former] = []
    answered: list[BitMap] = []
    for new, gone, corrected in months:
        live = [
            fresh := fresh + 1 if place in corrected else row for place, row in enumerate(live) if place not in gone
        ]
        live += range(fresh + 1, fresh + 1 + new)
        fresh += new
        decision = decide(BitMap(live), formers, answered, cell)
        if decision.outcome is Outcome.PUBLISHED:
            formers.append(Former(str(len(formers)), BitMap(live)))
            answered += [BitMap(live[few:]) for few in asked if few == 0 or least <= few <= len(live) - least]
        elif decision.outcome is Outcome.UNCHANGED:
            assert formers[-1].rows == BitMap(live)
        else:  # it waits for as long only as it is close to something that is known
            known = [BitMap(), *(former.rows for former in formers), *answered]
            assert any(concerned(BitMap(live), other) < least for other in known)
    for one, other in combinations([former.rows for former in formers], 2):
        assert one == other or concerned(one, other) >= least


def concerned(one: BitMap, other: BitMap) -> int:
    """People who came, went or were corrected, if every row that went and one that came are the same person's."""
    return max(len(one - other), len(other - one))


def test_a_bound_is_doubled_only_when_the_rows_need_it() -> None:
    assert [next_bound(rows, 128) for rows in (0, 128, 129, 256, 300, 2000)] == [128, 128, 256, 256, 512, 2048]


def test_an_edition_is_named_after_its_day() -> None:
    assert next_id(DAY, set()) == "2027-01-15"
    assert next_id(DAY, {"2027-01-15"}) == "2027-01-15.2"
    assert next_id(DAY, {"2027-01-15", "2027-01-15.2"}) == "2027-01-15.3"


def test_the_copies_of_the_last_two_editions_are_kept() -> None:
    assert [list(outdated(range(1, n + 1))) for n in range(5)] == [[], [], [], [1], [1, 2]]
