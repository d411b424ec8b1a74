"""A real source behind a dataset of tests.examples: a CSV file, checked and pinned as an agent does it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from connectors.holdings import Holding
from connectors.sources.tables import DatasetSource, SourceConfig
from gateway.domain.offer import Space
from tests import examples

KEY = bytes(32)


def people(numbers: Iterable[int], form: str = "LABOUR") -> list[str]:
    """Lines of people who are told apart by their numbers, which are their ages too."""
    return [f"Person {number},1990-01-02,{number},,,2013,{form}" for number in numbers]


def held(
    folder: Path, entity: str, lines: Iterable[str], questions: int | None = None, edition: str = "2026-1"
) -> Holding:
    """The dataset `list` of this space with these rows, in a file of its own."""
    described = examples.dataset(entity)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "list.csv").write_text("\n".join(["name,born,age,seen,note,year,form", *lines]) + "\n")
    source = DatasetSource(SourceConfig(folder, "list.csv", described.columns, described.key_columns))
    pinned = source.check(KEY).pinned
    assert pinned is not None
    dataset = replace(described, edition=replace(described.edition, id=edition, snapshot=pinned))
    return Holding(dataset, source, ("*",), KEY, questions)


def offered(*holdings: Holding) -> dict[str, Space]:
    """The federation of tests.examples, offering these editions."""
    known = examples.spaces()
    for holding in holdings:
        entity = f"https://{holding.dataset.space_host}"
        known[entity] = replace(known[entity], offer=replace(known[entity].offer, datasets=(holding.dataset,)))
    return known
