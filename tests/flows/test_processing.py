"""The record of processing of a computation: what Article 30 asks for, and no result."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import cast

from gateway.config import RetentionConfig
from gateway.domain.computation import Role, SealedShare, State, View
from gateway.domain.contract import Contract
from gateway.domain.query import Filter
from gateway.domain.session import Failure
from gateway.edges.retaining import Retaining
from gateway.ports import Clock
from gateway.rules import wording
from gateway.rules.contract import stored_contract
from gateway.rules.pages import page
from gateway.rules.processing import Processing, processing
from gateway.rules.processing_document import document
from gateway.rules.records import to_plain
from gateway.rules.retention import DAY
from tests import examples
from tests.examples import CARE, HOME, NEUTRAL, POLICE, question
from tests.fakes import Node, World

RULES = RetentionConfig().rules
OPERATORS = {
    HOME: examples.operator(HOME, jurisdiction="NL"), POLICE: examples.operator(POLICE, jurisdiction="NO"),
    CARE: examples.operator(CARE, jurisdiction="US"),
}  # fmt: skip


async def of(node: Node, id: str, now: int) -> Processing:
    kept = await node.get(id)
    assert kept is not None
    body: Contract | None = stored_contract(kept.contract, kept.contract_digest) if kept.contract else None
    return processing(kept, body, node.entity, OPERATORS, RULES, now)


async def test_home_and_participant_have_a_record_of_the_same_processing(here: World) -> None:
    first, *others = question().sources
    filtered = replace(first, filters=(Filter("year", equals="2013"),))
    asked = question(sources=(filtered, *others))
    id = (await here.home.ask(asked)).id
    await here.all_ended(id)
    home, guest = [await of(here.nodes[entity], id, here.clock.at) for entity in (HOME, CARE)]
    assert (home.role, guest.role) == (Role.HOME, Role.PARTICIPANT)
    assert home.asked == guest.asked and home.receipts == guest.receipts
    told = home.asked
    assert told is not None
    assert (told.title, told.requester, told.initiator) == ("Victims by form", "analyst", HOME)
    assert [(one.space, one.jurisdiction) for one in told.controllers] == [(CARE, "US"), (HOME, "NL"), (POLICE, "NO")]
    assert [one.space for one in told.processors] == [HOME, POLICE, NEUTRAL]
    assert told.processors[2].jurisdiction == ""
    assert [(to.space, to.place) for to in told.recipients] == [(HOME, "NL, in the European Union")]
    assert told.filters == ((told.controllers[1].datasets[0], "year is 2013"),)
    assert told.columns == ("name", "born", "form", "year")
    assert (told.m, told.t, len(told.smallest_group)) == (3, 1, 2)
    assert told.program_digest == "d" * 64
    assert sorted(one.space for one in home.receipts) == [CARE, HOME, NEUTRAL, POLICE]
    # The sealed result lies with the home gateway, and nowhere else.
    assert home.times.result_until == here.clock.at + 90 * DAY and guest.times.result_until is None


async def test_no_number_of_the_result_nor_a_share_is_in_it(here: World) -> None:
    for node in here.nodes.values():
        node.agent.counts = {("LABOUR",): 48_271_093 // 1_000_000}
    done = await here.home.ended((await here.home.ask()).id)
    shown = replace(done, views=(View(0, HOME, "open", 1, ("777123",)),), shares=(SealedShare(0, "g", "U0hBUkU="),))
    body = stored_contract(done.contract, done.contract_digest)
    made = processing(shown, body, HOME, OPERATORS, RULES, here.clock.at)
    for text in (json.dumps(to_plain(made)), page(document(made))):
        assert "777123" not in text and "U0hBUkU=" not in text
    assert ">48<" not in page(document(made))


async def test_one_that_failed_says_why_and_that_nothing_was_computed(here: World) -> None:
    failure = Failure("PARTY_DIED", CARE, "sort", "party 1 <died>", "ask again")
    here.nodes[POLICE].agent.fails_with = failure
    done = await here.home.ended((await here.home.ask()).id)
    assert done.state is State.FAILED
    made = await of(here.home, done.id, here.clock.at)
    assert (made.reason, made.times.result_until) == ("PARTY_DIED", None)
    assert "party 1 <died>" in made.why
    text = page(document(made))
    assert "party 1 &lt;died&gt;" in text and "There are no receipts" in text


async def test_what_was_deleted_is_said_with_its_day(here: World) -> None:
    done = await here.home.ended((await here.home.ask()).id)
    job = Retaining(HOME, RULES, here.home.database.retention, cast(Clock, here.clock))
    here.clock.at += 91 * DAY
    await job.look()
    made = await of(here.home, done.id, here.clock.at)
    assert (made.times.result_until, made.times.result_deleted) == (None, here.clock.at)
    assert made.asked is not None and made.times.record_until == done.updated + 1826 * DAY
    here.clock.at += 1826 * DAY
    await job.look()
    made = await of(here.home, done.id, here.clock.at)
    assert (made.asked, made.times.record_deleted) == (None, here.clock.at)
    assert made.contract == done.contract_digest and len(made.receipts) == 4
    assert "analyst" not in page(document(made))


def test_places_are_said_as_data_protection_law_asks() -> None:
    assert wording.place("NO") == "NO, in the European Economic Area"
    assert wording.place("GB").startswith("GB, a third country")
    assert wording.place("") == "jurisdiction not known here any more"
