"""Row 41: an audit log that was edited, cut or forked is named, and no session begins on it.

First at a running agent, over its own connection; then in a federation, whose members hold each other's receipts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.domain.errors import Reason
from gateway.domain.revocation import Belief
from gateway.domain.session import Approval, Refusal
from gateway.edges import keys
from gateway.edges.audit_heads import OWN_RECEIPT
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.documents import Writer
from gateway.edges.store.database import Database
from tests.attacks.lone import until
from tests.attacks.rogue import CARE, World
from tests.attacks.test_run_past_its_gateway import agree, refusal
from tests.e2e.shell import QUERIES, Shell
from tests.ports.tampering import edit, forked, rows

# The guard looks every two seconds, and hashes a short log again each time.
NOTICED_WITHIN = 20.0


def database(world: World) -> Path:
    return world.home(CARE) / "agent.db"


async def answer(world: World) -> Approval | Refusal:
    contract = world.contract()
    return await world.line.propose(world.sign(contract), world.chains(contract))


async def comes_to_refuse(world: World) -> None:
    async with asyncio.timeout(NOTICED_WITHIN):
        while not isinstance(found := await answer(world), Refusal):
            await asyncio.sleep(0.2)
    assert (found.reason, found.space) == (Reason.AUDIT_BROKEN, CARE)
    assert "record" not in found.text + found.advice


@pytest_asyncio.fixture(loop_scope="module")
async def whole(world: World) -> AsyncIterator[World]:
    """The agent with a log of some length that holds; as it was, afterwards."""
    for _ in range(4):
        assert isinstance(await answer(world), Approval)
    yield world
    if world.agent is None:
        await world.start_agent()
    assert isinstance(await answer(world), Approval)


@pytest.mark.asyncio(loop_scope="module")
async def test_41_an_agent_whose_log_is_edited_begins_nothing_more(whole: World) -> None:
    agreed = await agree(whole)
    edit(database(whole), "UPDATE facts SET record = replace(record, 'contract.', 'Contract.') WHERE position = 1")
    await comes_to_refuse(whole)
    # What it approved before does not run either, and what was undone does not help.
    found = await refusal(whole, agreed.token, list(agreed.approvals.values()), agreed.chains)
    assert found.reason is Reason.AUDIT_BROKEN
    edit(database(whole), "UPDATE facts SET record = replace(record, 'Contract.', 'contract.') WHERE position = 1")
    await comes_to_refuse(whole)
    refused = [fact for fact in whole.facts() if fact.kind == "contract.refused"]
    assert "record 1 is not what was hashed when it was written" in refused[-1].detail
    await whole.restart_agent()


@pytest.mark.asyncio(loop_scope="module")
async def test_41_an_agent_that_starts_on_an_edited_log_begins_nothing(whole: World) -> None:
    await whole.stop_agent()
    edit(database(whole), "UPDATE facts SET record = replace(record, '\"at\":1', '\"at\":2') WHERE position = 2")
    await whole.start_agent()
    await comes_to_refuse(whole)
    edit(database(whole), "UPDATE facts SET record = replace(record, '\"at\":2', '\"at\":1') WHERE position = 2")
    await whole.restart_agent()


@pytest.mark.asyncio(loop_scope="module")
async def test_41_an_agent_whose_last_facts_are_cut_off_with_their_tree_begins_nothing_more(whole: World) -> None:
    before = rows(database(whole))
    forked(database(whole), before[:-3])
    await comes_to_refuse(whole)
    await whole.stop_agent()
    forked(database(whole), before)


@pytest.mark.asyncio(loop_scope="module")
async def test_41_an_agent_whose_log_is_forked_begins_nothing_more(whole: World) -> None:
    before = rows(database(whole))
    forked(database(whole), [before[0].replace("contract.approved", "nothing"), *before[1:]])
    await comes_to_refuse(whole)
    await whole.stop_agent()
    forked(database(whole), before)


@pytest.mark.asyncio(loop_scope="module")
async def test_41_an_agent_that_starts_on_a_log_that_its_own_receipt_contradicts_begins_nothing(whole: World) -> None:
    await whole.stop_agent()
    before = rows(database(whole))
    await _sign(whole)
    forked(database(whole), [record.replace("session ", "Session ") for record in before])
    await whole.start_agent()
    await comes_to_refuse(whole)
    await whole.stop_agent()
    forked(database(whole), before)


async def _sign(world: World) -> None:
    """What the agent keeps when it signs a receipt."""
    key = keys.load_signing_key(world.home(CARE) / "agent" / "contract.pem")
    writer = Writer(CARE, lambda: key, SystemClock(), SystemIds())
    async with await Database.open(f"sqlite+aiosqlite:///{database(world)}") as opened:
        head = await opened.audit.head()
        said = {"tree_size": head.size, "tree_head": head.root}
        receipt = writer.receipt(world.contract(), "d" * 64, said)
        await opened.beliefs.keep(OWN_RECEIPT, Belief(CARE, head.size, receipt))


# In a federation that nobody needs any more: its logs are broken afterwards.


@pytest.fixture(scope="module")
def own(apart: Shell) -> Shell:
    for _ in range(2):
        done = apart("run", QUERIES / "form_year.yaml", "--json")
        assert done.code == 0, done.err
    return apart


def config(shell: Shell, space: str, process: str) -> Path:
    return shell.folder / "spaces" / space / f"{process}.toml"


def verified(shell: Shell, space: str, process: str = "agent", *more: object) -> tuple[int, dict[str, Any]]:
    done = shell("audit", "verify", "--config", config(shell, space, process), *more, "--json")
    assert done.is_one_line() or done.code == 0, done.err
    return done.code, done.json


def comes_to_be_refused(shell: Shell, said: str) -> bool:
    """Whether a question is refused for what is `said`, once the guard has looked."""

    def is_refused() -> bool:
        done = shell("run", QUERIES / "form_year.yaml")
        return done.code == 3 and said in done.err

    return until(is_refused, NOTICED_WITHIN)


def test_41_every_log_of_a_federation_holds_and_fits_every_receipt(own: Shell) -> None:
    for space in ("care", "police", "registry", "neutral"):
        code, report = verified(own, space, "gateway")
        assert code == 0
        assert [(log["log"], log["holds"], log["heads"]) for log in report["logs"]] == [
            ("gateway", True, 0),
            ("agent", True, 2),
        ]
        assert report["forks"] == []
        # By itself the agent knows the head that it signed last.
        assert verified(own, space)[1]["logs"][0]["heads"] == 1
    anchor = own("audit", "verify", "--config", own.folder / "anchor" / "anchor.toml", "--json")
    assert [log["log"] for log in anchor.json["logs"] if log["holds"]] == ["anchor"]


def test_41_a_forked_log_is_named_by_receipts_that_lie_elsewhere(own: Shell, tmp_path: Path) -> None:
    file = own.folder / "spaces" / "police" / "agent.db"
    before = rows(file)
    place = next(n for n, record in enumerate(before) if "session.output" in record)
    before[place] = before[place].replace("session.output", "session.nothing")
    forked(file, before)
    edit(file, f"DELETE FROM beliefs WHERE kind = '{OWN_RECEIPT}'")
    # By itself the log looks whole; its own gateway's receipts say otherwise, and those of any other.
    assert verified(own, "police")[0] == 0
    heads = tmp_path / "heads.json"
    given = own(
        "audit", "heads", "--of", "https://police.example", "--config", config(own, "care", "gateway"), "--json"
    )
    heads.write_text(given.out)
    for code, report in (verified(own, "police", "gateway"), verified(own, "police", "agent", "--heads", heads)):
        assert code == 3
        broken = report["logs"][-1]["break"]
        assert broken["position"] == 0
        assert broken["text"].startswith("one of the records 0 to ")
    assert comes_to_be_refused(own, "the audit log is not what was written to it")


def test_41_a_gateway_whose_log_is_edited_takes_no_question(own: Shell) -> None:
    file = own.folder / "spaces" / "care" / "gateway.db"
    edit(file, "UPDATE facts SET record = replace(record, 'kind\":\"', 'kind\":\"un') WHERE position = 5")
    record = json.loads(rows(file)[5])
    code, report = verified(own, "care", "gateway")
    assert code == 3
    text = "record 5 is not what was hashed when it was written"
    found = {"text": text, "position": 5, "kind": record["kind"], "at": record["at"]}
    assert report["logs"][0]["break"] == found

    assert comes_to_be_refused(own, "the audit log is not what was written to it")
