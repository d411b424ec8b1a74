"""Days in the formats that owners declare: read as the same days, and never guessed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from connectors.sources.pooling import Adding
from connectors.sources.tables import DatasetSource, Problem, SourceConfig, YearOf
from connectors.vocabularies.days import FORMATS, ISO
from gateway.domain.dataset import Code, Column, ColumnType
from gateway.domain.errors import IsthmusError
from gateway.domain.query import Between, Filter
from tests.unit.test_key_rules import AGE, NAME, described

KEY = b"k" * 32
# The same as strptime and strftime have them, which pad or take one digit.
PYTHON = {
    "YYYY-MM-DD": "%Y-%m-%d",
    "YYYYMMDD": "%Y%m%d",
    "YYYY/MM/DD": "%Y/%m/%d",
    "DD.MM.YYYY": "%d.%m.%Y",
    "D.M.YYYY": "%d.%m.%Y",
    "DD/MM/YYYY": "%d/%m/%Y",
    "D/M/YYYY": "%d/%m/%Y",
    "DD-MM-YYYY": "%d-%m-%Y",
    "MM/DD/YYYY": "%m/%d/%Y",
    "M/D/YYYY": "%m/%d/%Y",
}
BORN = Column("born", ColumnType.DATE)
YEARS = tuple(Code(str(year), "") for year in range(1990, 2000))
COLUMNS = (
    Column("name", ColumnType.TEXT),
    BORN,
    Column("seen", ColumnType.DATE, least="1990-01-01", most="1999-12-31"),
    Column("year", ColumnType.CODE, codes=YEARS),
)


def written(folder: Path, cells: Sequence[str], formats: Sequence[str]) -> DatasetSource:
    (folder / "days.csv").write_text("\n".join(["born", *cells, ""]))
    return DatasetSource(SourceConfig(folder, "days.csv", (BORN,), dates={"born": formats}))


def days() -> list[date]:
    """Ends of months and leap years among them."""
    chance = random.Random(6)
    first = date(1000, 1, 1)
    some = [first + timedelta(days=chance.randrange(365_000)) for _ in range(400)]
    return [date(2000, 2, 29), date(1990, 5, 3), date(1990, 3, 5), date(1999, 12, 31), date(2010, 10, 10), *some]


def test_the_list_of_formats_is_the_one_that_is_tested() -> None:
    assert list(FORMATS) == list(PYTHON)


@pytest.mark.parametrize("name", PYTHON)
def test_a_day_in_its_format_is_the_day_that_python_reads(tmp_path: Path, name: str) -> None:
    cells = [day.strftime(PYTHON[name]) for day in days()]
    if name[1] in "./":  # one digit is enough, for either
        sign = name[1]
        cells += [sign.join(part.removeprefix("0") for part in cell.split(sign)) for cell in cells]
        cells += ["1/02/1990".replace("/", sign), "01/2/1990".replace("/", sign)]
    source = written(tmp_path, [*cells, "1987-06-05"], (name,))
    pinned = source.check(KEY).pinned
    assert pinned is not None
    found = [row[0] for row in source.read(["born"], key=KEY, pinned=pinned)]
    assert found == [*(datetime.strptime(cell, PYTHON[name]).date().isoformat() for cell in cells), "1987-06-05"]


@pytest.mark.parametrize(
    ("cell", "formats"),
    [
        ("03.05.1990", ()),
        ("03.05.1990", ("DD/MM/YYYY", "DD-MM-YYYY", "YYYYMMDD")),
        ("3.5.1990", ("DD.MM.YYYY",)),
        ("03.05.90", ("DD.MM.YYYY", "D.M.YYYY")),
        ("31.04.1990", ("DD.MM.YYYY",)),
        ("05/13/1990", ("DD/MM/YYYY",)),
        ("13/05/1990", ("MM/DD/YYYY",)),
        ("29.02.1900", ("D.M.YYYY",)),
        ("00.05.1990", ("DD.MM.YYYY",)),
        ("03.05.0000", ("DD.MM.YYYY",)),
        ("03x05x1990", ("DD.MM.YYYY",)),
        (" 03.05.1990", ("DD.MM.YYYY",)),
        ("٠٣.٠٥.١٩٩٠", ("DD.MM.YYYY",)),
        ("003.05.1990", ("D.M.YYYY",)),
        ("1990503", ("YYYYMMDD",)),
        ("03.05.1990 00:00", ("DD.MM.YYYY",)),
    ],
)
def test_what_is_in_none_of_the_formats_is_a_broken_row(tmp_path: Path, cell: str, formats: tuple[str, ...]) -> None:
    report = written(tmp_path, ["1990-05-03", cell], formats).check(KEY)
    (problem,) = report.problems
    assert (problem.column, problem.rows, problem.lines, report.pinned) == ("born", 1, (3,), None)


def test_days_of_different_formats_stand_in_one_column(tmp_path: Path) -> None:
    source = written(tmp_path, ["3.5.1990", "19900503", "1990-05-03", '""'], ("D.M.YYYY", "YYYYMMDD"))
    pinned = source.check(KEY).pinned
    assert pinned is not None
    assert [row[0] for row in source.read(["born"], key=KEY, pinned=pinned)] == ["1990-05-03"] * 3 + [None]


def test_everything_that_is_asked_of_a_day_is_the_same_in_every_format(tmp_path: Path) -> None:
    """Snapshot, identities, who is who, filters, and days that are added up."""
    seen = (date(1990, 5, 3), date(1990, 3, 5), date(1995, 12, 31), date(1999, 1, 2))
    people = list(zip(("Ana", "Bo", "Cai", "Di"), seen, strict=True))
    sources = []
    for name, format in (("iso.csv", ISO), ("other.csv", "D.M.YYYY")):
        lines = [f"{who},{day.strftime(PYTHON[format])},{day.strftime(PYTHON[format])}" for who, day in people]
        (tmp_path / name).write_text("\n".join(["name,born,seen", *lines, "Eva,1980-01-01,", ""]))
        dates = {} if format == ISO else {"born": (format,), "seen": (format,)}
        config = SourceConfig(tmp_path, name, COLUMNS[:3], ("name", "born"), dates=dates)
        sources.append(DatasetSource(config))
    reports = [source.check(KEY) for source in sources]
    pinned = reports[0].pinned
    assert reports[0] == reports[1] and pinned is not None
    kept = [Filter("seen", between=Between("1990-04-01", "1995-12-31"))]
    first, added = sources[0].people([], key=KEY, pinned=pinned).places[:1], [Adding("seen", 7000, True, True)]
    answers = [
        (
            source.read(["name", "born", "seen"], kept, key=KEY, pinned=pinned),
            source.identities(kept, key=KEY, pinned=pinned).tolist(),
            source.people(kept, key=KEY, pinned=pinned).keys.tolist(),
            source.groups(["name"], added, kept, first, key=KEY, pinned=pinned),
        )
        for source in sources
    ]
    assert answers[0] == answers[1] and [row[0] for row in answers[0][0]] == ["Ana", "Cai"]
    day = (date(1995, 12, 31) - date(1970, 1, 1)).days
    assert answers[0][3] == [("Cai", 1, 1, day - 7000, (day - 7000) ** 2)]


def test_the_year_is_derived_and_bounds_hold_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("name,born,seen\nAna,03.05.1990,3.5.1990\nBo,1990-03-05,31.12.1999\n")
    dates = {"born": ("DD.MM.YYYY",), "seen": ("D.M.YYYY",)}
    config = SourceConfig(tmp_path, "list.csv", COLUMNS, ("name",), (YearOf("year", "seen"),), dates)
    source = DatasetSource(config)
    pinned = source.check(KEY).pinned
    assert pinned is not None
    assert [row[0] for row in source.read(["year"], key=KEY, pinned=pinned)] == ["1990", "1999"]
    (tmp_path / "list.csv").write_text("name,born,seen\nAna,03.05.1990,1.1.2000\nBo,1990-03-05,seen\n")
    found = {(problem.rule, problem.column): problem.lines for problem in source.check(KEY).problems}
    assert found[("not a date of its formats", "seen")] == (3,)
    assert (2,) in [lines for (_, column), lines in found.items() if column == "seen"]


@pytest.mark.parametrize(
    "dates",
    [{"name": ("DD.MM.YYYY",)}, {"year": ("DD.MM.YYYY",)}, {"nothing": (ISO,)}, {"born": ("DD/MM/YYYY", "M/D/YYYY")}],
)
def test_formats_that_cannot_be_are_refused_by_name(tmp_path: Path, dates: dict[str, tuple[str, ...]]) -> None:
    (name,) = dates
    with pytest.raises(ValueError, match=name):
        DatasetSource(SourceConfig(tmp_path, "list.csv", COLUMNS, ("name",), (YearOf("year", "seen"),), dates))


def test_formats_are_declared_for_dates_from_the_list_and_read_in_one_way(tmp_path: Path) -> None:
    born = 'name = "prs_Birthdate"\n'
    settings = described(tmp_path, born, born + 'dates = ["DD.MM.YYYY", "D.M.YYYY"]\n')
    assert {column.name: column.dates for column in settings.columns}["prs_Birthdate"] == ("DD.MM.YYYY", "D.M.YYYY")
    for where, formats, why in (
        (born, '["DD/MM/YYYY", "MM/DD/YYYY"]', "03/05 could be two days"),
        (born, '["DD.MM.YY"]', "Did you mean DD.MM.YYYY"),
        (NAME, '["DD.MM.YYYY"]', "dates is for dates"),
        (AGE, '["YYYYMMDD"]', "dates is for dates"),
    ):
        with pytest.raises(IsthmusError, match=why):
            described(tmp_path, where, f"{where}dates = {formats}\n")


def test_a_report_on_what_is_no_day_does_not_quote_it(tmp_path: Path) -> None:
    report = written(tmp_path, ["Canary"], ("DD.MM.YYYY",)).check(KEY)
    assert report.problems == (Problem("not a date of its formats", "born", 1, (2,)),)
