"""Logistic regression: from a query to a table of log odds, with the fit's numbers in between."""

from __future__ import annotations

import random
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from rich.console import Console

from connectors.engine.programs import logistic_regression as program
from connectors.engine.rows import InputRows
from connectors.sources.linking import link_locally
from gateway.cli.render_regressions import logistic_regression_table
from gateway.domain.contract import Contract, Limits
from gateway.domain.dataset import Code, Column, ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Covariate, Events, LogisticRegression, Numbers, Query, Statistic
from gateway.domain.query import Limits as Wished
from gateway.edges.grpc.convert import query_from, query_to, table_from, table_to
from gateway.rules import sharing, statistics
from gateway.rules.canonical import question, table
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.redelivery import rearranged
from gateway.rules.statistics import logistic_regression
from tests import examples

YEAR = Covariate("year", ("2013", "2012"))
WANTED = LogisticRegression(Events("form", ("SEXUAL", "OTHER")), (YEAR, Covariate("age", numbers=Numbers(10, 39, 5))))
CODES = {"form": examples.FORMS, "year": ("2012", "2013")}


def asked(wanted: LogisticRegression = WANTED, **changes: Any) -> Query:
    return examples.question(statistic=Statistic(logistic_regression=wanted), **changes)


def contract(wanted: LogisticRegression = WANTED, least: int | None = None) -> Contract:
    spaces = examples.spaces()
    for entity, space in spaces.items():
        programs = (*space.offer.programs, replace(space.offer.programs[0], name="logistic_regression"))
        exact = tuple(
            replace(item, terms=replace(item.terms, exact_statistics=("logistic_regression",)))
            for item in space.offer.datasets
        )
        spaces[entity] = replace(space, offer=replace(space.offer, programs=programs, datasets=exact))
    return examples.contract(asked(wanted, limits=Wished(minimum_cell=least)), spaces)


def opened(made: Contract, people: list[tuple[Any, ...]]) -> list[int]:
    """What the program puts out of one provider's people (year, age, form), as its agent shares them."""
    name, age = Column("name", ColumnType.TEXT), Column("age", ColumnType.INTEGER)
    year, form = (Column(n, ColumnType.CODE, codes=tuple(Code(c, "") for c in CODES[n])) for n in ("year", "form"))
    uses = list(logistic_regression.uses(asked()))
    assert [used.column for used in uses] == ["year", "age", "form"]
    rows = [
        (f"person {chr(97 + n // 676)}{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}", *p) for n, p in enumerate(people)
    ]
    linked = link_locally(
        [(0, rows)], [name], [year, age, form], b"s" * 16,
        {used.column: used.edges for used in uses if used.edges},
        chosen={used.column: used.codes for used in uses if used.codes},
    )  # fmt: skip
    parameters = {**logistic_regression.parameters(asked(), CODES), "minimum_cell": 0}
    found = program.clear(parameters, [InputRows(linked.keys, [], linked.codes)])
    assert len(found) == logistic_regression.outputs(made)
    return [number % sharing.P for number in found]


def some(count: int = 240) -> list[tuple[Any, ...]]:
    rng = random.Random(2)
    people: list[tuple[Any, ...]] = []
    for _ in range(count):
        year, age = rng.choice(CODES["year"]), rng.choice([None, *range(5, 45)])
        odds = np.exp(0.8 * (year == "2012") - 0.05 * (age or 0) + 1)
        people.append((year, age, rng.choice(("SEXUAL", "OTHER")) if rng.random() < odds / (1 + odds) else "LABOUR"))
    return people


def test_what_owners_share_and_the_program_puts_out_becomes_what_statsmodels_says() -> None:
    people = some()
    made = logistic_regression.table(contract(least=0), opened(contract(least=0), people))
    taken = [p for p in people if p[1] is not None and 10 <= p[1] <= 39]
    x = np.array([[1.0, year == "2012", (age - 10) // 5 * 5] for year, age, _ in taken])
    y = [float(form != "LABOUR") for *_, form in taken]
    expected = sm.Logit(y, x).fit(disp=0, tol=1e-12)
    assert [row.codes for row in made.rows] == [("intercept", "intercept"), ("year", "2012"), ("age", "number")]
    for row, *values in zip(made.rows, expected.params, expected.bse, expected.tvalues, strict=True):
        assert row.values[:3] == pytest.approx(values, rel=1e-4)
        assert row.values[4] == pytest.approx(np.exp(values[0]), rel=1e-4)
    for row, p in zip(made.rows, expected.pvalues, strict=True):
        assert row.values[3] == pytest.approx(p, rel=1e-2)
    assert {figure.name: figure.value for figure in made.overall} == {
        "people": len(taken),
        "with_outcome": sum(y),
        "deviance": pytest.approx(-2 * expected.llf, rel=1e-4),
        "mcfadden_r_squared": pytest.approx(expected.prsquared, abs=1e-4),
    }
    assert table_from(table_to(made)) == made


def test_what_is_not_told_has_no_numbers_and_is_shown_as_such() -> None:
    made = contract()
    hidden = logistic_regression.table(made, [0] * logistic_regression.outputs(made))
    assert all(row.suppressed for row in hidden.rows) and all(figure.value is None for figure in hidden.overall)
    assert "<11*" in shown(hidden) and "McFadden" not in shown(hidden)


def test_a_line_for_each_term_with_its_interval() -> None:
    drawn = shown(logistic_regression.table(contract(least=0), opened(contract(least=0), some())))
    (line,) = (line for line in drawn.splitlines() if line.startswith("year: 2012"))
    assert "●" in line and "─" in line and "│" in line
    assert "with the outcome; McFadden's R² = 0." in drawn and all(len(line) <= 80 for line in drawn.splitlines())


def shown(made: Any) -> str:
    console = Console(file=StringIO(), width=80)
    console.print(logistic_regression_table(made, Limits(11, False, True), {}))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "change",
    [
        lambda out: [*out[:-1], 2],
        lambda out: [*out[:-1], 0],
        lambda out: [*out[:-3], 10**6, 5, 1],
        lambda out: [*out[:-2], out[-3], 1],
        lambda out: [*out[:-2], 0, 1],
        lambda out: [*[0] * (len(out) - 3), 0, 1, 0],
        lambda out: [1 << 20, *out[1:]],
        lambda out: [*out[:3], 0, *out[4:10], 0, *out[11:]],
        lambda out: [*out[:10], 1, *out[11:]],
    ],
)
def test_what_no_people_can_come_to_is_not_believed(change: Any) -> None:
    made = contract(least=0)
    right = opened(made, some())
    logistic_regression.table(made, right)
    with pytest.raises(IsthmusError) as caught:
        logistic_regression.table(made, change(right))
    assert caught.value.reason is Reason.INCONSISTENT_SHARES


def test_the_program_takes_the_parameters_that_every_approver_makes_again() -> None:
    made = contract()
    check_parameters(made, CODES)
    assert '{"codes":["LABOUR","SEXUAL","OTHER"],"events":[1,2],"name":"form"}' in made.program.parameters
    program.outputs({**logistic_regression.parameters(asked(), CODES), "minimum_cell": 11})
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(replace(made, query=asked(replace(WANTED, outcome=Events("form", ("SEXUAL",))))), CODES)


def test_one_question_is_answered_again_and_another_outcome_is_another() -> None:
    first = contract()
    again = contract(replace(WANTED, outcome=Events("form", ("OTHER", "SEXUAL"))))
    assert question(first) == question(again) and table(first) == table(again)
    kept = list(range(logistic_regression.outputs(first)))
    assert rearranged(kept, first.program.parameters, again.program.parameters) == kept
    turned = replace(WANTED, covariates=(replace(YEAR, codes=("2012", "2013")), WANTED.covariates[1]))
    others = [turned, replace(WANTED, covariates=(YEAR,)), replace(WANTED, outcome=Events("form", ("OTHER",)))]
    assert len({question(contract(each)) for each in (WANTED, *others)}) == 4
    assert len({table(contract(each)) for each in (WANTED, *others)}) == 4


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (replace(WANTED, covariates=()), "covariates"),
        (replace(WANTED, covariates=(Covariate("form"),)), "covariates"),
        (replace(WANTED, outcome=Events("a b", ("OTHER",))), "outcome.column"),
        (replace(WANTED, outcome=Events("form", ())), "outcome.codes"),
        (replace(WANTED, outcome=Events("form", ("OTHER", "OTHER"))), "outcome.codes"),
    ],
)
def test_what_cannot_be_is_refused_by_name(wanted: LogisticRegression, field: str) -> None:
    with pytest.raises(IsthmusError) as refused:
        read_query(to_plain(asked(wanted)))
    assert (refused.value.reason, refused.value.field) == (
        Reason.MALFORMED_QUERY,
        f"statistic.logistic_regression.{field}",
    )


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(IsthmusError, match="'NONE' is not a code of form"):
        contract(replace(WANTED, outcome=Events("form", ("NONE",))))
    with pytest.raises(IsthmusError, match="these are all codes"):
        contract(replace(WANTED, outcome=Events("form", examples.FORMS)))
    with pytest.raises(IsthmusError, match="age has no code list"):
        contract(replace(WANTED, outcome=Events("age", ("12",))))
    with pytest.raises(IsthmusError, match="2208 combinations"):
        many = (Covariate("age", numbers=Numbers(0, 183)), Covariate("year"))
        logistic_regression.parameters(
            asked(replace(WANTED, covariates=many)), CODES | {"year": [*map(str, range(12))]}
        )


def test_it_travels_both_ways_and_says_what_is_learned() -> None:
    assert query_from(query_to(asked())) == asked()
    assert read_query(to_plain(asked())) == asked()
    said = statistics.of(asked()).said(asked(), str.upper)
    assert said.startswith("how FORM being SEXUAL or OTHER goes with YEAR (2013, 2012), AGE (10 to 39), by maximum")
