"""Linear regression: from a query to a table of coefficients, with the fit's numbers in between."""

from __future__ import annotations

import random
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from rich.console import Console

from connectors.engine.programs import linear_regression as program
from connectors.engine.rows import InputRows
from connectors.sources.linking import link_locally
from gateway.cli.render_regressions import linear_regression_table
from gateway.domain.contract import Contract, Limits
from gateway.domain.dataset import Code, Column, ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Covariate, LinearRegression, Numbers, Outcome, Query, Statistic
from gateway.domain.query import Limits as Wished
from gateway.edges.grpc.convert import query_from, query_to, table_from, table_to
from gateway.rules import sharing, statistics
from gateway.rules.canonical import question, table
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.redelivery import rearranged
from gateway.rules.statistics import linear_regression
from tests import examples

AGE = Outcome("age", 0, 120)
FORM = Covariate("form", ("SEXUAL", "LABOUR"))
WANTED = LinearRegression(AGE, (FORM, Covariate("weight", numbers=Numbers(40, 99, 10))))
CODES = {"form": examples.FORMS, "year": ("2012", "2013")}


def asked(wanted: LinearRegression = WANTED, **changes: Any) -> Query:
    return examples.question(statistic=Statistic(linear_regression=wanted), **changes)


def contract(wanted: LinearRegression = WANTED, least: int | None = None) -> Contract:
    spaces = examples.spaces()
    for entity, space in spaces.items():
        programs = (*space.offer.programs, replace(space.offer.programs[0], name="linear_regression"))
        datasets = tuple(
            replace(
                item,
                columns=(
                    *(replace(own, least=0, most=110) if own.name == "age" else own for own in item.columns),
                    Column("weight", ColumnType.INTEGER),
                ),
                terms=replace(item.terms, exact_statistics=("linear_regression",)),
            )
            for item in space.offer.datasets
        )
        spaces[entity] = replace(space, offer=replace(space.offer, programs=programs, datasets=datasets))
    return examples.contract(asked(wanted, limits=Wished(minimum_cell=least)), spaces)


def opened(made: Contract, people: list[tuple[Any, ...]]) -> list[int]:
    """What the program puts out of one provider's people (form, weight, age), as its agent shares them."""
    form = Column("form", ColumnType.CODE, codes=tuple(Code(value, "") for value in examples.FORMS))
    name, weight, age = Column("name", ColumnType.TEXT), *(Column(n, ColumnType.INTEGER) for n in ("weight", "age"))
    uses = list(linear_regression.uses(asked()))
    rows = [
        (f"person {chr(97 + n // 676)}{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}", *p) for n, p in enumerate(people)
    ]
    linked = link_locally(
        [(0, rows)], [name], [form, weight], b"s" * 16,
        {used.column: used.edges for used in uses if used.edges},
        measured=[age], chosen={used.column: used.codes for used in uses if used.codes},
    )  # fmt: skip
    parameters = {**linear_regression.parameters(asked(), CODES), "minimum_cell": 0}
    found = program.clear(parameters, [InputRows(linked.keys, [], linked.codes, linked.values)])
    assert len(found) == linear_regression.outputs(made)
    return [number % sharing.P for number in found]


def some(count: int = 400) -> list[tuple[Any, ...]]:
    rng = random.Random(2)
    people: list[tuple[Any, ...]] = []
    for _ in range(count):
        form, weight = rng.choice(examples.FORMS), rng.choice([None, *range(30, 110)])
        age = int(min(max(rng.gauss(20 + 0.1 * (weight or 0) + 4 * (form == "LABOUR"), 6), 0), 110))
        people.append((form, weight, age if rng.random() < 0.9 else None))
    return people


def test_what_owners_share_and_the_program_puts_out_becomes_what_statsmodels_says() -> None:
    people = some()
    made = linear_regression.table(contract(least=0), opened(contract(least=0), people))
    taken = [p for p in people if None not in p and p[0] != "OTHER" and 40 <= p[1] <= 99]
    x = np.array([[1.0, form == "LABOUR", (weight - 40) // 10 * 10] for form, weight, _ in taken])
    expected = sm.OLS([age for *_, age in taken], x).fit()
    assert [row.codes for row in made.rows] == [("intercept", "intercept"), ("form", "LABOUR"), ("weight", "number")]
    for row, *values in zip(made.rows, expected.params, expected.bse, expected.tvalues, strict=True):
        assert row.values[:3] == pytest.approx(values, rel=1e-4)
    for row, p in zip(made.rows, expected.pvalues, strict=True):
        assert row.values[3] == pytest.approx(p, rel=1e-2)
    figures = {figure.name: figure.value for figure in made.overall}
    assert figures == {
        "people": len(taken),
        "residual_standard_error": pytest.approx(expected.scale**0.5, rel=1e-4),
        "r_squared": pytest.approx(expected.rsquared, abs=1e-4),
    }
    assert table_from(table_to(made)) == made


def test_what_is_not_told_has_no_numbers_and_is_shown_as_such() -> None:
    made = contract()
    hidden = linear_regression.table(made, [0] * linear_regression.outputs(made))
    assert all(row.suppressed for row in hidden.rows) and all(figure.value is None for figure in hidden.overall)
    assert table_from(table_to(hidden)) == hidden
    drawn = shown(hidden)
    said = " ".join(drawn.split())
    assert "<11*" in drawn and "fewer than 11 once one provider" in said and "R²" not in drawn


def test_a_line_for_each_term_with_its_interval() -> None:
    drawn = shown(linear_regression.table(contract(least=0), opened(contract(least=0), some())))
    lines = drawn.splitlines()
    (labour,) = (line for line in lines if line.startswith("Form: labour"))
    assert "●" in labour and "─" in labour and "│" in labour and "0.00066" in labour
    assert any(line.startswith("weight, by number") for line in lines)
    assert any(line.startswith("intercept") and "●" not in line for line in lines)
    assert "people; R² = 0." in drawn and all(len(line) <= 80 for line in lines)


def shown(made: Any) -> str:
    console = Console(file=StringIO(), width=80)
    labels = {"form": {"": "Form", "LABOUR": "labour"}}
    console.print(linear_regression_table(made, Limits(11, False, True), labels))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "change",
    [
        lambda out: [*out[:-1], 2],
        lambda out: [*out[:-1], 0],
        lambda out: [*out[:-2], 10**6, 1],
        lambda out: [1 << 20, *out[1:]],
        lambda out: [0, *out[1:]],
        lambda out: [*out[:8], 3, *out[9:]],
        lambda out: [*out[:3], 0, *out[4:8], 0, *out[9:]],
    ],
)
def test_what_no_people_can_come_to_is_not_believed(change: Any) -> None:
    made = contract(least=0)
    right = opened(made, some(150))
    linear_regression.table(made, right)
    with pytest.raises(IsthmusError) as caught:
        linear_regression.table(made, change(right))
    assert caught.value.reason is Reason.INCONSISTENT_SHARES


def test_the_program_takes_the_parameters_that_every_approver_makes_again() -> None:
    made = contract()
    check_parameters(made, CODES)
    assert '"values":[null,40,50,60,70,80,90,null]' in made.program.parameters
    program.outputs({**linear_regression.parameters(asked(), CODES), "minimum_cell": 11})
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(replace(made, query=asked(replace(WANTED, covariates=WANTED.covariates[:1]))), CODES)


def test_another_reference_is_another_question_and_one_question_is_answered_again() -> None:
    first, again = contract(), contract()
    assert question(first) == question(again) and table(first) == table(again)
    kept = list(range(linear_regression.outputs(first)))
    assert rearranged(kept, first.program.parameters, again.program.parameters) == kept
    turned = replace(WANTED, covariates=(replace(FORM, codes=("LABOUR", "SEXUAL")), WANTED.covariates[1]))
    others = [turned, replace(WANTED, covariates=(FORM,)), replace(WANTED, outcome=replace(AGE, most=110))]
    assert len({question(contract(each)) for each in (WANTED, *others)}) == 4
    assert len({table(contract(each)) for each in (WANTED, *others)}) == 4


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (replace(WANTED, covariates=()), "covariates"),
        (replace(WANTED, covariates=(FORM, FORM)), "covariates"),
        (replace(WANTED, covariates=(Covariate("age", numbers=Numbers(0, 9)),)), "covariates"),
        (replace(WANTED, covariates=(replace(FORM, codes=("LABOUR",)),)), "covariates[0].codes"),
        (replace(WANTED, covariates=(replace(FORM, numbers=Numbers(0, 9)),)), "covariates[0].codes"),
        (replace(WANTED, covariates=(Covariate("weight", numbers=Numbers(9, 9)),)), "covariates[0].numbers.most"),
        (replace(WANTED, covariates=(Covariate("weight", numbers=Numbers(0, 200)),)), "covariates[0].numbers.step"),
        (replace(WANTED, covariates=(Covariate("weight", numbers=Numbers(0, 9, 0)),)), "covariates[0].numbers.step"),
        (replace(WANTED, covariates=(Covariate("a b"),)), "covariates[0].column"),
        (replace(WANTED, outcome=replace(AGE, most="2012-01-01")), "outcome.most"),
        (replace(WANTED, outcome=replace(AGE, least="2012-13-01")), "outcome.least"),
        (replace(WANTED, outcome=replace(AGE, most=0)), "outcome.most"),
        (replace(WANTED, outcome=replace(AGE, most=1 << 18)), "outcome.most"),
    ],
)
def test_what_cannot_be_is_refused_by_name(wanted: LinearRegression, field: str) -> None:
    with pytest.raises(IsthmusError) as refused:
        read_query(to_plain(asked(wanted)))
    assert (refused.value.reason, refused.value.field) == (
        Reason.MALFORMED_QUERY,
        f"statistic.linear_regression.{field}",
    )


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(IsthmusError, match="'NONE' is not a code"):
        contract(replace(WANTED, covariates=(replace(FORM, codes=("LABOUR", "NONE")),)))
    with pytest.raises(IsthmusError, match="beyond the question's bounds"):
        contract(replace(WANTED, outcome=replace(AGE, most=100)))
    with pytest.raises(IsthmusError, match="weight has no code list"):
        contract(replace(WANTED, covariates=(Covariate("weight"),)))
    with pytest.raises(IsthmusError, match="33 terms"):
        linear_regression.parameters(
            asked(replace(WANTED, covariates=(Covariate("form"),))), {"form": [f"{i}" for i in range(33)]}
        )
    with pytest.raises(IsthmusError, match="epsilon is for counts"):
        linear_regression.check_limits(asked(), replace(contract().limits, epsilon="1"))


@pytest.mark.parametrize("wanted", [WANTED, LinearRegression(Outcome("seen", "2012-01-01", "2013-01-01"), (FORM,))])
def test_it_travels_both_ways(wanted: LinearRegression) -> None:
    assert query_from(query_to(asked(wanted))) == asked(wanted)
    assert read_query(to_plain(asked(wanted))) == asked(wanted)


def test_it_says_what_is_learned() -> None:
    said = statistics.of(asked()).said(asked(), str.upper)
    assert said.startswith("how AGE goes with FORM (SEXUAL, LABOUR), WEIGHT (40 to 99), by least squares")
