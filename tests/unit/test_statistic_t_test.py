"""Welch's t: from a query to a sentence, with ratios and 1/df in between."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import ttest_ind

from connectors.engine import welch
from connectors.engine.programs import t_test as program
from connectors.engine.ratios import RATIO_BITS
from connectors.engine.rows import InputRows
from connectors.sources.linking import link_locally
from gateway.cli.render_tests import t_test_said
from gateway.domain.contract import Contract, Limits
from gateway.domain.dataset import Code, Column, ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Grid, Groups, Query, Statistic, TTest
from gateway.domain.query import Limits as Wished
from gateway.edges.grpc.convert import query_from, query_to
from gateway.rules import statistics
from gateway.rules.canonical import question, table
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.redelivery import rearranged
from gateway.rules.statistics import t_test
from tests import examples

WANTED = TTest(Groups("form", ("SEXUAL", "LABOUR")), Grid("age", 0, 119))
TURNED = replace(WANTED, groups=Groups("form", ("LABOUR", "SEXUAL")))
DAYS = TTest(Groups("form", ("SEXUAL", "LABOUR")), Grid("seen", "2012-01-01", "2014-12-31", 30))


def asked(wanted: TTest = WANTED, **changes: Any) -> Query:
    return examples.question(statistic=Statistic(t_test=wanted), **changes)


def contract(wanted: TTest = WANTED, least: int | None = None, **limits: Any) -> Contract:
    spaces = examples.measured("t_test", {"age": (0, 119), "seen": ("2012-01-01", "2014-12-31")})
    return examples.contract(asked(wanted, limits=Wished(minimum_cell=least, **limits)), spaces)


PEOPLE = st.lists(st.tuples(st.sampled_from(examples.FORMS), st.none() | st.integers(0, 119)), min_size=20, max_size=60)


@given(PEOPLE, st.sampled_from([WANTED, TURNED]))
def test_what_owners_sort_and_the_program_puts_out_becomes_what_scipy_says(
    people: list[tuple[str, int | None]], wanted: TTest
) -> None:
    form = Column("form", ColumnType.CODE, codes=tuple(Code(value, "") for value in examples.FORMS))
    name, age = Column("name", ColumnType.TEXT), Column("age", ColumnType.INTEGER)
    uses = list(t_test.uses(asked(wanted)))
    rows = [(f"person {chr(97 + n // 26)}{chr(97 + n % 26)}", *person) for n, person in enumerate(people)]
    linked = link_locally(
        [(0, rows)], [name], [form, age], b"s" * 16,
        {used.column: used.edges for used in uses if used.edges},
        chosen={used.column: used.codes for used in uses if used.codes},
    )  # fmt: skip
    parameters = {**t_test.parameters(asked(wanted), {"form": examples.FORMS}), "minimum_cell": 0}
    vector = program.clear(parameters, [InputRows(linked.keys, [], linked.codes)])
    (row,) = t_test.table(contract(wanted, least=0), vector).rows
    groups = [[age for form, age in people if form == group and age is not None] for group in wanted.groups.codes]
    if min(map(len, groups)) < 2 or min(len(set(group)) for group in groups) < 2:
        assert row.suppressed
        return
    expected = ttest_ind(*groups, equal_var=False)
    assert row.values[0] == pytest.approx(expected.statistic, rel=2**-7, abs=1e-4)
    assert row.values[1] == pytest.approx(expected.df, rel=0.01)
    assert row.values[2] == pytest.approx(expected.pvalue, rel=0.1, abs=1e-4)


def test_the_program_takes_the_parameters_that_every_approver_makes_again() -> None:
    made = contract()
    check_parameters(made, {"form": examples.FORMS, "year": ("2012", "2013")})
    check_parameters(made, {})
    assert '"grid":{"intervals":120,"name":"age"}' in made.program.parameters
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(replace(made, query=asked(replace(WANTED, of=Grid("age", 0, 119, 2)))), {})
    assert (t_test.MAX_LEVELS, t_test.RATIO_BITS, t_test.UPPER_BITS, t_test.DF_BITS) == (
        welch.MAX_LEVELS,
        RATIO_BITS,
        welch.UPPER_BITS,
        welch.DF_BITS,
    )
    assert t_test.outputs(made) == welch.OUTPUTS


def test_groups_in_the_other_order_are_one_question_whose_answer_has_the_other_sign() -> None:
    first, again = contract(), contract(TURNED)
    assert question(first) == question(again) and table(first) == table(again)
    opened = [1 << RATIO_BITS - 1, 1 << RATIO_BITS - 1, 1, 64, 1]
    assert rearranged(opened, first.program.parameters, again.program.parameters) == opened
    ((one,), (other,)) = (t_test.table(made, opened).rows for made in (first, again))
    assert one.values[0] == -other.values[0] == pytest.approx(1, rel=2**-7) and one.values[1:] == other.values[1:]
    others = [replace(WANTED, of=Grid("age", 0, 119, 2)), replace(WANTED, groups=Groups("form", ("SEXUAL", "OTHER")))]
    assert len({table(contract(each)) for each in (WANTED, *others)}) == 3


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (replace(WANTED, groups=Groups("form", ("LABOUR",))), "groups.codes"),
        (replace(WANTED, groups=Groups("form", ("LABOUR", "LABOUR"))), "groups.codes"),
        (replace(WANTED, groups=Groups("form", examples.FORMS)), "groups.codes"),
        (replace(WANTED, groups=Groups("", ("LABOUR", "OTHER"))), "groups.column"),
        (replace(WANTED, of=Grid("form", 0, 119)), "of.column"),
        (replace(WANTED, of=Grid("age", 0, 128)), "of.step"),
        (replace(WANTED, of=Grid("age", 5, 5)), "of.most"),
    ],
)
def test_what_cannot_be_is_refused_by_name(wanted: TTest, field: str) -> None:
    with pytest.raises(IsthmusError) as refused:
        read_query(to_plain(asked(wanted)))
    assert (refused.value.reason, refused.value.field) == (Reason.MALFORMED_QUERY, f"statistic.t_test.{field}")


def test_a_code_that_there_is_not_and_limits_for_counts_are_refused() -> None:
    with pytest.raises(IsthmusError, match="not a code of form"):
        contract(replace(WANTED, groups=Groups("form", ("SEXUAL", "NONE"))))
    with pytest.raises(IsthmusError, match="dominance is for counts, and t_test opens none"):
        contract(dominance=80)


HALF = 1 << RATIO_BITS - 1


@pytest.mark.parametrize(
    "opened",
    [
        [HALF, HALF, 0, 64, 0],
        [HALF, HALF + 1000, 0, 64, 1],
        [HALF, 2 * HALF, 0, 64, 1],
        [HALF, HALF // 2, 0, 64, 1],
        [-1, 2 * HALF, 0, 64, 1],
        [HALF, HALF, 2, 64, 1],
        [HALF, HALF, 0, 5000, 1],
        [HALF, HALF, 0, 64, 2],
        [0, 0, 1, 0, 0],
    ],
)
def test_what_no_people_can_come_to_is_not_believed(opened: list[int]) -> None:
    with pytest.raises(IsthmusError) as caught:
        t_test.table(contract(), opened)
    assert caught.value.reason is Reason.INCONSISTENT_SHARES
    t_test.table(contract(), [HALF, HALF, 0, 64, 1])


def test_of_many_people_it_is_not_said_how_many() -> None:
    (row,) = t_test.table(contract(), [HALF, HALF, 0, 0, 1]).rows
    assert row.values[1] == 8192 and row.values[2] == pytest.approx(0.3173, abs=3e-3)


@pytest.mark.parametrize("wanted", [WANTED, DAYS])
def test_it_travels_both_ways(wanted: TTest) -> None:
    assert query_from(query_to(asked(wanted))) == asked(wanted)
    assert read_query(to_plain(asked(wanted))) == asked(wanted)


def drawn(opened: list[int]) -> str:
    console = Console(file=StringIO(), width=100)
    labels = {"form": {"": "Form"}, "age": {"": "Age"}}
    console.print(t_test_said(t_test.table(contract(TURNED), opened), Limits(11, False, True), labels))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_it_says_what_is_learned_and_is_shown_as_a_sentence() -> None:
    said = statistics.of(asked()).said(asked(), str.upper)
    assert said.startswith("whether SEXUAL and LABOUR (FORM) differ in the mean of AGE") and "no means" in said
    assert "t of Form and Age: -0.996 with 64 degrees of freedom, p = 0.32" in drawn([HALF, HALF, 1, 64, 1])
    hidden = drawn([0] * 5)
    assert "<11*" in hidden and "one of the groups has fewer than 11 people" in hidden and "p =" not in hidden
