"""A computation's receipt in short: what was agreed, by whom, under which limits, and where it is on record.

Invariant: digests are made here from the signed bytes; signatures are believed as `gateway.client.evidence` says.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.client.evidence import approvals_of, contract_of
from gateway.domain.computation import Computation, Receipt
from gateway.domain.contract import Contract
from gateway.rules import redelivery
from gateway.rules.privacy import off_by


@dataclass(frozen=True, slots=True)
class ApprovedBy:
    entity: str
    digest: str


@dataclass(frozen=True, slots=True)
class Summary:
    """`approvals` and `receipts` have one entry per space, in the order of their entity IDs; `redelivered` is the
    contract whose kept shares answered, where no session was run, else empty."""

    digest: str
    contract: Contract
    approvals: tuple[ApprovedBy, ...]
    receipts: tuple[Receipt, ...]
    seconds: float
    redelivered: str = ""

    @property
    def off_by_95(self) -> int | None:
        """How far counts are from the truth at most, with 95 percent; None where they have no noise."""
        return off_by(self.contract.limits)


def summary(computation: Computation) -> Summary:
    """Raises IsthmusError where contract, approvals and digests do not fit together."""
    contract = contract_of(computation)
    approvals = approvals_of(computation, contract)
    return Summary(
        contract.digest,
        contract.body,
        tuple(sorted((ApprovedBy(item.entity, item.digest) for item in approvals), key=lambda item: item.entity)),
        tuple(sorted(computation.receipts, key=lambda receipt: receipt.space)),
        computation.seconds,
        redelivery.origin(contract, approvals),
    )
