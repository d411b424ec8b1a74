"""Small cells are not told by what is published beside them: a margin less its shown parts (THREATS row 38), and a
cell less a provider's own people (row 38a)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from connectors.engine.limits import Limits, limited_clear
from connectors.engine.programs import group_count
from connectors.engine.rows import InputRows
from connectors.rules.ledger import Answer, Ledger, Terms
from gateway.sandbox.data import YEARS
from tests.attacks.published import Shown, intervals, pinned
from tests.e2e.shell import QUERIES, Shell
from tests.e2e.truth import FORMS, MINIMUM, Cell, cells, everyone, overlap
from tests.engine.harness import SHAPES, revealed
from tests.engine.test_programs import GROUPS, execute

ROWS, COLUMNS, MOST = 3, 4, 40
AXES = {"rows and columns": (0, 1), "rows": (0,), "columns": (1,), "all": ()}
Cube = dict[tuple[int, int], tuple[int, ...]]


@st.composite
def cubes(draw: st.DrawFn) -> Cube:
    """For each cell how many people are with the first provider alone, with the second alone, and with both."""
    few = st.sampled_from([0, 0, 1, 2, 5, 10, 11, 12, MOST])
    return {cell: (draw(few), draw(few), draw(few)) for cell in product(range(ROWS), range(COLUMNS))}


def table(cube: Cube, axes: tuple[int, ...], limits: Limits) -> list[Shown]:
    """What is published of this cube when people are counted by these of its axes."""
    atoms: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for cell in cube:
        atoms.setdefault(tuple(cell[axis] for axis in axes), []).append(cell)
    held = [[sum(cube[atom][part] for atom in group) for part in range(3)] for group in atoms.values()]
    counts = [sum(parts) for parts in held]
    out = limited_clear(counts, [[a + both for a, _, both in held], [b + both for _, b, both in held]], limits)
    kept = zip(atoms.values(), out[: len(held)], out[len(held) :], strict=True)
    return [Shown(frozenset(group), count if flag else None) for group, count, flag in kept]


@settings(max_examples=40, deadline=None)
@given(cube=cubes(), asked=st.permutations(list(AXES)), zero_is_small=st.booleans())
def test_38_whatever_is_asked_of_one_cube_no_margin_tells_a_hidden_cell(
    cube: Cube, asked: list[str], zero_is_small: bool
) -> None:
    limits, ledger = Limits(MINIMUM, zero_is_small), Ledger()
    published: list[Shown] = []
    for name in asked:
        answer = Answer(name, "1", frozenset("ab"), BitMap(range(100)), name)
        if ledger.objection(answer, Terms(MINIMUM, zero_is_small)) is None:
            ledger.add(answer)
            published += table(cube, AXES[name], limits)
    assert published
    assert pinned(published, MINIMUM, least=0 if zero_is_small else 1) == []


def test_38_the_measure_sees_a_margin_that_is_asked_for_by_itself() -> None:
    """What follows without the ledger: one small cell in a line whose margin is shown comes out exactly."""
    cube: Cube = dict.fromkeys(product(range(ROWS), range(COLUMNS)), (0, 0, 20)) | {(1, 2): (0, 0, 5)}
    limits = Limits(MINIMUM)
    fine, margin = table(cube, (0, 1), limits), table(cube, (0,), limits)
    assert pinned(fine, MINIMUM) == []
    assert pinned(fine + margin, MINIMUM) == [(pytest.approx(5), pytest.approx(5))]


def test_38_two_margins_that_share_no_column_have_their_total_in_common() -> None:
    cube: Cube = dict.fromkeys(product(range(ROWS), range(COLUMNS)), (0, 0, 20))
    cube |= {(1, column): (0, 0, 1) for column in range(COLUMNS)}
    limits = Limits(MINIMUM)
    assert pinned(table(cube, (0,), limits) + table(cube, (1,), limits), MINIMUM) == [
        (pytest.approx(COLUMNS), pytest.approx(COLUMNS))
    ]


def margins(shell: Shell, column: str) -> Mapping[Cell, int | None]:
    """The people of form_year.yaml by one of its columns, as far as it is answered."""
    text = (QUERIES / "form_year.yaml").read_text().replace("[vic_TypeOfExploitation, year]", f"[{column}]")
    done = shell("run", shell.file(f"by_{column}.yaml", text), "--json")
    if done.code:
        assert "NOT_RELEASABLE" in done.out, done
        return {}
    return cells(done.json)


def test_38_every_hidden_cell_of_the_released_cube_stays_as_wide_as_the_minimum(shell: Shell) -> None:
    """Over all that the federation answers about these people: the cube, its margins as far as they are answered, and
    the total, which the exact overlap table tells."""
    done = shell("run", QUERIES / "form_year.yaml", "--json")
    assert done.code == 0, done.err
    cube = cells(done.json)
    assert list(cube.values()).count(None) > 3
    published = [Shown(frozenset({cell}), count) for cell, count in cube.items()]
    for place, column in enumerate(("vic_TypeOfExploitation", "year")):
        for codes, count in margins(shell, column).items():
            published.append(Shown(frozenset(cell for cell in cube if cell[place] == codes[0]), count))
    assert set(cube) == set(product(FORMS, map(str, YEARS)))
    published.append(Shown(frozenset(cube), sum(overlap(everyone()).values())))
    assert pinned(published, MINIMUM) == []
    assert all(high < float("inf") for _, high in intervals(published))


@settings(max_examples=60, deadline=None)
@given(cube=cubes(), zero_is_small=st.booleans())
def test_38a_what_a_provider_leaves_of_a_released_cell_is_nothing_or_meets_the_minimum(
    cube: Cube, zero_is_small: bool
) -> None:
    for shown, (first, second, _) in zip(
        table(cube, (0, 1), Limits(MINIMUM, zero_is_small)), cube.values(), strict=True
    ):
        if shown.count is not None:
            assert all(rest == 0 or rest >= MINIMUM for rest in (first, second))


def test_38a_a_cell_that_one_provider_all_but_fills_is_hidden_by_the_program() -> None:
    """Ten people with the first provider, of whom one is with the second as well and whom one more joins: to the first
    that one is alone."""
    first = InputRows(list(range(10)), [], [(0, 0)] * 5 + [(1, 1)] * 5)
    second = InputRows([4, *range(20, 22)], [], [(0, 0), (0, 0), (1, 2)])
    third = InputRows([30, 31, 32], [], [(1, 1), (1, 1), (1, 1)])
    parties = execute(group_count, GROUPS, [first, second, third], [10, 3, 3], SHAPES[0])
    found = revealed(parties, SHAPES[0].t)
    assert found == group_count.clear(GROUPS, [first, second, third])
    counts, kept = found[:6], found[6:]
    assert (counts[0], kept[0]) == (0, 0)  # 6 people, one of whom is not the first provider's
    assert (counts[4], kept[4]) == (8, 1)  # 5 and 3
    assert (counts[5], kept[5]) == (0, 0)  # one person
