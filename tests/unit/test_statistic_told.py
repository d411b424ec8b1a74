"""Columns that some sources tell: cross-tabs, corridors and funnels, from the query to what an owner reads."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from scipy.stats import binomtest

from connectors.holdings import Holding, read_rows
from connectors.rules.columns import ColumnRule, check_columns
from connectors.rules.trials import Tried, try_question
from connectors.sources.linking import UNKNOWN, link_locally
from connectors.sources.tables import DatasetSource, SourceConfig
from gateway.cli.render_flows import corridor_table, funnel_table
from gateway.domain.contract import Contract
from gateway.domain.dataset import Code, Column, ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Corridors, CrossTab, Funnel, Query, Source, Statistic, ToldColumn
from gateway.domain.result import Table
from gateway.edges.grpc.convert import query_from, query_to
from gateway.rules import sharing, statistics
from gateway.rules.canonical import question, table
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.redelivery import rearranged
from gateway.rules.statistics.funnel import interval
from tests import examples
from tests.examples import CARE, HOME, POLICE

FORM, YEAR = ToldColumn("form", (0, 2)), ToldColumn("year", (1,))


def cross_tab(*columns: ToldColumn, **changes: Any) -> Query:
    """Home and care tell the form, the police the year."""
    return examples.question(statistic=Statistic(cross_tab=CrossTab(columns or (FORM, YEAR))), **changes)


def corridors(origin: ToldColumn = FORM, destination: ToldColumn = YEAR, **more: Any) -> Query:
    return examples.question(statistic=Statistic(corridors=Corridors(origin, destination, **more)))


def funnel(stages: tuple[tuple[int, ...], ...] | None = None, *by: ToldColumn, **changes: Any) -> Query:
    return examples.question(statistic=Statistic(funnel=Funnel(stages, by)), **changes)


ASKED = [
    cross_tab(),
    cross_tab(ToldColumn("form")),
    corridors(),
    corridors(ToldColumn("form"), ToldColumn("year")),
    funnel(),
    funnel(((2, 0), (1,))),
    funnel(((0,), (1,)), ToldColumn("form", (2,)), ToldColumn("year")),
]


@pytest.mark.parametrize("asked", ASKED)
def test_it_is_the_same_over_the_wire_and_from_a_file(asked: Query) -> None:
    assert query_from(query_to(asked)) == asked
    assert read_query(to_plain(asked)) == asked


@pytest.mark.parametrize("asked", ASKED)
def test_approvers_make_the_parameters_again(asked: Query) -> None:
    draft = examples.contract(asked)
    assert draft.program.name == "crosstab"
    check_parameters(draft, {})
    check_parameters(draft, {"form": examples.FORMS} if "form" in draft.program.parameters else {})
    for old, new in (('"LABOUR"', '"OTHERS"'), ('"stages":[[', '"stages":[[7,')):
        if old in draft.program.parameters:
            other = replace(draft.program, parameters=draft.program.parameters.replace(old, new))
            with pytest.raises(IsthmusError, match="do not follow"):
                check_parameters(replace(draft, program=other), {"form": examples.FORMS})


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (cross_tab(ToldColumn("form", (0,)), ToldColumn("form", (1,)), YEAR), "cross_tab.columns"),
        (cross_tab(*(ToldColumn(name) for name in "abcdefg")), "cross_tab.columns"),
        (cross_tab(ToldColumn("form", ())), "cross_tab.columns[0].sources"),
        (cross_tab(ToldColumn("form"), ToldColumn("year", (3,))), "cross_tab.columns[1].sources"),
        (cross_tab(ToldColumn("form"), ToldColumn("year", (-1,))), "cross_tab.columns[1].sources"),
        (cross_tab(ToldColumn("form", (1, 1))), "cross_tab.columns[0].sources"),
        (cross_tab(ToldColumn("form", (0, 1))), "sources[2]"),
        (corridors(FORM, ToldColumn("form", (1,))), "corridors"),
        (corridors(FORM, YEAR, transit=ToldColumn("age", (4,))), "corridors.transit.sources"),
        (funnel(((0, 1, 2),)), "funnel.stages"),
        (funnel(((0, 1), (1, 2))), "funnel.stages"),
        (funnel(((0, 1), ())), "funnel.stages[1]"),
        (funnel(((0, 1), (3,))), "funnel.stages[1]"),
        (funnel(((0,), (1,))), "sources[2]"),
        (funnel(None, ToldColumn("stage")), "funnel.by"),
        (funnel(None, ToldColumn("form"), ToldColumn("form")), "funnel.by"),
        (funnel(sources=examples.question().sources[:1]), "funnel.stages"),
    ],
)
def test_what_does_not_hold_together_is_refused_by_name(asked: Query, field: str) -> None:
    with pytest.raises(IsthmusError) as refused:
        read_query(to_plain(asked))
    assert (refused.value.reason, refused.value.advice) == (Reason.MALFORMED_QUERY, "docs/queries has examples")
    assert refused.value.field == (field if field.startswith("sources") else f"statistic.{field}")


def test_too_many_cells_are_refused_stages_included() -> None:
    known = examples.spaces()
    many = tuple(Code(str(n), str(n)) for n in range(1366))

    def longer(entity: str) -> Any:
        (old,) = known[entity].offer.datasets
        made = replace(old, columns=(*old.columns, Column("many", ColumnType.CODE, codes=many)))
        return replace(known[entity], offer=replace(known[entity].offer, datasets=(made,)))

    long = {**known, **{entity: longer(entity) for entity in (HOME, POLICE, CARE)}}
    examples.contract(cross_tab(ToldColumn("many"), ToldColumn("year")), long)
    with pytest.raises(IsthmusError, match="4098 cells") as refused:
        examples.contract(funnel(None, ToldColumn("many")), long)
    assert refused.value.field == "statistic.funnel.by"


def without(column: str, *entities: str) -> dict[str, Any]:
    """The federation, in which some have no such column."""
    known = examples.spaces()
    for entity in entities:
        (old,) = known[entity].offer.datasets
        made = replace(old, columns=tuple(item for item in old.columns if item.name != column))
        known[entity] = replace(known[entity], offer=replace(known[entity].offer, datasets=(made,)))
    return known


def test_only_who_tells_a_column_has_to_have_it() -> None:
    draft = examples.contract(cross_tab(), without("form", POLICE))
    check_parameters(draft, {"year": ("2012", "2013")})
    for asked, known in ((cross_tab(), without("form", CARE)), (cross_tab(ToldColumn("form")), without("form", HOME))):
        with pytest.raises(IsthmusError) as refused:
            examples.contract(asked, known)
        assert refused.value.reason is Reason.UNKNOWN_COLUMN
        assert refused.value.field == "statistic.cross_tab.columns[0].column"
        assert ("columns[0].sources" in refused.value.advice) is (asked == cross_tab(ToldColumn("form")))


def test_a_column_is_asked_for_at_the_owners_that_tell_it_alone() -> None:
    draft, closed = examples.contract(cross_tab()), [ColumnRule("form", spaces=("https://nobody.example",))]
    check_columns(draft, examples.dataset(POLICE), closed)
    for owner in (HOME, CARE):
        with pytest.raises(IsthmusError) as refused:
            check_columns(draft, examples.dataset(owner), closed)
        assert refused.value.field == "statistic.cross_tab.columns[0].column"
    staged = examples.contract(funnel(((0, 1), (2,)), ToldColumn("form", (0,))))
    check_columns(staged, examples.dataset(CARE), closed)
    with pytest.raises(IsthmusError):
        check_columns(staged, examples.dataset(HOME), closed)


def test_a_policy_is_tried_on_a_question_of_which_others_tell_what_the_dataset_has_not() -> None:
    (dataset,) = without("form", POLICE)[POLICE].offer.datasets
    tried = Tried(dataset, ("*",), (), examples.PROGRAMS)
    try_question(cross_tab(), tried, examples.operator(HOME), examples.NOW)
    with pytest.raises(IsthmusError, match="no column form"):
        try_question(cross_tab(ToldColumn("form"), YEAR), tried, examples.operator(HOME), examples.NOW)


def turned(asked: Query, order: tuple[int, ...], statistic: Statistic) -> Query:
    return replace(asked, sources=tuple(asked.sources[index] for index in order), statistic=statistic)


def test_one_question_has_one_form_in_whatever_order_sources_and_columns_stand() -> None:
    told = question(examples.contract(cross_tab()))
    other_way = Statistic(cross_tab=CrossTab((ToldColumn("year", (0,)), ToldColumn("form", (1, 2)))))
    assert question(examples.contract(turned(cross_tab(), (1, 2, 0), other_way))) == told
    everybody = cross_tab(ToldColumn("form"), ToldColumn("year", (2, 1, 0)))
    assert question(examples.contract(everybody)) == question(
        examples.contract(cross_tab(ToldColumn("form", (0, 1, 2)), ToldColumn("year")))
    )
    # A corridor is a cross-tab; a funnel keeps the order of its stages.
    assert question(examples.contract(corridors())) == told
    assert table(examples.contract(corridors())) == table(examples.contract(cross_tab()))
    staged = examples.contract(funnel(((0, 1), (2,)), FORM))
    same = Statistic(funnel=Funnel(((1, 2), (0,)), (ToldColumn("form", (0, 1)),)))
    assert question(examples.contract(turned(funnel(), (2, 0, 1), same))) == question(staged)
    different = [
        cross_tab(FORM, ToldColumn("year", (1, 2))),
        cross_tab(ToldColumn("form", (0,)), ToldColumn("year", (1, 2))),
        cross_tab(ToldColumn("form"), ToldColumn("year")),
        examples.question(),
        funnel(((2,), (0, 1)), FORM),
        funnel(((0,), (1, 2)), FORM),
        funnel(((0, 1), (2,))),
        funnel(((0, 1), (2,)), ToldColumn("form", (0,))),
    ]
    digests = [question(examples.contract(asked)) for asked in different]
    assert len({told, question(staged), *digests}) == len(different) + 2


def test_a_repeat_in_another_order_gets_each_cell_in_its_own_place_stages_included() -> None:
    here = examples.contract(funnel(((0, 1), (2,)), FORM, ToldColumn("year")))
    there = examples.contract(funnel(((1, 0), (2,)), ToldColumn("year"), FORM))
    assert question(here) == question(there)
    vector = list(range(2 * 12))
    moved = rearranged(vector, there.program.parameters, here.program.parameters)
    codes = [(form, year, stage) for form in range(3) for year in range(2) for stage in range(2)]
    assert moved[:12] == [year * 6 + form * 2 + stage for form, year, stage in codes]
    assert moved[12:] == [place + 12 for place in moved[:12]]


KEY, A, B = (
    Column("name", ColumnType.TEXT),
    Column("a", ColumnType.CODE, codes=(Code("x", ""), Code("y", ""))),
    Column("b", ColumnType.CODE, codes=(Code("1", ""), Code("2", ""), Code("3", ""))),
)


def test_of_lists_of_one_owner_the_first_that_tells_a_column_says_it() -> None:
    lists = [
        (3, [("ann", "2"), ("bob", "3")]),
        (0, [("ann", "y"), ("cat", "x")]),
        (1, [("ann", "x", "1"), ("cat", "x", "1"), ("dan", "y", "2")]),
        (2, [("eve",), ("ann",)]),
    ]
    linked = link_locally(lists, [KEY], [A, B], b"s" * 16, told={3: [1], 0: [0], 1: [0, 1], 2: []})
    assert sorted(zip(linked.lists, linked.codes, strict=True)) == [
        (0b0010, (1, 1)),  # dan
        (0b0011, (0, 0)),  # cat
        (0b0100, (UNKNOWN, UNKNOWN)),  # eve
        (0b1000, (UNKNOWN, 2)),  # bob
        (0b1111, (1, 1)),  # ann: list 1 says otherwise, twice
    ]
    assert linked.conflicts == 1


def test_an_owner_reads_what_its_sources_tell_and_nothing_of_other_columns(tmp_path: Path) -> None:
    """Home has two lists: the first tells the form, and has no year; the second tells nothing of either."""
    first, second = examples.dataset(HOME, "first"), examples.dataset(HOME, "second")
    files = {
        "first": ("name,born,form\n", ["ann,1990-01-02,SEXUAL", "bob,1990-01-02,OTHER"]),
        "second": ("name,born\n", ["bob,1990-01-02", "cat,1990-01-02"]),
    }
    holdings = {}
    for id, dataset in (("first", first), ("second", second)):
        head, rows = files[id]
        (tmp_path / f"{id}.csv").write_text(head + "\n".join(rows) + "\n")
        columns = tuple(column for column in dataset.columns if column.name in head.strip().split(","))
        source = DatasetSource(SourceConfig(tmp_path, f"{id}.csv", columns, dataset.key_columns))
        pinned = source.check(bytes(32)).pinned
        assert pinned is not None
        held = replace(dataset, columns=columns, edition=replace(dataset.edition, snapshot=pinned))
        holdings[held.name] = Holding(held, source, ("*",), bytes(32))
    known = examples.spaces()
    known[HOME] = examples.space(HOME, *(holding.dataset for holding in holdings.values()))
    sources = (Source(second.name), Source(examples.dataset(POLICE).name), Source(first.name))
    by = (ToldColumn("form", (2,)), ToldColumn("year", (1,)))
    staged = replace(funnel(((0,), (2,)), *by), sources=sources)
    read = read_rows(examples.contract(staged, known), HOME, holdings)
    assert sorted(zip(read.lists, read.codes, strict=True)) == [
        (0b001, (UNKNOWN, UNKNOWN)),
        (0b100, (1, UNKNOWN)),
        (0b101, (2, UNKNOWN)),
    ]


def opened(asked: Query, counts: list[int | None], **changes: Any) -> tuple[Contract, Table]:
    contract = examples.contract(asked)
    contract = replace(contract, limits=replace(contract.limits, **changes))
    vector = [0 if count is None else count for count in counts] + [int(count is not None) for count in counts]
    assert statistics.of(asked).outputs(contract) == len(vector)
    return contract, statistics.of(asked).table(contract, [value % sharing.P for value in vector])


def drawn(picture: Any) -> str:
    console = Console(width=100, record=True, file=StringIO())
    console.print(picture)
    return console.export_text().replace("\N{NO-BREAK SPACE}", " ")


def test_a_funnel_says_who_came_so_far_and_which_part_of_the_stage_before_from_shown_cells_alone() -> None:
    asked = funnel(None, ToldColumn("form"))
    contract, made = opened(asked, [100, 40, 20, 30, None, 15, 0, 0, 0])
    assert made.columns == ("form", "stage")
    assert [row.codes[1] for row in made.rows[:3]] == ["home.example/list", "police.example/list", "care.example/list"]
    whole = [row.values for row in made.rows[:3]]
    assert [values[0] for values in whole] == [160, 60, 20]
    assert whole[0][1:] == (None, None, None)
    assert (whole[1][1], whole[2][1]) == (60 / 160, 20 / 60)
    for values, (part, all_) in zip(whole[1:], ((60, 160), (20, 60)), strict=True):
        exact = binomtest(part, all_).proportion_ci(method="wilson")
        assert values[2:] == pytest.approx((exact.low, exact.high), abs=1e-6)
    # Of the second group a stage is hidden, and with it what it is a part of: not the last one.
    assert [row.values for row in made.rows[3:6]] == [(None,) * 4, (None,) * 4, (15, None, None, None)]
    assert [row.values for row in made.rows[6:]] == [(0, None, None, None)] * 3
    text = drawn(funnel_table(made, contract.limits, {"form": {"": "Form", "LABOUR": "Forced labour"}}))
    assert "Forced labour" in text and "37.5 %" in text and "30.4 – 45.2 %" in text
    assert "<11*" in text and "OTHER" not in text


@pytest.mark.parametrize(("part", "whole"), [(0, 11), (11, 11), (1, 12), (40, 80), (999, 1_000_000)])
def test_the_interval_is_wilsons(part: int, whole: int) -> None:
    exact = binomtest(part, whole).proportion_ci(method="wilson")
    assert interval(part, whole) == pytest.approx((exact.low, exact.high), abs=1e-6)


def test_noise_leaves_the_part_and_takes_its_interval() -> None:
    noise: dict[str, Any] = {"epsilon": "1", "provider_subtraction": False, "minimum_cell": 0}
    _, made = opened(funnel(((0, 1), (2,))), [50, 25], **noise)
    assert made.rows[1].values == (25, 25 / 75, None, None)
    _, made = opened(funnel(((0, 1), (2,))), [-3, 1], **noise)
    assert made.rows[1].values == (1, None, None, None)


def test_corridors_are_drawn_largest_first_and_hidden_ones_as_a_number() -> None:
    contract, made = opened(corridors(), [20, None, 0, 150, None, 11])
    assert made.columns == ("form", "year")
    text = drawn(corridor_table(made, contract.limits, {"form": {"": "From", "SEXUAL": "Far away"}}))
    lines = [line.rstrip() for line in text.splitlines() if "█" in line]
    assert lines[0].startswith("Far away → 2013") and " 150 " in lines[0]
    assert lines[1].startswith("LABOUR → 2012") and lines[2].startswith("OTHER → 2013")
    assert [line.count("█") for line in lines] == [20, 3, 1]
    assert "181 people in 3 corridors; 2 more are hidden. In all others there is nobody." in text
    contract, made = opened(corridors(), [0] * 6)
    assert "0 people in 0 corridors." in drawn(corridor_table(made, contract.limits))


def test_it_is_said_in_plain_words_who_tells_what() -> None:
    def said(asked: Query) -> str:
        return statistics.of(asked).said(asked, lambda name: name.upper())

    assert said(cross_tab()).endswith(
        "by FORM (told by home.example/list or care.example/list) and YEAR (told by police.example/list)"
    )
    assert said(corridors(ToldColumn("form"), ToldColumn("year"))).endswith("by their way from FORM to YEAR")
    assert "home.example/list or police.example/list, then care.example/list" in said(funnel(((0, 1), (2,))))
