"""One session at one agent: its parties, its inputs, its frames, until the receipt or the first failure.

Invariants: nothing here believes the gateway: whoever runs this has verified contract and approvals; nor a party,
which says what its place in the session allows or ends it (connectors/rules/party_speech.py); an
output share leaves only after the audit log says that it will; the first failure ends it here, names whom this space
can know to have caused it, and leaves no party behind. The agent watches its parties and says that it lives: a party
says nothing of the kind. The contract's stall and total deadlines hold here, whatever the gateway does.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected
from connectors.engine.inputs import seal_inputs
from connectors.engine.pipe import PipeBroken, ToParty
from connectors.engine.programs import PROGRAMS
from connectors.engine.rows import InputCells, InputRows
from connectors.engine.wire import COUNTER_BYTES, TAG_BYTES, longest_payload
from connectors.launch.subprocesses import Party, PartyPool
from connectors.rules.party_job import failure, keeper, party_job
from connectors.rules.party_speech import Done, Improper, OutputReady, Outputs, Speech
from connectors.supervision import Watch, sample
from gateway.domain.approval import SignedContract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import (
    PROVIDER_BASE,
    UNDETERMINED,
    Completed,
    Failure,
    Frame,
    Heartbeat,
    Progress,
    RunEvent,
)
from gateway.edges.mailbox import PIECE, Mailbox
from gateway.edges.tunnel import MAX_SEALED
from gateway.rules.roster import Roster

log = structlog.get_logger()
HEARTBEAT_SECONDS = 1.0
WATCH_SECONDS = 0.25
PROGRESS_SECONDS = 0.1
MAX_WAITING = 64  # events, before signs of life are left out


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """The private halves (raw X25519) of the keys in this space's approval; never written to disk."""

    seats: Mapping[int, bytes] = field(repr=False)
    provider: bytes = field(repr=False)


@dataclass(slots=True)
class _Seat:
    pid: int
    party: Party
    # When it last sent something.
    spoke: float
    watch: Watch
    speech: Speech
    phase: str = "start"
    told: float = 0.0
    # What it said last, and nobody was told yet.
    untold: Progress | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)
    summary: Done = field(default_factory=Done)
    # What has come of sealed traffic that travels in pieces, by source.
    pieces: dict[int, bytearray] = field(default_factory=dict)


class Ended(Exception):
    """The session ends here with this failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


@dataclass(slots=True)
class Session:
    entity: str
    contract: SignedContract
    roster: Roster
    keys: SessionKeys
    pool: PartyPool
    # Reads this space's rows; called in a thread, and only if it is a provider.
    read_rows: Callable[[], InputRows | InputCells]
    # Writes down that output shares leave now, durably, before they do.
    spend: Callable[[], Awaitable[None]]
    # Signs the receipt over the digests of the sealed output shares and the summary of the run.
    receipt: Callable[[list[str], dict[str, Any]], Awaitable[str]]
    # What its noise is expanded from, where the contract has noise.
    noise_seed: bytes = field(default=b"", repr=False)
    # The agent's public key, to which parties seal their output shares once more; empty where none are kept.
    storage_key: bytes = b""
    # What they sealed to it, by pid, once the session is complete here.
    kept: dict[int, bytes] = field(default_factory=dict)
    _seats: dict[int, _Seat] = field(default_factory=dict)
    _events: asyncio.Queue[RunEvent] = field(default_factory=asyncio.Queue)
    _outgoing: Mailbox = field(default_factory=Mailbox)
    _outputs: list[str] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _seated: asyncio.Event = field(default_factory=asyncio.Event)
    _stopped: bool = False

    async def run(self) -> AsyncGenerator[RunEvent, None]:
        """Events until Completed or Failure. Everything it started is gone before the last of them is told, so
        that whoever asks again at once finds the seats free."""
        try:
            # Beside the start, which may wait for a party: nobody must take this space for dead, and who
            # ends the session meanwhile is heard.
            self._spawn(self._beat(), None)
            self._spawn(self._in_time(), None)
            self._spawn(self._start(), None)
            while not isinstance(event := await self._events.get(), Completed | Failure):
                yield event
            await self._end()
            yield event
        finally:
            await self._end()

    async def _start(self) -> None:
        kept_by = keeper(self.contract, self.storage_key)
        for seat in self.contract.body.seats_of(self.entity):
            try:
                party = await self.pool.take()
            except IsthmusError as problem:
                failed = failure(problem.reason, self.entity, "start", problem.public, problem.advice)
                raise Ended(failed) from None
            now = asyncio.get_running_loop().time()
            job = party_job(self.contract.body, self.roster, self.keys.seats[seat.pid], seat.pid, kept_by)
            party.send(ToParty.JOB, json.dumps(job).encode())
            watch, speech = Watch(self.contract.body.deadlines.stall, now), self._speech(seat.pid)
            self._seats[seat.pid] = _Seat(seat.pid, party, now, watch, speech)
        self._seated.set()
        for held in self._seats.values():
            self._spawn(self._listen(held), held.pid)
        if self._seats:
            self._spawn(self._watch(), None)
        self._spawn(self._work(), None)

    def _speech(self, pid: int) -> Speech:
        body = self.contract.body
        cost = PROGRAMS[body.program.name].cost(
            json.loads(body.program.parameters),
            [provider.row_bound for provider in body.providers],
            Shape(body.m, body.t),
        )
        longest = longest_payload(cost.largest, body.m) + COUNTER_BYTES + TAG_BYTES
        return Speech(body, self.entity, pid, longest, keeps=bool(self.storage_key))

    async def _end(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        self._seated.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for held in self._seats.values():
            await self.pool.give_back(held.party)
        # What waits to be sent still is: other parties wait for it.
        self._outgoing.finish()

    def stop(self, failure: Failure) -> None:
        """Somebody else ended the session."""
        self._events.put_nowait(failure)

    async def deliver(self, frame: Frame) -> None:
        """A frame from another space for one of the parties here; early ones wait until the party has its job."""
        await self._seated.wait()
        held = self._seats.get(frame.destination)
        if held is None or self._stopped:
            return
        sender = self.contract.body.entity_at(frame.source)
        if sender is None:  # no gateway but our own lets this through
            text = "a frame came from nobody in the contract"
            raise Ended(failure(Reason.PROTOCOL_VIOLATION, self.entity, "session", text))
        sealed: bytes | bytearray = frame.sealed
        if frame.more or frame.source in held.pieces:
            pieces = held.pieces.setdefault(frame.source, bytearray())
            pieces += frame.sealed
            if len(pieces) > MAX_SEALED:
                # Gateways refuse what comes in too many pieces: this one let it through, or pieced it together itself.
                text = f"more came at once from {sender} than any protocol step takes"
                raise Ended(failure(Reason.FRAME_UNREADABLE, sender, "session", text))
            if frame.more:
                return
            sealed = held.pieces.pop(frame.source)
        if frame.source >= PROVIDER_BASE:
            held.party.send(ToParty.INPUT, bytes([frame.source - PROVIDER_BASE]), sealed)
        else:
            held.party.send(ToParty.PEER, bytes([frame.source]), sealed)
        await held.party.drained()

    def outgoing(self) -> AsyncIterator[Sequence[Frame]]:
        """Frames for other spaces, as many at once as wait; ends after the last one."""
        return self._outgoing.batches()

    def _spawn(self, work: Any, pid: int | None) -> None:
        async def guarded() -> None:
            phase = self._seats[pid].phase if pid is not None else "session"
            try:
                await work
            except Ended as ended:
                self._events.put_nowait(ended.failure)
            except IsthmusError as problem:
                self._events.put_nowait(failure(problem.reason, self.entity, phase, problem.public, problem.advice))
            except (PipeBroken, OSError):
                text = f"party {pid} of this space cannot be spoken to"
                self._events.put_nowait(failure(Reason.PARTY_DIED, self.entity, phase, text))
            except Exception as bug:  # whatever it was, nobody may wait for ever
                log.error("session", session=self.contract.body.session, exc_info=bug)
                text = "the space's agent failed"
                self._events.put_nowait(failure(Reason.INTERNAL, self.entity, phase, text))

        self._tasks.add(asyncio.create_task(guarded()))

    async def _work(self) -> None:
        """Share the inputs, wait for the parties, sign the receipt."""
        if self.contract.body.provider_of(self.entity) is not None:
            self._events.put_nowait(Progress("input", 0.0))
            await self._share()
        for held in self._seats.values():
            await held.done.wait()
        summaries = [held.summary for held in self._seats.values()]
        summary = {
            "bytes_sent": sum(done.bytes_sent for done in summaries),
            "rounds": max((done.rounds for done in summaries), default=0),
            "seconds": max((float(done.seconds) for done in summaries), default=0.0),
        }
        token = await self.receipt(sorted(self._outputs), summary)
        views = tuple(view for done in summaries for view in done.views)
        self.kept.update({pid: held.summary.kept for pid, held in self._seats.items() if held.summary.kept})
        self._events.put_nowait(Completed(token, views))

    async def _share(self) -> None:
        """This provider's people, linked or added up, encoded, shared and sealed to each seat, in chunks."""
        rows = await asyncio.to_thread(self.read_rows)
        body = self.contract.body
        index = next(i for i, provider in enumerate(body.providers) if provider.entity == self.entity)
        try:
            chunks = await asyncio.to_thread(
                seal_inputs,
                transcript=self.roster.transcript,
                entity=self.entity,
                private_key=self.keys.provider,
                seats=self.roster.seats,
                program=body.program.name,
                parameters=json.loads(body.program.parameters),
                bound=body.providers[index].row_bound,
                rows=rows,
                noise_seed=self.noise_seed,
            )
        except InputRejected as rejected:
            raise IsthmusError(
                Reason.INPUT_OUT_OF_RANGE,
                f"the rows do not fit the contract: {rejected.field}",
                private=rejected.detail,
                field=rejected.field,
                space=self.entity,
                advice="The owner finds the rows with a check of the dataset",
            ) from None
        for pid, sealed in chunks.items():
            for chunk in sealed:
                await self._send(Frame(PROVIDER_BASE + index, pid, chunk))

    async def _send(self, frame: Frame) -> None:
        if frame.destination in self._seats:
            await self.deliver(frame)
        else:
            for start in range(0, len(frame.sealed), PIECE):
                piece = frame.sealed[start : start + PIECE]
                more = start + PIECE < len(frame.sealed)
                await self._outgoing.put(Frame(frame.source, frame.destination, piece, more))

    async def _listen(self, held: _Seat) -> None:
        """One party's messages, until it is done; its end before that is a death."""
        loop = asyncio.get_running_loop()
        async for kind, body in held.party.messages():
            held.spoke = loop.time()
            try:
                said = held.speech.hear(kind, body)
            except Improper as improper:
                # Its own agent sees it first, and says so: nobody else need be believed about it.
                text = f"party {held.pid} at {self.entity} {improper}"
                raise Ended(failure(Reason.PROTOCOL_VIOLATION, self.entity, held.phase, text)) from None
            match said:
                case Frame() as frame:
                    await self._send(frame)
                case Progress() as progress:
                    held.phase, held.untold = progress.phase, progress
                    self._tell_progress(held, held.spoke)
                case OutputReady():
                    await self.spend()
                    held.speech.may_send()
                    held.party.send(ToParty.GO)
                case Outputs(shares):
                    for share in shares:
                        self._outputs.append(hashlib.sha256(base64.b64decode(share.sealed)).hexdigest())
                        self._events.put_nowait(share)
                case Done() as done:
                    held.summary = done
                    held.done.set()
                    return
                case Failure() as failed:
                    raise Ended(failed)
        reason, how = await held.party.ending()
        text = f"party {held.pid} at {self.entity} ended in the phase {held.phase}, {how}"
        raise Ended(failure(reason, self.entity, held.phase, text))

    def _tell_progress(self, held: _Seat, now: float) -> None:
        """Not too often, whatever changes; what was held back is told by and by."""
        if held.untold is not None and now - held.told > PROGRESS_SECONDS:
            self._mention(held.untold)
            held.told, held.untold = now, None

    def _mention(self, event: Heartbeat | Progress) -> None:
        """Nobody misses it if others of its kind wait to be told."""
        if self._events.qsize() < MAX_WAITING:
            self._events.put_nowait(event)

    async def _watch(self) -> None:
        """Look at the parties; one that has stalled ends the session."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for held in self._seats.values():
                if held.done.is_set():
                    continue
                self._tell_progress(held, loop.time())
                seen = sample(held.party.process_id)
                if (how := held.watch.look(loop.time(), seen, held.spoke, held.party.unread())) is not None:
                    stall = self.contract.body.deadlines.stall
                    text = f"party {held.pid} at {self.entity} has been {how} for {stall} s"
                    raise Ended(failure(Reason.PARTY_STALLED, self.entity, held.phase, text))

    async def _in_time(self) -> None:
        """The session has ended before its total deadline; who kept it that long, nobody can tell from here."""
        total = self.contract.body.deadlines.total
        await asyncio.sleep(total)
        text = f"the session was not over within {total} s"
        raise Ended(failure(Reason.DEADLINE_EXCEEDED, UNDETERMINED, "session", text))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self._mention(Heartbeat())
