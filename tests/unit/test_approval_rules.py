"""What an approver refuses, whoever brought the contract: each row changes one thing after the plan was made."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from connectors.rules.approval import OwnPart, check_draft, check_proposal
from connectors.rules.columns import ColumnRule
from gateway.domain.contract import Contract, Deadlines, Limits, Recipient, Seat
from gateway.domain.dataset import Code
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules.contract import read_contract
from gateway.rules.planning import LONGEST_SESSION, MAX_ROWS
from gateway.rules.records import to_plain
from gateway.rules.statistics import Use
from tests import examples
from tests.examples import CARE, HOME, NEUTRAL, NOW, POLICE

PLANNED = examples.contract()
KEY = examples.RECIPIENT_KEY


def own(entity: str, initiators: tuple[str, ...] = ("*",), **offer: Any) -> OwnPart:
    made = replace(examples.spaces()[entity].offer, **offer)
    return OwnPart(entity, made, {dataset.name: initiators for dataset in made.datasets})


def refusal(contract: Contract, part: OwnPart, now: int = NOW) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        check_proposal(contract, part, examples.operators(), now)
    assert caught.value.advice
    return caught.value


@pytest.mark.parametrize("entity", [HOME, POLICE, CARE, NEUTRAL])
@pytest.mark.parametrize("asked", [examples.question(), examples.overlap()])
def test_everybody_approves_what_was_planned(entity: str, asked: Any) -> None:
    check_proposal(examples.contract(asked), own(entity), examples.operators(), NOW)


@pytest.mark.parametrize("initiators", [("*",), (HOME,), (CARE,), ()])
def test_a_space_is_told_what_it_may_ask_about_as_a_plan_of_it_would_be_judged(initiators: tuple[str, ...]) -> None:
    part = own(POLICE, initiators)
    (dataset,) = part.offer.datasets
    try:
        check_draft(PLANNED, part, examples.operators(), NOW)
        approved = True
    except IsthmusError as problem:
        assert problem.field == "initiator"
        approved = False
    assert part.is_open(dataset.name, HOME) is approved


def edited(text: str, **changes: object) -> str:
    return json.dumps({**json.loads(text), **changes}, sort_keys=True, separators=(",", ":"))


def with_program(**changes: Any) -> Contract:
    return replace(PLANNED, program=replace(PLANNED.program, **changes))


def with_parameters(**changes: object) -> Contract:
    return with_program(parameters=edited(PLANNED.program.parameters, **changes))


def with_limits(minimum: int, zero: bool = False, subtraction: bool = True) -> Contract:
    """The limits as a malicious home gateway would loosen them: parameters to match."""
    loosened = replace(PLANNED, limits=Limits(minimum, zero, subtraction))
    return replace(loosened, program=with_parameters(minimum_cell=minimum, zero_is_small=zero).program)


def with_input(index: int, **changes: Any) -> Contract:
    provider = PLANNED.providers[index]
    inputs = (replace(provider.inputs[0], **changes),)
    altered = replace(provider, inputs=inputs, row_bound=inputs[0].row_bound)
    return replace(PLANNED, providers=(*PLANNED.providers[:index], altered, *PLANNED.providers[index + 1 :]))


def with_recipient(*recipients: Recipient) -> Contract:
    return replace(PLANNED, recipients=recipients)


# Each altered contract, with the field that the refusal names; nobody may approve any of them.
SWAPPED: dict[str, tuple[Contract, str]] = {
    "field": (replace(PLANNED, field="7919"), "field"),
    "statistic of another program": (with_program(name="overlap", digest="e" * 64), "program.name"),
    "looser minimum in the parameters alone": (with_parameters(minimum_cell=1), "program.parameters"),
    "structural zeros slipped in": (with_parameters(structural_zeros=[0]), "program.parameters"),
    "an unknown parameter": (with_parameters(debug=True), ""),
    "parameters that are no object": (with_program(parameters="[]"), ""),
    "parameters that are no JSON": (with_program(parameters="{"), ""),
    "the same parameters in other bytes": (with_program(parameters=PLANNED.program.parameters + " "), ""),
    "a negative minimum": (with_limits(-1, subtraction=False), "limits.minimum_cell"),
    "no guard against subtraction": (with_limits(11, subtraction=False), "limits.provider_subtraction"),
    "zero counted as small without a minimum": (with_limits(0, True, False), "limits.zero_is_small"),
    "a look into a receive buffer": (replace(PLANNED, demo_view=True), "demo_view"),
    "no recipient": (with_recipient(), "recipients"),
    "a foreign gateway": (with_recipient(Recipient(f"gateway {POLICE}", "gateway", KEY)), "recipients"),
    "a foreign client": (with_recipient(Recipient("client somebody", "client", KEY)), "recipients"),
    "an unknown kind": (with_recipient(Recipient(f"gateway {HOME}", "friend", KEY)), "recipients"),
    "the recipient twice": (with_recipient(PLANNED.recipients[0], PLANNED.recipients[0]), "recipients"),
    "a short key": (
        with_recipient(Recipient(f"gateway {HOME}", "gateway", base64.b64encode(b"x" * 31).decode())), "recipients",
    ),
    "a key that is no base64": (with_recipient(Recipient(f"gateway {HOME}", "gateway", "?" * 44)), "recipients"),
    "deadlines for ever": (replace(PLANNED, deadlines=Deadlines(10, 5, LONGEST_SESSION + 1)), "deadlines"),
    "a stall deadline of nothing": (replace(PLANNED, deadlines=Deadlines(10, 0, 300)), "deadlines"),
    "a stall deadline beyond the session": (replace(PLANNED, deadlines=Deadlines(10, 301, 300)), "deadlines"),
    "a provider left out": (replace(PLANNED, providers=PLANNED.providers[1:]), "providers"),
    "a provider twice": (replace(PLANNED, providers=(PLANNED.providers[0], *PLANNED.providers)), "providers"),
    "another's dataset": (
        replace(PLANNED, providers=(replace(PLANNED.providers[0], entity="https://care.example2"),
                                    *PLANNED.providers[1:])), "providers",
    ),
    "a bound that is not the editions'": (
        replace(PLANNED, providers=(replace(PLANNED.providers[0], row_bound=65), *PLANNED.providers[1:])), "providers",
    ),
    "more rows than a party takes": (with_input(0, row_bound=MAX_ROWS), "providers"),
    "fewer parties than the query wished": (
        replace(PLANNED, query=replace(PLANNED.query, seats=replace(PLANNED.query.seats, count=5))), "seats",
    ),
    "a seat where the query did not want one": (
        replace(PLANNED, query=replace(PLANNED.query, seats=replace(PLANNED.query.seats, at=(HOME, POLICE, CARE)))),
        "seats",
    ),
    "a life longer than ten minutes": (replace(PLANNED, expires=NOW + 601), "not_before"),
    "an end before its beginning": (replace(PLANNED, expires=NOW), "not_before"),
}  # fmt: skip


@pytest.mark.parametrize("name", SWAPPED)
@pytest.mark.parametrize("entity", [HOME, NEUTRAL])
def test_23_nobody_approves_a_contract_that_was_altered_even_without_data_of_their_own(name: str, entity: str) -> None:
    contract, field = SWAPPED[name]
    problem = refusal(contract, own(entity))
    assert problem.reason in (Reason.CONTRACT_INVALID, Reason.PROGRAM_MISMATCH)
    assert problem.field == field or not field


@pytest.mark.parametrize(
    ("contract", "reason"),
    [
        (with_program(digest="f" * 64), Reason.PROGRAM_MISMATCH),
        (with_program(version=2), Reason.PROGRAM_MISMATCH),
        (with_program(engine="mpyc 0.10"), Reason.PROGRAM_MISMATCH),
        (with_program(codec=2), Reason.PROGRAM_MISMATCH),
        (with_program(name="other"), Reason.PROGRAM_MISMATCH),
        (replace(PLANNED, m=5), Reason.SEATS_REFUSED),
        (replace(PLANNED, t=0), Reason.SEATS_REFUSED),
        (replace(PLANNED, t=2), Reason.SEATS_REFUSED),
        (replace(PLANNED, m=2, t=0, seats=PLANNED.seats[:2]), Reason.SEATS_REFUSED),
        (replace(PLANNED, seats=(*PLANNED.seats[:2], Seat(2, HOME, "Operator home"))), Reason.SEATS_REFUSED),
    ],
)
def test_23_and_28_program_and_seats_are_as_approved_or_refused(contract: Contract, reason: Reason) -> None:
    for entity in (HOME, NEUTRAL):
        assert refusal(contract, own(entity)).reason is reason


@pytest.mark.parametrize("change", [{"edition": "2025-1"}, {"snapshot": "6" * 64}, {"row_bound": 32}])
def test_24_an_owner_approves_the_edition_that_it_offers_and_no_other(change: dict[str, Any]) -> None:
    assert refusal(with_input(1, **change), own(HOME)).reason is Reason.EDITION_CHANGED


def test_24_a_dataset_that_changed_after_the_plan_is_refused() -> None:
    dataset = examples.dataset(HOME)
    newer = replace(dataset, edition=replace(dataset.edition, id="2026-2", snapshot="7" * 64))
    assert refusal(PLANNED, own(HOME, datasets=(newer,))).reason is Reason.EDITION_CHANGED
    assert refusal(PLANNED, own(HOME, datasets=())).reason is Reason.EDITION_CHANGED


@pytest.mark.parametrize(
    ("now", "reason"),
    [(NOW + 606, Reason.CONTRACT_EXPIRED), (NOW + 10**6, Reason.CONTRACT_EXPIRED), (NOW - 6, Reason.CONTRACT_INVALID)],
)
def test_21_a_contract_outside_its_time_is_refused(now: int, reason: Reason) -> None:
    assert refusal(PLANNED, own(HOME), now).reason is reason


@pytest.mark.parametrize("now", [NOW - 5, NOW, NOW + 600, NOW + 605])
def test_clocks_may_differ_by_five_seconds(now: int) -> None:
    check_proposal(PLANNED, own(HOME), examples.operators(), now)


def test_a_looser_limit_than_the_query_wished_is_refused_by_who_has_no_policy_too() -> None:
    asked = examples.question(limits=replace(PLANNED.query.limits, minimum_cell=20))
    for minimum in (11, 19):
        loosened = replace(with_limits(minimum), query=asked)
        assert refusal(loosened, own(NEUTRAL)).field == "limits.minimum_cell"
    check_proposal(replace(with_limits(20), query=asked), own(NEUTRAL), examples.operators(), NOW)


@pytest.mark.parametrize(("wished", "given"), [("dominance", 81), ("dominance", None), ("rounding", 7)])
def test_a_percentage_or_base_looser_than_wished_is_refused(wished: str, given: int | None) -> None:
    asked = examples.question(
        limits=replace(PLANNED.query.limits, **{wished: {"dominance": 80, "rounding": 5}[wished]})
    )
    loosened = replace(PLANNED, query=asked, limits=replace(PLANNED.limits, **{wished: given}))
    assert refusal(loosened, own(NEUTRAL)).field == f"limits.{wished}"


@pytest.mark.parametrize(("name", "value"), [("dominance", 0), ("dominance", 100), ("rounding", 1), ("rounding", 1001)])
def test_limits_out_of_their_range_are_no_contract(name: str, value: int) -> None:
    assert refusal(replace(PLANNED, limits=replace(PLANNED.limits, **{name: value})), own(NEUTRAL)).field == "limits"


def test_an_owner_takes_a_multiple_of_its_base_and_a_smaller_percentage() -> None:
    dataset = examples.dataset(HOME)
    offered = (replace(dataset, terms=replace(dataset.terms, dominance=80, rounding=5)),)
    limits = replace(PLANNED.limits, dominance=70, rounding=10)
    agreed = replace(PLANNED, limits=limits, program=with_parameters(dominance=70, rounding=10).program)
    check_proposal(agreed, own(HOME, datasets=offered), examples.operators(), NOW)
    assert refusal(replace(agreed, program=PLANNED.program), own(HOME, datasets=offered)).field == "program.parameters"


def test_owners_hold_their_own_policy_against_a_planner_that_forgot_it() -> None:
    terms: list[tuple[str, Callable[[Any], Any]]] = [
        ("limits.minimum_cell", lambda t: replace(t, minimum_cell=12)),
        ("limits.zero_is_small", lambda t: replace(t, zero_is_small=True)),
        ("limits.dominance", lambda t: replace(t, dominance=80)),
        ("limits.rounding", lambda t: replace(t, rounding=5)),
        ("purpose", lambda t: replace(t, purposes=("prosecution",))),
        ("legal_basis", lambda t: replace(t, legal_bases=("consent",))),
        ("statistic", lambda t: replace(t, statistics=("overlap",))),
        ("seats", lambda t: replace(t, minimum_seats=5)),
    ]
    dataset = examples.dataset(HOME)
    for field, change in terms:
        stricter = replace(dataset, terms=change(dataset.terms))
        problem = refusal(PLANNED, own(HOME, datasets=(stricter,)))
        assert (problem.reason, problem.field, problem.space) == (Reason.POLICY_REFUSED, field, HOME)


def test_a_demonstration_is_approved_by_owners_that_allow_it_alone() -> None:
    asked = examples.question(demo_view=True)
    contract = replace(PLANNED, query=asked, demo_view=True)
    assert refusal(contract, own(HOME)).field == "demo_view"
    dataset = examples.dataset(HOME)
    open_to_it = replace(dataset, terms=replace(dataset.terms, demo_view=True))
    check_proposal(contract, own(HOME, datasets=(open_to_it,)), examples.operators(), NOW)


def test_a_dataset_answers_the_spaces_that_its_steward_named() -> None:
    check_proposal(PLANNED, own(CARE, (POLICE, HOME)), examples.operators(), NOW)
    problem = refusal(PLANNED, own(CARE, (POLICE,)))
    assert (problem.reason, problem.field) == (Reason.POLICY_REFUSED, "initiator")


def test_a_space_gives_no_more_seats_than_it_offers_and_no_part_that_it_does_not_have() -> None:
    assert refusal(PLANNED, own(HOME, seats=0)).reason is Reason.SEATS_REFUSED
    stranger = OwnPart("https://stranger.example", own(NEUTRAL).offer, {})
    assert refusal(PLANNED, stranger).reason is Reason.CONTRACT_INVALID


def test_an_owner_compares_the_code_lists_with_its_own() -> None:
    columns = json.loads(PLANNED.program.parameters)["columns"]
    for codes in (["LABOUR"], ["SEXUAL", "LABOUR", "OTHER"], ["LABOUR", "SEXUAL", "OTHER", "VICTIM-17"]):
        altered = with_parameters(columns=[{**columns[0], "codes": codes}])
        assert refusal(altered, own(HOME)).field == "program.parameters"


@pytest.mark.parametrize(
    "columns",
    [
        [{"codes": ["A", "A"], "name": "form"}],
        [{"codes": [], "name": "form"}],
        [{"codes": ["A"], "name": "other"}],
        [{"codes": [str(n) for n in range(4097)], "name": "form"}],
        [{"codes": [1], "name": "form"}],
        [{"codes": "AB", "name": "form"}],
        [],
        {},
    ],
)
def test_a_neutral_seat_takes_code_lists_as_they_stand_and_nothing_that_is_none(columns: object) -> None:
    assert refusal(with_parameters(columns=columns), own(NEUTRAL)).reason in (
        Reason.CONTRACT_INVALID, Reason.MALFORMED_QUERY,
    )  # fmt: skip


def test_a_dry_run_refuses_what_no_session_could_be() -> None:
    endless = replace(PLANNED, limits=replace(PLANNED.limits, minimum_cell=2**60))
    for altered in (
        replace(PLANNED, m=10**9),
        with_input(0, row_bound=10**12),
        with_program(parameters="null"),
        endless,
    ):
        with pytest.raises(IsthmusError):
            check_draft(altered, own(NEUTRAL), examples.operators(), NOW)


def claims(**changes: object) -> dict[str, object]:
    envelope = {"iss": HOME, "sub": HOME, "aud": f"urn:isthmus:session:{examples.SESSION}", "iat": NOW, "jti": "1"}
    return {**envelope, "exp": NOW + 600, "contract": to_plain(PLANNED), **changes}


def test_a_contract_is_read_as_it_was_signed() -> None:
    assert read_contract(claims()) == PLANNED


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": POLICE},
        {"aud": "urn:isthmus:session:" + "f" * 32},
        {"contract": "text"},
        {"contract": None},
        {"more": 1},
        {"contract": {**to_plain(PLANNED), "extra": 1}},
        {"contract": {**to_plain(PLANNED), "m": "3"}},
        {"contract": {**to_plain(PLANNED), "session": "../../etc"}, "aud": "urn:isthmus:session:../../etc"},
        {"contract": {**to_plain(PLANNED), "requester": "ann\nroot"}},
        {"contract": {**to_plain(PLANNED), "requester": ""}},
    ],
)
def test_21_a_contract_of_another_signer_session_or_shape_is_not_read(changes: dict[str, object]) -> None:
    with pytest.raises(IsthmusError) as caught:
        read_contract(claims(**changes))
    assert caught.value.reason is Reason.CONTRACT_INVALID


def with_more_codes() -> dict[str, Any]:
    """Of the sources, one has a code of the form that the others lack."""
    known, dataset = examples.spaces(), examples.dataset(CARE)
    columns = tuple(
        replace(column, codes=(Code("FORCED", ""), *column.codes)) if column.name == "form" else column
        for column in dataset.columns
    )
    known[CARE] = replace(known[CARE], offer=replace(known[CARE].offer, datasets=(replace(dataset, columns=columns),)))
    return known


@pytest.mark.parametrize("entity", [HOME, POLICE, CARE, NEUTRAL])
def test_everybody_approves_common_codes_and_an_owner_none_that_it_lacks(entity: str) -> None:
    known = with_more_codes()
    draft = examples.contract(examples.question(common_codes=True), known)
    part = own(entity, datasets=known[entity].offer.datasets)
    check_proposal(draft, part, examples.operators(), NOW)
    columns = [{"name": "form", "codes": [*examples.FORMS, "UNHEARD"]}]
    forged = replace(
        draft, program=replace(draft.program, parameters=edited(draft.program.parameters, columns=columns))
    )
    if entity != NEUTRAL:
        assert refusal(forged, part).field == "program.parameters"
    # Who drops the wish after the plan was made finds the owner's whole list held against the contract's.
    if entity == CARE:
        assert refusal(replace(draft, query=examples.question()), part).field == "program.parameters"


def test_a_column_that_is_open_to_count_by_alone_is_not_narrowed_to_common_codes() -> None:
    """An owner cannot see that all others lack a code, so it holds the narrowing to be a filter."""
    known = with_more_codes()
    draft = examples.contract(examples.question(common_codes=True), known)
    part = own(CARE, datasets=known[CARE].offer.datasets)
    (dataset,) = part.offer.datasets
    rules = (ColumnRule("form", use=Use.GROUP),)
    problem = refusal(draft, replace(part, columns={dataset.name: rules}))
    assert (problem.reason, problem.field) == (Reason.POLICY_REFUSED, "common_codes")
    opened = (*rules, ColumnRule("form", use=Use.FILTER))
    check_proposal(draft, replace(part, columns={dataset.name: opened}), examples.operators(), NOW)
