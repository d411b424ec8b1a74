"""Texts of a key column of which its rules leave nothing, such as "?" without punctuation: they tell nobody apart.

Invariant: they are found when a file is checked, as whatever else breaks its description is, and end no session.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from connectors.sources.files import Row
from connectors.sources.snapshot import KNOWN_CELLS
from connectors.vocabularies.linkage import normalise
from gateway.domain.dataset import Column

# How many line numbers a report names per rule.
FIRST_LINES = 5


class KeyTexts:
    """Counts such rows of one column, which is at this `place` of a row; `lines` are the first of them."""

    def __init__(self, place: int, column: Column) -> None:
        self.name, self.rows = column.name, 0
        self.lines: tuple[int, ...] = ()
        self._place, self._column = place, column
        self._known = lru_cache(KNOWN_CELLS)(self._is_nothing)

    def look(self, rows: Sequence[Row], first: int) -> None:
        """At rows of which the first is on the line `first`."""
        found = [line for line, row in enumerate(rows, first) if self._known(row[self._place])]
        self.rows += len(found)
        self.lines = (*self.lines, *found)[:FIRST_LINES]

    def _is_nothing(self, cell: str | int | None) -> bool:
        if not isinstance(cell, str) or not cell.strip(" "):
            return False  # an empty one is counted by another rule
        try:
            normalise(cell, self._column.type, self._column.normalise)
        except ValueError:
            return True
        return False
