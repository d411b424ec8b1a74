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
        """Whether nothing of the cell is told."""
        return self.count is None and all(value is None for value in self.values)


@record
class Figure:
    """A number of a table as a whole; None where it is suppressed or does not exist."""

    name: str
    value: int | float | None


@record
class Table:
    """`measures` name the values of each row, beside its count; a table that is not `counted` tells no counts.
    `overall` is what it tells beside its rows."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    measures: tuple[str, ...] = ()
    counted: bool = True
    overall: tuple[Figure, ...] = ()

    @property
    def numbers(self) -> tuple[str, ...]:
        """What each row tells, by name."""
        return ("count", *self.measures) if self.counted else self.measures

    def told(self, row: Row) -> tuple[int | float | None, ...]:
        """A row's numbers, as `numbers` names them."""
        return (row.count, *row.values) if self.counted else row.values
