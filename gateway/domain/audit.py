"""What the audit log keeps: facts about requests and decisions, never a value of a record."""

from __future__ import annotations

from gateway.domain.records import record


@record
class Fact:
    """One thing that happened. `subject` is who did it, `about` the resource, `detail` a short sentence."""

    at: int
    kind: str
    subject: str
    about: str
    detail: str


@record
class TreeHead:
    """Size and root of the Merkle tree over all facts (RFC 9162 section 2.1); root in hex."""

    size: int
    root: str


@record
class SignedHead:
    """A head as a space's agent signed it in `receipt`, at `at`."""

    space: str
    size: int
    root: str
    at: int
    receipt: str


@record
class Inclusion:
    """The proof that `record`, the bytes that were hashed, stands at `position` in the log with this head
    (RFC 9162 section 2.1.3); the path in hex, deepest first."""

    position: int
    record: str
    head: TreeHead
    path: tuple[str, ...]


@record
class Consistency:
    """The proof that the log with this head begins with the log that had the head `since` (section 2.1.4)."""

    since: TreeHead
    head: TreeHead
    path: tuple[str, ...]


@record
class Break:
    """Where a log stops being what was written to it. `position` is that of the first record that does not fit, with
    what it says of itself where it can be read; None where every record fits and something around them does not."""

    text: str
    position: int | None = None
    kind: str = ""
    at: int = 0
