"""Which columns of a dataset a space may use for what. Pure.

Invariants: a column without a rule is open to all who may ask; one with rules only to what a rule names; a refusal says
what is open to the asker and nothing of what is open to others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.domain.contract import Contract
from gateway.domain.dataset import Dataset
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules import common_codes, statistics
from gateway.rules.statistics import Use

_FOR = {
    Use.GROUP: "to count by",
    Use.FILTER: "as a filter",
    Use.MEASURE: "to add up",
    None: "to count by, to add up and as a filter",
}
_DONE = {Use.GROUP: "counted by", Use.FILTER: "filtered on", Use.MEASURE: "added up"}


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """`spaces` are entity IDs, "*" is all; no statistics are all; no use is all."""

    name: str
    spaces: tuple[str, ...] = ("*",)
    statistics: tuple[str, ...] = ()
    use: Use | None = None

    def opens(self, space: str, statistic: str, use: Use) -> bool:
        return (
            self.names(space)
            and (not self.statistics or statistic in self.statistics)
            and (self.use is None or self.use is use)
        )

    def names(self, space: str) -> bool:
        return "*" in self.spaces or space in self.spaces

    def said(self) -> str:
        how = _FOR[self.use]
        return f"{how} in {', '.join(self.statistics)}" if self.statistics else how


def check_columns(draft: Contract, dataset: Dataset, rules: Sequence[ColumnRule]) -> None:
    """Raises IsthmusError(POLICY_REFUSED) when the draft uses a column of `dataset` in a way that is not open to it."""
    space, statistic = draft.initiator, draft.query.statistic.name
    for name, use, field in _used(draft, dataset):
        about = [rule for rule in rules if rule.name == name]
        if not about or any(rule.opens(space, statistic, use) for rule in about):
            continue
        how = _DONE[use]
        others = [rule.said() for rule in about if rule.names(space)]
        raise IsthmusError(
            Reason.POLICY_REFUSED,
            f"{name} of {dataset.name} is not {how} in {statistic} for {space} "
            f"(version {dataset.terms.version} of its policy)",
            field=field,
            space=f"https://{dataset.space_host}",
            advice=f"It is open {'; '.join(others)}" if others else f"Leave {name} out, or ask its steward",
        )


def _used(draft: Contract, dataset: Dataset) -> Iterator[tuple[str, Use, str]]:
    """Columns with their use, and where in the query."""
    uses = tuple(statistics.of(draft.query).uses(draft.query))
    for index, source in enumerate(draft.query.sources):
        if source.dataset == dataset.name:
            for used in uses:
                if used.taken_from(index):
                    yield used.column, used.use, used.field
            for number, item in enumerate(common_codes.filters(draft, index)):
                # An owner does not see others' code lists: what is said to be common to them may be of a choice.
                own = number < len(source.filters)
                yield item.column, Use.FILTER, f"sources[{index}].filters[{number}].column" if own else "common_codes"
