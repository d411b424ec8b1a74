"""Chi-square: from a query to a sentence, with one number in between; never told in part, and one question however it
is written."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import chi2_contingency

from connectors.engine.programs import chi_square as program
from connectors.engine.rows import InputRows
from connectors.rules.columns import ColumnRule, check_columns
from gateway.cli.render_tests import chi_square_said
from gateway.client.export import column_names, hidden
from gateway.domain.contract import Contract, Limits
from gateway.domain.dataset import Code, Column, ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import ChiSquare, CodedColumn, CountBy, Query, Statistic
from gateway.domain.query import Limits as Wished
from gateway.domain.result import Row, Table
from gateway.edges.grpc.convert import query_from, query_to, table_from, table_to
from gateway.rules import statistics
from gateway.rules.canonical import question, table
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.redelivery import answers, rearranged
from gateway.rules.statistics import Use, chi_square
from tests import examples
from tests.unit.test_redelivery_rule import kept_of

FORM, YEAR = CodedColumn("form"), CodedColumn("year")
TWO_FORMS = CodedColumn("form", ("SEXUAL", "LABOUR"))


def asked(rows: CodedColumn = FORM, columns: CodedColumn = YEAR, **changes: Any) -> Query:
    return examples.question(statistic=Statistic(chi_square=ChiSquare(rows, columns)), **changes)


def known(**terms: Any) -> Any:
    """Owners whose parties run the program."""
    spaces = examples.spaces()
    for entity, space in spaces.items():
        programs = (*space.offer.programs, replace(space.offer.programs[0], name="chi_square"))
        datasets = tuple(replace(item, terms=replace(item.terms, **terms)) for item in space.offer.datasets)
        spaces[entity] = replace(space, offer=replace(space.offer, programs=programs, datasets=datasets))
    return spaces


def contract(*columns: CodedColumn, **changes: Any) -> Contract:
    return examples.contract(asked(*columns, **changes), known())


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=30, max_size=64))
def test_what_the_program_puts_out_becomes_what_scipy_says(codes: list[tuple[int, int]]) -> None:
    made = examples.contract(asked(limits=Wished(minimum_cell=0)), known(exact_statistics=("chi_square",)))
    rows = InputRows(list(range(len(codes))), [], codes)
    parameters = {**chi_square.parameters(asked(), {"form": examples.FORMS, "year": ("2012", "2013")})}
    vector = program.clear({**parameters, "minimum_cell": 0}, [rows])
    assert len(vector) == chi_square.outputs(made)
    found = chi_square.table(made, vector)
    assert (found.columns, found.counted, found.measures) == ((), False, ("chi_square", "df", "p"))
    (row,) = found.rows
    counts = [[codes.count((form, year)) for year in range(2)] for form in range(3)]
    if not all(map(sum, counts)) or not all(map(sum, zip(*counts, strict=True))):
        assert row.suppressed
        return
    expected = chi2_contingency(counts, correction=False)
    assert row.values == (
        pytest.approx(expected.statistic, abs=2**-16 + 2**-22 * expected.statistic),
        2,
        pytest.approx(expected.pvalue, abs=1e-5),
    )


def test_what_is_not_told_has_no_p_and_is_no_zero() -> None:
    made = chi_square.table(contract(), [0, 0])
    (row,) = made.rows
    assert row.suppressed and hidden(made, row) == ["chi_square", "df", "p"] and column_names(made) == []
    told = chi_square.table(contract(), [0, 1])
    assert told.rows[0].values == (0.0, 2, 1.0)
    for each in (made, told):
        assert table_from(table_to(each)) == each


@pytest.mark.parametrize("opened", [[1, 0], [5, 2], [-1, 1], [int(contract().field) - 1, 1], [(192 << 16) + 2000, 1]])
def test_what_no_people_can_come_to_is_not_believed(opened: list[int]) -> None:
    """192 people in all, and two years: chi-square is at most as large."""
    with pytest.raises(IsthmusError) as caught:
        chi_square.table(contract(), opened)
    assert caught.value.reason is Reason.INCONSISTENT_SHARES
    chi_square.table(contract(), [192 << 16, 1])


def test_the_program_takes_the_parameters_that_every_approver_makes_again() -> None:
    made = contract(TWO_FORMS)
    check_parameters(made, {"form": examples.FORMS, "year": ("2012", "2013")})
    check_parameters(made, {})
    assert '"codes":["SEXUAL","LABOUR"],"name":"form"' in made.program.parameters
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(replace(made, query=asked()), {"form": examples.FORMS})
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(replace(made, query=asked(CodedColumn("form", ("SEXUAL", "OTHER")))), {"form": examples.FORMS})
    assert (chi_square.MAX_CELLS, chi_square.UNIT_BITS) == (program.MAX_CELLS, program.UNIT_BITS)


def test_one_question_has_one_form_however_it_is_written_and_other_codes_are_another_table() -> None:
    told = contract()
    every = CodedColumn("form", tuple(reversed(examples.FORMS)))
    assert question(contract(YEAR, FORM)) == question(contract(every)) == question(told)
    chosen = contract(TWO_FORMS)
    turned = contract(YEAR, CodedColumn("form", ("LABOUR", "SEXUAL")))
    assert (question(chosen), table(chosen)) == (question(turned), table(turned))
    counted = examples.contract(examples.question(statistic=Statistic(count_by=CountBy(("form", "year")))))
    others = [told, chosen, contract(CodedColumn("form", ("LABOUR", "OTHER"))), counted]
    assert len(set(map(question, others))) == len(set(map(table, others))) == len(others)


def test_a_repeat_with_rows_and_columns_exchanged_is_answered_from_kept_shares() -> None:
    there, here = contract(TWO_FORMS), contract(YEAR, CodedColumn("form", ("LABOUR", "SEXUAL")))
    assert there.program.parameters != here.program.parameters
    assert answers(kept_of(there, examples.HOME), here, examples.HOME)
    assert rearranged([7, 1], there.program.parameters, here.program.parameters) == [7, 1]
    other = contract(CodedColumn("form", ("LABOUR", "OTHER")))
    assert not answers(kept_of(there, examples.HOME), other, examples.HOME)
    with pytest.raises(ValueError, match="cell"):
        rearranged([7, 1], there.program.parameters, other.program.parameters)


@pytest.mark.parametrize(
    ("rows", "columns", "field"),
    [
        (CodedColumn("fo rm"), YEAR, "rows.column"),
        (FORM, CodedColumn(""), "columns.column"),
        (FORM, FORM, "columns.column"),
        (CodedColumn("form", ("LABOUR",)), YEAR, "rows.codes"),
        (CodedColumn("form", ()), YEAR, "rows.codes"),
        (FORM, CodedColumn("year", ("2012", "2012")), "columns.codes"),
    ],
)
def test_what_cannot_be_is_refused_by_name(rows: CodedColumn, columns: CodedColumn, field: str) -> None:
    with pytest.raises(IsthmusError) as refused:
        read_query(to_plain(asked(rows, columns)))
    assert (refused.value.reason, refused.value.field) == (Reason.MALFORMED_QUERY, f"statistic.chi_square.{field}")


def test_a_code_that_there_is_not_is_refused_and_the_nearest_one_named() -> None:
    with pytest.raises(IsthmusError) as refused:
        contract(CodedColumn("form", ("LABOUR", "SEXUEL")))
    assert (refused.value.reason, refused.value.field) == (Reason.UNKNOWN_CODE, "statistic.chi_square.rows.codes[1]")
    assert "SEXUAL" in refused.value.advice


def test_a_table_that_is_too_large_or_too_small_for_a_test_is_refused() -> None:
    with pytest.raises(IsthmusError, match="66 cells") as refused:
        chi_square.parameters(asked(), {"form": [str(i) for i in range(33)], "year": ("2012", "2013")})
    assert "Name the codes" in refused.value.advice
    with pytest.raises(IsthmusError, match="one code"):
        chi_square.parameters(asked(), {"form": examples.FORMS, "year": ("2012",)})


@pytest.mark.parametrize("wished", [Wished(epsilon="1"), Wished(dominance=80), Wished(rounding=5)])
def test_limits_that_are_for_counts_are_refused(wished: Wished) -> None:
    limits = Limits(11, False, True, wished.dominance, wished.rounding, wished.epsilon)
    with pytest.raises(IsthmusError) as refused:
        chi_square.check_limits(asked(), limits)
    assert refused.value.field in ("limits.epsilon", "limits.dominance", "limits.rounding")
    chi_square.check_limits(asked(), Limits(11, True, True))
    with pytest.raises(IsthmusError):
        contract(limits=replace(wished, epsilon=None) if wished.epsilon is None else Wished(rounding=10))


def test_both_columns_are_grouped_by_and_have_codes() -> None:
    assert [(used.column, used.use, used.codes) for used in chi_square.uses(asked(TWO_FORMS))] == [
        ("form", Use.GROUP, ("SEXUAL", "LABOUR")),
        ("year", Use.GROUP, ()),
    ]
    with pytest.raises(IsthmusError) as refused:
        check_columns(contract(), examples.dataset(examples.CARE), [ColumnRule("year", use=Use.FILTER)])
    assert refused.value.field == "statistic.chi_square.columns.column"
    with pytest.raises(IsthmusError, match="age has no code list"):
        contract(CodedColumn("age"))


def test_owners_must_code_alike_even_what_is_not_taken() -> None:
    spaces = known()
    (mine,) = spaces[examples.CARE].offer.datasets
    columns = tuple(
        Column("form", ColumnType.CODE, codes=(*column.codes, Code("NEW", "new"))) if column.name == "form" else column
        for column in mine.columns
    )
    changed = replace(spaces[examples.CARE].offer, datasets=(replace(mine, columns=columns),))
    spaces[examples.CARE] = replace(spaces[examples.CARE], offer=changed)
    with pytest.raises(IsthmusError, match="NEW"):
        examples.contract(asked(TWO_FORMS), spaces)


@pytest.mark.parametrize("query", [asked(), asked(TWO_FORMS), asked(YEAR, TWO_FORMS)])
def test_it_travels_both_ways(query: Query) -> None:
    assert query_from(query_to(query)) == query
    assert read_query(to_plain(query)) == query


def test_it_says_what_is_learned() -> None:
    said = statistics.of(asked()).said(asked(TWO_FORMS), str.upper)
    assert said.startswith("whether FORM (SEXUAL, LABOUR) goes together with YEAR") and "no counts" in said


def drawn(found: Table, limits: Limits = Limits(11, False, True)) -> str:
    console = Console(file=StringIO(), width=100)
    labels = {"form": {"": "Form"}, "year": {"": "Year"}}
    console.print(chi_square_said(found, limits, labels))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def made(*values: float | None) -> Table:
    return Table((), (Row((), None, values),), chi_square.MEASURES, counted=False)


def test_it_is_shown_as_a_sentence() -> None:
    assert "χ² of Form and Year: 3.84 with 1 degree of freedom, p = 0.05\n" in drawn(made(3.841459, 1, 0.05))
    assert "χ² of Form and Year: 1\N{NO-BREAK SPACE}234 with 6 degrees of freedom, p < 1e-300" in drawn(
        made(1234.2, 6, 0.0)
    )
    hidden = drawn(made(None, None, None))
    assert (
        "<11*" in hidden
        and "p =" not in hidden
        and "some code or interval of Form and Year has fewer than 11 people" in hidden
    )
