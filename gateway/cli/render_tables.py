"""Released tables for people: a pivot of groups, the overlap of lists.

Invariants: a suppressed cell shows its mark and never a number; a sum adds what is shown and says so; what does
not fit the width is turned or listed, never cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table as Grid
from rich.text import Text

from gateway.cli.output import printable
from gateway.client.overlaps import overlaps
from gateway.domain.contract import Limits
from gateway.domain.result import Row, Table
from gateway.rules.privacy import off_by

Labels = Mapping[str, Mapping[str, str]]
ON, OFF = "●", "·"
# A pivot whose row labels would have to break into less than this is turned.
LEAST_LABEL = 14
BAR = 20  # characters of the longest bar


def mark(limits: Limits) -> str:
    """How a suppressed cell is shown."""
    return f"<{limits.minimum_cell}*" if limits.minimum_cell > 1 else "hidden*"


def noise_said(limits: Limits) -> str | None:
    """How far counts are off; None without noise."""
    if limits.epsilon is None:
        return None
    return f"with noise (ε = {limits.epsilon}): counts are off by at most {off_by(limits)} with 95 %"


def footnote(table: Table, limits: Limits) -> str:
    """What the mark means, what was rounded and how far counts are off; empty where all is exact."""
    said = f"Counts are rounded to multiples of {limits.rounding}." if limits.rounding else ""
    if (noise := noise_said(limits)) is not None:
        said = f"{noise[0].upper()}{noise[1:]}. {said}".rstrip()
    if not any(row.suppressed for row in table.rows):
        return said
    least = limits.minimum_cell
    why = f"fewer than {least} people"
    if limits.provider_subtraction:
        why += f", or fewer than {least} once one provider takes its own people away"
    if limits.dominance is not None:
        why += f", or one provider has over {limits.dominance} percent of them"
    return f"{mark(limits)} not shown: {why}. Sums add what is shown and nothing else. {said}".rstrip()


def pivot_table(table: Table, limits: Limits, labels: Labels | None = None) -> Pivot:
    return Pivot(table, limits, labels or {})


def overlap_table(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """One row per pattern of lists, those on one list first."""
    grid = new_grid()
    for name in table.columns:
        grid.add_column(_text(name.upper() if "/" not in name else name), justify="center")
    grid.add_column("People", justify="right", no_wrap=True)
    for row in sorted(table.rows, key=lambda row: (row.codes.count("1"), [code != "1" for code in row.codes])):
        grid.add_row(*(ON if code == "1" else OFF for code in row.codes), count_text(row, limits))
    said = f"{ON} on the list, {OFF} not on it. "
    if (whole := overlaps(table, limits)) is not None:
        said += f"{spaced(whole.union)} people stand on at least one list"
        said += f", {spaced(whole.entries)} times in all: {100 * whole.double_counted:.1f} % were counted twice."
    else:
        said += f"The rows shown add up to {spaced(sum(row.count or 0 for row in table.rows))} people."
    note = footnote(table, limits)
    return Group(grid, "", Text(said), *([Text(note)] if note else []))


def hit_said(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """A sentence for all lists together or for each."""
    said = {1: "a hit", 0: "no hit", None: "not told"}
    lines = [Text(f"{row.codes[0]}: {said[row.count]}") for row in table.rows]
    if all(row.suppressed for row in table.rows):
        lines += [Text(""), Text("Not told: the case was not one person, or a list has too few people.")]
    return Group(*lines)


def rate_table(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """One row per cell: people, how many that is of so many, its interval, and a bar. Cells with neither people nor a
    population are left out."""
    grid, known = new_grid(), labels or {}
    for name in table.columns:
        grid.add_column(label_text(known, name, ""))
    per = table.measures[0].removeprefix("per_")
    for heading in ("People", f"Per {spaced(int(per))}", "95 % interval"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("")
    largest = max((row.values[0] or 0 for row in table.rows), default=0)
    for row in table.rows:
        rate, low, high = row.values
        if row.count == 0 and rate is None:
            continue
        between = "" if low is None or high is None else f"{digits(low)} – {digits(high)}"
        heads = (label_text(known, name, code) for name, code in zip(table.columns, row.codes, strict=True))
        bar = "" if not rate else "█" * max(1, round(BAR * rate / largest))
        grid.add_row(*heads, count_text(row, limits), "" if rate is None else digits(rate), between, bar)
    note = footnote(table, limits)
    return Group(grid, *([Text(""), Text(note)] if note else []))


# By the name of the statistic; every one that has none is a pivot.
PICTURES: Mapping[str, Callable[[Table, Limits, Labels], RenderableType]] = {
    "overlap": overlap_table,
    "hit": hit_said,
    "rate": rate_table,
}


@dataclass(frozen=True, slots=True)
class Pivot:
    """Chooses its shape when it knows the width: the last column across, else the first, else a list."""

    table: Table
    limits: Limits
    labels: Labels = field(default_factory=dict)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = self.table.columns
        shapes = [self._across(len(columns) - 1), self._across(0)] if len(columns) > 1 else []
        # A measurement is cut to the width at hand, so it is taken where there is room.
        room = options.update_width(10_000)
        fitting = (grid for grid in shapes if Measurement.get(console, room, grid).minimum <= options.max_width)
        yield next(fitting, None) or self._list()
        note = footnote(self.table, self.limits)
        if note:
            yield Text()
            yield Text(note)

    def _list(self) -> Grid:
        grid = new_grid()
        for name in self.table.columns:
            grid.add_column(self._label(name, ""))
        grid.add_column("People", justify="right", no_wrap=True)
        for row in self.table.rows:
            named = zip(self.table.columns, row.codes, strict=True)
            grid.add_row(*(self._label(name, code) for name, code in named), count_text(row, self.limits))
        if len(self.table.columns) == 1:
            grid.add_section()
            grid.add_row(Text("Sum shown"), _sum(self.table.rows))
        return grid

    def _across(self, turned: int) -> Grid:
        """The codes of column `turned` stand across, the others down."""
        names = self.table.columns
        down = [index for index in range(len(names)) if index != turned]
        across = list(dict.fromkeys(row.codes[turned] for row in self.table.rows))
        grid = new_grid()
        for index in down:
            grid.add_column(self._label(names[index], ""), min_width=LEAST_LABEL)
        for code in across:
            grid.add_column(self._label(names[turned], code), justify="right", no_wrap=True)
        grid.add_column("Sum shown", justify="right")
        lines: dict[tuple[str, ...], dict[str, Row]] = {}
        for row in self.table.rows:
            lines.setdefault(tuple(row.codes[index] for index in down), {})[row.codes[turned]] = row
        for codes, line in lines.items():
            heads = (self._label(names[index], code) for index, code in zip(down, codes, strict=True))
            cells = (count_text(line[code], self.limits) if code in line else Text() for code in across)
            grid.add_row(*heads, *cells, _sum(list(line.values())))
        grid.add_section()
        sums = (_sum([line[code] for line in lines.values() if code in line]) for code in across)
        blank = [Text() for _ in down[1:]]
        grid.add_row(Text("Sum shown"), *blank, *sums, _sum(self.table.rows))
        return grid

    def _label(self, column: str, code: str) -> Text:
        return label_text(self.labels, column, code)


def label_text(labels: Labels, column: str, code: str) -> Text:
    """What people call a code, or, for "", the column itself."""
    return _text(labels.get(column, {}).get(code, "") or code or column)


def digits(value: float) -> str:
    """Three digits that count."""
    return spaced(round(value)) if abs(value) >= 100 else f"{value:.3g}"


def new_grid() -> Grid:
    return Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)


def _text(text: str) -> Text:
    return Text(printable(text))


def count_text(row: Row, limits: Limits) -> Text:
    if row.count is None:
        return Text(mark(limits), style="italic")
    return Text(spaced(row.count), style="" if row.count else "dim")


def _sum(rows: Sequence[Row]) -> Text:
    shown = [row.count for row in rows if row.count is not None]
    return Text(spaced(sum(shown)) if shown else "–", style="bold")


def spaced(value: int) -> str:
    return f"{value:,}".replace(",", "\N{NO-BREAK SPACE}")
