"""What an overlap table says as a whole: how many people there are, and how often they were counted twice."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.contract import Limits
from gateway.domain.result import Table


@dataclass(frozen=True, slots=True)
class Overlaps:
    """`union`: people on at least one list. `entries`: people on each list, added up. `double_counted`: the share of
    entries of somebody who stands on another list already, 1 - union / entries; 0 of no entries."""

    union: int
    entries: int
    double_counted: float


def overlaps(table: Table, limits: Limits) -> Overlaps | None:
    """None where a count is suppressed, rounded or has noise: then the sum of what is shown is no size of anything."""
    if limits.rounding is not None or limits.epsilon is not None or any(row.count is None for row in table.rows):
        return None
    union = sum(row.count or 0 for row in table.rows)
    entries = sum((row.count or 0) * row.codes.count("1") for row in table.rows)
    return Overlaps(union, entries, 1 - union / entries if entries else 0.0)
