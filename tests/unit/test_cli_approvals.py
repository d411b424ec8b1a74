"""`isthmus approvals` on an agent's folder, without a gateway or an agent that runs."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors import desk as desks
from gateway.cli import approving_beside
from gateway.cli.app import app
from gateway.domain.contract import Contract, Limits
from gateway.domain.decision import Delivered
from gateway.edges import keys
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.documents import Writer
from gateway.edges.store.database import Database
from gateway.rules import wording
from gateway.rules.dates import day_of
from gateway.rules.plans import plan_digest
from gateway.rules.profiles import DAY
from gateway.rules.records import from_bytes
from gateway.sandbox.anchor import NAME
from gateway.sandbox.layout import SPACES, lay_out
from tests import examples

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = re.search(r"```json\n(.*?)```", (DOCS / "contract.md").read_text(), flags=re.S)


@dataclass
class Desk:
    """The agent's folder of `care`, whose dataset `ng` wants two stewards; and what they do."""

    folder: Path
    home: Path

    @property
    def config(self) -> Path:
        return self.home / "agent.toml"

    def __call__(self, command: str, *arguments: object, code: int = 0) -> Any:
        line = ["approvals", command, *map(str, arguments), "--agent", str(self.config), "--json"]
        done = CliRunner().invoke(app, line)
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)

    def key(self, name: str) -> Path:
        return self.folder / "users" / f"care-{name}.jwk"

    def deliver(self, title: str, *, within: int = 3600, **changes: Any) -> str:
        """A plan in the inbox; its digest."""
        now = int(time.time())
        assert EXAMPLE is not None
        body = from_bytes(Contract, EXAMPLE[1], what="contract")
        asked = replace(body.query, title=title, **changes)
        body = replace(body, query=asked, session=f"{abs(hash(title)):032x}"[:32])
        token_key = keys.load_signing_key(self.home / "keys" / "token.pem")
        writer = Writer(body.initiator, lambda: token_key, SystemClock(), SystemIds())
        plan = writer.plan(body, now + 7200)
        entry = Delivered(plan_digest(body), plan, body.initiator, body.session, now, now + within, now + 7200)
        self.write(lambda database: database.inbox.deliver(entry, []))
        return entry.digest

    def write(self, work: Callable[[Database], Any]) -> Any:
        async def run() -> Any:
            async with await Database.open(f"sqlite+aiosqlite:///{self.home}/agent.db") as database:
                return await work(database)

        return asyncio.run(run())

    def kinds(self, digest: str) -> list[tuple[str, str]]:
        facts = self.write(lambda database: database.audit.read(start=0, limit=1000))
        return [(fact.kind, fact.detail) for fact in facts if fact.about == digest]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("sandbox") / "federation"
    ports = {name: 1 + number for number, name in enumerate([*(spec.name for spec in SPACES), NAME])}
    lay_out(folder, ports, int(time.time()))
    home = folder / "spaces" / "care"
    policy = home / "datasets" / "ng.policy.toml"
    policy.write_text(policy.read_text() + "questions = 7\n\n[approval]\npersons = 2\nstanding = 12\n")
    made = Desk(folder, home)
    made.write(lambda database: database.audit.head())
    return made


def test_an_inbox_lists_shows_and_takes_two_decisions(desk: Desk) -> None:
    digest = desk.deliver("On which lists people are")
    (row,) = [plan for plan in desk("list")["plans"] if plan["plan"] == digest]
    assert (row["state"], row["have"], row["need"], row["seen"]) == ("DELIVERED", 0, 2, 0)
    page = desk("show", digest[:10], "--key", desk.key("anna"))
    told = {line["topic"]: line["text"] for line in page["told"]}
    assert page["state"] == "SEEN" and page["plan"] == digest
    assert "prevalence-estimation" in told["For"] and "GDPR" in told["On the basis of"]
    assert "released exactly" in told["Limits"] or "under 11" in told["Limits"]
    assert "Police Cooperation" in told["Would see everything"] or "Care Alliance" in told["Would see everything"]
    assert told["You sign"] == f"plan {digest}"
    # Questions, then what the asker's operator and everybody may spend of epsilon.
    assert [budget["limit"] / budget["per"] for budget in page["budgets"]] == [7, 8, 20]
    assert page["earlier"] == []
    assert desk("approve", digest, "--key", desk.key("anna"))["have"] == 1
    assert desk("approve", digest, "--key", desk.key("ben"))["state"] == "APPROVED"
    kinds = desk.kinds(digest)
    assert [kind for kind, _ in kinds] == ["plan.seen", "plan.approved", "plan.approved"]
    assert not any("anna" in detail or "ben" in detail for _, detail in kinds)
    assert desk("reject", digest, "--key", desk.key("ben"), "--reason", "on second thoughts")["state"] == "REJECTED"


def test_the_page_is_plain_words_for_a_person(desk: Desk) -> None:
    digest = desk.deliver("In plain words", standing=12)
    shown = CliRunner().invoke(
        app, ["approvals", "show", digest, "--agent", str(desk.config), "--key", str(desk.key("anna"))]
    )
    assert shown.exit_code == 0, shown.output
    words = " ".join(shown.stdout.split())
    assert "how many people are on exactly which of 2 lists" in words
    assert "12 sets of editions under one approval" in words
    assert digest in "".join(shown.stdout.split())
    listed = CliRunner().invoke(app, ["approvals", "list", "--agent", str(desk.config)])
    assert "In plain words" in listed.stdout


def test_what_is_over_is_listed_on_demand_and_not_approved_any_more(desk: Desk) -> None:
    late = desk.deliver("Too late", within=-1)
    withdrawn = desk.deliver("Not any more")
    entry = desk.write(lambda database: database.inbox.get(withdrawn))
    desk.write(lambda database: database.inbox.withdraw(withdrawn, entry.session, int(time.time()), []))
    open_ones = {plan["plan"] for plan in desk("list")["plans"]}
    assert not open_ones & {late, withdrawn}
    states = {plan["plan"]: plan["state"] for plan in desk("list", "--all")["plans"]}
    assert (states[late], states[withdrawn]) == ("EXPIRED", "WITHDRAWN")
    for digest in (late, withdrawn):
        assert desk("approve", digest, "--key", desk.key("anna"), code=3)["error"]["reason"] == "ILLEGAL_TRANSITION"


def test_a_delegate_decides_in_a_place_and_nobody_else_does(desk: Desk) -> None:
    digest = desk.deliver("While anna is away")
    before = desk.config.read_text()
    refused = desk("approve", digest, "--key", desk.key("ben"), "--as", "anna", code=3)
    assert refused["error"]["field"] == "--as"
    until = day_of(int(time.time()) + DAY)
    line = 'key = "../../users/care-anna.pub.jwk"\n'
    desk.config.write_text(before.replace(line, f'{line}delegate = "ben"\ndelegate_until = {until}\n'))
    try:
        done = desk("approve", digest, "--key", desk.key("ben"), "--as", "anna")
        assert (done["by"], done["as"], done["have"]) == ("ben", "anna", 1)
        assert desk("approve", digest, "--key", desk.key("ben"))["have"] == 1
    finally:
        desk.config.write_text(before)


def test_an_approval_names_the_whole_digest_since_another_plan_may_begin_like_it(desk: Desk) -> None:
    digest = desk.deliver("One that was read")
    for part in (digest[:4], digest[:32], digest[:63]):
        refused = desk("approve", part, "--key", desk.key("anna"), code=2)
        assert (refused["error"]["reason"], refused["error"]["field"]) == ("INVALID_ARGUMENT", "PLAN")
    assert desk.kinds(digest) == []
    assert desk("approve", digest, "--key", desk.key("anna"))["have"] == 1


def test_no_plan_is_hidden_behind_many_newer_ones(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "MOST", 1)
    monkeypatch.setattr(approving_beside, "PAGE", 1)
    digests = {desk.deliver(f"Number {number}") for number in range(3)}
    assert digests <= {plan["plan"] for plan in desk("list")["plans"]}
    for digest in digests:
        assert desk("show", digest, "--key", desk.key("anna"))["plan"] == digest


def test_bad_input_is_one_line_and_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    digest = desk.deliver("Bad input")
    foreign = desk.folder / "users" / "police-anna.jwk"
    assert desk("approve", digest, "--key", foreign, code=3)["error"]["field"] == "--key"
    assert desk("approve", "0" * 64, "--key", desk.key("anna"), code=2)["error"]["reason"] == "NOT_FOUND"
    assert desk("approve", digest, "--key", tmp_path / "none.jwk", code=2)["error"]["reason"] == "CONFIGURATION"
    assert desk("reject", digest, "--key", desk.key("anna"), "--reason", " ", code=2)["error"]["field"] == "--reason"
    long = "x" * 501
    assert desk("reject", digest, "--key", desk.key("anna"), "--reason", long, code=2)["error"]["field"] == "--reason"
    assert desk.kinds(digest) == []


def test_the_inbox_is_beside_the_agent_or_at_its_gateway_and_not_both(desk: Desk, tmp_path: Path) -> None:
    for given in ([], ["--agent", str(desk.config), "--profile", str(tmp_path / "p.toml")]):
        done = CliRunner().invoke(app, ["approvals", "list", *given, "--json"])
        assert (done.exit_code, json.loads(done.stdout)["error"]["field"]) == (2, "--agent, --profile")


def test_through_a_gateway_nothing_is_signed_for_half_a_digest(desk: Desk) -> None:
    profile = desk.folder / "users" / "care-operator.toml"
    line = ["approvals", "approve", "4f0c", "--profile", str(profile), "--key", str(desk.key("anna")), "--json"]
    done = CliRunner().invoke(app, line)
    assert (done.exit_code, json.loads(done.stdout)["error"]["field"]) == (2, "PLAN")


def test_a_key_pair_is_made_once(tmp_path: Path) -> None:
    out = tmp_path / "cleo.jwk"
    made = CliRunner().invoke(app, ["approvals", "key", "--out", str(out), "--json"])
    assert made.exit_code == 0, made.output
    assert out.stat().st_mode & 0o777 == 0o600
    public = json.loads(Path(json.loads(made.stdout)["public"]).read_text())
    assert "d" not in public and public["kid"] == json.loads(made.stdout)["thumbprint"]
    again = CliRunner().invoke(app, ["approvals", "key", "--out", str(out), "--json"])
    assert again.exit_code == 2


def test_limits_say_that_counts_have_noise_and_call_none_exact_that_has_some() -> None:
    noised, exact = Limits(0, False, False, epsilon="10"), Limits(0, False, False)
    assert wording.noise(noised) == "counts have noise, for an epsilon of 10"
    ours, theirs = (examples.contract(limits=limits) for limits in (noised, exact))
    assert "exact" not in wording.limits(ours) and "exactly" in wording.limits(theirs)
    assert wording.noise(exact) == "none"
