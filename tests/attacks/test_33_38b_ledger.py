"""Questions that would tell about few people by what was answered before, asked of a running federation over its ports
(THREATS rows 33, 34, 35, 36, 37 and 38b)."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.client import AsyncClient, Profile, load_query
from gateway.domain.computation import Computation, State
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Between, CountBy, Filter, Query, Source, Statistic
from gateway.domain.result import Table
from gateway.edges.store.database import Database
from gateway.sandbox.data import FORM, REFERRED, YEAR, YEARS
from gateway.sandbox.federation import Sandbox, running
from tests.e2e.shell import QUERIES
from tests.e2e.truth import everyone

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
LA, GO = "spaces/care.example/datasets/la", "spaces/registry.example/datasets/go"
PFNCA, CARE = "spaces/police.example/datasets/pfnca", "https://care.example"
BASE = load_query(QUERIES / "form_year.yaml").query
NOISED = load_query(QUERIES / "noise.yaml").query  # for an ε of 1


@dataclass
class Asking:
    sandbox: Sandbox
    client: AsyncClient

    async def ask(self, query: Query, client: AsyncClient | None = None) -> Computation:
        asker = client or self.client
        created = await asker.create(query)
        async for computation in asker.watch(created.name):
            last = computation
        return last

    async def table(self, query: Query) -> Table:
        return await self.client.result(await self.ask(query))

    async def refused(self, query: Query) -> tuple[str, ...]:
        """What the asker hears of a question that is not answered, in a dry run of which nothing is said."""
        assert not (await self.client.plan(query)).refusals
        ended = await self.ask(query)
        assert ended.state is State.REJECTED and ended.ending is not None and not ended.shares
        # Which spaces refuse is told; what each says is to be the same.
        (text,) = {part.partition(": ")[2] for part in ended.ending.text.split("; ")}
        return ended.ending.reason, ended.ending.phase, text, ended.ending.action

    def rows(self, space: str, name: str) -> list[dict[str, str]]:
        file = self.sandbox.folder / "spaces" / space / "data" / f"{name}.csv"
        with file.open(encoding="utf-8", newline="") as opened:
            return list(csv.DictReader(opened))

    async def objections(self, space: str) -> list[str]:
        async with await self._ledger(space) as database:
            facts = await database.audit.read(start=0, limit=10_000)
        return [fact.detail for fact in facts if fact.kind == "ledger.refused"]

    async def answers(self, space: str, dataset: str) -> int:
        async with await self._ledger(space) as database:
            return len(await database.ledger.answers(dataset))

    async def spent(self, space: str, dataset: str) -> dict[str, int]:
        """In units of 1/10000 of ε, by who asked."""
        async with await self._ledger(space) as database:
            return await database.ledger.charges(dataset)

    async def _ledger(self, space: str) -> Database:
        return await Database.open(f"sqlite+aiosqlite:///{self.sandbox.folder}/spaces/{space}/agent.db")

    def differing(self) -> Query:
        """The same question but for a few people at the end of a list."""
        days = Counter(row[REFERRED] for row in self.rows("care", "la"))
        kept, last = sum(days.values()), max(days)
        for day in sorted(days, reverse=True):
            kept -= days[day]
            if 0 < sum(days.values()) - kept < 11:
                last = max(other for other in days if other < day)
                break
        return filtered(LA, Filter(REFERRED, between=Between(min(days), last)))

    def singling_out(self) -> Query:
        """A combination that a few people of the list have."""
        forms = Counter(row[FORM] for row in self.rows("care", "la"))
        rare = min((form for form in forms if forms[form] < 11), key=forms.__getitem__)
        return filtered(LA, Filter(FORM, equals=rare))


def filtered(dataset: str, *filters: Filter) -> Query:
    return replace(BASE, sources=tuple(Source(s.dataset, filters) if s.dataset == dataset else s for s in BASE.sources))


def without(dataset: str) -> Query:
    return replace(BASE, sources=tuple(source for source in BASE.sources if source.dataset != dataset))


def _budgets(folder: Path) -> None:
    """An edition of one list answers two questions, whoever asks; another list has a privacy budget for two."""
    file = folder / "spaces" / "registry" / "datasets" / "go.policy.toml"
    file.write_text(file.read_text() + "questions = 2\n")
    file = folder / "spaces" / "police" / "datasets" / "pfnca.policy.toml"
    assert 'budget = "8"' in file.read_text()
    file.write_text(file.read_text().replace('budget = "8"', 'budget = "2"'))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asking]:
    """A federation that has answered one question, the first of two that one of its lists allows."""
    folder = tmp_path_factory.mktemp("ledger")
    with (folder / "log").open("ab") as log:
        async with (
            running(folder / "federation", edit=_budgets, log=log.fileno()) as sandbox,
            AsyncClient(Profile.load(sandbox.profile())) as client,
        ):
            asking = Asking(sandbox, client)
            assert (await asking.ask(BASE)).state is State.RELEASED
            yield asking


async def test_33_a_question_whose_rows_differ_by_few_is_refused(asking: Asking) -> None:
    assert (await asking.refused(asking.differing()))[0] == Reason.NOT_RELEASABLE
    assert (await asking.objections("care"))[-1].endswith("differ by fewer than the least cell")


async def test_34_the_same_question_gets_the_same_answer_and_costs_nothing(asking: Asking) -> None:
    before = await asking.answers("registry", GO)
    again = replace(BASE, title="In other words", sources=tuple(reversed(BASE.sources)))
    assert await asking.table(again) == await asking.table(BASE)
    assert await asking.answers("registry", GO) == before == 1


async def test_36_an_identifier_is_not_filtered_on(asking: Asking) -> None:
    born = asking.rows("care", "la")[0]["prs_Birthdate"]
    with pytest.raises(IsthmusError) as caught:
        await asking.client.create(filtered(LA, Filter("prs_Birthdate", equals=born)))
    assert caught.value.reason is Reason.PERMISSION_DENIED
    assert caught.value.field == "sources[0].filters[0].column"


async def test_36_a_rare_combination_is_refused(asking: Asking) -> None:
    assert (await asking.refused(asking.singling_out()))[0] == Reason.NOT_RELEASABLE
    assert (await asking.objections("care"))[-1].endswith("fewer rows than the least cell")


async def test_38b_a_source_left_out_is_a_difference(asking: Asking) -> None:
    assert (await asking.refused(without("spaces/registry.example/datasets/gp")))[0] == Reason.NOT_RELEASABLE
    assert (await asking.objections("care"))[-1].endswith("a source more or less")


async def test_35_of_ten_questions_at_once_on_a_budget_for_one_exactly_one_is_released(asking: Asking) -> None:
    assert await asking.answers("registry", GO) == 1
    years = list(combinations(map(str, YEARS), 3))[:10]
    raced = await asyncio.gather(*(asking.ask(filtered(GO, Filter(YEAR, one_of=some))) for some in years))
    assert Counter(one.state for one in raced) == {State.RELEASED: 1, State.REJECTED: 9}
    assert {one.ending.reason for one in raced if one.ending is not None} == {Reason.NOT_RELEASABLE}
    assert await asking.answers("registry", GO) == 2


async def test_35_a_budget_is_exhausted_for_every_client_and_every_space(asking: Asking) -> None:
    beyond = filtered(GO, Filter(YEAR, one_of=("2013", "2014")))
    assert (await asking.refused(beyond))[0] == Reason.NOT_RELEASABLE
    async with AsyncClient(Profile.load(asking.sandbox.profile("police"))) as police:
        ended = await asking.ask(beyond, police)
    assert ended.ending is not None and ended.ending.reason == Reason.NOT_RELEASABLE
    assert (await asking.objections("registry"))[-1].endswith("as many questions as its policy allows")


def noised(*years: str) -> Query:
    kept = (Filter(YEAR, one_of=years),)
    return replace(NOISED, sources=tuple(Source(s.dataset, kept if s.dataset == PFNCA else ()) for s in NOISED.sources))


async def test_34_noise_is_the_same_however_a_question_is_asked_again_and_costs_nothing(asking: Asking) -> None:
    two = replace(NOISED, statistic=Statistic(count_by=CountBy((FORM, YEAR))))
    turned = replace(
        two,
        title="In other words",
        statistic=Statistic(count_by=CountBy((YEAR, FORM))),
        sources=tuple(reversed(two.sources)),
        link_on=tuple(reversed(two.link_on)),
    )
    plan = await asking.client.plan(two)
    assert plan.draft.limits.epsilon == "1" and "off by at most 6 with 95 %" in plan.learns[0].what
    ended = await asking.ask(two)
    table = await asking.client.result(ended)
    assert {receipt.epsilon for receipt in ended.receipts} == {"1"}
    assert await asking.spent("police", PFNCA) == {CARE: 10_000}
    again = await asking.table(turned)
    assert sorted(((form, year), row.count) for row in again.rows for year, form in [row.codes]) == sorted(
        (row.codes, row.count) for row in table.rows
    )
    async with AsyncClient(Profile.load(asking.sandbox.profile("police"))) as police:
        assert await police.result(await asking.ask(two, police)) == table
    assert await asking.spent("police", PFNCA) == {CARE: 10_000}
    # It is noise: people on the two lists are counted otherwise, but not by much.
    listed = [person for person in everyone() if {"NG", "PFNCA"} & set(person.lists)]
    truth = Counter((person.form, str(person.year)) for person in listed)
    off = [row.count - truth[row.codes] for row in table.rows if row.count is not None and row.count >= 11]
    assert any(off) and max(map(abs, off)) <= 127


async def test_35_of_ten_noised_questions_at_once_on_a_budget_for_one_exactly_one_is_released(asking: Asking) -> None:
    assert await asking.spent("police", PFNCA) == {CARE: 10_000}
    years = list(combinations(map(str, YEARS), 3))[:10]
    raced = await asyncio.gather(*(asking.ask(noised(*some)) for some in years))
    assert Counter(one.state for one in raced) == {State.RELEASED: 1, State.REJECTED: 9}
    assert {one.ending.reason for one in raced if one.ending is not None} == {Reason.NOT_RELEASABLE}
    assert await asking.spent("police", PFNCA) == {CARE: 20_000}


async def test_35_a_privacy_budget_is_exhausted_for_every_client_of_an_operator_and_for_no_other(
    asking: Asking,
) -> None:
    beyond = noised("2013", "2014")
    assert (await asking.refused(beyond))[0] == Reason.NOT_RELEASABLE
    assert (await asking.objections("police"))[-1].endswith("less than the question's epsilon")
    async with AsyncClient(Profile.load(asking.sandbox.profile("care", "operator"))) as colleague:
        ended = await asking.ask(replace(beyond, limits=replace(beyond.limits, epsilon="0.01")), colleague)
    assert ended.ending is not None and ended.ending.reason == Reason.NOT_RELEASABLE
    async with AsyncClient(Profile.load(asking.sandbox.profile("police"))) as police:
        assert (await asking.ask(beyond, police)).state is State.RELEASED


async def test_37_refusals_that_depend_on_rows_are_one_and_count_against_the_asker_alone(asking: Asking) -> None:
    found = [
        await asking.refused(query)
        for query in (
            asking.differing(),
            asking.singling_out(),
            without("spaces/registry.example/datasets/gp"),
            filtered(GO, Filter(YEAR, one_of=("2012", "2014"))),
        )
    ]
    assert len(set(found)) == 1
    said = " ".join(found[0])
    assert not any(character.isdigit() for character in said) and "earlier" not in said
    # Somebody else is answered as before.
    async with AsyncClient(Profile.load(asking.sandbox.profile("police"))) as police:
        assert (await asking.ask(BASE, police)).state is State.RELEASED
