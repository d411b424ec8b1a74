"""Questions that recognise nobody across owners: what is asked, in which words, under which limits; and each owner's
totals, of its own people, each once."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.engine.pooled import placed
from connectors.engine.programs import PROGRAMS
from connectors.engine.programs.cells import Columns
from connectors.engine.rows import InputCells, InputRows
from connectors.holdings import Holding, read_rows
from connectors.rules.approval import OwnPart, check_draft
from connectors.sources.tables import DatasetSource, SourceConfig
from gateway.domain import query
from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Histogram, Limits, Measure, Statistic, Summary
from gateway.edges.grpc.convert import query_from, query_to
from gateway.rules import canonical, wording
from gateway.rules.contract import check_parameters
from gateway.rules.queries import checked, read_query
from gateway.rules.records import to_plain
from tests import examples

HOME, POLICE, CARE = examples.HOME, examples.POLICE, examples.CARE
KEY = bytes(range(32))


def asked(**changes: Any) -> query.Query:
    return examples.question(link_on=(), **changes)


def refusal(wanted: query.Query, known: Any = None) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        examples.contract(checked(wanted), known)
    return caught.value


def test_nobody_is_linked_where_link_on_is_empty_or_left_out() -> None:
    plain: dict[str, Any] = to_plain(asked())
    assert plain.pop("link_on") == []
    assert read_query(plain) == asked() == query_from(query_to(asked()))
    made = examples.contract(asked())
    assert json.loads(made.program.parameters)["linked"] is False
    assert "linked" not in json.loads(examples.contract().program.parameters)
    check_parameters(made, {"form": examples.FORMS})
    with pytest.raises(IsthmusError):
        check_parameters(replace(made, query=examples.question()), {})
    assert canonical.question(made) != canonical.question(replace(made, query=examples.question()))


@pytest.mark.parametrize(
    "statistic",
    [
        Statistic(overlap=query.Overlap()),
        Statistic(cross_tab=query.CrossTab((query.ToldColumn("form"),))),
        Statistic(funnel=query.Funnel()),
        Statistic(survival=query.Survival("born", "seen", "2020-01-01", 30, 4)),
    ],
)
def test_what_needs_people_recognised_says_so(statistic: Statistic) -> None:
    refused = refusal(asked(statistic=statistic))
    assert (refused.reason, refused.field) == (Reason.MALFORMED_QUERY, "link_on")
    assert "without them goes count_by, rate, histogram, summary, " in refused.public


def test_people_who_decide_read_that_records_are_counted() -> None:
    said = wording.statistic(asked())
    assert said.startswith(
        "records of 3 lists (nobody is recognised across owners: somebody on lists of two counts twi"
    )
    assert "each owner counts its own people once" in said
    assert "each once" in wording.statistic(examples.question())


def test_cells_have_as_many_people_as_the_minimum_however_often_each_counts() -> None:
    """Of three owners two are left without one of them, and a person may count in both."""
    assert examples.contract(asked()).limits.minimum_cell == 22
    assert examples.contract(asked(owners=(HOME, POLICE))).limits.minimum_cell == 11
    assert examples.contract(examples.question()).limits.minimum_cell == 11
    refused = refusal(asked(limits=Limits(minimum_cell=11)))
    assert (refused.reason, refused.field) == (Reason.POLICY_REFUSED, "limits.minimum_cell")
    assert "22" in refused.public
    made = examples.contract(asked(limits=Limits(minimum_cell=30)))
    own = OwnPart(POLICE, examples.spaces()[POLICE].offer, {examples.dataset(POLICE).name: ("*",)})
    check_draft(made, own, examples.operators(), examples.NOW)
    lower = replace(made.limits, minimum_cell=11)
    parameters = json.dumps({**json.loads(made.program.parameters), "minimum_cell": 11}, separators=(",", ":"))
    with pytest.raises(IsthmusError) as caught:
        check_draft(
            replace(made, limits=lower, program=replace(made.program, parameters=parameters)),
            own, examples.operators(), examples.NOW,
        )  # fmt: skip
    assert caught.value.field == "limits.minimum_cell"


def test_there_is_no_noise_for_somebody_who_counts_twice() -> None:
    with pytest.raises(IsthmusError) as caught:
        limits = replace(examples.contract(asked()).limits, epsilon="0.5")
        check_parameters(replace(examples.contract(asked()), limits=limits), {})
    assert (caught.value.reason, caught.value.field) == (Reason.MALFORMED_QUERY, "link_on")


def test_an_owner_has_to_know_its_own_people() -> None:
    known = examples.spaces()
    known[HOME] = examples.space(HOME, examples.dataset(HOME, key_columns=()))
    assert "does not say what identifies a person" in refusal(asked(), known).public
    both = (examples.dataset(HOME), examples.dataset(HOME, "other", key_columns=("name",)))
    known[HOME] = examples.space(HOME, *both)
    twice = replace(asked(), sources=tuple(query.Source(dataset.name) for dataset in both))
    assert "different columns" in refusal(twice, known).public


LINES = (
    "Ana,1990-01-01,30,2013-01-01,,2012,LABOUR",
    "ana ,1990-01-01,31,2013-02-01,,2013,SEXUAL",  # the same person: her first row counts
    "Bo,1990-01-01,,2013-03-01,,2012,SEXUAL",
    "Cé,1991-01-01,17,,,2013,SEXUAL",
    "Ce,1992-01-01,-3,2014-01-01,,2013,SEXUAL",
)


def held(folder: Path, made: Contract, files: dict[str, Sequence[str]]) -> tuple[Contract, dict[str, Holding]]:
    """The holdings of HOME with these lines in its datasets, and the contract over them."""
    provider, holdings, inputs = made.provider_of(HOME), {}, []
    assert provider is not None
    for item in provider.inputs:
        dataset = examples.dataset(HOME, item.dataset.rpartition("/")[2])
        (folder / f"{dataset.short_name}.csv").write_text("\n".join([
            ",".join(column.name for column in dataset.columns), *files[dataset.short_name], "",
        ]))  # fmt: skip
        source = DatasetSource(SourceConfig(folder, f"{dataset.short_name}.csv", dataset.columns, dataset.key_columns))
        pinned = source.check(KEY).pinned
        assert pinned is not None
        edition = replace(dataset.edition, snapshot=pinned)
        holdings[dataset.name] = Holding(replace(dataset, edition=edition), source, ("*",), KEY)
        inputs.append(replace(item, snapshot=pinned))
    own = replace(provider, inputs=tuple(inputs))
    return replace(made, providers=tuple(own if one is provider else one for one in made.providers)), holdings


def totals(folder: Path, wanted: query.Query, files: dict[str, Sequence[str]], known: Any = None) -> list[list[int]]:
    """By cells, as its program has them."""
    agreed, holdings = held(folder, examples.contract(wanted, known), files)
    given = read_rows(agreed, HOME, holdings)
    assert isinstance(given, InputCells)
    columns = json.loads(agreed.program.parameters)["columns"]
    cell = Columns(
        tuple(column["name"] for column in columns), tuple(tuple(column["codes"]) for column in columns)
    ).cell
    cells = int(np.prod([len(column["codes"]) for column in columns]))
    return [[int(value) for value in row] for row in placed(given, cells, cell)]


def test_an_owner_counts_its_people_once_at_their_first_row(tmp_path: Path) -> None:
    by = Statistic(count_by=query.CountBy(("year", "form")))
    # 2012: LABOUR, SEXUAL, OTHER; 2013: the same
    assert totals(tmp_path, asked(statistic=by), {"list": LINES}) == [[1, 1, 0, 0, 2, 0]]
    filtered = (query.Source(examples.dataset(HOME).name, (query.Filter("form", equals="SEXUAL"),)),)
    wanted = asked(statistic=by, owners=(HOME,))
    # without her first row, her second is the first that passes
    assert totals(tmp_path, replace(wanted, sources=filtered), {"list": LINES}) == [[0, 1, 0, 0, 3, 0]]


def test_a_histogram_and_what_is_added_up(tmp_path: Path) -> None:
    ages = Statistic(histogram=Histogram("age", (0, 18, 30), ("year",)))
    counted = totals(tmp_path, asked(statistic=ages), {"list": LINES})
    # under 0, 0 to 17, 18 to 29, 30 and over, not known; each by 2012 and 2013
    assert counted == [[0, 1, 0, 1, 0, 0, 1, 0, 1, 0]]
    known = examples.spaces()
    for owner in (HOME, POLICE, CARE):
        columns = tuple(
            replace(column, least=-10, most=90) if column.name == "age" else column
            for column in examples.dataset(owner).columns
        )
        known[owner] = examples.space(owner, examples.dataset(owner, columns=columns), seats=int(owner != CARE))
    programs = (*examples.PROGRAMS, replace(examples.PROGRAMS[0], name="group_sum"))
    known = {entity: replace(space, offer=replace(space.offer, programs=programs)) for entity, space in known.items()}
    summary = Statistic(summary=Summary((Measure("age", -20, 100, variance=True),), ("year",)))
    # above -20: 50 | 37 and 17
    expected = [[2, 2], [1, 2], [50, 54], [2500, 37**2 + 17**2]]
    assert totals(tmp_path, asked(statistic=summary), {"list": LINES}, known) == expected


def test_an_owner_counts_somebody_on_two_of_its_lists_once(tmp_path: Path) -> None:
    known = examples.spaces()
    both = (examples.dataset(HOME), examples.dataset(HOME, "b-list"))
    known[HOME] = examples.space(HOME, *both)
    wanted = replace(asked(), sources=tuple(query.Source(dataset.name) for dataset in both))
    files = {"list": LINES, "b-list": ("ANA,1990-01-01,1,,,2012,OTHER", "Di,1990-01-01,1,,,2012,OTHER")}
    # by name the b-list comes first
    assert totals(tmp_path, wanted, files, known) == [[0, 3, 2]]
    linked = replace(wanted, link_on=("name", "born"))
    agreed, holdings = held(tmp_path, examples.contract(linked, known), files)
    rows = read_rows(agreed, HOME, holdings)
    assert isinstance(rows, InputRows) and np.bincount([code for (code,) in rows.codes]).tolist() == [0, 3, 2]


AGE = query.Grid("age", -10, 90, 7)
FORM = query.CodedColumn("form", ("SEXUAL", "LABOUR"))
KINDS = [
    Statistic(quantiles=query.Quantiles(AGE, (25, 50), ("year",))),
    Statistic(histogram=Histogram("age", (), ("form",), query.PrivateEdges(-10, 90, (50,), 7))),
    Statistic(chi_square=query.ChiSquare(FORM, query.CodedColumn("year"))),
    Statistic(t_test=query.TTest(FORM, AGE)),
    Statistic(
        linear_regression=query.LinearRegression(
            query.Outcome("age", -20, 100),
            (query.Covariate("form"), query.Covariate("year", ("2013", "2012"))),
        )
    ),
    Statistic(
        logistic_regression=query.LogisticRegression(
            query.Events("form", ("SEXUAL", "LABOUR")),
            (query.Covariate("year"), query.Covariate("age", numbers=query.Numbers(0, 60, 15))),
        )
    ),
]
DRAWN = random.Random(1)
MANY = tuple(
    f"P{i},1990-01-01,{DRAWN.choice(['', *range(-10, 91)])},2013-01-01,,{DRAWN.choice(['2012', '2013'])},"
    f"{DRAWN.choice(['LABOUR', 'SEXUAL', 'OTHER'])}"
    for i in range(600)
)


@pytest.mark.parametrize("statistic", KINDS, ids=lambda statistic: str(statistic.name))
def test_of_an_owners_people_its_totals_say_what_its_rows_say(tmp_path: Path, statistic: Statistic) -> None:
    """One owner alone, whose list has people twice: codes of its list stand in another order than the question's."""
    bounded = tuple(
        replace(column, least=-10, most=90) if column.name == "age" else column
        for column in examples.dataset(HOME).columns
    )
    known = examples.spaces()
    edition = replace(examples.dataset(HOME).edition, row_bound=1024)
    known[HOME] = examples.space(HOME, examples.dataset(HOME, columns=bounded, edition=edition))
    programs = (*examples.PROGRAMS, *(replace(examples.PROGRAMS[0], name=name) for name in PROGRAMS))
    known = {entity: replace(space, offer=replace(space.offer, programs=programs)) for entity, space in known.items()}
    lines = {"list": (*LINES, *MANY)}
    wanted = asked(statistic=statistic, owners=(HOME,), limits=Limits(minimum_cell=11))
    outputs = []
    for link_on in ((), ("name", "born")):
        agreed, holdings = held(tmp_path, examples.contract(checked(replace(wanted, link_on=link_on)), known), lines)
        parameters = {**json.loads(agreed.program.parameters), "minimum_cell": 0}
        given = read_rows(agreed, HOME, holdings)
        assert isinstance(given, InputRows if link_on else InputCells)
        outputs.append(PROGRAMS[agreed.program.name].clear(parameters, [given]))
    assert outputs[0] == outputs[1]
    assert any(outputs[0])


@pytest.mark.parametrize("link_on", [(), ("name", "born")])
def test_codes_have_the_places_that_the_contract_gives_them(tmp_path: Path, link_on: tuple[str, ...]) -> None:
    """Without names a regression takes all codes of a column, by the alphabet; its owner lists them otherwise."""
    known = examples.spaces()
    programs = (*examples.PROGRAMS, replace(examples.PROGRAMS[0], name="logistic_regression"))
    known = {entity: replace(space, offer=replace(space.offer, programs=programs)) for entity, space in known.items()}
    outcome = query.Events("year", ("2013",))
    statistic = Statistic(logistic_regression=query.LogisticRegression(outcome, (query.Covariate("form"),)))
    wanted = asked(statistic=statistic, owners=(HOME,), limits=Limits(minimum_cell=11))
    agreed, holdings = held(tmp_path, examples.contract(replace(wanted, link_on=link_on), known), {"list": LINES})
    first, _ = json.loads(agreed.program.parameters)["columns"]
    assert first["codes"] == sorted(examples.FORMS) != list(examples.FORMS)
    given = read_rows(agreed, HOME, holdings)
    found = {first["codes"][form] for form, _ in given.codes}
    assert found == {"LABOUR", "SEXUAL"}
