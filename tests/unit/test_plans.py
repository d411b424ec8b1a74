"""What people sign: the plan's digest changes with all that they decide on, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from gateway.domain import query as queries
from gateway.domain.contract import Contract, KeyRule, Limits, Recipient
from gateway.domain.dataset import Terms
from gateway.domain.decision import Need
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Between, Filter, Source
from gateway.rules import plans
from tests.examples import CARE, HOME, POLICE, contract, dataset, question, space, spaces

Change = Callable[[Contract], Contract]


def query(**changes: object) -> Change:
    return lambda body: replace(body, query=replace(body.query, **changes))  # type: ignore[arg-type]


def filtered(body: Contract) -> Contract:
    first, *rest = body.query.sources
    return replace(
        body, query=replace(body.query, sources=(Source(first.dataset, (Filter("year", equals="2012"),)), *rest))
    )


def edition(**changes: object) -> Change:
    def change(body: Contract) -> Contract:
        first, *rest = body.providers
        item = replace(first.inputs[0], **changes)  # type: ignore[arg-type]
        return replace(body, providers=(replace(first, inputs=(item,), row_bound=item.row_bound), *rest))

    return change


DECIDED_ON: dict[str, Change] = {
    "another initiator": lambda body: replace(body, initiator=POLICE),
    "another requester": lambda body: replace(body, requester="somebody"),
    "another title": query(title="Something else"),
    "another purpose": query(purpose="other"),
    "another legal basis": query(legal_basis="other"),
    "a filter": filtered,
    "more editions at once": query(standing=2),
    "another program": lambda body: replace(body, program=replace(body.program, digest="f" * 64)),
    "other seats": lambda body: replace(body, seats=body.seats[::-1]),
    "another threshold": lambda body: replace(body, t=2),
    "another recipient": lambda body: replace(body, recipients=(Recipient("client x", "client", "AAAA"),)),
    "another key of the recipient": lambda body: replace(
        body, recipients=(replace(body.recipients[0], key="BBBB"),)
    ),
    "looser limits": lambda body: replace(body, limits=Limits(1, False, False)),
    "another way to compare names": lambda body: replace(body, key_rules=(KeyRule("name", ("case",)),)),
    "other deadlines": lambda body: replace(body, deadlines=replace(body.deadlines, total=60)),
    "a look into a receive buffer": lambda body: replace(body, demo_view=True),
}  # fmt: skip
OF_ONE_EDITION: dict[str, Change] = {
    "another edition": edition(edition="2026-2"),
    "another snapshot": edition(snapshot="6" * 64),
    "another bound": edition(row_bound=128),
}
OF_ONE_ASKING: dict[str, Change] = {
    "another session": lambda body: replace(body, session="f" * 32),
    "a later beginning": lambda body: replace(body, not_before=body.not_before + 9),
    "a later end": lambda body: replace(body, expires=body.expires + 9),
}


@pytest.mark.parametrize("name", DECIDED_ON)
@pytest.mark.parametrize("standing", [1, 12])
def test_what_a_person_decides_on_changes_the_digest(name: str, standing: int) -> None:
    plan = contract(question(standing=standing))
    changed = DECIDED_ON[name](plan)
    assert changed != plan
    assert plans.plan_digest(changed) != plans.plan_digest(plan)


# All kinds at once, as no question asks: each field of each has to be in the digest.
STATISTICS = queries.Statistic(
    count_by=queries.CountBy(("form",)),
    rate=queries.Rate(("form",), (queries.Population(("LABOUR",), 1000),), 10),
    histogram=queries.Histogram("age", (18,), ("form",), queries.PrivateEdges(0, 119, (25, 50), 5)),
    cross_tab=queries.CrossTab((queries.ToldColumn("form", (0,)),)),
    corridors=queries.Corridors(*(queries.ToldColumn(name, (0,)) for name in ("form", "year", "year"))),
    funnel=queries.Funnel(((0,), (1,)), (queries.ToldColumn("form", (0,)),)),
    summary=queries.Summary((queries.Measure("age", 0, 120, True, 5),), ("form",)),
    repeats=queries.Repeats("seen", "2009-01-01", "2014-12-31", (7,), ("form",)),
    survival=queries.Survival("seen", "born", "2014-12-31", 90, 12, queries.Groups("form", ("a", "b"))),
    hit=queries.Hit(1000, True),
    kruskal_wallis=queries.KruskalWallis(queries.CodedColumn("form", ("a", "b")), "age", (18,)),
    quantiles=queries.Quantiles(queries.Grid("age", 0, 119, 5), (25, 50), ("form",)),
    t_test=queries.TTest(queries.Groups("form", ("a", "b")), queries.Grid("age", 0, 119, 5)),
    correlation=queries.Correlation(
        (queries.Grid("age", 0, 119, 5), queries.Grid("seen", "2009-01-01", "2014-12-31", 9))
    ),
    program=queries.PackagedProgram(
        "unlike",
        (queries.ProgramInput("over", "form", ("a", "b")), queries.ProgramInput("seen", "age", least=0, most=9)),
        (queries.ProgramSetting("steps", 10),),
        "a" * 64,
        "{}",
    ),
    linear_regression=queries.LinearRegression(
        queries.Outcome("age", 0, 120),
        (queries.Covariate("form", ("a", "b")), queries.Covariate("year", numbers=queries.Numbers(2010, 2020, 2))),
    ),
    logistic_regression=queries.LogisticRegression(
        queries.Events("form", ("a", "b")),
        (queries.Covariate("year", ("c", "d")), queries.Covariate("age", numbers=queries.Numbers(10, 20, 2))),
    ),
    chi_square=queries.ChiSquare(*(queries.CodedColumn(name, ("a", "b")) for name in ("form", "year"))),
)


def everything(standing: int) -> Contract:
    """A contract in which no field has the value that it has by default, so that each can be changed."""
    filters = (
        Filter("year", equals="2012"),
        Filter("form", one_of=("LABOUR", "SEXUAL")),
        Filter("age", between=Between(1, 9)),
    )
    asked = question(standing=standing)
    first, *rest = asked.sources
    asked = replace(
        asked,
        sources=(replace(first, filters=filters), *rest),
        limits=queries.Limits(11, True, 80, 5, "0.5"),
        seats=queries.Seats(3, (HOME, POLICE)),
        statistic=STATISTICS,
    )
    made = contract(question(standing=standing))
    limits = replace(made.limits, dominance=80, rounding=5, epsilon="0.5")
    return replace(
        made, query=asked, limits=limits, requester_roles=("analyst",), key_rules=(KeyRule("name", ("case",)),)
    )


def changed(value: Any) -> Iterator[tuple[str, Any]]:
    """Everything that differs from a record in one field, however deep, with where that is."""
    if is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            for where, other in changed(getattr(value, item.name)):
                yield f".{item.name}{where}", replace(value, **{item.name: other})
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield f"[-{number}]", (*value[:number], *value[number + 1 :])
            for where, other in changed(item):
                yield f"[]{where}", (*value[:number], other, *value[number + 1 :])
    elif isinstance(value, bool):
        yield "", not value
    elif isinstance(value, int):
        yield "", value + 1
    elif isinstance(value, str):
        yield "", f"{value}x"


def reached(kind: Any) -> Iterator[str]:
    """Where there is something to change in a record of this kind, as `changed` says it."""
    if is_dataclass(kind):
        for name, hint in get_type_hints(kind).items():
            for where in reached(hint):
                yield f".{name}{where}"
    elif get_origin(kind) is tuple:
        for where in reached(get_args(kind)[0]):
            yield f"[]{where}"
    elif get_args(kind):
        for one in get_args(kind):
            yield from reached(one)
    elif kind is not type(None):
        yield ""


LEFT_OUT = {".session", ".not_before", ".expires"}
# A standing query's editions: their bounds alone are the provider's.
OF_EDITIONS = {f".providers[].inputs[].{name}" for name in ("edition", "snapshot", "row_bound")} | {
    ".providers[].row_bound"
}


@pytest.mark.parametrize("standing", [1, 12])
def test_every_field_of_a_contract_is_decided_on_but_those_that_are_named_here(standing: int) -> None:
    """Whoever adds a field that changes what is computed, or who learns it, has it in the digest or says why not."""
    plan = everything(standing)
    digest, left_out, seen = plans.plan_digest(plan), set(), set()
    for where, other in changed(plan):
        assert other != plan
        seen.add(where)
        if plans.plan_digest(other) == digest:
            left_out.add(where)
    assert left_out == (LEFT_OUT if standing == 1 else LEFT_OUT | OF_EDITIONS)
    assert {where for where in reached(Contract) if ".overlap" not in where} <= seen


@pytest.mark.parametrize("name", OF_ONE_ASKING)
def test_what_is_made_anew_with_each_asking_does_not(name: str) -> None:
    changed = OF_ONE_ASKING[name](contract())
    assert changed != contract()
    assert plans.plan_digest(changed) == plans.plan_digest(contract())


@pytest.mark.parametrize("name", OF_ONE_EDITION)
def test_editions_are_decided_on_unless_the_query_stands_for_those_to_come(name: str) -> None:
    once, standing = contract(), contract(question(standing=12))
    assert plans.plan_digest(OF_ONE_EDITION[name](once)) != plans.plan_digest(once)
    assert plans.plan_digest(OF_ONE_EDITION[name](standing)) == plans.plan_digest(standing)


def test_a_standing_query_still_names_its_datasets() -> None:
    plan = contract(question(standing=12))
    fewer = replace(plan, providers=plan.providers[:-1])
    assert plans.plan_digest(fewer) != plans.plan_digest(plan)


def test_sets_of_editions_are_told_apart_by_edition_and_snapshot_and_not_by_asking() -> None:
    plan = contract()
    assert plans.editions(OF_ONE_EDITION["another edition"](plan)) != plans.editions(plan)
    assert plans.editions(OF_ONE_EDITION["another snapshot"](plan)) != plans.editions(plan)
    assert plans.editions(OF_ONE_ASKING["another session"](plan)) == plans.editions(plan)


def test_a_plan_is_addressed_to_its_own_digest() -> None:
    plan = contract()
    claims = {"aud": plans.audience(plans.plan_digest(plan))}
    assert plans.check_addressed(claims, plan) == plans.plan_digest(plan)
    with pytest.raises(IsthmusError) as caught:
        plans.check_addressed(claims, DECIDED_ON["another title"](plan))
    assert caught.value.reason is Reason.CONTRACT_INVALID


def wanting(entity: str, id: str = "list", **changes: object) -> Terms:
    return replace(dataset(entity, id).terms, **changes)  # type: ignore[arg-type]


def test_the_strictest_dataset_of_a_space_says_how_many_and_how_soon() -> None:
    two = wanting(CARE, persons=2, decide_within=100, standing=6)
    one = wanting(CARE, persons=1, decide_within=24, standing=12)
    assert plans.need_of("count_by", [two, wanting(CARE), one]) == Need(2, 24, 6)
    assert plans.need_of("count_by", [wanting(CARE)]) is None
    only = wanting(CARE, persons=2, person_statistics=("overlap",))
    assert plans.need_of("count_by", [only]) is None
    assert plans.need_of("overlap", [only]) == Need(2, 168)


def test_a_plan_says_at_which_owners_people_have_to_approve() -> None:
    stricter = dataset(CARE, terms=wanting(CARE, persons=2))
    known = {**spaces(), CARE: space(CARE, stricter, seats=0)}
    assert plans.needs(contract(known=known), known) == {CARE: Need(2, 168)}
    assert plans.needs(contract(question((HOME, POLICE)), known), known) == {}


def test_no_more_editions_are_approved_at_once_than_an_owner_allows() -> None:
    stricter = dataset(CARE, terms=wanting(CARE, persons=1, standing=3))
    plans.check_standing(contract(question(standing=3)), [stricter, dataset(POLICE)])
    with pytest.raises(IsthmusError) as caught:
        plans.check_standing(contract(question(standing=4)), [stricter, dataset(POLICE)])
    assert (caught.value.reason, caught.value.field) == (Reason.POLICY_REFUSED, "standing")
    assert "3" in caught.value.advice
