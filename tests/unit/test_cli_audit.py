"""`isthmus audit` on databases beside configurations: what it says, proves and exports, and how it ends."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from typer.testing import CliRunner, Result

from gateway import config
from gateway.cli.app import app
from gateway.cli.init import Wanted, lay_out
from gateway.domain.audit import Fact
from gateway.domain.computation import Computation, Receipt, Role, State
from gateway.domain.identity import EntityId
from gateway.edges import keys
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.documents import Writer
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.store.database import Database
from gateway.flows.witness import Witness
from tests import examples
from tests.ports.tampering import edit, forked, rows

ENTITY = EntityId("https://care.example")
SIZE = 9


class Space:
    """What `isthmus gateway init` lays out, with two logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        lay_out(folder, Wanted.checked(ENTITY, "127.0.0.1:9", "", "NL"), int(time.time()))
        self.gateway, self.agent = folder / "gateway.toml", next(folder.rglob("agent.toml"))
        for file in (self.gateway, self.agent):
            facts = [Fact(100 + n, f"kind.{n}", "ann", "it", f"detail {n}") for n in range(SIZE)]
            self.within(file, lambda database, facts=facts: database.audit.append(facts))  # type: ignore[misc]

    def database(self, file: Path) -> Path:
        url = next(line for line in file.read_text().splitlines() if line.startswith("database"))
        return Path(config.database_url(url.split('"')[1], file.parent).removeprefix("sqlite+aiosqlite:///"))

    def within(self, file: Path, work: Callable[[Database], Coroutine[Any, Any, Any]]) -> Any:
        async def opened() -> Any:
            async with await Database.open(f"sqlite+aiosqlite:///{self.database(file)}") as database:
                return await work(database)

        return asyncio.run(opened())

    def contract_key(self) -> SigningKey:
        return keys.load_signing_key(next(self.agent.parent.rglob("contract*.pem")))

    def receipt(self, size: int, *, entity: str = ENTITY, key: SigningKey | None = None, root: str = "") -> str:
        """What the agent signs when its log has this size."""
        head = self.within(self.agent, lambda database: database.audit.head_at(size))
        writer = Writer(entity, lambda: key or self.contract_key(), SystemClock(), SystemIds())
        return writer.receipt(examples.contract(), "d" * 64, {"tree_size": size, "tree_head": root or head.root})

    def gateway_holds(self, *receipts: str) -> None:
        """A computation that ended with these receipts."""
        plain = Receipt(ENTITY, "", (), 11, False, 0, "", 0, 0, 0.0, "")
        made = Computation(
            id=SystemIds().fresh(), role=Role.HOME, requester="ann", request_id="", request_digest="",
            state=State.RELEASED, query="", contract="", contract_digest="", created=1, updated=1, expires=2,
            receipts=tuple(replace(plain, token=receipt) for receipt in receipts),
        )  # fmt: skip
        self.within(self.gateway, lambda database: database.computations.create(made, []))


@pytest.fixture
def space(tmp_path: Path) -> Space:
    return Space(tmp_path / "space")


def isthmus(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def told(*arguments: object) -> Any:
    done = isthmus(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_logs_that_hold_are_said_to_hold(space: Space) -> None:
    space.gateway_holds(space.receipt(3), space.receipt(SIZE))
    report = told("verify", "--config", space.gateway)
    assert [(log["log"], log["holds"], log["size"], log["heads"]) for log in report["logs"]] == [
        ("gateway", True, SIZE, 0), ("agent", True, SIZE, 2),
    ]  # fmt: skip
    assert report["forks"] == []
    done = isthmus("verify", "--config", space.agent)
    assert done.exit_code == 0
    assert "The agent's log of https://care.example holds: 9 records" in done.stdout.replace("\n", " ")


def test_an_edited_record_is_named_with_what_it_says(space: Space) -> None:
    edit(space.database(space.agent), "UPDATE facts SET record = replace(record, 'ann', 'bob') WHERE position = 4")
    done = isthmus("verify", "--config", space.agent, "--json")
    assert done.exit_code == 3
    (log,) = json.loads(done.stdout)["logs"]
    text = "record 4 is not what was hashed when it was written"
    assert not log["holds"]
    assert log["break"] == {"text": text, "position": 4, "kind": "kind.4", "at": 104}
    assert text in done.stderr and done.stderr.count("\n") == 1


def test_a_fork_is_found_by_the_receipts_that_the_own_gateway_holds(space: Space) -> None:
    space.gateway_holds(space.receipt(3), space.receipt(6))
    database = space.database(space.agent)
    forked(database, [record.replace("detail 4", "detail x") for record in rows(database)])
    assert isthmus("verify", "--config", space.agent).exit_code == 0
    done = isthmus("verify", "--config", space.gateway, "--json")
    assert done.exit_code == 3
    own, agent = json.loads(done.stdout)["logs"]
    assert own["holds"] and not agent["holds"]
    assert agent["break"]["position"] == 3
    assert agent["break"]["text"].startswith(
        "one of the records 3 to 5 is not what it was when the receipt of session "
    )


def test_a_fork_is_found_by_the_heads_that_somebody_else_holds(space: Space, tmp_path: Path) -> None:
    space.gateway_holds(space.receipt(SIZE))
    heads = tmp_path / "heads.json"
    heads.write_text(isthmus("heads", "--config", space.gateway, "--of", ENTITY, "--json").stdout)
    assert [head["size"] for head in json.loads(heads.read_text())["heads"]] == [SIZE]
    assert told("verify", "--config", space.agent, "--heads", heads)["logs"][0]["heads"] == 1
    database = space.database(space.agent)
    forked(database, rows(database)[:-2])
    done = isthmus("verify", "--config", space.agent, "--heads", heads)
    assert done.exit_code == 3
    assert "record 7 is missing" in done.stderr


def test_nobody_accuses_a_log_with_a_head_that_its_agent_did_not_sign(space: Space, tmp_path: Path) -> None:
    forged = [
        space.receipt(SIZE, key=new_signing_key(), root="00" * 32),
        space.receipt(SIZE, entity="https://police.example", root="00" * 32),
        "nonsense",
    ]
    heads = tmp_path / "heads.json"
    heads.write_text(json.dumps({"heads": [{"receipt": receipt} for receipt in forged]}))
    assert told("verify", "--config", space.agent, "--heads", heads)["logs"][0]["heads"] == 0


def test_receipts_that_cannot_both_be_true_show_a_fork_until_it_is_accepted(space: Space) -> None:
    police, key = "https://police.example", new_signing_key()
    both = [space.receipt(5, entity=police, key=key, root=root * 32) for root in ("aa", "bb")]
    space.gateway_holds(*both)
    done = isthmus("verify", "--config", space.gateway, "--json")
    assert done.exit_code == 3
    (found,) = json.loads(done.stdout)["forks"]
    assert found["space"] == police
    assert found["text"].startswith("two heads over the same 5 records")
    assert told("accept", police, "--config", space.gateway) == {"entity": police, "accepted": False}
    # What the gateway noticed itself is shown, whatever became of the computation; and not once it is accepted.
    for receipt in both:
        space.within(space.gateway, lambda database, receipt=receipt: _noticed(database, receipt))  # type: ignore[misc]
    again = json.loads(isthmus("verify", "--config", space.gateway, "--json").stdout)
    assert again["forks"] == [found]
    assert told("accept", police, "--config", space.gateway) == {"entity": police, "accepted": True}
    assert told("verify", "--config", space.gateway)["forks"] == []


async def _noticed(database: Database, receipt: str) -> None:
    plain = Receipt("", "", (), 11, False, 0, "", 0, 0, 0.0, receipt)
    await Witness(database.beliefs, database.audit, SystemClock()).see([plain])


def test_a_log_that_does_not_hold_proves_nothing(space: Space) -> None:
    edit(space.database(space.agent), "UPDATE facts SET record = replace(record, 'ann', 'bob') WHERE position = 4")
    done = isthmus("prove", "4", "--config", space.agent)
    assert (done.exit_code, done.stdout) == (3, "")
    assert isthmus("prove", "5", "--config", space.agent).exit_code == 0
    edit(space.database(space.agent), "DELETE FROM nodes WHERE level = 2 AND position = 0")
    assert isthmus("prove", "5", "--config", space.agent).exit_code == 3


@pytest.mark.parametrize("arguments", [("2",), ("0", "--size", "1"), ("8", "--size", "9"), ("--since", "5")])
def test_a_proof_is_checked_by_itself(space: Space, tmp_path: Path, arguments: Sequence[str]) -> None:
    file = tmp_path / "proof.json"
    for flag in ([], ["--json"]):
        file.write_text(isthmus("prove", *arguments, "--config", space.agent, *flag).stdout)
        proof = json.loads(file.read_text())
        assert told("check-proof", file, "--root", proof["root"])["holds"] is True
    assert told("check-proof", file)["root"] == proof["root"]
    assert isthmus("check-proof", file, "--root", "00" * 32).exit_code == 3
    for change in ({"root": "00" * 32}, {"size": 10**9}, {"path": [*proof["path"], "00" * 32]}, {"path": ["xyz"]}):
        file.write_text(json.dumps({**proof, **change}))
        assert isthmus("check-proof", file).exit_code == 3
    changed = {"record": "{}"} if proof["kind"] == "inclusion" else {"since_root": "00" * 32}
    file.write_text(json.dumps({**proof, **changed}))
    assert isthmus("check-proof", file).exit_code == 3


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": []}', '{"kind": "inclusion"}', '{"kind": "other"}', "\xff"])
def test_what_is_no_proof_is_a_wrong_use(tmp_path: Path, text: str) -> None:
    file = tmp_path / "proof.json"
    file.write_bytes(text.encode("latin-1"))
    done = isthmus("check-proof", file)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("prove",),
        ("prove", "9"),
        ("prove", "0", "--size", "10"),
        ("prove", "--since", "0"),
        ("prove", "1", "--since", "1"),
    ],
)
def test_what_cannot_be_proven_is_a_wrong_use(space: Space, arguments: Sequence[str]) -> None:
    assert isthmus(*arguments, "--config", space.agent).exit_code == 2


def test_an_export_has_every_record_with_the_hash_that_anybody_can_make_of_it(space: Space) -> None:
    done = isthmus("export", "--config", space.gateway, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["position"] for line in lines] == list(range(SIZE))
    for line in lines:
        assert line["leaf"] == hashlib.sha256(b"\0" + rfc8785.dumps(line["fact"])).hexdigest()
    some = isthmus("export", "--config", space.gateway, "--from", 3, "--to", 5)
    assert some.stdout.splitlines()[0] == "3  1970-01-01T00:01:43Z  kind.3  ann  it  detail 3"
    assert len(some.stdout.splitlines()) == 3


def test_an_export_shows_an_edited_record_as_it_is_and_in_one_line(space: Space) -> None:
    edit(space.database(space.gateway), "UPDATE facts SET record = 'x' || char(10) || char(27) WHERE position = 3")
    assert isthmus("export", "--config", space.gateway, "--from", 3, "--to", 3).stdout == "3  x  \n"
    line = json.loads(isthmus("export", "--config", space.gateway, "--from", 3, "--to", 3, "--json").stdout)
    assert line["fact"] == "x\n\x1b"


def test_a_database_that_is_not_there_is_not_made(space: Space) -> None:
    database = space.database(space.agent)
    database.unlink()
    done = isthmus("verify", "--config", space.agent)
    assert done.exit_code == 2
    assert "there is no database" in done.stderr
    assert not database.exists()


def test_heads_lie_with_a_gateway(space: Space, tmp_path: Path) -> None:
    assert isthmus("heads", "--config", space.agent).exit_code == 2
    assert isthmus("accept", ENTITY, "--config", space.agent).exit_code == 2
    assert isthmus("verify", "--config", tmp_path / "none.toml").exit_code == 2
    assert isthmus("verify", "--config", space.agent, "--heads", space.agent).exit_code == 2
