"""What is hidden is nowhere: not in what parties open or receive, and not in the client's answer (THREATS row 31); and
a cell that one provider dominates is hidden (row 32)."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine.cost import Shape
from connectors.engine.limits import Limits, limited, limited_clear
from connectors.engine.programs import group_count
from connectors.engine.rows import InputRows
from connectors.engine.runtime import Engine
from connectors.engine.sharing import open_
from gateway.rules.sharing import reconstruct
from gateway.sandbox.data import YEAR
from tests.e2e.shell import QUERIES, Shell
from tests.e2e.truth import MINIMUM, PROVIDERS, cells, everyone, form_by_year
from tests.engine.harness import SHAPES, Party, revealed, run, shared
from tests.engine.test_programs import GROUPS, execute

small = pytest.mark.parametrize("shape", SHAPES[:2], ids=lambda shape: f"m{shape.m}")
ROWS = 1 << 20
# Numbers that no uniform word happens to be. Two cells are hidden: the first is small, of the second a rest is.
COUNTS, PARTS = [54_321, 700_001, 650_000], [[4_321, 654_321, 0], [54_321, 700_001, 0]]
HIDDEN = {54_321, 4_321, 50_000, 700_001, 654_321, 45_680}


def received(parties: list[Party]) -> set[int]:
    return {int(element) for party in parties for _, _, elements in party.seen for element in elements}


@small
@pytest.mark.parametrize("limits", [Limits(100_000), Limits(100_000, True, frozenset(), 90, 10)])
def test_31_nobody_receives_a_count_of_a_hidden_cell(shape: Shape, limits: Limits) -> None:
    """Nothing is opened, no value on its way is a number of the cell, and whoever gets all outputs gets a zero."""
    x = shared(shape, np.array([COUNTS, *PARTS], dtype=np.uint64))

    async def protocol(rt: Engine) -> object:
        rt._opens = ()  # whatever would be opened ends the session
        return await limited(rt, x[rt.pid], ROWS, limits)

    parties = run(shape, protocol)
    assert not received(parties) & HIDDEN
    outputs = {pid: [int(v) for v in np.ravel(party.result)] for pid, party in enumerate(parties)}
    assert reconstruct(outputs, shape.t) == [0, 0, 650_000, 0, 0, 1]


def test_31_the_measure_sees_a_count_that_is_opened() -> None:
    x = shared(SHAPES[0], COUNTS)
    (opened,) = {tuple(map(int, party.result)) for party in run(SHAPES[0], lambda rt: open_(rt, x[rt.pid], "test"))}
    assert set(opened) & HIDDEN


def test_31_a_program_opens_nothing_beyond_what_linking_shows() -> None:
    """Of 300 people of whom 299 are hidden, in steps that open nothing."""
    people = InputRows(list(range(300)), [], [(0, 0)] * 299 + [(1, 1)])
    parameters = {**GROUPS, "minimum_cell": 300}
    parties = execute(group_count, parameters, [people, people], [300, 300], SHAPES[0])
    closed = {
        int(element)
        for party in parties
        for step, _, elements in party.seen
        if step not in group_count.OPENS
        for element in elements
    }
    assert len(closed) > 1000 and not closed & {299, 300, 1, 2}
    assert revealed(parties, SHAPES[0].t) == [0] * 6 + [0, 1, 1, 1, 0, 1]


def test_31_a_hidden_cell_is_marked_in_the_answer(shell: Shell) -> None:
    done = shell("run", QUERIES / "form_year.yaml", "--json")
    assert done.code == 0, done.err
    hidden = [row for row in done.json["rows"] if row.get("suppressed")]
    assert hidden and all(row["count"] is None and row["suppressed"] == ["count"] for row in hidden)
    assert all(row["count"] == 0 or row["count"] >= MINIMUM for row in done.json["rows"] if row not in hidden)


def test_32_a_dominated_cell_is_hidden_and_the_others_are_rounded_in_the_answer(shell: Shell) -> None:
    """People of two years, by form and year, of whom no provider may have over 45 percent, to multiples of 5."""
    asked = yaml.safe_load((QUERIES / "form_year.yaml").read_text())
    for source in asked["sources"]:
        source["filters"] = [{"column": YEAR, "one_of": ["2013", "2014"]}]
    asked["limits"] |= {"dominance": 45, "rounding": 5}
    done = shell("run", shell.file("dominated.yaml", yaml.safe_dump(asked)), "--json")
    assert done.code == 0, done.err + done.out
    some = [person for person in everyone() if person.year in (2013, 2014)]
    own = {
        provider: Counter((person.form, str(person.year)) for person in some if lists & set(person.lists))
        for provider, lists in PROVIDERS.items()
    }
    told = form_by_year(some)
    dominated = {
        cell for cell, count in told.items() if count and any(100 * of[cell] > 45 * count for of in own.values())
    }
    assert dominated and any(count for cell, count in told.items() if cell not in dominated)
    assert cells(done.json) == {
        cell: None if count is None or cell in dominated else (count + 2) // 5 * 5 for cell, count in told.items()
    }


@settings(max_examples=200)
@given(
    parts=st.lists(st.integers(0, 60), min_size=1, max_size=5),
    more=st.integers(0, 60),
    dominance=st.integers(1, 100),
)
def test_32_no_provider_has_more_of_a_shown_cell_than_the_percentage(
    parts: list[int], more: int, dominance: int
) -> None:
    count = max(parts) + more
    value, kept = limited_clear([count], [[part] for part in parts], Limits(2, False, frozenset(), dominance))
    assert value == count * kept
    if kept and count:
        assert max(parts) / count <= dominance / 100


@small
@pytest.mark.parametrize(("dominance", "shown"), [(100, [1, 1, 1]), (80, [1, 1, 0]), (79, [1, 0, 0]), (59, [0, 0, 0])])
def test_32_a_cell_that_one_provider_dominates_is_hidden(shape: Shape, dominance: int, shown: list[int]) -> None:
    """Of 100 people each the largest provider has 60, 80 and all."""
    counts, parts = [100] * 3, [[60, 80, 100], [50, 20, 0]]
    x = shared(shape, np.array([counts, *parts], dtype=np.uint64))
    limits = Limits(MINIMUM, False, frozenset(), dominance)
    assert revealed(run(shape, lambda rt: limited(rt, x[rt.pid], 200, limits)), shape.t)[3:] == shown
