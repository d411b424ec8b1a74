"""Survival: what an owner makes of two days, what is told of curves, and how it is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import chi2

from connectors.engine.life_tables import TEST_UNIT
from connectors.engine.programs import survival as program
from connectors.engine.rows import InputRows
from connectors.holdings import Holding, read_rows
from connectors.rules.trials import Tried, try_question
from connectors.sources.linking import UNKNOWN
from connectors.sources.tables import DatasetSource, SourceConfig
from gateway.cli.render_curves import survival_table
from gateway.client.export import as_csv
from gateway.client.summary import Summary
from gateway.domain.contract import Contract
from gateway.domain.dataset import Column, ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Space
from gateway.domain.query import Groups, Limits, Query, Source, Statistic, Survival
from gateway.domain.result import Figure
from gateway.edges.grpc.convert import query_from, query_to, table_from, table_to
from gateway.rules import planning, sharing, statistics
from gateway.rules.canonical import question
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.redelivery import rearranged
from gateway.rules.statistics import survival as rules
from tests import examples
from tests.examples import CARE, HOME, POLICE

TWO = Groups("form", ("OTHER", "LABOUR"))
BEGUN = Column("begun", ColumnType.DATE)


def asked(**changes: Any) -> Query:
    wanted = Survival("begun", "seen", "2014-12-31", 90, 4, TWO)
    return examples.question(statistic=Statistic(survival=replace(wanted, **changes)))


def known() -> dict[str, Space]:
    """The federation, whose datasets say when it began."""
    spaces = examples.spaces()
    for owner in (HOME, POLICE, CARE):
        held = examples.dataset(owner)
        spaces[owner] = replace(
            spaces[owner],
            offer=replace(spaces[owner].offer, datasets=(replace(held, columns=(*held.columns, BEGUN)),)),
        )
    return spaces


def contract(query: Query | None = None, **changes: Any) -> Contract:
    return examples.contract(query or asked(), known(), **changes)


DAYS = st.none() | st.dates(date(2013, 1, 1), date(2015, 6, 30)).map(date.isoformat)


@given(since=DAYS, until=DAYS, code=st.sampled_from([*examples.FORMS, None]))
def test_a_place_says_interval_group_and_event(since: str | None, until: str | None, code: str | None) -> None:
    """Worked out again, from the words of the documentation, day by day."""
    found = rules.place(asked(), [since, until, code])
    end = "2014-12-31"
    impossible = since is None or since > end or (until is not None and until < since)
    if impossible or code not in TWO.codes:
        assert found is None
        return
    assert since is not None and code is not None and found is not None
    event = until is not None and until <= end
    last, day, passed = (until if event else end), date.fromisoformat(since), 0
    while day.isoformat() != last:
        day, passed = day + timedelta(days=1), passed + 1
    if passed >= 360:
        event, passed = False, 359
    group, interval = TWO.codes.index(code), passed // 90
    assert found == (group * 4 + interval) * 2 + event


def test_without_groups_there_is_no_code() -> None:
    assert rules.place(asked(groups=None), ["2014-01-01", "2014-04-01"]) == 2 * 1 + 1
    assert rules.place(asked(groups=None), ["2014-12-31", None]) == 0


def test_an_owner_shares_one_place_for_each_person_and_none_for_who_has_none(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(
        "name,born,form,begun,seen\n"
        "Ann,1990-01-01,OTHER,2014-01-01,2014-01-31\n"
        "Bea,1990-01-02,SEXUAL,2014-01-01,2014-01-31\n"
        "Cem,1990-01-03,LABOUR,2014-01-01,\n"
        "Dov,1990-01-04,LABOUR,,2014-01-31\n"
    )
    (tmp_path / "two.csv").write_text(
        "name,born,form,begun,seen\n"
        "Dov,1990-01-04,LABOUR,2014-11-01,\n"  # another list of the owner knows when it began
        "Ann,1990-01-01,OTHER,2014-01-01,2014-12-31\n"  # the first list that has a place for a person counts
    )
    names = ("name", "born", "form", "begun", "seen")
    holdings, datasets = {}, []
    for id in ("one", "two"):
        described = examples.dataset(HOME, id)
        columns = tuple(column for column in (*described.columns, BEGUN) if column.name in names)
        dataset = replace(described, columns=columns)
        source = DatasetSource(SourceConfig(tmp_path, f"{id}.csv", columns, ("name", "born")))
        pinned = source.check(b"k" * 32).pinned
        assert pinned is not None
        held = replace(dataset, edition=replace(dataset.edition, snapshot=pinned))
        holdings[held.name] = Holding(held, source, ("*",), b"k" * 32)
        datasets.append(held)
    spaces = known()
    spaces[HOME] = examples.space(HOME, *datasets)
    sources = (*(Source(held.name) for held in datasets), Source(examples.dataset(POLICE).name))
    read = read_rows(examples.contract(replace(asked(), sources=sources), spaces), HOME, holdings)
    ann, bea, cem, dov = (0 * 4 + 0) * 2 + 1, UNKNOWN, (1 * 4 + 3) * 2, (1 * 4 + 0) * 2
    assert sorted(code for (code,) in read.codes) == sorted([ann, bea, cem, dov])


def test_the_program_gets_groups_and_intervals_and_every_approver_makes_them_again() -> None:
    made = contract()
    assert made.program.name == "survival"
    check_parameters(made, {})
    check_parameters(made, {"form": examples.FORMS})
    for changed in (asked(every=30), asked(groups=Groups("form", ("OTHER", "SEXUAL"))), asked(groups=None)):
        with pytest.raises(IsthmusError, match="do not follow"):
            check_parameters(replace(made, query=changed), {"form": examples.FORMS})


def test_a_trial_of_a_policy_makes_up_the_columns() -> None:
    held = known()[HOME].offer.datasets[0]
    tried = Tried(held, ("*",), (), examples.PROGRAMS)
    try_question(asked(), tried, examples.operator(HOME), examples.NOW)


def test_the_order_of_groups_is_none_and_all_else_makes_another_question() -> None:
    first = question(contract())
    assert question(contract(asked(groups=Groups("form", ("LABOUR", "OTHER"))))) == first
    others = (
        asked(every=30),
        asked(intervals=5),
        asked(end="2014-12-30"),
        asked(groups=None),
        asked(groups=Groups("form", ("OTHER", "SEXUAL"))),
    )
    assert len({first, *(question(contract(other)) for other in others)}) == 6


PEOPLE = [
    *[(0 * 4 + 0) * 2 + 1] * 10, *[(0 * 4 + 1) * 2 + 1] * 10, *[(0 * 4 + 2) * 2] * 14, *[(0 * 4 + 3) * 2 + 1] * 3,
    *[(1 * 4 + 1) * 2 + 1] * 4, *[(1 * 4 + 3) * 2] * 30,
]  # fmt: skip


def computed(made: Contract, people: Sequence[int] = PEOPLE) -> list[int]:
    """What the program puts out for people, of whom one provider has each."""
    rows = [InputRows(list(range(p, len(people), 3)), [], [(code,) for code in people[p::3]]) for p in range(3)]
    return program.clear(json.loads(made.program.parameters), rows)


def drawn(picture: Any) -> str:
    console = Console(width=110, record=True, file=StringIO())
    console.print(picture)
    return console.export_text()


def test_a_table_has_curves_medians_and_the_test() -> None:
    made = contract()
    opened = computed(made)
    assert len(opened) == rules.outputs(made) == 18
    table = rules.table(made, opened)
    assert table.columns == ("form", "interval") and not table.counted and table.numbers == ("survival",)
    assert [row.codes for row in table.rows[:2]] == [("OTHER", "days 0 to 89"), ("OTHER", "days 90 to 179")]
    left = [row.values[0] for row in table.rows]
    # 37 people: 27 left, 17 of these; then 14 are lost, and 3 at risk are too few to be told.
    assert left == [0.73, 0.46, 0.46, None, 1.0, 0.88, 0.88, 0.88]
    figures = {figure.name: figure.value for figure in table.overall}
    assert figures["median_OTHER"] == 179 and figures["median_LABOUR"] is None
    value, p = figures["log_rank"], figures["log_rank_p"]
    assert value == opened[-2] / TEST_UNIT and p == pytest.approx(chi2.sf(value, 1), abs=1e-12)
    assert table_from(table_to(table)) == table
    text = drawn(survival_table(table, made.limits, {"form": {"": "Form", "OTHER": "Another", "LABOUR": "Labour"}}))
    assert "Another" in text and "73 %" in text and "█" in text and "<11*" in text
    assert "Another: by day 179; Labour: not among what is told" in text
    assert f"χ² = {value:.2f} with 1 degree of freedom, p" in text


def test_without_groups_there_is_one_curve_and_no_test() -> None:
    made = contract(asked(groups=None))
    table = rules.table(made, [90, 60, 40, 0, 1, 1, 1, 0])
    assert table.columns == ("interval",) and table.overall == (Figure("median", 269),)
    assert "Left: by day 269" in drawn(survival_table(table, made.limits))
    hidden_before = rules.table(made, [90, 0, 40, 30, 1, 0, 1, 1])
    assert hidden_before.overall == (Figure("median", None),)


def test_a_test_that_is_not_told_says_so() -> None:
    made = contract()
    table = rules.table(made, [0] * 18)
    assert table.overall[2:] == (Figure("log_rank", None), Figure("log_rank_p", None))
    assert "not told, since one group is small" in drawn(survival_table(table, made.limits))


@pytest.mark.parametrize("place", [0, 8, 16, 17])
def test_outputs_that_the_program_does_not_compute_are_refused(place: int) -> None:
    opened = computed(contract())
    for wrong in (101, sharing.P - 1) if place == 0 else (2,) if place in (8, 17) else (1 << 40, sharing.P - 1):
        with pytest.raises(IsthmusError):
            rules.table(contract(), [*opened[:place], wrong, *opened[place + 1 :]])


def test_kept_shares_of_the_same_question_are_put_in_the_order_of_this_one() -> None:
    there, here = contract(), contract(asked(groups=Groups("form", ("LABOUR", "OTHER"))))
    moved = rearranged(computed(there), there.program.parameters, here.program.parameters)
    assert moved == computed(here, [(place + 8) % 16 for place in PEOPLE])  # the groups have changed places
    with pytest.raises(ValueError, match="cells"):
        rearranged(computed(there)[:-1], there.program.parameters, here.program.parameters)


def test_what_a_table_tells_as_a_whole_is_in_every_file() -> None:
    made = contract()
    table = rules.table(made, computed(made))
    short = Summary("c" * 64, made, (), (), 0.5)
    (line,) = (line for line in as_csv(table, short).splitlines() if line.startswith("# overall"))
    assert '"median_OTHER": 179' in line and '"median_LABOUR": null' in line


@pytest.mark.parametrize(
    ("changes", "where", "reason"),
    [
        ({"until": "begun"}, "until", Reason.MALFORMED_QUERY),
        ({"since": "be gun"}, "since", Reason.MALFORMED_QUERY),
        ({"end": "2014-02-30"}, "end", Reason.MALFORMED_QUERY),
        ({"every": 0}, "every", Reason.MALFORMED_QUERY),
        ({"intervals": 1}, "intervals", Reason.MALFORMED_QUERY),
        ({"intervals": 61}, "intervals", Reason.MALFORMED_QUERY),
        ({"groups": Groups("form", ("OTHER",))}, "groups.codes", Reason.MALFORMED_QUERY),
        ({"groups": Groups("form", ("OTHER", "OTHER"))}, "groups.codes", Reason.MALFORMED_QUERY),
        ({"groups": Groups("seen", ("OTHER", "LABOUR"))}, "groups.column", Reason.MALFORMED_QUERY),
        ({"groups": Groups("interval", ("OTHER", "LABOUR"))}, "groups.column", Reason.MALFORMED_QUERY),
        ({"groups": Groups("form", ("OTHER", "LABOR"))}, "groups.codes[1]", Reason.UNKNOWN_CODE),
        ({"since": "age"}, "since", Reason.WRONG_FILTER_TYPE),
        ({"since": "born"}, "since", Reason.PERMISSION_DENIED),
        ({"until": "nothing"}, "until", Reason.UNKNOWN_COLUMN),
        ({"groups": Groups("age", ("OTHER", "LABOUR"))}, "groups.column", Reason.WRONG_FILTER_TYPE),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes: dict[str, Any], where: str, reason: Reason) -> None:
    with pytest.raises(IsthmusError) as caught:
        read_query(to_plain(asked(**changes)))
        contract(asked(**changes))
    assert (caught.value.reason, caught.value.field) == (reason, f"statistic.survival.{where}")
    assert caught.value.advice


@pytest.mark.parametrize("limits", [Limits(rounding=5), Limits(dominance=70)])
def test_limits_on_counts_are_refused_before_anything_runs(limits: Limits) -> None:
    with pytest.raises(IsthmusError) as caught:
        contract(replace(asked(), limits=limits))
    name = "rounding" if limits.rounding else "dominance"
    assert (caught.value.reason, caught.value.field) == (Reason.POLICY_REFUSED, f"limits.{name}")


def test_noise_is_refused_by_name() -> None:
    with pytest.raises(IsthmusError, match="epsilon"):
        planning.parameters(asked(), replace(contract().limits, epsilon="0.5"), {"form": examples.FORMS})


def test_it_travels_both_ways() -> None:
    for one in (asked(), asked(groups=None)):
        assert query_from(query_to(one)) == one


def test_it_says_what_is_learned() -> None:
    words = statistics.of(asked()).said(asked(), str)
    assert "every 90 days from begun until seen, as it was on 2014-12-31" in words and "how far the two differ" in words
    assert "differ" not in statistics.of(asked()).said(asked(groups=None), str)
