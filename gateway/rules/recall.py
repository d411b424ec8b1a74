"""A plan read again from its signed form, which was verified when it came. Pure.

Invariant: what is read is the plan of the digest that is asked for, computed from what is read.
"""

from __future__ import annotations

from gateway.domain.decision import SignedPlan
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules.contract import read_body
from gateway.rules.jose import parse_compact
from gateway.rules.plans import plan_digest

MAX_STORED = 512 * 1024


def recall_plan(token: str, digest: str) -> SignedPlan:
    """A plan that was verified when it was stored. Raises IsthmusError(INTERNAL) unless it is the one of `digest`."""
    claims = parse_compact(token, MAX_STORED).claims
    body = read_body(claims)
    if plan_digest(body) != digest:
        raise IsthmusError(
            Reason.INTERNAL,
            "a stored plan is not the one that was asked",
            private=digest,
            advice="This space's operator checks the audit log and the store",
        )
    return SignedPlan(body, digest, token, int(claims["exp"]))
