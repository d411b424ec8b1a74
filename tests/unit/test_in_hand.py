"""What an agent has in hand: who ends what, and what is handed out once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from connectors.in_hand import MAX_WAITING_OF_ONE, InHand
from connectors.session import Session, SessionKeys
from gateway.domain.approval import SignedContract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import Failure
from tests.examples import CARE, POLICE, SESSION, contract

KEYS = SessionKeys({}, b"")
WRONG = IsthmusError(Reason.REVOKED, "no more", space=CARE)


@dataclass
class Running:
    contract: SignedContract
    stopped: Failure | None = None

    def stop(self, failure: Failure) -> None:
        self.stopped = failure


def signed(digest: str, session: str = SESSION, initiator: str = CARE) -> SignedContract:
    return SignedContract(replace(contract(), session=session, initiator=initiator), digest, "a token")


def in_hand() -> tuple[InHand, list[str]]:
    let_go: list[str] = []
    return InHand(let_go.append), let_go


def test_keys_are_handed_out_once_and_nobody_is_told_that_they_are_let_go() -> None:
    mine, let_go = in_hand()
    mine.wait(signed("a"), KEYS)
    assert (mine.take("a"), mine.take("a"), let_go) == (KEYS, None, [])


def test_what_may_not_go_on_is_stopped_or_forgotten() -> None:
    mine, let_go = in_hand()
    running = Running(signed("a"))
    mine.begin(cast(Session, running), ())
    mine.wait(signed("b", "1" * 32), KEYS)
    assert [found.digest for found, _ in mine.contracts()] == ["a", "b"]
    for found, _ in mine.contracts():
        mine.end(found, WRONG)
    assert running.stopped == Failure("REVOKED", CARE, "session", "no more")
    assert (mine.waiting, let_go) == ({}, ["b"])


def test_a_contract_that_names_anothers_session_ends_without_it() -> None:
    mine, let_go = in_hand()
    running = Running(signed("a"))
    mine.begin(cast(Session, running), ())
    intruding = signed("b", initiator=POLICE)
    mine.wait(intruding, KEYS)
    mine.end(intruding, WRONG)
    assert (running.stopped, let_go) == (None, ["b"])


def test_who_proposes_and_does_not_run_loses_its_own_oldest_keys() -> None:
    mine, let_go = in_hand()
    mine.wait(signed("police", "f" * 32, POLICE), KEYS)
    for number in range(MAX_WAITING_OF_ONE + 1):
        mine.make_room(CARE)
        mine.wait(signed(str(number), f"{number:032x}"), KEYS)
    assert let_go == ["0"] and "police" in mine.waiting
