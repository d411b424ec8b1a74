"""Regressions, for people: a line for each term, with its interval drawn, and how well it fits.

Invariant: what is not told shows its mark, and no number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from gateway.cli.render_tables import Labels, digits, label_text, mark, new_grid, spaced
from gateway.domain.contract import Limits
from gateway.domain.result import Row, Table
from gateway.rules.regression import INTERCEPT
from gateway.rules.statistics.base import Z
from gateway.rules.statistics.covariates import NUMBER

PLOT = 25  # characters
LEAST_P = 0.0001
_LINEAR = (
    "Each estimate is how much higher the outcome is than for the code that is left out, or for each unit more of a "
    "number, with all other terms the same; the intercept is the outcome for those left out and the least numbers. "
    "Lines are 95 % intervals, the bar is zero. It says what goes together, not why."
)
_LOGISTIC = (
    "Each estimate is by how much the logarithm of the odds of the outcome is higher than for the code that is left "
    "out, or for each unit more of a number, with all other terms the same. Lines are 95 % intervals, the bar is zero. "
    "It says what goes together, not why."
)


def linear_regression_table(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """One row for each term, then how many people there are and what is explained."""
    figures = {figure.name: figure.value for figure in table.overall}
    people, residual, explained = figures["people"], figures["residual_standard_error"], figures["r_squared"]
    fits = None
    if people is not None and residual is not None and explained is not None:
        fits = f"{spaced(int(people))} people; R² = {explained:.3f}; residual standard error {digits(residual)}."
    return _picture(table, limits, labels or {}, "Estimate", fits, _LINEAR)


def logistic_regression_table(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """One row for each term, then how many people there are, with and without the outcome, and fit."""
    figures = {figure.name: figure.value for figure in table.overall}
    people, events, explained = figures["people"], figures["with_outcome"], figures["mcfadden_r_squared"]
    fits = None
    if people is not None and events is not None and explained is not None:
        fits = f"{spaced(int(people))} people, {spaced(int(events))} with the outcome; McFadden's R² = {explained:.3f}."
    return _picture(table, limits, labels or {}, "Log odds", fits, _LOGISTIC)


def _picture(table: Table, limits: Limits, labels: Labels, estimated: str, fits: str | None, meaning: str) -> Group:
    grid = new_grid()
    grid.add_column("Term")
    for heading in (estimated, "Std. error", "p"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("95 % interval", no_wrap=True)
    for row, plot in zip(table.rows, _plots([_interval(row) for row in table.rows]), strict=True):
        estimate, error, _, p = row.values[:4]
        if estimate is None or error is None or p is None:
            grid.add_row(_term(labels, row), *[Text(mark(limits), style="italic")] * 3, "")
        else:
            grid.add_row(_term(labels, row), digits(estimate), digits(error), chance(p), plot)
    if fits is None:
        return Group(grid, Text(), Text(why_not(limits)))
    return Group(grid, Text(), Text(fits), Text(), Text(meaning))


# By the name of the statistic.
PICTURES: Mapping[str, Callable[[Table, Limits, Labels], RenderableType]] = {
    "linear_regression": linear_regression_table,
    "logistic_regression": logistic_regression_table,
}


def chance(p: float) -> str:
    return f"< {LEAST_P:g}" if p < LEAST_P else f"{p:.2g}"


def why_not(limits: Limits) -> str:
    least = max(limits.minimum_cell, 1)
    few = f"some code, or some two together, have fewer than {least} people"
    if limits.provider_subtraction:
        few += f", or fewer than {least} once one provider takes its own people away"
    return (
        f"{mark(limits)} not told: {few}; or there are fewer than ten people for each term, with an outcome and "
        "without, or the columns say nearly the same, or all of the outcome. Ask by fewer or larger codes."
    )


def _term(labels: Labels, row: Row) -> Text:
    column, code = row.codes
    if column == INTERCEPT and column not in labels:
        return Text(INTERCEPT)
    name = label_text(labels, column, "")
    return (
        Text.assemble(name, ", by number")
        if code == NUMBER
        else Text.assemble(name, ": ", label_text(labels, column, code))
    )


def _interval(row: Row) -> tuple[float, float, float] | None:
    """Of a term that is told; the intercept is on another scale, and has none."""
    estimate, error = row.values[:2]
    if estimate is None or error is None or row.codes[0] == INTERCEPT:
        return None
    return estimate - Z * error, float(estimate), estimate + Z * error


def _plots(intervals: list[tuple[float, float, float] | None]) -> Iterator[str]:
    """All on one scale, which has zero on it."""
    told = [interval for interval in intervals if interval is not None]
    low, high = min((own[0] for own in told), default=0.0), max((own[2] for own in told), default=0.0)
    low, high = min(low, 0.0), max(high, 0.0)

    def place(value: float) -> int:
        return round((PLOT - 1) * (value - low) / (high - low)) if high > low else 0

    for interval in intervals:
        if interval is None:
            yield ""
            continue
        start, dot, end = map(place, interval)
        line = ["─" if start <= at <= end else " " for at in range(PLOT)]
        line[place(0.0)] = "┼" if start <= place(0.0) <= end else "│"
        line[dot] = "●"
        yield "".join(line)
