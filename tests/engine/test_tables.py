"""Parts of the programs on tables by themselves, up to the largest bounds, against what they are in the clear."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine import job, tables
from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import Abort, SessionAborted
from connectors.engine.field import Array
from connectors.engine.limits import Limits, limited, limited_clear, limited_cost, rounded
from connectors.engine.linking import ahead, spread
from connectors.engine.pipe import MAX_FRAME
from connectors.engine.programs import crosstab, group_count, overlap
from connectors.engine.rows import MAX_ROWS
from connectors.engine.tables import count_people, count_people_cost
from gateway.rules import planning
from tests.engine.harness import SHAPES, Party, revealed, run, shared
from tests.engine.packed import numbers_of, sent, shared_planes
from tests.engine.relay import Federation
from tests.engine.test_programs import EMPTY, GROUPS, LISTS

shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
small = pytest.mark.parametrize("shape", SHAPES[:2], ids=lambda shape: f"m{shape.m}")
few = settings(max_examples=6, deadline=None)


def check_cost(parties: list[Party], expected: Cost) -> None:
    spent = sent(parties)
    assert (spent.rounds, spent.elements) == (expected.rounds, expected.elements)


@shapes
@few
@given(
    rows=st.sampled_from([1, 2, 63, 64, MAX_ROWS - 1, MAX_ROWS]),
    minimum=st.sampled_from([0, 2, 11, 1 << 20]),
    zero_is_small=st.booleans(),
    dominance=st.sampled_from([1, 50, 99, 100]),
    rounding=st.sampled_from([1, 2, 5, 7, 1000]),
    data=st.data(),
)
def test_limits_are_those_of_the_twin_up_to_the_largest_counts(
    shape: Shape, rows: int, minimum: int, zero_is_small: bool, dominance: int, rounding: int, data: st.DataObject
) -> None:
    limits = Limits(minimum, zero_is_small, frozenset({1}), dominance, rounding)
    near = [0, 1, minimum - 1, minimum, minimum + 1, rows - 1, rows]
    amounts = st.sampled_from([amount for amount in near if 0 <= amount <= rows])
    counts = data.draw(st.lists(amounts, min_size=1, max_size=70))
    owners = 0 if limits.exact else 3
    parts = [
        [
            data.draw(st.sampled_from([0, count * dominance // 100, -(-count * dominance // 100), count]))
            for count in counts
        ]
        for _ in range(owners)
    ]
    x = shared(shape, np.array([counts, *parts], dtype=np.uint64))
    parties = run(shape, lambda rt: limited(rt, x[rt.pid], rows, limits))
    assert revealed(parties, shape.t) == limited_clear(counts, parts, limits)
    check_cost(parties, limited_cost(shape, rows, len(counts), owners, limits))


@small
@pytest.mark.parametrize("base", [2, 3, 5, 10, 64, 999, 1000])
@pytest.mark.parametrize("rows", [1, 70, 3000, MAX_ROWS])
def test_counts_are_rounded_to_the_nearest_multiple(shape: Shape, base: int, rows: int) -> None:
    near = {k * base // 2 + by for k in (0, 1, 2, 3, 2 * rows // base) for by in (-1, 0, 1)}
    counts = sorted(count for count in {*near, rows - 1, rows} if 0 <= count <= rows)
    x = shared(shape, counts)
    parties = run(shape, lambda rt: rounded(rt, x[rt.pid], rows, base))
    assert revealed(parties, shape.t) == [(2 * count + base) // (2 * base) * base for count in counts]


@shapes
@pytest.mark.parametrize(("bits", "weights"), [(0, 2), (1, 1), (3, 1), (3, 4), (7, 2)])
def test_rows_are_counted_where_their_number_is_asked_for(shape: Shape, bits: int, weights: int) -> None:
    rng, n = np.random.default_rng(bits), 150
    numbers, weighing = rng.integers(0, 1 << bits, n), rng.integers(0, 1 << weights, n)
    places = sorted({0, *rng.integers(0, 1 << bits, 5).tolist()})
    index = shared_planes(shape, numbers.tolist(), bits)
    weight = shared_planes(shape, weighing.tolist(), weights)
    parties = run(shape, lambda rt: count_people(rt, index[rt.pid], places, weight[rt.pid], "test"))
    expected = [np.sum((numbers == place) & (weighing >> w & 1 == 1)) for w in range(weights) for place in places]
    assert revealed(parties, shape.t) == expected
    check_cost(parties, count_people_cost(shape, n, bits, places, weights))


def test_counting_in_many_blocks_gives_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ELEMENTS", 64 * 12)
    rng, n = np.random.default_rng(1), 1000
    numbers = rng.integers(0, 8, n)
    index, weight = shared_planes(SHAPES[0], numbers.tolist(), 3), shared_planes(SHAPES[0], [1] * n, 1)
    parties = run(SHAPES[0], lambda rt: count_people(rt, index[rt.pid], range(8), weight[rt.pid], "test"))
    assert revealed(parties, 1) == np.bincount(numbers, minlength=8).tolist()
    check_cost(parties, count_people_cost(SHAPES[0], n, 3, range(8), 1))


@shapes
@few
@given(data=st.data(), providers=st.integers(1, 6))
def test_flags_reach_the_first_row_of_a_key_from_all_its_rows(
    shape: Shape, data: st.DataObject, providers: int
) -> None:
    runs = data.draw(st.lists(st.integers(1, providers), min_size=1, max_size=60))
    n = sum(runs)
    flags = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    same = [int(i + 1 < size) for size in runs for i in range(size)]
    x, y = shared_planes(shape, flags, 2), shared_planes(shape, same, 1)
    parties = run(shape, lambda rt: spread(rt, x[rt.pid], y[rt.pid], providers, "test"))
    expected, start = [], 0
    for size in runs:
        mine = flags[start : start + size]
        expected += [int(np.bitwise_or.reduce(mine[i:])) for i in range(size)]
        start += size
    assert numbers_of(parties, n) == expected


@given(n=st.integers(1, 200), by=st.integers(0, 200), seed=st.integers(0, 99))
def test_planes_are_moved_by_rows_across_words(n: int, by: int, seed: int) -> None:
    words = np.random.default_rng(seed).integers(0, 2**64, (1, 1, -(-n // 64)), dtype=np.uint64)

    def number(planes: Array) -> int:
        return sum(int(word) << 64 * w for w, word in enumerate(planes[0, 0]))

    assert number(ahead(words, by)) == number(words) >> by


def federation(program: object, parameters: dict[str, object], bounds: list[int], m: int = 3) -> Federation:
    return Federation(program, parameters, [EMPTY] * len(bounds), bounds, m)  # type: ignore[arg-type]


@pytest.mark.parametrize("m", [3, 7])
@pytest.mark.parametrize("providers", [1, 3, 255])
@pytest.mark.parametrize(
    ("program", "parameters"),
    [
        (overlap, {**LISTS, "lists": list("abcdefgh")}),
        (group_count, {"columns": [{"name": "code", "codes": [str(i) for i in range(4096)]}], "minimum_cell": 11}),
        (group_count, GROUPS),
        (
            crosstab,
            {
                "columns": [{"name": "code", "codes": [str(i) for i in range(512)]}],
                "stages": [[i] for i in range(8)],
                "minimum_cell": 11,
            },
        ),
    ],
)
def test_a_job_of_as_many_rows_as_can_be_fits_into_frames(
    program: object, parameters: dict[str, object], providers: int, m: int
) -> None:
    bounds = [MAX_ROWS // providers] * providers
    taken = job.read(json.dumps(federation(program, parameters, bounds, m).job(0)).encode())
    assert 8 * taken.cost.largest < MAX_FRAME // 4
    assert taken.cost.rounds < 320


def test_a_row_more_than_can_be_is_refused_by_parties_as_by_plans() -> None:
    with pytest.raises(SessionAborted) as refused:
        job.read(json.dumps(federation(overlap, dict(LISTS), [MAX_ROWS, 1]).job(0)).encode())
    assert refused.value.reason is Abort.BAD_JOB
    assert planning.MAX_ROWS == MAX_ROWS


def test_a_program_that_does_not_declare_what_it_opens_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(federation(overlap, dict(LISTS), [64], 3).job(0)).encode()
    job.read(body)
    monkeypatch.setattr(overlap, "OPENS", None)
    with pytest.raises(SessionAborted, match="does not declare") as refused:
        job.read(body)
    assert refused.value.reason is Abort.BAD_JOB
