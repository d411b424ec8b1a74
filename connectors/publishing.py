"""Makes editions: a source is copied, checked, held against the editions before it, and frozen or left to wait.

Invariants: the bytes that were checked are the bytes that are kept; an edition counts from the moment at which its row
is in the database, whole or not at all; a source that cannot be used changes nothing; what waits leaves no trace. It
works beside a running agent, whose ledger gives the rows their numbers too. What is said here is for the dataset's
owner alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
from pyroaring import BitMap
from sqlalchemy import make_url

from connectors.config import AgentConfig, DatasetConfig, EditionConfig, PolicyConfig
from connectors.holdings import FrozenCopy, Holding, checked, described_by, named, on_copy
from connectors.known_rows import KnownRows, stored
from connectors.redescribed import changes
from connectors.rules.editions import (
    EDITION_ID,
    Against,
    Decision,
    Former,
    Outcome,
    decide,
    next_bound,
    next_id,
    outdated,
)
from connectors.sources.copies import delete_but, keep_copy, one_at_a_time, take_copy
from connectors.sources.errors import SourceError
from connectors.sources.snapshot import Identities
from connectors.sources.tables import Problem
from gateway.config import broken, database_url, load
from gateway.domain.audit import Fact
from gateway.domain.dataset import Edition
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.store.database import Database
from gateway.edges.store.editions import StoredEdition, StoredEditions
from gateway.edges.store.ledger import StoredLedger
from gateway.rules.planning import MAX_ROWS

NEW = ".new"


@dataclass(frozen=True, slots=True)
class Standing:
    """A source beside the editions of its dataset, oldest first. Where its rows break rules, these are the `problems`
    and nothing is decided. `restored` says that the lost copy of the newest edition was made again."""

    dataset: str
    editions: Sequence[StoredEdition]
    problems: Sequence[Problem] = ()
    decision: Decision | None = None
    restored: bool = False

    @property
    def newest(self) -> Edition | None:
        return self.editions[-1].edition if self.editions else None


@dataclass(frozen=True, slots=True)
class _Read:
    """The rules that the rows break; the identity of each row and the snapshot of all, if they break none."""

    problems: Sequence[Problem]
    identities: Identities = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    snapshot: str = ""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a source by number; the `new` ones get theirs, from `known` on, when they are published."""

    rows: BitMap
    known: int
    new: Identities


def editions_folder(settings: AgentConfig, beside: Path) -> Path:
    """The configured one, else `editions` beside an SQLite database, else in the folder `beside`."""
    if settings.editions is not None:
        return settings.editions
    url = make_url(database_url(settings.database, beside))
    return (Path(str(url.database)).parent if url.drivername.startswith("sqlite") else beside) / "editions"


async def newest_copies(editions: StoredEditions, folder: Path) -> Mapping[str, FrozenCopy]:
    """The newest edition of each dataset that was published."""
    return {name: copy_of((await editions.of(name))[-1], folder) for name in await editions.newest()}


def copy_of(edition: StoredEdition, folder: Path) -> FrozenCopy:
    return FrozenCopy(edition.edition, folder, edition.file)


class Publisher:
    """Of one agent, which may be running."""

    def __init__(self, settings: AgentConfig, folder: Path, database: Database, now: Callable[[], int]) -> None:
        """`folder` is where copies are kept; `now` the time in seconds since 1970."""
        self._settings, self._folder, self._now = settings, folder, now
        self._editions: StoredEditions = database.editions
        self._ledger: StoredLedger = database.ledger

    async def look(self, file: Path) -> Standing:
        """What `publish` would do with the live source of the dataset that `file` describes; writes nothing.

        Raises IsthmusError naming the field where the source, or a configuration, cannot be read.
        """
        _, holding = self._described(file)
        name = holding.dataset.name
        editions = await self._editions.of(name)
        read = await asyncio.to_thread(_read, holding)
        if read.problems:
            return Standing(name, editions, read.problems)
        decision = await self._decided(holding, editions, await self._numbered(name, read))
        return Standing(name, editions, decision=decision)

    async def publish(self, file: Path, id: str | None = None, row_bound: int | None = None) -> Standing:
        """Freeze the source of the dataset that `file` describes as its next edition, unless its changes wait.

        Raises IsthmusError: as `look` does, INVALID_ARGUMENT and ALREADY_EXISTS for an `id` that will not do,
        ROWS_EXCEED_BOUND for such a `row_bound`. The edition before stays in force then.
        """
        settings, holding = self._described(file)
        try:
            own = self._private_folder(holding)
            with one_at_a_time(own):
                taken = own / (NEW + PurePosixPath(settings.file).suffix)
                try:
                    await asyncio.to_thread(take_copy, settings.folder, settings.file, taken)
                    copied = replace(holding, source=holding.source.at(self._folder, self._below(taken)))
                    return await self._judge(copied, settings.edition, taken, id, row_bound)
                finally:
                    taken.unlink(missing_ok=True)
        except SourceError as problem:
            raise named(problem, holding.dataset.name, self._settings.entity) from None
        except OSError as problem:
            text = f"the folder of editions {self._folder} cannot be used: {problem.strerror}"
            raise broken(text, "editions", "Nothing was published: make room, or name another folder") from None

    async def _judge(
        self, copied: Holding, first: EditionConfig, taken: Path, id: str | None, row_bound: int | None
    ) -> Standing:
        """What becomes of the copy `taken`; `first` is the edition of before any was published."""
        name = copied.dataset.name
        editions = await self._editions.of(name)
        asked = {answer.edition for answer in await self._ledger.answers(name)}
        chosen = _name(id, self._now(), {first.id, *asked, *(edition.id for edition in editions)})
        read = await asyncio.to_thread(_read, copied)
        if read.problems:
            return Standing(name, editions, read.problems)
        while True:
            numbered = await self._numbered(name, read)
            decision = await self._decided(copied, editions, numbered)
            if decision.outcome is Outcome.UNCHANGED:
                restored = await self._restored(copied, read.snapshot, editions[-1], taken)
                return Standing(name, editions, decision=decision, restored=restored)
            if decision.outcome is Outcome.WAITS:
                return Standing(name, editions, decision=decision)
            bound = _bound(len(read.identities), editions[-1].row_bound if editions else first.row_bound, row_bound)
            # The running agent's ledger may have numbered some meanwhile: what it wrote counts.
            if not len(numbered.new) or await self._ledger.number(name, numbered.known, stored(numbered.new)):
                break
        number, rows = len(editions) + 1, numbered.rows.serialize()
        file = self._below(taken.with_name(f"{number}{taken.suffix}"))
        made = StoredEdition(name, number, chosen, self._now(), read.snapshot, bound, rows, file)
        return Standing(name, await self._put(made, editions, taken), decision=decision)

    async def _put(self, made: StoredEdition, before: Sequence[StoredEdition], taken: Path) -> Sequence[StoredEdition]:
        """Publish an edition, and delete the copies that are not kept; all editions then are."""
        place = self._folder / made.file
        keep_copy(taken, place)
        ids = {edition.number: edition.id for edition in before if edition.file}
        gone = outdated([*ids, made.number])
        told = [self._fact("edition.published", made.dataset, f"edition {made.id}")]
        told += [self._fact("edition.deleted", made.dataset, f"the copy of edition {ids[number]}") for number in gone]
        if not await self._editions.publish(made, gone, told):
            place.unlink()
            raise IsthmusError(
                Reason.ALREADY_EXISTS,
                f"somebody else has just published an edition of {made.dataset}",
                space=self._settings.entity,
                advice="Publish again: what has changed since is held against theirs",
            )
        after = await self._editions.of(made.dataset)
        delete_but(place.parent, {Path(edition.file).name for edition in after if edition.file})
        return after

    async def _restored(self, copied: Holding, snapshot: str, newest: StoredEdition, taken: Path) -> bool:
        """Put back the copy of the newest edition, whose rows are those of the source, if it is lost or damaged."""
        try:
            await asyncio.to_thread(on_copy, copied, copy_of(newest, self._folder))
            return False
        except IsthmusError:
            if snapshot != newest.snapshot:
                raise
        place = taken.with_name(f"{newest.number}{taken.suffix}")
        keep_copy(taken, place)
        fact = self._fact("edition.restored", newest.dataset, f"the copy of edition {newest.id}")
        await self._editions.restore(newest.dataset, newest.number, self._below(place), fact)
        return True

    async def _numbered(self, dataset: str, read: _Read) -> _Rows:
        known, identities = KnownRows(), read.identities
        known.learn_stored(await self._ledger.identities(dataset))
        count, new = len(known.identities), known.unknown(identities)
        known.learn(new)
        return _Rows(known.rows(identities), count, new)

    async def _decided(self, holding: Holding, editions: Sequence[StoredEdition], numbered: _Rows) -> Decision:
        formers = [Former(edition.id, BitMap.deserialize(edition.rows)) for edition in editions]
        answers = await self._ledger.answers(holding.dataset.name)
        answered = (BitMap.deserialize(answer.rows) for answer in answers)
        decision = decide(numbered.rows, formers, answered, holding.dataset.terms.minimum_cell)
        if decision.outcome is not Outcome.PUBLISHED or not editions:
            return decision
        known = bool(numbered.rows & formers[-1].rows) or not formers[-1].rows
        found = await asyncio.to_thread(changes, holding, editions, self._folder, known)
        for change in found:
            if 0 < change.apart < decision.least:
                come, gone = found[0].come, found[0].gone
                return Decision(Outcome.WAITS, decision.least, come, gone, change.apart, Against.EDITION, change.since)
        return decision

    def _described(self, file: Path) -> tuple[DatasetConfig, Holding]:
        settings = load(DatasetConfig, file)
        if file.resolve() not in {listed.resolve() for listed in self._settings.datasets}:
            text = f"the agent's configuration does not list {file}"
            raise broken(text, "datasets", "Add it there; the agent reads it when it starts")
        return settings, described_by(self._settings.entity, settings, load(PolicyConfig, settings.policy))

    def _private_folder(self, holding: Holding) -> Path:
        """The folder of this dataset's copies."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._folder.stat().st_mode & 0o077:
            text = f"others can look into the folder of editions {self._folder}"
            raise broken(text, "editions", f"Run: chmod 700 {self._folder}")
        return self._folder / holding.dataset.short_name

    def _below(self, place: Path) -> str:
        return place.relative_to(self._folder).as_posix()

    def _fact(self, kind: str, dataset: str, detail: str) -> Fact:
        return Fact(self._now(), kind, self._settings.entity, dataset, detail)


def _read(holding: Holding) -> _Read:
    """What is checked first is what is pinned, and whose rows are known then."""
    report = checked(holding)
    if report.pinned is None:
        return _Read(report.problems)
    try:
        identities = holding.source.identities((), key=holding.snapshot_key, pinned=report.pinned)
    except SourceError as problem:
        raise named(problem, holding.dataset.name, f"https://{holding.dataset.space_host}") from None
    return _Read((), identities, report.pinned)


def _name(id: str | None, now: int, taken: set[str]) -> str:
    if id is None:
        return next_id(now, taken)
    if EDITION_ID.fullmatch(id) is None:
        text = f"{id!r:.80} is no name of an edition"
        raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="--id", advice="Letters, digits and . _ -, at most 64")
    if id in taken:
        text = f"there is an edition {id} already"
        raise IsthmusError(Reason.ALREADY_EXISTS, text, field="--id", advice="An edition never changes: choose another")
    return id


def _bound(rows: int, before: int, wished: int | None) -> int:
    """Public: what the number of people is padded to."""
    bound = next_bound(rows, max(before, 1)) if wished is None else wished
    if not max(rows, 1) <= bound <= MAX_ROWS:
        raise IsthmusError(
            Reason.ROWS_EXCEED_BOUND,
            f"a row bound of {bound} does not fit {rows} rows",
            field="--row-bound",
            advice=f"Choose one from {max(rows, 1)} to {MAX_ROWS}, a round number",
        )
    return bound
