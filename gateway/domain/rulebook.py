"""The rulebook of a federation, and what a space says of its own membership. Nouns only.

Invariant: a version of an anchor's rulebook is one text for ever: its digest is SHA-256, in hex, of the bytes.
"""

from __future__ import annotations

from gateway.domain.records import record


@record
class Rulebook:
    """One version, as an anchor's statements name it: `in_force` from that second since 1970 on."""

    version: int
    digest: str
    in_force: int


@record
class Published:
    """What an anchor keeps of a version, beside its text."""

    book: Rulebook
    at: int


@record
class Acceptance:
    """That a space accepts this text of this anchor's rulebook."""

    anchor: str
    version: int
    digest: str


@record
class OwnWord:
    """What nobody can say for a space: which rulebooks it accepts, whether its operator has paused it, and which
    anchors it leaves."""

    accepted: tuple[Acceptance, ...] = ()
    paused: bool = False
    leaving: tuple[str, ...] = ()


NO_WORD = OwnWord()
