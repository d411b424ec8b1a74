"""What the made-up people add up to, and what of it may be published: written apart from the package's own rules."""

from __future__ import annotations

import csv
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise, product
from pathlib import Path

from gateway.sandbox.data import EXPLOITED, FORM, RECRUITED, TRANSIT, YEARS, Person, columns, people

SEED = 2013
MINIMUM = 11
LISTS = ("LA", "NG", "PFNCA", "GO", "GP")
# Who provides which lists.
PROVIDERS = {"care": {"LA", "NG"}, "police": {"PFNCA"}, "registry": {"GO", "GP"}}
CODES = {column.name: [code.value for code in column.codes] for column in columns()}
GENDERS, FORMS = CODES["prs_Gender"], CODES[FORM]
REGIONS, WAYS, PLACES = CODES[RECRUITED], CODES[TRANSIT], CODES[EXPLOITED]

Cell = tuple[str, ...]


def everyone() -> list[Person]:
    return people(SEED)


def form_by_year(persons: Iterable[Person]) -> dict[Cell, int | None]:
    """People by form and year, of which what may be told."""
    counted = ((person, (person.form, str(person.year))) for person in persons)
    return _told(counted, product(FORMS, map(str, YEARS)))


def by_year_and_gender(
    persons: Iterable[Person], providers: Mapping[str, set[str]], years: Iterable[int]
) -> dict[Cell, int | None]:
    """People of some years on the lists of these providers."""
    asked = set().union(*providers.values())
    counted = (
        (person, (str(person.year), person.gender))
        for person in persons
        if person.year in years and asked & set(person.lists)
    )
    return _told(counted, product(map(str, YEARS), GENDERS), providers)


def records_by_year_and_gender(
    persons: Iterable[Person], providers: Mapping[str, set[str]], years: Iterable[int]
) -> dict[Cell, int | None]:
    """Records of some years, where each provider counts its own people once and nobody sees who is on whose lists. Two
    providers' people may be the same, so what is told are twice as many of them as people."""
    own: dict[str, Counter[Cell]] = {name: Counter() for name in providers}
    for person in persons:
        for name, lists in providers.items():
            own[name][str(person.year), person.gender] += bool(lists & set(person.lists))
    told: dict[Cell, int | None] = {}
    for cell in product(map(str, YEARS), GENDERS):
        parts = [part[cell] if int(cell[0]) in set(years) else 0 for part in own.values()]
        rests = [sum(parts), *(sum(parts) - part for part in parts)]
        told[cell] = None if any(0 < rest < 2 * MINIMUM for rest in rests) else sum(parts)
    return told


def by_period_and_gender(
    persons: Iterable[Person], providers: Mapping[str, set[str]], starts: Sequence[int]
) -> dict[Cell, int | None]:
    """Men and women on the lists of these providers, by periods that begin with these years; on every list a person is
    referred in the same year."""
    called = [f"before {starts[0]}-01-01"]
    called += [f"{low}-01-01 to {high - 1}-12-31" for low, high in pairwise(starts)]
    called += [f"from {starts[-1]}-01-01", "not known"]
    asked = set().union(*providers.values())
    counted = (
        (person, (called[sum(start <= person.year for start in starts)], person.gender))
        for person in persons
        if person.gender in ("Feminine", "Masculine") and asked & set(person.lists)
    )
    return _told(counted, product(called, GENDERS), providers)


def form_by_region(persons: Iterable[Person], years: Iterable[int]) -> dict[Cell, int | None]:
    """By the form that care tells and the region that the police tell: people whom both have."""
    counted = (
        (person, (person.form, person.recruited_in))
        for person in persons
        if person.year in years and {"LA", "NG"} & set(person.lists) and "PFNCA" in person.lists
    )
    return _told(counted, product(FORMS, REGIONS), {"care": {"LA", "NG"}, "police": {"PFNCA"}})


def corridors(persons: Iterable[Person], years: Iterable[int]) -> dict[Cell, int | None]:
    """People of police and government by their way."""
    counted = (
        (person, (person.recruited_in, person.transit_through, person.exploited_in))
        for person in persons
        if person.year in years and {"PFNCA", "GO"} & set(person.lists)
    )
    return _told(counted, product(REGIONS, WAYS, PLACES), {"police": {"PFNCA"}, "registry": {"GO"}})


def funnel_by_gender(persons: Iterable[Person], years: Iterable[int]) -> dict[Cell, int | None]:
    """First responders' people by gender, and whether the government has them too."""
    stages = ("ng or pfnca or gp", "go")
    counted = (
        (person, (person.gender, stages["GO" in person.lists]))
        for person in persons
        if person.year in years and {"NG", "PFNCA", "GP"} & set(person.lists)
    )
    providers = {"care": {"NG"}, "police": {"PFNCA"}, "registry": {"GP", "GO"}}
    return _told(counted, product(GENDERS, stages), providers)


def _first(person: Person, providers: Mapping[str, set[str]]) -> tuple[str, ...]:
    """The lists on which the first provider has somebody, by their names."""
    return next(own for _, lists in sorted(providers.items()) if (own := tuple(sorted(lists & set(person.lists)))))


def ages_by_form(
    persons: Iterable[Person], providers: Mapping[str, set[str]], forms: Iterable[str]
) -> tuple[dict[Cell, int | None], dict[Cell, list[int] | None]]:
    """People with these forms on the lists of these providers, and the ages that are known of them, where they may be
    told: how many, and all of them."""
    asked, wanted = set().union(*providers.values()), set(forms)
    found = [person for person in persons if person.form in wanted and asked & set(person.lists)]
    cells = [(form,) for form in FORMS]

    def told(some: Iterable[Person]) -> dict[Cell, int | None]:
        """Without what a provider has, and without what it said: of whom several have, the first says the age."""
        some = list(some)
        said = [replace(person, lists=_first(person, providers)) for person in some]
        both = [_told(((person, (person.form,)) for person in of), cells, providers) for of in (some, said)]
        return {cell: None if both[1][cell] is None else count for cell, count in both[0].items()}

    known = [person for person in found if person.age is not None]
    people, counted = told(found), told(known)
    rest = told(person for person in found if person.age is None)  # what is left of the count beside the known
    ages: dict[Cell, list[int] | None] = {
        cell: None
        if None in (people[cell], counted[cell], rest[cell])
        else [p.age or 0 for p in known if (p.form,) == cell]
        for cell in cells
    }
    return people, ages


def form_and_gender(
    persons: Iterable[Person],
    lists: Iterable[str],
    years: Iterable[int],
    forms: Sequence[str],
    genders: Sequence[str],
) -> list[list[int]]:
    """People of some years on these lists, by form and gender, without a word on what may be told."""
    asked, wanted = set(lists), set(years)
    counted = Counter((p.form, p.gender) for p in persons if p.year in wanted and asked & set(p.lists))
    return [[counted[form, gender] for gender in genders] for form in forms]


def ages_by_gender(
    persons: Iterable[Person], lists: Iterable[str], years: Iterable[int], genders: Sequence[str]
) -> list[list[int]]:
    """The ages that are known of people of some years on these lists, by gender."""
    asked, wanted = set(lists), set(years)
    found = [p for p in persons if p.year in wanted and asked & set(p.lists) and p.age is not None]
    return [[p.age or 0 for p in found if p.gender == gender] for gender in genders]


def quartiles_by_gender(
    persons: Iterable[Person], providers: Mapping[str, set[str]], years: Iterable[int], at: Sequence[int], step: int
) -> dict[Cell, tuple[int, int] | None]:
    """Between which multiples of `step` the quantiles of ages lie of people of some years on the lists of these
    providers, where those within it, below and above are enough or, beside it, nobody."""
    asked, wanted = set().union(*providers.values()), set(years)
    found = [p for p in persons if p.year in wanted and asked & set(p.lists) and p.age is not None]
    told: dict[Cell, tuple[int, int] | None] = {}
    for gender, p in product(GENDERS, at):
        own = [(person.age or 0) // step for person in found if person.gender == gender]
        place = sorted(own)[max(-(-p * len(own) // 100) - 1, 0)] if own else 0
        here = (person for person in found if person.gender == gender)
        sides = ((person, (str((age > place) - (age < place)),)) for person, age in zip(here, own, strict=True))
        shown = _told(sides, [("-1",), ("0",), ("1",)], providers)
        whole = own and None not in shown.values()
        told[gender, str(p)] = (place * step, place * step + step - 1) if whole else None
    return told


def medians_of_records(
    persons: Iterable[Person], providers: Mapping[str, set[str]], years: Iterable[int], step: int
) -> dict[Cell, tuple[int, int] | None]:
    """Between which multiples of `step` the median age of records lies, where each provider counts its own people once
    and nobody sees who is on whose lists. Two providers' people may be the same, so what is within it, below and above
    are twice as many records as people."""
    wanted, known = set(years), [person for person in persons if person.age is not None]
    told: dict[Cell, tuple[int, int] | None] = {}
    for gender in GENDERS:
        own = {
            name: [
                (person.age or 0) // step for person in known
                if person.year in wanted and person.gender == gender and lists & set(person.lists)
            ]
            for name, lists in providers.items()
        }  # fmt: skip
        ages = sorted(age for part in own.values() for age in part)
        place = ages[(len(ages) - 1) // 2] if ages else 0
        enough = bool(ages)
        for side in (-1, 0, 1):
            parts = [sum((age > place) - (age < place) == side for age in part) for part in own.values()]
            rests = [sum(parts), *(sum(parts) - part for part in parts)]
            enough = enough and not any(0 < rest < 2 * MINIMUM for rest in rests)
        told[gender, "50"] = (place * step, place * step + step - 1) if enough else None
    return told


def design(
    persons: Iterable[Person], lists: Iterable[str], years: Iterable[int], gender: str, forms: Sequence[str]
) -> tuple[list[list[float]], list[Person]]:
    """For people of some years and forms on these lists, of known gender and age: 1, whether they are of that gender,
    and which form but the first; and who they are."""
    asked, wanted = set(lists), set(years)
    found = [
        p for p in persons
        if p.year in wanted and asked & set(p.lists) and p.form in forms and p.age is not None
        and p.gender in ("Feminine", "Masculine")
    ]  # fmt: skip
    return [[1.0, float(p.gender == gender), *(float(p.form == form) for form in forms[1:])] for p in found], found


def apart_by(
    lists: Path, persons: Iterable[Person], providers: Mapping[str, str], years: Iterable[int], within: Sequence[int]
) -> list[int | None]:
    """People of some years on the lists of these providers, one each, as their files in the folder `lists` have them:
    on one only, on two further apart than the longest of the spans, and so on to the shortest; what may be told."""
    days: dict[tuple[str, ...], dict[str, date]] = {}
    for name in providers.values():
        with (lists / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                key = (_plain(row["prs_FirstName"]), _plain(row["prs_SecondName"]), row["prs_Birthdate"])
                days.setdefault(key, {})[name] = date.fromisoformat(row["cas_IncomingReferralDate"])

    def gap(person: Person) -> str:
        key = (_plain(person.first_name), _plain(person.second_name), person.birthdate.isoformat())
        known = sorted(days[key].values())
        closest = min((later - day for day, later in pairwise(known)), default=None)
        return str((len(known) > 1) + sum(closest is not None and closest.days <= span for span in within))

    asked, wanted = set(providers.values()), set(years)
    found = [person for person in persons if person.year in wanted and asked & set(person.lists)]
    cells = [(str(number),) for number in range(2 + len(within))]
    told = _told(((p, (gap(p),)) for p in found), cells, {name: {on} for name, on in providers.items()})
    return [told[cell] for cell in cells]


def quarters_by_gender(
    persons: Iterable[Person], providers: Mapping[str, set[str]], years: Iterable[int]
) -> dict[Cell, int | None]:
    """People of some years on the lists of these providers by gender and by the quarters of all their ages; whoever has
    the age at which a quarter ends is in it."""
    asked, wanted = set().union(*providers.values()), set(years)
    found = [person for person in persons if person.year in wanted and asked & set(person.lists)]
    ages = sorted(person.age for person in found if person.age is not None)
    edges = [ages[-(-p * len(ages) // 100) - 1] for p in (25, 50, 75)]
    names = ("0 to 25 %", "25 to 50 %", "50 to 75 %", "75 to 100 %", "not known")
    counted = ((p, (names[-1 if p.age is None else bisect_left(edges, p.age)], p.gender)) for p in found)
    return _told(counted, product(names, GENDERS), providers)


def ages_and_days(
    folder: Path, names: Sequence[str], years: Iterable[int], start: str, step: int
) -> list[tuple[int, int]]:
    """Of people of some years on these lists in `folder`, of whom the first list that has them knows an age: it, and
    how many times `step` days after `start` that list has them referred."""
    found: dict[tuple[str, str, str], tuple[str, date]] = {}
    for name in names:
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                day = date.fromisoformat(row["cas_IncomingReferralDate"])
                if day.year in years:
                    who = _plain(row["prs_FirstName"]), _plain(row["prs_SecondName"]), row["prs_Birthdate"]
                    found.setdefault(who, (row["age"], day))
    first = date.fromisoformat(start)
    return [(int(age), (day - first).days // step) for age, day in found.values() if age]


def _plain(name: str) -> str:
    """Without accents, capitals and spaces too many, as clerks may have written it."""
    letters = unicodedata.normalize("NFD", name)
    return " ".join("".join(letter for letter in letters if not unicodedata.combining(letter)).casefold().split())


def _told(
    counted: Iterable[tuple[Person, Cell]],
    cells: Iterable[Cell],
    providers: Mapping[str, set[str]] = PROVIDERS,
) -> dict[Cell, int | None]:
    """None where fewer than MINIMUM would be told, in the cell or in what is left of it when one provider takes away
    its own people. Nobody at all is told as zero."""
    total: Counter[Cell] = Counter()
    own: dict[str, Counter[Cell]] = {name: Counter() for name in providers}
    for person, cell in counted:
        total[cell] += 1
        for name, lists in providers.items():
            own[name][cell] += bool(lists & set(person.lists))
    told: dict[Cell, int | None] = {}
    for cell in cells:
        rests = [total[cell], *(total[cell] - part[cell] for part in own.values())]
        told[cell] = None if any(0 < rest < MINIMUM for rest in rests) else total[cell]
    return told


def overlap(persons: Iterable[Person]) -> dict[Cell, int]:
    """People by exactly which of the five lists they are on."""
    counted = Counter(tuple(str(int(name in person.lists)) for name in LISTS) for person in persons)
    return {cell: counted[cell] for cell in product("01", repeat=5) if "1" in cell}


def cells(answer: dict[str, object]) -> dict[Cell, int | None]:
    """The rows of `run --json`, by their codes; checks that a suppressed cell says so."""
    *codes, count = answer["columns"]  # type: ignore[misc]
    assert count == "count"
    found: dict[Cell, int | None] = {}
    for row in answer["rows"]:  # type: ignore[attr-defined]
        assert row.get("suppressed", []) == ([] if row["count"] is not None else ["count"])
        found[tuple(str(row[name]) for name in codes)] = row["count"]
    return found


def times_to_referral(folder: Path) -> list[tuple[str, int, bool, set[str]]]:
    """Of women and men on the lists NG and GP in `folder` whose exploitation began from 2010 to 2012: sex, days until
    they were referred or until the end of 2013, whether they were referred by then, and who has them. Of two days of
    referral, care's counts."""
    found: dict[tuple[str, str, str], tuple[str, int, bool, set[str]]] = {}
    for name, provider in (("NG", "care"), ("GP", "registry")):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                since, until, end = row["exploited_since"], row["cas_IncomingReferralDate"], "2013-12-31"
                if not "2010-01-01" <= since <= "2012-12-31" or row["prs_Gender"] not in ("Feminine", "Masculine"):
                    continue
                days = (date.fromisoformat(min(until, end)) - date.fromisoformat(since)).days
                who = _plain(row["prs_FirstName"]), _plain(row["prs_SecondName"]), row["prs_Birthdate"]
                found.setdefault(who, (row["prs_Gender"], days, until <= end, set()))[-1].add(provider)
    return list(found.values())


def cases(own: Path, other: Path) -> dict[int, bool]:
    """Of one suspect list's file, whether the person of each case is on the other file too."""

    def read(file: Path) -> list[tuple[int, tuple[str, ...]]]:
        with file.open(encoding="utf-8", newline="") as lines:
            return [
                (int(row["case"]), (_plain(row["prs_FirstName"]), _plain(row["prs_SecondName"]), row["prs_Birthdate"]))
                for row in csv.DictReader(lines)
            ]

    there = {person for _, person in read(other)}
    return {case: person in there for case, person in read(own)}
