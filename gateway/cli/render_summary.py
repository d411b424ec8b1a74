"""What is measured of people, for people: a line for each group and measure.

Invariant: what is suppressed shows its mark, and no number that is made of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.console import Group
from rich.text import Text

from gateway.cli.render_tables import Labels, count_text, digits, footnote, label_text, mark, new_grid, spaced
from gateway.domain.contract import Limits
from gateway.domain.result import Row, Table
from gateway.rules import dates


def summary_table(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """People, how many of them have a measure, mean and, where asked for, standard deviation. Empty cells are left
    out."""
    grid, known, asked = new_grid(), labels or {}, _measures(table)
    spread, several = any(measure.variance for measure in asked), len(asked) > 1
    for name in table.columns:
        grid.add_column(label_text(known, name, ""))
    if several:
        grid.add_column("Of")
    headings = ["People", "Known", "Mean" if several else f"Mean {label_text(known, asked[0].column, '')}"]
    for heading in [*headings, *(["Std. dev."] if spread else [])]:
        grid.add_column(heading, justify="right", no_wrap=not heading.startswith("Mean "))
    for row in table.rows:
        if row.count == 0:
            continue
        heads = [label_text(known, name, code) for name, code in zip(table.columns, row.codes, strict=True)]
        for number, measure in enumerate(asked):
            cells: list[str | Text] = [*heads] if number == 0 else [""] * len(heads)
            cells += [label_text(known, measure.column, "")] if several else []
            cells += [count_text(row, limits) if number == 0 else "", *measure.said(row, mark(limits), spread)]
            grid.add_row(*cells)
    said = [footnote(table, limits)]
    if any(row.count is not None and row.values[measure.at] is None for row in table.rows for measure in asked):
        said.insert(0, f"{mark(limits)} under Known: so of the people who have it, or of what it adds up to.")
    note = " ".join(filter(None, said))
    return Group(grid, *([Text(""), Text(note)] if note else []))


@dataclass(frozen=True, slots=True)
class _Measured:
    """Where the values of one measure begin in a row, and what there is of it."""

    column: str
    at: int
    days: bool
    variance: bool

    def said(self, row: Row, hidden: str, spread: bool) -> list[str]:
        """How many, mean, and standard deviation if that has a column."""
        count, _, mean, *variance = row.values[self.at : self.at + 3 + self.variance]
        if count is None:
            return ["" if row.suppressed else hidden, *[""] * (1 + spread)]
        told = "" if mean is None else dates.day(round(mean)) if self.days else digits(mean)
        deviation = "" if not variance or variance[0] is None else digits(math.sqrt(variance[0]))
        return [spaced(int(count)), told, *([deviation] if spread else [])]


def _measures(table: Table) -> list[_Measured]:
    """From what the values are called (gateway/rules/statistics/summary.py)."""
    found, at = [], 0
    while at < len(table.measures):
        column = table.measures[at].removesuffix("_known")
        variance = table.measures[at + 3 : at + 4] == (f"{column}_variance",)
        found.append(_Measured(column, at, table.measures[at + 2] == f"{column}_mean_day", variance))
        at += 3 + variance
    return found
