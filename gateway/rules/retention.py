"""How long each kind of record is kept, and what is left of it afterwards.

Invariants: what lives is never due; nothing is due that a later decision needs: consumed digests, what a ledger holds
and the audit log are no kinds here. What a deletion writes down names a kind, a number and a time, and nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.domain.audit import Fact
from gateway.domain.computation import Computation, Deletion, Role
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules.dates import day_of

DAY = 24 * 60 * 60
# A hundred years: in seconds, no sum of it with a time overflows.
MOST_DAYS = 36_500


class Kept(StrEnum):
    """What is kept for a time: of a gateway the first three, of an agent the others."""

    RESULTS = "results"
    COMPUTATIONS = "computations"
    SIGN_INS = "sign-ins"
    CONTRACTS = "contracts"
    PLANS = "plans"


# Fewest days. Recipients fetch a result and say whether it fits together; a contract lives for ten minutes and its
# session for an hour, and a quarrel about either takes weeks; misuse of a sign-in is noticed after a weekend; decisions
# about a standing query count for 400 days, and their plan can be asked for 30.
LEAST_DAYS = {Kept.RESULTS: 1, Kept.COMPUTATIONS: 30, Kept.SIGN_INS: 7, Kept.CONTRACTS: 30, Kept.PLANS: 430}


@dataclass(frozen=True, slots=True)
class Rule:
    kept: Kept
    days: int

    @property
    def key(self) -> str:
        """As configuration calls it."""
        return f"{self.kept.replace('-', '_')}_days"

    def before(self, now: int) -> int:
        """What ended, or came, before this is due."""
        return now - self.days * DAY


def deletion(rule: Rule, entity: str, count: int, now: int) -> Fact:
    """What the audit log gets about a batch."""
    said = f"{count} of before {moment(rule.before(now))}, by {rule.key} = {rule.days}"
    return Fact(now, "retention.deleted", entity, rule.kept.value, said)


def moment(seconds: int) -> str:
    """A time in UTC, for people: to the minute."""
    minutes = seconds // 60 % (24 * 60)
    return f"{day_of(seconds)} {minutes // 60:02}:{minutes % 60:02} UTC"


def without_result(computation: Computation, days: int, now: int) -> Computation:
    """What is left when its result is deleted. Receipts stay: audit logs are held against the heads in them, and what
    they say of the shares is digests of ciphertext."""
    gone = Deletion(Kept.RESULTS.value, now, days)
    return replace(computation, shares=(), views=(), deletions=(*computation.deletions, gone))


def without_record(computation: Computation, days: int, now: int) -> Computation:
    """What is left when all but its outline is deleted: state, times, digest, receipts. Who asked is gone too, but for
    the space that initiated it."""
    gone = Deletion(Kept.COMPUTATIONS.value, now, days)
    bare = replace(computation, query="", contract="", plan="", approvals=(), shares=(), views=())
    if computation.role is Role.HOME:
        bare = replace(bare, requester="", request_id="", request_digest="")
    return replace(bare, deletions=(*computation.deletions, gone))


def result_deletion(computation: Computation) -> Deletion | None:
    """When and by which rule its result went, if it had one and has it no more."""
    return next((gone for gone in computation.deletions if gone.kind == Kept.RESULTS.value), None)


def check_result(computation: Computation) -> None:
    """Raises IsthmusError(RESULT_DELETED) where the result was kept for its time and is no more."""
    if (gone := result_deletion(computation)) is not None:
        raise IsthmusError(
            Reason.RESULT_DELETED,
            f"the result of {computation.name} was deleted on {day_of(gone.at)}: "
            f"results are kept for {gone.days} days here (results_days)",
            advice="Ask again: the same question costs nothing where its owners answered it before",
        )
