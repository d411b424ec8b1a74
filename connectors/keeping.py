"""The output shares that this agent keeps of released results, so that a repeat is answered from them.

Invariants: what is kept was released, as all spaces were told, and is sealed to a storage key that lies with this
agent alone; it leaves only sealed to the recipients of a contract that this agent approved; what was disputed, revoked,
altered or kept too long is deleted, with a record of it, and not named again.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from gateway.domain.approval import SignedContract
from gateway.domain.audit import Fact
from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.kept import Kept, KeptShare
from gateway.edges.keys import load_agreement_key, new_agreement_key, pem_of, write_secret
from gateway.edges.store.kept import StoredKept
from gateway.ports import Clock
from gateway.rules import redelivery, sealing
from gateway.rules.canonical import question
from gateway.rules.roster import Roster
from gateway.rules.statistics import about_one_person

DAY = 24 * 60 * 60
EXPIRES_EVERY = 3600.0
MAX_UNSETTLED = 128  # sessions that are done here, and of which nobody has said how they ended

log = structlog.get_logger()

# Whether a contract of this digest, in which these spaces take part, was revoked.
Revoked = Callable[[str, Iterable[str]], IsthmusError | None]


@dataclass(slots=True)
class Keeper:
    entity: str
    store: StoredKept
    revoked: Revoked
    clock: Clock
    # The storage key (raw X25519); without one nothing is kept.
    private: bytes = field(default=b"", repr=False)
    days: int = 365
    # By session, until it is said to be released.
    _unsettled: dict[str, Kept] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def storage_key(self) -> bytes:
        """The public half; empty where nothing is kept."""
        return sealing.public_of(self.private) if self.private else b""

    async def seats_of(self, draft: Contract) -> tuple[str, ...]:
        """Who had the seats, by pid, when the draft's question was answered last, as far as that can be answered again
        from here; only an owner says so, to somebody whom its policy lets ask this very question."""
        if draft.demo_view or draft.provider_of(self.entity) is None:
            return ()
        shape = draft.m, draft.t, draft.program.digest
        kept = await self._valid(draft)
        return next((one.seats for one in kept if (len(one.seats), one.t, one.program) == shape), ())

    async def claim(self, contract: SignedContract) -> str:
        """The digest of the contract whose shares answer this one at all seats of this space; empty for none."""
        body = contract.body
        if not body.seats_of(self.entity):
            return ""
        await self._delete_revoked(body)
        kept = await self._valid(body)
        return next((one.contract for one in kept if redelivery.answers(one, body, self.entity)), "")

    async def open(self, contract: SignedContract, origin: str) -> dict[int, list[int]]:
        """The output vector of each of this space's seats, kept of the contract `origin`, in this contract's order.

        Raises IsthmusError(KEPT_SHARE_UNREADABLE); what cannot be opened is deleted then. REVOKED for a contract that
        was revoked meanwhile.
        """
        body = contract.body
        if (problem := self.revoked(origin, _concerned(body))) is not None:
            raise problem
        if not body.seats_of(self.entity):
            return {}
        kept = [one for one in await self._valid(body) if one.contract == origin]
        if not kept or not redelivery.answers(kept[0], body, self.entity):
            raise self._unreadable("it is not kept any more")
        try:
            return {share.pid: self._opened(kept[0], share, body) for share in kept[0].shares}
        except ValueError as problem:  # SealBroken, no base64, or other cells
            fact = self._fact("kept.deleted", body.initiator, origin, "it cannot be opened")
            await self.store.forget(origin, fact)
            raise self._unreadable(str(problem)) from None

    async def deliver(self, contract: SignedContract, origin: str) -> None:
        """Write down, before they do, that the kept shares of this space's seats leave for this contract's recipients.
        Raises IsthmusError, REVOKED too."""
        if (problem := self.revoked(origin, _concerned(contract.body))) is not None:
            raise problem
        if not contract.body.seats_of(self.entity):
            return
        detail = f"output shares kept of contract {origin} leave for the recipients"
        fact = self._fact("redelivery.output", contract.body.initiator, contract.digest, detail)
        await self.store.deliver(contract.body.session, origin, fact)

    def completed(self, contract: SignedContract, roster: Roster, sealed: Mapping[int, bytes]) -> None:
        """The session is complete here: what its parties sealed to this agent waits until it is said to be released."""
        body = contract.body
        if about_one_person(body.query):  # each asking is decided on anew, and spends its quota
            return
        if not self.private or sorted(sealed) != [seat.pid for seat in body.seats_of(self.entity)] or not sealed:
            return
        if len(self._unsettled) >= MAX_UNSETTLED:
            del self._unsettled[next(iter(self._unsettled))]
        self._unsettled[body.session] = Kept(
            contract=contract.digest,
            session=body.session,
            initiator=body.initiator,
            question=question(body),
            seats=tuple(seat.entity for seat in body.seats),
            t=body.t,
            program=body.program.digest,
            parameters=body.program.parameters,
            transcript=roster.transcript.hex(),
            storage_key=_text(self.storage_key),
            shares=tuple(KeptShare(pid, _text(roster.seats[pid]), _text(sealed[pid])) for pid in sorted(sealed)),
            at=self.clock.now(),
        )

    async def released(self, session: str) -> None:
        """Its result was released: from now on its shares are kept. Raises IsthmusError."""
        async with self._turn:
            if (kept := self._unsettled.pop(session, None)) is not None:
                detail = f"output shares of {len(kept.shares)} seats, sealed to this agent"
                await self.store.keep(kept, self._fact("kept.stored", kept.initiator, kept.contract, detail))

    async def failed(self, session: str, reason: str) -> None:
        """The session failed; where its shares did not fit together, what they came from is deleted. Raises
        IsthmusError."""
        async with self._turn:
            self._unsettled.pop(session, None)
            if reason == Reason.INCONSISTENT_SHARES:
                for contract in await self.store.of_session(session):
                    fact = self._fact("kept.deleted", self.entity, contract, f"{reason} in session {session}")
                    await self.store.forget(contract, fact)

    async def expire(self) -> None:
        """Delete what was kept long enough. Raises IsthmusError."""
        for contract in await self.store.before(self.clock.now() - self.days * DAY):
            fact = self._fact("kept.deleted", self.entity, contract, f"kept for {self.days} days")
            await self.store.forget(contract, fact)

    async def expire_for_ever(self) -> None:
        while True:
            try:
                await self.expire()
            except IsthmusError as problem:
                log.error("kept shares", problem=problem.public, why=problem.private)
            await asyncio.sleep(EXPIRES_EVERY)

    async def _valid(self, body: Contract) -> list[Kept]:
        """What may be used now of what is kept of the question, newest first."""
        if not self.private:
            return []
        since, own = self.clock.now() - self.days * DAY, _text(self.storage_key)
        kept = await self.store.of_question(question(body))
        timely = [one for one in kept if one.at >= since and one.storage_key == own]
        return [one for one in timely if self._revoked(one, body) is None]

    async def _delete_revoked(self, body: Contract) -> None:
        for one in await self.store.of_question(question(body)):
            if self._revoked(one, body) is not None:
                fact = self._fact("kept.deleted", self.entity, one.contract, "the contract was revoked")
                await self.store.forget(one.contract, fact)

    def _revoked(self, kept: Kept, body: Contract) -> IsthmusError | None:
        """Who took part in the one took part in the other: the question names the owners, and the seats are the same
        or are not used."""
        return self.revoked(kept.contract, (*_concerned(body), *kept.seats, kept.initiator))

    def _opened(self, kept: Kept, share: KeptShare, body: Contract) -> list[int]:
        seat, sealed = (base64.b64decode(text, validate=True) for text in (share.key, share.sealed))
        transcript = bytes.fromhex(kept.transcript)
        vector = sealing.open_kept(self.private, seat, transcript, share.pid, kept.contract, kept.question, sealed)
        return redelivery.rearranged(vector, kept.parameters, body.program.parameters)

    def _unreadable(self, private: str) -> IsthmusError:
        return IsthmusError(
            Reason.KEPT_SHARE_UNREADABLE,
            "an output share that was kept of an earlier answer cannot be read",
            private=private,
            space=self.entity,
            advice="Ask again: it is computed anew",
        )

    def _fact(self, kind: str, subject: str, contract: str, detail: str) -> Fact:
        return Fact(self.clock.now(), kind, subject, contract, detail)


def storage_key(path: Path | None) -> bytes:
    """The private key in this file, which is made if it is not there; empty without a path.

    Raises IsthmusError(CONFIGURATION).
    """
    if path is None:
        return b""
    if not path.exists():
        write_secret(path, pem_of(new_agreement_key().secret))
    return load_agreement_key(path).secret.private_bytes_raw()


def _concerned(body: Contract) -> tuple[str, ...]:
    return (*body.entities(), body.initiator)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
