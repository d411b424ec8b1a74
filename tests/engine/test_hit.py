"""One person against other lists under MPC: the clear-text twin, the limits that hold in MPC, what is sent."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected
from connectors.engine.programs import hit
from connectors.engine.rows import InputRows
from connectors.engine.runtime import Engine
from connectors.engine.wire import ELEMENT_BYTES
from tests.engine.harness import SHAPES, revealed
from tests.engine.stocked import compute
from tests.engine.test_chi_square import execute, nothing, words_sent

PARAMETERS: dict[str, Any] = {"lists": ["own", "b", "c"], "owners": [0, 1, 2], "least_list": 3, "minimum_cell": 0}
ANY, EACH = PARAMETERS, PARAMETERS | {"each": True}


def rows(keys: list[int], mask: int) -> InputRows:
    return InputRows(keys, [mask] * len(keys), [])


def told(parameters: dict[str, Any], given: list[InputRows], shape: Shape = SHAPES[0], slack: int = 2) -> list[int]:
    bounds = [len(own.keys) + slack for own in given]
    return revealed(execute(parameters, given, bounds, shape, program=hit), shape.t)


B, C = rows([4, 9, 2**60 - 1], 2), rows([7, 9, 11, 0], 4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("person", "each"), [(9, [1, 1]), (4, [1, 0]), (11, [0, 1]), (0, [0, 1]), (2**60 - 1, [1, 0]), (5, [0, 0])]
)
def test_a_person_is_found_on_exactly_the_lists_that_have_it(shape: Shape, person: int, each: list[int]) -> None:
    providers = [rows([person], 1), B, C]
    assert told(EACH, providers, shape) == [*each, 1] == hit.clear(EACH, providers)
    assert told(ANY, providers, shape) == [max(each), 1] == hit.clear(ANY, providers)


@pytest.mark.parametrize("asked", [[], [4, 9], [4, 5, 6], [5, 6, 9, 100]])
def test_nothing_is_told_unless_exactly_one_person_is_asked_about(asked: list[int]) -> None:
    """An odd number of keys has an XOR like one key has: it is counted, not added up."""
    assert told(EACH, [rows(asked, 1), B, C]) == [0, 0, 0]
    assert told(ANY, [rows(asked, 1), B, C]) == [0, 0]


def test_nothing_is_told_where_any_list_is_too_short() -> None:
    short = rows([4, 9], 2)
    for providers in ([rows([9], 1), short, C], [rows([9], 1), rows([], 2), C]):
        assert told(EACH, providers) == [0, 0, 0]
        assert told(ANY, providers) == [0, 0]
    assert told(EACH | {"least_list": 4}, [rows([9], 1), B, C]) == [0, 0, 0]


def test_a_provider_says_nothing_of_lists_that_are_not_its_own() -> None:
    """Neither a false hit on another's list, nor people to make another's list long enough, nor a second person."""
    everywhere = rows([5, 6, 7, 8], 7)
    assert told(EACH, [rows([5], 7), B, everywhere]) == [0, 1, 1]
    assert told(EACH, [rows([4], 7), rows([4], 2), everywhere]) == [0, 0, 0]


@pytest.mark.parametrize("owners", [[0, 1, 1], [1, 0, 0], [1, 0, 2], [2, 1, 0]])
def test_lists_of_one_provider_and_the_asker_at_any_place(owners: list[int]) -> None:
    parameters = EACH | {"owners": owners, "least_list": 1}
    kept: dict[int, dict[int, int]] = {owner: {} for owner in owners}
    for place, keys in enumerate(([9], [4, 9], [7, 11])):
        for key in keys:
            kept[owners[place]][key] = kept[owners[place]].get(key, 0) | 1 << place
    providers = [InputRows(list(kept[p]), list(kept[p].values()), []) for p in sorted(kept)]
    assert told(parameters, providers) == [1, 0, 1] == hit.clear(parameters, providers)


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 15), (SHAPES[1], 3), (SHAPES[2], 2)])
def test_the_program_equals_its_twin(shape: Shape, examples: int) -> None:
    people = st.lists(st.integers(0, 2**60 - 1) | st.integers(0, 8), max_size=5, unique=True)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        own=st.lists(st.integers(0, 8), max_size=2, unique=True),
        others=st.lists(people, min_size=1, max_size=7),
        least=st.integers(1, 3),
        each=st.booleans(),
        slack=st.integers(1, 70),
    )
    def holds(own: list[int], others: list[list[int]], least: int, each: bool, slack: int) -> None:
        given = [rows(own, 1), *(rows(keys, 2 << place) for place, keys in enumerate(others))]
        named = {"lists": [str(place) for place in range(len(given))], "owners": list(range(len(given)))}
        parameters = EACH | named | {"least_list": least, "each": each}
        result = told(parameters, given, shape, slack)
        assert result == hit.clear(parameters, given)
        assert len(result) == hit.outputs(parameters)

    holds()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("parameters", [ANY, EACH])
@pytest.mark.parametrize("bounds", [[3, 5, 4], [70, 130, 1], [2, 3000, 2000]])
def test_its_cost_is_what_it_sends(shape: Shape, parameters: dict[str, Any], bounds: list[int]) -> None:
    if shape.m > 3 and max(bounds) > 1000:
        bounds = [bound // 10 + 1 for bound in bounds]
    drawn = random.Random(7)
    own = [rows(drawn.sample(range(2**40), min(bound, 50)), 1 << p) for p, bound in enumerate(bounds)]
    cost = hit.cost(parameters, bounds, shape)
    parties = execute(parameters, own, bounds, shape, ELEMENT_BYTES * cost.largest, hit)
    words = words_sent(parties)
    assert parties[0].engine.rounds == 1 + cost.rounds
    assert sum(words) - sum(words_sent(compute(shape, nothing))) == cost.elements
    assert max(words) <= cost.largest


def test_frames_are_the_same_for_a_hit_a_miss_and_what_is_not_told() -> None:
    seen = {
        tuple(tuple(party.lengths) for party in execute(EACH, [own, B, C], [4, 4, 4], SHAPES[0], program=hit))
        for own in (rows([9], 1), rows([5], 1), rows([], 1), rows([4, 9], 1))
    }
    assert len(seen) == 1


def test_it_opens_in_the_steps_that_it_declares_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: set[str] = set()
    allowed = Engine.opening

    def opening(rt: Engine, step: str) -> None:
        steps.add(step)
        allowed(rt, step)

    monkeypatch.setattr(Engine, "opening", opening)
    told(EACH, [rows([9], 1), B, C])
    assert steps == set(hit.OPENS)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"lists": ["own"], "owners": [0]}, "lists"),
        ({"owners": [0, 1]}, "owners"),
        ({"owners": [0, 1, 0]}, "owners"),
        ({"owners": [0, 1, True]}, "owners"),
        ({"least_list": 0}, "least_list"),
        ({"least_list": None}, "least_list"),
        ({"each": 1}, "each"),
        ({"minimum_cell": 11}, "minimum_cell"),
        ({"zero_is_small": True}, "zero_is_small"),
        ({"noise": ["0" * 16]}, "noise"),
    ],
)
def test_wrong_parameters_are_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InputRejected) as refused:
        hit.outputs(PARAMETERS | changes)
    assert refused.value.field == field
