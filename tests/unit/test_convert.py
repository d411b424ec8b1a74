"""Nothing is lost or invented between messages and nouns."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.client.v1 import query_pb2 as qpb
from gateway.domain import query
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.plan import Decision, Verdict
from gateway.domain.result import Row, Table
from gateway.edges.grpc import convert
from gateway.edges.grpc.serve import parse
from gateway.rules import noise, planning
from gateway.rules.queries import MAX_INTEGER, read_query
from gateway.rules.records import from_bytes, to_bytes, to_plain
from tests import examples

TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=40)
NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
VALUE = st.one_of(st.text(max_size=20), st.integers(-MAX_INTEGER, MAX_INTEGER))
FILTER = st.one_of(
    st.builds(query.Filter, NAME, equals=VALUE),
    st.builds(query.Filter, NAME, one_of=st.lists(VALUE, min_size=1, max_size=4).map(tuple)),
    st.builds(query.Filter, NAME, between=st.builds(query.Between, VALUE, VALUE)),
)
SOURCES = st.lists(
    st.from_regex(r"spaces/[a-z]{1,8}\.example/datasets/[a-z0-9]{1,8}", fullmatch=True),
    min_size=2, max_size=3, unique=True,
).flatmap(
    lambda names: st.tuples(
        *(st.builds(query.Source, st.just(name), st.lists(FILTER, max_size=2).map(tuple)) for name in names)
    )
)  # fmt: skip
COLUMNS = st.lists(NAME, min_size=1, max_size=6, unique=True).map(tuple)
QUERY = st.builds(
    query.Query,
    TEXT, TEXT, TEXT, SOURCES, COLUMNS,
    st.one_of(
        st.builds(query.Statistic, count_by=st.builds(query.CountBy, COLUMNS)),
        st.just(query.Statistic(overlap=query.Overlap())),
    ),
    st.builds(
        query.Limits, st.none() | st.integers(0, 100_000), st.booleans(),
        st.none() | st.integers(1, 99), st.none() | st.integers(2, 1000),
        st.none() | st.integers(noise.LEAST, noise.MOST).map(noise.text),
    ),
    st.builds(query.Seats, st.integers(1, 64), st.lists(TEXT, max_size=3).map(tuple)),
    st.booleans(),
    common_codes=st.booleans(),
)  # fmt: skip


@settings(max_examples=50)
@given(QUERY)
def test_a_query_goes_over_the_wire_and_comes_back_the_same(asked: query.Query) -> None:
    sent = convert.query_to(asked).SerializeToString()
    assert convert.query_from(parse(qpb.JointQuery, sent)) == asked


@settings(max_examples=50)
@given(QUERY)
def test_a_query_is_the_same_from_a_file_and_prints_to_one_canonical_form(asked: query.Query) -> None:
    assert read_query(to_plain(asked)) == asked
    assert to_bytes(from_bytes(query.Query, to_bytes(asked), what="query")) == to_bytes(asked)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": "two\nlines"}, "title"),
        ({"purpose": ""}, "purpose"),
        ({"legal_basis": "x" * 201}, "legal_basis"),
        ({"sources": []}, "sources"),
        ({"sources": [{"dataset": "spaces/a.example/datasets/x"}] * 2}, "sources[1].dataset"),
        ({"sources": [{"dataset": "../etc/passwd"}]}, "sources[0].dataset"),
        ({"sources": [{"dataset": "spaces/a.example/datasets/x", "filters": [{"column": "form"}]}]},
         "sources[0].filters[0]"),
        ({"sources": [{"dataset": "spaces/a.example/datasets/x",
                       "filters": [{"column": "form", "equals": "A", "one_of": ["B"]}]}]}, "sources[0].filters[0]"),
        ({"sources": [{"dataset": "spaces/a.example/datasets/x", "filters": [{"column": "a b", "equals": 1}]}]},
         "sources[0].filters[0].column"),
        ({"sources": [{"dataset": "spaces/a.example/datasets/x", "filters": [{"column": "a", "equals": 1.5}]}]},
         "sources[0].filters[0].equals.str"),
        ({"sources": [{"dataset": "spaces/a.example/datasets/x", "filters": [{"column": "a", "equals": 2**53}]}]},
         "sources[0].filters[0]"),
        ({"link_on": [], "statistic": {"overlap": {}}}, "link_on"),
        ({"link_on": ["name", "name"]}, "link_on"),
        ({"statistic": {}}, "statistic"),
        ({"statistic": {"overlap": {}, "count_by": {"columns": ["form"]}}}, "statistic"),
        ({"statistic": {"count_by": {"columns": []}}}, "statistic.count_by.columns"),
        ({"statistic": {"count_by": {"columns": ["a; DROP TABLE"]}}}, "statistic.count_by.columns[0]"),
        ({"statistic": {"mean": {}}}, "statistic.mean"),
        ({"limits": {"minimum_cell": -1}}, "limits.minimum_cell"),
        ({"limits": {"dominance": 100}}, "limits.dominance"),
        ({"limits": {"rounding": 1}}, "limits.rounding"),
        ({"limits": {"minimum_cell": "11"}}, "limits.minimum_cell"),
        ({"limits": {"epsilon": "11"}}, "limits.epsilon"),
        ({"limits": {"epsilon": 0.5}}, "limits.epsilon"),
        ({"sources": [{"dataset": "spaces/a.example/datasets/x"}], "statistic": {"overlap": {}}}, "sources"),
        ({"surprise": 1}, "surprise"),
    ],
)  # fmt: skip
def test_a_malformed_query_file_names_the_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        read_query({**to_plain(examples.question()), **change})
    assert caught.value.reason is Reason.MALFORMED_QUERY
    assert caught.value.field == field
    assert caught.value.advice


@pytest.mark.parametrize("data", [None, [], "text", 7, {"title": {1, 2}}, {"title": float("nan")}])
def test_what_is_no_mapping_of_plain_values_is_no_query(data: object) -> None:
    with pytest.raises(IsthmusError) as caught:
        read_query(data)
    assert caught.value.reason is Reason.MALFORMED_QUERY


def test_a_table_keeps_a_suppressed_cell_apart_from_zero() -> None:
    table = Table(("form", "year"), (Row(("A", "1"), 12), Row(("A", "2"), 0), Row(("B", "1"), None)))
    message = convert.table_to(table)
    assert convert.table_from(message) == table
    assert [row.HasField("count") for row in message.rows] == [True, True, False]


def test_a_plan_shows_what_people_decide_on() -> None:
    verdict = Verdict(examples.CARE, Decision.REFUSED, reason="POLICY_REFUSED", text="no", advice="ask for less")
    allowed = Verdict(examples.HOME, Decision.ALLOWED, rounds=100, bytes_per_party=5_000_000)
    made = planning.plan(examples.contract(), examples.spaces(), [allowed, verdict])
    message = convert.plan_to(made)
    assert from_bytes(type(made.draft), message.draft, what="draft") == made.draft
    assert [seat.entity for seat in message.seats] == [examples.HOME, examples.POLICE, examples.NEUTRAL]
    assert (message.threshold, message.minimum_cell) == (1, 11)
    assert list(message.smallest_group) == ["Operator home", "Operator neutral"]
    assert {edition.dataset for edition in message.editions} == {source.dataset for source in made.draft.query.sources}
    assert message.forecast.rounds == 100
    assert message.verdicts[1].decision == message.verdicts[1].DECISION_REFUSED
    assert message.verdicts[1].advice == "ask for less"
    assert "cells under 11 suppressed" in message.learners[0].what
