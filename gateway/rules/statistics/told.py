"""Columns that some of the sources tell: what `cross_tab`, `corridors` and `funnel` share. Pure.

Invariant: sources are named by index in a query and by dataset in its canonical form, so that one question has one form
in whatever order its sources stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gateway.domain.query import Query, ToldColumn
from gateway.rules.statistics.base import Used, check_columns, malformed
from gateway.rules.statistics.overlap import names

PROGRAM = "crosstab"
Named = Mapping[str, ToldColumn]  # by where the query has each


def check_told(asked: Query, columns: Named, field: str, stages: Sequence[Sequence[int]] = ()) -> None:
    """Columns once each, told by sources that there are; every source tells one, or makes a stage."""
    if columns or not stages:
        check_columns(names_of(columns), field)
    for where, item in columns.items():
        if item.sources is not None:
            check_sources(asked, item.sources, f"{where}.sources")
    useful = {index for item in columns.values() for index in tellers(asked, item)} | {i for s in stages for i in s}
    for index in range(len(asked.sources)):
        if index not in useful:
            raise malformed(f"sources[{index}]", "nothing is asked of this source: leave it out, or name what it tells")


def check_sources(asked: Query, sources: Sequence[int], field: str) -> None:
    if not sources or len(set(sources)) < len(sources) or not all(0 <= i < len(asked.sources) for i in sources):
        raise malformed(field, f"name sources by their numbers, 0 to {len(asked.sources) - 1}, each once")


def names_of(columns: Named) -> list[str]:
    return [item.column for item in columns.values()]


def tellers(asked: Query, item: ToldColumn) -> Sequence[int]:
    return range(len(asked.sources)) if item.sources is None else item.sources


def uses_of(columns: Named) -> Iterator[Used]:
    for where, item in columns.items():
        instead = "" if item.sources is not None else f". Or name in {where}.sources those that tell it"
        yield Used(item.column, f"{where}.column", sources=item.sources, instead=instead)


def canonical(asked: Query, columns: Named) -> dict[str, Any]:
    """Of a cross-tab of these columns."""
    found = [
        {"column": item.column, "sources": canonical_sources(asked, tellers(asked, item))} for item in columns.values()
    ]
    return {"statistic": "cross_tab", "columns": sorted(found, key=lambda column: str(column["column"]))}


def canonical_sources(asked: Query, sources: Sequence[int]) -> list[str]:
    return sorted(asked.sources[index].dataset for index in sources)


def said_column(asked: Query, item: ToldColumn, called: Callable[[str], str]) -> str:
    """A column in plain words, with who tells it where not all sources do."""
    if item.sources is None or len(item.sources) == len(asked.sources):
        return called(item.column)
    return f"{called(item.column)} (told by {said_sources(asked, item.sources)})"


def said_sources(asked: Query, sources: Sequence[int]) -> str:
    lists = names(asked)
    return " or ".join(lists[index] for index in sources)
