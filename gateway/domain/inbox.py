"""What people are shown of their inbox: the plans that wait, and one plan with what helps to decide on it.

Nobody's name is in any of this: a steward is known by the thumbprint of their key.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.domain.offer import Operator
from gateway.domain.records import record


class Standing(StrEnum):
    """Where a plan in the inbox stands: as its initiator is told, or over."""

    NOT_NEEDED = "NOT_NEEDED"
    DELIVERED = "DELIVERED"
    SEEN = "SEEN"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


@record
class Waiting:
    """One plan: `have` of `need` people have approved it for `editions` sets of editions. Times are seconds since 1970,
    0 for what has not happened; `seen_by` is a thumbprint."""

    digest: str
    title: str
    initiator: str
    requester: str
    state: Standing
    have: int
    need: int
    editions: int
    delivered: int
    deadline: int
    expires: int
    seen: int = 0
    seen_by: str = ""
    withdrawn: int = 0


@record
class Earlier:
    """A question over one of the same datasets that this space approved before."""

    title: str
    initiator: str
    purpose: str
    at: int
    datasets: tuple[str, ...]


@record
class Budget:
    """Of one dataset: what is counted, how much of it was spent, and how much there is (None: no limit), both to be
    divided by `per`."""

    dataset: str
    what: str
    spent: int
    limit: int | None
    per: int = 1


@record
class Word:
    """One decision that counts now: who signed it, for whose seat (thumbprints), and when."""

    signer: str
    seat: str
    approves: bool
    at: int
    text: str


@record
class Shown:
    """One plan for whoever decides: `plan` is its signed form, from which alone its digest follows; the rest is what
    the agent says beside it. `verified`: the initiator's signature holds now, by the agent's anchors. `titles` are this
    space's own datasets in it, by name."""

    waiting: Waiting
    plan: str
    verified: bool
    operators: tuple[Operator, ...]
    titles: tuple[tuple[str, str], ...]
    decided: tuple[Word, ...]
    earlier: tuple[Earlier, ...]
    budgets: tuple[Budget, ...]
