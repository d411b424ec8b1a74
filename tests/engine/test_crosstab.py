"""Cross-tabs of what different providers know: against the twin at m = 3, 5 and 7, and twin and program against joins
in SQL that know of neither.
"""

import secrets
from collections.abc import Sequence
from itertools import product
from types import ModuleType

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected
from connectors.engine.linking import first_known, first_known_cost
from connectors.engine.programs import crosstab
from connectors.engine.rows import HEAD_BITS, KEY_BITS, InputRows
from gateway.rules import noise
from tests.engine.harness import SHAPES, Party, revealed, run
from tests.engine.packed import numbers_of, sent, shared_planes, shared_words
from tests.engine.test_noise import execute as execute_with_noise
from tests.engine.test_programs import EMPTY, execute, options

COLUMNS = [{"name": "form", "codes": ["a", "b"]}, {"name": "region", "codes": ["x", "y", "z"]}]
TWO: dict[str, object] = {"columns": COLUMNS, "minimum_cell": 0}
ONE: dict[str, object] = {"columns": COLUMNS[1:], "minimum_cell": 0}
STAGED: dict[str, object] = {"columns": COLUMNS[1:], "stages": [[0], [3, 1], [4]], "minimum_cell": 0}
STAGES: dict[str, object] = {"columns": [], "stages": [[2], [0], [1], [4], [3, 5]], "minimum_cell": 0}
LISTS = 6
ALL = [TWO, ONE, STAGED, STAGES]
NAMES = ["two columns", "one column", "column and stages", "stages alone"]
Rows = list[InputRows]

every_question = pytest.mark.parametrize("base", ALL, ids=NAMES)
every_shape = pytest.mark.parametrize(
    ("shape", "examples"), [(SHAPES[0], 10), (SHAPES[1], 2), (SHAPES[2], 1)], ids=["m3", "m5", "m7"]
)


@st.composite
def knowing(draw: st.DrawFn, base: dict, people: int = 6, most: int = 4) -> Rows:
    """One to `most` providers who have people of a small pool, of whom each knows some things."""
    pool = draw(st.lists(st.integers(0, 2**60 - 1), min_size=people, max_size=people, unique=True))
    sizes = [len(column["codes"]) for column in base["columns"]]
    lists = st.integers(0, 2**LISTS - 1)
    codes = st.tuples(*(st.integers(-1, size - 1) for size in sizes))
    out = []
    for _ in range(draw(st.integers(1, most))):
        keys = draw(st.lists(st.sampled_from(pool), max_size=people, unique=True))
        out.append(InputRows(keys, [draw(lists) for _ in keys], [draw(codes) for _ in keys]))
    return out


def bounds_of(rows: Rows, slack: int = 0) -> list[int]:
    return [max(1, len(own.keys)) + slack for own in rows]


def joined(base: dict, providers: Rows) -> dict[tuple[int, ...], list[int]]:
    """By codes and stage reached: how many people there are, and how many of them each provider has. SQL joins over the
    providers' tables of people: what is not told is NULL, and the first that tells is what counts.
    """
    columns, stages = len(base["columns"]), base.get("stages", [])
    connection = duckdb.connect()
    told = [f"c{c}" for c in range(columns)] + [f"l{i}" for i in range(LISTS)]
    for p, rows in enumerate(providers):
        connection.execute(f"CREATE TABLE p{p} (key UBIGINT, {', '.join(f'{name} INTEGER' for name in told)})")
        for key, mask, codes in zip(rows.keys, rows.lists, rows.codes, strict=True):
            values = [key, *(None if code < 0 else code for code in codes), *(mask >> i & 1 for i in range(LISTS))]
            connection.execute(f"INSERT INTO p{p} VALUES ({', '.join('?' * len(values))})", values)
    tables = [f"p{p}" for p in range(len(providers))]
    everybody = " UNION ".join(f"SELECT key FROM {table}" for table in tables)
    joins = " ".join(f"LEFT JOIN {table} ON {table}.key = everybody.key" for table in tables)
    axes = [f"coalesce({', '.join(f'{table}.c{c}' for table in tables)}) AS c{c}" for c in range(columns)]
    if stages:
        on = [" OR ".join(f"coalesce({table}.l{i}, 0) = 1" for table in tables for i in stage) for stage in stages]
        axes.append(f"CASE {' '.join(f'WHEN NOT ({is_on}) THEN {r - 1}' for r, is_on in enumerate(on))}")
        axes[-1] += f" ELSE {len(stages) - 1} END AS reached"
    names = [*(f"c{c}" for c in range(columns)), *(["reached"] if stages else [])]
    known = " AND ".join(f"{name} >= 0" for name in names)
    counts = ", ".join(["count(*)", *(f"count(h{p})" for p in range(len(providers)))])
    having = ", ".join(f"p{p}.key AS h{p}" for p in range(len(providers)))
    found = connection.execute(
        f"SELECT {', '.join(names)}, {counts} FROM "
        f"(SELECT {', '.join([*axes, having])} FROM ({everybody}) everybody {joins}) WHERE {known} GROUP BY ALL"
    ).fetchall()
    return {tuple(row[: len(names)]): list(row[len(names) :]) for row in found}


def table_by_joins(base: dict, providers: Rows, minimum: int, dominance: int) -> list[int]:
    """What is shown of it: all by the letter of the limits."""
    axes = [range(len(column["codes"])) for column in base["columns"]]
    axes += [range(len(base["stages"]))] if "stages" in base else []
    found, values, flags = joined(base, providers), [], []
    for cell in product(*axes):
        count, *parts = found.get(cell, [0] * (1 + len(providers)))
        rests = [count - part for part in parts]
        large = count >= minimum and all(rest == 0 or rest >= minimum for rest in rests)
        shown = minimum <= 1 or count == 0 or (large and all(100 * part <= dominance * count for part in parts))
        values.append(count if shown else 0)
        flags.append(int(shown))
    return values + flags


@every_question
@settings(max_examples=40, deadline=None)
@given(data=st.data(), minimum=st.integers(0, 4), dominance=st.sampled_from([50, 70, 100]))
def test_the_twin_is_what_joins_of_the_tables_say(
    base: dict, data: st.DataObject, minimum: int, dominance: int
) -> None:
    rows = data.draw(knowing(base, people=8))
    parameters = options(base, minimum, False) | {"dominance": dominance}
    assert crosstab.clear(parameters, rows) == table_by_joins(base, rows, minimum, dominance)


@every_question
@every_shape
def test_the_program_is_what_joins_of_the_tables_say(base: dict, shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=knowing(base), minimum=st.integers(0, 3), slack=st.integers(0, 2))
    def holds(rows: Rows, minimum: int, slack: int) -> None:
        parties = execute(crosstab, options(base, minimum, False), rows, bounds_of(rows, slack), shape)
        assert revealed(parties, shape.t) == table_by_joins(base, rows, minimum, 100)

    holds()


@every_question
@every_shape
def test_the_program_equals_its_twin(base: dict, shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        rows=knowing(base),
        minimum=st.integers(0, 4),
        zero_is_small=st.booleans(),
        more=st.sampled_from([{}, {"dominance": 60}, {"rounding": 3}, {"structural_zeros": [0, 2]}]),
    )
    def holds(rows: Rows, minimum: int, zero_is_small: bool, more: dict) -> None:
        parameters = options(base, minimum, zero_is_small) | more
        parties = execute(crosstab, parameters, rows, bounds_of(rows), shape)
        result = revealed(parties, shape.t)
        assert result == crosstab.clear(parameters, rows)
        assert len(result) == crosstab.outputs(parameters)

    holds()


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 8), (SHAPES[1], 2), (SHAPES[2], 1)])
@pytest.mark.parametrize("base", [TWO, STAGED])
def test_with_noise_it_equals_its_twin(base: dict, shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=knowing(base), minimum=st.sampled_from([0, 2]), epsilon=st.sampled_from(["0.5", "10"]))
    def holds(rows: Rows, minimum: int, epsilon: str) -> None:
        parameters = options(base, minimum, False) | {"noise": noise.table(epsilon)}
        parties, uniform = execute_with_noise(crosstab, parameters, rows, bounds_of(rows), shape)
        assert revealed(parties, shape.t) == crosstab.clear(parameters, rows, uniform)

    holds()


CARE = InputRows([1, 2, 3, 4], [], [(0, -1), (1, -1), (0, 2), (-1, -1)])
POLICE = InputRows([1, 2, 3, 5], [], [(-1, 1), (0, 2), (1, 0), (1, 1)])
# 1: a of care, y of the police. 2: b of care, though the police say a, and z. 3: care alone. 4: nothing. 5: the police.


def test_a_cell_joins_what_each_knows_and_the_first_who_knows_it_is_believed() -> None:
    exact = crosstab.clear(TWO, [CARE, POLICE])
    assert exact[:6] == [0, 1, 1, 0, 1, 1]  # (a, y): 1; (a, z): 3; (b, y): 5; (b, z): 2
    assert revealed(execute(crosstab, TWO, [CARE, POLICE], [4, 4], SHAPES[0]), 1) == exact
    other_way = crosstab.clear(TWO, [POLICE, CARE])
    assert other_way[:6] == [0, 1, 1, 1, 1, 0]  # 2 is (a, z) and 3 is (b, x)
    assert revealed(execute(crosstab, TWO, [POLICE, CARE], [4, 4], SHAPES[0]), 1) == other_way


def test_who_is_nowhere_known_is_in_no_cell_and_lists_with_gaps_end_before_the_gap() -> None:
    nothing = InputRows([1, 2], [], [(-1, -1), (-1, 0)])
    assert revealed(execute(crosstab, TWO, [nothing] * 3, [2] * 3, SHAPES[0]), 1) == [0] * 6 + [1] * 6
    # Suspected: 1, 2, 3, 4. Prosecuted: 1, 2, 5. Convicted: 1, 3, 5.
    parameters = {"columns": [], "stages": [[0], [1], [2]], "minimum_cell": 0}
    police = InputRows([1, 2, 3, 4], [1] * 4, [()] * 4)
    court = InputRows([1, 2, 3, 5], [6, 2, 4, 6], [()] * 4)
    exact = crosstab.clear(parameters, [police, court])
    assert exact[:3] == [2, 1, 1]  # 3 and 4; 2; 1
    assert revealed(execute(crosstab, parameters, [police, court], [4, 4], SHAPES[0]), 1) == exact


@pytest.mark.parametrize("liar", [0, 1])
@pytest.mark.parametrize("base", [TWO, STAGED], ids=["columns", "stages"])
def test_a_row_that_is_not_real_tells_nothing_of_whose_key_it_has(base: dict, liar: int) -> None:
    """It claims every code, every stage and that all of it is known, under the keys of another's people."""
    keys = [(i + 1) << 50 for i in range(8)]
    codes = [(0, -1), (-1, 1), (-1, -1), (1, 2)] * 2 if base is TWO else [(1,), (-1,), (0,), (2,)] * 2
    honest = InputRows(keys, [1, 3, 0, 7] * 2, codes)
    rows = [honest, honest]
    rows[liar] = EMPTY
    parameters = options(base, 2, False)
    inputs = [crosstab.encode(parameters, own, 8, secrets.token_bytes) for own in rows]
    inputs[liar][0] = np.array(keys, dtype=np.uint64) | np.uint64(2**64 - 2**HEAD_BITS)
    inputs[liar][1:] = np.uint64(2**64 - 1)
    assert not (inputs[liar][0] >> np.uint64(KEY_BITS) & np.uint64(1)).any()
    shares = [shared_words(SHAPES[0], words) for words in inputs]
    parties = run(SHAPES[0], lambda rt: crosstab.run(rt, parameters, [s[rt.pid] for s in shares]))
    assert revealed(parties, 1) == crosstab.clear(parameters, rows)


def test_a_code_of_a_row_that_does_not_know_it_touches_nobodys() -> None:
    """Were codes of all rows added up, such a row would turn what the next one says."""
    first = InputRows([9], [], [(-1, -1)])
    second = InputRows([9], [], [(1, 2)])
    for code in range(1, 8):
        words = crosstab.encode(TWO, first, 1, secrets.token_bytes)
        words[0] |= np.uint64(code << HEAD_BITS & 2**64 - 1)
        inputs = [words, crosstab.encode(TWO, second, 1, secrets.token_bytes)]
        shares = [shared_words(SHAPES[0], one) for one in inputs]
        parties = run(SHAPES[0], lambda rt, shares=shares: crosstab.run(rt, TWO, [s[rt.pid] for s in shares]))
        assert revealed(parties, 1) == crosstab.clear(TWO, [first, second])


def test_what_is_left_without_a_providers_people_counts_those_of_whom_it_knows_something_else() -> None:
    """Three people in (a, x): care knows the form of all, the police the region; a third has two of them."""
    care = InputRows([1, 2, 3], [], [(0, -1)] * 3)
    police = InputRows([1, 2, 3], [], [(-1, 0)] * 3)
    third = InputRows([1, 2], [], [(-1, -1)] * 2)
    for rows, shown in (([care, police], (3, 1)), ([care, police, third], (0, 0))):
        parameters = options(TWO, 2, False)
        result = crosstab.clear(parameters, rows)
        assert (result[0], result[6]) == shown
        assert revealed(execute(crosstab, parameters, rows, bounds_of(rows), SHAPES[0]), 1) == result


@every_question
@pytest.mark.parametrize("shape", SHAPES, ids=["m3", "m5", "m7"])
@pytest.mark.parametrize("providers", [1, 2, 4])
@pytest.mark.parametrize("more", [{}, {"minimum_cell": 2}, {"minimum_cell": 2, "dominance": 60, "rounding": 5}])
def test_the_cost_model_is_exact(base: dict, shape: Shape, providers: int, more: dict) -> None:
    parameters, bounds = base | more, [3, 1, 4, 2][:providers]
    parties = execute(crosstab, parameters, [EMPTY] * providers, bounds, shape)
    exact(parties, crosstab, parameters, bounds, shape)


def exact(parties: list[Party], program: ModuleType, parameters: dict, bounds: Sequence[int], shape: Shape) -> None:
    cost = program.cost(parameters, bounds, shape)
    received = [elements.size for party in parties for _, _, elements in party.seen]
    assert (parties[0].engine.rounds, sum(received)) == (1 + cost.rounds, cost.elements)
    assert max(received) <= cost.largest


@pytest.mark.parametrize("shape", SHAPES, ids=["m3", "m5", "m7"])
@settings(max_examples=8, deadline=None)
@given(data=st.data(), providers=st.integers(1, 6))
def test_a_row_learns_what_the_first_that_knows_says(shape: Shape, data: st.DataObject, providers: int) -> None:
    """Two facts, of which one is told in two bits and the other in none."""
    runs = data.draw(st.lists(st.integers(1, providers), min_size=1, max_size=60))
    n = sum(runs)
    known = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    told = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    same = [int(i + 1 < size) for size in runs for i in range(size)]
    x, y, z = (shared_planes(shape, *given) for given in ((known, 2), (told, 2), (same, 1)))
    parties = run(shape, lambda rt: first_known(rt, x[rt.pid], y[rt.pid], [0, 0], z[rt.pid], providers, "test"))
    found, said, start = numbers_of(parties, n, 0), numbers_of(parties, n, 1), 0
    for size in runs:
        for i in range(start, start + size):
            later = range(i, start + size)
            assert found[i] == np.bitwise_or.reduce([known[j] for j in later])
            if found[i] & 1:
                assert said[i] == next(told[j] for j in later if known[j] & 1)
        start += size
    spent, cost = sent(parties), first_known_cost(shape, n, 2, 2, providers)
    assert (spent.rounds, spent.elements) == (cost.rounds, cost.elements)


def test_another_order_of_columns_gets_the_same_noise_in_the_same_cells_and_of_stages_does_not() -> None:
    seed, found = bytes(32), []
    for columns in (COLUMNS, COLUMNS[::-1]):
        parameters = {"columns": columns, "stages": [[0], [1]], "minimum_cell": 0, "noise": noise.table("0.5")}
        names = [column["name"] for column in columns]
        cells = list(product(*(column["codes"] for column in columns), (1, 2)))  # type: ignore[call-overload]
        drawn = crosstab.own_noise(parameters, seed).reshape(-1, len(cells)).T
        found.append(
            {
                (*sorted(zip(names, cell[:-1], strict=True)), cell[-1]): row.tobytes()
                for cell, row in zip(cells, drawn, strict=True)
            }
        )
    assert found[0] == found[1]
    assert len(set(found[0].values())) == 12


@pytest.mark.parametrize(
    ("parameters", "rows", "field"),
    [
        (TWO, InputRows([1], [], [(2, 0)]), "form"),
        (TWO, InputRows([1], [], [(0, -2)]), "region"),
        (TWO, InputRows([1], [], [(0,)]), "codes"),
        (TWO, InputRows([1], [], []), "codes"),
        (TWO, InputRows([1, 1], [], [(0, 0)] * 2), "keys"),
        (STAGED, InputRows([1], [], [(0,)]), "lists"),
        (STAGED, InputRows([1], [2**32], [(0,)]), "lists"),
        (STAGED, InputRows([1], [-1], [(0,)]), "lists"),
        ({**TWO, "stages": [[0]]}, EMPTY, "stages"),
        ({**TWO, "stages": [[i] for i in range(9)]}, EMPTY, "stages"),
        ({**TWO, "stages": []}, EMPTY, "stages"),
        ({**TWO, "stages": 2}, EMPTY, "stages"),
        ({**TWO, "stages": None}, EMPTY, "stages"),
        ({**TWO, "stages": [0, 1]}, EMPTY, "stages"),
        ({**TWO, "stages": [[0], []]}, EMPTY, "stages"),
        ({**TWO, "stages": [[0], [1, 0]]}, EMPTY, "stages"),
        ({**TWO, "stages": [[0], [32]]}, EMPTY, "stages"),
        ({**TWO, "stages": [[0], ["1"]]}, EMPTY, "stages"),
        ({**TWO, "columns": []}, EMPTY, "columns"),
        ({"stages": [[0], [1]], "minimum_cell": 0}, EMPTY, "columns"),
        (
            {**TWO, "columns": [{"name": "x", "codes": [str(i) for i in range(1366)]}], "stages": STAGED["stages"]},
            EMPTY,
            "columns",
        ),
        ({**TWO, "columns": [{"name": c, "codes": ["0"]} for c in "abcdefg"]}, EMPTY, "columns"),
        ({**TWO, "columns": [{"name": "x", "codes": ["0"], "sources": [1]}]}, EMPTY, "sources"),
        ({**STAGED, "structural_zeros": [9]}, EMPTY, "structural_zeros"),
        ({**TWO, "lists": ["a"]}, EMPTY, "lists"),
        ({"columns": COLUMNS}, EMPTY, "minimum_cell"),
    ],
)
def test_bad_rows_and_parameters_are_refused_by_name(parameters: dict, rows: InputRows, field: str) -> None:
    with pytest.raises(InputRejected) as refused:
        crosstab.encode(parameters, rows, 3, secrets.token_bytes)
    assert refused.value.field == field
