"""Quantiles, for people: a line for each group, and across it where each quantile lies.

Invariant: what is not told shows its mark, and no number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from gateway.cli.render_tables import Labels, label_text, mark, new_grid, spaced
from gateway.domain.contract import Limits
from gateway.domain.result import Row, Table
from gateway.rules import dates

_HEADINGS = {"0": "Least", "50": "Median", "100": "Greatest"}
_ACROSS = 5  # as many intervals as fit beside each other


def quantiles_table(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """`labels` are of the columns of groups and of what the quantiles are of."""
    known, grid, groups = labels or {}, new_grid(), table.columns[:-1]
    at = list(dict.fromkeys(row.codes[-1] for row in table.rows))
    of = next((label_text(known, name, "") for name in known if name not in table.columns), Text())
    lines: dict[tuple[str, ...], list[Row]] = {}
    for row in table.rows:
        lines.setdefault(row.codes[:-1], []).append(row)
    days = table.measures[0].endswith("_day")
    for name in groups:
        grid.add_column(label_text(known, name, ""))
    if groups and len(at) <= _ACROSS:
        for p in at:
            grid.add_column(_heading(p), justify="right")
        for codes, line in lines.items():
            heads = [label_text(known, name, code) for name, code in zip(groups, codes, strict=True)]
            grid.add_row(*heads, *(_interval(row, limits, days) for row in line))
    else:
        grid.add_column("Quantile")
        grid.add_column(of or Text("Lies in"), justify="right")
        for row in table.rows:
            heads = [label_text(known, name, code) for name, code in zip(groups, row.codes, strict=False)]
            grid.add_row(*heads, _heading(row.codes[-1]), _interval(row, limits, days))
    said = [f"{of}: the interval in which each quantile lies." if of else "The interval in which each quantile lies."]
    if any(row.suppressed for row in table.rows):
        least = max(limits.minimum_cell, 1)
        why = (
            f"{mark(limits)} not told: fewer than {least} people in the interval, or 1 to {least - 1} below or above it"
        )
        if limits.provider_subtraction:
            why += ", or so few once one provider takes its own people away"
        said.append(f"{why}. A wider step tells more.")
    return Group(grid, "", Text(" ".join(said)))


# By the name of the statistic.
PICTURES: Mapping[str, Callable[[Table, Limits, Labels], RenderableType]] = {"quantiles": quantiles_table}


def _heading(at: str) -> str:
    return _HEADINGS.get(at, f"{at} %")


def _interval(row: Row, limits: Limits, days: bool) -> Text:
    if row.suppressed:
        return Text(mark(limits), style="italic")
    ends = [dates.day(int(value or 0)) if days else spaced(int(value or 0)) for value in row.values]
    return Text(ends[0] if ends[0] == ends[1] else f"{ends[0]} – {ends[1]}")
