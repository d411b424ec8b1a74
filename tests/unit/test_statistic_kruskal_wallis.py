"""Kruskal and Wallis's H: from a query to a sentence, with one number in between."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import kruskal

from connectors.engine.programs import kruskal_wallis as program
from connectors.engine.rows import InputRows
from connectors.sources.linking import link_locally
from gateway.cli.render_tests import kruskal_wallis_said
from gateway.domain.contract import Contract, Limits
from gateway.domain.dataset import Code, Column, ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import CodedColumn, KruskalWallis, Query, Statistic
from gateway.domain.query import Limits as Wished
from gateway.edges.grpc.convert import query_from, query_to
from gateway.rules import statistics
from gateway.rules.canonical import question, table
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.redelivery import rearranged
from gateway.rules.statistics import kruskal_wallis
from tests import examples

WANTED = KruskalWallis(CodedColumn("form", ("SEXUAL", "LABOUR")), "age", (18, 25))
DAYS = KruskalWallis(CodedColumn("form"), "seen", ("2012-01-01",))


def asked(wanted: KruskalWallis = WANTED, **changes: Any) -> Query:
    return examples.question(statistic=Statistic(kruskal_wallis=wanted), **changes)


def contract(wanted: KruskalWallis = WANTED, least: int | None = None) -> Contract:
    spaces = examples.spaces()
    for entity, space in spaces.items():
        programs = (*space.offer.programs, replace(space.offer.programs[0], name="kruskal_wallis"))
        exact = tuple(
            replace(item, terms=replace(item.terms, exact_statistics=("kruskal_wallis",)))
            for item in space.offer.datasets
        )
        spaces[entity] = replace(space, offer=replace(space.offer, programs=programs, datasets=exact))
    return examples.contract(asked(wanted, limits=Wished(minimum_cell=least)), spaces)


PEOPLE = st.lists(st.tuples(st.sampled_from(examples.FORMS), st.none() | st.integers(10, 40)), min_size=20, max_size=60)


@given(PEOPLE)
def test_what_owners_sort_and_the_program_puts_out_becomes_what_scipy_says(
    people: list[tuple[str, int | None]],
) -> None:
    made = contract(least=0)
    form = Column("form", ColumnType.CODE, codes=tuple(Code(value, "") for value in examples.FORMS))
    name, age = Column("name", ColumnType.TEXT), Column("age", ColumnType.INTEGER)
    uses = list(kruskal_wallis.uses(asked()))
    rows = [(f"person {chr(97 + n // 26)}{chr(97 + n % 26)}", *person) for n, person in enumerate(people)]
    linked = link_locally(
        [(0, rows)], [name], [form, age], b"s" * 16,
        {used.column: used.edges for used in uses if used.edges},
        chosen={used.column: used.codes for used in uses if used.codes},
    )  # fmt: skip
    parameters = {**kruskal_wallis.parameters(asked(), {"form": examples.FORMS}), "minimum_cell": 0}
    vector = program.clear(parameters, [InputRows(linked.keys, [], linked.codes)])
    (row,) = kruskal_wallis.table(made, vector).rows
    groups = [
        [(own >= 18) + (own >= 25) for form, own in people if form == group and own is not None]
        for group in ("SEXUAL", "LABOUR")
    ]
    if not all(groups) or {0, 1, 2} - {place for group in groups for place in group}:
        assert row.suppressed
        return
    expected = kruskal(*groups)
    assert row.values[:2] == (pytest.approx(expected.statistic, abs=2**-16 + 1e-4 * expected.statistic), 1)
    # Near zero, p falls like the root of H.
    assert row.values[2] == pytest.approx(expected.pvalue, abs=5e-3)


def test_the_program_takes_the_parameters_that_every_approver_makes_again() -> None:
    made = contract()
    check_parameters(made, {"form": examples.FORMS, "year": ("2012", "2013")})
    check_parameters(made, {})
    assert '"codes":["under 18","18 to 24","25 and over"],"name":"age"' in made.program.parameters
    with pytest.raises(IsthmusError, match="do not follow"):
        check_parameters(replace(made, query=asked(replace(WANTED, edges=(18, 26)))), {})
    assert '"before 2012-01-01","from 2012-01-01"' in contract(DAYS).program.parameters


def test_one_question_with_its_groups_in_any_order_and_another_with_other_edges() -> None:
    first, again = contract(), contract(replace(WANTED, groups=CodedColumn("form", ("LABOUR", "SEXUAL"))))
    assert question(first) == question(again) and table(first) == table(again)
    assert rearranged([7, 1], first.program.parameters, again.program.parameters) == [7, 1]
    others = [contract(replace(WANTED, edges=(18,))), contract(replace(WANTED, groups=CodedColumn("form")))]
    assert len({table(each) for each in (first, *others)}) == 3


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (replace(WANTED, column="a ge"), "column"),
        (replace(WANTED, column="form"), "column"),
        (replace(WANTED, groups=CodedColumn("form", ("LABOUR",))), "groups.codes"),
        (replace(WANTED, groups=CodedColumn("")), "groups.column"),
        (replace(WANTED, edges=()), "edges"),
        (replace(WANTED, edges=(25, 18)), "edges"),
        (replace(WANTED, edges=(18, "2012-01-01")), "edges"),
        (replace(WANTED, edges=tuple(range(32))), "edges"),
    ],
)
def test_what_cannot_be_is_refused_by_name(wanted: KruskalWallis, field: str) -> None:
    with pytest.raises(IsthmusError) as refused:
        read_query(to_plain(asked(wanted)))
    assert (refused.value.reason, refused.value.field) == (Reason.MALFORMED_QUERY, f"statistic.kruskal_wallis.{field}")


def test_a_column_without_order_and_one_that_identifies_are_refused() -> None:
    with pytest.raises(IsthmusError, match="year has no"):
        contract(replace(WANTED, column="year"))
    with pytest.raises(IsthmusError, match="who somebody is"):
        contract(replace(DAYS, column="born"))
    with pytest.raises(IsthmusError, match="66 cells"):
        kruskal_wallis.parameters(asked(replace(DAYS)), {"form": [str(i) for i in range(33)]})


@pytest.mark.parametrize("opened", [[1, 0], [-1, 1], [5, 2], [192 << 16, 1]])
def test_what_no_people_can_come_to_is_not_believed(opened: list[int]) -> None:
    with pytest.raises(IsthmusError) as caught:
        kruskal_wallis.table(contract(), opened)
    assert caught.value.reason is Reason.INCONSISTENT_SHARES
    kruskal_wallis.table(contract(), [191 << 16, 1])


@pytest.mark.parametrize("wanted", [WANTED, DAYS])
def test_it_travels_both_ways(wanted: KruskalWallis) -> None:
    assert query_from(query_to(asked(wanted))) == asked(wanted)
    assert read_query(to_plain(asked(wanted))) == asked(wanted)


def test_it_says_what_is_learned_and_is_shown_as_a_sentence() -> None:
    said = statistics.of(asked()).said(asked(), str.upper)
    assert said.startswith("whether FORM (SEXUAL, LABOUR) differ in AGE, by 3 intervals") and "no counts" in said
    console = Console(file=StringIO(), width=100)
    labels = {"form": {"": "Form"}, "age": {"": "Age"}}
    console.print(kruskal_wallis_said(kruskal_wallis.table(contract(), [4 << 16, 1]), Limits(11, False, True), labels))
    assert "H of Form and Age: 4 with 1 degree of freedom, p = 0.046" in console.file.getvalue()  # type: ignore[attr-defined]
