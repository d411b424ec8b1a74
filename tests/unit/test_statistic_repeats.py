"""Repeats: people by how close together two spaces recorded them, as query, contract and table."""

from __future__ import annotations

import doctest
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.engine.programs import measures
from connectors.engine.programs import repeats as program
from connectors.engine.rows import InputRows
from gateway.domain import query
from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.grpc.convert import query_from, query_to
from gateway.rules import statistics
from gateway.rules.canonical import question, table
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.redelivery import rearranged
from gateway.rules.statistics import repeats
from tests import examples

WANTED = query.Repeats("seen", "2009-01-01", "2014-12-31", (7, 30), ("form",))


def asked(wanted: query.Repeats = WANTED, **changes: Any) -> query.Query:
    return examples.question(statistic=query.Statistic(repeats=wanted), **changes)


def known(least: str | None = "2010-01-01", most: str | None = "2014-12-31", **terms: Any) -> Any:
    """Owners who answer repeats, and between which days theirs lie."""
    spaces = examples.spaces()
    for entity, space in spaces.items():
        datasets = tuple(
            replace(
                item,
                terms=replace(item.terms, statistics=(*item.terms.statistics, "repeats"), **terms),
                columns=tuple(
                    replace(column, least=least, most=most) if column.name == "seen" else column
                    for column in item.columns
                ),
            )
            for item in space.offer.datasets
        )
        programs = (*space.offer.programs, replace(space.offer.programs[0], name="repeats"))
        spaces[entity] = replace(space, offer=replace(space.offer, datasets=datasets, programs=programs))
    return spaces


def test_gaps_are_called_as_they_say() -> None:
    assert not doctest.testmod(repeats).failed
    assert repeats.gaps((0,)) == ("one space only", "over 0 days, or not known", "0 days")
    assert repeats.gaps((0, 1, 7))[2:] == ("2 to 7 days", "1 days", "0 days")


@given(st.lists(st.integers(0, 400), min_size=1, max_size=6, unique=True).map(sorted))
def test_what_the_program_puts_out_is_in_the_cell_of_its_gap(within: Sequence[int]) -> None:
    """One person is recorded twice, 120 days apart; of another one day is not known."""
    wanted = asked(replace(WANTED, within=tuple(within), columns=()), limits=query.Limits(minimum_cell=0))
    made = examples.contract(wanted, known(exact_statistics=("repeats",)))
    first = InputRows([1, 2], [], [(), ()], [(14_300,), (None,)])
    second = InputRows([2, 1], [], [(), ()], [(15_000,), (14_420,)])
    vector = program.clear({**repeats.parameters(wanted, {}), "minimum_cell": 0}, [first, second])
    assert len(vector) == repeats.outputs(made)
    found = {row.codes[0]: row.count for row in repeats.table(made, vector).rows if row.count}
    unknown = found.pop(f"over {within[-1]} days, or not known")
    if within[-1] < 120:
        assert (unknown, found) == (2, {})
        return
    ((gap, count),) = found.items()
    days = [int(part) for part in gap.split() if part.isdecimal()]
    assert (unknown, count) == (1, 1) and days[0] <= 120 <= days[-1]


def test_the_program_takes_the_parameters_that_every_approver_makes_again() -> None:
    made = examples.contract(asked(), known())
    check_parameters(made, {"form": examples.FORMS})
    assert '"day":{"least":14245,"most":16435,"name":"seen"}' in made.program.parameters
    assert '"within":[7,30]' in made.program.parameters
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(replace(made, query=asked(replace(WANTED, within=(7, 31)))), {})


def test_one_question_with_its_columns_in_any_order_and_another_with_other_spans() -> None:
    both = replace(WANTED, columns=("form", "year"))
    first = examples.contract(asked(both), known())
    again = examples.contract(asked(replace(both, columns=("year", "form"))), known())
    other = examples.contract(asked(replace(both, within=(7,))), known())
    assert question(first) == question(again) and table(first) == table(again)
    assert table(first) != table(other)


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        (replace(WANTED, column="se en"), "column"),
        (replace(WANTED, least="2009"), "least"),
        (replace(WANTED, most="2009-01-01"), "most"),
        (replace(WANTED, within=()), "within"),
        (replace(WANTED, within=(7, 7)), "within"),
        (replace(WANTED, within=(30, 7)), "within"),
        (replace(WANTED, within=(-1,)), "within"),
        (replace(WANTED, within=(36_526,)), "within"),
        (replace(WANTED, within=tuple(range(7))), "within"),
        (replace(WANTED, columns=("form", "form")), "columns"),
        (replace(WANTED, columns=("apart",)), "columns"),
    ],
)
def test_what_cannot_be_is_refused_by_name(wanted: query.Repeats, where: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        read_query(to_plain(asked(wanted)))
    assert (caught.value.reason, caught.value.field) == (Reason.MALFORMED_QUERY, f"statistic.repeats.{where}")


def test_one_space_has_no_repeats() -> None:
    with pytest.raises(IsthmusError) as caught:
        read_query(to_plain(asked(owners=(examples.HOME,))))
    assert caught.value.field == "sources"


def test_days_without_public_bounds_or_beyond_the_questions_are_refused_before_any_row_is_read() -> None:
    with pytest.raises(IsthmusError, match="no public bounds"):
        examples.contract(asked(), known(None, None))
    with pytest.raises(IsthmusError, match="beyond"):
        examples.contract(asked(replace(WANTED, least="2010-01-02")), known())


def test_too_many_cells_are_refused_where_the_program_would_refuse_them() -> None:
    codes = [str(i) for i in range(1025)]
    with pytest.raises(IsthmusError, match="4100 cells"):
        repeats.parameters(asked(), {"form": codes})
    program.outputs({**repeats.parameters(asked(), {"form": codes[:1024]}), "minimum_cell": 2})


def test_bounds_are_those_of_the_program() -> None:
    assert (repeats.MAX_SPANS, repeats.MAX_SPAN) == (program.MAX_SPANS, program.MAX_SPAN)
    widest = query.Repeats("seen", "0001-01-01", "9999-12-31", (1,))
    repeats.check(asked(widest))
    day = repeats.parameters(asked(widest), {})["day"]
    assert day["most"] - day["least"] <= measures.MAX_APART


def test_it_travels_both_ways_and_says_what_is_learned() -> None:
    assert query_from(query_to(asked())) == asked()
    said = statistics.of(asked()).said(asked(), str.upper)
    assert "within 7 or 30 days by SEEN" in said and "by FORM" in said


def test_a_repeat_in_another_order_gets_each_cell_in_its_own_place_gaps_included() -> None:
    here = examples.contract(asked(replace(WANTED, columns=("form", "year"))), known())
    there = examples.contract(asked(replace(WANTED, columns=("year", "form"))), known())
    assert question(here) == question(there)
    size = len(examples.cell_codes(here))
    vector = [*range(size), *[1] * size]
    moved = rearranged(vector, there.program.parameters, here.program.parameters)

    def told(contract: Contract, opened: list[int]) -> dict[frozenset[tuple[str, str]], int | None]:
        made = statistics.of(contract.query).table(contract, opened)
        return {frozenset(zip(made.columns, row.codes, strict=True)): row.count for row in made.rows}

    assert told(here, moved) == told(there, vector)
    assert len(set(told(here, moved).values())) == size
