"""What packaged programs put out, for people: a row for each combination of codes, a column for each number.

Invariant: what is not told shows its mark, never a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from gateway.cli.render_tables import Labels, digits, footnote, label_text, mark, new_grid, spaced
from gateway.domain.contract import Limits
from gateway.domain.result import Table


def program_table(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    known, grid = labels or {}, new_grid()
    for name in table.columns:
        grid.add_column(label_text(known, name, ""))
    for name in table.measures:
        grid.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for row in table.rows:
        heads = [label_text(known, name, code) for name, code in zip(table.columns, row.codes, strict=True)]
        grid.add_row(*heads, *(_shown(value, limits) for value in row.values))
    note = footnote(table, limits)
    return Group(grid, *([Text(""), Text(note)] if note else []))


def _shown(value: float | None, limits: Limits) -> Text:
    if value is None:
        return Text(mark(limits), style="italic")
    return Text(spaced(value) if isinstance(value, int) else digits(value))


# By the name of the statistic.
PICTURES: Mapping[str, Callable[[Table, Limits, Labels], RenderableType]] = {"program": program_table}
