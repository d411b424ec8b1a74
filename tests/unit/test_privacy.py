"""Whether a question gets noise and how much, what owners say to it, what it costs whom, and what is opened."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from pyroaring import BitMap

from connectors.noise_seeds import noise_seed
from connectors.rules.approval import check_proposal
from connectors.rules.budgets import Budget, Left, Spent, left, takes
from connectors.rules.ledger import Answer, Ledger, Objection, Terms
from connectors.rules.trials import Tried, try_question
from gateway.domain import query
from gateway.domain.contract import Contract
from gateway.domain.dataset import Privacy
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Offer, Space
from gateway.domain.query import CountBy, Statistic
from gateway.rules import noise, planning, release
from gateway.rules.offers import check_offer
from gateway.rules.privacy import off_by
from gateway.rules.queries import checked
from gateway.rules.records import from_bytes, to_bytes
from gateway.rules.sharing import P
from tests import examples
from tests.examples import CARE, HOME, NEUTRAL, NOW, POLICE
from tests.held import held, offered, people
from tests.unit.test_approval_rules import edited, own

OPEN = Privacy("1", "4", required=False)
WITH = query.Limits(epsilon="0.5")


def opened(terms: Privacy | None = OPEN, **others: Privacy | None) -> dict[str, Space]:
    """The federation with these terms of its owners; `others` by name."""
    known = examples.spaces()
    for name in ("home", "police", "care"):
        entity = f"https://{name}.example"
        dataset = examples.dataset(entity)
        given = replace(dataset, terms=replace(dataset.terms, privacy=others.get(name, terms)))
        known[entity] = replace(known[entity], offer=replace(known[entity].offer, datasets=(given,)))
    return known


def noised(epsilon: str = "0.5", known: dict[str, Space] | None = None, **changes: Any) -> Contract:
    limits = query.Limits(epsilon=epsilon)
    return examples.contract(examples.question(limits=limits, **changes), known or opened())


def refusal(asked: query.Query, known: dict[str, Space]) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        examples.contract(asked, known)
    assert caught.value.reason is Reason.POLICY_REFUSED and caught.value.advice
    return caught.value


def test_without_a_wish_or_a_demand_a_contract_is_what_it_was() -> None:
    plain = examples.contract()
    assert examples.contract(known=opened()) == plain
    assert b"epsilon" not in to_bytes(plain) and b"noise" not in to_bytes(plain)


def test_the_least_epsilon_of_question_and_owners_holds_in_the_one_way_to_write_it() -> None:
    assert noised("0.50").limits.epsilon == "0.5"
    assert noised("3").limits.epsilon == "1"
    strict = opened(care=Privacy("0.25", "4", required=False))
    assert noised("3", strict).limits.epsilon == "0.25"
    assert examples.contract(known=opened(care=Privacy("0.25", "4"))).limits.epsilon == "0.25"


def test_the_table_of_coins_stands_in_the_contract_and_follows_from_epsilon() -> None:
    made = noised()
    assert json.loads(made.program.parameters)["noise"] == noise.table("0.5")
    assert (made.limits.provider_subtraction, made.limits.minimum_cell) == (False, 11)
    check_proposal(made, own(HOME, datasets=datasets(opened())), examples.operators(), NOW)


def datasets(known: dict[str, Space], entity: str = HOME) -> tuple[Any, ...]:
    return known[entity].offer.datasets


def test_an_owner_that_opened_nothing_to_noise_gives_no_noised_answer() -> None:
    problem = refusal(examples.question(limits=WITH), opened(police=None))
    assert (problem.field, problem.space) == ("limits.epsilon", POLICE)
    demanded = refusal(examples.question(), opened(Privacy("1", "4"), police=None))
    assert (demanded.space, "another owner" in demanded.advice) == (POLICE, True)


def test_a_percentage_of_one_provider_is_not_asked_for_beside_noise_and_no_owners_is_applied() -> None:
    limits = query.Limits(dominance=80, epsilon="0.5")
    assert refusal(examples.question(limits=limits), opened()).field == "limits.dominance"
    known = opened()
    dataset = known[CARE].offer.datasets[0]
    offer = replace(known[CARE].offer, datasets=(replace(dataset, terms=replace(dataset.terms, dominance=80)),))
    known[CARE] = replace(known[CARE], offer=offer)
    assert noised(known=known).limits.dominance is None
    assert examples.contract(known=known).limits.dominance == 80


def loosened(epsilon: str | None, **limits: Any) -> Contract:
    """The contract as a malicious home gateway would write it, parameters to match."""
    made = noised()
    changed = replace(made.limits, epsilon=epsilon, **limits)
    codes = {"form": examples.FORMS}
    text = planning.parameters(made.query, changed, codes)
    return replace(made, limits=changed, program=replace(made.program, parameters=text))


@pytest.mark.parametrize(
    ("forged", "field"),
    [
        (loosened("0.6"), "limits.epsilon"),
        (loosened(None, provider_subtraction=True), "limits.epsilon"),
        (replace(noised(), limits=replace(noised().limits, epsilon="0.50")), "limits.epsilon"),
        (replace(noised(), limits=replace(noised().limits, epsilon="11")), "limits.epsilon"),
        (loosened("0.5", dominance=80), "limits.epsilon"),
        (loosened("0.5", provider_subtraction=True), "limits.provider_subtraction"),
        (replace(noised(), limits=replace(noised().limits, epsilon="0.4")), "program.parameters"),
    ],
)
def test_a_contract_whose_noise_is_not_what_was_wished_is_approved_by_nobody(forged: Contract, field: str) -> None:
    for part in (own(HOME, datasets=datasets(opened())), own(NEUTRAL)):
        with pytest.raises(IsthmusError) as caught:
            check_proposal(forged, part, examples.operators(), NOW)
        assert (caught.value.reason, caught.value.field) == (Reason.CONTRACT_INVALID, field)


def test_coins_that_do_not_follow_from_epsilon_are_refused_by_a_seat_without_data_too() -> None:
    made = noised()
    fair = edited(made.program.parameters, noise=["0" * 16])
    with pytest.raises(IsthmusError) as caught:
        check_proposal(
            replace(made, program=replace(made.program, parameters=fair)), own(NEUTRAL), examples.operators(), NOW
        )
    assert caught.value.field == "program.parameters"


def test_a_policy_is_tried_on_questions_with_noise_before_it_goes_live() -> None:
    def tried(limits: query.Limits, terms: Privacy | None) -> None:
        (dataset,) = datasets(opened(terms))
        try_question(
            examples.question(limits=limits),
            Tried(dataset, ("*",), (), examples.PROGRAMS),
            examples.operator(CARE),
            NOW,
        )

    tried(WITH, OPEN)
    tried(WITH, Privacy("0.1", "4"))  # with more noise than was asked for
    tried(query.Limits(), Privacy("0.1", "4"))
    tried(query.Limits(), None)
    with pytest.raises(IsthmusError) as caught:
        tried(WITH, None)
    assert (caught.value.reason, caught.value.space) == (Reason.POLICY_REFUSED, HOME)


@pytest.mark.parametrize(
    ("made", "terms"),
    [
        (noised(), None),
        (noised(), Privacy("0.4", "4", required=False)),
        (examples.contract(), Privacy("1", "4")),
    ],
    ids=["nothing with noise", "less epsilon", "nothing without noise"],
)
def test_owners_hold_their_own_terms_against_a_planner_that_forgot_them(made: Contract, terms: Privacy | None) -> None:
    with pytest.raises(IsthmusError) as caught:
        check_proposal(made, own(HOME, datasets=datasets(opened(terms))), examples.operators(), NOW)
    assert (caught.value.reason, caught.value.field) == (Reason.POLICY_REFUSED, "limits.epsilon")
    assert caught.value.space == HOME


def test_a_query_with_what_is_no_epsilon_names_the_field() -> None:
    for wrong in ("", "0", "11", "half", "0.00001", "-1"):
        with pytest.raises(IsthmusError) as caught:
            checked(examples.question(limits=query.Limits(epsilon=wrong)))
        assert (caught.value.reason, caught.value.field) == (Reason.MALFORMED_QUERY, "limits.epsilon")


@pytest.mark.parametrize(
    "terms", [Privacy("11", "20"), Privacy("1", "x"), Privacy("1", "0.5"), Privacy("1", "4", "0.9")]
)
def test_an_offer_with_a_budget_out_of_range_is_not_believed(terms: Privacy) -> None:
    offer = opened(terms)[HOME].offer
    with pytest.raises(IsthmusError) as caught:
        check_offer(offer, HOME)
    assert caught.value.field == "datasets.terms"
    assert check_offer(opened(Privacy("1", "4", "20"))[HOME].offer, HOME)


def test_an_offer_with_a_budget_is_read_back_from_its_bytes() -> None:
    offer = opened(Privacy("0.5", "4", "20"))[HOME].offer
    assert from_bytes(Offer, to_bytes(offer), what="offer") == offer


def shares(values: list[int]) -> dict[int, list[int]]:
    return {pid: [(v + pid + 1) % P for v in values] for pid in range(3)}


def test_noised_counts_below_zero_are_shown_where_every_cell_is() -> None:
    made = noised(statistic=Statistic(CountBy(("form",))))
    exact = replace(made, limits=replace(made.limits, minimum_cell=0))
    counts = [-3, 0, noise.of("0.5").largest + 192]
    table = release.open_table(exact, shares([*counts, 1, 1, 1]))
    assert [row.count for row in table.rows] == counts


@pytest.mark.parametrize("value", [-256, 255 + 193, -1])
def test_values_beyond_counts_and_noise_are_not_believed(value: int) -> None:
    made = noised()
    if value != -1:  # below zero is possible where every cell is shown, and nowhere else
        made = replace(made, limits=replace(made.limits, minimum_cell=0))
    with pytest.raises(IsthmusError) as caught:
        release.open_table(made, shares([value, 0, 0, 1, 1, 1]))
    assert caught.value.reason is Reason.INCONSISTENT_SHARES


def test_how_far_counts_are_off_is_said_in_the_plan() -> None:
    made = noised()
    assert off_by(made.limits) == 12 and off_by(examples.contract().limits) is None
    assert off_by(replace(made.limits, rounding=10)) == 17
    told = planning.plan(made, opened(), []).learns[0].what
    assert "off by at most 12 with 95 % (ε = 0.5)" in told and "cells under 11 suppressed" in told


# What it costs.


def test_a_budget_is_one_operators_over_all_its_spaces() -> None:
    spent = Spent()
    for asker, charge in ((POLICE, 3), (HOME, 4), (CARE, 5)):
        spent.add(asker, charge)
    hands = {POLICE: POLICE, CARE: POLICE, HOME: HOME}
    assert (spent.of(POLICE, hands), spent.of(CARE, hands), spent.of(CARE), spent.total) == (8, 8, 5, 12)
    assert left(Budget(10, 13), spent, CARE, hands) == Left(2, 1)
    assert left(Budget(10), spent, CARE, hands).most == 2
    assert takes(Budget(10, 13), spent, [], CARE, 1, hands) and not takes(Budget(10, 13), spent, [], CARE, 2, hands)
    assert not takes(Budget(10), spent, [(POLICE, 2)], CARE, 1, hands) and not takes(None, spent, [], CARE, 1)


def answer(name: str, rows: Iterable[int], charge: int = 0, **changes: Any) -> Answer:
    return replace(
        Answer(name, "1", frozenset({"a"}), BitMap(rows), "t" if not charge else "n", charge, POLICE), **changes
    )


TERMS = Terms(11, budget=Budget(10_000))


def test_noise_stands_beside_answers_that_exact_counts_may_not_stand_beside() -> None:
    book = Ledger([answer("plain", range(100))])
    for asked in (
        answer("few less", range(97), 5_000),
        answer("another table", range(100), 5_000),
        answer("a source more", range(100), 5_000, sources=frozenset({"a", "b"})),
    ):
        assert book.objection(replace(asked, charge=0, table="u"), TERMS) is not None
        assert book.objection(asked, TERMS) is None
    with_noise = Ledger([answer("noised", range(100), 5_000)])
    assert with_noise.objection(answer("plain", range(97)), TERMS) is None


def test_few_rows_are_refused_with_noise_too_and_questions_are_counted() -> None:
    assert Ledger().objection(answer("few", range(10), 100), TERMS) is Objection.SINGLED_OUT
    book = Ledger([answer("noised", range(100), 100)])
    assert book.objection(answer("second", range(50), 100), replace(TERMS, questions=1)) is Objection.QUESTIONS
    assert book.objection(answer("second", range(50)), replace(TERMS, questions=1)) is Objection.QUESTIONS


def test_epsilon_is_spent_once_per_question_and_not_beyond_the_budget() -> None:
    book = Ledger([answer("one", range(100), 6_000)])
    assert book.objection(answer("one", range(100), 6_000), TERMS) is None
    assert book.objection(answer("two", range(100), 4_000), TERMS) is None
    assert book.objection(answer("two", range(100), 4_001), TERMS) is Objection.BUDGET
    assert book.objection(answer("two", range(100), 4_001, asker=HOME), TERMS) is None
    assert book.objection(answer("two", range(100), 4_001, asker=HOME), TERMS, hands={HOME: HOME, POLICE: HOME})
    waiting = answer("waiting", range(100), 4_000)
    assert book.objection(answer("two", range(100), 1), TERMS, [waiting, waiting]) is Objection.BUDGET
    assert book.objection(waiting, TERMS, [waiting]) is None
    assert book.objection(answer("two", range(100), 1), replace(TERMS, budget=None)) is Objection.BUDGET


def test_a_seed_is_the_questions_and_the_owners_alone(tmp_path: Any) -> None:
    holding = held(tmp_path / "data", POLICE, people(range(100)))
    holdings, known = {holding.dataset.name: holding}, opened()
    known[POLICE] = offered(holding)[POLICE]
    given = replace(holding.dataset, terms=replace(holding.dataset.terms, privacy=OPEN))
    known[POLICE] = replace(known[POLICE], offer=replace(known[POLICE].offer, datasets=(given,)))
    seed = noise_seed(noised(known=known), POLICE, holdings)
    assert len(seed) == 32
    again = noised(known=known, title="In other words", sources=tuple(reversed(examples.question().sources)))
    assert noise_seed(replace(again, session="e" * 32, initiator=CARE), POLICE, holdings) == seed
    others = {
        noise_seed(noised("0.6", known=known), POLICE, holdings),
        noise_seed(noised(known=known, statistic=Statistic(CountBy(("year",)))), POLICE, holdings),
        noise_seed(noised(known=known), POLICE, {holding.dataset.name: replace(holding, snapshot_key=b"k" * 32)}),
    }
    assert len(others) == 3 and seed not in others


def test_two_datasets_under_one_key_file_do_not_take_each_others_part_of_the_seed_away(tmp_path: Any) -> None:
    one = held(tmp_path / "one", POLICE, people(range(100)))
    known = opened()
    first = replace(one.dataset, terms=replace(one.dataset.terms, privacy=OPEN))
    second = replace(first, name=f"{first.name}-2")
    known[POLICE] = replace(known[POLICE], offer=replace(known[POLICE].offer, datasets=(first, second)))
    holdings = {dataset.name: replace(one, dataset=dataset) for dataset in (first, second)}
    alone = noise_seed(noised(known=known), POLICE, holdings)
    both = noised(known=known, sources=(*examples.question().sources, query.Source(second.name)))
    seed = noise_seed(both, POLICE, holdings)
    assert len(holdings) == 2 and seed not in (bytes(32), alone)
