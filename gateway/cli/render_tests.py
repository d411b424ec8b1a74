"""Tests between groups, for people: a sentence and what it means.

Invariant: a statistic that is not told shows its mark, and no p value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from gateway.cli.render_tables import Labels, digits, label_text, mark
from gateway.domain.contract import Limits
from gateway.domain.result import Table

LEAST_P = 1e-300  # below it floats end
_GO_TOGETHER = (
    "If the two had nothing to do with each other, chance alone would bring them as far apart from that, or further, "
    "with probability p. It says that they go together, not how much, nor why. p holds where no cell is expected to "
    "have fewer than 5 people (Cochran 1954), which is not looked at here: a count_by shows it."
)
_DIFFER = (
    "If the groups did not differ in this order, chance alone would bring their mean ranks as far apart, or further, "
    "with probability p. It says that they differ, not how much, nor which is ahead. All people of one interval have "
    "one rank. p holds where no group is small, of 5 people or so (Kruskal, Wallis 1952)."
)

_MEANS = (
    "If both groups had one mean, chance alone would bring theirs as far apart, or further, on either side, with "
    "probability p. t is above zero where the mean of the group named first is the greater. It says that means differ, "
    "not how much, nor why. p holds where groups are large, or numbers spread evenly about their means (Welch 1947)."
)
_LINE = (
    "If the two had nothing to do with each other, chance alone would bring r as far from 0, or further, on either "
    "side, with probability p. r squared is the part of the variance of one that a line through the other explains. It "
    "says that they go together, not why, and nothing of what is no line. p holds where both are spread evenly about "
    "their means, or people are many (Fisher 1915). Degrees of freedom beyond 127 are told in their upper digits."
)
_FEW = "some code or interval of {names} has fewer than {least} people"


def chi_square_said(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """χ², its degrees of freedom and p; then how to read it. `labels` are of the two columns."""
    return _said("χ²", _GO_TOGETHER, table, limits, labels or {})


def kruskal_wallis_said(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """H, its degrees of freedom and p; then how to read it. `labels` are of groups and order."""
    return _said("H", _DIFFER, table, limits, labels or {})


def t_test_said(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """t, its degrees of freedom and p; then how to read it. `labels` are of groups and of what is compared."""
    few = "one of the groups has fewer than {least} people of whom it is known, or hardly any who differ in it"
    return _said("t", _MEANS, table, limits, labels or {}, few)


def correlation_said(table: Table, limits: Limits, labels: Labels | None = None) -> Group:
    """r, its degrees of freedom and p; then how to read it. `labels` are of the two columns."""
    few = "fewer than {least} people have both, or all of them one and the same"
    return _said("r", _LINE, table, limits, labels or {}, few)


# By the name of the statistic.
PICTURES: Mapping[str, Callable[[Table, Limits, Labels], RenderableType]] = {
    "chi_square": chi_square_said,
    "kruskal_wallis": kruskal_wallis_said,
    "t_test": t_test_said,
    "correlation": correlation_said,
}


def _said(symbol: str, meaning: str, table: Table, limits: Limits, labels: Labels, few: str = _FEW) -> Group:
    (row,) = table.rows
    names = Text(" and ").join(label_text(labels, column, "") for column in labels) or Text("the columns")
    value, degrees, p = row.values
    if value is None or degrees is None or p is None:
        least = max(limits.minimum_cell, 1)
        why = f"{mark(limits)} not told: {few.format(names=names, least=least)}"
        if limits.provider_subtraction:
            why += f", or fewer than {least} once one provider takes its own people away"
        return Group(Text(f"{symbol} of {names}: {mark(limits)}"), "", Text(f"{why}. Ask by those that have enough."))
    freedom = "1 degree of freedom" if degrees == 1 else f"{digits(degrees)} degrees of freedom"
    chance = f"p = {p:.2g}" if p >= LEAST_P else f"p < {LEAST_P:g}"
    return Group(Text(f"{symbol} of {names}: {digits(value)} with {freedom}, {chance}"), "", Text(meaning))
