"""One source row changed in a federation of its own: exactly the cells that it touches change."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from gateway.client import AsyncClient, Profile, load_query
from gateway.domain.computation import State
from gateway.sandbox.data import FORM, Person
from gateway.sandbox.federation import running
from tests.e2e.shell import QUERIES
from tests.e2e.truth import Cell, everyone, form_by_year, overlap

FROM, TO = "SexualExploitation", "ForcedLabour"


def _chosen() -> tuple[Person, Person]:
    """Somebody on GP's list alone, and somebody else on NG's alone."""
    persons = everyone()
    moved = next(person for person in persons if person.lists == ("GP",) and person.form == FROM)
    joined = next(person for person in persons if person.lists == ("NG",))
    return moved, joined


def _edit(moved: Person, joined: Person) -> Callable[[Path], None]:
    """Another form for the one, and a row on police's list for the other."""

    def edit(folder: Path) -> None:
        rows = _rows(folder / "GP.csv")
        (row,) = (row for row in rows if _is(row, moved))
        row[FORM] = TO
        _write(folder / "GP.csv", rows)
        (copied,) = (row for row in _rows(folder / "NG.csv") if _is(row, joined))
        _write(folder / "PFNCA.csv", [*_rows(folder / "PFNCA.csv"), copied])

    return edit


def _is(row: Mapping[str, str], person: Person) -> bool:
    from connectors.vocabularies.linkage import normalise
    from gateway.domain.dataset import ColumnType

    names = (("prs_FirstName", person.first_name), ("prs_SecondName", person.second_name))
    same = all(normalise(row[c], ColumnType.TEXT) == normalise(name, ColumnType.TEXT) for c, name in names)
    return same and row["prs_Birthdate"] == person.birthdate.isoformat()


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def _write(file: Path, rows: list[dict[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


async def test_one_changed_row_changes_exactly_the_cells_that_it_should(tmp_path: Path) -> None:
    moved, joined = _chosen()
    found: dict[str, dict[Cell, int | None]] = {}
    async with AsyncExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("ab"))
        sandbox = await stack.enter_async_context(
            running(tmp_path / "federation", change=_edit(moved, joined), log=log.fileno())
        )
        client = await stack.enter_async_context(AsyncClient(Profile.load(sandbox.profile())))
        for name in ("form_year", "overlap"):
            created = await client.create(load_query(QUERIES / f"{name}.yaml").query)
            async for computation in client.watch(created.name):
                last = computation
            assert last.state is State.RELEASED, last.ending
            found[name] = {row.codes: row.count for row in (await client.result(last)).rows}

    year = str(moved.year)
    before = form_by_year(everyone())
    assert _difference(before, found["form_year"]) == {(FROM, year): -1, (TO, year): +1}
    assert _difference(overlap(everyone()), found["overlap"]) == {tuple("01000"): -1, tuple("01100"): +1}
    # And the whole of it is what the changed people add up to.
    after = [
        replace(person, form=TO)
        if person == moved
        else replace(person, lists=("NG", "PFNCA"))
        if person == joined
        else person
        for person in everyone()
    ]
    assert found == {"form_year": form_by_year(after), "overlap": overlap(after)}
    assert not any(sandbox.process_ids().values())


def _difference(before: Mapping[Cell, int | None], after: Mapping[Cell, int | None]) -> dict[Cell, int]:
    changed = {cell: (before[cell], after[cell]) for cell in before if before[cell] != after[cell]}
    return {cell: (new or 0) - (old or 0) for cell, (old, new) in changed.items()}
