"""Rates: the count's own question, divided by what the asker says of the population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from scipy import stats

from gateway.cli.render_tables import rate_table
from gateway.domain import query
from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.result import Table
from gateway.edges.grpc.convert import query_from, query_to, table_from, table_to
from gateway.rules import statistics
from gateway.rules.canonical import question, table
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.statistics.rate import interval
from tests import examples

PEOPLE = (query.Population(("LABOUR",), 2_000_000), query.Population(("SEXUAL",), 4_000_000))


def rate(population: Sequence[query.Population] = PEOPLE, **changes: Any) -> query.Query:
    wanted = query.Rate(("form",), tuple(population), **changes)
    return examples.question(statistic=query.Statistic(rate=wanted))


def opened(asked: query.Query, counts: Sequence[int], **changes: Any) -> Table:
    contract = examples.contract(asked)
    contract = replace(contract, limits=replace(contract.limits, **changes))
    kept = [int(count >= 11) for count in counts]
    vector = [count * flag for count, flag in zip(counts, kept, strict=True)] + kept
    return statistics.of(asked).table(contract, vector)


@pytest.mark.parametrize("count", [0, 1, 5, 11, 40, 365, 20_000])
def test_the_interval_is_the_exact_one_to_one_percent(count: int) -> None:
    low, high = interval(count)
    exact_low = stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    exact_high = stats.chi2.ppf(0.975, 2 * (count + 1)) / 2
    close = 0.01 if count >= 5 else 0.1
    assert high == pytest.approx(exact_high, rel=close)
    assert low == pytest.approx(exact_low, rel=close, abs=0.02)


def test_a_rate_is_the_count_per_so_many_people_and_none_where_there_is_no_count_or_population() -> None:
    made = opened(rate(), [50, 7, 30])
    assert made.measures == ("per_100000", "low", "high")
    labour, sexual, other = made.rows
    assert labour.count == 50 and labour.values[0] == pytest.approx(2.5)
    assert labour.values[1] is not None and labour.values[2] is not None
    assert labour.values[1] < 2.5 < labour.values[2]
    assert sexual.suppressed and sexual.values == (None, None, None)
    assert other.count == 30 and other.values == (None, None, None)
    assert opened(rate(per=1_000_000), [50, 7, 30]).rows[0].values[0] == pytest.approx(25)


def test_noise_leaves_the_rate_and_takes_its_interval() -> None:
    made = opened(rate(), [50, 20, 30], epsilon="1", provider_subtraction=False)
    assert made.rows[0].values == (2.5, None, None)


def test_it_is_one_question_with_the_count_and_shows_one_table() -> None:
    count, asked = examples.contract(), examples.contract(rate())
    assert asked.program.parameters == count.program.parameters and asked.program.name == "group_count"
    assert question(asked) == question(count) and table(asked) == table(count)
    other = examples.contract(rate(PEOPLE[:1], per=1000))
    assert question(other) == question(count)


def test_an_approver_makes_its_parameters_again() -> None:
    asked: Contract = examples.contract(rate())
    check_parameters(asked, {})
    check_parameters(asked, {"form": examples.FORMS})
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(asked, {"form": (*examples.FORMS[:2], "NEW")})


@pytest.mark.parametrize(
    ("asked", "reason", "where"),
    [
        (rate([query.Population(("LABUR",), 5)]), Reason.UNKNOWN_CODE, "population[0].codes"),
        (rate([*PEOPLE, query.Population(("LABOUR",), 3)]), Reason.MALFORMED_QUERY, "population[2].codes"),
        (rate([query.Population(("LABOUR", "2013"), 5)]), Reason.MALFORMED_QUERY, "population[0].codes"),
        (rate([query.Population(("LABOUR",), 0)]), Reason.MALFORMED_QUERY, "population[0].people"),
        (rate([query.Population(("LABOUR",), 10**10 + 1)]), Reason.MALFORMED_QUERY, "population[0].people"),
        (rate([]), Reason.MALFORMED_QUERY, "population"),
        (rate(per=0), Reason.MALFORMED_QUERY, "per"),
    ],
)  # fmt: skip
def test_a_population_that_does_not_fit_is_refused_by_name(asked: query.Query, reason: Reason, where: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        read_query(to_plain(asked))
        examples.contract(asked)
    assert (caught.value.reason, caught.value.field) == (reason, f"statistic.rate.{where}")


def test_it_travels_both_ways() -> None:
    asked = rate(per=1_000_000)
    assert query_from(query_to(asked)) == asked
    made = opened(rate(), [50, 7, 30])
    assert table_from(table_to(made)) == made


def test_its_picture_has_people_rates_intervals_and_bars() -> None:
    console = Console(width=100, record=True, file=StringIO())
    made = opened(rate(), [50, 7, 30])
    console.print(rate_table(made, examples.contract().limits, {"form": {"LABOUR": "Forced labour"}}))
    text = console.export_text().replace("\N{NO-BREAK SPACE}", " ")
    assert "Forced labour" in text and "Per 100 000" in text and "2.5" in text and "█" in text
    assert "<11*" in text and "not shown" in text
