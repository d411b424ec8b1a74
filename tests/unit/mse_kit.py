"""The published tables and estimates that the tests of estimation share."""

from __future__ import annotations

import csv
from pathlib import Path

from gateway.client.estimates import Estimate, OverlapTable, estimate
from gateway.client.estimates.designs import Pair
from gateway.client.estimates.reading import read_table

MSE = Path(__file__).parents[1] / "data" / "mse"
NAMES = {
    "stepwise AIC": "stepwise-aic",
    "minimum BIC": "minimum-bic",
    "downhill BIC": "downhill-bic",
    "stepwise p": "stepwise-p",
    "main effects": "main-effects",
}


def table(name: str) -> OverlapTable:
    return read_table(MSE / f"{name}.csv").table


def published() -> list[dict[str, str]]:
    lines = (line for line in (MSE / "published.csv").read_text().splitlines() if not line.startswith("#"))
    return list(csv.DictReader(lines))


def model_named(text: str) -> str:
    return next(ours for theirs, ours in NAMES.items() if text.startswith(theirs))


def row_id(row: dict[str, str]) -> str:
    return f"{row['file']}-{model_named(row['model'])}"


def pairs(overlaps: OverlapTable, *names: str) -> tuple[Pair, ...]:
    ends = [name.split(":") for name in names]
    return tuple((overlaps.lists.index(a), overlaps.lists.index(b)) for a, b in ends)


def one(overlaps: OverlapTable, model: str) -> Estimate:
    beside = "main-effects" if model != "main-effects" else "downhill-bic"
    return estimate(overlaps, [model, beside])[0]
