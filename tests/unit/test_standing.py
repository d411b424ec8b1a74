"""A space that owes the rulebook, or has paused: what plans, the catalogue and people see of it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from gateway.cli import render_catalogue, shapes
from gateway.client.messages import space_from
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Objection, Space
from gateway.domain.query import Seats
from gateway.edges.grpc.convert import space_to
from gateway.flows.discover import Discover
from gateway.rules.jose import TokenProblem
from tests import examples
from tests.examples import CARE, HOME, NEUTRAL, NOW, POLICE
from tests.fakes import FakeFederation

OWES = Objection(Reason.RULEBOOK_NOT_ACCEPTED, f"{NEUTRAL} has not accepted version 2", "Its operator accepts it")
PAUSED = Objection(Reason.SPACE_PAUSED, f"{CARE} is paused by its operator", "Ask later")


def spaces(**objections: Objection) -> dict[str, Space]:
    known = examples.spaces()
    for name, objection in objections.items():
        entity = f"https://{name}.example"
        known[entity] = replace(known[entity], objection=objection)
    return known


def refusal(known: dict[str, Space], **changes: object) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        examples.contract(replace(examples.question((HOME, POLICE, CARE)), **changes), known)  # type: ignore[arg-type]
    return caught.value


def test_a_source_at_a_space_that_is_paused_is_refused_with_its_reason() -> None:
    refused = refusal(spaces(care=PAUSED))
    assert (refused.reason, refused.field, refused.space) == (Reason.SPACE_PAUSED, "sources[2].dataset", CARE)
    assert (refused.public, refused.advice) == (PAUSED.text, PAUSED.advice)


def test_a_seat_that_is_missing_because_its_space_owes_the_rulebook_is_refused_with_that_reason() -> None:
    for more, field in (({}, "seats"), ({"seats": Seats(3, (HOME, POLICE, NEUTRAL))}, "seats.at")):
        refused = refusal(spaces(neutral=OWES), **more)
        assert (refused.reason, refused.field, refused.space) == (Reason.RULEBOOK_NOT_ACCEPTED, field, NEUTRAL)


def test_who_owes_the_rulebook_is_passed_over_where_others_have_a_seat() -> None:
    known = spaces(neutral=OWES)
    known["https://second.example"] = examples.space("https://second.example")
    drafted = examples.contract(examples.question(), known)
    assert [seat.entity for seat in drafted.seats] == [HOME, POLICE, "https://second.example"]


def test_the_catalogue_has_nothing_of_a_space_that_is_paused() -> None:
    for objection, listed in ((PAUSED, False), (OWES, True)):
        catalogue = Discover(FakeFederation(HOME, spaces(care=objection), {}))
        names = [dataset.name for dataset, _ in catalogue.datasets("", 10)[0]]
        assert (examples.dataset(CARE).name in names) is listed
        if not listed:
            with pytest.raises(IsthmusError):
                catalogue.dataset(examples.dataset(CARE).name)


def test_clients_and_people_are_told_which_version_is_accepted_and_what_is_against_a_space() -> None:
    for space in (
        replace(examples.spaces()[HOME], rulebook=2),
        replace(examples.spaces()[NEUTRAL], objection=OWES),
        examples.spaces()[CARE],
    ):
        seen = space_from(space_to(space))
        assert (seen.rulebook, seen.objection) == (space.rulebook, space.objection)
        plain = shapes.of_space(seen, NOW)
        assert plain["rulebook"] == space.rulebook
        assert (plain["objection"] or {}).get("text", "") == (space.objection.text if space.objection else "")
        told = io.StringIO()
        Console(file=told, width=200).print(render_catalogue.spaces([seen], NOW))
        said = OWES.text if space.objection else "yes; accepts version 2 of the rulebook" if space.rulebook else "yes"
        assert said in told.getvalue()


def test_a_reason_that_a_client_does_not_know_is_no_answer() -> None:
    message = space_to(replace(examples.spaces()[NEUTRAL], objection=OWES))
    message.objection.reason = "NEWER"
    with pytest.raises(IsthmusError) as caught:
        space_from(message)
    assert caught.value.reason is Reason.INTERNAL and not isinstance(caught.value, TokenProblem)
