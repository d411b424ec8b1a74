"""Step 0 of every question: what there is to ask, and whom. Keeps each peer's last good offer with its age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.dataset import Dataset
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import ProgramOffer, Space
from gateway.ports import Federation
from gateway.rules.statistics import computed_by as statistics_of


@dataclass(frozen=True, slots=True)
class Listed:
    """A program, who runs it byte for byte (entity IDs), and the kinds of statistic that it computes."""

    program: ProgramOffer
    spaces: tuple[str, ...]
    statistics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Discover:
    federation: Federation
    own: str = ""

    def datasets(self, after: str, limit: int) -> tuple[Sequence[tuple[Dataset, Space]], str]:
        """One page of all datasets by name, each with its space; and the token of the next page ("" at the end)."""
        found = sorted(
            ((dataset, space) for space in self._offering() for dataset in space.offer.datasets),
            key=lambda item: item[0].name,
        )
        rest = [item for item in found if item[0].name > after]
        page = rest[:limit]
        return page, page[-1][0].name if len(rest) > limit else ""

    def dataset(self, name: str) -> tuple[Dataset, Space]:
        """One dataset by its full name, or by its short name where only one space uses that."""
        found = [
            (dataset, space)
            for space in self._offering()
            for dataset in space.offer.datasets
            if name in (dataset.name, dataset.short_name)
        ]
        if len(found) != 1:
            raise IsthmusError(
                Reason.UNKNOWN_DATASET,
                f"no dataset is named {name}" if not found else f"{len(found)} datasets are named {name}",
                field="name",
                advice="See `isthmus datasets` for full names",
            )
        return found[0]

    def programs(self) -> Sequence[Listed]:
        """By name and version, those that most spaces run first."""
        known: dict[tuple[str, int, str], ProgramOffer] = {}
        where: dict[tuple[str, int, str], list[str]] = {}
        # What the own space says of what it runs counts, then whoever comes first.
        for entity, space in sorted(self.federation.spaces().items(), key=lambda item: (item[0] != self.own, item[0])):
            for program in space.offer.programs:
                known.setdefault(program.identity, program)
                where.setdefault(program.identity, []).append(entity)
        listed = (
            Listed(program, tuple(sorted(where[identity])), _answers(program)) for identity, program in known.items()
        )
        return sorted(listed, key=lambda one: (one.program.name, -one.program.version, -len(one.spaces)))

    def _offering(self) -> Sequence[Space]:
        """All but those whose operator has taken them out for a while."""
        spaces = self.federation.spaces().values()
        return [one for one in spaces if one.objection is None or one.objection.reason is not Reason.SPACE_PAUSED]


def _answers(program: ProgramOffer) -> tuple[str, ...]:
    """What no release has, the statistic of that name asks for."""
    return ("program",) if program.descriptor else statistics_of(program.name)
