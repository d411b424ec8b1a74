"""Decisions of people about a plan: who has to decide, how far they are, and what they signed.

A plan is a draft contract that its initiator signed and that people decide on. Nobody's name is in any of this: a
steward is known by the thumbprint of their key.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.domain.contract import Contract
from gateway.domain.records import record

APPROVE, REJECT = "approve", "reject"
# Said of a plan that somebody looks at through a gateway; it decides nothing.
SEEN = "seen"


@record
class Need:
    """How many people of a space have to approve, within how many hours, and for how many editions at most."""

    persons: int
    within: int
    standing: int = 1


@record
class SignedPlan:
    """A verified plan; `digest` is what people sign (`gateway.rules.plans`), `token` its signed form, `expires` when
    it is over."""

    body: Contract
    digest: str
    token: str
    expires: int


class Stage(StrEnum):
    """How far the people of one space are."""

    NOT_NEEDED = "NOT_NEEDED"
    DELIVERED = "DELIVERED"
    SEEN = "SEEN"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


@record
class Consulted:
    """What a space says of its people's decision: `have` of `need` have approved. Times are seconds since 1970, 0 for
    what has not happened; `text` is what a steward says in public."""

    stage: Stage
    have: int = 0
    need: int = 0
    delivered: int = 0
    seen: int = 0
    deadline: int = 0
    text: str = ""


@record
class Delivered:
    """A plan in the inbox of an agent. `deadline` is when its people should have decided by; `withdrawn` when its
    initiator took it back. Times are 0 for what has not happened; `seen_by` is a thumbprint."""

    digest: str
    plan: str
    initiator: str
    session: str
    delivered: int
    deadline: int
    expires: int
    seen: int = 0
    seen_by: str = ""
    withdrawn: int = 0


@record
class Ran:
    """A set of editions (its digest) that was first run under a plan at a time."""

    editions: str
    at: int
