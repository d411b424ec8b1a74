"""Pearson's r: from a query to a sentence, with r squared in between."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import pearsonr

from connectors.engine import correlations
from connectors.engine.programs import correlation as program
from connectors.engine.rows import InputRows
from connectors.sources.linking import link_locally
from gateway.cli.render_tests import correlation_said
from gateway.domain.contract import Contract, Limits
from gateway.domain.dataset import Column, ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Correlation, Grid, Query, Statistic
from gateway.domain.query import Limits as Wished
from gateway.edges.grpc.convert import query_from, query_to
from gateway.rules import dates, statistics
from gateway.rules.canonical import question, table
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.redelivery import rearranged
from gateway.rules.statistics import correlation
from tests import examples

FROM, UNTIL = "2012-01-01", "2013-12-31"
SEEN, AGE = Grid("seen", FROM, UNTIL, 10), Grid("age", 0, 119)
WANTED = Correlation((SEEN, AGE))


def asked(wanted: Correlation = WANTED, **changes: Any) -> Query:
    return examples.question(statistic=Statistic(correlation=wanted), **changes)


def contract(wanted: Correlation = WANTED, least: int | None = None, **limits: Any) -> Contract:
    spaces = examples.measured("correlation", {"age": (0, 119), "seen": (FROM, UNTIL)})
    return examples.contract(asked(wanted, limits=Wished(minimum_cell=least, **limits)), spaces)


PEOPLE = st.lists(st.tuples(st.none() | st.integers(0, 119), st.none() | st.integers(0, 730)), min_size=2, max_size=60)


@given(PEOPLE)
def test_what_owners_know_and_the_program_puts_out_becomes_what_scipy_says(
    people: list[tuple[int | None, int | None]],
) -> None:
    start = dates.number(FROM)
    rows = [
        (f"person {chr(97 + n // 26)}{chr(97 + n % 26)}", age, None if day is None else dates.day(start + day))
        for n, (age, day) in enumerate(people)
    ]
    assert [used.column for used in correlation.uses(asked())] == ["age", "seen"]
    measured = [Column("age", ColumnType.INTEGER), Column("seen", ColumnType.DATE)]
    linked = link_locally([(0, rows)], [Column("name", ColumnType.TEXT)], [], b"s" * 16, measured=measured)
    parameters = {**correlation.parameters(asked(), {}), "minimum_cell": 0}
    vector = program.clear(parameters, [InputRows(linked.keys, [], linked.codes, linked.values)])
    (row,) = correlation.table(contract(least=0), vector).rows
    known = [(age, day // 10) for age, day in people if age is not None and day is not None]
    if len(known) < 3 or any(len(set(own)) < 2 for own in zip(*known, strict=True)):
        assert row.suppressed
        return
    expected = pearsonr(*zip(*known, strict=True))
    assert row.values[0] == pytest.approx(expected.statistic, rel=2**-9, abs=2e-4)
    assert row.values[1] == len(known) - 2
    assert row.values[2] == pytest.approx(expected.pvalue, rel=2e-2, abs=4e-2)  # of three on one line


def test_the_program_takes_the_parameters_that_every_approver_makes_again() -> None:
    made = contract()
    check_parameters(made, {"form": examples.FORMS})
    check_parameters(made, {})
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(replace(made, query=asked(Correlation((SEEN, replace(AGE, step=2))))), {})
    there = (
        correlations.MAX_LEVELS,
        correlations.SQUARE_BITS,
        correlations.UPPER_BITS,
        correlations.FREEDOM_BITS,
        correlations.OUTPUTS,
    )
    here = (
        correlation.MAX_LEVELS,
        correlation.SQUARE_BITS,
        correlation.UPPER_BITS,
        correlation.FREEDOM_BITS,
        correlation.outputs(made),
    )
    assert here == there


def test_the_two_in_the_other_order_are_one_question_and_other_grids_another() -> None:
    first, again = contract(), contract(Correlation((AGE, SEEN)))
    assert question(first) == question(again) and table(first) == table(again)
    assert first.program.parameters == again.program.parameters
    assert rearranged([5, 1, 9, 1], first.program.parameters, again.program.parameters) == [5, 1, 9, 1]
    others = [Correlation((SEEN, replace(AGE, step=2))), Correlation((replace(SEEN, most="2014-12-31"), AGE))]
    assert len({table(contract(each)) for each in (WANTED, *others)}) == 3


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (Correlation((AGE,)), "of"),
        (Correlation((AGE, replace(AGE, step=2))), "of"),
        (Correlation((AGE, replace(SEEN, step=1))), "of[1].step"),
        (Correlation((replace(AGE, column="a ge"), SEEN)), "of[0].column"),
        (Correlation((replace(AGE, most=0), SEEN)), "of[0].most"),
        (Correlation((AGE, replace(SEEN, least=0))), "of[1].most"),
    ],
)
def test_what_cannot_be_is_refused_by_name(wanted: Correlation, field: str) -> None:
    with pytest.raises(IsthmusError) as refused:
        read_query(to_plain(asked(wanted)))
    assert (refused.value.reason, refused.value.field) == (Reason.MALFORMED_QUERY, f"statistic.correlation.{field}")


def test_bounds_within_the_owners_own_and_limits_for_counts_are_refused() -> None:
    with pytest.raises(IsthmusError, match="beyond the question's bounds") as refused:
        contract(Correlation((SEEN, replace(AGE, least=1))))
    assert refused.value.field == "statistic.correlation.of[1].column"
    with pytest.raises(IsthmusError, match="rounding is for counts, and correlation opens none"):
        contract(rounding=5)
    with pytest.raises(IsthmusError, match="who somebody is"):
        contract(Correlation((AGE, replace(SEEN, column="born"))))


ONE = 1 << correlation.SQUARE_BITS


@pytest.mark.parametrize(
    "opened",
    [[ONE // 4, 0, 64, 0], [ONE + 1000, 0, 64, 1], [-1, 0, 64, 1], [ONE, 2, 64, 1], [ONE, 0, 0, 1], [ONE, 0, 129, 1],
     [ONE, 0, 192, 1], [ONE, 0, 64, 2], [0, 1, 0, 0], [ONE // 3, 0, 64, 1]],
)  # fmt: skip
def test_what_no_people_can_come_to_is_not_believed(opened: list[int]) -> None:
    with pytest.raises(IsthmusError) as caught:
        correlation.table(contract(), opened)
    assert caught.value.reason is Reason.INCONSISTENT_SHARES
    correlation.table(contract(), [ONE, 0, 64, 1])


def test_all_on_a_line_have_no_chance_and_many_degrees_of_freedom_are_told_roughly() -> None:
    (line,) = correlation.table(contract(), [ONE, 1, 64, 1]).rows
    assert line.values == (-1, 64, 0)
    (many,) = correlation.table(contract(), [ONE // 4, 0, 130, 1]).rows
    assert many.values[:2] == (pytest.approx(0.5, rel=2**-9), 130.5)


def test_it_travels_both_ways() -> None:
    assert query_from(query_to(asked())) == asked()
    assert read_query(to_plain(asked())) == asked()


def drawn(opened: list[int]) -> str:
    console = Console(file=StringIO(), width=100)
    labels = {"age": {"": "Age"}, "seen": {"": "Seen"}}
    console.print(correlation_said(correlation.table(contract(), opened), Limits(11, False, True), labels))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_it_says_what_is_learned_and_is_shown_as_a_sentence() -> None:
    said = statistics.of(asked()).said(asked(), str.upper)
    assert said.startswith("whether SEEN goes together with AGE in a line") and "no sums" in said
    assert "r of Age and Seen: -0.501 with 64 degrees of freedom, p = 1.8e-05" in drawn([ONE // 4, 1, 64, 1])
    hidden = drawn([0] * 4)
    assert "<11*" in hidden and "fewer than 11 people have both" in hidden and "p =" not in hidden
