"""The suite of the port Retention: what is due goes with its fact, and what is not due stays whole."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from gateway.domain.approval import Approved
from gateway.domain.audit import Fact
from gateway.domain.computation import Computation, Deletion, Ending, Receipt, Role, SealedShare, State, View
from gateway.domain.decision import Delivered
from gateway.domain.sign_in import Evidence
from gateway.edges.store import schema
from gateway.edges.store.database import Database
from gateway.rules.lifecycle import LIVE
from gateway.rules.retention import DAY, Kept, Rule

Make = Callable[..., Computation]
US = "https://care.example"
END = 1_700_000_000
DAYS = 90
DUE = END + DAYS * DAY + 1
RESULTS, COMPUTATIONS = Rule(Kept.RESULTS, DAYS), Rule(Kept.COMPUTATIONS, DAYS)
SIGN_INS, CONTRACTS, PLANS = (Rule(kept, DAYS) for kept in (Kept.SIGN_INS, Kept.CONTRACTS, Kept.PLANS))
RECEIPT = Receipt("https://b.example", "c" * 64, ("o",), 11, True, 3, "f" * 64, 12345, 6, 0.75, "jws")


def released(make: Make, **changes: Any) -> Computation:
    whole: dict[str, Any] = {
        "state": State.RELEASED,
        "query": '{"title":"of whom"}',
        "contract": "a contract",
        "contract_digest": "c" * 64,
        "plan": "a plan",
        "plan_digest": "d" * 64,
        "updated": END,
        "approvals": ("a1",),
        "shares": (SealedShare(0, "ann", "AAAA"),),
        "receipts": (RECEIPT,),
        "views": (View(0, US, "open", 1, ("12",)),),
    }
    return make(**{**whole, **changes})


async def facts(database: Database) -> list[Fact]:
    return list(await database.audit.read(start=0, limit=1000))


async def test_a_result_goes_in_its_time_and_its_computation_stays(database: Database, a_computation: Make) -> None:
    whole = await database.computations.create(released(a_computation), [])
    assert await database.retention.delete(RESULTS, US, DUE - 1, 10) == 0
    assert await database.computations.get(whole.id) == whole
    assert await database.retention.delete(RESULTS, US, DUE, 10) == 1
    left = dataclasses.replace(
        whole, shares=(), views=(), revision=1, deletions=(Deletion("results", DUE, DAYS),)
    )  # fmt: skip
    assert await database.computations.get(whole.id) == left
    said = "1 of before 2023-11-14 22:13 UTC, by results_days = 90"
    assert await facts(database) == [Fact(DUE, "retention.deleted", US, "results", said)]
    assert await database.retention.delete(RESULTS, US, DUE + DAY, 10) == 0
    assert len(await facts(database)) == 1


@pytest.mark.parametrize("rule", [RESULTS, COMPUTATIONS])
async def test_what_lives_is_never_touched(database: Database, a_computation: Make, rule: Rule) -> None:
    live = [released(a_computation, state=state, request_id="") for state in sorted(LIVE)]
    for one in live:
        await database.computations.create(one, [])
    assert await database.retention.delete(rule, US, END + 1000 * DAY, 100) == 0
    for one in live:
        assert await database.computations.get(one.id) == one


async def test_what_has_just_ended_is_kept_from_then_on_however_long_it_took(
    database: Database, a_computation: Make
) -> None:
    one = await database.computations.create(released(a_computation, state=State.RUNNING), [])
    ended = dataclasses.replace(one, state=State.RELEASED, updated=DUE)
    saved = await database.computations.save(ended, [])
    assert await database.retention.delete(RESULTS, US, DUE, 10) == 0
    assert await database.computations.get(one.id) == saved


async def test_what_failed_and_held_no_result_is_not_said_to_have_lost_one(
    database: Database, a_computation: Make
) -> None:
    ending = Ending("PARTY_DIED", US, "sort", "gone", "ask again")
    one = released(a_computation, state=State.FAILED, shares=(), views=(), ending=ending)
    await database.computations.create(one, [])
    assert await database.retention.delete(RESULTS, US, DUE, 10) == 0
    assert await database.computations.get(one.id) == one


async def test_of_a_computation_an_outline_with_its_receipts_is_left(database: Database, a_computation: Make) -> None:
    home = await database.computations.create(released(a_computation), [])
    guest = released(a_computation, role=Role.PARTICIPANT, requester="https://b.example", shares=(), views=(), query="")
    await database.computations.create(guest, [])
    assert await database.retention.delete(COMPUTATIONS, US, DUE, 10) == 2
    gone = (Deletion("computations", DUE, DAYS),)
    bare = dataclasses.replace(home, query="", contract="", plan="", approvals=(), shares=(), views=(), revision=1)
    assert await database.computations.get(home.id) == dataclasses.replace(
        bare, requester="", request_id="", request_digest="", deletions=gone
    )
    kept = await database.computations.get(guest.id)
    assert kept is not None and (kept.requester, kept.contract, kept.receipts) == ("https://b.example", "", (RECEIPT,))
    assert await database.retention.delete(COMPUTATIONS, US, DUE + DAY, 10) == 0
    assert await database.retention.delete(RESULTS, US, DUE + DAY, 10) == 0


async def test_outlines_of_two_askers_stand_beside_each_other(database: Database, a_computation: Make) -> None:
    """Nobody's request_id is left that another's could be taken for."""
    for n in range(3):
        await database.computations.create(released(a_computation, requester=f"p{n}", request_id="r"), [])
    assert await database.retention.delete(COMPUTATIONS, US, DUE, 10) == 3
    assert [item.requester for item in await database.computations.list(requester=None, after="", limit=9)] == [""] * 3
    assert await database.computations.list(requester="p1", after="", limit=9) == ()


async def test_a_batch_takes_the_oldest_and_says_how_many(database: Database, a_computation: Make) -> None:
    made = [released(a_computation, updated=END - n, request_id="") for n in range(5)]
    for one in made:
        await database.computations.create(one, [])
    assert [await database.retention.delete(RESULTS, US, DUE, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert [fact.detail.split()[0] for fact in await facts(database)] == ["2", "2", "1"]


async def test_two_processes_at_once_delete_each_only_once(
    database: Database, replica: Database, a_computation: Make
) -> None:
    for _ in range(20):
        await database.computations.create(released(a_computation), [])
    stores = [database, replica] * 4
    counts = await asyncio.gather(*(store.retention.delete(RESULTS, US, DUE, 5) for store in stores))
    while more := await database.retention.delete(RESULTS, US, DUE, 5):
        counts.append(more)
    assert sum(counts) == 20
    assert sum(int(fact.detail.split()[0]) for fact in await facts(database)) == 20


async def test_evidence_of_sign_ins_goes_in_its_time(database: Database) -> None:
    old = Evidence("j1", END, "dana@ministry", "desk", "https://login.example", "d" * 64, "a.b.c", "{}")
    await database.sign_ins.keep(old, [])
    await database.sign_ins.keep(dataclasses.replace(old, jti="j2", at=END + DAY), [])
    assert await database.retention.delete(SIGN_INS, US, DUE, 10) == 1
    assert await database.sign_ins.evidence("j1") is None
    assert await database.sign_ins.evidence("j2") is not None
    (fact,) = await facts(database)
    assert (fact.kind, fact.about) == ("retention.deleted", "sign-ins")
    assert "dana" not in str(fact) and "j1" not in str(fact)


async def test_of_an_approval_the_contract_goes_and_the_approval_counts_for_ever(database: Database) -> None:
    approved = Approved("digest", "jws", "the contract", "q", "https://police.example", END)
    await database.approvals.keep(approved, [])
    assert await database.retention.delete(CONTRACTS, US, DUE, 10) == 1
    assert await database.approvals.of_question("q") == (dataclasses.replace(approved, contract=""),)
    assert await database.approvals.keep(dataclasses.replace(approved, approval="another"), []) == "jws"
    assert await database.retention.delete(CONTRACTS, US, DUE, 10) == 0


async def test_consumed_digests_ledger_and_log_are_kept_whatever_is_deleted(
    database: Database, a_computation: Make
) -> None:
    await database.once.consume("contract", US, "digest", None)
    await database.ledger.refuse("c", "https://police.example", 1, [])
    await database.computations.create(released(a_computation), [Fact(1, "kind", "ann", "it", "")])
    for rule in (RESULTS, COMPUTATIONS, SIGN_INS, CONTRACTS):
        await database.retention.delete(rule, US, END + 36_500 * DAY, 100)
    assert await database.once.consumed("contract", US, "digest")
    assert await database.ledger.refused("https://police.example", 0) == 1
    assert (await facts(database))[0].subject == "ann"


async def test_no_byte_of_what_was_deleted_is_left_in_the_files(tmp_path: Path, a_computation: Make) -> None:
    """SQLite would leave it in free pages and in its journal."""
    secrets = {
        "share": "U2hhcmVzT2ZUaGlzUmVzdWx0" * 400,
        "view": "987654321987654321",
        "contract": "contract.of.TheMinistry",
        "sign-in": "token.of.Dana",
        "approved": "approved.by.Us",
    }
    one = released(
        a_computation,
        shares=(SealedShare(0, "ann", secrets["share"]),),
        views=(View(0, US, "open", 1, (secrets["view"],)),),
        contract=secrets["contract"],
    )
    evidence = Evidence("j1", END, "dana", "desk", "https://login.example", "d" * 64, secrets["sign-in"], "{}")

    def found() -> set[str]:
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("state.db*"))
        return {name for name, secret in secrets.items() if secret.encode()[:240] in stored}

    async with await Database.open(f"sqlite+aiosqlite:///{tmp_path}/state.db") as database:
        await database.computations.create(one, [])
        await database.sign_ins.keep(evidence, [])
        await database.approvals.keep(Approved("digest", "jws", secrets["approved"], "q", US, END), [])
        assert await database.retention.scrub()
        assert found() == set(secrets)
        assert await database.retention.delete(RESULTS, US, DUE, 10) == 1
        assert await database.retention.scrub()
        assert found() == set(secrets) - {"share", "view"}
        for rule in (COMPUTATIONS, SIGN_INS, CONTRACTS):
            assert await database.retention.delete(rule, US, DUE, 10) == 1
        assert await database.retention.scrub()
        assert found() == set()
    assert found() == set()


async def test_a_file_that_somebody_reads_is_scrubbed_later(tmp_path: Path, a_computation: Make) -> None:
    path = tmp_path / "state.db"
    async with await Database.open(f"sqlite+aiosqlite:///{path}") as database:
        await database.computations.create(released(a_computation, contract="contract.of.TheMinistry"), [])
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM computations").fetchone()
        await database.retention.delete(COMPUTATIONS, US, DUE, 10)
        assert not await database.retention.scrub()
        reader.execute("COMMIT")
        reader.close()
        assert await database.retention.scrub()
        assert not any(b"TheMinistry" in file.read_bytes() for file in tmp_path.iterdir())
        assert (await database.computations.create(released(a_computation), [])).state is State.RELEASED


async def test_an_older_database_learns_what_ended_when(tmp_path: Path, a_computation: Make) -> None:
    old = tmp_path / "old.db"
    engine = create_engine(f"sqlite:///{old}")
    with engine.begin() as migrating:
        schema.migrate(migrating, "0008")
        computations = [
            {
                "id": "1" * 32,
                "state": "RELEASED",
                "updated": END,
                "shares": [{"pid": 0, "recipient": "a", "sealed": ""}],
            },
            {"id": "2" * 32, "state": "RUNNING", "updated": END, "shares": []},
            {"id": "3" * 32, "state": "FAILED", "updated": END + 5, "shares": [], "views": []},
        ]
        for item in computations:
            record = json.dumps(item)
            migrating.execute(
                text(
                    "INSERT INTO computations VALUES "
                    "(:id, 'HOME', 'ann', '', '', :state, '', 1, 1, 0, :record)"
                ),
                {"id": item["id"], "state": item["state"], "record": record},
            )  # fmt: skip
        migrating.execute(text("INSERT INTO evidence VALUES ('j', 'd', :record)"), {"record": json.dumps({"at": END})})
    engine.dispose()
    async with await Database.open(f"sqlite+aiosqlite:///{old}"):
        pass
    with sqlite3.connect(old) as connection:
        rows = connection.execute("SELECT ended, kept FROM computations ORDER BY id").fetchall()
        assert rows == [(END, "result"), (0, "record"), (END + 5, "record")]
        assert connection.execute("SELECT at FROM evidence").fetchall() == [(END,)]


async def test_a_plan_goes_with_what_was_signed_about_it_and_run_under_it(database: Database) -> None:
    for digest, expires in (("old", END), ("new", END + 1)):
        asked = Delivered(digest, "a plan", US, "session", END - 10, END - 5, expires, 0, "", 0)
        await database.inbox.deliver(asked, [])
        await database.inbox.decide(digest, f"d{digest}", "signed", END - 8, [])
        ran = Fact(END, "plan.run", US, digest, "")
        await database.inbox.run(digest, "editions", "contract", END - 7, ran, lambda signed, before: None)
    assert await database.retention.delete(PLANS, US, DUE - 1, 10) == 0
    assert await database.retention.delete(PLANS, US, DUE, 10) == 1
    assert await database.inbox.get("old") is None
    assert await database.inbox.decided("old") == ((), ())
    kept = await database.inbox.get("new")
    assert kept is not None and kept.plan == "a plan"
    signed, before = await database.inbox.decided("new")
    assert (list(signed), len(before)) == (["signed"], 1)
    said = (await facts(database))[-1]
    assert (said.kind, said.about) == ("retention.deleted", "plans")
