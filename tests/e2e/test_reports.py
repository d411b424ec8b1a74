"""Reports of a running federation: what they say is what its databases hold."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.e2e.shell import QUERIES, Shell

LA = "spaces/care.example/datasets/la"


def rows(database: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(statement, values).fetchall()


def test_a_question_stands_in_the_reports_of_its_owner_and_of_every_gateway(shell: Shell) -> None:
    # The same question as others ask, so that no ledger has anything against it.
    run = shell("run", QUERIES / "form_year.yaml", "--json")
    assert run.code == 0, run.err
    care = shell.folder / "spaces" / "care"
    done = shell("reports", "dataset", "la", "--agent", care / "agent.toml", "--json")
    assert done.code == 0, done.err
    told = done.json
    assert told["dataset"] == LA
    (mine,) = [item for item in told["asked"] if item["contract"] == run.json["contract"]]
    assert (mine["requester"], mine["initiator"]) == ("analyst", "https://care.example")
    assert mine["outcome"] in ("released", "delivered again")  # whoever asked first
    assert [to["jurisdiction"] for to in mine["recipients"]] == ["GB"]
    (receipt,) = [one for one in run.json["receipt"]["audit_heads"] if one["entity"] == "https://care.example"]
    assert (mine["record"] + 1, mine["head"]) == (receipt["size"], receipt["root"])
    agent = care / "agent.db"
    ((answers,),) = rows(agent, "SELECT count(*) FROM answers WHERE dataset = ?", LA)
    assert told["answers"] == answers
    ((approved,),) = rows(agent, "SELECT count(*) FROM approvals WHERE at < ?", told["until"])
    assert len(told["asked"]) <= approved
    assert {item["contract"] for item in told["asked"]} <= {
        digest for (digest,) in rows(agent, "SELECT digest FROM approvals")
    }
    refused = {item["contract"] for item in told["refused_by_rows"]}
    assert refused <= {contract for (contract,) in rows(agent, "SELECT contract FROM refusals")}

    id = run.json["computation"].removeprefix("computations/")
    records = []
    for space in ("care", "police"):
        config = shell.folder / "spaces" / space / "gateway.toml"
        record = shell("reports", "computation", id, "--config", config, "--json")
        assert record.code == 0, record.err
        records.append(record.json)
        counts = [row["count"] for row in run.json["rows"] if row["count"] is not None and row["count"] > 99]
        assert not any(f": {count}," in record.out for count in counts)
    home, guest = records
    assert home["asked"] == guest["asked"] and home["receipts"] == guest["receipts"]
    assert (home["role"], guest["role"], home["contract"]) == ("HOME", "PARTICIPANT", run.json["contract"])
    assert [one["jurisdiction"] for one in home["asked"]["controllers"]] == ["GB"] * 3


def test_a_page_is_written_for_its_owner_alone_and_mistakes_are_one_line(shell: Shell) -> None:
    agent = shell.folder / "spaces" / "care" / "agent.toml"
    page = shell.home / "report.html"
    page.write_text("old")
    page.chmod(0o644)
    done = shell("reports", "dataset", LA, "--agent", agent, "--since", "2020-01-01", "--html", page)
    assert done.code == 0 and done.out.startswith("Written to "), done
    assert page.read_text().startswith("<!DOCTYPE html>") and "old" not in page.read_text()[:100]
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    gateway = agent.with_name("gateway.toml")
    for wrong in (
        ("dataset", "nothing", "--agent", agent),
        ("dataset", "la", "--agent", agent, "--since", "yesterday"),
        ("dataset", "la", "--agent", gateway),
        ("computation", "0" * 32, "--config", gateway),
    ):
        refused = shell("reports", *wrong)
        assert (refused.code, refused.is_one_line()) == (2, True), refused
