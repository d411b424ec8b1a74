"""Writes a dataset's description and its policy, as an owner would by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.dataset import Column
from gateway.rules.statistics import ABOUT_ONE_PERSON, STATISTICS

PURPOSES = ("trend-monitoring", "prevalence-estimation")
LEGAL_BASES = ("gdpr-6-1-e", "led-8")


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """`year_of` is (derived column, date column)."""

    id: str
    title: str
    description: str
    coverage: str
    row_bound: int
    created: int
    columns: Sequence[Column]
    key_columns: Sequence[str]
    year_of: tuple[str, str]


def write_dataset(folder: Path, dataset: DatasetFile) -> None:
    derived, date = dataset.year_of
    lines = [
        f"id = {_(dataset.id)}",
        f"title = {_(dataset.title)}",
        f"description = {_(dataset.description)}",
        f"coverage = {_(dataset.coverage)}",
        'vocabulary = "HTCDS v2"',
        'folder = "../data"',
        f"file = {_(dataset.id + '.csv')}",
        f"snapshot_key = {_(dataset.id + '.key')}",
        f"policy = {_(dataset.id + '.policy.toml')}",
        f"key_columns = {_(list(dataset.key_columns))}",
        "",
        "[edition]",
        'id = "2013-1"',
        f"created = {dataset.created}",
        "# Public: what the number of people is padded to.",
        f"row_bound = {dataset.row_bound}",
        "",
        "[[derived]]",
        f"column = {_(derived)}",
        f"year_of = {_(date)}",
    ]
    for column in dataset.columns:
        lines += ["", "[[columns]]", f"name = {_(column.name)}", f"type = {_(column.type.value)}"]
        lines += [f"label = {_(column.label)}", f"standard = {_(column.standard)}"]
        if column.least is not None:
            lines += [f"least = {_(column.least)}", f"most = {_(column.most)}"]
        if column.codes:
            lines.append("codes = [")
            lines += [f"  {{ value = {_(code.value)}, label = {_(code.label)} }}," for code in column.codes]
            lines.append("]")
    _write(folder / f"{dataset.id}.toml", lines)
    policy = [
        "version = 1",
        f"purposes = {_(list(PURPOSES))}",
        f"legal_bases = {_(list(LEGAL_BASES))}",
        # What is about one person takes a section of its own: docs/suspects.md.
        f"statistics = {_([name for name in STATISTICS if name not in ABOUT_ONE_PERSON])}",
        "minimum_cell = 11",
        "# The overlap table is published exactly; every other statistic keeps the minimum cell.",
        'exact_statistics = ["overlap"]',
        "# Noise for differential privacy where it is asked for: ε of a question, of an operator's questions, of all.",
        'privacy = { epsilon = "2", budget = "8", total = "20", required = false }',
        "minimum_seats = 3",
        "# A demonstration may show a sample of one party's receive buffer; leave it out elsewhere.",
        "demo_view = true",
    ]
    _write(folder / f"{dataset.id}.policy.toml", policy)


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _(value: object) -> str:
    """JSON's strings and arrays are TOML's too."""
    return json.dumps(value, ensure_ascii=False)
