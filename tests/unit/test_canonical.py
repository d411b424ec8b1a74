"""Which contracts ask the same question: what the ledger counts once, and what noise is drawn once for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.contract import Contract, Recipient
from gateway.domain.dataset import Code
from gateway.domain.query import Between, CountBy, Filter, Limits, Query, Seats, Source, Statistic
from gateway.rules.canonical import question, table
from tests.examples import CARE, FORMS, HOME, NEUTRAL, POLICE, RECIPIENT_KEY, contract, overlap, spaces
from tests.examples import question as asked


def filtered(*filters: Filter) -> Contract:
    first, *others = asked().sources
    return contract(asked(sources=(Source(first.dataset, filters), *others)))


@pytest.mark.parametrize(
    "same",
    [
        contract(asked(title="In other words")),
        contract(asked(seats=Seats(3, (HOME, POLICE, NEUTRAL)))),
        contract(asked(sources=tuple(reversed(asked().sources)))),
        contract(asked(link_on=("born", "name"))),
        contract(requester="somebody else", initiator=CARE, session="f" * 32, expires=1),
        contract(recipients=(Recipient("other", "client", RECIPIENT_KEY),)),
    ],
)
def test_who_asks_why_and_in_which_order_changes_no_number(same: Contract) -> None:
    assert question(same) == question(contract())


def test_the_order_of_columns_changes_no_number() -> None:
    both, turned = (
        contract(asked(statistic=Statistic(CountBy(names)))) for names in (("form", "year"), ("year", "form"))
    )
    assert question(both) == question(turned)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Filter("age", equals=7), Filter("age", one_of=(7,))),
        (Filter("age", equals=7), Filter("age", between=Between(7, 7))),
        (Filter("form", one_of=("OTHER", "LABOUR")), Filter("form", one_of=("LABOUR", "OTHER", "LABOUR"))),
    ],
)
def test_a_filter_that_keeps_the_same_rows_is_the_same(one: Filter, other: Filter) -> None:
    assert question(filtered(one)) == question(filtered(other))


def test_filters_are_a_set() -> None:
    age, form = Filter("age", equals=7), Filter("form", equals="OTHER")
    assert question(filtered(age, form)) == question(filtered(form, age))


def renewed(**edition: Any) -> Contract:
    known = spaces()
    old = known[HOME].offer.datasets[0]
    offer = replace(known[HOME].offer, datasets=(replace(old, edition=replace(old.edition, **edition)),))
    return contract(known={**known, HOME: replace(known[HOME], offer=offer)})


def fewer(query: Query) -> Query:
    return replace(query, sources=query.sources[:2])


@pytest.mark.parametrize(
    "other",
    [
        contract(overlap()),
        contract(fewer(asked())),
        contract(asked(link_on=("name",))),
        contract(asked(statistic=Statistic(CountBy(("year",))))),
        filtered(Filter("age", equals=7)),
        filtered(Filter("age", between=Between(7, 8))),
        filtered(Filter("age", one_of=(7, 8))),
        renewed(id="2026-2"),
        renewed(snapshot="6" * 64),
        replace(contract(), limits=replace(contract().limits, minimum_cell=12)),
        replace(contract(), limits=replace(contract().limits, zero_is_small=True)),
    ],
)
def test_other_numbers_are_another_question(other: Contract) -> None:
    assert question(other) != question(contract())
    assert len(question(other)) == 64


def coded(*forms: str) -> Contract:
    """The question as it is where every owner's code list is this one, over the same rows."""
    known = spaces()
    for entity in (HOME, POLICE, CARE):
        (dataset,) = known[entity].offer.datasets
        codes = tuple(Code(form, form) for form in forms)
        columns = tuple(replace(column, codes=codes) if column.name == "form" else column for column in dataset.columns)
        offer = replace(known[entity].offer, datasets=(replace(dataset, columns=columns),))
        known[entity] = replace(known[entity], offer=offer)
    return contract(known=known)


def test_a_code_more_makes_other_cells_and_another_question_and_codes_in_another_order_do_not() -> None:
    assert question(coded(*FORMS)) == question(coded(*reversed(FORMS))) == question(contract())
    assert question(coded(*FORMS, "DOMESTIC")) != question(contract())
    assert table(coded(*FORMS, "DOMESTIC")) == table(contract())


def test_a_table_is_its_columns_link_and_limits_whoever_is_counted() -> None:
    assert table(contract(fewer(asked()))) == table(renewed(id="2026-2")) == table(contract()) != ""
    others = [
        contract(asked(link_on=("name",))),
        contract(asked(statistic=Statistic(CountBy(("year",))))),
        replace(contract(), limits=replace(contract().limits, minimum_cell=12)),
    ]
    assert len({table(one) for one in [contract(), *others]}) == 4


def test_a_table_that_hides_no_cell_has_no_digest() -> None:
    assert table(contract(overlap(limits=Limits(0)))) == ""
