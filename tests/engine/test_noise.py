"""Noise under MPC against its twin at m = 3, 5 and 7, what it costs, and how a provider's uniform bits get there."""

import secrets
from collections.abc import Sequence
from itertools import permutations
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, InputRejected, SessionAborted
from connectors.engine.field import Array
from connectors.engine.inputs import Inbox, seal_inputs
from connectors.engine.limits import Limits
from connectors.engine.noise import drawn, noise_clear, own_noise, settled, settled_clear, settled_cost
from connectors.engine.programs import crosstab, group_count, overlap
from connectors.engine.randomness import KEY_BYTES
from connectors.engine.rows import MAX_ROWS, InputRows, Words
from gateway.rules import noise
from gateway.rules.sealing import fresh_key
from gateway.rules.sharing import P
from tests.engine.harness import SHAPES, Party, revealed, run
from tests.engine.harness import shared as shared_numbers
from tests.engine.packed import sent, shared_words
from tests.engine.test_programs import BOUNDS, CROSSED, EMPTY, GROUPS, LISTS, SOME, options, providers

shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
both = pytest.mark.parametrize(("program", "base"), [(overlap, LISTS), (group_count, GROUPS), (crosstab, CROSSED)])
few = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
EPSILON = {"noise": noise.table("0.5")}
SEEDS = [bytes([i]) * KEY_BYTES for i in range(8)]


def coins(epsilon: str) -> tuple[int, ...]:
    return noise.of(epsilon).coins


def execute(
    program: ModuleType, parameters: dict[str, Any], rows: Sequence[InputRows], bounds: list[int], shape: Shape
) -> tuple[list[Party], list[Words]]:
    words = [
        program.encode(parameters, own, bound, secrets.token_bytes) for own, bound in zip(rows, bounds, strict=True)
    ]
    uniform = [program.own_noise(parameters, seed) for seed, _ in zip(SEEDS, rows, strict=False)]
    inputs, bits = ([shared_words(shape, one) for one in all_] for all_ in (words, uniform))
    parties = run(shape, lambda rt: program.run(rt, parameters, [x[rt.pid] for x in inputs], [x[rt.pid] for x in bits]))
    return parties, uniform


@shapes
@few
@given(
    epsilon=st.sampled_from(["0.01", "0.5", "1", "10"]),
    cells=st.integers(1, 70),
    seed=st.binary(min_size=64, max_size=64),
)
def test_noise_is_what_its_coins_say(shape: Shape, epsilon: str, cells: int, seed: bytes) -> None:
    limits = Limits(0, coins=coins(epsilon))
    words = [own_noise(part, limits, range(cells)) for part in (seed[:32], seed[32:])]
    shares = [shared_words(shape, one) for one in words]
    parties = run(shape, lambda rt: drawn(rt, [x[rt.pid] for x in shares], limits.coins, cells))
    expected = noise_clear(words, limits, cells)
    assert revealed(parties, shape.t) == [number % P for number in expected]
    assert max(map(abs, expected)) <= noise.of(epsilon).largest


@shapes
@few
@given(
    rows=st.sampled_from([1, 70, MAX_ROWS]),
    minimum=st.sampled_from([0, 2, 11, 1 << 20]),
    zero_is_small=st.booleans(),
    rounding=st.sampled_from([1, 5, 1000]),
    epsilon=st.sampled_from(["0.01", "0.5", "10"]),
    data=st.data(),
)
def test_limits_hold_of_noised_counts_as_the_twin_says_at_the_cost_that_is_forecast(
    shape: Shape, rows: int, minimum: int, zero_is_small: bool, rounding: int, epsilon: str, data: st.DataObject
) -> None:
    limits = Limits(minimum, zero_is_small, frozenset({1}), rounding=rounding, coins=coins(epsilon))
    near = [0, 1, minimum - 1, minimum, minimum + 1, rows - 1, rows]
    counts = data.draw(st.lists(st.sampled_from([n for n in near if 0 <= n <= rows]), min_size=1, max_size=70))
    words = 2 * len(limits.coins) * len(counts)
    extremes = st.sampled_from([np.zeros(words, dtype=np.uint64), np.full(words, 2**64 - 1, dtype=np.uint64)])
    drawn_bits = st.integers(0, 255).map(lambda seed: own_noise(bytes([seed]) * 32, limits, range(len(counts))))
    uniform = data.draw(st.one_of(extremes, drawn_bits))
    x, y = shared_numbers(shape, np.array([counts], dtype=np.uint64)), shared_words(shape, uniform)
    parties = run(shape, lambda rt: settled(rt, x[rt.pid], rows, limits, [y[rt.pid]]))
    added = noise_clear([uniform], limits, len(counts))
    assert revealed(parties, shape.t) == settled_clear(counts, limits, added)
    spent, expected = sent(parties), settled_cost(shape, rows, len(counts), 1, limits)
    assert (spent.rounds, spent.elements) == (expected.rounds, expected.elements)


def test_the_twin_shows_what_is_large_enough_and_zero_for_what_is_not_above_it() -> None:
    limits = Limits(11, coins=coins("1"))
    counts, added = [11, 11, 3, 3, 0, 0, 20], [0, -1, 8, -3, -5, 1, 4]
    assert settled_clear(counts, limits, added) == [11, 0, 11, 0, 0, 0, 24, 1, 0, 1, 1, 1, 0, 1]
    hidden = settled_clear(counts, Limits(11, True, coins=coins("1")), added)
    assert hidden[7:] == [1, 0, 1, 0, 0, 0, 1]
    assert settled_clear([3], Limits(0, coins=coins("1")), [-5]) == [P - 2, 1]


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 12), (SHAPES[1], 3), (SHAPES[2], 2)])
@both
def test_a_program_with_noise_equals_its_twin(
    program: ModuleType, base: dict[str, Any], shape: Shape, examples: int
) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        rows=providers(),
        minimum=st.sampled_from([0, 2, 4]),
        zero_is_small=st.booleans(),
        more=st.sampled_from([{}, {"rounding": 3}]),
        epsilon=st.sampled_from(["0.5", "2", "10"]),
    )
    def holds(rows: list[InputRows], minimum: int, zero_is_small: bool, more: dict[str, Any], epsilon: str) -> None:
        parameters = options(base, minimum, zero_is_small) | more | {"noise": noise.table(epsilon)}
        parties, uniform = execute(program, parameters, rows, [max(1, len(own.keys)) for own in rows], shape)
        assert revealed(parties, shape.t) == program.clear(parameters, rows, uniform)

    holds()


@pytest.mark.parametrize("shape", SHAPES[:2])
@pytest.mark.parametrize("more", [{"minimum_cell": 0}, {}, {"rounding": 5}])
@both
def test_the_cost_model_is_exact(program: ModuleType, base: dict[str, Any], more: dict[str, Any], shape: Shape) -> None:
    parameters = base | EPSILON | more
    parties, _ = execute(program, parameters, SOME, BOUNDS, shape)
    cost = program.cost(parameters, BOUNDS, shape)
    received = [elements.size for party in parties for _, _, elements in party.seen]
    assert (parties[0].engine.rounds, sum(received)) == (1 + cost.rounds, cost.elements)
    assert max(received) <= cost.largest


@both
def test_transcripts_are_of_equal_lengths_and_no_step_opens_a_value(program: ModuleType, base: dict[str, Any]) -> None:
    crowded, _ = execute(program, base | EPSILON, SOME, BOUNDS, SHAPES[0])
    empty, _ = execute(program, base | EPSILON, [EMPTY] * 3, BOUNDS, SHAPES[0])
    assert [party.lengths for party in crowded] == [party.lengths for party in empty]
    assert not any(step.startswith(("noise", "limits")) for step in program.OPENS)


def test_one_person_moves_between_two_cells_at_most_whatever_lists_it_is_on() -> None:
    """The sensitivity on which the table rests, of the counts before noise."""
    rng = np.random.default_rng(7)
    for program, base in ((overlap, LISTS), (group_count, GROUPS), (crosstab, CROSSED)):
        parameters, cells = options(base, 0, False), program.outputs(base) // 2
        for _ in range(200):
            rows = [
                InputRows(
                    keys := sorted(rng.choice(12, rng.integers(0, 9), replace=False).tolist()),
                    [int(rng.integers(1, 8)) for _ in keys],
                    [(int(rng.integers(2)), int(rng.integers(3))) for _ in keys],
                )
                for _ in range(3)
            ]
            at, person = int(rng.integers(3)), int(rng.integers(12))
            kept = [i for i, key in enumerate(rows[at].keys) if key != person]
            other = (
                [rows[at].keys[i] for i in kept],
                [rows[at].lists[i] for i in kept],
                [rows[at].codes[i] for i in kept],
            )
            if rng.integers(2):  # changed, or come, instead of gone
                for column, value in zip(other, (person, int(rng.integers(1, 8)), (1, 2)), strict=True):
                    column.append(value)
            changed = [*rows[:at], InputRows(*other), *rows[at + 1 :]]
            before, after = (program.clear(parameters, some)[:cells] for some in (rows, changed))
            assert sum(abs(x - y) for x, y in zip(before, after, strict=True)) <= noise.SENSITIVITY


def test_a_question_in_another_order_gets_the_same_noise_in_the_same_cells() -> None:
    seed, names = SEEDS[1], ["form", "sex", "year"]
    codes = {"form": ["b", "a"], "sex": ["f", "m"], "year": ["1", "2", "3"]}
    found = []
    for order in permutations(names):
        parameters = {"columns": [{"name": n, "codes": codes[n]} for n in order], "minimum_cell": 0, **EPSILON}
        cells = [dict(zip(order, cell, strict=True)) for cell in _product([codes[n] for n in order])]
        words = group_count.own_noise(parameters, seed).reshape(-1, len(cells)).T
        found.append({tuple(sorted(cell.items())): row.tobytes() for cell, row in zip(cells, words, strict=True)})
    assert all(other == found[0] for other in found) and len(set(found[0].values())) == 12
    lists = []
    for names_in_order in permutations(["LA", "NG", "PF"]):
        words = overlap.own_noise({**LISTS, "lists": list(names_in_order), **EPSILON}, seed).reshape(-1, 7).T
        on = [frozenset(n for i, n in enumerate(names_in_order) if p >> i & 1) for p in range(1, 8)]
        lists.append({cell: row.tobytes() for cell, row in zip(on, words, strict=True)})
    assert all(other == lists[0] for other in lists)


def _product(lists: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    return [()] if not lists else [(first, *rest) for first in lists[0] for rest in _product(lists[1:])]


def test_noise_is_uniform_to_whoever_lacks_one_providers_bits() -> None:
    """Bits that a provider chose, all zeros say, leave the noise what the other's seed makes it."""
    limits = Limits(0, coins=coins("1"))
    honest = own_noise(SEEDS[2], limits, range(40))
    alone = noise_clear([honest], limits, 40)
    assert noise_clear([honest, np.zeros_like(honest)], limits, 40) == alone
    assert noise_clear([honest, own_noise(SEEDS[3], limits, range(40))], limits, 40) != alone


@shapes
def test_uniform_bits_travel_behind_the_rows_in_shares(shape: Shape) -> None:
    seats, provider = [fresh_key() for _ in range(shape.m)], fresh_key()
    parameters = {**LISTS, **EPSILON}
    sealing: dict[str, Any] = {
        "transcript": bytes(32), "entity": "https://a.example", "private_key": provider[0],
        "seats": {pid: public for pid, (_, public) in enumerate(seats)}, "program": "overlap",
        "parameters": parameters, "bound": 5, "rows": InputRows([9], [1], []),
    }  # fmt: skip
    chunks = seal_inputs(**sealing, noise_seed=SEEDS[4])
    held: dict[bytes, Array] = {}
    for pid, (private, _) in enumerate(seats):
        box = Inbox(
            0, entity="https://a.example", public_key=provider[1], transcript=bytes(32), pid=pid, private_key=private,
            shape=shape, words=1, bound=5, noise=overlap.noise_words(parameters),
        )  # fmt: skip
        for chunk in chunks[pid]:
            box.feed(chunk)
        rows, uniform = box.shares()
        assert (rows.shape[1:], uniform.shape[1]) == ((1, 5), 2 * 8 * 7)
        held |= {share.tobytes(): share for share in uniform}
    assert np.array_equal(np.bitwise_xor.reduce(list(held.values())), overlap.own_noise(parameters, SEEDS[4]))
    with pytest.raises(InputRejected):
        seal_inputs(**sealing)


@both
def test_without_every_providers_bits_there_is_no_result(program: ModuleType, base: dict[str, Any]) -> None:
    inputs = [
        shared_words(SHAPES[0], program.encode(base, rows, bound, secrets.token_bytes))
        for rows, bound in zip(SOME, BOUNDS, strict=True)
    ]
    with pytest.raises(SessionAborted) as refused:
        run(SHAPES[0], lambda rt: program.run(rt, base | EPSILON, [x[rt.pid] for x in inputs]))
    assert refused.value.reason is Abort.BAD_INPUT


@both
@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"noise": []}, "noise"),
        ({"noise": ["1"]}, "noise"),
        ({"noise": [1]}, "noise"),
        ({"noise": ["0" * 16] * 15}, "noise"),
        ({"noise": "0" * 16}, "noise"),
        ({**EPSILON, "dominance": 80}, "dominance"),
    ],
)
def test_a_table_that_is_none_is_refused_by_name(
    program: ModuleType, base: dict[str, Any], more: dict[str, Any], field: str
) -> None:
    with pytest.raises(InputRejected) as refused:
        program.noise_words(base | more)
    assert refused.value.field == field
