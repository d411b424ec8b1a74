"""Which codes of a column a question counts by, where its sources' code lists may differ. Pure.

Invariants: a question is narrowed to the codes that all sources have only if it says so (`common_codes`); rows with
another code are then left out by their owner, as a filter of the question's would, so that ledger and repeats see which
rows are asked of.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.contract import Contract
from gateway.domain.dataset import ColumnType, Dataset
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Filter, Query
from gateway.rules import statistics
from gateway.rules.statistics.base import Used

SAID = "of codes that all sources have, people with others left out"


def code_values(dataset: Dataset, name: str) -> tuple[str, ...]:
    column = dataset.column(name)
    return tuple(code.value for code in column.codes) if column is not None else ()


def settle(asked: Query, datasets: Sequence[Dataset]) -> dict[str, tuple[str, ...]]:
    """The codes of each column of codes: one list that all sources that tell it have, or what is common to their lists,
    in the order of the first. Raises IsthmusError(UNKNOWN_CODE) with what each source lacks."""
    settled: dict[str, tuple[str, ...]] = {}
    for used in statistics.of(asked).uses(asked):
        if ColumnType.CODE not in used.types:
            continue
        lists = [
            (dataset, code_values(dataset, used.column))
            for index, dataset in enumerate(datasets)
            if used.taken_from(index)
        ]
        first = lists[0][1]
        common = tuple(code for code in first if all(code in codes for _, codes in lists))
        if not common or (not asked.common_codes and any(codes != first for _, codes in lists)):
            raise _differ(used, lists, common)
        settled[used.column] = common
    return settled


def own(asked: Query, listed: tuple[str, ...], here: tuple[str, ...]) -> tuple[str, ...]:
    """What a contract's list of codes has to be for an owner whose dataset has the codes `here`: that list, or codes of
    it. An owner does not see others' lists: that none is left out which all have is theirs to say who plan."""
    return tuple(code for code in listed if code in here) if asked.common_codes else here


def told(contract: Contract) -> dict[str, tuple[str, ...]]:
    """The codes of each column of codes of a question that takes common ones; of another one, nothing."""
    if not contract.query.common_codes:
        return {}
    lists = statistics.code_lists(contract.program.parameters)
    # A list that is missing is found by `check_parameters`; here it keeps nobody.
    return {column: lists.get(column, ()) for column in _coded(contract.query, None)}


def filters(contract: Contract, index: int) -> tuple[Filter, ...]:
    """What source `index` keeps: the question's own filters and, where it takes common codes, these of each column."""
    common = told(contract)
    here = _coded(contract.query, index) if common else ()
    return (
        *contract.query.sources[index].filters,
        *(Filter(column, one_of=common[column]) for column in here),
    )


def _coded(asked: Query, index: int | None) -> list[str]:
    """The columns of codes that the question takes, from source `index` or from any."""
    uses = [used for used in statistics.of(asked).uses(asked) if ColumnType.CODE in used.types]
    return list(dict.fromkeys(used.column for used in uses if index is None or used.taken_from(index)))


def _differ(used: Used, lists: Sequence[tuple[Dataset, tuple[str, ...]]], common: tuple[str, ...]) -> IsthmusError:
    every = list(dict.fromkeys(code for _, codes in lists for code in codes))
    lacking = [
        (dataset, [code for code in every if code not in codes]) for dataset, codes in lists if set(codes) < set(every)
    ]
    said = "; ".join(f"{dataset.name} lacks {', '.join(codes)}" for dataset, codes in lacking)
    moved = next((dataset for dataset, codes in lists if codes != lists[0][1]), lists[0][0])
    at = lacking[0][0] if lacking else moved
    narrower = f"Add common_codes: true to count by {', '.join(common)} alone, or leave" if common else "Leave"
    return IsthmusError(
        Reason.UNKNOWN_CODE,
        f"the sources code {used.column} differently: {said or f'{moved.name} has the same in another order'}",
        field=used.field,
        space=f"https://{at.space_host}",
        advice=f"{narrower} a source out",
    )
