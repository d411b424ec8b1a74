"""What a party that is broken in gets its agent to do: nothing that its place in the session does not allow."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import pytest

from connectors.engine.pipe import FromParty, ToParty
from connectors.rules.party_speech import LONGEST, MAX_KEPT, Done, Improper, OutputReady, Outputs, Speech
from connectors.session import MAX_WAITING, Ended, Session, _Seat
from connectors.supervision import Watch
from gateway.domain.computation import SealedShare
from gateway.domain.session import Failure, Frame, Progress
from tests import examples

CONTRACT = examples.contract()  # seats: 0 home, 1 police, 2 neutral
NAMES = [recipient.name for recipient in CONTRACT.recipients]
SHARE = base64.b64encode(b"share").decode()
Message = tuple[int, bytes]


def told(kind: FromParty, said: object) -> Message:
    return kind, json.dumps(said).encode()


READY = (FromParty.OUTPUT_READY, b"")
OUTPUT = told(FromParty.OUTPUT, dict.fromkeys(NAMES, SHARE))
DONE = told(FromParty.DONE, {"bytes_sent": 5, "messages": 1, "rounds": 2, "seconds": 0.5, "view": None})


def failed(**changes: object) -> Message:
    said = {"culprit": None, "reason": "INTERNAL", "phase": "sort", "detail": "it broke"}
    return told(FromParty.FAILED, {**said, **changes})


def speech(pid: int = 0, *, longest: int = 1000) -> Speech:
    return Speech(CONTRACT, examples.HOME, pid, longest)


def hear(on: Speech, message: Message) -> object:
    return on.hear(message[0], memoryview(message[1]))


def test_what_an_honest_party_says_is_heard() -> None:
    on = speech()
    assert hear(on, (FromParty.PEER, b"\x01sealed")) == Frame(0, 1, b"sealed")
    assert hear(on, told(FromParty.PROGRESS, {"phase": "sort", "fraction": 0.5})) == Progress("sort", 0.5)
    assert hear(on, READY) == OutputReady()
    on.may_send()
    assert hear(on, OUTPUT) == Outputs(tuple(SealedShare(0, name, SHARE) for name in NAMES))
    assert hear(on, DONE) == Done(5, 2, 0.5)


IMPROPER: dict[str, list[Message]] = {
    "output before it may": [OUTPUT],
    "output before the agent has written it down": [READY, OUTPUT],
    "done without output": [DONE],
    "ready twice": [READY, READY],
    "ready with something more": [(FromParty.OUTPUT_READY, b"x")],
    "ready for another job": [told(FromParty.READY_FOR_JOB, {"confinement": [], "missing": []})],
    "a kind that there is not": [(99, b"")],
    "a kind that goes to parties": [(ToParty.GO, b"")],
    "a frame for nobody": [(FromParty.PEER, b"")],
    "a frame for a seat that there is not": [(FromParty.PEER, b"\x03x")],
    "a frame for itself": [(FromParty.PEER, b"\x00x")],
    "a frame longer than any step's": [(FromParty.PEER, b"\x01" + bytes(1001))],
    "progress that is no json": [(FromParty.PROGRESS, b"{")],
    "progress without a phase": [told(FromParty.PROGRESS, {"fraction": 0.5})],
    "progress of another form": [told(FromParty.PROGRESS, ["sort", 0.5])],
    "progress in phases that are no text": [told(FromParty.PROGRESS, {"phase": ["x"], "fraction": 0})],
    "progress that is no number": [told(FromParty.PROGRESS, {"phase": "x", "fraction": "1"})],
    "progress that is not finite": [(FromParty.PROGRESS, b'{"phase": "x", "fraction": NaN}')],
    "progress below nothing": [told(FromParty.PROGRESS, {"phase": "x", "fraction": -1})],
    "progress that is very long": [told(FromParty.PROGRESS, {"phase": "x" * 2000, "fraction": 0})],
    "a failure of another form": [told(FromParty.FAILED, {"reason": "INTERNAL"})],
    "a failure that names a seat that there is not": [failed(culprit={"pid": 3})],
    "a failure that counts seats from the end": [failed(culprit={"pid": -1})],
    "a failure that names a provider that there is not": [failed(culprit={"provider": 3})],
    "a failure that names something else": [failed(culprit={"operator": 0})],
    "a failure that is very long": [failed(detail="x" * 70000)],
    "json that is very deep": [(FromParty.FAILED, b"[" * 60000)],
}


@pytest.mark.parametrize("name", IMPROPER)
def test_what_no_party_says_is_refused(name: str) -> None:
    *before, last = IMPROPER[name]
    on = speech()
    for message in before:
        hear(on, message)
    with pytest.raises(Improper):
        hear(on, last)


AFTER_GO: dict[str, list[Message]] = {
    "output twice": [OUTPUT, OUTPUT],
    "ready again": [OUTPUT, READY],
    "done before output": [DONE],
    "nobody's output": [told(FromParty.OUTPUT, {})],
    "output for one more": [told(FromParty.OUTPUT, {**dict.fromkeys(NAMES, SHARE), "r": SHARE})],
    "output for somebody else": [told(FromParty.OUTPUT, {"r": SHARE})],
    "output that is no base64": [told(FromParty.OUTPUT, dict.fromkeys(NAMES, "!" + SHARE))],
    "output that is no text": [told(FromParty.OUTPUT, dict.fromkeys(NAMES, 5))],
    "done with a number that is none": [OUTPUT, told(FromParty.DONE, {"bytes_sent": "1", "rounds": 1, "seconds": 1})],
    "done with a number that nobody counts to": [
        OUTPUT,
        told(FromParty.DONE, {"bytes_sent": 2**70, "rounds": 1, "seconds": 1}),
    ],
    "done with less than it": [OUTPUT, told(FromParty.DONE, {})],
}


@pytest.mark.parametrize("name", AFTER_GO)
def test_what_no_party_says_is_refused_after_go_as_well(name: str) -> None:
    on = speech()
    hear(on, READY)
    on.may_send()
    *before, last = AFTER_GO[name]
    for message in before:
        hear(on, message)
    with pytest.raises(Improper):
        hear(on, last)


def test_texts_are_short_and_can_be_shown() -> None:
    progress = hear(speech(), told(FromParty.PROGRESS, {"phase": "so\nrt\x1b[31m" + "x" * 500, "fraction": 7}))
    assert progress == Progress("sort[31m" + "x" * 54, 1.0)
    failure = hear(speech(), failed(detail="a\r\nb" + "x" * 5000, phase="\x00sort"))
    assert isinstance(failure, Failure)
    assert failure.phase == "sort"
    assert failure.text.startswith("party 0: abxxx")
    assert len(failure.text) < 1100


def test_nobody_but_the_initiators_own_party_shows_what_it_received() -> None:
    shown = examples.contract(demo_view=True)
    sample = {"step": "sort:1", "from": 1, "count": 1, "elements": ["7"]}
    done = {"bytes_sent": 5, "rounds": 2, "seconds": 0.5, "view": [sample]}
    for contract, pid, count in ((CONTRACT, 0, 0), (shown, 0, 1), (shown, 1, 0)):
        on = Speech(contract, contract.seats[pid].entity, pid, 1000)
        hear(on, READY)
        on.may_send()
        hear(on, OUTPUT)
        said = hear(on, told(FromParty.DONE, done))
        assert isinstance(said, Done)
        assert len(said.views) == count


@pytest.mark.parametrize("kept", [SHARE, None])
def test_what_it_seals_to_an_agent_that_keeps_nothing_goes_nowhere(kept: str | None) -> None:
    on = speech()
    hear(on, READY)
    on.may_send()
    hear(on, OUTPUT)
    assert hear(on, told(FromParty.DONE, {**json.loads(DONE[1]), "kept": kept})) == Done(5, 2, 0.5)


def test_its_agent_keeps_what_it_seals_to_it_once_and_within_bounds() -> None:
    said = json.loads(DONE[1])
    long = base64.b64encode(bytes(MAX_KEPT + 1)).decode()
    for kept in (SHARE, None, 5, "", "!" + SHARE, long):
        on = Speech(CONTRACT, examples.HOME, 0, 1000, keeps=True)
        hear(on, READY)
        on.may_send()
        hear(on, OUTPUT)
        if kept == SHARE:
            assert hear(on, told(FromParty.DONE, {**said, "kept": kept})) == Done(5, 2, 0.5, (), b"share")
            with pytest.raises(Improper):
                hear(on, told(FromParty.DONE, {**said, "kept": kept}))
            continue
        with pytest.raises(Improper):
            hear(on, told(FromParty.DONE, {**said, "kept": kept}))
    with pytest.raises(Improper):  # nor is it said with the output, which goes to the recipients
        on = Speech(CONTRACT, examples.HOME, 0, 1000, keeps=True)
        hear(on, READY)
        on.may_send()
        hear(on, told(FromParty.OUTPUT, {**dict.fromkeys(NAMES, SHARE), "kept": SHARE}))


def test_every_kind_has_its_length() -> None:
    assert set(LONGEST) == set(FromParty) - {FromParty.PEER, FromParty.READY_FOR_JOB}


# At the agent.


@dataclass
class Broken:
    """Stands for a party process that says what it likes."""

    says: Iterable[Message]
    process_id: int = 1
    sent: list[ToParty] = field(default_factory=list)

    def send(self, kind: ToParty, *body: bytes) -> None:
        self.sent.append(kind)

    async def messages(self) -> AsyncIterator[tuple[int, memoryview]]:
        for kind, body in self.says:
            yield kind, memoryview(body)


async def listened(says: Iterable[Message]) -> tuple[list[object], Failure | None, list[int]]:
    """The events that come of it, how it ended, and after how many events it was written down that shares leave."""
    spent: list[int] = []

    async def spend() -> None:
        spent.append(session._events.qsize())

    session = Session(examples.HOME, None, None, None, None, None, spend, None)  # type: ignore[arg-type]
    seat = _Seat(0, Broken(says), 0.0, Watch(5, 0.0), speech())  # type: ignore[arg-type]
    ended = None
    try:
        await session._listen(seat)
    except Ended as caught:
        ended = caught.failure
    events: list[object] = []
    while not session._events.empty():
        events.append(session._events.get_nowait())
    return events, ended, spent


async def test_no_share_leaves_before_it_is_written_down() -> None:
    for says in ([OUTPUT, DONE], [DONE], [(FromParty.PEER, b"\x01" + bytes(1001))]):
        events, ended, spent = await listened(says)
        assert (events, spent) == ([], [])
        assert ended is not None
        # Its own space's doing, which it admits.
        assert (ended.reason, ended.culprit) == ("PROTOCOL_VIOLATION", examples.HOME)
        assert "party 0 at" in ended.text
    events, ended, spent = await listened([READY, OUTPUT, DONE])
    assert (ended, spent) == (None, [0])
    assert [type(event) for event in events] == [SealedShare] * len(NAMES)
    events, ended, spent = await listened([READY, OUTPUT, OUTPUT])
    assert ended is not None
    assert (len(events), spent) == (len(NAMES), [0])


async def test_a_party_that_talks_all_the_time_is_told_of_now_and_then() -> None:
    flood = (told(FromParty.PROGRESS, {"phase": "ab"[i % 2] + "x" * 900, "fraction": 0}) for i in range(20_000))
    events, _, _ = await listened([*flood, READY, OUTPUT, DONE])
    progress = [event for event in events if isinstance(event, Progress)]
    assert 1 <= len(progress) <= MAX_WAITING
    assert {len(event.phase) for event in progress} == {64}
    # Shares are never left out.
    assert len(events) - len(progress) == len(NAMES)
