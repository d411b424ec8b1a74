"""`funnel`: how far people came through stages, each of them some of the sources, by columns that some sources tell.

Who is on lists of the stages 1 to r came to stage r. A cell is those who came to a stage and no further, so that cells
add up to all who came to the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import sqrt
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.query import Query
from gateway.domain.result import Row, Table
from gateway.rules.statistics import told
from gateway.rules.statistics.base import Codes, Used, Z, any_limits, cells, coded, counted, given, lists, malformed

PROGRAM, LABEL = told.PROGRAM, "funnels"
FIELD = "statistic.funnel"
STAGE = "stage"  # the table's last column: how far
MEASURES = ("at_least", "of_stage_before", "low", "high")
MAX_STAGES = 8

check_limits = any_limits


def check(asked: Query) -> None:
    by, reached = _columns(asked), stages(asked)
    if not 2 <= len(reached) <= MAX_STAGES:
        raise malformed(f"{FIELD}.stages", f"a funnel has 2 to {MAX_STAGES} stages")
    for number, sources in enumerate(reached):
        told.check_sources(asked, sources, f"{FIELD}.stages[{number}]")
    named = [index for sources in reached for index in sources]
    if len(set(named)) < len(named):
        raise malformed(f"{FIELD}.stages", "a source belongs to one stage")
    if any(item.column == STAGE for item in by.values()):
        raise malformed(f"{FIELD}.by", f"the stage is called {STAGE}, and no other column may be")
    told.check_told(asked, by, f"{FIELD}.by", reached)


def uses(asked: Query) -> Iterator[Used]:
    return told.uses_of(_columns(asked))


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    reached = [list(sources) for sources in stages(asked)]
    columns = coded(told.names_of(_columns(asked)), codes, f"{FIELD}.by", each=len(reached))
    return {"columns": columns, "stages": reached, "structural_zeros": []}


def canonical(asked: Query) -> dict[str, Any]:
    reached = [told.canonical_sources(asked, sources) for sources in stages(asked)]
    return {**told.canonical(asked, _columns(asked)), "statistic": "funnel", "stages": reached}


def outputs(contract: Contract) -> int:
    return 2 * len(_cells(contract))


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """Counts of who came to a stage and no further; then, from shown cells alone, of who came to it at least, which
    part that is of those who came to the one before, and its 95 % interval (none where counts have noise, whose own
    error is said beside it)."""
    made = counted(contract, [*told.names_of(_columns(contract.query)), STAGE], _cells(contract), opened)
    noised, rows = contract.limits.epsilon is not None, list[Row]()
    k = len(stages(contract.query))
    for start in range(0, len(made.rows), k):
        before: int | None = None
        for number in range(start, start + k):
            onward = [row.count for row in made.rows[number : start + k]]
            reached = None if None in onward else sum(count or 0 for count in onward)
            rows.append(replace(made.rows[number], values=(reached, *_passed(before, reached, noised))))
            before = reached
    return replace(made, rows=tuple(rows), measures=MEASURES)


def _passed(before: int | None, reached: int | None, noised: bool) -> tuple[float | None, ...]:
    """Which part came from one stage to the next, and its interval."""
    if before is None or reached is None or before <= 0:
        return None, None, None
    return reached / before, *((None, None) if noised else interval(reached, before))


def interval(part: int, whole: int) -> tuple[float, float]:
    """The 95 % interval of a binomial probability: the score interval of Wilson ("Probable inference, the law of
    succession, and statistical inference", Journal of the American Statistical Association 22, 1927)."""
    share, square = part / whole, Z * Z / whole
    middle, half = share + square / 2, sqrt(square * (share * (1 - share) + square / 4))
    return max(0.0, (middle - half) / (1 + square)), min(1.0, (middle + half) / (1 + square))


def said(asked: Query, called: Callable[[str], str]) -> str:
    way = ", then ".join(told.said_sources(asked, sources) for sources in stages(asked))
    by = " and ".join(told.said_column(asked, item, called) for item in _columns(asked).values())
    said = f"people of {lists(asked)}, each once, by how far they came: {way}"
    return f"{said}; counted by {by}, where it is known" if by else said


def stages(asked: Query) -> tuple[tuple[int, ...], ...]:
    found = given(asked.statistic.funnel).stages
    return tuple((index,) for index in range(len(asked.sources))) if found is None else found


def _cells(contract: Contract) -> list[tuple[str, ...]]:
    ends = [told.said_sources(contract.query, sources) for sources in stages(contract.query)]
    return [(*cell, end) for cell in cells(contract.program.parameters) for end in ends]


def _columns(asked: Query) -> told.Named:
    return {f"{FIELD}.by[{i}]": item for i, item in enumerate(given(asked.statistic.funnel).by)}
