"""Person-level lists for the demonstration, made from a published overlap table.

Invariants: nobody in these lists exists; the five lists overlap in exactly the published pattern; a person
has one form of exploitation and one year, the same on all lists, and is alone with their normalised
names and birth date; spellings differ between lists only in what `connectors.vocabularies.linkage` undoes;
the same seed gives the same bytes.
"""

from __future__ import annotations

import csv
import random
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from importlib.resources import files
from itertools import product
from pathlib import Path

from connectors.vocabularies.linkage import normalise
from gateway.client.estimates import OverlapTable
from gateway.client.estimates.reading import from_csv
from gateway.domain.dataset import Code, Column, ColumnType

YEARS = tuple(range(2009, 2015))
FIRST_DAY, LAST_DAY = f"{YEARS[0]}-01-01", f"{YEARS[-1]}-12-31"
KEY_COLUMNS = ("prs_FirstName", "prs_SecondName", "prs_Birthdate")
FORM = "vic_TypeOfExploitation"
REFERRED = "cas_IncomingReferralDate"
# Where a person was recruited, through where it came, and where it was exploited.
RECRUITED, TRANSIT, EXPLOITED = "recruited_in", "transit_through", "exploited_in"
# When a person's exploitation began; of some it is not known on any list.
BEGAN = "exploited_since"
BEGAN_UNKNOWN = 0.06
MEAN_DAYS = {"Feminine": 300, "Masculine": 700}  # until the end of the year before it was referred
# Derived by the owner from the referral date: lists may differ in the day, never in the year.
YEAR = "year"
# On the first day of that year; of some people it is not known on any list.
AGE = "age"
AGE_UNKNOWN = 0.04

# In percent of people and years, skewed as registers are: some forms are seen once or never.
FORM_WEIGHTS = {
    "SexualExploitation": 42.0,
    "ForcedLabour": 31.0,
    "Servitude": 12.0,
    "ForcedBegging": 5.0,
    "ChildLabour": 4.5,
    "ForcedMarriage": 2.5,
    "Other": 2.0,
    "ForcedAdoption": 0.4,
    "OrganRemoval": 0.3,
    "ForcedMilitaryByNonStateActors": 0.1,
    "Surrogacy": 0.0,
}
YEAR_WEIGHTS = (7, 10, 14, 19, 24, 26)
REGIONS = {
    "EuropeanUnion": "European Union",
    "OtherEurope": "Other Europe",
    "Africa": "Africa",
    "Asia": "Asia",
    "UnitedKingdom": "United Kingdom",
}
HOME_REGION = {
    **dict.fromkeys(("RO", "PL", "SK", "LT", "HU"), "EuropeanUnion"),
    **dict.fromkeys(("AL", "UA"), "OtherEurope"),
    **dict.fromkeys(("NG", "UG", "ET"), "Africa"),
    **dict.fromkeys(("VN", "CN", "PH", "PK", "TH"), "Asia"),
    "GB": "UnitedKingdom",
}
# In percent: at home, or on the way.
RECRUITED_AT_HOME = 80
ELSEWHERE_WEIGHTS = {"EuropeanUnion": 60, "OtherEurope": 15, "UnitedKingdom": 25}
TRANSIT_WEIGHTS = {
    "EuropeanUnion": {"Direct": 55, "France": 30, "Germany": 15},
    "OtherEurope": {"Direct": 10, "Italy": 45, "France": 30, "Germany": 15},
    "Africa": {"Direct": 10, "Italy": 55, "France": 35},
    "Asia": {"Direct": 15, "Turkey": 45, "Germany": 25, "France": 15},
    "UnitedKingdom": {"Direct": 100},
}
PLACES = {
    "London": ("London", 38),
    "SouthEast": ("South East", 17),
    "Midlands": ("Midlands", 17),
    "NorthOfEngland": ("North of England", 18),
    "Scotland": ("Scotland", 6),
    "Wales": ("Wales", 3),
    "NorthernIreland": ("Northern Ireland", 1),
}
GENDER_WEIGHTS = {"Feminine": 60, "Masculine": 37, "TransgenderFeminine": 1, "NonSpecifiedUnknown": 2}


@dataclass(frozen=True, slots=True)
class Person:
    first_name: str
    second_name: str
    birthdate: date
    gender: str
    citizenship: str
    form: str
    year: int
    age: int | None
    lists: tuple[str, ...]
    recruited_in: str = ""
    transit_through: str = ""
    exploited_in: str = ""
    exploited_since: date | None = None


@dataclass(frozen=True, slots=True)
class _Origin:
    citizenship: str
    label: str
    weight: int
    feminine: tuple[str, ...]
    masculine: tuple[str, ...]
    second: tuple[str, ...]


def _table(name: str) -> str:
    return (files("gateway.sandbox") / "tables" / name).read_text(encoding="utf-8")


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(line for line in _table(name).splitlines() if not line.startswith("#")))


def _origins() -> list[_Origin]:
    return [
        _Origin(
            row["citizenship"],
            row["label"],
            int(row["weight"]),
            tuple(row["feminine"].split(";")),
            tuple(row["masculine"].split(";")),
            tuple(row["second"].split(";")),
        )
        for row in _rows("names.csv")
    ]


def published() -> OverlapTable:
    """The published UK 2013 table that the lists are made from."""
    return from_csv(_table("uk_2013_5lists.csv")).table


def columns() -> tuple[Column, ...]:
    """The datasets' columns: HTCDS v2 fields with their code lists, and the derived year."""
    codes: dict[str, list[Code]] = {}
    for row in _rows("htcds_v2_codelists.csv"):
        codes.setdefault(row["field"], []).append(Code(row["value_name"], row["value_label"]))
    citizenships = tuple(Code(origin.citizenship, origin.label) for origin in _origins())

    def htcds(name: str, type: ColumnType, label: str, codes: Iterable[Code] = (), **bounds: str) -> Column:
        return Column(name, type, label, f"HTCDS v2 {name}", tuple(codes), bounds.get("least"), bounds.get("most"))

    def coded(name: str, label: str, codes: Mapping[str, str]) -> Column:
        return Column(name, ColumnType.CODE, label, "", tuple(Code(value, label) for value, label in codes.items()))

    return (
        htcds("prs_FirstName", ColumnType.TEXT, "First Name"),
        htcds("prs_SecondName", ColumnType.TEXT, "Second Name"),
        htcds("prs_Birthdate", ColumnType.DATE, "Birthdate"),
        htcds("prs_Gender", ColumnType.CODE, "Gender", codes["prs_Gender"]),
        htcds("prs_Citizenship", ColumnType.CODE, "Citizenship", citizenships),
        htcds(FORM, ColumnType.CODE, "Type of Exploitation", codes[FORM]),
        htcds(REFERRED, ColumnType.DATE, "Incoming Referral Date", least=FIRST_DAY, most=LAST_DAY),
        coded(RECRUITED, "Region of recruitment", REGIONS),
        coded(TRANSIT, "Transit through", {code: code for way in TRANSIT_WEIGHTS.values() for code in way}),
        coded(EXPLOITED, "Place of exploitation", {code: label for code, (label, _) in PLACES.items()}),
        Column(BEGAN, ColumnType.DATE, "Beginning of exploitation"),
        Column(AGE, ColumnType.INTEGER, "Age", least=0, most=120),
        Column(YEAR, ColumnType.CODE, "Year of referral", "", tuple(Code(str(y), str(y)) for y in YEARS)),
    )


def people(seed: int) -> list[Person]:
    """Everyone of the published table, made up from `seed`."""
    dice = random.Random(f"isthmus people {seed}")  # noqa: S311  # invention, no secret
    ways = random.Random(f"isthmus ways {seed}")  # noqa: S311  # of its own, so that people stay who they are
    table = published()
    patterns = {
        tuple(name for i, name in enumerate(table.lists) if mask >> i & 1): count
        for mask, count in enumerate(table.counts, start=1)
    }
    everyone = [_on_a_way(ways, person) for person in made_up(dice, patterns)]
    ages = random.Random(f"isthmus ages {seed}")  # noqa: S311  # invention, no secret
    everyone = [replace(person, age=None) if ages.random() < AGE_UNKNOWN else person for person in everyone]
    begun = random.Random(f"isthmus beginnings {seed}")  # noqa: S311  # invention, no secret
    return [_since(begun, person) for person in everyone]


def made_up(dice: random.Random, patterns: Mapping[tuple[str, ...], int]) -> Iterator[Person]:
    """So many people on exactly these lists, no two of whom linking takes for one."""
    origins = _origins()
    known: set[tuple[str, str, date]] = set()
    for on, count in patterns.items():
        for _ in range(count):
            person = _person(dice, origins, on)
            while _identity(person) in known:
                person = _person(dice, origins, on)
            known.add(_identity(person))
            yield person


def _person(dice: random.Random, origins: Sequence[_Origin], on: tuple[str, ...]) -> Person:
    origin = dice.choices(origins, [origin.weight for origin in origins])[0]
    gender = dice.choices(list(GENDER_WEIGHTS), list(GENDER_WEIGHTS.values()))[0]
    given = origin.masculine if gender == "Masculine" else origin.feminine
    year = dice.choices(YEARS, YEAR_WEIGHTS)[0]
    age = min(14 + int(dice.expovariate(1 / 11)), 74)
    return Person(
        first_name=dice.choice(given),
        second_name=dice.choice(origin.second),
        birthdate=date(year - age, 1, 1) - timedelta(days=dice.randrange(1, 366)),
        gender=gender,
        citizenship=origin.citizenship,
        form=dice.choices(list(FORM_WEIGHTS), list(FORM_WEIGHTS.values()))[0],
        year=year,
        age=age,
        lists=on,
    )


def _on_a_way(dice: random.Random, person: Person) -> Person:
    recruited = HOME_REGION[person.citizenship]
    if dice.randrange(100) >= RECRUITED_AT_HOME:
        recruited = _chosen(dice, ELSEWHERE_WEIGHTS)
    return replace(
        person,
        recruited_in=recruited,
        transit_through=_chosen(dice, TRANSIT_WEIGHTS[recruited]),
        exploited_in=_chosen(dice, {code: weight for code, (_, weight) in PLACES.items()}),
    )


def _since(dice: random.Random, person: Person) -> Person:
    days, unknown = int(dice.expovariate(1 / MEAN_DAYS.get(person.gender, 500))), dice.random() < BEGAN_UNKNOWN
    return person if unknown else replace(person, exploited_since=date(person.year, 1, 1) - timedelta(days=days))


def _chosen(dice: random.Random, weights: Mapping[str, int]) -> str:
    return dice.choices(list(weights), list(weights.values()))[0]


def _identity(person: Person) -> tuple[str, str, date]:
    first = normalise(person.first_name, ColumnType.TEXT)
    return first, normalise(person.second_name, ColumnType.TEXT), person.birthdate


def write_lists(folder: Path, seed: int) -> dict[str, Path]:
    """One CSV per list, named after it, each in an order and a spelling of its own."""
    everyone = people(seed)
    written: dict[str, Path] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for name in published().lists:
        dice = random.Random(f"isthmus list {name} {seed}")  # noqa: S311  # invention, no secret
        rows = [_record(dice, person) for person in everyone if name in person.lists]
        dice.shuffle(rows)
        written[name] = folder / f"{name}.csv"
        write_rows(written[name], [column for column in columns() if column.name != YEAR], rows)
    return written


def write_rows(path: Path, columns: Iterable[Column], rows: Iterable[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [column.name for column in columns], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _record(dice: random.Random, person: Person) -> dict[str, str]:
    first_day = date(person.year, 1, 1)
    days = (date(person.year + 1, 1, 1) - first_day).days
    return {
        **identified(dice, person),
        "prs_Gender": person.gender,
        "prs_Citizenship": person.citizenship,
        FORM: person.form,
        RECRUITED: person.recruited_in,
        TRANSIT: person.transit_through,
        EXPLOITED: person.exploited_in,
        BEGAN: "" if person.exploited_since is None else person.exploited_since.isoformat(),
        REFERRED: (first_day + timedelta(days=dice.randrange(days))).isoformat(),
        AGE: "" if person.age is None else str(person.age),
    }


def identified(dice: random.Random, person: Person) -> dict[str, str]:
    """The key columns, as one clerk writes them."""
    return {
        "prs_FirstName": _spelling(dice, person.first_name),
        "prs_SecondName": _spelling(dice, person.second_name),
        "prs_Birthdate": person.birthdate.isoformat(),
    }


def _spelling(dice: random.Random, name: str) -> str:
    """As another clerk would type it: capitals, no accents, a space too many."""
    habit = dice.choices(("as it is", "capitals", "no accents", "spaces"), (70, 12, 12, 6))[0]
    if habit == "capitals":
        return name.upper()
    if habit == "no accents":
        decomposed = unicodedata.normalize("NFD", name)
        return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    if habit == "spaces":
        return "  ".join(name.split()) + " "
    return name


def overlap(everyone: Iterable[Person]) -> OverlapTable:
    """The truth that an overlap session has to find."""
    names = published().lists
    patterns = Counter(tuple(int(name in person.lists) for name in names) for person in everyone)
    return OverlapTable.from_patterns(names, patterns.items())


def form_by_year(everyone: Iterable[Person]) -> dict[tuple[str, int], int]:
    """The truth of victims by form of exploitation and year, zeros included, before any suppression."""
    counted = Counter((person.form, person.year) for person in everyone)
    forms = [code.value for column in columns() if column.name == FORM for code in column.codes]
    return {cell: counted[cell] for cell in product(forms, YEARS)}
