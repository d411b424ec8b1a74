"""Sources that change in a federation of its own: exactly the cells that the changed people touch change."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.client import AsyncClient, Client, Profile, load_query
from gateway.domain.computation import State
from gateway.sandbox.data import FORM, REFERRED, Person
from gateway.sandbox.federation import Sandbox, running
from tests.attacks.lone import until
from tests.e2e.shell import QUERIES, Done, Shell
from tests.e2e.truth import Cell, everyone, form_by_year, overlap

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
        rows = rows_of(folder / "GP.csv")
        (row,) = (row for row in rows if is_row_of(row, moved))
        row[FORM] = TO
        write_rows(folder / "GP.csv", rows)
        (copied,) = (row for row in rows_of(folder / "NG.csv") if is_row_of(row, joined))
        write_rows(folder / "PFNCA.csv", [*rows_of(folder / "PFNCA.csv"), copied])

    return edit


def is_row_of(row: Mapping[str, str], person: Person) -> bool:
    from connectors.vocabularies.linkage import normalise
    from gateway.domain.dataset import ColumnType

    names = (("prs_FirstName", person.first_name), ("prs_SecondName", person.second_name))
    same = all(normalise(row[c], ColumnType.TEXT) == normalise(name, ColumnType.TEXT) for c, name in names)
    return same and row["prs_Birthdate"] == person.birthdate.isoformat()


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def write_rows(file: Path, rows: list[dict[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@dataclass(frozen=True, slots=True)
class Federation:
    sandbox: Sandbox
    client: AsyncClient

    async def table(self, query: str) -> dict[Cell, int | None]:
        created = await self.client.create(load_query(QUERIES / f"{query}.yaml").query)
        async for computation in self.client.watch(created.name):
            last = computation
        assert last.state is State.RELEASED, last.ending
        return {row.codes: row.count for row in (await self.client.result(last)).rows}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def federation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Federation]:
    """One row changed and one copied before the lists were described."""
    folder = tmp_path_factory.mktemp("changed")
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "log").open("ab"))
        sandbox = await stack.enter_async_context(
            running(folder / "federation", change=_edit(*_chosen()), log=log.fileno())
        )
        client = await stack.enter_async_context(AsyncClient(Profile.load(sandbox.profile())))
        yield Federation(sandbox, client)
    assert not any(sandbox.process_ids().values())


def _after() -> list[Person]:
    """Everybody, as the lists have them after the edit."""
    moved, joined = _chosen()
    return [
        replace(person, form=TO)
        if person == moved
        else replace(person, lists=("NG", "PFNCA"))
        if person == joined
        else person
        for person in everyone()
    ]


async def test_one_changed_row_changes_exactly_the_cells_that_it_should(federation: Federation) -> None:
    moved, _ = _chosen()
    found = {name: await federation.table(name) for name in ("form_year", "overlap")}
    year = str(moved.year)
    before = form_by_year(everyone())
    assert _difference(before, found["form_year"]) == {(FROM, year): -1, (TO, year): +1}
    assert _difference(overlap(everyone()), found["overlap"]) == {tuple("01000"): -1, tuple("01100"): +1}
    # And the whole of it is what the changed people add up to.
    assert found == {"form_year": form_by_year(_after()), "overlap": overlap(_after())}


def _newcomers(count: int) -> list[Person]:
    """People whom care alone comes to know, all of one form and year."""
    born = date(1990, 1, 1)
    somebody = everyone()[0]
    return [
        replace(
            somebody,
            first_name=f"Nova{chr(97 + number)}",
            birthdate=born + timedelta(days=number),
            form=FROM,
            year=2013,
            lists=("LA",),
        )
        for number in range(count)
    ]


async def test_a_published_edition_is_asked_of_while_everybody_runs_and_the_live_file_is_not(
    federation: Federation, tmp_path: Path
) -> None:
    """Three newcomers wait, eighteen are an edition, and the same question counts them."""
    home = federation.sandbox.folder / "spaces" / "care"
    file, agent, dataset = home / "data" / "la.csv", home / "agent.toml", home / "datasets" / "la.toml"
    first = rows_of(file)

    async def published(count: int) -> Done:
        new = [
            {
                **first[0],
                "prs_FirstName": person.first_name,
                "prs_SecondName": person.second_name,
                "prs_Birthdate": person.birthdate.isoformat(),
                FORM: person.form,
                REFERRED: f"{person.year}-06-01",
            }
            for person in _newcomers(count)
        ]
        write_rows(file, [*first, *new])
        told = "--agent", agent, "--id", f"with-{count}", "--json"
        return await asyncio.to_thread(Shell(tmp_path), "datasets", "publish", dataset, *told)

    assert (await published(0)).code == 0
    waits = await published(3)
    assert (waits.code, waits.json["outcome"], waits.json["apart"]) == (3, "waits", 3)
    assert (await published(18)).json["edition"]["id"] == "with-18"
    # Eighteen people whom nobody asked about yet do not count before they are published; nor do these after it.
    file.write_text("no table any more")

    def offered() -> str:
        with Client(Profile.load(federation.sandbox.profile())) as client:
            return client.dataset("spaces/care.example/datasets/la").dataset.edition.id

    assert await asyncio.to_thread(until, lambda: offered() == "with-18")
    assert await federation.table("form_year") == form_by_year([*_after(), *_newcomers(18)])


def _difference(before: Mapping[Cell, int | None], after: Mapping[Cell, int | None]) -> dict[Cell, int]:
    changed = {cell: (before[cell], after[cell]) for cell in before if before[cell] != after[cell]}
    return {cell: (new or 0) - (old or 0) for cell, (old, new) in changed.items()}
