"""What any t parties see together says nothing of what is computed.

The protocols that send are linear, so what could give a secret away is a linear relation between it and what a
coalition saw. Over more runs than unknowns, with a fresh random secret in each, the matrix of (1, secret, view) has
full rank exactly if there is none (but for a chance of about 2^-61).
"""

import secrets
from collections.abc import Awaitable, Callable, Iterator
from itertools import combinations, pairwise, permutations
from types import ModuleType

import numpy as np
import pytest

from connectors.engine.arithmetic import multiply
from connectors.engine.bits import open_bits, planes
from connectors.engine.compare import less
from connectors.engine.cost import Shape
from connectors.engine.field import Array
from connectors.engine.native import lazily
from connectors.engine.randomness import fresh
from connectors.engine.rows import InputRows
from connectors.engine.runtime import Engine
from connectors.engine.sharing import open_, reshare, split
from connectors.engine.shuffle import additive, deal, draw, pass_on, permuted, sequence
from tests.engine.harness import SHAPES
from tests.engine.packed import shared_words
from tests.engine.test_programs import EVERY
from tests.engine.views import Views, rank

shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
kernels = lazily("ordering")
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


def program_inputs(program: ModuleType, parameters: dict[str, object], shape: Shape) -> list[list[Array]]:
    rows = InputRows([5, 7, 9], [1, 2, 3], [(0, 1), (1, 0), (0, 0)], [(1,), (None,), (90,)])
    return [shared_words(shape, program.encode(parameters, rows, 4, secrets.token_bytes)) for _ in range(2)]


@small
@pytest.mark.parametrize(("program", "parameters"), EVERY)
def test_no_stream_serves_twice_in_a_session(program: ModuleType, parameters: dict[str, object], shape: Shape) -> None:
    """Every (key, label, program counter) is drawn once by each of those who hold the key, and each key has one pair
    and direction, or one group.
    """
    inputs = program_inputs(program, parameters, shape)
    views = Views(shape, 1, lambda rt, _: program.run(rt, parameters, [p[rt.pid] for p in inputs]))
    holders: dict[bytes, set[int]] = {}
    for pid, used in views.used.items():
        assert len(set(used)) == len(used) > 50
        for key, _, _ in used:
            holders.setdefault(key, set()).add(pid)
    assert all(len(pids) in (2, shape.t + 1) for pids in holders.values())
    labels = {label for used in views.used.values() for _, label, _ in used}
    assert labels == {"deal", "pass", "permutation", "and", *(f"input of {pid}" for pid in range(shape.m))}


def test_the_order_that_is_opened_is_uniform_to_each_party_whatever_the_keys_are() -> None:
    """Three rows, shuffled and compared as the sort does; what a party sees opened, with the permutations that it knows
    taken off, for two orders of their keys.
    """
    shape, runs = SHAPES[0], 600
    groups = sequence(shape)
    for secret in ([0, 1, 2], [2, 0, 1]):
        x = shared_words(shape, np.array([secret], dtype=np.uint64))

        async def shown(rt: Engine, run: int, x: list[Array] = x) -> tuple[Array, dict[tuple[int, ...], Array]]:
            by = draw(rt, 3)
            rows = additive(rt, x[rt.pid], groups[0])
            for here, there in pairwise(groups):
                rows = await pass_on(rt, permuted(rows, by, here), here, there, "test")
            rows = await deal(rt, permuted(rows, by, groups[-1]), groups[-1], "test")
            left, right = (planes(rows[..., list(places)], 60) for places in ((1, 2, 2), (0, 0, 1)))
            outcome = int((await open_bits(rt, await less(rt, left, right, "test"), "test"))[0])
            ordered = np.zeros(3, dtype=np.int64)
            ends = np.array([0, 3], dtype=np.int64)  # of rows, and of pairs
            assert kernels.rank(np.arange(3), ends, ends, np.array([outcome], dtype=np.uint64), ordered)
            return np.argsort(ordered), by

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
