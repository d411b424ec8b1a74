"""Questions about one person: what passes, what every space refuses, and that quotas are spent for good."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from connectors.config import PolicyConfig
from connectors.explaining import explained
from connectors.holdings import Holding
from connectors.ledgers import Ledgers, not_releasable
from connectors.one_person import DAY, OnePersonLimits
from connectors.policies import terms_of
from connectors.rules.approval import OwnPart, check_draft
from connectors.stewards import check_holding, rule_of
from gateway.cli.render_tables import hit_said
from gateway.config import load
from gateway.domain.approval import SignedContract
from gateway.domain.contract import Contract, Recipient
from gateway.domain.dataset import OnePerson
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Offer, Space
from gateway.domain.query import Filter, Hit, Limits, Query, Source, Statistic
from gateway.edges.grpc.convert import query_from, query_to
from gateway.edges.store.database import Database
from gateway.ports import Clock
from gateway.rules import plans, redelivery, statistics
from gateway.rules.contract import check_parameters
from gateway.rules.queries import checked, read_query
from gateway.rules.records import to_bytes, to_plain
from tests import examples
from tests.examples import CARE, HOME, POLICE
from tests.fakes import FakeClock
from tests.held import held, offered, people

ROLE, LEAST = "investigator", 20
TERMS = OnePerson(("mandate",), (ROLE,), LEAST, 1, 5, "age")
RECIPIENT = Recipient("client analyst", "client", examples.RECIPIENT_KEY)


def asked(case: int = 7, owners: tuple[str, ...] = (HOME, POLICE, CARE), each: bool = False, **changes: Any) -> Query:
    own, *others = examples.question(owners).sources
    sources = (replace(own, filters=(Filter("age", equals=case),)), *others)
    statistic = Statistic(hit=Hit(LEAST, each))
    return examples.question(owners, **{"sources": sources, "statistic": statistic, **changes})


def spaces(terms: OnePerson | None = TERMS, known: dict[str, Space] | None = None) -> dict[str, Space]:
    """Everybody, offering the program, and each dataset with these terms."""
    made = known or examples.spaces()
    for entity, space in made.items():
        programs = (*space.offer.programs, replace(space.offer.programs[0], name="hit"))
        datasets = tuple(replace(d, terms=replace(d.terms, one_person=terms)) for d in space.offer.datasets)
        made[entity] = replace(space, offer=replace(space.offer, programs=programs, datasets=datasets))
    return made


def contract(query: Query | None = None, known: dict[str, Space] | None = None, **changes: Any) -> Contract:
    plain = {"recipients": (RECIPIENT,), "requester_roles": (ROLE,)}
    return examples.contract(query or asked(), known or spaces(), **{**plain, **changes})


def own(entity: str = POLICE, terms: OnePerson | None = TERMS) -> OwnPart:
    (dataset,) = spaces(terms)[entity].offer.datasets
    offer = Offer((dataset,), spaces()[entity].offer.programs, 1, "mpyc 0.11", 1)
    return OwnPart(entity, offer, {dataset.name: ("*",)})


def refusal(draft: Contract, part: OwnPart | None = None) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        check_draft(draft, part or own(), examples.operators(), examples.NOW)
    return caught.value


def test_a_question_that_keeps_to_all_terms_passes_at_every_owner_and_a_neutral_seat() -> None:
    for entity in (HOME, POLICE, CARE):
        check_draft(contract(), own(entity), examples.operators(), examples.NOW)
    neutral = OwnPart("https://neutral.example", spaces()["https://neutral.example"].offer, {})
    check_draft(contract(), neutral, examples.operators(), examples.NOW)


def test_never_by_default() -> None:
    assert examples.dataset(POLICE).terms.one_person is None
    problem = refusal(contract(), own(terms=None))
    assert (problem.reason, problem.field) == (Reason.POLICY_REFUSED, "statistic")


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (own(terms=replace(TERMS, legal_bases=("another",))), "legal_basis"),
        (own(terms=replace(TERMS, roles=("judge",))), "requester_roles"),
        (own(terms=replace(TERMS, least_list=LEAST + 1)), "statistic.hit.least_list"),
        (own(HOME, replace(TERMS, case="")), "sources[0].filters[0].column"),
        (own(HOME, replace(TERMS, case="year")), "sources[0].filters[0].column"),
    ],
)
def test_each_of_an_owners_terms_refuses(part: OwnPart, field: str) -> None:
    problem = refusal(contract(), part)
    assert (problem.reason, problem.field) == (Reason.POLICY_REFUSED, field)


def test_who_has_no_role_is_refused_though_the_dataset_answers_everybody_else() -> None:
    assert refusal(contract(requester_roles=())).field == "requester_roles"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"initiator": CARE, "recipients": (RECIPIENT,)}, "initiator"),
        ({"recipients": (Recipient(f"gateway {HOME}", "gateway", examples.RECIPIENT_KEY),)}, "recipients"),
        ({"limits": replace(contract().limits, minimum_cell=11, provider_subtraction=True)}, "limits"),
    ],
)
def test_another_asker_a_gateway_that_reads_along_and_limits_make_no_contract(
    changes: dict[str, Any], field: str
) -> None:
    for part in (own(), OwnPart("https://neutral.example", spaces()["https://neutral.example"].offer, {})):
        problem = refusal(contract(**changes), part)
        assert (problem.reason, problem.field) == (Reason.CONTRACT_INVALID, field)


def sources(*filters: tuple[Filter, ...]) -> tuple[Source, ...]:
    plain = examples.question().sources
    return tuple(replace(source, filters=kept) for source, kept in zip(plain, filters, strict=True))


CASE = Filter("age", equals=7)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sources": sources((), (), ())}, "sources[0].filters"),
        ({"sources": sources((CASE, Filter("year", equals="2012")), (), ())}, "sources[0].filters"),
        ({"sources": sources((Filter("age", one_of=(7, 8)),), (), ())}, "sources[0].filters"),
        ({"sources": sources((CASE,), (Filter("age", equals=9),), ())}, "sources[1].filters"),
        ({"sources": sources((CASE,), (), (Filter("year", equals="2012"),))}, "sources[2].filters"),
        ({"sources": sources((CASE,), (), ())[:1]}, "sources"),
        (
            {"sources": (sources((CASE,), (), ())[0], Source("spaces/home.example/datasets/other"))},
            "sources[1].dataset",
        ),
        ({"statistic": Statistic(hit=Hit(0))}, "statistic.hit.least_list"),
        ({"limits": Limits(minimum_cell=0)}, "limits"),
        ({"limits": Limits(epsilon="1")}, "limits"),
        ({"standing": 2}, "standing"),
        ({"demo_view": True}, "demo_view"),
    ],
)
def test_what_no_question_about_one_person_may_say(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        checked(asked(**changes))
    assert (caught.value.reason, caught.value.field) == (Reason.MALFORMED_QUERY, field)


def test_neither_a_name_nor_a_key_travels_and_a_filter_on_one_is_refused() -> None:
    assert b"Person" not in to_bytes(contract())
    own_list, *others = examples.question().sources
    named = replace(own_list, filters=(Filter("born", equals="1990-01-02"),))
    with pytest.raises(IsthmusError) as caught:
        contract(asked(sources=(named, *others)))
    assert caught.value.reason is Reason.PERMISSION_DENIED


def test_the_query_goes_over_the_wire_and_comes_from_a_file() -> None:
    for query in (asked(), asked(each=True)):
        assert query_from(query_to(query)) == query == read_query(to_plain(query))


def test_parameters_follow_from_the_query_and_name_the_providers_in_the_contracts_order() -> None:
    made = contract()
    check_parameters(made, {})
    parameters = statistics.of(asked()).parameters(asked(), {})
    entities = [provider.entity for provider in made.providers]
    assert [entities[place] for place in parameters["owners"]] == [HOME, POLICE, CARE]


@pytest.mark.parametrize(
    ("opened", "counts", "said"),
    [
        ([1, 0, 1], [1, 0], ["police.example/list: a hit", "care.example/list: no hit"]),
        ([0, 0, 0], [None, None], ["police.example/list: not told", "care.example/list: not told"]),
    ],
)
def test_a_hit_no_hit_and_what_is_not_told_are_three_things(
    opened: list[int], counts: list[int | None], said: list[str]
) -> None:
    table = statistics.of(asked()).table(contract(asked(each=True)), opened)
    assert [row.count for row in table.rows] == counts
    assert [str(line) for line in hit_said(table, contract().limits).renderables][:2] == said


@pytest.mark.parametrize("opened", [[2, 1], [1, 0], [0, 2]])
def test_what_the_program_does_not_compute_is_no_result(opened: list[int]) -> None:
    with pytest.raises(IsthmusError) as caught:
        statistics.of(asked()).table(contract(), opened)
    assert caught.value.reason is Reason.INCONSISTENT_SHARES


def test_two_stewards_decide_whatever_the_policy_says_and_on_each_asking_anew() -> None:
    plain = examples.dataset(POLICE).terms
    for persons, wanted in ((0, 2), (1, 2), (3, 3)):
        terms = replace(plain, persons=persons, person_statistics=("overlap",))
        need = plans.need_of("hit", [terms])
        assert need is not None and need.persons == wanted
        rule = rule_of(terms, (), "hit", ())
        assert rule is not None and rule.need.persons == wanted
    assert {need.persons for need in plans.needs(contract(), spaces()).values()} == {2}
    again = replace(contract(), session="f" * 32)
    assert plans.plan_digest(again) != plans.plan_digest(contract())
    plain_again = replace(examples.contract(), session="f" * 32)
    assert plans.plan_digest(plain_again) == plans.plan_digest(examples.contract())


def test_no_share_of_such_an_answer_is_shown_again() -> None:
    signed = SignedContract(contract(), "a" * 64, "")

    class Named:
        def __init__(self, entity: str) -> None:
            self.entity, self.body = entity, type("Body", (), {"kept": "b" * 64})

    approvals = [cast(Any, Named(seat.entity)) for seat in signed.body.seats]
    assert redelivery.origin(signed, approvals) == ""
    other = SignedContract(examples.contract(), "a" * 64, "")
    assert redelivery.origin(other, approvals) == "b" * 64


POLICY = """version = 1
purposes = ["criminal-investigation"]
legal_bases = ["led-8", "led-10-a"]
statistics = ["hit", "overlap"]
"""
SECTION = """[one_person]
legal_bases = ["led-10-a"]
roles = ["investigator"]
least_list = 1000
"""


def written(folder: Path, text: str) -> PolicyConfig:
    (folder / "p.toml").write_text(text)
    return load(PolicyConfig, folder / "p.toml")


@pytest.mark.parametrize(
    "text",
    [
        POLICY,
        POLICY.replace('"hit", ', "") + SECTION,
        POLICY + SECTION.replace("led-10-a", "gdpr-6-1-e"),
        POLICY + SECTION.replace("investigator", "*"),
        POLICY + SECTION.replace("1000", "99"),
        POLICY + SECTION + "quota_per_case = 0\n",
        POLICY + SECTION + "unknown = 1\n",
    ],
)
def test_a_policy_that_is_not_whole_about_this_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        written(tmp_path, text)
    assert caught.value.reason is Reason.CONFIGURATION


def test_a_policy_says_it_in_public_and_in_words(tmp_path: Path) -> None:
    policy = written(tmp_path, POLICY + SECTION)
    assert terms_of(policy).one_person == OnePerson(("led-10-a",), ("investigator",), 1000, 1, 10, "")
    said = dict(explained(policy, "2026-01-01"))["One person"]
    assert "two different stewards" in said and "1000" in said


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(f"sqlite+aiosqlite:///{tmp_path}/agent.db") as opened:
        yield opened


def holding(folder: Path, entity: str, terms: OnePerson = TERMS, numbers: int = 30) -> Holding:
    made = held(folder / entity.removeprefix("https://"), entity, people(range(numbers)))
    return replace(made, dataset=replace(made.dataset, terms=replace(made.dataset.terms, one_person=terms)))


def book(database: Database, holding: Holding, clock: FakeClock) -> Ledgers:
    entity, holdings = f"https://{holding.dataset.space_host}", {holding.dataset.name: holding}
    limits = OnePersonLimits(entity, holdings, database.person_answers, cast(Clock, clock))
    return Ledgers(entity, holdings, database.ledger, cast(Clock, clock), one_person=limits)


def signed(holding: Holding, case: int = 7, number: int = 0) -> SignedContract:
    known = spaces(holding.dataset.terms.one_person, offered(holding))
    body = contract(asked(case), known, session=f"{number:032x}")
    return SignedContract(body, hashlib.sha256(to_bytes(body)).hexdigest(), "")


async def reasons(database: Database) -> list[str]:
    return [fact.detail for fact in await database.audit.read(start=0, limit=1000) if fact.kind == "ledger.refused"]


async def refused(ledgers: Ledgers, wanted: SignedContract) -> None:
    """By the very words of every refusal that depends on rows."""
    with pytest.raises(IsthmusError) as caught:
        await ledgers.hold(wanted)
        await ledgers.answer(wanted)
    uniform = not_releasable(ledgers._entity)
    assert (caught.value.reason, caught.value.public, caught.value.advice, caught.value.field) == (
        uniform.reason,
        uniform.public,
        uniform.advice,
        uniform.field,
    )


async def answered(ledgers: Ledgers, wanted: SignedContract) -> None:
    await ledgers.hold(wanted)
    await ledgers.answer(wanted)


async def test_a_case_that_is_nobody_or_two_people_at_home_is_refused_before_anything_is_shared(
    database: Database, tmp_path: Path
) -> None:
    lines = [*people([7, 8]), "Somebody Else,1991-01-02,8,,,2013,LABOUR"]
    made = held(tmp_path / "two", HOME, lines)
    home = replace(made, dataset=replace(made.dataset, terms=replace(made.dataset.terms, one_person=TERMS)))
    ledgers = book(database, home, FakeClock())
    await refused(ledgers, signed(home, case=8))
    await refused(ledgers, signed(home, case=9, number=1))
    assert [reason.split(": ")[1] for reason in await reasons(database)] == [
        "the case does not stand for exactly one person"
    ] * 2
    await answered(ledgers, signed(home, case=7, number=2))


async def test_a_list_that_is_too_short_is_not_searched(database: Database, tmp_path: Path) -> None:
    short = holding(tmp_path, POLICE, numbers=LEAST - 1)
    await refused(book(database, short, FakeClock()), signed(short))
    long = holding(tmp_path / "long", CARE, numbers=LEAST)
    await answered(book(database, long, FakeClock()), signed(long, number=1))


async def test_a_repeat_spends_and_one_more_than_a_case_has_is_refused_for_ever(
    database: Database, tmp_path: Path
) -> None:
    clock, police = FakeClock(), holding(tmp_path, POLICE, replace(TERMS, quota_per_case=2))
    await answered(book(database, police, clock), signed(police, number=1))
    await answered(book(database, police, clock), signed(police, number=2))
    clock.at += 400 * DAY
    await refused(book(database, police, clock), signed(police, number=3))
    await answered(book(database, police, clock), signed(police, case=8, number=4))


async def test_a_day_has_a_quota_over_all_cases(database: Database, tmp_path: Path) -> None:
    clock, police = FakeClock(), holding(tmp_path, POLICE, replace(TERMS, quota_per_day=2))
    ledgers = book(database, police, clock)
    for case in (1, 2):
        await answered(ledgers, signed(police, case=case, number=case))
    await refused(ledgers, signed(police, case=3, number=3))
    clock.at += DAY
    await answered(ledgers, signed(police, case=4, number=4))


async def test_of_many_at_once_no_more_are_answered_than_the_quota_has(database: Database, tmp_path: Path) -> None:
    police = holding(tmp_path, POLICE)
    ledgers = book(database, police, FakeClock())
    wanted = [signed(police, number=number) for number in range(5)]
    for one in wanted:
        await ledgers.hold(one)
    ended = await asyncio.gather(*(ledgers.answer(one) for one in wanted), return_exceptions=True)
    assert sum(end is None for end in ended) == 1
    assert all(end is None or (isinstance(end, IsthmusError) and end.reason is Reason.NOT_RELEASABLE) for end in ended)


async def test_a_failed_session_gives_nothing_back(database: Database, tmp_path: Path) -> None:
    police = holding(tmp_path, POLICE)
    ledgers = book(database, police, FakeClock())
    first = signed(police, number=1)
    await answered(ledgers, first)
    ledgers.let_go(first.digest)
    await refused(ledgers, signed(police, number=2))


async def test_the_audit_log_of_an_owner_names_no_case(database: Database, tmp_path: Path) -> None:
    police = holding(tmp_path, POLICE)
    await answered(book(database, police, FakeClock()), signed(police, case=12))
    (fact,) = [f for f in await database.audit.read(start=0, limit=100) if f.kind == "person.answered"]
    assert fact.detail == f"datasets {police.dataset.name}"


def test_an_agent_with_one_steward_has_no_policy_for_it(tmp_path: Path) -> None:
    with pytest.raises(IsthmusError) as caught:
        check_holding(holding(tmp_path, POLICE), ())
    assert caught.value.reason is Reason.CONFIGURATION and "2 stewards" in caught.value.public
