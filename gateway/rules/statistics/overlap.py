"""`overlap`: how many people are on exactly which of the sources' lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.query import Query
from gateway.domain.result import Table
from gateway.rules.statistics.base import Codes, Used, any_limits, counted, lists, malformed

PROGRAM, LABEL = "overlap", "overlap"
MAX_LISTS = 8

check_limits = any_limits


def check(asked: Query) -> None:
    if not 2 <= len(asked.sources) <= MAX_LISTS:
        raise malformed("sources", f"an overlap table takes 2 to {MAX_LISTS} lists")


def uses(asked: Query) -> Iterator[Used]:
    yield from ()


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    return {"lists": [source.dataset for source in asked.sources]}


def canonical(asked: Query) -> dict[str, Any]:
    return {"statistic": "overlap", "columns": []}


def outputs(contract: Contract) -> int:
    return 2 * len(_patterns(contract))


def table(contract: Contract, opened: Sequence[int]) -> Table:
    return counted(contract, names(contract.query), _patterns(contract), opened)


def said(asked: Query, called: Callable[[str], str]) -> str:
    return f"how many people are on exactly which of {lists(asked)}"


def names(asked: Query) -> tuple[str, ...]:
    """What the lists are called, each otherwise."""
    found = [source.dataset.rsplit("/", 1)[-1] for source in asked.sources]
    if len(set(found)) < len(found):  # two spaces may use the same short name
        found = [source.dataset.removeprefix("spaces/").replace("/datasets/", "/") for source in asked.sources]
    return tuple(found)


def _patterns(contract: Contract) -> list[tuple[str, ...]]:
    """Patterns 1 … 2^k − 1 with bit i = list i."""
    k = len(contract.query.sources)
    return [tuple(str(pattern >> bit & 1) for bit in range(k)) for pattern in range(1, 2**k)]
