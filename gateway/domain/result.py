"""A released table."""

from __future__ import annotations

from gateway.domain.records import record


@record
class Row:
    """One cell: its codes, and its count unless it was suppressed (never zero instead)."""

    codes: tuple[str, ...]
    count: int | None

    @property
    def suppressed(self) -> bool:
        return self.count is None


@record
class Table:
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
