"""People whom several providers recorded close together: against the clear-text twin, and the twin against pairs of
records that a plain join makes."""

import json
import secrets
from dataclasses import replace
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.engine import closeness, job
from connectors.engine.bits import how_many
from connectors.engine.closeness import close, close_cost
from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected
from connectors.engine.pipe import MAX_FRAME
from connectors.engine.programs import repeats
from connectors.engine.rows import MAX_ROWS, InputRows
from tests.engine.harness import SHAPES, revealed, run
from tests.engine.packed import numbers_of, sent, shared_planes
from tests.engine.relay import Federation
from tests.engine.test_noise import EPSILON
from tests.engine.test_noise import execute as execute_with_noise
from tests.engine.test_programs import BOUNDS, EMPTY, Rows, execute

DAY = {"name": "seen", "least": -3, "most": 60}
FORM = {"name": "form", "codes": ["a", "b", "c"]}
PARAMETERS: dict[str, Any] = {"columns": [FORM], "day": DAY, "within": [0, 7, 30], "minimum_cell": 2}
SOME = [
    InputRows([5, 7, 9, 11], [], [(0,), (0,), (2,), (0,)], [(30,), (31,), (-3,), (None,)]),
    InputRows([7, 9, 11, 13], [], [(1,), (2,), (0,), (1,)], [(38,), (60,), (0,), (18,)]),
    InputRows([9, 3], [], [(2,), (0,)], [(55,), (33,)]),
]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")


@st.composite
def providers(draw: st.DrawFn, most: int = 4) -> Rows:
    """One to `most` providers whose people come from a small pool."""
    pool = draw(st.lists(st.integers(0, 2**60 - 1), min_size=3, max_size=6, unique=True))
    days = st.none() | st.sampled_from([-3, 0, 4, 5, 34, 60]) | st.integers(-3, 60)
    out = []
    for _ in range(draw(st.integers(1, most))):
        keys = draw(st.lists(st.sampled_from(pool), max_size=6, unique=True))
        out.append(InputRows(keys, [], [(draw(st.integers(0, 2)),) for _ in keys], [(draw(days),) for _ in keys]))
    return out


OPTIONS = [
    {},
    {"within": [7]},
    {"within": [1, 2, 3, 5, 60, 36_525], "zero_is_small": True, "structural_zeros": [1]},
    {"dominance": 80, "rounding": 3},
]


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 25), (SHAPES[1], 5), (SHAPES[2], 3)])
def test_the_program_equals_its_twin(shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=providers(), minimum=st.integers(0, 3), more=st.sampled_from(OPTIONS), slack=st.integers(0, 2))
    def holds(rows: Rows, minimum: int, more: dict[str, Any], slack: int) -> None:
        parameters = PARAMETERS | {"minimum_cell": minimum} | more
        parties = execute(repeats, parameters, rows, [max(1, len(r.keys)) + slack for r in rows], shape)
        result = revealed(parties, shape.t)
        assert result == repeats.clear(parameters, rows)
        assert len(result) == repeats.outputs(parameters)

    holds()


@settings(max_examples=8, deadline=None)
@given(rows=providers(most=7), minimum=st.integers(0, 2))
def test_many_providers_and_no_columns(rows: Rows, minimum: int) -> None:
    bare = [replace(r, codes=[()] * len(r.keys)) for r in rows]
    parameters = PARAMETERS | {"columns": [], "minimum_cell": minimum}
    parties = execute(repeats, parameters, bare, [max(1, len(r.keys)) for r in bare], SHAPES[0])
    assert revealed(parties, 1) == repeats.clear(parameters, bare)


@given(rows=providers())
@settings(deadline=None, max_examples=40)
def test_without_limits_the_twin_is_what_a_join_of_all_records_says(rows: Rows) -> None:
    records = [
        (p, key, codes[0], values[0])
        for p, r in enumerate(rows)
        for key, codes, values in zip(r.keys, r.codes, r.values, strict=True)
    ]
    with duckdb.connect() as tables:
        tables.execute("create table records (provider int, person hugeint, form int, day int)")
        if records:
            tables.executemany("insert into records values (?, ?, ?, ?)", records)
        found = tables.execute(
            """
            with people as (
                select person, count(*) as times, arg_min(form, provider) as form from records group by all
            ),
            gaps as (
                select one.person, min(abs(one.day - other.day)) as gap
                from records one join records other on one.person = other.person and one.provider < other.provider
                group by all
            )
            select form, case when times = 1 then 0 when gap is null or gap > 30 then 1 when gap > 7 then 2
                         when gap > 0 then 3 else 4 end as cell, count(*)
            from people left join gaps using (person) group by all
            """
        ).fetchall()
    expected = [0] * 15
    for form, gap, count in found:
        expected[form * 5 + gap] = count
    assert repeats.clear(PARAMETERS | {"minimum_cell": 0}, rows) == [*expected, *[1] * 15]


def test_the_twin_of_repeats_puts_everybody_in_the_cell_of_their_closest_days() -> None:
    exact = repeats.clear(PARAMETERS | {"minimum_cell": 0}, SOME)[:15]
    # 5 and 3 are at one provider; 7 on days 31 and 38; 11 without a day at the first; 9 on -3, 60 and 55; 13 is alone
    assert exact[:5] == [2, 1, 0, 1, 0]
    assert exact[5:10] == [1, 0, 0, 0, 0]
    assert exact[10:] == [0, 0, 0, 1, 0]


@shapes
@pytest.mark.parametrize(("bits", "count"), [(1, 2), (6, 1), (6, 5), (17, 3)])
def test_numbers_are_close_that_differ_by_a_span_at_most(shape: Shape, bits: int, count: int) -> None:
    rng, n, top = np.random.default_rng(bits), 200, (1 << bits) - 1
    numbers = rng.choice([0, 1, top, top // 2, top - 1, *rng.integers(0, top + 1, 5)], n)
    told, same = rng.integers(0, 4, n) > 0, rng.integers(0, 3, n) > 0
    # No person has more rows than there are providers.
    for start in range(n - count + 1):
        if same[start : start + count].all():
            same[start + count - 1] = False
    same[-1] = False
    spans = (top, top // 2, 1, 0)
    x = shared_planes(shape, numbers.tolist(), bits)
    y, z = (shared_planes(shape, flags.astype(int).tolist(), 1) for flags in (told, same))
    parties = run(shape, lambda rt: close(rt, x[rt.pid], y[rt.pid], z[rt.pid], spans, count))
    expected = np.zeros(n, dtype=int)
    for i in range(n):
        for j in range(i + 1, min(i + count, n)):
            if same[i:j].all() and told[i] and told[j]:
                gap = abs(int(numbers[i]) - int(numbers[j]))
                expected[i] |= sum((gap <= span) << k for k, span in enumerate(spans))
    assert numbers_of(parties, n) == expected.tolist()
    spent, cost = sent(parties), close_cost(shape, n, bits, len(spans), count)
    assert (spent.rounds, spent.elements) == (cost.rounds, cost.elements)


def test_closeness_in_many_blocks_is_that_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closeness, "WORDS", 64)
    rng, n = np.random.default_rng(1), 1000
    numbers, same = rng.integers(0, 64, n), [i % 3 < 2 for i in range(n)]
    x, y, z = (shared_planes(SHAPES[0], values, b) for values, b in ((numbers.tolist(), 6), ([1] * n, 1), (same, 1)))
    parties = run(SHAPES[0], lambda rt: close(rt, x[rt.pid], y[rt.pid], z[rt.pid], (9,), 3))
    expected = [
        int(any(abs(int(numbers[i]) - int(numbers[j])) <= 9 for j in range(i + 1, min(i // 3 * 3 + 3, n))))
        for i in range(n)
    ]
    assert numbers_of(parties, n) == expected
    assert sent(parties).elements == close_cost(SHAPES[0], n, 6, 1, 3).elements


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8])
def test_how_many_planes_are_set_is_said_in_binary(count: int) -> None:
    for reached in range(count + 1):
        planes = np.array([[[np.uint64(2**64 - 1) if i < reached else np.uint64(0)] for i in range(count)]])
        bits = how_many(planes.reshape(1, count, 1).astype(np.uint64))
        assert bits.shape[1] == count.bit_length()
        assert sum(int(bits[0, b, 0] & np.uint64(1)) << b for b in range(bits.shape[1])) == reached


@pytest.mark.parametrize("shape", SHAPES[:2])
def test_with_noise_it_equals_its_twin_at_its_cost(shape: Shape) -> None:
    parameters = PARAMETERS | EPSILON
    parties, uniform = execute_with_noise(repeats, parameters, SOME, BOUNDS, shape)
    assert revealed(parties, shape.t) == repeats.clear(parameters, SOME, uniform)
    cost = repeats.cost(parameters, BOUNDS, shape)
    received = [elements.size for party in parties for _, _, elements in party.seen]
    assert (parties[0].engine.rounds, sum(received)) == (1 + cost.rounds, cost.elements)


@given(rows=providers(most=3), data=st.data())
def test_one_person_moves_between_two_cells_at_most(rows: Rows, data: st.DataObject) -> None:
    """The sensitivity on which the table of coins rests."""
    at = data.draw(st.integers(0, len(rows) - 1))
    keys, codes, values = list(rows[at].keys), list(rows[at].codes), list(rows[at].values)
    person = data.draw(st.sampled_from([*keys, 1]))
    if person in keys:
        place = keys.index(person)
        for column in (keys, codes, values):
            column.pop(place)  # type: ignore[attr-defined]
    if data.draw(st.booleans()):
        keys.append(person)
        codes.append((2,))
        values.append((data.draw(st.none() | st.integers(-3, 60)),))
    changed = [*rows[:at], InputRows(keys, [], codes, values), *rows[at + 1 :]]
    before, after = (repeats.clear(PARAMETERS | {"minimum_cell": 0}, some)[:15] for some in (rows, changed))
    assert sum(abs(x - y) for x, y in zip(before, after, strict=True)) <= 2


@pytest.mark.parametrize("shape", SHAPES[:2])
@pytest.mark.parametrize(("minimum", "more"), [(0, {}), (2, {}), (2, {"dominance": 60, "rounding": 5})])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_cost_model_is_exact(count: int, minimum: int, more: dict[str, Any], shape: Shape) -> None:
    parameters = PARAMETERS | {"minimum_cell": minimum} | more
    parties = execute(repeats, parameters, SOME[:count], BOUNDS[:count], shape)
    cost = repeats.cost(parameters, BOUNDS[:count], shape)
    received = [elements.size for party in parties for _, _, elements in party.seen]
    assert parties[0].engine.rounds == 1 + cost.rounds
    assert sum(received) == cost.elements
    assert max(received) <= cost.largest


@pytest.mark.parametrize(
    ("parameters", "rows", "field"),
    [
        (PARAMETERS, replace(SOME[2], values=[(61,), (0,)]), "seen"),
        (PARAMETERS, replace(SOME[2], values=[(1,), (-4,)]), "seen"),
        (PARAMETERS, replace(SOME[2], values=[(1.0,), (4,)]), "seen"),
        (PARAMETERS, replace(SOME[2], values=[(1,)]), "values"),
        (PARAMETERS, replace(SOME[2], values=[(1,), (1, 2)]), "values"),
        (PARAMETERS, replace(SOME[2], codes=[(1,), (3,)]), "form"),
        (PARAMETERS, replace(SOME[2], keys=[1, 1]), "keys"),
        (PARAMETERS | {"within": []}, EMPTY, "within"),
        (PARAMETERS | {"within": 7}, EMPTY, "within"),
        (PARAMETERS | {"within": [7, 7]}, EMPTY, "within"),
        (PARAMETERS | {"within": [30, 7]}, EMPTY, "within"),
        (PARAMETERS | {"within": [-1]}, EMPTY, "within"),
        (PARAMETERS | {"within": [True]}, EMPTY, "within"),
        (PARAMETERS | {"within": [36_526]}, EMPTY, "within"),
        (PARAMETERS | {"within": list(range(7))}, EMPTY, "within"),
        (PARAMETERS | {"day": None}, EMPTY, "day"),
        (PARAMETERS | {"day": {**DAY, "name": 5}}, EMPTY, "day"),
        (PARAMETERS | {"day": {**DAY, "most": -3}}, EMPTY, "day.most"),
        (PARAMETERS | {"day": {**DAY, "least": 0.5}}, EMPTY, "day.least"),
        (PARAMETERS | {"day": {**DAY, "squares": True}}, EMPTY, "squares"),
        (PARAMETERS | {"columns": [{"name": "x", "codes": [str(i) for i in range(820)]}]}, EMPTY, "columns"),
        (PARAMETERS | {"structural_zeros": [15]}, EMPTY, "structural_zeros"),
        (PARAMETERS | {"lists": ["a"]}, EMPTY, "lists"),
    ],
)
def test_bad_rows_and_parameters_are_refused_by_name(parameters: dict[str, Any], rows: InputRows, field: str) -> None:
    with pytest.raises(InputRejected) as refused:
        repeats.encode(parameters, rows, 4, secrets.token_bytes)
    assert refused.value.field == field


@pytest.mark.parametrize("m", [3, 7])
@pytest.mark.parametrize("count", [1, 3, 32])
def test_a_job_of_as_many_rows_as_can_be_fits_into_frames(count: int, m: int) -> None:
    parameters = {**repeats.ABOUT.sample, "within": [1, 7, 30, 90, 180, 365], "dominance": 80}
    federation = Federation(repeats, parameters, [EMPTY] * count, [MAX_ROWS // count] * count, m)
    taken = job.read(json.dumps(federation.job(0)).encode())
    assert 8 * taken.cost.largest < MAX_FRAME // 4
    assert taken.cost.rounds < 350
