"""A policy tried on a question before it goes live: the agent's own rule, over a federation made up around the dataset.

Invariants: what decides is `check_draft`, as at the agent; everybody but the owner allows everything and offers a seat,
so that a refusal is the owner's, or the question's own fault. No row is read.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.rules.approval import OwnPart, check_draft
from connectors.rules.columns import ColumnRule
from gateway.domain.contract import Recipient
from gateway.domain.dataset import Code, Column, ColumnType, Dataset, Privacy, Terms
from gateway.domain.offer import Offer, Operator, ProgramOffer, Space
from gateway.domain.query import Query
from gateway.rules import noise, planning, statistics
from gateway.rules.roles import in_order
from gateway.rules.seats import SIZES

ENGINE, CODEC = "trial", 1
ANY = (Code("any", "any"),)  # the codes of a column that is not known here


@dataclass(frozen=True, slots=True)
class Tried:
    """What is tried: a dataset with its terms, and what its policy keeps at home."""

    dataset: Dataset
    spaces: Sequence[str]
    columns: Sequence[ColumnRule]
    programs: tuple[ProgramOffer, ...]
    # In which roles the people of a space are answered, where that is not for all alike.
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        return f"https://{self.dataset.space_host}"


def try_question(asked: Query, tried: Tried, initiator: Operator, now: int, roles: tuple[str, ...] = ()) -> None:
    """Raises IsthmusError as the owner's agent, or a planner before it, would refuse the question of `initiator` for
    somebody in these roles."""
    known = _federation(asked, tried, initiator, now)
    # What the other owners filter is their affair, on columns that are not known here.
    sources = [
        source if source.dataset == tried.dataset.name else replace(source, filters=()) for source in asked.sources
    ]
    recipient = Recipient(f"gateway {initiator.entity}", "gateway", base64.b64encode(b"\x09" + bytes(31)).decode())
    request = planning.Request(initiator.entity, "somebody", recipient, "0" * 32, now, in_order(roles))
    draft = planning.draft_contract(replace(asked, sources=tuple(sources)), known, request)
    offer = known[tried.owner].offer
    spaces = {dataset.name: ("*",) for dataset in offer.datasets} | {tried.dataset.name: tuple(tried.spaces)}
    columns, of_spaces = {tried.dataset.name: tried.columns}, {tried.dataset.name: tried.roles}
    own = OwnPart(tried.owner, offer, spaces, columns, roles=of_spaces)
    operators = {entity: space.operator for entity, space in known.items()} | {initiator.entity: initiator}
    check_draft(draft, own, operators, now)


def _federation(asked: Query, tried: Tried, initiator: Operator, now: int) -> dict[str, Space]:
    """The owner, the owners of the question's other sources, and as many others as it may want seats."""
    names = [source.dataset for source in asked.sources if source.dataset != tried.dataset.name]
    packages = tuple(program.digest for program in tried.programs if program.descriptor)
    datasets = [tried.dataset, *(_alike(tried.dataset, name, asked, packages) for name in names)]
    seats = [*asked.seats.at, *(f"https://seat-{number}.invalid" for number in range(max(SIZES)))]
    entities = dict.fromkeys([tried.owner, *(f"https://{dataset.space_host}" for dataset in datasets), *seats])
    return {
        entity: Space(
            initiator if entity == initiator.entity else Operator(entity, entity, entity),
            Offer(
                tuple(dataset for dataset in datasets if f"https://{dataset.space_host}" == entity),
                tried.programs, 1, ENGINE, CODEC,
            ),
            now,
        )
        for entity in entities
    }  # fmt: skip


def _alike(dataset: Dataset, name: str, asked: Query, packages: tuple[str, ...]) -> Dataset:
    """Another owner's dataset: the same columns, and those that it alone is asked to tell."""
    statistic = asked.statistic.name
    noise_of_any = Privacy(noise.text(noise.MOST), noise.text(noise.MOST_BUDGET), required=False)
    terms = Terms(
        (asked.purpose,), (asked.legal_basis,), (statistic,), 0, (statistic,),
        demo_view=True, privacy=noise_of_any, packages=packages,
    )  # fmt: skip
    index = next(number for number, source in enumerate(asked.sources) if source.dataset == name)
    own = tuple(
        Column(used.column, used.types[0], codes=ANY if used.types[0] is ColumnType.CODE else ())
        for used in statistics.of(asked).uses(asked)
        if used.taken_from(index) and dataset.column(used.column) is None
    )
    return replace(dataset, name=name, terms=terms, columns=(*dataset.columns, *own))
