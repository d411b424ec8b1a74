"""Reports on a dataset: every number is found again in the ledger and the audit log that an agent's code wrote."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import pytest

from connectors.holdings import Holding
from connectors.ledgers import Ledgers
from connectors.reporting import report_under, terms_in
from connectors.rules.dataset_document import document
from connectors.rules.inference import Kind
from connectors.rules.reporting import DatasetReport, Outcome, Terms
from gateway.cli.output import console_of
from gateway.cli.render_reports import document as rendered
from gateway.domain.approval import Approved, SignedContract
from gateway.domain.audit import Fact
from gateway.domain.dataset import Privacy
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Between, Filter, Overlap, Query, Source, Statistic
from gateway.domain.query import Limits as Wished
from gateway.edges.documents import Writer
from gateway.edges.keys import new_signing_key
from gateway.edges.store.database import Database
from gateway.edges.store.editions import StoredEdition
from gateway.ports import Clock
from gateway.rules.canonical import question
from gateway.rules.contract import stored_contract
from gateway.rules.jose import parse_compact
from gateway.rules.pages import page
from gateway.rules.retention import DAY, Kept, Rule
from gateway.rules.tokens import payload_digest
from tests import examples
from tests.examples import CARE, HOME, NOW, POLICE
from tests.fakes import FakeClock, FakeIds
from tests.held import held, offered, people

OPERATORS = {HOME: examples.operator(HOME, jurisdiction="NL"), CARE: examples.operator(CARE, jurisdiction="US")}
KEY = new_signing_key()
STRANGE = '<script>alert("1")</script> & <b>'


class Diary:
    """What an agent does about contracts: the real ledger, approvals and audit log; sessions are told in its words."""

    def __init__(self, database: Database, holding: Holding, questions: int | None = None) -> None:
        self.database, self.clock = database, FakeClock(NOW)
        self.holding = replace(holding, questions=questions)
        self.name = holding.dataset.name
        self.book = Ledgers(POLICE, {self.name: self.holding}, database.ledger, cast(Clock, self.clock))
        self.writer = Writer(HOME, lambda: KEY, cast(Clock, self.clock), FakeIds())
        self.number = 0

    def contract(self, asked: Query, **changes: Any) -> SignedContract:
        self.number += 1
        session = {"session": f"{self.number:032x}", "not_before": self.clock.at, "expires": self.clock.at + 600}
        body = examples.contract(asked, offered(self.holding), **{**session, **changes})
        token = self.writer.contract(body)
        return SignedContract(body, payload_digest(parse_compact(token, 1 << 20).payload), token)

    async def approve(self, contract: SignedContract) -> None:
        await self.book.hold(contract)
        now = self.clock.now()
        fact = Fact(now, "contract.approved", POLICE, contract.digest, f"session {contract.body.session}")
        asked = question(contract.body)
        kept = Approved(contract.digest, "jws", contract.token, asked, contract.body.initiator, now)
        await self.database.approvals.keep(kept, [fact])

    async def note(self, contract: SignedContract, *kinds: str, detail: str = "") -> None:
        for kind in kinds:
            fact = Fact(self.clock.now(), kind, contract.body.initiator, contract.digest, detail)
            await self.database.audit.append([fact])

    async def release(self, asked: Query, **changes: Any) -> SignedContract:
        contract = self.contract(asked, **changes)
        await self.approve(contract)
        await self.book.answer(contract)
        await self.note(contract, "session.started", "session.output", "session.completed")
        return contract

    async def refused(self, asked: Query, **changes: Any) -> SignedContract:
        contract = self.contract(asked, **changes)
        with pytest.raises(IsthmusError) as no:
            await self.approve(contract)
        assert no.value.reason is Reason.NOT_RELEASABLE
        return contract

    async def report(self, since: int = 0, until: int = 1 << 32) -> DatasetReport:
        terms = Terms(self.holding.dataset, self.holding.questions, (("Holds", "version 1"),), {}, 1826, 365)
        return await report_under(self.database, terms, OPERATORS, cast(Clock, self.clock), since, until)


@pytest.fixture
async def diary(tmp_path: Path) -> AsyncIterator[Diary]:
    async with await Database.open(f"sqlite+aiosqlite:///{tmp_path}/agent.db") as database:
        yield Diary(database, held(tmp_path / "data", POLICE, people(range(200))), questions=5)


def asked(*filters: Filter, **changes: Any) -> Query:
    plain = examples.question(**changes)
    police = examples.dataset(POLICE).name
    sources = tuple(Source(s.dataset, filters) if s.dataset == police else s for s in plain.sources)
    return replace(plain, sources=sources)


def older(age: int) -> Filter:
    return Filter("age", between=Between(age, 1000))


async def test_each_question_says_who_why_what_to_whom_and_what_came_of_it(diary: Diary) -> None:
    contract = await diary.release(asked(older(20)), requester="dana@ministry")
    (item,) = (await diary.report()).asked
    assert (item.contract, item.initiator, item.requester, item.initiator_jurisdiction) == (
        contract.digest, HOME, "dana@ministry", "NL",
    )  # fmt: skip
    assert item.filters == ("age from 20 to 1000",)
    assert item.statistic.startswith("people of 3 lists, each once, counted by form")
    assert [(to.kind, to.jurisdiction) for to in item.recipients] == [("gateway", "NL")]
    assert item.limits.startswith("counts under 11 are hidden") and item.noise == "none"
    assert (item.outcome, item.why, item.repeats) == (Outcome.RELEASED, "", "")
    facts = await diary.database.audit.read(start=0, limit=100)
    assert item.record is not None and facts[item.record].kind == "session.completed"
    assert item.head == (await diary.database.audit.head_at(item.record + 1)).root


async def test_outcomes_are_those_of_the_audit_log(diary: Diary) -> None:
    released = await diary.release(asked())
    again = await diary.release(asked(title="In other words"))
    failed = diary.contract(asked(older(30)))
    await diary.approve(failed)
    await diary.book.answer(failed)
    await diary.note(failed, "session.started", "session.output")
    await diary.note(failed, "session.failed", detail="PARTY_DIED, https://care.example: gone")
    waits = diary.contract(asked(older(60)))
    await diary.approve(waits)
    told = {item.contract: item for item in (await diary.report()).asked}
    assert {digest: item.outcome for digest, item in told.items()} == {
        released.digest: Outcome.RELEASED, again.digest: Outcome.RELEASED,
        failed.digest: Outcome.FAILED, waits.digest: Outcome.OPEN,
    }  # fmt: skip
    assert told[again.digest].repeats == released.digest
    assert told[failed.digest].why == "PARTY_DIED, https://care.example: gone; output shares had left by then"
    diary.clock.at += 601
    told = {item.contract: item for item in (await diary.report()).asked}
    assert told[waits.digest].outcome == Outcome.NOT_RUN


async def test_numbers_agree_with_ledger_and_log(diary: Diary) -> None:
    await diary.release(asked())
    await diary.release(asked(title="The same in other words"))
    await diary.release(asked(older(50)))
    first = await diary.refused(asked(older(1)))
    await diary.refused(asked(older(195)), initiator=CARE)
    with pytest.raises(IsthmusError):  # the same proposal once more: one refusal in the ledger
        await diary.approve(first)
    made = await diary.report()
    facts = await diary.database.audit.read(start=0, limit=1000)
    head = await diary.database.audit.head()
    assert made.answers == len(await diary.database.ledger.answers(diary.name)) == 2
    assert [(b.spent, b.allowed, b.left) for b in made.budgets] == [(2, 5, 3)]
    counts = dict(made.refusals_by_space)
    assert (
        counts == {space: await diary.database.ledger.refused(space, 0) for space in (HOME, CARE)} == {HOME: 1, CARE: 1}
    )
    objections = {fact.detail.partition(": ")[2] for fact in facts if fact.kind == "ledger.refused"}
    assert {refused.objection for refused in made.refused_by_rows} == objections
    assert len(made.asked) == sum(fact.kind == "contract.approved" for fact in facts) == 3
    assert (made.log_size, made.log_root) == (head.size, head.root)
    assert made.log_size == len(facts)


async def test_a_repeat_from_kept_shares_is_told_as_one_with_its_own_receipt(diary: Diary) -> None:
    first = await diary.release(asked())
    again = diary.contract(asked(title="In other words"))
    await diary.approve(again)
    await diary.note(again, "redelivery.started", "redelivery.output", "redelivery.completed")
    broken = diary.contract(asked(title="Once more"))
    await diary.approve(broken)
    await diary.note(broken, "redelivery.started", detail="contract consumed")
    await diary.note(broken, "redelivery.failed", detail="INCONSISTENT_SHARES, UNDETERMINED: wrong")
    told = {item.contract: item for item in (await diary.report()).asked}
    assert (told[again.digest].outcome, told[again.digest].repeats) == (Outcome.REPEATED, first.digest)
    assert told[again.digest].record is not None and told[again.digest].head != told[first.digest].head
    assert (told[broken.digest].outcome, told[broken.digest].why) == (
        Outcome.FAILED, "INCONSISTENT_SHARES, UNDETERMINED: wrong",
    )  # fmt: skip


async def test_what_noise_has_cost_whom_and_what_is_left_is_told(diary: Diary) -> None:
    terms = replace(diary.holding.dataset.terms, privacy=Privacy("1", "2", "3", required=False))
    private = replace(diary.holding, dataset=replace(diary.holding.dataset, terms=terms))
    noisy = Diary(diary.database, private, questions=5)
    for number in range(2):
        await noisy.release(
            asked(older(number), owners=(POLICE,), limits=Wished(epsilon="0.75")),
            session=f"{number:032x}",
        )
    made = await noisy.report()
    assert [(b.name, b.spent, b.allowed, b.left, b.per) for b in made.budgets[1:]] == [
        ("epsilon of privacy, everybody", 15_000, 30_000, 15_000, 10_000),
        (f"epsilon of privacy, operator of {HOME}", 15_000, 20_000, 5_000, 10_000),
    ]
    assert {item.noise for item in made.asked} == {"counts have noise, for an epsilon of 0.75"}
    assert [item.found for item in made.inferences if item.kind == Kind.NOISE] == [2]


async def test_a_period_bounds_questions_and_refusals_and_not_what_is_left(diary: Diary) -> None:
    await diary.release(asked())
    await diary.refused(asked(older(1)))
    diary.clock.at += DAY
    later = await diary.release(asked(older(50)))
    made = await diary.report(since=NOW + 1)
    assert [item.contract for item in made.asked] == [later.digest]
    assert (made.refused_by_rows, made.refusals_by_space) == ((), ())
    assert (made.answers, made.budgets[0].spent) == (2, 2)
    assert [item.contract for item in (await diary.report(until=NOW + 1)).asked] != [later.digest]


async def test_what_the_policy_refused_is_told_with_its_words(diary: Diary) -> None:
    said = f"POLICY_REFUSED: {diary.name} does not allow the purpose policing (version 1 of its policy)"
    other = "POLICY_REFUSED: spaces/police.example/datasets/other does not allow it"
    longer = f"POLICY_REFUSED: {diary.name}-archive does not allow it"
    for detail in (said, other, longer):
        await diary.database.audit.append([Fact(NOW, "contract.refused", POLICE, "d" * 64, detail)])
    assert [item.said for item in (await diary.report()).refused_by_policy] == [said]


async def test_inferences_come_from_the_ledger_as_it_is(diary: Diary) -> None:
    table = await diary.release(asked())
    exact = await diary.release(asked(statistic=Statistic(overlap=Overlap()), limits=Wished(minimum_cell=0)))
    fewer = await diary.release(asked(older(11)))
    told = {item.kind: item for item in (await diary.report()).inferences}
    assert [(pair.first, pair.second) for pair in told[Kind.EXACT].pairs] == [(table.digest, exact.digest)]
    assert {(pair.first, pair.second, pair.only_first, pair.only_second) for pair in told[Kind.DIFFERENCE].pairs} == {
        (table.digest, fewer.digest, 11, 0), (exact.digest, fewer.digest, 11, 0),
    }  # fmt: skip
    assert told[Kind.COMBINATION].found == 3
    assert told[Kind.COMBINATION].cost.endswith(": 2.")


async def test_what_is_not_kept_any_more_is_counted_and_still_in_the_ledger(diary: Diary) -> None:
    gone = await diary.release(asked())
    diary.clock.at += 31 * DAY
    kept = await diary.release(asked(older(50)))
    await diary.database.retention.delete(Rule(Kept.CONTRACTS, 30), POLICE, diary.clock.at, 10)
    made = await diary.report()
    assert [item.contract for item in made.asked] == [kept.digest]
    assert (made.forgotten, made.answers, made.budgets[0].spent) == (1, 2, 2)
    text = page(document(made))
    assert "1 more were answered" in text and gone.body.requester not in made.asked[0].title


async def test_a_stored_contract_that_was_edited_stops_the_report(diary: Diary) -> None:
    contract = await diary.release(asked())
    another = diary.contract(asked(title="another"))
    with pytest.raises(IsthmusError) as broken:
        stored_contract(another.token, contract.digest)
    assert broken.value.reason is Reason.AUDIT_BROKEN
    for garbage in ("", "a.b", "x" * 100):
        with pytest.raises(IsthmusError):
            stored_contract(garbage, contract.digest)


class Outline(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


async def test_markup_in_a_title_or_a_name_is_text_on_the_page(diary: Diary) -> None:
    await diary.release(asked(older(20), title=STRANGE), requester=f"eve{STRANGE}")
    made = await diary.report()
    outline = Outline()
    outline.feed(page(document(made)))
    assert not {"script", "b", "img", "link", "iframe", "form", "object"} & set(outline.tags)
    assert not {name for _, name, _ in outline.attributes} & {"src", "href", "style", "onclick", "onload"}
    text = "".join(outline.text)
    assert text.count(STRANGE) >= 3
    headings = [tag for tag in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert headings == ["h1", *["h2"] * (len(headings) - 1)]
    assert ("html", "lang", "en") in outline.attributes
    assert outline.tags.count("table") == outline.tags.count("caption")
    scopes = [value for tag, name, value in outline.attributes if (tag, name) == ("th", "scope")]
    assert len(scopes) == outline.tags.count("th") and set(scopes) == {"col", "row"}


async def test_nothing_of_a_row_and_no_result_is_in_it(diary: Diary) -> None:
    await diary.release(asked(older(20)))
    text = page(document(await diary.report()))
    assert "Person" not in text and "1990-01-02" not in text


async def test_equal_reports_are_equal_bytes_and_the_terminal_shows_the_same(diary: Diary) -> None:
    import io

    await diary.release(asked(older(20)))
    made = await diary.report()
    made = replace(made, title="A \x1b[31mred\x07 title\u202e")
    assert page(document(await diary.report())) == page(document(await diary.report()))
    out = io.StringIO()
    console_of(out).print(rendered(document(made)))
    assert "\x1b" not in out.getvalue() and "\x07" not in out.getvalue() and "\u202e" not in out.getvalue()
    assert "WHAT CAN STILL BE INFERRED" in out.getvalue()


def test_a_dataset_that_is_not_configured_is_named_with_the_nearest(tmp_path: Path) -> None:
    from connectors.config import AgentConfig
    from gateway.config import load

    samples = Path(__file__).parents[2] / "deploy" / "samples"
    settings = load(AgentConfig, samples / "agent.toml")
    terms = terms_in(settings, "shelters", "2026-01-01")
    assert terms_in(settings, terms.dataset.name, "2026-01-01") == terms
    assert (terms.contracts_days, terms.kept_days) == (1826, 365)
    with pytest.raises(IsthmusError) as unknown:
        terms_in(settings, "spaces/care.example/datasets/shelter", "2026-01-01")
    assert unknown.value.reason is Reason.UNKNOWN_DATASET and "shelters" in unknown.value.advice


async def test_what_is_left_is_of_the_newest_published_edition(tmp_path: Path) -> None:
    from connectors.config import AgentConfig
    from connectors.reporting import dataset_report
    from gateway.config import load

    samples = Path(__file__).parents[2] / "deploy" / "samples"
    settings = load(AgentConfig, samples / "agent.toml").model_copy(update={"anchors": ()})
    clock = cast(Clock, FakeClock(NOW))
    async with await Database.open(f"sqlite+aiosqlite:///{tmp_path}/agent.db") as database:
        before = await dataset_report(database, settings, clock, "shelters", 0, NOW + 1)
        edition = StoredEdition(before.dataset, 1, "2026-9", NOW, "5" * 64, 64, b"", "")
        assert await database.editions.publish(edition, (), [])
        after = await dataset_report(database, settings, clock, "shelters", 0, NOW + 1)
    assert [budget.name for budget in after.budgets] == [
        "different questions on edition 2026-9",
        "epsilon of privacy, everybody",
    ]
    assert before.budgets != after.budgets
