"""From a question to a draft, or a refusal that names field, space and what would pass."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.domain import query
from gateway.domain.dataset import Code, Column, ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Offer, Space
from gateway.rules import canonical, common_codes, planning
from gateway.rules.contract import check_parameters
from gateway.rules.offers import check_offer
from tests import examples
from tests.examples import CARE, HOME, NEUTRAL, POLICE


def refusal(asked: query.Query, known: Any = None) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        examples.contract(asked, known)
    assert caught.value.advice
    return caught.value


def filtered(item: query.Filter) -> query.Query:
    asked = examples.question()
    return replace(asked, sources=(asked.sources[0], replace(asked.sources[1], filters=(item,)), asked.sources[2]))


def test_a_draft_seats_owners_first_and_names_editions_not_now() -> None:
    draft = examples.contract()
    assert [seat.entity for seat in draft.seats] == [HOME, POLICE, NEUTRAL]
    assert [provider.entity for provider in draft.providers] == sorted([HOME, POLICE, CARE])
    assert {item.edition for provider in draft.providers for item in provider.inputs} == {"2026-1"}
    assert draft.limits.minimum_cell == 11
    assert draft.entities() == (HOME, POLICE, NEUTRAL, CARE)


@pytest.mark.parametrize(
    ("asked", "reason", "field", "hint"),
    [
        (examples.question((HOME, "https://nobody.example")), Reason.UNKNOWN_DATASET, "sources[1].dataset", ""),
        (examples.question(link_on=("nam",)), Reason.UNKNOWN_COLUMN, "link_on[0]", "name"),
        (examples.question(link_on=("form",)), Reason.UNKNOWN_COLUMN, "link_on[0]", "name, born"),
        (examples.question(statistic=query.Statistic(query.CountBy(("fomr",)))), Reason.UNKNOWN_COLUMN,
         "statistic.count_by.columns[0]", "form"),
        (examples.question(statistic=query.Statistic(query.CountBy(("born",)))), Reason.WRONG_FILTER_TYPE,
         "statistic.count_by.columns[0]", ""),
        (filtered(query.Filter("form", equals="LABUR")), Reason.UNKNOWN_CODE, "sources[1].filters[0]", "LABOUR"),
        (filtered(query.Filter("form", equals=3)), Reason.WRONG_FILTER_TYPE, "sources[1].filters[0]", ""),
        (filtered(query.Filter("age", one_of=(18, "old"))), Reason.WRONG_FILTER_TYPE, "sources[1].filters[0]", ""),
        (filtered(query.Filter("seen", equals="2013-02-30")), Reason.WRONG_FILTER_TYPE, "sources[1].filters[0]", ""),
        (filtered(query.Filter("note", equals="x")), Reason.WRONG_FILTER_TYPE, "sources[1].filters[0].column", ""),
        (filtered(query.Filter("name", equals="Ana")), Reason.PERMISSION_DENIED, "sources[1].filters[0].column", ""),
        (filtered(query.Filter("born", between=query.Between("1990-01-01", "1990-12-31"))), Reason.PERMISSION_DENIED,
         "sources[1].filters[0].column", ""),
        (filtered(query.Filter("form", between=query.Between("a", "b"))), Reason.WRONG_FILTER_TYPE,
         "sources[1].filters[0].between", ""),
        (filtered(query.Filter("year", equals=2013)), Reason.WRONG_FILTER_TYPE,
         "sources[1].filters[0]", 'Put it in quotes: "2013"'),
        (filtered(query.Filter("age", between=query.Between(65, 18))), Reason.MALFORMED_QUERY,
         "sources[1].filters[0].between", "Swap"),
        (filtered(query.Filter("nothing", equals="x")), Reason.UNKNOWN_COLUMN, "sources[1].filters[0].column", ""),
        (examples.question(limits=query.Limits(10)), Reason.POLICY_REFUSED, "limits.minimum_cell", "11"),
        (examples.question(seats=query.Seats(2)), Reason.SEATS_REFUSED, "", "3"),
        (examples.question(seats=query.Seats(5)), Reason.SEATS_REFUSED, "seats", "neutral"),
        (examples.question((HOME, POLICE), seats=query.Seats(3, (HOME, POLICE))), Reason.SEATS_REFUSED, "seats",
         "neutral"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused_by_field(asked: query.Query, reason: Reason, field: str, hint: str) -> None:
    problem = refusal(asked)
    assert (problem.reason, problem.field) == (reason, field)
    assert hint in problem.advice


@pytest.mark.parametrize(
    "item",
    [
        query.Filter("form", one_of=("LABOUR", "OTHER")),
        query.Filter("age", between=query.Between(18, 65)),
        query.Filter("seen", between=query.Between("1990-01-01", "2000-12-31")),
    ],
)
def test_filters_that_fit_their_columns_are_planned_as_they_are(item: query.Filter) -> None:
    assert examples.contract(filtered(item)).query.sources[1].filters == (item,)


def test_exact_release_is_for_statistics_that_every_owner_grants_and_has_to_be_asked_for() -> None:
    assert examples.contract(examples.overlap()).limits.minimum_cell == 11
    assert examples.contract(examples.overlap(limits=query.Limits(0))).limits.minimum_cell == 0
    assert refusal(examples.question(limits=query.Limits(0))).field == "limits.minimum_cell"


def test_the_strictest_owner_decides() -> None:
    known = examples.spaces()
    dataset = examples.dataset(CARE)
    stricter = replace(dataset, terms=replace(dataset.terms, minimum_cell=30, zero_is_small=True))
    known[CARE] = replace(known[CARE], offer=replace(known[CARE].offer, datasets=(stricter,)))
    limits = examples.contract(known=known).limits
    assert (limits.minimum_cell, limits.zero_is_small, limits.provider_subtraction) == (30, True, True)
    problem = refusal(examples.question(limits=query.Limits(29)), known)
    assert problem.space == CARE
    assert "30" in problem.advice


def with_terms(**terms: dict[str, int]) -> dict[str, Space]:
    """The federation with further terms of these owners' datasets."""
    known = examples.spaces()
    for name, changes in terms.items():
        dataset = examples.dataset(entity := f"https://{name}.example")
        stricter = replace(dataset, terms=replace(dataset.terms, **changes))
        known[entity] = replace(known[entity], offer=replace(known[entity].offer, datasets=(stricter,)))
    return known


def test_the_least_percentage_and_the_common_multiple_of_all_bases_hold() -> None:
    known = with_terms(care={"dominance": 80, "rounding": 4}, police={"dominance": 70, "rounding": 6})
    settled = examples.contract(known=known)
    assert (settled.limits.dominance, settled.limits.rounding) == (70, 12)
    given = json.loads(settled.program.parameters)
    assert (given["dominance"], given["rounding"]) == (70, 12)
    tighter = examples.contract(examples.question(limits=query.Limits(None, False, 60, 5)), known)
    assert (tighter.limits.dominance, tighter.limits.rounding) == (60, 60)
    looser = examples.contract(examples.question(limits=query.Limits(None, False, 90, 2)), known)
    assert (looser.limits.dominance, looser.limits.rounding) == (70, 12)


def test_bases_without_a_common_multiple_in_range_are_refused() -> None:
    known = with_terms(care={"rounding": 997}, police={"rounding": 2})
    problem = refusal(examples.question(), known)
    assert (problem.reason, problem.field) == (Reason.POLICY_REFUSED, "limits.rounding")


def test_an_exact_release_is_neither_rounded_nor_held_against_a_percentage() -> None:
    known = with_terms(care={"dominance": 80, "rounding": 4})
    limits = examples.contract(examples.overlap(limits=query.Limits(0)), known).limits
    assert (limits.minimum_cell, limits.dominance, limits.rounding) == (0, None, None)


def coding(**forms: tuple[str, ...]) -> dict[str, Space]:
    """The spaces, of which those named code the form in their own way."""
    known = examples.spaces()
    for entity in (HOME, POLICE, CARE):
        if (codes := forms.get(known[entity].operator.name.split()[-1])) is None:
            continue
        dataset = examples.dataset(entity)
        columns = tuple(
            replace(column, codes=tuple(Code(code, "") for code in codes)) if column.name == "form" else column
            for column in dataset.columns
        )
        offer = replace(known[entity].offer, datasets=(replace(dataset, columns=columns),))
        known[entity] = replace(known[entity], offer=offer)
    return known


MORE, FEWER = ("FORCED", *examples.FORMS), ("OTHER", "LABOUR")


def test_sources_that_code_a_column_differently_are_not_counted_together_unasked() -> None:
    """The refusal says of each source what it lacks, and what would pass."""
    problem = refusal(examples.question(), coding(care=MORE, police=FEWER))
    assert (problem.reason, problem.field) == (Reason.UNKNOWN_CODE, "statistic.count_by.columns[0]")
    assert "home.example/datasets/list lacks FORCED; " in problem.public
    assert "police.example/datasets/list lacks SEXUAL, FORCED" in problem.public
    assert "care.example" not in problem.public
    assert "common_codes: true" in problem.advice and "LABOUR, OTHER alone" in problem.advice
    reordered = refusal(examples.question(), coding(care=examples.FORMS[::-1]))
    assert reordered.space == CARE and "another order" in reordered.public


def test_a_question_may_take_the_codes_that_all_sources_have_in_the_order_of_the_first() -> None:
    draft = examples.contract(examples.question(common_codes=True), coding(care=MORE, police=FEWER))
    assert json.loads(draft.program.parameters)["columns"] == [{"name": "form", "codes": ["LABOUR", "OTHER"]}]
    for index in range(3):
        assert common_codes.filters(draft, index) == (query.Filter("form", one_of=("LABOUR", "OTHER")),)
    assert "people with others left out" in planning.plan(draft, examples.spaces(), ()).learns[0].what


def test_without_a_common_code_there_is_nothing_to_ask() -> None:
    problem = refusal(examples.question(common_codes=True), coding(care=("FORCED",)))
    assert problem.reason is Reason.UNKNOWN_CODE and "common_codes" not in problem.advice


def test_an_owner_approves_codes_of_its_own_list_and_no_other() -> None:
    draft = examples.contract(examples.question(common_codes=True), coding(care=MORE))
    assert common_codes.own(draft.query, examples.FORMS, MORE) == examples.FORMS
    check_parameters(draft, {"form": common_codes.own(draft.query, examples.FORMS, MORE)})
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(draft, {"form": common_codes.own(draft.query, examples.FORMS, FEWER)})
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(replace(draft, query=examples.question()), {"form": MORE})


def test_rows_of_common_codes_are_other_rows_to_repeats_and_to_the_ledger() -> None:
    known = examples.spaces()
    all_codes, common = examples.contract(known=known), examples.contract(examples.question(common_codes=True), known)
    assert canonical.question(all_codes) != canonical.question(common)


def test_a_table_of_more_cells_than_a_party_computes_is_refused() -> None:
    many = Column("form", ColumnType.CODE, codes=tuple(Code(str(n), "") for n in range(4097)))
    known = examples.spaces()
    for entity in (HOME, POLICE, CARE):
        dataset = examples.dataset(entity)
        columns = (*dataset.columns[:3], many)
        offer = replace(known[entity].offer, datasets=(replace(dataset, columns=columns),))
        known[entity] = replace(known[entity], offer=offer)
    assert refusal(examples.question(), known).field == "statistic.count_by.columns"


def test_spaces_of_different_releases_are_told_so() -> None:
    known = examples.spaces()
    programs = (replace(examples.PROGRAMS[0], digest="9" * 64),)
    known[NEUTRAL] = replace(known[NEUTRAL], offer=replace(known[NEUTRAL].offer, programs=programs))
    assert refusal(examples.question(), known).reason is Reason.PROGRAM_UNKNOWN


def test_the_newest_program_that_all_share_is_taken() -> None:
    known = examples.spaces()
    newer = replace(examples.PROGRAMS[0], version=2, digest="2" * 64)
    for entity, item in known.items():
        programs = (*examples.PROGRAMS, newer, *(() if entity == CARE else (replace(newer, version=3),)))
        known[entity] = replace(item, offer=replace(item.offer, programs=programs))
    assert examples.contract(known=known).program.version == 2


def test_a_source_whose_space_does_not_answer_is_named() -> None:
    known = examples.spaces()
    known[CARE] = replace(known[CARE], reachable=False)
    problem = refusal(examples.question(), known)
    assert (problem.reason, problem.space) == (Reason.PEER_UNREACHABLE, CARE)


def offered(**changes: Any) -> Offer:
    return Offer((replace(examples.dataset(POLICE), **changes),), examples.PROGRAMS, 1, "mpyc 0.11", 1)


def test_a_space_offers_its_own_datasets() -> None:
    assert check_offer(offered(), POLICE) == offered()


@pytest.mark.parametrize(
    "offer",
    [
        offered(name="spaces/home.example/datasets/list"),
        offered(name="spaces/police.example/datasets/../../home.example/datasets/list"),
        offered(name="spaces/police.example.evil/datasets/list"),
        offered(columns=(Column("a", ColumnType.TEXT),) * 2),
        offered(columns=(Column('a"; --', ColumnType.TEXT),)),
        offered(columns=(Column("a", ColumnType.CODE, codes=(Code("x", ""),) * 2),)),
        offered(edition=replace(examples.dataset(POLICE).edition, row_bound=0)),
        offered(terms=replace(examples.dataset(POLICE).terms, version=2**31)),
        offered(terms=replace(examples.dataset(POLICE).terms, minimum_t=-1)),
        replace(offered(), datasets=(examples.dataset(POLICE),) * 2),
        replace(offered(), seats=-1),
    ],
)
def test_a_space_cannot_offer_anothers_dataset_nor_what_no_query_could_name(offer: Offer) -> None:
    with pytest.raises(IsthmusError) as caught:
        check_offer(offer, POLICE)
    assert (caught.value.reason, caught.value.space) == (Reason.INVALID_ARGUMENT, POLICE)


def test_the_only_party_that_shows_its_receive_buffer_is_the_initiators_own() -> None:
    """With another party's sample the initiator's party could compute suppressed counts."""
    shown = examples.contract(demo_view=True)
    for seat in shown.seats:
        assert replace(shown, initiator=seat.entity).viewed_pid() == seat.pid
        assert replace(shown, initiator=seat.entity, demo_view=False).viewed_pid() is None
    assert replace(shown, initiator="https://seatless.example").viewed_pid() is None
