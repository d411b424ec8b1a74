"""What one process knows of its anchors' rulebooks, and who may begin sessions by it; texts, and a space's own word.

Invariants: what a verified chain said of a rulebook counts until a later version, restarts included; a text is kept
only if it is the one whose digest the anchor signed; a file is replaced whole or left as it was.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Entity, EntityId, host_of
from gateway.domain.revocation import Belief
from gateway.domain.rulebook import OwnWord, Rulebook
from gateway.edges.files import Watched
from gateway.ports import Beliefs
from gateway.rules import rulebook
from gateway.rules.records import from_bytes, to_bytes

BOOKS = "rulebook"  # the kind under which they are stored
WORD, TEXTS = "membership.json", "rulebooks"  # beside the anchor's statement


class Rulebooks:
    """By anchor, as chains of its members said it."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Rulebook, ...]] = {}
        self._stored: dict[str, int] = {}

    def of(self, anchor: str) -> tuple[Rulebook, ...]:
        return self._known.get(anchor, ())

    def check(self, entity: Entity) -> None:
        """Raises TokenProblem where the entity's chain says another thing of the rulebook than is known."""
        rulebook.merged(self.of(entity.anchor), entity.rulebooks, entity.anchor)

    def take(self, entity: Entity) -> None:
        """Of a chain that was verified. Raises TokenProblem as `check`."""
        if entity.rulebooks:
            self._known[entity.anchor] = rulebook.merged(self.of(entity.anchor), entity.rulebooks, entity.anchor)

    async def keep(self, anchor: str, beliefs: Beliefs) -> None:
        """Durably, if there is more than is stored."""
        if not (known := self.of(anchor)) or self._stored.get(anchor) == known[-1].version:
            return
        body = to_bytes(known).decode()
        await beliefs.keep(BOOKS, Belief(EntityId(anchor), known[-1].version, body))
        self._stored[anchor] = known[-1].version

    async def restore(self, beliefs: Beliefs) -> None:
        for belief in await beliefs.all(BOOKS):
            kept = from_bytes(tuple[Rulebook, ...], belief.body, what="rulebooks", reason=Reason.INTERNAL)
            self._known[belief.issuer] = rulebook.merged(kept, self.of(belief.issuer), belief.issuer)
            self._stored[belief.issuer] = kept[-1].version


class RulebookFiles:
    """Texts in a folder of the gateway's, one file for a version."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def beside(cls, statement: Path) -> RulebookFiles:
        return cls(statement.parent / TEXTS)

    def path(self, anchor: EntityId, version: int) -> Path:
        return self._folder / f"{host_of(anchor)}-{version}.md"

    def text(self, anchor: EntityId, book: Rulebook) -> str | None:
        """The text, if it is here and is that of `book`."""
        try:
            text = self.path(anchor, book.version).read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        return text if rulebook.digest_of(text) == book.digest else None

    def missing(self, anchor: EntityId, books: Sequence[Rulebook]) -> Rulebook | None:
        return next((book for book in books if self.text(anchor, book) is None), None)

    def keep(self, anchor: EntityId, book: Rulebook, text: str) -> None:
        """Raises IsthmusError(UNAUTHENTICATED) for another text than the anchor signed, INVALID_ARGUMENT for none."""
        checked = rulebook.checked_text(text.encode())
        if rulebook.digest_of(checked) != book.digest:
            raise IsthmusError(
                Reason.UNAUTHENTICATED,
                f"what {anchor} gives out as version {book.version} of its rulebook is not the text that it signed",
                space=anchor,
                advice="Its operator finds out who changed it",
            )
        _replace(self.path(anchor, book.version), checked.encode())


class OwnWordFile:
    """What this space says of its own membership; a file that is missing says nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = Watched(path, _parsed)

    @classmethod
    def beside(cls, statement: Path) -> OwnWordFile:
        return cls(statement.parent / WORD)

    def read(self) -> OwnWord:
        """Raises IsthmusError(CONFIGURATION)."""
        try:
            return self._file.read()
        except FileNotFoundError:
            return OwnWord()

    def write(self, word: OwnWord) -> None:
        _replace(self.path, to_bytes(word) + b"\n")


def _parsed(raw: bytes) -> OwnWord:
    return from_bytes(OwnWord, raw, what=WORD, reason=Reason.CONFIGURATION)


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as problem:
        told = f"{path} cannot be written: {problem.strerror}"
        raise IsthmusError(Reason.CONFIGURATION, told, advice="Check the folder and the disk") from None
