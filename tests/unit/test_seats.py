"""Who may sit (THREATS row 28)."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.contract import Seat
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Operator
from gateway.rules import seats
from tests import examples

NAMES = [f"https://{letter}.example" for letter in "abcdefg"]


def operators(*changes: dict[str, object]) -> dict[str, Operator]:
    return {entity: examples.operator(entity, **change) for entity, change in zip(NAMES, changes, strict=False)}


def seated(known: dict[str, Operator], *entities: str) -> list[Seat]:
    return [Seat(pid, entity, known[entity].name) for pid, entity in enumerate(entities)]


def refusal(m: int, t: int, seats_: list[Seat], known: dict[str, Operator]) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        seats.check_seats(m, t, seats_, known)
    assert caught.value.reason is Reason.SEATS_REFUSED
    assert caught.value.advice  # it says what would pass
    return caught.value


@pytest.mark.parametrize(("m", "t"), [(3, 1), (5, 2), (7, 3)])
def test_an_honest_majority_of_different_operators_sits(m: int, t: int) -> None:
    known = operators(*[{}] * m)
    seats.check_seats(m, t, seated(known, *known), known)


@given(st.integers(-3, 12), st.integers(-3, 12))
def test_every_other_size_and_threshold_is_refused(m: int, t: int) -> None:
    if (m, t) in ((3, 1), (5, 2), (7, 3)):
        seats.check_sizes(m, t)
    else:
        with pytest.raises(IsthmusError) as caught:
            seats.check_sizes(m, t)
        assert caught.value.reason is Reason.SEATS_REFUSED
        assert caught.value.advice


def test_two_parties_are_told_why_and_what_would_pass() -> None:
    known = operators({}, {})
    assert "neutral" in refusal(2, 0, seated(known, *known), known).advice


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"name": "Same Operator"}, {"name": "same operator "}),
        ({"group": "Holding"}, {"group": "holding"}),
        ({"affiliates": (NAMES[1],)}, {}),
        ({}, {"affiliates": (NAMES[0],)}),
        ({"affiliates": ("Operator b",)}, {}),
        ({}, {"affiliates": ("group a",)}),
        ({"affiliates": ("Third Party",)}, {"affiliates": ("Third Party",)}),
    ],
)
def test_two_of_three_seats_in_the_same_hands_are_refused(first: dict[str, object], second: dict[str, object]) -> None:
    known = operators(first, second, {})
    problem = refusal(3, 1, seated(known, *known), known)
    assert "same hands" in problem.public


def test_hands_reach_through_third_parties_that_do_not_sit() -> None:
    known = operators({"affiliates": (NAMES[3],)}, {"affiliates": (NAMES[3],)}, {}, {})
    refusal(3, 1, seated(known, *NAMES[:3]), known)


@given(st.lists(st.tuples(st.sampled_from("xyz "), st.sets(st.sampled_from(NAMES))), min_size=7, max_size=7))
def test_hands_are_the_closure_of_groups_and_affiliates(drawn: list[tuple[str, set[str]]]) -> None:
    known = operators(*({"group": group.strip(), "affiliates": tuple(sorted(others))} for group, others in drawn))
    reach = {entity: {entity} for entity in NAMES}
    for one, other in itertools.permutations(NAMES, 2):
        if (known[one].group and known[one].group == known[other].group) or other in known[one].affiliates:
            reach[one].add(other)
            reach[other].add(one)
    for middle, one, other in itertools.product(NAMES, repeat=3):
        if middle in reach[one] and other in reach[middle]:
            reach[one].add(other)
    found = seats.hands(known.values())
    for one, other in itertools.product(NAMES, repeat=2):
        assert (found[one] == found[other]) is (other in reach[one])
    assert all(found[holder] == holder for holder in found.values())


@given(st.sampled_from([(3, 1), (5, 2), (7, 3)]), st.lists(st.sampled_from("pqrs"), min_size=7, max_size=7))
def test_nobody_ever_holds_more_than_t_seats(size: tuple[int, int], groups: list[str]) -> None:
    m, t = size
    known = operators(*({"group": group} for group in groups))
    chosen = seated(known, *NAMES[:m])
    most = Counter(groups[:m]).most_common(1)[0][1]
    if most > t:
        assert str(t) in refusal(m, t, chosen, known).advice
    else:
        seats.check_seats(m, t, chosen, known)


@pytest.mark.parametrize(
    "change",
    [
        lambda chosen: chosen[:2],
        lambda chosen: [*chosen, replace(chosen[0], pid=3)],
        lambda chosen: [chosen[1], chosen[0], chosen[2]],
        lambda chosen: [replace(chosen[0], pid=1), chosen[1], chosen[2]],
        lambda chosen: [replace(chosen[0], entity="https://unknown.example"), *chosen[1:]],
        lambda chosen: [replace(chosen[0], operator="Somebody Else"), *chosen[1:]],
    ],
)
def test_seats_are_numbered_known_and_named_as_their_statements_say(change) -> None:  # type: ignore[no-untyped-def]
    known = operators({}, {}, {})
    refusal(3, 1, change(seated(known, *known)), known)


def test_seats_go_to_data_owners_first_and_to_one_of_each_hands() -> None:
    known = {
        entity: examples.space(entity, seats=2, group=group)
        for entity, group in zip(NAMES, ("one", "one", "two", "three", "four"), strict=False)
    }
    chosen = seats.assign(3, (), [NAMES[4], NAMES[1]], known)
    assert [seat.entity for seat in chosen] == [NAMES[4], NAMES[1], NAMES[2]]
    assert [seat.pid for seat in chosen] == [0, 1, 2]


@pytest.mark.parametrize("unfit", [{"seats": 0}, {"reachable": False}], ids=["offers no seat", "cannot be reached"])
def test_a_space_that_cannot_sit_is_passed_over(unfit: dict[str, object]) -> None:
    known = {entity: examples.space(entity) for entity in NAMES[:4]}
    item = known[NAMES[0]]
    offer = replace(item.offer, seats=unfit.get("seats", 1))
    known[NAMES[0]] = replace(item, offer=offer, reachable=unfit.get("reachable", True))
    assert [seat.entity for seat in seats.assign(3, (), [NAMES[0]], known)] == NAMES[1:4]


def test_two_spaces_alone_are_told_to_add_a_neutral_seat() -> None:
    known = {entity: examples.space(entity) for entity in NAMES[:3]}
    with pytest.raises(IsthmusError) as caught:
        seats.assign(3, tuple(NAMES[:2]), NAMES[:2], known)
    assert "neutral" in caught.value.advice
    assert NAMES[2] in caught.value.advice
    with pytest.raises(IsthmusError) as caught:
        seats.assign(3, ("https://unknown.example",), NAMES[:2], known)
    assert caught.value.space == "https://unknown.example"


@given(st.sampled_from([(3, 1), (5, 2), (7, 3)]), st.lists(st.sampled_from("pqrstuv"), min_size=7, max_size=7))
def test_the_smallest_group_is_the_smallest(size: tuple[int, int], groups: list[str]) -> None:
    m, t = size
    known = operators(*({"name": f"Operator {group}", "group": group} for group in groups))
    chosen = seated(known, *NAMES[:m])
    group = seats.smallest_group(t, chosen, known)
    held = Counter(seat.operator for seat in chosen)
    assert sum(held[name] for name in group) > t
    for fewer in itertools.combinations(held, len(group) - 1):
        assert sum(held[name] for name in fewer) <= t


_UNDER_O = """
from tests.unit import test_seats as s
assert False, "assertions are off, so this line says nothing"
for m, t in ((2, 0), (2, 1), (4, 1), (6, 2), (3, 0), (3, 2), (5, 1), (7, 4), (9, 4)):
    known = s.operators(*[{}] * min(m, 7))
    try:
        s.seats.check_seats(m, t, s.seated(known, *known), known)
    except s.IsthmusError as problem:
        if problem.reason is not s.Reason.SEATS_REFUSED or not problem.advice:
            raise SystemExit("refused without saying what would pass")
    else:
        raise SystemExit(f"{m} seats with threshold {t} passed")
known = s.operators({"group": "one"}, {"group": "one"}, {})
try:
    s.seats.check_seats(3, 1, s.seated(known, *known), known)
except s.IsthmusError:
    print("refused")
"""


def test_28_all_of_it_is_refused_under_python_o() -> None:
    run = subprocess.run([sys.executable, "-O", "-c", _UNDER_O], capture_output=True, text=True, check=False)
    assert (run.stdout, run.returncode) == ("refused\n", 0), run.stderr
