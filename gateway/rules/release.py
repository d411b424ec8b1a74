"""From output shares to a table: pure code that SDK, gateway and tests share.

Invariants: all m shares are read and must lie on one polynomial of degree t, else there is no table
(THREATS row 30); a suppressed cell has no count, it is never zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.domain.contract import Contract
from gateway.domain.result import Table
from gateway.rules import sharing, statistics


def open_table(contract: Contract, shares: Mapping[int, Sequence[int]]) -> Table:
    """Reconstruct and shape the released table. `shares` maps pid → that party's output vector.

    Raises IsthmusError(INCONSISTENT_SHARES) when the shares do not fit together or do not fit the contract.
    """
    rules = statistics.of(contract.query)
    due = rules.outputs(contract)
    if sorted(shares) != list(range(contract.m)) or any(len(vector) != due for vector in shares.values()):
        raise sharing.inconsistent("an output share is missing or of the wrong length")
    try:
        opened = sharing.reconstruct(shares, contract.t)
    except sharing.InconsistentShares:
        raise sharing.inconsistent("the output shares do not lie on one polynomial") from None
    return rules.table(contract, opened)
