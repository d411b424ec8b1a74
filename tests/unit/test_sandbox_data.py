"""The demonstration's lists: nobody real, the published overlaps, spellings that linking undoes."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from connectors.sources.linking import link_locally
from connectors.sources.tables import DatasetSource, SourceConfig, YearOf
from gateway.client.estimates import OverlapTable
from gateway.client.estimates.reading import read_table
from gateway.domain.dataset import Column
from gateway.sandbox import data, suspects

SEED = 20130
MSE = Path(__file__).parents[1] / "data" / "mse"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lists")
    data.write_lists(folder, SEED)
    return folder


def as_a_clerk_reads(name: str) -> str:
    """An own reading of the declared normalisation, for comparison."""
    letters = (c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    return " ".join("".join(letters).split())


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_lists_on_disk_overlap_in_exactly_the_published_pattern(folder: Path) -> None:
    source = read_table(MSE / "uk_2013_5lists.csv").table
    on: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for name in source.lists:
        for row in rows(folder, name):
            key = as_a_clerk_reads(row["prs_FirstName"]), as_a_clerk_reads(row["prs_SecondName"])
            on[(*key, row["prs_Birthdate"])].add(name)
    patterns: dict[tuple[int, ...], int] = defaultdict(int)
    for lists in on.values():
        patterns[tuple(int(name in lists) for name in source.lists)] += 1
    assert len(on) == 2744
    assert OverlapTable.from_patterns(source.lists, patterns.items()) == source == data.published()
    assert data.overlap(data.people(SEED)) == source


def test_sources_and_linking_find_the_published_pattern_and_the_true_groups(folder: Path) -> None:
    columns = {column.name: column for column in data.columns()}
    names = data.published().lists
    wanted = [*data.KEY_COLUMNS, data.FORM, data.YEAR]
    lists = []
    for index, name in enumerate(names):
        source = DatasetSource(
            SourceConfig(
                folder,
                f"{name}.csv",
                data.columns(),
                data.KEY_COLUMNS,
                (YearOf(data.YEAR, data.REFERRED),),
            )
        )
        key = bytes(32)
        report = source.check(key)
        assert report.problems == () and report.pinned is not None
        lists.append((index, source.read(wanted, key=key, pinned=report.pinned)))
    groups = [columns[data.FORM], columns[data.YEAR]]
    linked = link_locally(lists, [columns[name] for name in data.KEY_COLUMNS], groups, b"s" * 32)
    counts = [0] * 31
    cells: dict[tuple[str, int], int] = defaultdict(int)
    for mask, (form, year) in zip(linked.lists, linked.codes, strict=True):
        counts[mask - 1] += 1
        cells[groups[0].codes[form].value, int(groups[1].codes[year].value)] += 1
    assert tuple(counts) == data.published().counts
    assert linked.conflicts == 0
    truth = data.form_by_year(data.people(SEED))
    assert dict(cells) == {cell: count for cell, count in truth.items() if count}


def test_a_person_has_one_form_and_one_year_but_dates_and_spellings_of_each_list(folder: Path) -> None:
    by_person: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    for name in data.published().lists:
        for row in rows(folder, name):
            key = as_a_clerk_reads(row["prs_FirstName"]), as_a_clerk_reads(row["prs_SecondName"])
            by_person[(*key, row["prs_Birthdate"])].append(row)
    shared = [records for records in by_person.values() if len(records) > 1]
    for records in shared:
        assert len({row[data.FORM] for row in records}) == 1
        assert len({row[data.REFERRED][:4] for row in records}) == 1
    assert any(len({row[data.REFERRED] for row in records}) > 1 for records in shared)
    spellings = [{row["prs_FirstName"] for row in records} for records in shared]
    assert sum(len(spelling) > 1 for spelling in spellings) > len(shared) // 10


def test_lists_differ_in_the_order_of_the_people_they_share(folder: Path) -> None:
    def order(name: str) -> list[tuple[str, str]]:
        return [(row["prs_Birthdate"], as_a_clerk_reads(row["prs_SecondName"])) for row in rows(folder, name)]

    first, second = order("NG"), order("PFNCA")
    both = set(first) & set(second)
    assert [one for one in first if one in both] != [one for one in second if one in both]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_people(folder: Path, tmp_path: Path) -> None:
    again = data.write_lists(tmp_path / "again", SEED)
    other = data.write_lists(tmp_path / "other", SEED + 1)
    for name, path in again.items():
        assert path.read_bytes() == (folder / f"{name}.csv").read_bytes()
        assert path.read_bytes() != other[name].read_bytes()


def test_groups_have_large_small_and_empty_cells_and_add_up_to_everyone() -> None:
    cells = data.form_by_year(data.people(SEED))
    assert sum(cells.values()) == 2744 and len(cells) == 11 * 6
    assert sum(count == 0 for count in cells.values()) >= 6
    assert sum(0 < count < 11 for count in cells.values()) >= 6
    assert sum(count >= 11 for count in cells.values()) >= 20


def test_code_lists_are_the_standard_s_and_every_weighted_code_is_in_them() -> None:
    columns: dict[str, Column] = {column.name: column for column in data.columns()}
    forms = {code.value for code in columns[data.FORM].codes}
    assert forms == set(data.FORM_WEIGHTS) and "OrganRemoval" in forms
    assert set(data.GENDER_WEIGHTS) <= {code.value for code in columns["prs_Gender"].codes}
    tables = Path(data.__file__).parent / "tables"
    for table in tables.glob("*.csv"):
        assert table.read_text(encoding="utf-8").startswith("# "), f"{table.name} names no source"
    assert "CC BY 4.0" in (tables / "htcds_v2_codelists.csv").read_text(encoding="utf-8")


def test_the_suspect_lists_have_the_people_they_should_in_common_and_a_case_for_each(tmp_path: Path) -> None:
    on: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for space in suspects.TITLES:
        suspects.write_list(tmp_path / f"{space}.csv", space, SEED)
        suspects.write_list(tmp_path / "again.csv", space, SEED)
        assert (tmp_path / "again.csv").read_bytes() == (tmp_path / f"{space}.csv").read_bytes()
        found = rows(tmp_path, space)
        for row in found:
            key = as_a_clerk_reads(row["prs_FirstName"]), as_a_clerk_reads(row["prs_SecondName"])
            on[(*key, row["prs_Birthdate"])].add(space)
        cases = {int(row[suspects.CASE]) for row in found}
        assert len(cases) == len(found) <= suspects.ROW_BOUND and max(cases) <= suspects.MOST_CASE
        assert len(found) >= suspects.LEAST_LIST
    assert Counter(tuple(sorted(lists)) for lists in on.values()) == suspects.PATTERNS
