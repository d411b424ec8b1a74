"""Quantiles: from a query to a table, with intervals of a public grid in between."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from connectors.engine.programs import quantiles as program
from connectors.engine.rows import InputRows
from connectors.sources.linking import link_locally
from gateway.cli.render_quantiles import quantiles_table
from gateway.domain.contract import Contract, Limits
from gateway.domain.dataset import Code, Column, ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Grid, Quantiles, Query, Statistic
from gateway.domain.query import Limits as Wished
from gateway.edges.grpc.convert import query_from, query_to
from gateway.rules import dates, statistics
from gateway.rules.canonical import question, table
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.redelivery import rearranged
from gateway.rules.statistics import quantiles
from tests import examples

WANTED = Quantiles(Grid("age", 0, 119, 5), (25, 50, 75), ("form",))
DAYS = Quantiles(Grid("seen", "2012-01-01", "2014-12-31", 90), (50,))


def asked(wanted: Quantiles = WANTED, **changes: Any) -> Query:
    return examples.question(statistic=Statistic(quantiles=wanted), **changes)


def contract(wanted: Quantiles = WANTED, least: int | None = None, **limits: Any) -> Contract:
    spaces = examples.measured("quantiles", {"age": (0, 119), "seen": ("2012-01-01", "2014-12-31")})
    return examples.contract(asked(wanted, limits=Wished(minimum_cell=least, **limits)), spaces)


PEOPLE = st.lists(st.tuples(st.sampled_from(examples.FORMS), st.none() | st.integers(0, 119)), max_size=60)


@given(PEOPLE)
def test_what_owners_sort_and_the_program_puts_out_holds_what_numpy_says(
    people: list[tuple[str, int | None]],
) -> None:
    made = contract(least=0)
    form = Column("form", ColumnType.CODE, codes=tuple(Code(value, "") for value in examples.FORMS))
    name, age = Column("name", ColumnType.TEXT), Column("age", ColumnType.INTEGER)
    edges = {used.column: used.edges for used in quantiles.uses(asked()) if used.edges}
    rows = [(f"person {chr(97 + n // 26)}{chr(97 + n % 26)}", *person) for n, person in enumerate(people)]
    linked = link_locally([(0, rows)], [name], [form, age], b"s" * 16, edges)
    parameters = {**quantiles.parameters(asked(), {"form": examples.FORMS}), "minimum_cell": 0}
    vector = program.clear(parameters, [InputRows(linked.keys, [], linked.codes)])
    found = quantiles.table(made, vector)
    assert (found.columns, found.numbers) == (("form", "at"), ("from", "to"))
    for row in found.rows:
        own = [age for group, age in people if group == row.codes[0] and age is not None]
        assert row.suppressed == (not own)
        if own:
            low, high = row.values
            assert low is not None and high is not None
            assert low <= np.quantile(own, int(row.codes[1]) / 100, method="inverted_cdf") <= high == low + 4


def test_days_are_sorted_into_the_intervals_that_the_table_names() -> None:
    (used,) = quantiles.uses(asked(DAYS))
    assert used.within == ("2012-01-01", "2014-12-31") and used.types == (ColumnType.DATE,)
    assert len(used.edges) == 12 and used.edges[0] == dates.day(dates.number("2012-01-01") + 90)
    (first,), (last,) = (quantiles.table(contract(DAYS), [place, 1]).rows for place in (0, 12))
    assert first.values == (dates.number("2012-01-01"), dates.number("2012-01-01") + 89)
    assert last.values == (dates.number(str(used.edges[-1])), dates.number("2014-12-31"))
    assert quantiles.table(contract(DAYS), [0, 0]).measures == ("from_day", "to_day")


def test_the_program_takes_the_parameters_that_every_approver_makes_again() -> None:
    made = contract()
    check_parameters(made, {"form": examples.FORMS})
    check_parameters(made, {})
    assert '"at":[25,50,75]' in made.program.parameters
    assert '"grid":{"intervals":24,"name":"age"}' in made.program.parameters
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(replace(made, query=asked(replace(WANTED, at=(50,)))), {})


def test_one_question_with_its_columns_in_any_order_and_another_with_another_grid() -> None:
    both, turned = (contract(replace(WANTED, columns=names)) for names in (("form", "year"), ("year", "form")))
    assert question(both) == question(turned) and table(both) == table(turned)
    cells = len(quantiles.table(both, [0] * quantiles.outputs(both)).rows)
    vector = list(range(2 * cells))
    moved = rearranged(vector, both.program.parameters, turned.program.parameters)
    there, here = (quantiles.table(each, [0] * 2 * cells).rows for each in (both, turned))
    places = {(form, year, at): number for number, (form, year, at) in enumerate(row.codes for row in there)}
    assert moved[:cells] == [places[form, year, at] for year, form, at in (row.codes for row in here)]
    assert moved[cells:] == [place + cells for place in moved[:cells]]
    others = [
        replace(WANTED, at=(50,)),
        replace(WANTED, of=Grid("age", 0, 119, 6)),
        replace(WANTED, of=Grid("age", 0, 124, 5)),
        replace(WANTED, of=Grid("age", -5, 119, 5)),
    ]
    assert len({table(contract(each)) for each in (WANTED, *others)}) == 5


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (replace(WANTED, of=Grid("a ge", 0, 119)), "of.column"),
        (replace(WANTED, of=Grid("age", 0, "2012-01-01")), "of.most"),
        (replace(WANTED, of=Grid("age", "2012-02-30", "2012-04-01")), "of.least"),
        (replace(WANTED, of=Grid("age", 119, 0)), "of.most"),
        (replace(WANTED, of=Grid("age", 0, 119, 0)), "of.step"),
        (replace(WANTED, of=Grid("age", 0, 119, 120)), "of.step"),
        (replace(WANTED, of=Grid("age", 0, 4096)), "of.step"),
        (replace(WANTED, at=()), "at"),
        (replace(WANTED, at=(50, 25)), "at"),
        (replace(WANTED, at=(50, 50)), "at"),
        (replace(WANTED, at=(101,)), "at"),
        (replace(WANTED, at=tuple(range(10))), "at"),
        (replace(WANTED, columns=("age",)), "columns"),
        (replace(WANTED, columns=("at",)), "columns"),
        (replace(WANTED, columns=("form", "form")), "columns"),
    ],
)
def test_what_cannot_be_is_refused_by_name(wanted: Quantiles, field: str) -> None:
    with pytest.raises(IsthmusError) as refused:
        read_query(to_plain(asked(wanted)))
    assert (refused.value.reason, refused.value.field) == (Reason.MALFORMED_QUERY, f"statistic.quantiles.{field}")


def test_bounds_that_do_not_hold_the_owners_own_and_columns_that_identify_are_refused() -> None:
    with pytest.raises(IsthmusError, match="beyond the question's bounds"):
        contract(replace(WANTED, of=Grid("age", 1, 119)))
    with pytest.raises(IsthmusError, match="no public bounds"):
        examples.contract(asked())
    with pytest.raises(IsthmusError, match="who somebody is"):
        contract(replace(DAYS, of=replace(DAYS.of, column="born")))
    with pytest.raises(IsthmusError, match="cells"):
        quantiles.parameters(asked(replace(WANTED, of=Grid("age", 0, 2047))), {"form": examples.FORMS})


@pytest.mark.parametrize("limits", [{"dominance": 80}, {"rounding": 5}])
def test_limits_that_are_for_counts_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(IsthmusError) as refused:
        contract(**limits)
    assert (refused.value.reason, refused.value.field) == (Reason.POLICY_REFUSED, f"limits.{next(iter(limits))}")


@pytest.mark.parametrize("opened", [[1, 0], [24, 1], [-1, 1], [5, 2]])
def test_what_no_people_can_come_to_is_not_believed(opened: list[int]) -> None:
    made = contract(replace(WANTED, at=(50,), columns=()))
    with pytest.raises(IsthmusError) as caught:
        quantiles.table(made, opened)
    assert caught.value.reason is Reason.INCONSISTENT_SHARES
    quantiles.table(made, [23, 1])


def test_a_median_below_a_quartile_is_not_believed_and_one_that_is_not_told_says_nothing() -> None:
    made = contract(replace(WANTED, columns=()))
    with pytest.raises(IsthmusError, match="do not fit together"):
        quantiles.table(made, [3, 2, 4, 1, 1, 1])
    assert [row.values for row in quantiles.table(made, [3, 0, 4, 1, 0, 1]).rows] == [(15, 19), (None, None), (20, 24)]


@pytest.mark.parametrize("wanted", [WANTED, DAYS])
def test_it_travels_both_ways(wanted: Quantiles) -> None:
    assert query_from(query_to(asked(wanted))) == asked(wanted)
    assert read_query(to_plain(asked(wanted))) == asked(wanted)


def drawn(wanted: Quantiles, opened: list[int]) -> str:
    console = Console(file=StringIO(), width=100)
    labels = {"form": {"": "Form"}, "age": {"": "Age"}} if wanted.columns else {"seen": {"": "Seen"}}
    console.print(quantiles_table(quantiles.table(contract(wanted), opened), Limits(11, False, True), labels))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_it_says_what_is_learned_and_is_shown_by_groups_or_line_by_line() -> None:
    said = statistics.of(asked()).said(asked(), str.upper)
    assert said.startswith("in which of 24 intervals the 25 % quantile, the median, the 75 % quantile of AGE")
    assert "by FORM" in said and "no counts" in said
    shown = drawn(WANTED, [3, 4, 6, 0, 0, 0, 5, 0, 9, 1, 1, 1, 0, 0, 0, 1, 0, 1])
    assert "Median" in shown and "20 – 24" in shown and "<11*" in shown and "1 to 10 below or above it" in shown
    days = drawn(DAYS, [1, 1])
    assert "Median    2012-03-31 – 2012-06-28" in days and "not told" not in days
