"""Summaries: exact fractions of what a session opens, under bounds that are public on both sides."""

from __future__ import annotations

import statistics as plain
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from connectors.engine.programs import group_sum, measures
from connectors.engine.rows import MAX_ROWS, InputRows
from connectors.holdings import Holding, read_rows
from connectors.rules.approval import OwnPart, check_draft
from connectors.rules.columns import ColumnRule, check_columns
from connectors.sources.tables import DatasetSource, SourceConfig
from gateway.cli.render_summary import summary_table
from gateway.client.messages import dataset_from
from gateway.domain import query
from gateway.domain.dataset import Column, ColumnType, Privacy
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.result import Table
from gateway.edges.grpc.convert import dataset_to, query_from, query_to, table_from, table_to
from gateway.rules import dates, statistics
from gateway.rules.canonical import question, table
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.redelivery import rearranged
from gateway.rules.statistics import Use, grids, summary
from tests import examples

AGE = query.Measure("age", 0, 120, variance=True)
SEEN = query.Measure("seen", "2009-01-01", "2014-12-31")
LATER = query.Measure("seen", "1960-01-01", "2014-12-31")


def asked(*wanted: query.Measure, columns: Sequence[str] = ("form",), **changes: Any) -> query.Query:
    statistic = query.Statistic(summary=query.Summary(wanted or (AGE,), tuple(columns)))
    return examples.question(statistic=statistic, **changes)


def known(**bounds: tuple[str | int | None, str | int | None]) -> Any:
    """Owners who answer summaries, and what bounds they give."""
    given_ = {"age": (0, 99), "seen": ("2010-01-01", "2014-12-31"), **bounds}
    spaces = examples.spaces()
    for entity, space in spaces.items():
        datasets = tuple(
            replace(
                item,
                terms=replace(item.terms, statistics=(*item.terms.statistics, "summary")),
                columns=tuple(
                    replace(column, least=given_[column.name][0], most=given_[column.name][1])
                    if column.name in given_
                    else column
                    for column in item.columns
                ),
            )
            for item in space.offer.datasets
        )
        programs = (*space.offer.programs, replace(space.offer.programs[0], name="group_sum"))
        spaces[entity] = replace(space, offer=replace(space.offer, datasets=datasets, programs=programs))
    return spaces


def contract(question: query.Query | None = None, **changes: Any) -> Any:
    made = examples.contract(question or asked(), known(seen=("1960-01-01", "2014-12-31")))
    return replace(made, limits=replace(made.limits, **changes))


def opened(question: query.Query, vector: Sequence[int], **changes: Any) -> Table:
    return statistics.of(question).table(contract(question, **changes), vector)


def test_means_and_variances_are_those_of_the_pooled_values() -> None:
    ages = [[20, 31, 40] * 5, [17] * 12, []]
    vector = [
        *map(len, ages),
        *map(len, ages),
        *map(sum, ages),
        *(sum(age**2 for age in own) for own in ages),
        *[1] * 6,
    ]
    made = opened(asked(), vector)
    assert made.measures == ("age_known", "age_sum", "age_mean", "age_variance")
    first, second, empty = made.rows
    assert first.values == (15, 455, pytest.approx(plain.fmean(ages[0])), pytest.approx(plain.variance(ages[0])))
    assert second.values == (12, 204, 17.0, 0.0)
    assert (empty.count, empty.values) == (0, (0, 0, None, None))


@given(st.lists(st.integers(0, 120), min_size=11, max_size=60), st.integers(0, 60))
def test_what_the_program_puts_out_becomes_the_table(ages: list[int], unknown: int) -> None:
    asks = asked(AGE, columns=())
    made = contract(asks, minimum_cell=0)
    values: list[tuple[int | None]] = [(age,) for age in ages] + [(None,)] * unknown
    rows = InputRows(list(range(len(values))), [], [()] * len(values), values)
    vector = group_sum.clear(summary.parameters(asks, {}) | {"minimum_cell": 0}, [rows])
    assert len(vector) == summary.outputs(made)
    (row,) = summary.table(made, vector).rows
    assert row.codes == () and row.count == len(values)
    assert row.values[:2] == (len(ages), sum(ages))
    assert row.values[2:] == (pytest.approx(plain.fmean(ages)), pytest.approx(plain.variance(ages)))


def test_a_suppressed_measure_of_a_shown_cell_and_a_suppressed_cell_have_no_values() -> None:
    vector = [20, 30, 0, 0, 25, 0, 0, 500, 0, 0, 11_000, 0, 1, 1, 0, 0, 1, 0]
    first, second, third = opened(asked(), vector).rows
    assert (first.count, first.values) == (20, (None,) * 4)
    assert (second.count, second.values[:3]) == (30, (25, 500, 20.0))
    assert third.suppressed and third.values == (None,) * 4


def test_days_are_counted_from_1970_on_and_may_lie_before() -> None:
    days = [dates.number("1965-03-01")] * 12
    made = opened(asked(LATER, columns=()), [12, 12, sum(days) % int(contract().field), 1, 1])
    assert made.measures == ("seen_known", "seen_days", "seen_mean_day")
    assert dates.day(round(made.rows[0].values[2] or 0)) == "1965-03-01"


@pytest.mark.parametrize(
    "vector",
    [
        [20, 21, 500, 12_600, 1, 1],  # more have an age than there are
        [20, 20, 2500, 320_000, 1, 1],  # older than 120
        [20, 20, 500, 12_499, 1, 1],  # squares that do not reach the square of the mean
        [20, 20, 500, 300_000, 1, 1],
        [20, 20, 500, 12_600, 1, 2],
        [20, 20, 500, 12_600, 1, 0],  # hidden, and told
        [0, 20, 500, 12_600, 0, 1],  # told in a hidden cell
    ],
)
def test_what_no_people_can_come_to_is_not_believed(vector: list[int]) -> None:
    with pytest.raises(IsthmusError) as caught:
        opened(asked(columns=()), vector)
    assert caught.value.reason is Reason.INCONSISTENT_SHARES


def test_rounded_counts_and_sums_are_believed_as_such() -> None:
    plain_age = replace(AGE, variance=False, step=10)
    made = opened(asked(plain_age, columns=()), [20, 20, 550, 1, 1], rounding=5)
    assert made.rows[0].values == (20, 550, 27.5)
    with pytest.raises(IsthmusError, match="do not fit together"):
        opened(asked(plain_age, columns=()), [20, 20, 555, 1, 1], rounding=5)


def test_the_program_takes_the_parameters_that_every_approver_makes_again() -> None:
    made = examples.contract(asked(AGE, SEEN), known())
    check_parameters(made, {"form": examples.FORMS})
    assert '"least":14245,"most":16435,"name":"seen","step":1' in made.program.parameters
    assert '"least":0,"most":120,"name":"age","squares":true' in made.program.parameters
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(replace(made, query=asked(replace(AGE, most=119), SEEN)), {})
    with pytest.raises(IsthmusError, match="does not answer"):
        check_parameters(replace(made, query=examples.question()), {})


def test_one_question_in_whatever_order_and_another_with_other_bounds() -> None:
    first = contract(asked(AGE, LATER, columns=("form", "year")))
    again = contract(asked(LATER, AGE, columns=("year", "form")))
    other = contract(asked(replace(AGE, most=110), LATER, columns=("form", "year")))
    assert question(first) == question(again) and table(first) == table(again)
    assert table(first) != table(other)


def test_bounds_that_do_not_hold_an_owners_own_are_refused_before_any_row_is_read() -> None:
    """Else a session that ends would tell that somebody is above what the asker chose."""
    with pytest.raises(IsthmusError) as caught:
        examples.contract(asked(replace(AGE, most=98)), known())
    assert (caught.value.reason, caught.value.field) == (
        Reason.WRONG_FILTER_TYPE,
        "statistic.summary.measures[0].column",
    )
    assert "between 0 and 99" in caught.value.public
    examples.contract(asked(replace(AGE, most=99)), known())
    with pytest.raises(IsthmusError, match="no public bounds"):
        examples.contract(asked(), known(age=(None, None)))
    with pytest.raises(IsthmusError, match="beyond"):
        examples.contract(asked(SEEN), known(seen=("2008-12-31", "2014-12-31")))
    with pytest.raises(IsthmusError, match="beyond"):  # as a peer may describe it, by mistake
        examples.contract(asked(), known(age=("0", "99")))


def test_an_owner_holds_its_own_bounds_against_a_planner_that_forgot_them() -> None:
    narrow, space = asked(replace(AGE, most=60)), known()[examples.HOME]
    mine = space.offer.datasets[0]
    part = OwnPart(examples.HOME, space.offer, {mine.name: ("*",)}, {mine.name: ()})
    check_draft(examples.contract(asked(), known()), part, examples.operators(), examples.NOW)
    with pytest.raises(IsthmusError, match="beyond"):
        check_draft(examples.contract(narrow, known(age=(0, 60))), part, examples.operators(), examples.NOW)


def test_an_owner_reads_what_is_measured_of_its_people(tmp_path: Path) -> None:
    made, key = examples.contract(asked(AGE, SEEN), known()), bytes(32)
    provider = made.providers[0]
    dataset = known()[provider.entity].offer.datasets[0]
    rows = "Ana,1990-01-02,30,2013-05-06,,2013,LABOUR\nBo,1990-01-02,,,,2013,OTHER\n"
    (tmp_path / "list.csv").write_text("name,born,age,seen,note,year,form\n" + rows)
    source = DatasetSource(SourceConfig(tmp_path, "list.csv", dataset.columns, dataset.key_columns))
    pinned = source.check(key).pinned or ""
    held = replace(dataset, edition=replace(dataset.edition, snapshot=pinned))
    agreed = replace(made, providers=(replace(provider, inputs=(replace(provider.inputs[0], snapshot=pinned),)),))
    linked = read_rows(agreed, provider.entity, {dataset.name: Holding(held, source, ("*",), key)})
    found = set(zip(linked.codes, linked.values, strict=True))
    assert found == {((0,), (30, dates.number("2013-05-06"))), ((2,), (None, None))}


def test_what_tells_who_somebody_is_is_not_added_up() -> None:
    with pytest.raises(IsthmusError) as caught:
        examples.contract(asked(query.Measure("born", "1900-01-01", "2020-12-31")), known())
    assert caught.value.reason is Reason.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("measure", "where"),
    [
        (query.Measure("age", 0, "2014-12-31"), "most"),
        (query.Measure("age", "2014-13-31", "2014-12-31"), "least"),
        (query.Measure("age", 5, 5), "most"),
        (query.Measure("age", 0, 2**24 + 1), "most"),
        (query.Measure("age", -(2**31) - 1, 0), "most"),
        (query.Measure("age", 0, 2**20, variance=True), "variance"),
        (query.Measure("age", -(2**20), 0, variance=True), "variance"),
        (query.Measure("age", 0, 120, variance=True, step=10), "step"),
        (query.Measure("age", 0, 120, step=0), "step"),
        (query.Measure("age", 0, 120, step=1001), "step"),
        (query.Measure("a ge", 0, 120), "column"),
    ],
)
def test_a_measure_that_cannot_be_is_refused_by_name(measure: query.Measure, where: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        read_query(to_plain(asked(measure)))
    assert caught.value.field == f"statistic.summary.measures[0].{where}"


@pytest.mark.parametrize("wanted", [(AGE, AGE), [replace(AGE, column=name) for name in "abcde"]])
def test_measures_are_one_to_four_each_once(wanted: Sequence[query.Measure]) -> None:
    with pytest.raises(IsthmusError) as caught:
        read_query(to_plain(asked(*wanted)))
    assert caught.value.field == "statistic.summary.measures"


@given(
    least=st.integers(-(2**32), 2**32), apart=st.integers(-1, 2**25), variance=st.booleans(), step=st.integers(-1, 1100)
)
def test_a_query_is_refused_where_its_program_would_refuse_its_parameters(
    least: int, apart: int, variance: bool, step: int
) -> None:
    measure = query.Measure("age", least, least + apart, variance, step)
    try:
        summary.check(asked(measure, columns=()))
    except IsthmusError:
        return
    measures.read_measures(summary.parameters(asked(measure, columns=()), {}))


def test_bounds_are_those_of_the_program() -> None:
    assert (summary.MAX_MEASURES, grids.MAX_APART, grids.FARTHEST, summary.MAX_STEP, summary.MAX_PEOPLE) == (
        measures.MAX_MEASURES,
        measures.MAX_APART,
        measures.FARTHEST,
        measures.MAX_STEP,
        MAX_ROWS,
    )


def test_noise_and_rounded_counts_are_refused_in_words() -> None:
    with pytest.raises(IsthmusError) as caught:
        examples.contract(asked(limits=query.Limits(epsilon="1")), noised())
    assert (caught.value.reason, caught.value.field) == (Reason.MALFORMED_QUERY, "limits.epsilon")
    for measure in (AGE, replace(AGE, variance=False)):
        with pytest.raises(IsthmusError) as caught:
            examples.contract(asked(measure, limits=query.Limits(rounding=5)), known())
        assert (caught.value.reason, caught.value.field) == (Reason.POLICY_REFUSED, "limits.rounding")


def noised() -> Any:
    spaces = known()
    for entity, space in spaces.items():
        datasets = tuple(
            replace(item, terms=replace(item.terms, privacy=Privacy("2", "8", required=False)))
            for item in space.offer.datasets
        )
        spaces[entity] = replace(space, offer=replace(space.offer, datasets=datasets))
    return spaces


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (ColumnRule("age", use=Use.MEASURE), ""),
        (ColumnRule("age"), ""),
        (ColumnRule("age", use=Use.GROUP), "statistic.summary.measures[0].column"),
        (ColumnRule("form", use=Use.MEASURE), "statistic.summary.columns[0]"),
    ],
)
def test_a_policy_opens_a_column_to_be_added_up_or_not(rule: ColumnRule, field: str) -> None:
    draft, dataset = examples.contract(asked(), known()), known()[examples.HOME].offer.datasets[0]
    if not field:
        check_columns(draft, dataset, (rule,))
        return
    with pytest.raises(IsthmusError) as caught:
        check_columns(draft, dataset, (rule,))
    assert (caught.value.reason, caught.value.field) == (Reason.POLICY_REFUSED, field)
    assert ("added up" in caught.value.public) is (rule.name == "age")


def test_it_travels_both_ways() -> None:
    for wanted in (asked(AGE, SEEN), asked(replace(AGE, variance=False, step=10), columns=())):
        assert query_from(query_to(wanted)) == wanted
    made = opened(asked(), [20, 30, 0, 0, 25, 0, 0, 500, 0, 0, 11_000, 0, 1, 1, 0, 0, 1, 0])
    assert table_from(table_to(made)) == made


def test_it_says_what_is_learned() -> None:
    said = summary.said(asked(AGE, SEEN), str.upper)
    assert "by FORM" in said and "sum, mean and variance of AGE" in said and "sum and mean of SEEN" in said


def picture(made: Table, labels: dict[str, dict[str, str]] | None = None, **limits: Any) -> str:
    console = Console(width=100, record=True, file=StringIO())
    console.print(summary_table(made, replace(examples.contract().limits, **limits), labels or {}))
    return console.export_text().replace("\N{NO-BREAK SPACE}", " ")


def test_its_picture_has_people_known_mean_and_spread() -> None:
    vector = [20, 130, 0, 0, 100, 0, 0, 2540, 0, 0, 70_000, 0, 1, 1, 0, 0, 1, 0]
    text = picture(opened(asked(), vector), {"age": {"": "Age"}, "form": {"SEXUAL": "Sexual"}})
    assert "Mean Age" in text and "Std. dev." in text
    assert "Sexual" in text and "130" in text and "25.4" in text and "7.44" in text
    assert "<11*" in text and "under Known" in text


def test_its_picture_of_several_measures_has_a_line_for_each() -> None:
    days = dates.number("2013-04-02") * 15
    made = opened(asked(AGE, LATER, columns=()), [20, 18, 360, 7200, 15, days, 1, 1, 1])
    text = picture(made)
    assert "seen" in text and "2013-04-02" in text and "age" in text and "20" in text


def test_a_column_has_both_bounds_in_the_catalogue_or_none() -> None:
    columns = (
        Column("age", ColumnType.INTEGER, least=-5, most=99),
        Column("seen", ColumnType.DATE, least="2009-01-01", most="2014-12-31"),
        Column("note", ColumnType.TEXT),
    )
    item = examples.dataset(examples.HOME, columns=columns)
    assert dataset_from(dataset_to(item, 5)).dataset.columns == columns


def test_measures_in_another_order_are_one_question_and_are_computed_again() -> None:
    """A kept vector has a block for each measure, in their order: moved as it is, one would stand for the other."""
    here, there = (examples.contract(asked(*both), known()) for both in ((AGE, LATER), (LATER, AGE)))
    assert question(here) == question(there)
    size = statistics.of(here.query).outputs(here)
    with pytest.raises(ValueError, match="measures"):
        rearranged([0] * size, there.program.parameters, here.program.parameters)
    assert rearranged(list(range(size)), here.program.parameters, here.program.parameters) == list(range(size))
