"""`hit`: whether one person of the asking space's own list is on the other sources' lists.

The first source is the asking space's own, and its one filter names a case: that reference travels, and no name.
Whom it stands for, that space alone knows. What owners demand beside: `gateway.rules.one_person`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.query import Filter, Hit, Limits, Query
from gateway.domain.result import Row, Table
from gateway.rules import sharing
from gateway.rules.statistics import overlap
from gateway.rules.statistics.base import Codes, Used, any_limits, given, malformed

PROGRAM, LABEL = "hit", "hit"
MAX_LEAST = 1 << 22

check_limits = any_limits


def check(asked: Query) -> None:
    wanted = _wanted(asked)
    if not 2 <= len(asked.sources) <= overlap.MAX_LISTS:
        raise malformed("sources", f"a hit takes your own list and 1 to {overlap.MAX_LISTS - 1} others")
    own, *others = asked.sources
    if len(own.filters) != 1 or own.filters[0].equals is None:
        raise malformed("sources[0].filters", "name one case of your own list, by one filter with equals")
    for index, source in enumerate(others, start=1):
        if source.filters:
            raise malformed(f"sources[{index}].filters", "a hit is looked for on whole lists: leave the filters out")
        if _entity(source.dataset) == _entity(own.dataset):
            raise malformed(f"sources[{index}].dataset", "the other lists are those of other spaces")
    if not 1 <= wanted.least_list <= MAX_LEAST:
        raise malformed("statistic.hit.least_list", f"between 1 and {MAX_LEAST} people")
    if asked.limits != Limits():
        raise malformed("limits", "these are for cells, and an answer about one person has none: leave them out")
    if asked.standing != 1:
        raise malformed("standing", "each question about one person is decided on by itself")
    if asked.demo_view:
        raise malformed("demo_view", "nothing of a question about one person is shown")


def uses(asked: Query) -> Iterator[Used]:
    yield from ()


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    wanted = _wanted(asked)
    owners = [_entity(source.dataset) for source in asked.sources]
    order = sorted(set(owners))  # as a contract has its providers
    return {
        "lists": [source.dataset for source in asked.sources],
        "owners": [order.index(owner) for owner in owners],
        "least_list": wanted.least_list,
        "each": wanted.each,
    }


def canonical(asked: Query) -> dict[str, Any]:
    wanted = _wanted(asked)
    return {
        "statistic": "hit",
        "columns": [],
        "asker": asked.sources[0].dataset,
        "least_list": wanted.least_list,
        "each": wanted.each,
    }


def outputs(contract: Contract) -> int:
    return len(_places(contract.query)) + 1


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """A row for all other lists together or for each: 1 is a hit, 0 none; suppressed where it is not told."""
    *hits, told = opened
    if told not in (0, 1) or any(hit not in (0, 1) or hit > told for hit in hits):
        raise sharing.inconsistent("the opened values are out of their range")
    places = _places(contract.query)
    return Table(
        ("list",), tuple(Row((place,), hit if told else None) for place, hit in zip(places, hits, strict=True))
    )


def said(asked: Query, called: Callable[[str], str]) -> str:
    name, wanted = overlap.names(asked)[0], _wanted(asked)
    where = f"each of {' and '.join(_places(asked))}" if wanted.each else _places(asked)[0]
    return f"whether the one person of {name} with {called(_case(asked).column)} {reference(asked)} is on {where}"


def reference(asked: Query) -> str:
    """The case, as everybody sees it."""
    return str(_case(asked).equals)


def case_column(asked: Query) -> str:
    return _case(asked).column


def least_list(asked: Query) -> int:
    """The fewest people that each of the other lists has to have."""
    return _wanted(asked).least_list


def asking_space(asked: Query) -> str:
    """The entity ID of the space whose person it is."""
    return _entity(asked.sources[0].dataset)


def _case(asked: Query) -> Filter:
    return asked.sources[0].filters[0]


def _wanted(asked: Query) -> Hit:
    return given(asked.statistic.hit)


def _places(asked: Query) -> tuple[str, ...]:
    others = overlap.names(asked)[1:]
    return others if _wanted(asked).each else (" or ".join(others),)


def _entity(dataset: str) -> str:
    return f"https://{dataset.split('/')[1]}"
