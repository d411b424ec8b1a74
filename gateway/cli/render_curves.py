"""Curves of survival, for people: what part of each group is left after each interval, as steps down the page.

Invariant: what is not told shows its mark, and no bar.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.text import Text

from gateway.cli.render_tables import BAR, Labels, label_text, mark, new_grid
from gateway.domain.contract import Limits
from gateway.domain.result import Table


def survival_table(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """One row for each interval, and a part and a bar for each group."""
    *by, _ = table.columns
    groups = list(dict.fromkeys(row.codes[:-1] for row in table.rows))
    names = [label_text(labels or {}, by[0], code) for (code,) in groups] if by else [Text("Left")]
    picture = new_grid()
    picture.add_column("Time")
    for name in names:
        picture.add_column(name, justify="right", no_wrap=True)
        picture.add_column("", width=BAR)
    intervals = len(table.rows) // len(groups)
    for interval in range(intervals):
        line: list[str | Text] = [table.rows[interval].codes[-1]]
        for row in table.rows[interval::intervals]:
            (left,) = row.values
            line += [Text(mark(limits), style="italic"), ""] if left is None else [f"{100 * left:.0f} %", _bar(left)]
        picture.add_row(*line)
    said = [*_overall(table, names), *_note(table, limits)]
    return Group(picture, Text(), *map(Text, said))


def _bar(left: float) -> str:
    return "█" * (max(1, round(BAR * left)) if left else 0)


def _overall(table: Table, names: list[Text]) -> Iterator[str]:
    figures = {figure.name: figure.value for figure in table.overall}
    medians = [value for name, value in figures.items() if name.startswith("median")]
    told = [
        f"{name.plain}: {'not among what is told' if days is None else f'by day {days}'}"
        for name, days in zip(names, medians, strict=True)
    ]
    yield f"Until half were gone – {'; '.join(told)}."
    value, p = figures.get("log_rank"), figures.get("log_rank_p")
    if value is not None and p is not None:
        chance = "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}"
        yield f"Log-rank test between the two: χ² = {value:.2f} with 1 degree of freedom, {chance}."
    elif "log_rank" in figures:
        yield "Log-rank test between the two: not told, since one group is small at the start."


def _note(table: Table, limits: Limits) -> Iterator[str]:
    if any(row.suppressed for row in table.rows):
        least = limits.minimum_cell
        why = f"fewer than {max(least, 1)} were still at risk"
        if limits.provider_subtraction:
            why += f", or fewer than {least} without one provider's own people"
        yield f"{mark(limits)} not told: {why}."
