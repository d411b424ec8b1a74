"""Histograms: public intervals, into which the owner sorts before anything is shared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.linking import link_locally
from gateway.domain import query
from gateway.domain.contract import Contract, Limits
from gateway.domain.dataset import Column, ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.grpc.convert import query_from, query_to
from gateway.rules import dates, statistics
from gateway.rules.canonical import question
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.statistics.histogram import bins, intervals
from tests import examples

NAME, AGE = Column("name", ColumnType.TEXT), Column("age", ColumnType.INTEGER)


def histogram(column: str = "age", edges: tuple[Any, ...] = (12, 18, 65), *columns: str) -> query.Query:
    return examples.question(statistic=query.Statistic(histogram=query.Histogram(column, edges, columns)))


def test_intervals_say_where_they_begin_and_end() -> None:
    assert intervals((12, 18, 19)) == ("under 12", "12 to 17", "18", "19 and over", "not known")
    days = ("before 2013-01-01", "2013-01-01 to 2013-02-28", "from 2013-03-01", "not known")
    assert intervals(("2013-01-01", "2013-03-01")) == days
    assert intervals((-5,)) == ("under -5", "-5 and over", "not known")


@given(
    edges=st.lists(st.integers(-50, 50), min_size=1, max_size=9, unique=True).map(sorted),
    ages=st.lists(st.none() | st.integers(-60, 60), min_size=1, max_size=30),
)
def test_the_owner_sorts_every_value_into_the_interval_that_says_so(edges: list[int], ages: list[int | None]) -> None:
    rows = [(f"person {number}", age) for number, age in enumerate(ages)]
    linked = link_locally([(0, rows)], [NAME], [AGE], b"s" * 16, edges={"age": edges})
    called = intervals(edges)
    found = sorted(called[code] for (code,) in linked.codes)

    def says(age: int | None) -> str:
        if age is None:
            return "not known"
        if age < edges[0]:
            return f"under {edges[0]}"
        if age >= edges[-1]:
            return f"{edges[-1]} and over"
        low = max(edge for edge in edges if edge <= age)
        last = min(edge for edge in edges if edge > age) - 1
        return f"{low} to {last}" if last > low else str(low)

    assert found == sorted(map(says, ages))


def test_days_are_sorted_as_days_are() -> None:
    seen = Column("seen", ColumnType.DATE)
    rows = [("a", "2012-12-31"), ("b", "2013-01-01"), ("c", "2013-02-28"), ("d", "2013-03-01"), ("e", None)]
    linked = link_locally([(0, rows)], [NAME], [seen], b"s" * 16, edges={"seen": ("2013-01-01", "2013-03-01")})
    assert sorted(linked.codes) == [(0,), (1,), (1,), (2,), (3,)]
    assert dates.before("2013-03-01") == "2013-02-28" and dates.before("2012-03-01") == "2012-02-29"


def test_the_program_gets_intervals_for_codes_and_every_approver_makes_them_again() -> None:
    asked = examples.contract(histogram("age", (12, 18), "form"))
    assert asked.program.name == "group_count"
    assert [len(codes) for codes in examples.cell_codes(asked)] == [2] * (4 * len(examples.FORMS))
    check_parameters(asked, {})
    check_parameters(asked, {"form": examples.FORMS})
    moved = replace(asked, query=histogram("age", (12, 21), "form"))
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(moved, {})


def test_other_edges_are_another_question_and_the_order_of_groups_is_none() -> None:
    first = examples.contract(histogram("age", (12, 18), "form", "year"))
    again = examples.contract(histogram("age", (12, 18), "year", "form"))
    other = examples.contract(histogram("age", (12, 19), "form", "year"))
    assert question(first) == question(again) != question(other)


@pytest.mark.parametrize(
    ("asked", "reason", "where"),
    [
        (histogram("age", (18, 12)), Reason.MALFORMED_QUERY, "edges"),
        (histogram("age", (12, 12)), Reason.MALFORMED_QUERY, "edges"),
        (histogram("age", (12, 2**60)), Reason.MALFORMED_QUERY, "edges[1]"),
        (histogram("age", (-(10**30), 12)), Reason.MALFORMED_QUERY, "edges[0]"),
        (histogram("age", ()), Reason.MALFORMED_QUERY, "edges"),
        (histogram("age", tuple(range(201))), Reason.MALFORMED_QUERY, "edges"),
        (histogram("seen", ("2013-02-30",)), Reason.MALFORMED_QUERY, "edges[0]"),
        (histogram("age", (12, "2013-02-01")), Reason.MALFORMED_QUERY, "edges"),
        (histogram("age", (12,), "age"), Reason.MALFORMED_QUERY, "columns"),
        (histogram("age", (12,), "form", "form"), Reason.MALFORMED_QUERY, "columns"),
        (histogram("a ge"), Reason.MALFORMED_QUERY, "column"),
        (histogram("age", ("2013-01-01",)), Reason.WRONG_FILTER_TYPE, "column"),
        (histogram("form"), Reason.WRONG_FILTER_TYPE, "column"),
        (histogram("born", ("1990-01-01",)), Reason.PERMISSION_DENIED, "column"),
        (histogram("nothing"), Reason.UNKNOWN_COLUMN, "column"),
        (histogram("age", (12,), "seen"), Reason.WRONG_FILTER_TYPE, "columns[0]"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(asked: query.Query, reason: Reason, where: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        read_query(to_plain(asked))
        examples.contract(asked)
    assert (caught.value.reason, caught.value.field) == (reason, f"statistic.histogram.{where}")
    assert caught.value.advice


def test_it_travels_both_ways() -> None:
    for asked in (histogram(), histogram("seen", ("2013-01-01",), "form")):
        assert query_from(query_to(asked)) == asked


PRIVATE = query.PrivateEdges(0, 119, (25, 50, 75))


def private(edges: query.PrivateEdges = PRIVATE, *columns: str, **changes: Any) -> query.Query:
    wanted = query.Histogram("age", columns=columns, private_edges=edges)
    return examples.question(statistic=query.Statistic(histogram=wanted), **changes)


def made(asked: query.Query) -> Contract:
    return examples.contract(asked, examples.measured("group_count", {"age": (0, 119)}))


def test_private_edges_make_bins_that_say_no_number_and_are_another_question() -> None:
    first = made(private(PRIVATE, "form"))
    names = ("0 to 25 %", "25 to 50 %", "50 to 75 %", "75 to 100 %", "not known")
    assert tuple(dict.fromkeys(codes[0] for codes in examples.cell_codes(first))) == names == bins((25, 50, 75))
    check_parameters(first, {"form": examples.FORMS})
    check_parameters(first, {})
    assert '"edges_at":[25,50,75],"grid":{"intervals":120,"name":"age"}' in first.program.parameters
    others = [private(replace(PRIVATE, at=(50,)), "form"), private(replace(PRIVATE, step=2), "form"), private()]
    assert len({question(each) for each in (first, *map(made, others))}) == 4
    (used, _) = statistics.of(first.query).uses(first.query)
    assert used.within == (0, 119) and used.edges == tuple(range(1, 120))
    said = statistics.of(first.query).said(first.query, str.upper)
    assert "between which quantiles of everybody (25 %, 50 %, 75 %), which nobody learns, their AGE lies" in said
    assert query_from(query_to(first.query)) == first.query and read_query(to_plain(first.query)) == first.query


@pytest.mark.parametrize(
    ("edges", "where"),
    [
        (replace(PRIVATE, at=()), "private_edges.at"),
        (replace(PRIVATE, at=(0, 50)), "private_edges.at"),
        (replace(PRIVATE, at=(50, 25)), "private_edges.at"),
        (replace(PRIVATE, most=0), "private_edges.most"),
        (replace(PRIVATE, most=5000), "private_edges.step"),
    ],
)
def test_private_edges_that_cannot_be_are_refused_by_name(edges: query.PrivateEdges, where: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        read_query(to_plain(private(edges)))
    assert (caught.value.reason, caught.value.field) == (Reason.MALFORMED_QUERY, f"statistic.histogram.{where}")


def test_private_edges_go_neither_with_others_nor_with_noise_nor_beyond_an_owners_bounds() -> None:
    both = query.Histogram("age", (18,), private_edges=PRIVATE)
    with pytest.raises(IsthmusError, match="not both"):
        read_query(to_plain(examples.question(statistic=query.Statistic(histogram=both))))
    with pytest.raises(IsthmusError, match="beyond the question's bounds"):
        made(private(replace(PRIVATE, most=90)))
    asked = private()
    with pytest.raises(IsthmusError, match="private edges depend on everybody"):
        statistics.of(asked).check_limits(asked, Limits(11, False, True, epsilon="0.5"))
    statistics.of(asked).check_limits(asked, Limits(11, False, True, dominance=80, rounding=5))
