"""What `isthmus mse` says, to people and to programs.

Invariant: all models, their refusals and the warning are in either; no number stands without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType

from gateway.cli.typeset import number, table, words
from gateway.client.estimates import Estimate
from gateway.client.estimates.chao import Bound
from gateway.client.estimates.reading import Published
from gateway.client.estimates.result import BCA as BY_BCA
from gateway.client.estimates.result import SIDE_BY_SIDE, Interval

PROFILE, BCA, PERCENTILE = "Profile 95 %", "BCa 95 %", "Percentiles 95 %"
CHAO = (
    "Chao's bounds take no model. The first takes the lists for repeated draws of equal reach and can lie above "
    "everyone where a few lists differ much; the second allows each list its own reach."
)


def plain(published: Published, found: Sequence[Estimate], bounds: Sequence[Bound]) -> dict[str, Any]:
    """The one object of `isthmus mse --json`; docs/estimation.md describes it. Names and nesting only grow."""
    lists = published.table
    return {
        "source": published.source,
        "lists": list(lists.lists),
        "observed": lists.observed,
        "cells": {lists.name(mask): count for mask, count in enumerate(lists.counts, start=1) if count},
        "estimates": [asdict(estimate) for estimate in found],
        "bounds": [asdict(bound) for bound in bounds],
        "warning": SIDE_BY_SIDE,
    }


def estimates(published: Published, found: Sequence[Estimate]) -> RenderableType:
    """Points and intervals side by side, then what each model rests on, then the refusals."""
    profiled = any(item.lo is not None and item.interval != BY_BCA for item in found)
    resampled = any(item.bootstrap is not None for item in found)
    kinds = [*([PROFILE] if profiled or not resampled else []), *([BCA, PERCENTILE] if resampled else [])]
    numbers = table("Model", "Everyone", *kinds, numbers=("Everyone", *kinds), fixed=("Model",))
    again = ("Chosen again",) if resampled else ()
    columns = ("On no list", "AIC", "BIC", *again)
    rests = table("Model", *columns, "Lists that go together", numbers=columns, fixed=("Model",))
    refusals: list[RenderableType] = []
    for item in found:
        if item.point is None:
            numbers.add_row(words(item.model), "none")
            refusals.append(words(f"{item.model}: no estimate, because {item.refused}."))
            continue
        ends = {PROFILE: None if item.lo is None else Interval(item.lo, item.hi)}
        if item.bootstrap is not None:
            ends |= {BCA: item.bootstrap.bca, PERCENTILE: item.bootstrap.percentile}
        numbers.add_row(words(item.model), number(item.point), *(_ends(ends.get(kind)) for kind in kinds))
        rests.add_row(
            words(item.model),
            number(item.point - item.observed),
            f"{item.aic:.1f}",
            f"{item.bic:.1f}",
            *([] if item.bootstrap is None else [f"{100 * item.bootstrap.same_terms:.0f} %"]),
            words(", ".join(item.terms) or "none"),
        )
    observed = number(published.table.observed)
    head = [words(f"How many there are in all, beyond the {observed} who stand on a list", "bold")]
    if published.source:
        head.append(words(published.source))
    return Group(*head, "", numbers, "", rests, *(["", *refusals] if refusals else []))


def chao(bounds: Sequence[Bound]) -> RenderableType:
    columns = ("At least", "95 % interval")
    made = table("Lower bound", *columns, "Formula", numbers=columns, fixed=("Lower bound",))
    for bound in bounds:
        ends = None if bound.lo is None else Interval(bound.lo, bound.hi)
        made.add_row(words(bound.source), number(bound.point), _ends(ends), words(bound.formula))
    return made


def notes(found: Sequence[Estimate]) -> RenderableType:
    """Each once, the warning last, where it is read."""
    said = dict.fromkeys([*(note for item in found for note in item.notes), CHAO])
    said.pop(SIDE_BY_SIDE, None)
    return Group(*map(words, said), "", words(SIDE_BY_SIDE, "bold"))


def _ends(interval: Interval | None) -> str:
    if interval is None:
        return "none"
    return f"{number(interval.lo)} – {'no end' if interval.hi is None else number(interval.hi)}"
