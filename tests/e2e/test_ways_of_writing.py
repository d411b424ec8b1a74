"""A federation whose lists are written in different ways: Cyrillic names, days with points, a code that others lack.

Police write names in Cyrillic letters and days as 03.05.1990; one list of the registry has a code more than all others,
and the other one compares names by other rules.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from connectors.vocabularies.linkage import TRANSLITERATE
from gateway.client import AsyncClient, Profile
from gateway.domain.computation import State
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules.queries import read_query
from gateway.sandbox.data import FORM, REFERRED, Person
from gateway.sandbox.federation import running
from tests.e2e.shell import QUERIES
from tests.e2e.test_changed_row import is_row_of, rows_of, write_rows
from tests.e2e.truth import Cell, everyone, form_by_year

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Letter by letter, as a clerk would spell these names who has no other alphabet; what has no letter is left as it is.
LATIN, CYRILLIC = "abvgdezijklmnoprstufyABVGDEZIJKLMNOPRSTUFY", "абвгдезијклмнопрстуфйАБВГДЕЗИЈКЛМНОПРСТУФЙ"
ELSEWHERE = "OtherExploitation"
NAMES = ("prs_FirstName", "prs_SecondName")
RULES = ("case", "punctuation", TRANSLITERATE)


def recoded() -> list[Person]:
    """People of the one list alone that has a code more, who have that code."""
    return [person for person in everyone() if person.lists == ("GO",)][:30]


def change(lists: Path) -> None:
    letters = str.maketrans(LATIN, CYRILLIC)
    police = rows_of(lists / "PFNCA.csv")
    assert any("é" in row["prs_FirstName"] or "ç" in row["prs_SecondName"] for row in police)
    for row in police:
        row.update({name: row[name].translate(letters) for name in NAMES})
        for day in ("prs_Birthdate", REFERRED):
            row[day] = ".".join(reversed(row[day].split("-")))
    write_rows(lists / "PFNCA.csv", police)
    government, others = rows_of(lists / "GO.csv"), recoded()
    for row in government:
        if any(is_row_of(row, person) for person in others):
            row[FORM] = ELSEWHERE
    write_rows(lists / "GO.csv", government)


def describe(folder: Path) -> None:
    """What the owners say of it."""
    rules = f"normalise = {json.dumps(RULES)}"
    for file in folder.glob("spaces/*/datasets/*.toml"):
        text = file.read_text()
        if ".policy" in file.name or file.stem == "gp":
            continue
        for name in NAMES:
            text = _after(text, name, rules)
        if file.stem == "pfnca":
            text = _after(_after(text, "prs_Birthdate", 'dates = ["DD.MM.YYYY"]'), REFERRED, 'dates = ["D.M.YYYY"]')
        if file.stem == "go":
            before, form = text.split(f'name = "{FORM}"')
            text = before + f'name = "{FORM}"' + form.replace("codes = [", f'codes = [{{ value = "{ELSEWHERE}" }},', 1)
        file.write_text(text)


def _after(text: str, column: str, line: str) -> str:
    named = f'name = "{column}"\n'
    assert text.count(named) == 1
    return text.replace(named, f"{named}{line}\n")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AsyncClient]:
    folder = tmp_path_factory.mktemp("written")
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "log").open("ab"))
        sandbox = await stack.enter_async_context(
            running(folder / "federation", change=change, edit=describe, log=log.fileno())
        )
        yield await stack.enter_async_context(AsyncClient(Profile.load(sandbox.profile())))
    assert not any(sandbox.process_ids().values())


def question(*lists: str, **more: Any) -> Any:
    asked = yaml.safe_load((QUERIES / "form_year.yaml").read_text())
    sources = [source for source in asked["sources"] if source["dataset"].rsplit("/", 1)[1] in lists]
    return read_query({**asked, "sources": sources, **more})


async def test_a_person_in_two_scripts_counts_once_and_codes_that_not_all_have_are_left_out(
    client: AsyncClient,
) -> None:
    asked = question("la", "ng", "pfnca", "go", common_codes=True)
    plan = await client.plan(asked)
    assert plan.draft.key_rules is not None
    assert {rule.column: rule.normalise for rule in plan.draft.key_rules} == dict.fromkeys(NAMES, RULES)
    assert TRANSLITERATE in plan.learns[0].what and "others left out" in plan.learns[0].what
    created = await client.create(asked)
    async for computation in client.watch(created.name):
        last = computation
    assert last.state is State.RELEASED, last.ending
    table: dict[Cell, int | None] = {row.codes: row.count for row in (await client.result(last)).rows}
    here, others = {"LA", "NG", "PFNCA", "GO"}, recoded()
    left = [replace(person, lists=tuple(here & set(person.lists))) for person in everyone() if person not in others]
    truth = form_by_year(person for person in left if person.lists)
    assert table == truth and any(truth.values())
    # Some are on the police's list and on another, so that it matters whether they are found.
    assert sum("PFNCA" in person.lists and len(person.lists) > 1 for person in left) > 20


async def test_a_code_that_others_lack_is_named_and_nothing_is_narrowed_unasked(client: AsyncClient) -> None:
    with pytest.raises(IsthmusError) as caught:
        await client.plan(question("la", "ng", "pfnca", "go"))
    assert caught.value.reason is Reason.UNKNOWN_CODE
    for name in ("care.example/datasets/la", "care.example/datasets/ng", "police.example/datasets/pfnca"):
        assert f"{name} lacks {ELSEWHERE}" in caught.value.public
    assert "common_codes: true" in caught.value.advice


async def test_a_list_that_compares_names_by_other_rules_is_not_linked(client: AsyncClient) -> None:
    with pytest.raises(IsthmusError) as caught:
        await client.plan(question("la", "pfnca", "gp"))
    assert (caught.value.reason, caught.value.space) == (Reason.UNKNOWN_COLUMN, "https://registry.example")
    assert "registry.example/datasets/gp as text by accents, case" in caught.value.public
    assert f"police.example/datasets/pfnca as text by {', '.join(RULES)}" in caught.value.public
