"""The catalogue of programs: what each says of itself, who runs exactly it, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from connectors.engine import programs
from connectors.engine.cost import Shape
from connectors.offering import SIZES, program_offers
from gateway.cli import render_programs, shapes
from gateway.client.messages import ListedProgram, programs_from
from gateway.domain.caller import Caller, CallerKind
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Offer, Opening, ProgramCost, ProgramOffer
from gateway.edges.grpc.client_api import CatalogueService
from gateway.flows.discover import Discover
from gateway.rules.offers import check_offer
from gateway.rules.statistics import STATISTICS
from tests import examples


class Known:
    """A federation that is only asked who is in it."""

    def __init__(self, **running: tuple[ProgramOffer, ...]) -> None:
        self.found = {f"https://{name}.example": examples.space(f"https://{name}.example") for name in running}
        for name, offers in running.items():
            space = self.found[f"https://{name}.example"]
            self.found[space.operator.entity] = replace(space, offer=replace(space.offer, programs=offers))

    def spaces(self) -> Any:
        return self.found


async def listed(known: Known) -> tuple[ListedProgram, ...]:
    """Over the wire's messages and back."""
    service = CatalogueService(Discover(known), known)  # type: ignore[arg-type]
    caller = Caller(CallerKind.CLIENT, "analyst", frozenset({"catalogue"}))
    return programs_from(await service.list_programs(None, caller))  # type: ignore[arg-type]


def test_every_program_says_what_goes_in_comes_out_leaks_and_costs() -> None:
    assert {offer.name for offer in program_offers()} == set(programs.PROGRAMS)
    for offer in program_offers():
        for said in (offer.title, offer.inputs, offer.outputs, offer.takes, offer.leakage, offer.formula, offer.sample):
            assert said == said.strip() and len(said) > 10, offer.name
        assert {opening.step for opening in offer.opens} == set(programs.PROGRAMS[offer.name].OPENS)
        assert [(cost.m, cost.providers, cost.rows) for cost in offer.costs] == list(SIZES)


def test_what_it_costs_is_what_its_formula_gives() -> None:
    for offer in program_offers():
        module = programs.PROGRAMS[offer.name]
        for told in offer.costs:
            bounds = [told.rows // told.providers] * told.providers
            cost = module.cost(module.ABOUT.sample, bounds, Shape(told.m, (told.m - 1) // 2))
            assert (told.rounds, told.bytes_per_party) == (cost.rounds, 8 * cost.elements // told.m)


def test_every_statistic_is_computed_by_a_program_that_is_offered() -> None:
    fixed = {rules.PROGRAM for name, rules in STATISTICS.items() if name != "program"}  # which one, its question says
    assert fixed <= set(programs.BUILT_IN)


async def test_who_runs_another_digest_is_listed_apart() -> None:
    ours = program_offers()
    other = tuple(replace(offer, digest="0" * 64) if offer.name == "overlap" else offer for offer in ours)
    found = await listed(Known(care=ours, police=ours, registry=other))
    where = {(item.program.name, item.program.digest): item.spaces for item in found}
    digest = {offer.name: offer.digest for offer in ours}
    assert where["overlap", digest["overlap"]] == ("https://care.example", "https://police.example")
    assert where["overlap", "0" * 64] == ("https://registry.example",)
    assert len(where["group_count", digest["group_count"]]) == 3
    kinds = {item.program.name: item.statistics for item in found}
    assert kinds["overlap"] == ("overlap",)
    assert set(kinds["group_count"]) >= {"count_by", "rate", "histogram"}
    assert {item.program for item in found if item.program.digest != "0" * 64} == set(ours)


async def test_spaces_compute_together_what_has_one_digest_whatever_else_they_say_of_it() -> None:
    known = examples.spaces()
    police = known[examples.POLICE]
    told = tuple(replace(offer, title="the same under another title") for offer in police.offer.programs)
    known[examples.POLICE] = replace(police, offer=replace(police.offer, programs=told))
    assert examples.contract(known=known).program.digest == "d" * 64
    apart = tuple(replace(offer, digest="0" * 64) for offer in police.offer.programs)
    known[examples.POLICE] = replace(police, offer=replace(police.offer, programs=apart))
    with pytest.raises(IsthmusError) as caught:
        examples.contract(known=known)
    assert caught.value.reason is Reason.PROGRAM_UNKNOWN


async def test_what_another_space_says_of_a_program_that_runs_here_counts_for_nothing() -> None:
    ours = program_offers()
    liar = tuple(replace(offer, leakage="Nothing at all is learned by anybody.") for offer in ours)
    known = Known(aaa=liar, care=ours)
    found = Discover(known, "https://care.example").programs()  # type: ignore[arg-type]
    assert {item.program for item in found} == set(ours)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2**40},
        {"title": "x" * 5000},
        {"opens": (Opening("step", "why"),) * 65},
        {"costs": (ProgramCost(3, 3, 2**60, 1, 1),)},
        {"costs": (ProgramCost(3, 3, 1, -1, 1),)},
    ],
)
def test_a_program_that_the_catalogue_cannot_say_is_not_offered(changes: dict[str, Any]) -> None:
    offer = Offer((), program_offers(), 1, "mpyc 0.11", 1)
    assert check_offer(offer, examples.CARE) is offer
    with pytest.raises(IsthmusError) as caught:
        check_offer(replace(offer, programs=(replace(offer.programs[0], **changes),)), examples.CARE)
    assert caught.value.field == "programs"


async def test_it_is_shown_to_people_and_to_machines() -> None:
    found = await listed(Known(care=program_offers()))
    console = Console(width=110, file=(shown := StringIO()))
    console.print(render_programs.programs(found))
    console.print(render_programs.program([item for item in found if item.program.name == "overlap"]))
    text = shown.getvalue()
    assert "People by exactly which lists they are on" in text and "Leaks" in text and "Opens" in text
    assert "300\N{NO-BREAK SPACE}000" in text
    plain = shapes.of_program(found[0])
    assert plain["costs"][0]["rows"] == SIZES[0][2] and plain["spaces"] == ["https://care.example"]
