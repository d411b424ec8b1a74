"""What an agent keeps of a released result, when it names it, and what makes it delete it (THREATS row 34)."""

from __future__ import annotations

import base64
import hashlib
import stat
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from connectors.keeping import DAY, MAX_UNSETTLED, Keeper, storage_key
from connectors.redelivery import Redelivery
from connectors.session import SessionKeys
from gateway.domain.approval import SignedContract
from gateway.domain.computation import SealedShare
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.kept import Kept
from gateway.domain.session import Completed, Failure, Progress, RunEvent
from gateway.edges.store.database import Database
from gateway.ports import Clock
from gateway.rules import sealing
from gateway.rules.canonical import question
from gateway.rules.records import to_bytes
from gateway.rules.revocation import contract_revoked
from gateway.rules.roster import Roster
from tests import examples
from tests.examples import CARE, HOME, NEUTRAL, POLICE
from tests.fakes import FakeClock

VECTOR = [40, 0, 12, 1, 0, 1]
SEATS = {pid: sealing.fresh_key() for pid in range(3)}
ROSTER = Roster(b"T" * 32, {pid: public for pid, (_, public) in SEATS.items()}, {})


def contract(session: str = "a" * 32, **changes: object) -> SignedContract:
    body = examples.contract(session=session, **changes)
    return SignedContract(body, hashlib.sha256(to_bytes(body)).hexdigest(), "")


@dataclass
class Kit:
    """The keeper of police, which has seat 1."""

    keeper: Keeper
    clock: FakeClock
    database: Database
    # Digests of revoked contracts, and the spaces that were named when one was looked for.
    revoked: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)

    def sealed(self, asked: SignedContract, vector: list[int] = VECTOR) -> dict[int, bytes]:
        to, about = self.keeper.storage_key, question(asked.body)
        return {1: sealing.seal_kept(to, SEATS[1][0], ROSTER.transcript, 1, asked.digest, about, vector)}

    async def keep(self, asked: SignedContract | None = None, vector: list[int] = VECTOR) -> SignedContract:
        """Police's party computed `asked`, and it was released."""
        asked = asked or contract()
        self.keeper.completed(asked, ROSTER, self.sealed(asked, vector))
        await self.keeper.released(asked.body.session)
        return asked

    async def alter(self, **columns: str) -> None:
        """Somebody writes into the agent's database."""
        changes = ", ".join(f"{name} = :{name}" for name in columns)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(text(f"UPDATE kept_shares SET {changes}"), columns)

        await self.database._connections.write(work)

    async def deleted(self) -> list[str]:
        facts = await self.database.audit.read(start=0, limit=100)
        return [fact.detail for fact in facts if fact.kind == "kept.deleted"]


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    clock = FakeClock()
    async with await Database.open(f"sqlite+aiosqlite:///{tmp_path}/agent.db") as database:

        def revoked(digest: str, entities: Iterable[str]) -> IsthmusError | None:
            made.named |= set(entities)
            return contract_revoked(CARE) if digest in made.revoked else None

        keeper = Keeper(POLICE, database.kept, revoked, cast(Clock, clock), sealing.fresh_key()[0])
        made = Kit(keeper, clock, database)
        yield made


AGAIN = contract("b" * 32, requester="somebody else")


async def refused(kit: Kit, origin: str, asked: SignedContract = AGAIN) -> Reason:
    with pytest.raises(IsthmusError) as caught:
        await kit.keeper.open(asked, origin)
    return caught.value.reason


async def test_what_was_released_answers_the_same_question_whoever_asks(kit: Kit) -> None:
    first = await kit.keep()
    assert await kit.keeper.claim(AGAIN) == first.digest
    assert await kit.keeper.open(AGAIN, first.digest) == {1: VECTOR}
    other = contract("c" * 32, query=examples.question(title="x", link_on=("name",)))
    assert await kit.keeper.claim(other) == ""


async def test_the_parts_of_a_vector_go_where_the_repeat_has_their_cells(kit: Kit) -> None:
    first = await kit.keep(contract(), [1, 2, 3, 11, 12, 13])
    program = AGAIN.body.program
    codes = '"LABOUR","SEXUAL","OTHER"'
    assert codes in program.parameters
    parameters = program.parameters.replace(codes, '"OTHER","LABOUR","SEXUAL"')
    moved = replace(AGAIN, body=replace(AGAIN.body, program=replace(program, parameters=parameters)))
    assert await kit.keeper.open(moved, first.digest) == {1: [3, 1, 2, 13, 11, 12]}


async def test_what_nobody_says_is_released_is_not_kept(kit: Kit) -> None:
    asked = contract()
    kit.keeper.completed(asked, ROSTER, kit.sealed(asked))
    assert await kit.keeper.claim(AGAIN) == ""
    await kit.keeper.failed(asked.body.session, "PARTY_DIED")
    await kit.keeper.released(asked.body.session)
    await kit.keeper.released("of a session that never was")
    assert await kit.keeper.claim(AGAIN) == ""
    for number in range(MAX_UNSETTLED + 1):
        one = contract(f"{number:032x}")
        kit.keeper.completed(one, ROSTER, kit.sealed(one))
    await kit.keeper.released(f"{0:032x}")  # the oldest is not waited for any longer
    assert await kit.keeper.claim(AGAIN) == ""
    await kit.keeper.released(f"{1:032x}")
    assert await kit.keeper.claim(AGAIN) != ""


async def test_nothing_is_kept_of_a_seat_that_did_not_seal(kit: Kit) -> None:
    asked = contract()
    for sealed in ({}, {0: b"x"}, {0: b"x", 1: b"x"}):
        kit.keeper.completed(asked, ROSTER, sealed)
        await kit.keeper.released(asked.body.session)
    assert await kit.keeper.claim(AGAIN) == ""


async def test_without_a_storage_key_nothing_is_kept_nor_named(kit: Kit) -> None:
    first = await kit.keep()
    kit.keeper.private = b""
    assert kit.keeper.storage_key == b""
    assert await kit.keeper.claim(AGAIN) == ""
    assert await refused(kit, first.digest) is Reason.KEPT_SHARE_UNREADABLE


async def test_under_another_storage_key_nothing_is_named(kit: Kit) -> None:
    await kit.keep()
    kit.keeper.private = sealing.fresh_key()[0]
    assert await kit.keeper.claim(AGAIN) == ""


async def test_shares_that_did_not_fit_are_deleted_and_those_that_they_came_from_too(kit: Kit) -> None:
    first = await kit.keep()
    await kit.keeper.failed(first.body.session, "CANCELLED")
    assert await kit.keeper.claim(AGAIN) == first.digest
    await kit.keeper.failed(first.body.session, "INCONSISTENT_SHARES")
    assert await kit.keeper.claim(AGAIN) == ""
    second = await kit.keep(contract("d" * 32))
    await kit.keeper.deliver(AGAIN, second.digest)
    await kit.keeper.failed(AGAIN.body.session, "INCONSISTENT_SHARES")
    assert await kit.keeper.claim(AGAIN) == ""
    assert await kit.deleted() == [
        f"INCONSISTENT_SHARES in session {session}" for session in (first.body.session, AGAIN.body.session)
    ]


async def test_a_revoked_contract_is_not_shown_again_whoever_of_it_revokes(kit: Kit) -> None:
    first = await kit.keep(contract(initiator="https://gone.example"))
    kit.revoked.add(first.digest)
    assert await refused(kit, first.digest) is Reason.REVOKED
    with pytest.raises(IsthmusError, match="revoked"):
        await kit.keeper.deliver(AGAIN, first.digest)
    assert await kit.keeper.claim(AGAIN) == ""
    assert kit.named == {HOME, POLICE, NEUTRAL, CARE, "https://gone.example"}
    assert await kit.deleted() == ["the contract was revoked"]


async def test_what_is_kept_has_its_days(kit: Kit) -> None:
    first = await kit.keep()
    kit.clock.at += kit.keeper.days * DAY
    await kit.keeper.expire()
    assert await kit.keeper.claim(AGAIN) == first.digest
    kit.clock.at += 1
    assert await kit.keeper.claim(AGAIN) == ""  # before anybody has swept
    await kit.keeper.expire()
    assert await kit.database.kept.of_question(question(AGAIN.body)) == ()
    assert await kit.deleted() == ["kept for 365 days"]


@pytest.mark.parametrize("changed", ["shares", "contract", "transcript", "key", "pid"])
async def test_a_share_that_somebody_swapped_does_not_open_and_is_not_named_again(kit: Kit, changed: str) -> None:
    first = await kit.keep()
    (kept,) = await kit.database.kept.of_question(question(first.body))
    (share,) = kept.shares
    other = contract("e" * 32)
    foreign = base64.b64encode(kit.sealed(other, [1] * 6)[1]).decode()
    altered: dict[str, Kept] = {
        "shares": replace(kept, shares=(replace(share, sealed=foreign),)),
        "contract": replace(kept, contract=other.digest),
        "transcript": replace(kept, transcript="00" * 32),
        "key": replace(kept, shares=(replace(share, key=base64.b64encode(SEATS[0][1]).decode()),)),
        "pid": replace(kept, shares=(replace(share, sealed="no base64!"),)),
    }
    record = altered[changed]
    await kit.alter(contract=record.contract, record=to_bytes(record).decode())
    assert await kit.keeper.claim(AGAIN) == record.contract
    assert await refused(kit, record.contract) is Reason.KEPT_SHARE_UNREADABLE
    assert await kit.keeper.claim(AGAIN) == ""
    assert await kit.deleted() == ["it cannot be opened"]


async def test_a_share_put_under_another_question_does_not_open(kit: Kit) -> None:
    await kit.keep(contract(query=examples.question(link_on=("name",))))
    (kept,) = await kit.database.kept.of_question(question(contract(query=examples.question(link_on=("name",))).body))
    record = replace(kept, question=question(AGAIN.body))
    await kit.alter(question=record.question, record=to_bytes(record).decode())
    assert await refused(kit, record.contract) is Reason.KEPT_SHARE_UNREADABLE


async def test_only_an_owner_tells_who_had_the_seats_of_an_answer(kit: Kit) -> None:
    await kit.keep()
    assert await kit.keeper.seats_of(AGAIN.body) == (HOME, POLICE, NEUTRAL)
    moved = replace(AGAIN.body, seats=tuple(reversed(AGAIN.body.seats)))
    assert await kit.keeper.seats_of(moved) == (HOME, POLICE, NEUTRAL)
    assert await kit.keeper.seats_of(replace(AGAIN.body, demo_view=True)) == ()
    other = replace(AGAIN.body, program=replace(AGAIN.body.program, digest="0" * 64))
    assert await kit.keeper.seats_of(other) == ()
    kit.keeper.entity = NEUTRAL
    assert await kit.keeper.seats_of(AGAIN.body) == ()


def test_a_storage_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "storage.pem"
    assert storage_key(None) == b""
    made = storage_key(file)
    assert len(made) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert storage_key(file) == made
    with pytest.raises(IsthmusError):
        storage_key(tmp_path / "nowhere" / "storage.pem")


# What leaves.


@dataclass
class Run:
    """One re-delivery at police, step by step."""

    log: list[str] = field(default_factory=list)
    problem: IsthmusError | None = None
    stops: str = ""

    async def events(self) -> list[RunEvent]:
        keys = SessionKeys({1: SEATS[1][0]}, b"")
        self.made = Redelivery(
            POLICE, AGAIN, ROSTER, keys, "e" * 64, self._vectors, lambda: self._step("spend"), self._receipt
        )
        return [event async for event in self.made.run()]

    async def _step(self, name: str) -> None:
        self.log.append(name)
        if self.stops == name:
            self.made.stop(Failure("CANCELLED", HOME, "session", "x", ""))
        if self.problem is not None and name == "spend":
            raise self.problem

    async def _vectors(self) -> dict[int, list[int]]:
        await self._step("open")
        return {1: VECTOR}

    async def _receipt(self, outputs: list[str], summary: dict[str, object]) -> str:
        self.log.append("receipt")
        self.outputs, self.summary = outputs, summary
        return "receipt"


async def test_a_kept_share_leaves_sealed_to_the_repeats_recipient_once_that_is_written_down() -> None:
    run = Run()
    events = await run.events()
    assert run.log == ["open", "spend", "receipt"]
    progress, share, completed = events
    assert isinstance(progress, Progress) and isinstance(share, SealedShare) and isinstance(completed, Completed)
    assert progress.phase == "re-delivered"
    sealed = base64.b64decode(share.sealed)
    name = AGAIN.body.recipients[0].name
    opened = sealing.open_output(b"\x11" * 32, ROSTER.seats[1], ROSTER.transcript, 1, name, sealed)
    assert opened == VECTOR
    assert run.outputs == [hashlib.sha256(sealed).hexdigest()]
    assert run.summary == {"bytes_sent": 0, "rounds": 0, "seconds": 0.0, "redelivered": "e" * 64}


@pytest.mark.parametrize("stops", ["open", "spend"])
async def test_one_that_is_stopped_sends_nothing(stops: str) -> None:
    events = await Run(stops=stops).events()
    assert [type(event) for event in events] == [Progress, Failure]


async def test_one_whose_policy_says_no_by_now_sends_nothing() -> None:
    run = Run(problem=IsthmusError(Reason.POLICY_REFUSED, "withdrawn", space=POLICE))
    events = await run.events()
    assert [type(event) for event in events] == [Progress, Failure]
    failure = events[-1]
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.culprit, run.log) == ("POLICY_REFUSED", POLICE, ["open", "spend"])
