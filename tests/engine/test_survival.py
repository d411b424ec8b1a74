"""Survival curves of linked people: the program against its twin at m = 3, 5 and 7, and the twin against statsmodels on
people who are linked in another way.
"""

import secrets
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected
from connectors.engine.life_tables import TEST_UNIT
from connectors.engine.programs import survival
from connectors.engine.rows import HEAD_BITS, KEY_BITS, InputRows
from connectors.engine.runtime import Engine
from tests.engine.harness import SHAPES, revealed, run
from tests.engine.packed import sent, shared_words
from tests.engine.test_programs import EMPTY, execute

INTERVALS = 5
TIMES = {"name": "a..b", "codes": [str(k) for k in range(INTERVALS)]}
TWO: dict[str, Any] = {
    "columns": [{"name": "sex", "codes": ["f", "m"]}, TIMES],
    "log_rank": True,
    "minimum_cell": 0,
}
THREE: dict[str, Any] = {
    "columns": [{"name": "form", "codes": ["a", "b", "c"]}, TIMES],
    "steps": 1000,
    "minimum_cell": 0,
}
ALONE: dict[str, Any] = {"columns": [TIMES], "steps": 7, "minimum_cell": 0}
GROUPS = {"two": 2, "three": 3, "alone": 1}
every_question = pytest.mark.parametrize("base", [TWO, THREE, ALONE], ids=GROUPS)
every_shape = pytest.mark.parametrize(
    ("shape", "examples"), [(SHAPES[0], 5), (SHAPES[1], 1), (SHAPES[2], 1)], ids=["m3", "m5", "m7"]
)
Rows = list[InputRows]


def cells(base: dict[str, Any]) -> int:
    return int(np.prod([len(column["codes"]) for column in base["columns"]]))


def place(group: int, interval: int, event: bool) -> int:
    return (group * INTERVALS + interval) * 2 + event


@st.composite
def placed(draw: st.DrawFn, base: dict[str, Any], people: int = 30, most: int = 3) -> Rows:
    """Providers who have people of a small pool, of whom some have no place."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    pool = random.choice(2**60, people, replace=False)
    out = []
    for _ in range(draw(st.integers(1, most))):
        keys = random.permutation(pool)[: draw(st.integers(0, people))]
        out.append(InputRows(keys.tolist(), [], [(int(c),) for c in random.integers(-1, 2 * cells(base), len(keys))]))
    return out


def bounds_of(rows: Rows, slack: int = 0) -> list[int]:
    return [max(1, len(own.keys)) + slack for own in rows]


@every_question
@every_shape
def test_the_program_equals_its_twin(base: dict[str, Any], shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=placed(base), minimum=st.integers(0, 6), slack=st.integers(0, 9))
    def holds(rows: Rows, minimum: int, slack: int) -> None:
        parameters, bounds = {**base, "minimum_cell": minimum}, bounds_of(rows, slack)
        result = revealed(execute(survival, parameters, rows, bounds, shape), shape.t)
        assert result == survival.clear(parameters, rows, bounds=bounds)
        assert len(result) == survival.outputs(parameters)

    holds()


def people_of(rows: Rows) -> dict[int, int]:
    """The place of each person: that of the first provider who has one for it."""
    found: dict[int, int] = {}
    for own in rows:
        for key, (where,) in zip(own.keys, own.codes, strict=True):
            if where >= 0:
                found.setdefault(key, where)
    return found


def arrays(rows: Rows) -> tuple[Any, Any, Any]:
    """Group, time and whether the event came, of each person; who is censored in an interval is at risk in all of it,
    and so it is for statsmodels, for which an event comes before a censoring at the same time."""
    places = np.array(sorted(people_of(rows).values()), dtype=int)
    return places // 2 // INTERVALS, places // 2 % INTERVALS, places % 2


@every_question
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_curves_are_those_of_statsmodels_to_half_a_step(base: dict[str, Any], data: st.DataObject) -> None:
    rows = data.draw(placed(base, people=300))
    steps, found = base.get("steps", 100), survival.clear(base, rows)
    group, time, event = arrays(rows)
    for g in range(cells(base) // INTERVALS):
        here = group == g
        if not here.any():
            assert found[g * INTERVALS : (g + 1) * INTERVALS] == [0] * INTERVALS
            continue
        oracle = SurvfuncRight(time[here], event[here])
        known = dict(zip(oracle.surv_times.tolist(), oracle.surv_prob.tolist(), strict=True))
        left = 1.0
        for k in range(INTERVALS):
            left, at = known.get(k, left), g * INTERVALS + k
            told = bool((time[here] >= k).any())
            assert found[cells(base) + at] == told
            if told:
                assert abs(found[at] - steps * left) <= 0.5 + 2**-6


@settings(max_examples=100, deadline=None)
@given(rows=placed(TWO, people=300))
def test_the_test_is_that_of_statsmodels(rows: Rows) -> None:
    group, time, event = arrays(rows)
    *_, value, told = survival.clear(TWO, rows)
    both = len(set(group.tolist())) == 2
    assert told == both
    if not both or not event.any():
        return
    try:
        expected, _ = survdiff(time, event, group)
    except np.linalg.LinAlgError:  # no event where both groups are at risk
        expected = 0.0
    if np.isfinite(expected):
        assert value / TEST_UNIT == pytest.approx(expected, rel=1 / 64, abs=1 / 32)


def rows_at(*places: int, first: int = 0) -> InputRows:
    return InputRows(list(range(first, first + len(places))), [], [(where,) for where in places])


def test_a_curve_in_words() -> None:
    """Of ten, one has it in the first interval and one is lost in it; four of the eight left have it in the third."""
    rows = rows_at(place(0, 0, True), place(0, 0, False), *[place(0, 2, True)] * 4, *[place(0, 3, False)] * 4)
    found = survival.clear({**ALONE, "steps": 100}, [rows])
    assert found[:INTERVALS] == [90, 90, 45, 45, 0]
    assert found[INTERVALS:] == [1, 1, 1, 1, 0]


def test_nothing_is_told_of_few_at_risk_or_of_few_without_one_provider() -> None:
    parameters = {**ALONE, "minimum_cell": 3}
    eight = rows_at(*[place(0, 0, True)] * 4, *[place(0, 1, False)] * 2, *[place(0, 2, False)] * 2)
    other = rows_at(*[place(0, 0, False)] * 2, first=7)  # one person of these is among the eight
    for rows, told in (([eight], [1, 1, 0, 0, 0]), ([eight, other], [0, 1, 0, 0, 0])):
        bounds = bounds_of(rows)
        found = revealed(execute(survival, parameters, rows, bounds, SHAPES[0]), 1)
        assert found == survival.clear(parameters, rows, bounds=bounds)
        assert found[INTERVALS:] == told
        assert all(value == 0 for value, flag in zip(found, told, strict=False) if not flag)


def test_the_test_is_told_if_both_groups_are_large_enough_at_the_start() -> None:
    rows = [rows_at(*[place(0, 0, True)] * 4, *[place(1, 3, True)] * 4)]
    for minimum, told in ((4, 1), (5, 0)):
        *_, value, flag = survival.clear({**TWO, "minimum_cell": minimum}, rows)
        assert (flag, value > 0) == (told, bool(told))


def test_whoever_has_no_place_leaves_no_row() -> None:
    rows = rows_at(place(0, 1, True), -1, place(0, 2, False), -1, first=1)
    words = survival.encode(ALONE, rows, 6, secrets.token_bytes)[0]
    real = words[words >> np.uint64(KEY_BITS) & np.uint64(1) == 1]
    keys, places = real & np.uint64((1 << KEY_BITS) - 1), real >> np.uint64(HEAD_BITS)
    assert dict(zip(keys.tolist(), places.tolist(), strict=True)) == {1: place(0, 1, True), 3: place(0, 2, False)}


def test_a_row_that_is_not_real_counts_nowhere() -> None:
    rows = [rows_at(*[place(0, 1, True)] * 3, first=1), rows_at(*[place(0, 2, False)] * 2, first=10)]
    shares = []
    for own in rows:
        words = survival.encode(ALONE, own, 6, secrets.token_bytes)
        filler = words[0] >> np.uint64(KEY_BITS) & np.uint64(1) == 0
        words[0, filler] |= np.uint64(place(0, 4, True) << HEAD_BITS & 2**64 - 1)
        words[1:, filler] |= np.uint64(place(0, 4, True) >> 64 - HEAD_BITS)
        shares.append(shared_words(SHAPES[0], words))
    parties = run(SHAPES[0], lambda rt: survival.run(rt, ALONE, [share[rt.pid] for share in shares]))
    assert revealed(parties, 1) == survival.clear(ALONE, rows, bounds=[6, 6])


@every_question
@every_shape
def test_the_cost_is_what_a_session_sends(base: dict[str, Any], shape: Shape, examples: int) -> None:
    for minimum, bounds in ((0, [40, 3]), (3, [20, 70, 1][: 1 + examples])):
        parameters = {**base, "minimum_cell": minimum}
        rows = [EMPTY] * len(bounds)
        cost = survival.cost(parameters, bounds, shape)
        found = sent(execute(survival, parameters, rows, bounds, shape))
        assert (found.rounds, found.elements) == (cost.rounds, cost.elements)
        assert found.largest <= cost.largest


def test_nothing_is_opened_but_what_linking_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: set[str] = set()
    allowed = Engine.opening

    def opening(rt: Engine, step: str) -> None:
        steps.add(step)
        allowed(rt, step)

    monkeypatch.setattr(Engine, "opening", opening)
    execute(survival, {**TWO, "minimum_cell": 2}, [rows_at(1, 2, 3), rows_at(4, 5)], [5, 2], SHAPES[0])
    assert steps == set(survival.OPENS)


def test_what_parties_receive_has_one_length_and_holds_no_count() -> None:
    """Counts, flags and parts are small numbers; shares are not."""
    crowded = [rows_at(*[place(1, 2, True)] * 30, first=p) for p in (0, 10)]
    parameters = {**TWO, "minimum_cell": 3}
    full, empty = (execute(survival, parameters, rows, [30, 30], SHAPES[0]) for rows in (crowded, [EMPTY, EMPTY]))
    assert [party.lengths for party in full] == [party.lengths for party in empty]
    assert all(int(np.min(elements)) > 4096 for party in full for _, _, elements in party.seen)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"rounding": 5}, "rounding"),
        ({"dominance": 80}, "dominance"),
        ({"noise": ["0" * 16]}, "noise"),
        ({"steps": 0}, "steps"),
        ({"steps": 1001}, "steps"),
        ({"log_rank": 1}, "log_rank"),
        ({"columns": THREE["columns"]}, "log_rank"),
        ({"columns": [{"name": "i", "codes": [str(k) for k in range(65)]}]}, "columns"),
        ({"columns": [{"name": "g", "codes": list("abcde")}, TIMES]}, "columns"),
        ({"columns": [*TWO["columns"], {"name": "x", "codes": ["a"]}]}, "columns"),
        ({"minimum_cell": -1}, "minimum_cell"),
    ],
)
def test_other_parameters_are_refused_by_name(more: dict[str, Any], field: str) -> None:
    with pytest.raises(InputRejected) as refused:
        survival.outputs({**TWO, **more})
    assert refused.value.field == field


@pytest.mark.parametrize("codes", [[(20,)], [(-2,)], [(1, 1)], []])
def test_other_rows_are_refused(codes: list[Any]) -> None:
    with pytest.raises(InputRejected) as refused:
        survival.encode(TWO, InputRows([5], [], codes), 3, secrets.token_bytes)
    assert refused.value.field == "codes"
