"""A policy as a text: what is in force, and how far stewards are with what they want in its place."""

from __future__ import annotations

from gateway.domain.records import record


@record
class PolicyText:
    """The policy in force of a dataset; `digest` is SHA-256 of the text, in hex."""

    dataset: str
    version: int
    digest: str
    text: str


@record
class Proposal:
    """What one steward has signed: the newest word of the key `signer` on a dataset. `at` is when, `expires` until when
    it counts."""

    dataset: str
    signer: str
    digest: str
    token: str
    at: int
    expires: int


@record
class Proposed:
    """`have` of `need` different stewards have signed the text of this digest; `accepted`: the agent has taken it."""

    dataset: str
    version: int
    digest: str
    have: int
    need: int
    accepted: bool
