"""Made-up lists of suspects at two spaces, for the two questions of docs/suspects.md.

Invariants: nobody on them exists; whoever is on both is written on each as its clerk would; a case stands for one
person of one list, and says nothing of whom; the same seed gives the same bytes.
"""

from __future__ import annotations

import random
from pathlib import Path

from gateway.domain.dataset import Column, ColumnType
from gateway.sandbox import data
from gateway.sandbox.dataset_files import DatasetFile

ID, CASE = "suspects", "case"
TITLES = {
    "police": "People whom police forces suspect of trafficking",
    "registry": "People whom labour inspectorates suspect of trafficking",
}
# How many people are on exactly which of the lists.
PATTERNS = {("police",): 356, ("registry",): 214, ("police", "registry"): 58}
# Where the cases of a list begin to be counted.
FIRST_CASE = {"police": 4501, "registry": 7001}
MOST_CASE = 9999
ROW_BOUND = 448
LEAST_LIST = 200


def columns() -> tuple[Column, ...]:
    described = {column.name: column for column in data.columns()}
    case = Column(CASE, ColumnType.INTEGER, "Number of the case", least=1, most=MOST_CASE)
    return (*(described[name] for name in (*data.KEY_COLUMNS, "prs_Gender")), case)


def write_list(path: Path, space: str, seed: int) -> None:
    """The CSV file of one of the two spaces."""
    everyone = data.made_up(random.Random(f"isthmus suspects {seed}"), PATTERNS)  # noqa: S311  # invention, no secret
    people = [person for person in everyone if space in person.lists]
    dice = random.Random(f"isthmus suspects of {space} {seed}")  # noqa: S311  # invention, no secret
    dice.shuffle(people)
    cases = list(range(FIRST_CASE[space], FIRST_CASE[space] + len(people)))
    dice.shuffle(cases)
    rows = [
        {**data.identified(dice, person), "prs_Gender": person.gender, CASE: str(case)}
        for person, case in zip(people, cases, strict=True)
    ]
    data.write_rows(path, columns(), rows)


def described(space: str, created: int) -> DatasetFile:
    return DatasetFile(
        id=ID,
        title=TITLES[space],
        description="Made-up people, some of them on the lists of two spaces",
        coverage="United Kingdom",
        row_bound=ROW_BOUND,
        created=created,
        columns=columns(),
        key_columns=data.KEY_COLUMNS,
        policy=_policy(space),
    )


def _policy(space: str) -> list[str]:
    """How its owner answers: numbers as elsewhere, and about one person whom the police asks about, two stewards each
    time."""
    lines = [
        "version = 1",
        'purposes = ["trend-monitoring", "criminal-investigation"]',
        'legal_bases = ["led-8", "led-10-a"]',
        'statistics = ["overlap", "hit"]',
        "minimum_cell = 11",
        "minimum_seats = 3",
        "",
        "[one_person]",
        'legal_bases = ["led-10-a"]',
        'roles = ["investigator"]',
        f"least_list = {LEAST_LIST}",
        "quota_per_case = 1",
        "quota_per_day = 10",
    ]
    return lines + ([f'case = "{CASE}"'] if space == "police" else [])
