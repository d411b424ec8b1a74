"""The overlap table: how many people are on exactly which of k lists.

Invariants: all 2^k - 1 cells are there, zeros included, because zeros are data; `counts[mask - 1]` is
the cell whose lists are the set bits of `mask`, bit i for `lists[i]`; every count is a whole number,
so a table with a suppressed cell cannot be built.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.domain.errors import IsthmusError, Reason

MAX_LISTS = 8


def _refuse(public: str, field: str, advice: str) -> IsthmusError:
    return IsthmusError(Reason.INVALID_ARGUMENT, public, field=field, advice=advice)


@dataclass(frozen=True, slots=True)
class OverlapTable:
    lists: tuple[str, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        k = len(self.lists)
        if not 2 <= k <= MAX_LISTS:
            raise _refuse(f"an estimate needs 2 to {MAX_LISTS} lists and got {k}", "lists", "Merge lists or name more.")
        if len(set(self.lists)) != k or not all(self.lists):
            raise _refuse("each list needs a name of its own", "lists", "Rename the lists.")
        if len(self.counts) != 2**k - 1:
            raise _refuse(
                f"{k} lists have {2**k - 1} cells and the table has {len(self.counts)}",
                "counts",
                "Give every pattern, zeros included.",
            )
        for mask, count in enumerate(self.counts, start=1):
            if type(count) is not int or count < 0:
                raise _refuse(
                    f"the cell {self.name(mask)} holds {count!r}, which is no count of people",
                    f"counts[{mask - 1}]",
                    "Estimate from a table that was released exactly, without suppressed cells.",
                )
        if not any(self.counts):
            raise _refuse("the table counts nobody", "counts", "Check the sources and their filters.")

    @classmethod
    def from_patterns(cls, lists: Sequence[str], patterns: Iterable[tuple[Sequence[int], int]]) -> OverlapTable:
        """From (pattern, count) pairs; a pattern is a 0 or 1 per list; absent patterns are zeros."""
        counts = [0] * max(2 ** len(lists) - 1, 0)
        seen: set[int] = set()
        for row, (pattern, count) in enumerate(patterns):
            if len(pattern) != len(lists) or any(bit not in (0, 1) for bit in pattern):
                raise _refuse(
                    f"{tuple(pattern)!r} is no pattern of {len(lists)} lists",
                    f"patterns[{row}]",
                    "Write one 0 or 1 per list.",
                )
            mask = sum(bit << i for i, bit in enumerate(pattern))
            if mask == 0 or mask in seen:
                problem = "is on no list" if mask == 0 else "appears twice"
                raise _refuse(f"pattern {tuple(pattern)!r} {problem}", f"patterns[{row}]", "Remove the row.")
            seen.add(mask)
            counts[mask - 1] = count
        return cls(tuple(lists), tuple(counts))

    @property
    def observed(self) -> int:
        """People on at least one list."""
        return sum(self.counts)

    def name(self, mask: int) -> str:
        return ":".join(label for i, label in enumerate(self.lists) if mask >> i & 1)

    def merge(self, lists: Sequence[str], into: str) -> OverlapTable:
        """Take several lists as one; who is on any of them is on the merged one, in the first one's place."""
        unknown = [label for label in lists if label not in self.lists]
        if unknown or len(set(lists)) < 2:
            raise _refuse(
                f"cannot merge {', '.join(lists)}", "lists", f"Choose two or more of {', '.join(self.lists)}."
            )
        first = min(self.lists.index(label) for label in lists)
        kept = [into if i == first else label for i, label in enumerate(self.lists)]
        kept = [label for i, label in enumerate(kept) if i == first or label not in lists]
        counts = [0] * (2 ** len(kept) - 1)
        for mask, count in enumerate(self.counts, start=1):
            on = {into if label in lists else label for i, label in enumerate(self.lists) if mask >> i & 1}
            counts[sum(1 << i for i, label in enumerate(kept) if label in on) - 1] += count
        return OverlapTable(tuple(kept), tuple(counts))

    def reorder(self, lists: Sequence[str]) -> OverlapTable:
        """The same table with its lists in another order."""
        if sorted(lists) != sorted(self.lists):
            raise _refuse("the order names other lists", "lists", f"Order {', '.join(self.lists)}.")
        counts = [0] * len(self.counts)
        for mask, count in enumerate(self.counts, start=1):
            on = {label for i, label in enumerate(self.lists) if mask >> i & 1}
            counts[sum(1 << i for i, label in enumerate(lists) if label in on) - 1] = count
        return OverlapTable(tuple(lists), tuple(counts))
