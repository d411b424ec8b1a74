"""Who can accuse whom, and what all spaces are told: the table of `gateway.rules.blame`."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.contract import Seat
from gateway.domain.errors import Reason
from gateway.domain.session import UNDETERMINED, Failure
from gateway.rules import blame
from gateway.rules.blame import Report
from tests import examples
from tests.examples import CARE, HOME, NEUTRAL, POLICE

CONTRACT = examples.contract()  # seats: 0 home, 1 police, 2 neutral; providers: 0 care, 1 home, 2 police
FIVE = examples.contract(
    m=5,
    t=2,
    seats=tuple(
        Seat(pid, entity, f"operator {pid}")
        for pid, entity in enumerate((HOME, POLICE, NEUTRAL, "https://d", "https://e"))
    ),
)
WITNESSED, SUSPECTED, GONE = Reason.PROTOCOL_VIOLATION, Reason.FRAME_UNREADABLE, Reason.PEER_UNREACHABLE


def said(reporter: str, reason: Reason, culprit: str, *, found: bool = False) -> Report:
    return Report(reporter, Failure(reason.value, culprit, "sort", f"{reporter} on {culprit}", found=found))


TABLE = {
    # What a space says of itself is believed, at once, whatever others say.
    "its own party died": ([said(POLICE, Reason.PARTY_DIED, POLICE)], POLICE),
    "its own party died, and it accused another": (
        [said(POLICE, Reason.PARTY_DIED, POLICE), said(POLICE, WITNESSED, HOME)],
        POLICE,
    ),
    "its own agent is gone, and others lost it": (
        [said(HOME, GONE, POLICE), said(POLICE, Reason.AGENT_UNREACHABLE, POLICE)],
        POLICE,
    ),
    "two admit": ([said(NEUTRAL, Reason.PARTY_DIED, NEUTRAL), said(POLICE, Reason.PARTY_DIED, POLICE)], POLICE),
    "its own rows": ([said(CARE, Reason.EDITION_CHANGED, CARE)], CARE),
    # What nobody but its reporter's own agent can see of a party is no ground.
    "another's party died": ([said(HOME, Reason.PARTY_DIED, POLICE)], UNDETERMINED),
    "another's party stalled": ([said(HOME, Reason.PARTY_STALLED, POLICE)], UNDETERMINED),
    "another's agent": ([said(HOME, Reason.AGENT_UNREACHABLE, POLICE)], UNDETERMINED),
    "another's fault of any kind": ([said(HOME, Reason.INTERNAL, POLICE)], UNDETERMINED),
    # What the gateway that decides found itself.
    "a wrong receipt": ([said(HOME, WITNESSED, NEUTRAL, found=True)], NEUTRAL),
    "a wrong receipt, and its sender accuses back": (
        [said(HOME, WITNESSED, NEUTRAL, found=True), said(NEUTRAL, WITNESSED, HOME)],
        NEUTRAL,
    ),
    "it found a line broken, which it cannot know whose doing was": (
        [said(HOME, GONE, NEUTRAL, found=True)],
        UNDETERMINED,
    ),
    # A frame that opened and is wrong proves its sender to who opened it, and to nobody else: one of the two it was.
    "a wrong frame": ([said(POLICE, WITNESSED, NEUTRAL)], UNDETERMINED),
    "a wrong frame, at the home gateway's party": ([said(HOME, WITNESSED, NEUTRAL)], UNDETERMINED),
    "a wrong frame, and nobody else saw anything": (
        [
            said(POLICE, WITNESSED, NEUTRAL),
            *(said(entity, Reason.DEADLINE_EXCEEDED, UNDETERMINED) for entity in (HOME, NEUTRAL, CARE)),
        ],
        UNDETERMINED,
    ),
    "a wrong frame, and its sender says that shares do not fit": (
        [said(POLICE, WITNESSED, NEUTRAL), said(NEUTRAL, Reason.INCONSISTENT_SHARES, UNDETERMINED)],
        UNDETERMINED,
    ),
    "a wrong input": ([said(POLICE, WITNESSED, CARE)], UNDETERMINED),
    "a wrong input, seen by two": ([said(POLICE, WITNESSED, CARE), said(HOME, WITNESSED, CARE)], CARE),
    "a wrong frame, seen by two": ([said(POLICE, WITNESSED, NEUTRAL), said(HOME, WITNESSED, NEUTRAL)], NEUTRAL),
    "a wrong frame at one, and one that does not open at another": (
        [said(POLICE, SUSPECTED, NEUTRAL), said(HOME, WITNESSED, NEUTRAL)],
        NEUTRAL,
    ),
    "each accuses the other": ([said(POLICE, WITNESSED, NEUTRAL), said(NEUTRAL, WITNESSED, POLICE)], UNDETERMINED),
    "a circle": (
        [said(HOME, WITNESSED, POLICE), said(POLICE, WITNESSED, NEUTRAL), said(NEUTRAL, WITNESSED, HOME)],
        UNDETERMINED,
    ),
    "two accused by one each": ([said(HOME, WITNESSED, POLICE), said(POLICE, WITNESSED, NEUTRAL)], UNDETERMINED),
    # A revocation that the home gateway's own lists hold never comes this far; another is one space's word.
    "a revocation that one speaks of": ([said(CARE, Reason.REVOKED, NEUTRAL)], UNDETERMINED),
    "one's own revocation": ([said(NEUTRAL, Reason.REVOKED, NEUTRAL)], NEUTRAL),
    # More accusers than t hold an honest one, and overrule the accused.
    "two against one that accuses back": (
        [said(HOME, WITNESSED, NEUTRAL), said(POLICE, WITNESSED, NEUTRAL), said(NEUTRAL, WITNESSED, POLICE)],
        NEUTRAL,
    ),
    # Who has no seat receives no frames.
    "a provider without a seat accuses": ([said(CARE, WITNESSED, NEUTRAL)], UNDETERMINED),
    "a provider's word does not count beside a seat's": (
        [said(CARE, WITNESSED, NEUTRAL), said(POLICE, WITNESSED, NEUTRAL)],
        UNDETERMINED,
    ),
    # A frame that does not open: the sender, or anybody on its way, the receiver's own side included.
    "a frame that does not open": ([said(POLICE, SUSPECTED, NEUTRAL)], UNDETERMINED),
    "frames of one that do not open at two": (
        [said(POLICE, SUSPECTED, NEUTRAL), said(HOME, SUSPECTED, NEUTRAL)],
        NEUTRAL,
    ),
    "frames of two that do not open at one": (
        [said(POLICE, SUSPECTED, NEUTRAL), said(POLICE, SUSPECTED, HOME)],
        UNDETERMINED,
    ),
    "frames that do not open either way": (
        [said(POLICE, SUSPECTED, NEUTRAL), said(NEUTRAL, SUSPECTED, POLICE)],
        UNDETERMINED,
    ),
    # A connection that its other end closed.
    "everybody lost it": ([said(HOME, GONE, NEUTRAL), said(POLICE, GONE, NEUTRAL), said(CARE, GONE, NEUTRAL)], NEUTRAL),
    "everybody lost a provider who had a line to it": (
        [said(HOME, GONE, CARE), said(POLICE, GONE, CARE), said(NEUTRAL, GONE, CARE)],
        CARE,
    ),
    "one still has it": ([said(HOME, GONE, NEUTRAL), said(POLICE, GONE, NEUTRAL)], UNDETERMINED),
    "only the home gateway lost it": ([said(HOME, GONE, NEUTRAL)], UNDETERMINED),
    "it is heard": (
        [said(HOME, GONE, CARE), said(POLICE, GONE, CARE), said(NEUTRAL, GONE, CARE), said(CARE, GONE, POLICE)],
        UNDETERMINED,
    ),
    "two are lost": (
        [said(HOME, GONE, NEUTRAL), said(POLICE, GONE, NEUTRAL), said(CARE, GONE, NEUTRAL), said(HOME, GONE, CARE)],
        UNDETERMINED,
    ),
    # What proves nothing.
    "silence": ([said(HOME, GONE, UNDETERMINED)], UNDETERMINED),
    "silence beside losses": (
        [said(HOME, GONE, UNDETERMINED), said(POLICE, GONE, NEUTRAL), said(CARE, GONE, NEUTRAL)],
        UNDETERMINED,
    ),
    "a deadline": ([said(HOME, Reason.DEADLINE_EXCEEDED, POLICE)], UNDETERMINED),
    "everybody waits for one": (
        [said(entity, Reason.DEADLINE_EXCEEDED, POLICE) for entity in (HOME, NEUTRAL, CARE)],
        UNDETERMINED,
    ),
    "inconsistent shares": ([said(HOME, Reason.INCONSISTENT_SHARES, POLICE)], UNDETERMINED),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_verdict_in_whatever_order_the_reports_came(name: str) -> None:
    reports, culprit = TABLE[name]
    verdicts = {blame.verdict(CONTRACT, order) for order in permutations(reports)}
    assert len(verdicts) == 1
    verdict = verdicts.pop()
    assert verdict.culprit == culprit
    if culprit == UNDETERMINED:
        # Shown as what it is, with both sides and with advice.
        assert "cannot be told" in verdict.text
        assert all(report.reporter in verdict.text for report in reports)
        assert "Ask again" in verdict.action
        assert all(report.reporter in verdict.action for report in reports)
        accused = {report.failure.culprit for report in reports} - {UNDETERMINED}
        assert all(entity in verdict.text and entity in verdict.action for entity in accused)
    else:
        assert verdict.text.startswith(next(r.failure.text for r in reports if verdict.text.startswith(r.failure.text)))


def test_t_accusers_do_not_convict_and_one_more_does_whatever_the_accused_says() -> None:
    accusers = [said(entity, WITNESSED, NEUTRAL) for entity in (HOME, POLICE, "https://d")]
    back = said(NEUTRAL, WITNESSED, HOME)
    assert blame.verdict(FIVE, accusers[:2]).culprit == UNDETERMINED
    assert blame.verdict(FIVE, [*accusers[:2], back]).culprit == UNDETERMINED
    assert blame.verdict(FIVE, accusers).culprit == NEUTRAL
    assert blame.verdict(FIVE, [*accusers, back]).culprit == NEUTRAL


def test_seats_of_one_operator_count_as_one_accuser() -> None:
    seats = tuple(
        Seat(pid, entity, "one" if entity in (HOME, POLICE) else entity)
        for pid, entity in enumerate((HOME, POLICE, NEUTRAL))
    )
    contract = examples.contract(seats=seats)
    reports = [said(HOME, SUSPECTED, NEUTRAL), said(POLICE, SUSPECTED, NEUTRAL)]
    assert blame.verdict(contract, reports).culprit == UNDETERMINED


def test_who_decides_waits_only_while_another_report_can_matter() -> None:
    assert blame.is_settled(CONTRACT, [said(POLICE, Reason.PARTY_DIED, POLICE)])
    assert blame.is_settled(CONTRACT, [said(HOME, SUSPECTED, NEUTRAL), said(POLICE, SUSPECTED, NEUTRAL)])
    assert blame.is_settled(CONTRACT, [said(entity, GONE, NEUTRAL) for entity in (HOME, POLICE, CARE)])
    assert blame.is_settled(CONTRACT, [said(entity, GONE, UNDETERMINED) for entity in CONTRACT.entities()])
    assert blame.is_settled(CONTRACT, [said(HOME, WITNESSED, NEUTRAL, found=True)])
    assert not blame.is_settled(CONTRACT, [said(POLICE, WITNESSED, NEUTRAL)])
    assert not blame.is_settled(CONTRACT, [said(POLICE, SUSPECTED, NEUTRAL)])
    assert not blame.is_settled(CONTRACT, [said(HOME, GONE, NEUTRAL)])


def test_a_space_that_hears_nothing_names_itself_or_nobody() -> None:
    own = said(POLICE, Reason.PARTY_DIED, POLICE).failure
    assert blame.alone(POLICE, own) == own
    for reason in (WITNESSED, SUSPECTED, GONE):
        assert blame.alone(POLICE, said(POLICE, reason, HOME).failure).culprit == UNDETERMINED


def test_what_cannot_be_true_falls_back_on_who_said_it() -> None:
    def heard(reason: str, culprit: str) -> tuple[str, str]:
        found = blame.believable(Failure(reason, culprit, "sort", "x" * 5000), POLICE, CONTRACT)
        assert len(found.text) == blame.MAX_TEXT
        return found.reason, found.culprit

    assert heard("WITCHCRAFT", "https://stranger.example") == ("INTERNAL", POLICE)
    assert heard("PARTY_DIED", "") == ("PARTY_DIED", UNDETERMINED)
    assert heard("PARTY_DIED", HOME) == ("PARTY_DIED", HOME)


def test_nobody_but_the_gateway_that_decides_has_found_anything() -> None:
    claim = said(POLICE, WITNESSED, NEUTRAL, found=True).failure
    assert not blame.believable(claim, POLICE, CONTRACT).found
    assert blame.believable(claim, HOME, CONTRACT).found


ENTITIES = st.sampled_from(CONTRACT.entities())
REPORTS = st.builds(
    said, ENTITIES, st.sampled_from(list(Reason)), st.one_of(ENTITIES, st.just(UNDETERMINED))
)  # fmt: skip


# What an honest space can say when no honest one did anything wrong: what it cannot know, that it lost a line, or that
# what the liar sends it is wrong.
def _honest(liar: str) -> st.SearchStrategy[Report]:
    honest = st.sampled_from([entity for entity in CONTRACT.entities() if entity != liar])
    silence = st.sampled_from([Reason.DEADLINE_EXCEEDED, Reason.INCONSISTENT_SHARES, GONE])
    return st.one_of(
        st.builds(said, honest, silence, st.just(UNDETERMINED)),
        st.builds(said, honest, st.sampled_from([WITNESSED, SUSPECTED, GONE]), st.just(liar)),
    )


@given(st.data(), ENTITIES)
def test_whatever_one_liar_says_no_innocent_is_named(data: st.DataObject, liar: str) -> None:
    """t = 1: one space lies, alone or beside what honest ones report."""
    lies = data.draw(st.lists(st.builds(said, st.just(liar), st.sampled_from(list(Reason)), ENTITIES), min_size=1))
    honest = data.draw(st.lists(_honest(liar), max_size=4))
    assert blame.verdict(CONTRACT, [*lies, *honest]).culprit in (UNDETERMINED, liar)


@given(st.data(), st.permutations(FIVE.entities()))
def test_whatever_t_liars_say_no_innocent_is_named(data: st.DataObject, order: list[str]) -> None:
    liars = order[: FIVE.t]
    anybody = st.sampled_from(FIVE.entities())
    told = st.builds(said, st.sampled_from(liars), st.sampled_from(list(Reason)), anybody)
    lies = data.draw(st.lists(told, min_size=1, max_size=12))
    assert blame.verdict(FIVE, lies).culprit in (UNDETERMINED, *liars)


@given(st.lists(REPORTS, min_size=1, max_size=8), ENTITIES)
def test_a_liar_that_all_others_accuse_is_named_whatever_it_says(reports: list[Report], liar: str) -> None:
    honest = [Report(entity, said(entity, WITNESSED, liar).failure) for entity in CONTRACT.entities() if entity != liar]
    lies = [report for report in reports if report.reporter == liar]
    assert blame.verdict(CONTRACT, [*honest, *lies]).culprit == liar


@given(st.lists(REPORTS, min_size=1, max_size=8), st.randoms())
def test_the_same_reports_get_the_same_verdict_everywhere(reports: list[Report], random: object) -> None:
    shuffled = list(reports)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert blame.verdict(CONTRACT, reports) == blame.verdict(CONTRACT, shuffled)
    named = blame.verdict(CONTRACT, reports).culprit
    assert named == UNDETERMINED or any(report.failure.culprit == named for report in reports)
