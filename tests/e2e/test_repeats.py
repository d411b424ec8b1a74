"""A question that was answered before is answered from what every seat kept: at once, alike, and without a session
(THREATS row 34). It asks of rows that no other test asks of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.client import AsyncClient, load_query
from gateway.client.summary import summary
from gateway.domain.computation import Computation, State
from gateway.domain.query import Filter, Query, Source
from gateway.domain.result import Table
from gateway.edges.store.database import Database
from gateway.sandbox.data import YEAR
from tests.attacks.lone import until
from tests.e2e.shell import QUERIES, Shell

BASE = load_query(QUERIES / "form_year.yaml").query
YEARS = (Filter(YEAR, one_of=("2010", "2012", "2014")),)
ASKED = replace(BASE, sources=tuple(Source(source.dataset, YEARS) for source in BASE.sources))
SEATS = ("care", "police", "neutral")
FOUR = (*SEATS, "registry")
# The same in other words, with its lists in another order.
OTHERWISE = replace(
    ASKED,
    title="The same in other words",
    sources=tuple(reversed(ASKED.sources)),
    statistic=replace(
        ASKED.statistic, count_by=replace(ASKED.statistic.count_by, columns=(YEAR, BASE.statistic.count_by.columns[0]))
    ),
)


async def ask(shell: Shell, query: Query, space: str, client: str) -> tuple[Computation, Table]:
    async with AsyncClient(shell.profile(space, client)) as asker:
        created = await asker.create(query)
        async for seen in asker.watch(created.name):
            created = seen
        assert created.state is State.RELEASED, created.ending
        return created, await asker.result(created)


def cells(table: Table) -> dict[frozenset[tuple[str, str]], int | None]:
    return {frozenset(zip(table.columns, row.codes, strict=True)): row.count for row in table.rows}


def kinds(shell: Shell, about: str) -> dict[str, list[str]]:
    """What each agent has on record of a contract, after it approved it."""
    of_agents = {space: shell.facts(space, database="agent.db") for space in FOUR}
    return {
        space: [fact.kind for fact in facts if fact.about == about and fact.kind != "contract.approved"]
        for space, facts in of_agents.items()
    }


async def answers(shell: Shell) -> list[int]:
    counts = []
    for space, dataset in (("care", "la"), ("police", "pfnca"), ("registry", "go")):
        url = f"sqlite+aiosqlite:///{shell.folder}/spaces/{space}/agent.db"
        async with await Database.open(url) as database:
            counts.append(len(await database.ledger.answers(f"spaces/{space}.example/datasets/{dataset}")))
    return counts


@pytest.fixture
async def first(shell: Shell) -> tuple[Computation, Table]:
    """An answer of which every seat has kept its share: the first that any test got."""
    done = await ask(shell, ASKED, "care", "analyst")
    if not done[0].receipts[0].redelivered:
        assert until(lambda: all("kept.stored" in kinds(shell, done[0].contract_digest)[space] for space in SEATS))
    return done


async def test_34_a_repeat_gets_the_same_table_from_any_gateway_and_no_party_computes(
    shell: Shell, first: tuple[Computation, Table]
) -> None:
    computed = first[0].receipts[0].redelivered or first[0].contract_digest
    # A party that was used is replaced by another.
    before, parties = await answers(shell), shell.sandbox.process_ids()["party"]
    for query, space, client in (
        (ASKED, "care", "analyst"),
        (ASKED, "care", "operator"),
        (ASKED, "police", "analyst"),
        (OTHERWISE, "police", "analyst"),
        (OTHERWISE, "registry", "analyst"),
    ):
        again, same = await ask(shell, query, space, client)
        assert cells(same) == cells(first[1])
        assert {receipt.redelivered for receipt in again.receipts} == {computed}
        assert {(receipt.bytes_sent, receipt.rounds) for receipt in again.receipts} == {(0, 0)}
        assert summary(again).redelivered == computed
        said = kinds(shell, again.contract_digest)
        for seat in SEATS:
            assert said[seat][-3:] == ["redelivery.started", "redelivery.output", "redelivery.completed"]
        assert said["registry"] == ["ledger.answered", "redelivery.started", "redelivery.completed"]
        assert not [kind for seen in said.values() for kind in seen if kind.startswith(("session.", "kept."))]
    assert shell.sandbox.process_ids()["party"] == parties
    assert await answers(shell) == before


async def test_34_the_receipt_says_that_no_session_was_run(shell: Shell, first: tuple[Computation, Table]) -> None:
    computed = first[0].receipts[0].redelivered or first[0].contract_digest
    text = (QUERIES / "form_year.yaml").read_text()
    for source in BASE.sources:
        years = f"    filters:\n      - column: {YEAR}\n        one_of: ['2010', '2012', '2014']\n"
        text = text.replace(f"  - dataset: {source.dataset}\n", f"  - dataset: {source.dataset}\n{years}")
    query = shell.file("repeat.yaml", text)
    done = shell("run", query, "--json")
    assert done.code == 0, done.err
    assert done.json["receipt"]["redelivered"] == computed
    done = shell("run", query, COLUMNS="200")
    assert f"answered from shares kept of contract {computed}; no session was run" in done.out


async def test_34_a_demonstration_is_computed(shell: Shell, first: tuple[Computation, Table]) -> None:
    again, same = await ask(shell, replace(ASKED, demo_view=True), "care", "analyst")
    assert cells(same) == cells(first[1])
    assert {receipt.redelivered for receipt in again.receipts} == {""}
    assert again.views
