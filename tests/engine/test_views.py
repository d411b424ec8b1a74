"""What any t parties see together says nothing of what is computed.

The protocols that send are linear, so what could give a secret away is a linear relation between it and what a
coalition saw. Over more runs than unknowns, with a fresh random secret in each, the matrix of (1, secret, view) has
full rank exactly if there is none (but for a chance of about 2^-61).
"""

import secrets
from collections.abc import Awaitable, Callable, Iterator
from itertools import combinations, permutations
from types import ModuleType

import numpy as np
import pytest

from connectors.engine.arithmetic import multiply, random_bits
from connectors.engine.compare import zero_and_sign
from connectors.engine.cost import Shape
from connectors.engine.field import Array, mul, sub
from connectors.engine.programs import group_count, overlap
from connectors.engine.randomness import fresh
from connectors.engine.rows import InputRows
from connectors.engine.runtime import Engine
from connectors.engine.sharing import open_, reshare, split
from connectors.engine.shuffle import additive, backward, draw, forward, reveal_and_share, sequence
from gateway.rules.sharing import P, reconstruct
from tests.engine.harness import SHAPES
from tests.engine.test_programs import GROUPS, LISTS
from tests.engine.views import Views, rank

shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
small = pytest.mark.parametrize("shape", SHAPES[:2], ids=lambda shape: f"m{shape.m}")
Protocol = Callable[[Engine, Array], Awaitable[object]]
Secret = Callable[[list[object]], list[int]]


def coalitions(shape: Shape) -> Iterator[tuple[int, ...]]:
    return combinations(range(shape.m), shape.t)


def related(
    shape: Shape, width: int, protocol: Protocol, secret_of: Secret | None = None, *, with_inputs: bool = False
) -> int:
    """The most linear relations between 1, secrets and view that any coalition finds."""
    runs = 1
    worst = 0
    for attempt in range(2):  # the first shows how long a view is
        inputs = [fresh().elements(width) for _ in range(runs)]
        shares = [split(values, shape, fresh().elements) for values in inputs]
        views = Views(shape, runs, lambda rt, run, shares=shares: protocol(rt, shares[run][rt.pid]))
        length = max(len(views.of(c, 0)) for c in coalitions(shape)) + (shape.t + 1) * width + 1 + shape.m
        if attempt == 0:
            runs = length + 8
            continue
        for coalition in coalitions(shape):
            rows = []
            for run in range(runs):
                known = [int(v) for pid in coalition for v in shares[run][pid]]
                secret = [] if secret_of is None else secret_of([views.results[pid][run] for pid in range(shape.m)])
                if secret_of is None or with_inputs:
                    secret = [*secret, *(int(v) for v in inputs[run])]
                rows.append([1, *secret, *known, *views.of(coalition, run)])
            worst = max(worst, len(rows[0]) - rank(rows))
    return worst


@small
def test_resharing_shows_no_coalition_anything(shape: Shape) -> None:
    assert related(shape, 2, lambda rt, x: reshare(rt, x, "test")) == 0


@small
def test_a_product_shows_no_coalition_its_factors(shape: Shape) -> None:
    assert related(shape, 2, lambda rt, x: multiply(rt, x[:1], x[1:], "test")) == 0


@small
def test_passing_shares_through_all_groups_shows_no_coalition_anything(shape: Shape) -> None:
    async def through(rt: Engine, x: Array) -> Array:
        first, last = sequence(rt.shape)[0], sequence(rt.shape)[-1]
        by = draw(rt, x.size)
        moved = await forward(rt, additive(rt, x, first), by, "test")
        _, kept = await reveal_and_share(rt, moved[:0], moved[None], "test")
        return await backward(rt, additive(rt, kept[0], last), by, "test")

    assert related(shape, 4 // shape.t - 2 or 1, through) == 0


def bits_of(results: list[object]) -> list[int]:
    return reconstruct({pid: [int(v) for v in np.ravel(r)] for pid, r in enumerate(results)}, len(results) // 2)  # type: ignore[call-overload]


@small
def test_random_bits_are_known_to_no_coalition(shape: Shape) -> None:
    assert related(shape, 1, lambda rt, _: random_bits(rt, 2, "test"), bits_of) == 0


def test_the_measure_sees_a_leak() -> None:
    """Shares of degree t are opened: one relation gives the value away. (That they fit together says a digest.)"""
    assert related(SHAPES[0], 1, lambda rt, x: open_(rt, x, "test")) == 1


@small
def test_a_recipient_with_t_parties_learns_the_product_and_not_its_factors(shape: Shape) -> None:
    """All output shares are seen, and m - t - 1 relations say that they lie on one polynomial of degree t. (Those of
    the coalition follow from its view, but not linearly.) A relation more would tie the factors to them.
    """

    async def outputs(rt: Engine, x: Array) -> Array:
        product = await multiply(rt, x[:1], x[1:], "test")
        return await reshare(rt, product, "test")

    def shares_of(results: list[object]) -> list[int]:
        return [int(np.ravel(r)[0]) for r in results]  # type: ignore[call-overload]

    assert related(shape, 2, outputs, shares_of, with_inputs=True) == shape.m - shape.t - 1


@shapes
def test_every_coalition_misses_exactly_the_permutation_of_the_parties_outside_it(shape: Shape) -> None:
    views = Views(shape, 1, lambda rt, _: sequence_of(rt))
    keys = {
        (pid, group): streams._key
        for pid, party in enumerate(views.parties)
        for group, streams in party.engine.groups.items()
    }
    for coalition in coalitions(shape):
        outside = tuple(pid for pid in range(shape.m) if pid not in coalition)
        known = {key for (pid, _), key in keys.items() if pid in coalition}
        assert outside in sequence(shape)
        assert {keys[pid, outside] for pid in outside} & known == set()
        assert len({keys[pid, outside] for pid in outside}) == 1
        assert set(sequence(shape)) - {group for pid in coalition for group in sequence(shape) if pid in group} == {
            outside
        }


async def sequence_of(rt: Engine) -> None:
    return None


def chi_square(counts: list[int]) -> float:
    expected = sum(counts) / len(counts)
    return sum((count - expected) ** 2 / expected for count in counts)


def test_opened_positions_are_uniform_to_each_party_whatever_the_keys_are() -> None:
    """What a party sees opened, with the permutations that it knows taken off, for two orders of three keys."""
    shape, runs = SHAPES[0], 600
    groups = sequence(shape)
    for secret in ([0, 1, 2], [2, 0, 1]):
        x = split(np.array(secret, dtype=np.uint64), shape, fresh().elements)

        async def shown(rt: Engine, run: int, x: list[Array] = x) -> tuple[Array, dict[tuple[int, ...], Array]]:
            by = draw(rt, 3)
            rows = await forward(rt, additive(rt, x[rt.pid], groups[0])[None], by, "test")
            return (await reveal_and_share(rt, rows[0], rows[:0], "test"))[0], by

        views = Views(shape, runs, shown)
        for pid in range(shape.m):
            orders = dict.fromkeys(permutations(range(3)), 0)
            for order, by in views.results[pid]:  # type: ignore[misc]
                for group in reversed(groups):
                    if group not in by:
                        break
                    restored = np.empty_like(order)
                    restored[by[group]] = order
                    order = restored
                orders[tuple(int(v) for v in order)] += 1
            assert chi_square(list(orders.values())) < 60  # 5 degrees of freedom: 1e-11


def test_masked_openings_are_uniform_whatever_is_compared() -> None:
    n = 2048
    for value in (0, 1, P - 1, P >> 1):
        x = split(np.full(n, value, dtype=np.uint64), SHAPES[0], fresh().elements)
        views = Views(SHAPES[0], 1, lambda rt, _, x=x: zero_and_sign(rt, x[rt.pid], x[rt.pid][:0], "test"))
        # The first vectors of n are the opening's: party 0 gets the share at 2 and party 1 the one at 3.
        opening = [next((s, e) for _, s, e in views.parties[pid].seen if e.size == n) for pid in (0, 1)]
        assert [sender for sender, _ in opening] == [1, 2]
        masked = sub(mul(opening[0][1], 3), mul(opening[1][1], 2))
        assert chi_square([int(np.sum(masked >> np.uint64(57) == high)) for high in range(16)]) < 90  # 1e-12
        assert chi_square([int(np.sum(masked & np.uint64(15) == low)) for low in range(16)]) < 90


def program_inputs(program: ModuleType, parameters: dict[str, object], shape: Shape) -> list[list[Array]]:
    rows = InputRows([5, 7, 9], [1, 2, 3], [(0, 1), (1, 0), (0, 0)])
    return [split(program.encode(parameters, rows, 4, secrets.token_bytes), shape, fresh().elements) for _ in range(2)]


@small
@pytest.mark.parametrize(("program", "parameters"), [(overlap, LISTS), (group_count, GROUPS)])
def test_no_stream_serves_twice_in_a_session(program: ModuleType, parameters: dict[str, object], shape: Shape) -> None:
    """Every (key, label, program counter) is drawn once by each of those who hold the key, and each key has one pair
    and direction, or one group.
    """
    inputs = program_inputs(program, parameters, shape)
    views = Views(shape, 1, lambda rt, _: program.run(rt, parameters, [p[rt.pid] for p in inputs]))
    holders: dict[bytes, set[int]] = {}
    for pid, used in views.used.items():
        assert len(set(used)) == len(used) > 100
        for key, _, _ in used:
            holders.setdefault(key, set()).add(pid)
    assert all(len(pids) in (2, shape.t + 1) for pids in holders.values())
    labels = {label for used in views.used.values() for _, label, _ in used}
    assert labels == {"deal", "pass", "permutation", "bits"}
