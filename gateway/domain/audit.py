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
