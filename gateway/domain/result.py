"""A released table."""

from __future__ import annotations

from gateway.domain.records import record


@record
class Row:
    """One cell: its codes, and its count unless it was suppressed (never zero instead); then what else the table says
    of it, None where that is suppressed or does not exist."""

    codes: tuple[str, ...]
    count: int | None
    values: tuple[int | float | None, ...] = ()

    @property
    def suppressed(self) -> bool:
        return self.count is None


@record
class Table:
    """`measures` name the values of each row, beside its count."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    measures: tuple[str, ...] = ()
