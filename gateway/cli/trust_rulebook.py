"""`isthmus trust rulebook`, `leave`, `pause`, `resume`: what a federation agrees on, and a space's own word about it.

Invariants: a space accepts a text that it has, whole, and whose digest its anchor signed; what it says of its
membership is a file beside the anchor's statement, which a running gateway signs within a second, and a record in the
audit log.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt, wait_fixed

from gateway.anchor.app import opened
from gateway.config import GatewayConfig, database_url, load
from gateway.domain.audit import Fact
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Entity, EntityId
from gateway.domain.rulebook import Acceptance, OwnWord, Rulebook
from gateway.edges.anchors import AnchorLine, located, read_statements
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.federation import Federation
from gateway.edges.own_statement import own_statement
from gateway.edges.rulebooks import OwnWordFile, RulebookFiles
from gateway.edges.space_keys import SpaceKeys
from gateway.edges.store.database import Database
from gateway.rules import rulebook
from gateway.rules.dates import day_of
from gateway.rules.jose import TokenProblem
from gateway.rules.membership import word_of

T = TypeVar("T")
_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What one configuration knows of a rulebook: its versions, a text, who accepted which version (0: none)."""

    anchor: str
    books: tuple[Rulebook, ...]
    chosen: Rulebook
    text: str | None
    accepted: dict[str, int]

    def plain(self, now: int) -> dict[str, Any]:
        current = rulebook.in_force(self.books, now)
        return {
            "anchor": self.anchor,
            "in_force": None if current is None else current.version,
            "versions": [
                {"version": book.version, "digest": book.digest, "in_force": day_of(book.in_force)}
                for book in self.books
            ],
            "shown": self.chosen.version,
            "text": self.text,
            "accepted": self.accepted,
        }

    def told(self, now: int) -> str:
        current = rulebook.in_force(self.books, now)
        lines = [f"Rulebook of {self.anchor}"]
        for book in self.books:
            state = "in force since" if book.in_force <= now else "in force from"
            mark = " (this one counts)" if book == current else ""
            lines.append(f"  version {book.version}, {state} {day_of(book.in_force)}{mark}, SHA-256 {book.digest}")
        for entity, version in sorted(self.accepted.items()):
            lines.append(f"  {entity} has accepted {f'version {version}' if version else 'none'}")
        return "\n".join(lines)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def now() -> int:
    return SystemClock().now()


async def publish(config: Path, file: Path, version: int, day: str) -> Rulebook:
    """Raises IsthmusError(INVALID_ARGUMENT) for a text, version or day that cannot be."""
    try:
        raw = file.read_bytes()
    except OSError as problem:
        told = f"{file} cannot be read: {problem.strerror}"
        raise IsthmusError(Reason.INVALID_ARGUMENT, told, field="FILE", advice="Name the text") from None
    async with opened(config) as office:
        return await office.vouch.publish(rulebook.checked_text(raw), version, _day(day))


async def seen(config: Path, version: int, anchor: str) -> Seen:
    """By the configuration of a space, or of the anchor itself. Raises IsthmusError(NOT_FOUND)."""
    if _is_anchor(config):
        return await _at_anchor(config, version)
    settings, _, trust = await _known(config)
    pinned = _anchor(settings, trust, anchor)
    books = trust.rulebooks.of(pinned)
    chosen = _chosen(books, version)
    accepted = {
        str(entity.entity_id): _version(entity.word, pinned) for entity in trust.entities() if entity.anchor == pinned
    }
    return Seen(pinned, books, chosen, RulebookFiles.beside(settings.statement).text(pinned, chosen), accepted)


async def accept(config: Path, version: int, anchor: str, agreed: Callable[[Seen], bool]) -> Acceptance:
    """Raises IsthmusError: NOT_FOUND where the text is not here, PERMISSION_DENIED where nobody `agreed`."""
    found = await seen(config, version, anchor)
    if _is_anchor(config):
        raise IsthmusError(
            Reason.CONFIGURATION, f"{config} is an anchor's: members accept", advice="Name a gateway.toml"
        )
    if found.text is None:
        raise IsthmusError(
            Reason.NOT_FOUND,
            f"the text of version {found.chosen.version} is not here yet",
            advice="A running gateway fetches it within seconds",
        )
    if not agreed(found):
        raise IsthmusError(Reason.PERMISSION_DENIED, "nothing was accepted", advice="Read it, and run this again")
    accepted = Acceptance(found.anchor, found.chosen.version, found.chosen.digest)
    detail = f"version {accepted.version}, digest {accepted.digest}"
    await _say(
        config, lambda word: rulebook.accepting(word, accepted), ("rulebook.accepted", accepted.anchor, detail)
    )  # fmt: skip
    return accepted


async def pause(config: Path, *, resume: bool) -> None:
    kind = "membership.resumed" if resume else "membership.paused"
    await _say(config, lambda word: replace(word, paused=not resume), (kind, "", "by its operator"))


async def leave(config: Path, anchor: str) -> tuple[str, bool]:
    """The anchor that is left, and whether it knows: else a running gateway tells it once it answers."""
    settings, keys, trust = await _known(config)
    left = _anchor(settings, trust, anchor)

    def leaving(word: OwnWord) -> OwnWord:
        return replace(word, leaving=tuple(dict.fromkeys((*word.leaving, left))))

    word = await _say(config, leaving, ("membership.left", left, "by its operator"))
    clock = SystemClock()
    hints = [pinned.entity for pinned in settings.anchors]
    (address,) = [pinned for pinned in settings.anchors if pinned.entity == left]
    line = AnchorLine(settings.entity, located(address), keys.token.active, clock, SystemIds())

    async def knows() -> bool:
        """That the anchor was told is known when it answers no more: a running gateway's statement may be a little
        newer than this one, and tells it then."""
        try:
            await line.fetch(own_statement(settings, keys, hints, clock.now(), word), (), _ALL)
        except IsthmusError as problem:
            if problem.reason is Reason.PERMISSION_DENIED and "has left" in problem.public:
                return True
            if problem.reason is not Reason.ILLEGAL_TRANSITION:  # that is a running gateway which said it first
                raise
        return False

    asking = AsyncRetrying(
        retry=retry_if_result(lambda known: not known),
        stop=stop_after_attempt(10),
        wait=wait_fixed(1),
        retry_error_callback=lambda state: False,
    )
    try:
        return left, bool(await asking(knows))
    except IsthmusError:
        return left, False
    finally:
        await line.close()


async def _say(
    config: Path, change: Callable[[OwnWord], OwnWord], about: tuple[str, str, str]
) -> OwnWord:  # fmt: skip
    """Change what this space says of itself, with a record of it; nothing is written that it says already."""
    settings = load(GatewayConfig, config)
    file = OwnWordFile.beside(settings.statement)
    before = file.read()
    word = change(before)
    if word == before:
        return word
    kind, subject, detail = about
    async with await Database.open(database_url(settings.database, config.parent)) as database:
        fact = Fact(now(), kind, settings.entity, subject or settings.entity, detail)
        await database.audit.append([fact])
    file.write(word)
    return word


async def _known(config: Path) -> tuple[GatewayConfig, SpaceKeys, Federation]:
    """What this space believes, from its files and its database."""
    settings, clock = load(GatewayConfig, config), SystemClock()
    anchors = [anchor.load() for anchor in settings.anchors]
    async with await Database.open(database_url(settings.database, config.parent)) as database:
        trust = Federation(anchors, clock.now, database.beliefs)
        keys = SpaceKeys(settings.keys, settings.tls, settings.entity, trust, clock)
        await trust.restore()
    statements = read_statements(settings.statement)
    own = own_statement(settings, keys, [anchor.entity_id for anchor in anchors], clock.now())
    try:
        if statements:
            trust.admit([own, *statements])
    except TokenProblem:
        pass  # it has left, or its statement has expired: what is known of the rulebook is known still
    return settings, keys, trust


async def _at_anchor(config: Path, version: int) -> Seen:
    async with opened(config) as office:
        anchor = office.desk.card.entity
        books = tuple(item.book for item in await office.database.rulebooks.list())
        chosen = _chosen(books, version)
        members = await office.database.members.since(0, _ALL)
        accepted = {
            member.entity: _version(word_of(member.configuration), anchor) for member in members if not member.left
        }
        return Seen(anchor, books, chosen, await office.vouch.text(chosen.version), accepted)


def _anchor(settings: GatewayConfig, trust: Federation, wanted: str) -> EntityId:
    """The one that is named, or the only one that there is."""
    pinned = [anchor.entity for anchor in settings.anchors]
    if wanted:
        pinned = [entity for entity in pinned if entity == wanted]
    elif len(pinned) > 1:
        pinned = [entity for entity in pinned if trust.rulebooks.of(entity)]
    if len(pinned) != 1:
        raise IsthmusError(
            Reason.NOT_FOUND,
            f"{wanted or 'no anchor'} is pinned here" if not pinned else "several anchors are pinned here",
            field="--anchor",
            advice="`isthmus trust show` lists them",
        )
    return pinned[0]


def _chosen(books: tuple[Rulebook, ...], version: int) -> Rulebook:
    """The version that is asked for, or the newest."""
    found = [book for book in books if version in (0, book.version)]
    if not found:
        what = f"version {version} of the rulebook" if version else "a rulebook of this federation"
        raise IsthmusError(
            Reason.NOT_FOUND, f"{what} is not known here", advice="The anchor's operator publishes it"
        )  # fmt: skip
    return found[-1]


def _version(word: OwnWord, anchor: str) -> int:
    accepted = rulebook.acceptance_of(word, anchor)
    return 0 if accepted is None else accepted.version


def standing_of(entity: Entity, trust: Federation) -> dict[str, Any]:
    """For `isthmus trust show`: what an entity accepted, and what is against it."""
    problem = trust.objection(entity.entity_id)
    return {
        "rulebook": _version(entity.word, entity.anchor),
        "objection": "" if problem is None else problem.public,
    }


def _day(text: str) -> int:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise IsthmusError(
            Reason.INVALID_ARGUMENT, f"{text!r:.40} is no day", field="--in-force", advice="For example 2027-01-01"
        ) from None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _is_anchor(config: Path) -> bool:
    try:
        return "operator" not in tomllib.loads(config.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False  # `load` says what is wrong
