"""One question from beginning to end: create, watch with a bar per space, open, estimate. For `run` and `demo`.

Invariant: a question whose asker is interrupted is cancelled at all spaces, because nobody else could read its
result.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from gateway.cli import shapes
from gateway.cli.progress import bars
from gateway.client.aio import AsyncClient, Recipient, ended
from gateway.client.estimates import Estimate, OverlapTable, estimate
from gateway.client.summary import Summary, summary
from gateway.domain.computation import Computation, State
from gateway.domain.errors import IsthmusError
from gateway.domain.query import Query
from gateway.domain.result import Table
from gateway.rules import statistics

Labels = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A released computation. `labels` maps a column to what its codes mean, and "" to what it means itself."""

    computation: Computation
    summary: Summary
    table: Table
    labels: Labels = field(default_factory=dict)

    @property
    def withheld(self) -> bool:
        """Whether nothing of the table may be shown."""
        return all(row.suppressed for row in self.table.rows)


class NoAnswer(IsthmusError):
    """The computation ended without a release."""

    def __init__(self, computation: Computation) -> None:
        why = ended(computation)
        super().__init__(why.reason, why.public, space=why.space, advice=why.advice)
        self.computation = computation


async def run(client: AsyncClient, asked: Query, console: Console, recipient: Recipient = "self") -> Answer:
    """Raises NoAnswer when it ends without a release, IsthmusError for everything else."""
    # Shielded: interrupted between asking and hearing its name, the question would run on for nobody.
    creating = asyncio.ensure_future(client.create(asked, recipient=recipient))
    try:
        found = await asyncio.shield(creating)
        with bars(console) as show:
            async for changed in client.watch(found.name):
                found = changed
                show(found)
    except asyncio.CancelledError:
        with contextlib.suppress(IsthmusError):  # it had ended, or the gateway is gone: nothing is left to stop
            await client.cancel((await creating).name)
        raise
    if found.state is not State.RELEASED:
        raise NoAnswer(found)
    table = await client.result(found)
    return Answer(found, summary(found), table, await labels(client, asked))


async def labels(client: AsyncClient, asked: Query) -> Labels:
    """What columns and codes are called, as the description of the first source that tells each says it."""
    told: dict[str, list[str]] = {}
    for used in statistics.of(asked).uses(asked):
        source = next(source for index, source in enumerate(asked.sources) if used.taken_from(index))
        told.setdefault(source.dataset, []).append(used.column)
    described = [((await client.dataset(name)).dataset, columns) for name, columns in told.items()]
    return {
        column.name: {"": column.label, **{code.value: code.label for code in column.codes}}
        for dataset, columns in described
        for column in map(dataset.column, columns)
        if column is not None
    }


def estimates(table: Table, models: Sequence[str], *, noised: bool = False, rounded: bool = False) -> list[Estimate]:
    """One estimate per model; every one refused where a cell is suppressed, or counts have noise or are rounded.
    Takes a second of computing."""
    counts = [row.count for row in table.rows if row.count is not None]
    if noised or rounded or len(counts) < len(table.rows):
        what = "has noise" if noised else "is rounded" if rounded else "has suppressed cells"
        refused = f"the table {what}, and zeros and small cells are what the models live on"
        return [Estimate(model, sum(counts), refused=refused) for model in models]
    patterns = [([int(code) for code in row.codes], row.count or 0) for row in table.rows]
    return estimate(OverlapTable.from_patterns(table.columns, patterns), models)


def as_json(answer: Answer, estimated: Sequence[Estimate] | None = None) -> dict[str, Any]:
    """The one object of `isthmus run --json`."""
    return shapes.of_run(answer.computation, answer.table, estimated, answer.summary)
