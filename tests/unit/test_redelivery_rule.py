"""When a contract is answered from shares that were kept of an earlier one: by the approvals alone, and never with a
cell in another's place (THREATS row 34)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.domain import query
from gateway.domain.approval import SignedApproval, SignedContract
from gateway.domain.contract import Contract
from gateway.domain.kept import Kept, KeptShare
from gateway.domain.plan import Decision, Verdict
from gateway.rules import redelivery, seats
from gateway.rules.canonical import question
from gateway.rules.redelivery import agreed_seats, answers, origin, rearranged
from tests import examples
from tests.examples import CARE, HOME, NEUTRAL, POLICE
from tests.unit.test_roster import ALL, CONTRACT

EARLIER = "e" * 64


def approvals(**kept: str) -> list[SignedApproval]:
    """Everybody's, with what each says that it keeps: home and police and neutral have the seats, care has none."""
    said = {f"https://{name}.example": digest for name, digest in kept.items()}
    return [replace(item, body=replace(item.body, kept=said.get(item.entity, ""))) for item in ALL]


def test_what_all_seats_keep_of_one_contract_is_delivered_again() -> None:
    assert origin(CONTRACT, approvals(home=EARLIER, police=EARLIER, neutral=EARLIER)) == EARLIER
    # A space without a seat has nothing to say in it.
    assert origin(CONTRACT, approvals(home=EARLIER, police=EARLIER, neutral=EARLIER, care="c" * 64)) == EARLIER


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"home": EARLIER},
        {"home": EARLIER, "police": EARLIER},
        {"home": EARLIER, "police": EARLIER, "care": EARLIER},
        {"home": EARLIER, "police": EARLIER, "neutral": "f" * 64},
        dict.fromkeys(("home", "police", "neutral"), CONTRACT.digest),
        dict.fromkeys(("home", "police", "neutral"), "E" * 64),
        dict.fromkeys(("home", "police", "neutral"), "e" * 63),
        dict.fromkeys(("home", "police", "neutral"), "e" * 64 + "\n"),
    ],
)
def test_anything_else_is_computed(said: dict[str, str]) -> None:
    assert origin(CONTRACT, approvals(**said)) == ""


def test_what_a_party_receives_is_shown_of_a_session_alone() -> None:
    shown = SignedContract(examples.contract(demo_view=True), CONTRACT.digest, "")
    assert origin(shown, approvals(home=EARLIER, police=EARLIER, neutral=EARLIER)) == ""
    assert not answers(kept_of(CONTRACT.body, HOME), shown.body, HOME)


def kept_of(contract: Contract, entity: str, **changes: object) -> Kept:
    made = Kept(
        EARLIER, contract.session, contract.initiator, question(contract),
        tuple(seat.entity for seat in contract.seats), contract.t, contract.program.digest, contract.program.parameters,
        "", "", tuple(KeptShare(seat.pid, "", "") for seat in contract.seats_of(entity)), 1,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("entity", [HOME, POLICE, NEUTRAL])
def test_the_same_question_at_the_same_seats_is_answered_whoever_asks(entity: str) -> None:
    asked = examples.contract(examples.question(title="In other words"), requester="somebody else", session="f" * 32)
    assert answers(kept_of(CONTRACT.body, entity), asked, entity)


def test_who_has_no_seat_answers_nothing() -> None:
    assert not answers(kept_of(CONTRACT.body, CARE), CONTRACT.body, CARE)


@pytest.mark.parametrize(
    "changes",
    [
        {"question": "0" * 64},
        {"seats": (POLICE, HOME, NEUTRAL)},
        {"seats": (HOME, POLICE)},
        {"seats": (HOME, POLICE, NEUTRAL, CARE, "https://other.example")},
        {"t": 2},
        {"program": "0" * 64},
        {"shares": ()},
        {"shares": (KeptShare(1, "", ""),)},
        {"shares": (KeptShare(0, "", ""), KeptShare(1, "", ""))},
        {"parameters": CONTRACT.body.program.parameters.replace("LABOUR", "OTHERS")},
    ],
)
def test_another_pid_seat_threshold_program_or_cell_answers_nothing(changes: dict[str, object]) -> None:
    assert not answers(kept_of(CONTRACT.body, HOME, **changes), CONTRACT.body, HOME)


def by(*columns: str) -> Contract:
    return examples.contract(examples.question(statistic=query.Statistic(count_by=query.CountBy(columns))))


def lists(*owners: str) -> Contract:
    return examples.contract(examples.overlap(owners=owners))


@pytest.mark.parametrize(
    ("there", "here"),
    [(by("form", "year"), by("year", "form")), (lists(HOME, POLICE, CARE), lists(CARE, HOME, POLICE))],
)
def test_a_repeat_in_another_order_gets_each_cell_in_its_own_place(there: Contract, here: Contract) -> None:
    """Whether one writes the columns or the lists in another order makes no other question, but another table."""
    assert question(there) == question(here)
    assert there.program.parameters != here.program.parameters
    cells = examples.cell_codes(there)
    vector = [*range(100, 100 + len(cells)), *range(500, 500 + len(cells))]
    moved = rearranged(vector, there.program.parameters, here.program.parameters)
    assert named(here, moved) == named(there, vector)
    assert moved != vector
    assert answers(kept_of(there, HOME), replace(here, seats=there.seats), HOME)


def named(contract: Contract, vector: list[int]) -> dict[frozenset[tuple[str, str]], tuple[int, int]]:
    """What the vector says of each cell, by what the cell is called."""
    names = (
        contract.query.statistic.count_by.columns
        if contract.query.statistic.count_by
        else [source.dataset for source in contract.query.sources]
    )
    cells = examples.cell_codes(contract)
    return {
        frozenset(zip(names, codes, strict=True)): (vector[n], vector[n + len(cells)]) for n, codes in enumerate(cells)
    }


def test_cells_that_are_not_the_same_are_not_rearranged() -> None:
    parameters = by("form").program.parameters
    with pytest.raises(ValueError, match="cells"):
        rearranged([1, 2, 3], parameters, by("form", "year").program.parameters)
    with pytest.raises(ValueError, match="cells"):
        rearranged([1, 2, 3, 4], parameters, parameters)
    with pytest.raises(ValueError, match="cell"):
        rearranged([1, 2, 3], parameters, parameters.replace("LABOUR", "OTHERS"))
    assert rearranged([1, 2, 3], parameters, parameters) == [1, 2, 3]


def verdict(entity: str, *seats: str) -> Verdict:
    return Verdict(entity, Decision.ALLOWED, kept_seats=seats)


def test_the_seats_of_a_repeat_are_those_that_all_owners_name_who_keep_its_answer() -> None:
    seats = (POLICE, HOME, NEUTRAL)
    draft = CONTRACT.body
    assert agreed_seats(draft, [verdict(HOME, *seats), verdict(POLICE, *seats), verdict(CARE)]) == seats
    assert agreed_seats(draft, [verdict(HOME, *seats), verdict(POLICE, HOME, POLICE, NEUTRAL)]) == ()
    assert agreed_seats(draft, [verdict(HOME), verdict(POLICE)]) == ()
    # A neutral seat does not know who may ask: what it says of that counts for nothing.
    assert agreed_seats(draft, [verdict(NEUTRAL, *seats)]) == ()


def test_no_owner_moves_another_from_its_seat_or_brings_a_friend_to_one_by_its_own_word() -> None:
    """Whoever of the owners is malicious would choose who computes: of three seats, two together see everything."""
    draft, friend = CONTRACT.body, "https://friend.example"
    assert {seat.entity for seat in draft.seats} == {HOME, POLICE, NEUTRAL}
    for told in ((POLICE, friend, NEUTRAL), (POLICE, friend, "https://other.example"), (POLICE, NEUTRAL, HOME)):
        assert agreed_seats(draft, [verdict(POLICE, *told), verdict(HOME), verdict(CARE)]) == ()
    # Nor do two of three, where the third has no seat and could not know.
    moved = (POLICE, HOME, friend)
    two = [verdict(POLICE, *moved), verdict(HOME, *moved)]
    assert agreed_seats(draft, [*two, verdict(CARE)]) == agreed_seats(draft, two) == ()
    assert agreed_seats(draft, [*two, verdict(CARE, *moved)]) == moved


def test_a_cell_is_called_alike_in_both_places() -> None:
    for contract in (by("form", "year"), lists(HOME, CARE)):
        assert len(redelivery._cells(contract.program.parameters)) == len(examples.cell_codes(contract))


def test_seats_are_placed_as_they_were_if_all_can_take_theirs_now() -> None:
    known = examples.spaces()
    kept_seats = (POLICE, NEUTRAL, HOME)
    placed = seats.placed(kept_seats, 3, known)
    assert [(seat.pid, seat.entity, seat.operator) for seat in placed] == [
        (pid, entity, known[entity].operator.name) for pid, entity in enumerate(kept_seats)
    ]


@pytest.mark.parametrize(
    "kept_seats",
    [
        (),
        (POLICE, NEUTRAL),
        (POLICE, NEUTRAL, CARE),  # offers no seat
        (POLICE, NEUTRAL, "https://gone.example"),
        (POLICE, POLICE, HOME),  # offers one
        (HOME, POLICE, NEUTRAL, HOME, POLICE),
    ],
)
def test_seats_that_cannot_be_taken_again_are_not(kept_seats: tuple[str, ...]) -> None:
    assert seats.placed(kept_seats, 3, examples.spaces()) == ()


def test_seats_that_came_into_the_same_hands_since_are_not_placed_again() -> None:
    known = examples.spaces()
    known[POLICE] = replace(known[POLICE], operator=replace(known[POLICE].operator, affiliates=(NEUTRAL,)))
    assert seats.placed((POLICE, NEUTRAL, HOME), 3, known) == ()
    known = examples.spaces()
    known[NEUTRAL] = replace(known[NEUTRAL], reachable=False)
    assert seats.placed((POLICE, NEUTRAL, HOME), 3, known) == ()
