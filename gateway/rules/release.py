"""From output shares to a table: pure code that SDK, gateway and tests share.

Invariants: all m shares are read and must lie on one polynomial of degree t, else there is no table
(THREATS row 30); a suppressed cell has no count, it is never zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from gateway.domain.contract import Contract, CountParameters
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.result import Row, Table
from gateway.rules import noise, sharing
from gateway.rules.records import from_bytes


def open_table(contract: Contract, shares: Mapping[int, Sequence[int]]) -> Table:
    """Reconstruct and shape the released table. `shares` maps pid → that party's output vector.

    Raises IsthmusError(INCONSISTENT_SHARES) when the shares do not fit together or do not fit the contract.
    """
    cells = cell_codes(contract)
    if sorted(shares) != list(range(contract.m)) or any(len(vector) != 2 * len(cells) for vector in shares.values()):
        raise inconsistent("an output share is missing or of the wrong length")
    try:
        opened = sharing.reconstruct(shares, contract.t)
    except sharing.InconsistentShares:
        raise inconsistent("the output shares do not lie on one polynomial") from None
    counts, kept = opened[: len(cells)], opened[len(cells) :]
    largest = sum(provider.row_bound for provider in contract.providers)
    base = contract.limits.rounding or 1
    limits, most = contract.limits, 0
    if limits.epsilon is not None:
        most = noise.of(limits.epsilon).largest
        # Field elements above the half are numbers below zero: with noise, and where every cell is shown.
        counts = [count - sharing.P if count > sharing.P // 2 else count for count in counts]
    least = -most if limits.minimum_cell <= 1 else 0
    largest = (largest + most + base // 2) // base * base
    # A suppressed cell is opened as 0: anything else is not what the program computes.
    if any(
        flag not in (0, 1) or not flag * least <= count <= flag * largest or count % base
        for count, flag in zip(counts, kept, strict=True)
    ):
        raise inconsistent("the opened values are out of their range")
    rows = tuple(Row(codes, count if flag else None) for codes, count, flag in zip(cells, counts, kept, strict=True))
    return Table(columns(contract), rows)


def columns(contract: Contract) -> tuple[str, ...]:
    """The code columns of the table: the query's columns, or one per list."""
    if contract.query.statistic.count_by is not None:
        return contract.query.statistic.count_by.columns
    names = [source.dataset.rsplit("/", 1)[-1] for source in contract.query.sources]
    if len(set(names)) < len(names):  # two spaces may use the same short name
        names = [source.dataset.removeprefix("spaces/").replace("/datasets/", "/") for source in contract.query.sources]
    return tuple(names)


def cell_codes(contract: Contract) -> list[tuple[str, ...]]:
    """The codes of each cell in the program's order: row-major, or patterns 1 … 2^k − 1 with bit i = list i."""
    if contract.query.statistic.count_by is not None:
        given = from_bytes(CountParameters, contract.program.parameters, what="program.parameters")
        return list(itertools.product(*(column.codes for column in given.columns)))
    k = len(contract.query.sources)
    return [tuple(str(pattern >> bit & 1) for bit in range(k)) for pattern in range(1, 2**k)]


def inconsistent(private: str) -> IsthmusError:
    return IsthmusError(
        Reason.INCONSISTENT_SHARES,
        "the parties' output shares do not fit together, so there is no result",
        private=private,
        advice="At least one party sent a wrong share; ask the operators to compare their receipts, then ask again",
    )
