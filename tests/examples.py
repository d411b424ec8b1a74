"""One small federation as nouns: three data spaces, one neutral seat, a question and its contract."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.domain import query
from gateway.domain.contract import Contract, Recipient
from gateway.domain.dataset import Code, Column, ColumnType, Dataset, Edition, Terms
from gateway.domain.offer import Offer, Operator, ProgramOffer, Space
from gateway.rules import planning, sealing, statistics

NOW = 1_800_000_000
HOME, POLICE, CARE, NEUTRAL = (f"https://{name}.example" for name in ("home", "police", "care", "neutral"))
SESSION = "0123456789abcdef" * 2
PROGRAMS = tuple(
    ProgramOffer(name, 1, digest * 64, "sizes")
    for name, digest in (
        ("group_count", "d"),
        ("overlap", "e"),
        ("crosstab", "c"),
        ("survival", "a"),
        ("chi_square", "b"),
    )
)
FORMS = ("LABOUR", "SEXUAL", "OTHER")
RECIPIENT_KEY = base64.b64encode(sealing.public_of(b"\x11" * 32)).decode()


def dataset(entity: str, id: str = "list", **changes: Any) -> Dataset:
    host = entity.removeprefix("https://")
    terms = Terms(("monitoring",), ("mandate",), tuple(statistics.STATISTICS), 11, ("overlap",))
    columns = (
        Column("name", ColumnType.TEXT),
        Column("born", ColumnType.DATE),
        Column("age", ColumnType.INTEGER),
        Column("seen", ColumnType.DATE),
        Column("note", ColumnType.TEXT),
        Column("year", ColumnType.CODE, codes=(Code("2012", "2012"), Code("2013", "2013"))),
        Column("form", ColumnType.CODE, codes=tuple(Code(value, value.lower()) for value in FORMS)),
    )
    made = Dataset(
        f"spaces/{host}/datasets/{id}", "A list", "", "", columns, ("name", "born"), "", terms,
        Edition("2026-1", NOW - 100, "5" * 64, 64),
    )  # fmt: skip
    return replace(made, **changes)


def operator(entity: str, **changes: Any) -> Operator:
    name = entity.removeprefix("https://").split(".")[0]
    return replace(Operator(entity, f"Operator {name}", f"group {name}"), **changes)


def space(entity: str, *datasets: Dataset, seats: int = 1, **changes: Any) -> Space:
    return Space(operator(entity, **changes), Offer(datasets, PROGRAMS, seats, "mpyc 0.11", 1), NOW)


def spaces() -> dict[str, Space]:
    """The third data space offers no seat, as in the demonstration."""
    return {
        HOME: space(HOME, dataset(HOME)),
        POLICE: space(POLICE, dataset(POLICE)),
        CARE: space(CARE, dataset(CARE), seats=0),
        NEUTRAL: space(NEUTRAL),
    }


def measured(statistic: str, bounds: Mapping[str, tuple[str | int, str | int]]) -> dict[str, Space]:
    """Spaces that say between which bounds these columns lie and compute the statistic, exactly where that is asked."""
    known = spaces()
    for entity, item in known.items():
        programs = (*item.offer.programs, replace(item.offer.programs[0], name=statistic))
        datasets = tuple(
            replace(
                one,
                terms=replace(one.terms, exact_statistics=(statistic,)),
                columns=tuple(
                    replace(column, **dict(zip(("least", "most"), bounds.get(column.name, ()), strict=False)))
                    for column in one.columns
                ),
            )
            for one in item.offer.datasets
        )
        known[entity] = replace(item, offer=replace(item.offer, programs=programs, datasets=datasets))
    return known


def question(owners: Sequence[str] = (HOME, POLICE, CARE), **changes: Any) -> query.Query:
    asked = query.Query(
        "Victims by form", "monitoring", "mandate",
        tuple(query.Source(dataset(owner).name) for owner in owners),
        ("name", "born"),
        query.Statistic(count_by=query.CountBy(("form",))),
    )  # fmt: skip
    return replace(asked, **changes)


def overlap(**changes: Any) -> query.Query:
    return question(statistic=query.Statistic(overlap=query.Overlap()), **changes)


def contract(asked: query.Query | None = None, known: dict[str, Space] | None = None, **changes: Any) -> Contract:
    recipient = Recipient(f"gateway {HOME}", "gateway", RECIPIENT_KEY)
    request = planning.Request(HOME, "analyst", recipient, SESSION, NOW)
    return replace(planning.draft_contract(asked or question(), known or spaces(), request), **changes)


def operators(known: dict[str, Space] | None = None) -> dict[str, Operator]:
    return {entity: item.operator for entity, item in (known or spaces()).items()}


def cell_codes(contract: Contract) -> list[tuple[str, ...]]:
    """The codes of each cell, in the order in which the program puts them out."""
    rules = statistics.of(contract.query)
    return [row.codes for row in rules.table(contract, [0] * rules.outputs(contract)).rows]
