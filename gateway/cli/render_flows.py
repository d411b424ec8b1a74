"""People on their way, for people: corridors by their size, and how many of each stage came to the next.

Invariant: a suppressed number shows its mark, and what cannot be worked out without it shows that mark too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from gateway.cli.render_tables import BAR, Labels, count_text, footnote, label_text, mark, new_grid, spaced
from gateway.domain.contract import Limits
from gateway.domain.result import Row, Table

ARROW = " → "


def corridor_table(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """One row for each corridor with people in it, the largest first; those that are hidden as a number."""
    known, shown = labels or {}, [row for row in table.rows if row.count]
    shown.sort(key=lambda row: -(row.count or 0))
    picture, largest = new_grid(), max((row.count or 0 for row in shown), default=0)
    picture.add_column(Text(ARROW).join(label_text(known, name, "") for name in table.columns))
    picture.add_column("People", justify="right", no_wrap=True)
    picture.add_column("")
    for row in shown:
        way = zip(table.columns, row.codes, strict=True)
        length = round(BAR * (row.count or 0) / largest)
        picture.add_row(
            Text(ARROW).join(label_text(known, name, code) for name, code in way),
            count_text(row, limits),
            "█" * max(1, length) if (row.count or 0) > 0 else "",
        )
    hidden = sum(row.suppressed for row in table.rows)
    said = f"{spaced(sum(row.count or 0 for row in shown))} people in {spaced(len(shown))} corridors"
    said += f"; {spaced(hidden)} more are hidden." if hidden else "."
    if (limits.epsilon, limits.rounding) == (None, None):
        said += " In all others there is nobody."
    return _with_notes(picture, said, footnote(table, limits))


def funnel_table(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """One row for each stage of each group: how many came so far at least, and which part of the stage before that is.
    Groups in which there is nobody are left out."""
    known, picture = labels or {}, new_grid()
    *by, stage = table.columns
    for name in by:
        picture.add_column(label_text(known, name, ""))
    picture.add_column("Stage")
    for heading in ("Came so far", "Of the stage before", "95 % interval"):
        picture.add_column(heading, justify="right", no_wrap=True)
    picture.add_column("")
    stages = len({row.codes[-1] for row in table.rows})
    for start in range(0, len(table.rows), stages):
        group = table.rows[start : start + stages]
        if all(row.count == 0 for row in group):
            continue
        for place, row in enumerate(group):
            heads = [label_text(known, name, code) for name, code in zip(by, row.codes[:-1], strict=True)]
            heads = heads if place == 0 else [Text() for _ in heads]
            picture.add_row(*heads, label_text(known, stage, row.codes[-1]), *_passed(row, place == 0, limits))
    said = "Of the stage before: which part of the people who came to it came to this one as well."
    hidden = any(row.values[0] is None for row in table.rows)
    said += " A stage is hidden with any stage after it, since numbers of all who came further are part of it." * hidden
    return _with_notes(picture, said, footnote(table, limits))


def _passed(row: Row, first: bool, limits: Limits) -> list[str | Text]:
    reached, share, low, high = row.values
    if reached is None:
        return [Text(mark(limits), style="italic"), "", "", ""]
    if share is None:
        return [spaced(int(reached)), "" if first else "–", "", ""]
    between = "" if low is None or high is None else f"{100 * low:.1f} – {100 * high:.1f} %"
    return [spaced(int(reached)), f"{100 * share:.1f} %", between, "█" * round(BAR * min(max(share, 0), 1))]


def _with_notes(picture: Grid, said: str, note: str) -> Group:
    return Group(picture, Text(), Text(said), *([Text(note)] if note else []))


# By the name of the statistic.
PICTURES: Mapping[str, Callable[[Table, Limits, Labels], RenderableType]] = {
    "corridors": corridor_table,
    "funnel": funnel_table,
}
