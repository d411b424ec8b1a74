"""`isthmus datasets publish | editions` on an owner's files and database, without a running agent."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.config import AgentConfig
from connectors.holdings import open_holdings
from connectors.publishing import Publisher, editions_folder, newest_copies
from connectors.sources import copies
from gateway.config import load
from gateway.domain.audit import Fact
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.edges.keys import write_secret
from gateway.edges.store.database import Database
from gateway.edges.store.editions import StoredEdition
from tests.examples import NOW, POLICE
from tests.held import people
from tests.owner import HEADER, Done, Owner


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    made = Owner.of(tmp_path / "space", POLICE, people(range(40)))
    with_database(made, lambda _: nothing())
    return made


async def nothing() -> None:
    return None


def with_database(owner: Owner, work: Callable[[Database], object]) -> object:
    async def run() -> object:
        async with await Database.open(owner.url) as database:
            return await work(database)  # type: ignore[misc]

    return asyncio.run(run())


def facts(owner: Owner) -> list[tuple[str, str]]:
    async def read(database: Database) -> Sequence[Fact]:
        return await database.audit.read(start=0, limit=1000)

    return [(fact.kind, fact.detail) for fact in with_database(owner, read)]  # type: ignore[attr-defined]


def copies_of(owner: Owner) -> list[str]:
    return sorted(file.name for file in owner.copies.iterdir() if file.name != copies.LOCK)


def outcome(done: Done) -> tuple[int, str, str]:
    """Exit code, what became of it, and the edition in force."""
    edition = done.plain["edition"]
    return done.code, done.plain["outcome"], "" if edition is None else edition["id"]


def published(owner: Owner, lines: Sequence[str], id: str) -> None:
    owner.write(lines)
    assert outcome(owner.publish("--id", id)) == (0, "published", id)


def refused(owner: Owner, *options: object) -> tuple[int, str, str]:
    """Exit code, reason and field; nothing has changed by it."""
    before = facts(owner), owner.editions().plain.get("editions")
    done = owner.publish(*options)
    assert (facts(owner), owner.editions().plain.get("editions")) == before
    assert done.error.count("\n") == 1 and done.error.startswith("isthmus: ")
    assert not (owner.copies / ".new.csv").exists()
    told = done.plain["error"]
    return done.code, told["reason"], told.get("field", "")


def test_an_edition_is_a_read_only_copy_of_the_bytes_that_were_checked(owner: Owner) -> None:
    done = owner.publish("--id", "2026-05")
    assert outcome(done) == (0, "published", "2026-05")
    (copy,) = owner.copies.glob("*.csv")
    assert copy.read_bytes() == owner.source.read_bytes()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o400
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (owner.copies, owner.copies.parent)} == {0o700}
    assert facts(owner) == [("edition.published", "edition 2026-05")]
    owner.write(people(range(500)))
    assert copy.read_text().count("\n") == 41


def test_few_changes_wait_and_are_published_together_with_the_next(owner: Owner) -> None:
    published(owner, people(range(40)), "2026-04")
    owner.write(people(range(47)))
    waits = owner.publish("--id", "2026-05")
    assert outcome(waits) == (3, "waits", "2026-04")
    said = "7 rows have changed since edition 2026-04; they are published once there are 11."
    assert owner.said("publish") == owner.said("editions").splitlines()[-1] + "\n" == said + "\n"
    assert outcome(owner.editions()) == (0, "waits", "2026-04") and len(facts(owner)) == 1
    owner.write(people(range(51)))
    assert "Ready to be published: 11 rows new, 0 gone." in owner.said("editions")
    assert outcome(owner.publish("--id", "2026-05")) == (0, "published", "2026-05")
    again = owner.publish("--id", "2026-06")
    assert outcome(again) == (0, "unchanged", "2026-05")
    assert owner.said("publish") == "Nothing has changed since edition 2026-05.\n"


def test_what_waits_leaves_no_trace(owner: Owner) -> None:
    published(owner, people(range(40)), "2026-04")

    def rows() -> list[tuple[object, ...]]:
        with sqlite3.connect(owner.folder / "agent.db") as connection:
            return connection.execute("SELECT * FROM known_rows").fetchall()

    before = rows()
    owner.write(people(range(45)))
    assert owner.publish().code == 3 and owner.editions().code == 0
    assert rows() == before and copies_of(owner) == ["1.csv"]


def test_how_many_rows_have_changed_stands_in_no_record(owner: Owner) -> None:
    published(owner, people(range(40)), "2026-04")
    published(owner, people(range(357)), "2026-05")
    assert "317" not in str(facts(owner)) and "357" not in str(facts(owner))


def test_the_copies_of_the_last_two_editions_are_kept(owner: Owner) -> None:
    for number in range(1, 5):
        published(owner, people(range(40 * number)), f"e{number}")
    assert copies_of(owner) == ["3.csv", "4.csv"]
    assert [kind for kind, _ in facts(owner)].count("edition.deleted") == 2
    assert ("edition.deleted", "the copy of edition e1") in facts(owner)
    listed = owner.editions().plain["editions"]
    assert [(one["id"], one["copy"]) for one in listed] == [
        ("e1", ""), ("e2", ""), ("e3", "list/3.csv"), ("e4", "list/4.csv"),
    ]  # fmt: skip
    owner.write(people(range(45)))
    near = owner.said("publish")  # a deleted copy's rows still count
    assert " ".join(near.split()) == "The rows differ by 5 alone from edition e1; they are published once there are 11."


def test_the_row_bound_stays_and_is_doubled_when_the_rows_need_it_or_is_what_the_owner_says(owner: Owner) -> None:
    bounds = []
    for rows, options in ((40, ()), (64, ()), (200, ()), (250, ("--row-bound", 300)), (301, ()), (100, ())):
        owner.write(people(range(rows)))
        done = owner.publish(*options)
        assert done.code == 0, done
        bounds.append(done.plain["edition"]["row_bound"])
    assert bounds == [64, 64, 256, 300, 600, 600]
    owner.write(people(range(200)))
    assert refused(owner, "--row-bound", 199) == (5, "ROWS_EXCEED_BOUND", "--row-bound")
    assert refused(owner, "--row-bound", 1 << 30)[1] == "ROWS_EXCEED_BOUND"


def test_an_edition_is_called_by_its_day_or_as_its_owner_says_and_never_as_another(owner: Owner) -> None:
    first = owner.publish().plain["edition"]["id"]
    owner.write(people(range(80)))
    second = owner.publish().plain["edition"]["id"]
    assert len(first) == 10 and second in (f"{first}.2", second) and second != first
    owner.write(people(range(120)))
    assert refused(owner, "--id", first) == (2, "ALREADY_EXISTS", "--id")
    assert refused(owner, "--id", "2026-1")[1] == "ALREADY_EXISTS"  # as the description calls what was there before
    for odd in ("../2026", "a b", "", "a" * 65):
        assert refused(owner, "--id", odd) == (2, "INVALID_ARGUMENT", "--id")


def test_rows_that_break_the_description_are_counted_per_rule_and_nothing_is_published(owner: Owner) -> None:
    published(owner, people(range(40)), "2026-04")
    owner.write([*people(range(40)), *people(range(60, 63), "Canarycode"), "Canaryname,someday,1,,,2013,LABOUR"])
    done = owner.publish()
    assert (done.code, done.plain["outcome"], done.plain["edition"]["id"]) == (5, "broken", "2026-04")
    assert done.plain["problems"] == [
        {"rule": "not an ISO date", "column": "born", "rows": 1, "lines": [45]},
        {"rule": "code not in list", "column": "form", "rows": 3, "lines": [42, 43, 44]},
    ]
    assert "born: not an ISO date (1 row, first in line 45)" in owner.said("publish")
    assert "Canary" not in done.error + str(done.plain) + owner.said("publish")
    assert copies_of(owner) == ["1.csv"] and len(facts(owner)) == 1


def link(owner: Owner) -> None:
    elsewhere = owner.folder / "elsewhere.csv"
    owner.source.rename(elsewhere)
    owner.source.symlink_to(elsewhere)


def linked_folder(owner: Owner) -> None:
    (owner.folder / "data" / "real").mkdir()
    owner.source.rename(owner.folder / "data" / "real" / "list.csv")
    (owner.folder / "data" / "sub").symlink_to(owner.folder / "data" / "real")
    owner.describe("sub/list.csv")


UNUSABLE: dict[str, tuple[Callable[[Owner], object], str]] = {
    "a symlink": (link, "symlink"),
    "a symlink on the way": (linked_folder, "symlink"),
    "a path out of the folder": (lambda owner: owner.describe("../list.key"), "leaves the allowed folder"),
    "a wildcard": (lambda owner: owner.describe("*.csv"), "wildcards"),
    "no file": (lambda owner: owner.source.unlink(), "no such file"),
    "another kind of file": (lambda owner: owner.describe("list.json"), "neither .csv nor .parquet"),
    "half a line": (lambda owner: owner.source.write_text(f'{HEADER}\nCanaryname,"Canary'), "cannot be read"),
    "no text": (lambda owner: owner.source.write_bytes(b"\xff\xfe\x00"), "cannot be read"),
    "half a Parquet file": (
        lambda owner: (owner.describe("list.parquet"), (owner.folder / "data" / "list.parquet").write_bytes(b"PAR1")),
        "cannot be read",
    ),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_source_that_cannot_be_used_changes_nothing(owner: Owner, what: str) -> None:
    published(owner, people(range(40)), "2026-04")
    owner.write(people(range(80)))
    breaks, said = UNUSABLE[what]
    breaks(owner)
    assert refused(owner) == (5, "SOURCE_UNREADABLE", "path")
    told = owner.publish().error
    assert said in told and "Canary" not in told
    assert copies_of(owner) == ["1.csv"]


def test_a_source_that_is_written_to_meanwhile_is_not_published(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = copies.shutil.copyfileobj

    def written_to(old: object, new: object, length: int) -> None:
        copied(old, new, length)  # type: ignore[arg-type]
        with owner.source.open("a") as file:
            file.write("Bo,1990-01-02,30,,,2013,LABOUR\n")

    monkeypatch.setattr(copies.shutil, "copyfileobj", written_to)
    assert refused(owner) == (5, "SOURCE_UNREADABLE", "path")
    assert "written to at the moment" in owner.publish().error


def test_a_fifo_in_place_of_the_source_is_not_waited_for(owner: Owner) -> None:
    owner.source.unlink()
    os.mkfifo(owner.source)
    assert refused(owner)[1] == "SOURCE_UNREADABLE"


def test_a_source_that_has_shrunk_to_nothing_is_no_edition(owner: Owner) -> None:
    published(owner, people(range(40)), "2026-04")
    owner.write([])
    assert outcome(owner.publish()) == (3, "waits", "2026-04")
    assert owner.said("publish") == "The source has 0 rows; they are published once there are 11.\n"


def test_a_dataset_that_the_agent_does_not_hold_is_refused(owner: Owner) -> None:
    owner.agent.write_text(owner.agent.read_text().replace('datasets = ["list.toml"]', "datasets = []"))
    done = owner.publish()
    assert (done.code, done.plain["error"]["field"]) == (2, "datasets")


def test_a_folder_that_others_can_look_into_is_refused(owner: Owner) -> None:
    owner.copies.parent.mkdir()
    owner.copies.parent.chmod(0o755)
    assert refused(owner) == (2, "CONFIGURATION", "editions")


def test_a_folder_that_cannot_be_written_is_named(owner: Owner) -> None:
    owner.copies.parent.mkdir(mode=0o700)
    owner.copies.write_text("a file where a folder belongs")
    done = owner.publish()
    assert (done.code, done.plain["error"]["reason"]) == (2, "CONFIGURATION")
    assert str(owner.copies.parent) in done.error and facts(owner) == []


def test_a_disk_that_is_full_leaves_nothing_half_written(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copies.shutil, "copyfileobj", full)
    assert refused(owner) == (2, "CONFIGURATION", "editions")
    assert copies_of(owner) == []


def test_what_a_publisher_that_died_left_behind_is_no_edition_and_goes(owner: Owner) -> None:
    published(owner, people(range(40)), "2026-04")
    (owner.copies / "2.csv").write_text("copied and renamed, and then the power went")
    (owner.copies / ".new.parquet").write_text("half")
    assert outcome(owner.editions())[1] == "unchanged"
    published(owner, people(range(80)), "2026-05")
    assert copies_of(owner) == ["1.csv", "2.csv"]
    assert (owner.copies / "2.csv").read_bytes() == owner.source.read_bytes()


@pytest.mark.parametrize("damage", [lambda copy: copy.unlink(), lambda copy: copy.write_text(f"{HEADER}\n")])
def test_a_copy_that_was_lost_or_damaged_is_made_again_while_nothing_has_changed(
    owner: Owner, damage: Callable[[Path], object]
) -> None:
    published(owner, people(range(40)), "2026-04")
    copy = owner.copies / "1.csv"
    copy.chmod(0o600)
    damage(copy)
    with pytest.raises(IsthmusError) as stops:
        at_start(owner)
    assert stops.value.reason is Reason.SOURCE_UNREADABLE
    done = owner.publish()
    assert (outcome(done), done.plain["restored"]) == ((0, "unchanged", "2026-04"), True)
    assert copy.read_bytes() == owner.source.read_bytes() and stat.S_IMODE(copy.stat().st_mode) == 0o400
    assert facts(owner)[1:] == [("edition.restored", "the copy of edition 2026-04")]
    assert at_start(owner) == "2026-04"
    assert owner.publish().plain["restored"] is False


def at_start(owner: Owner) -> str:
    """The edition that an agent offers which starts now."""

    async def run(database: Database) -> str:
        folder = editions_folder(load(AgentConfig, owner.agent), owner.folder)
        published = await newest_copies(database.editions, folder)
        (holding,) = open_holdings(EntityId(POLICE), [owner.dataset], published).values()
        assert holding.dataset.terms.purposes == ("trend-monitoring",)
        return holding.dataset.edition.id

    return str(with_database(owner, run))


def test_an_agent_that_starts_answers_from_the_newest_edition_whatever_became_of_the_source(owner: Owner) -> None:
    assert at_start(owner) == "2026-1"  # as described, while nothing is published
    published(owner, people(range(40)), "2026-04")
    published(owner, people(range(80)), "2026-05")
    owner.source.write_text("no table any more")
    assert at_start(owner) == "2026-05"
    owner.source.unlink()
    assert at_start(owner) == "2026-05"
    owner.describe(forms=("OTHER", "SEXUAL"))
    with pytest.raises(IsthmusError) as stops:
        at_start(owner)
    assert "the copy of edition 2026-05" in str(stops.value) and "code not in list in form (80 rows" in str(stops.value)


def test_of_two_publishers_at_once_one_publishes(owner: Owner) -> None:
    """Two processes, as far as file locks and databases are concerned: each with descriptors and a loop of its own."""
    found: list[str] = []
    settings = load(AgentConfig, owner.agent)

    def publish() -> None:
        async def run(database: Database) -> str:
            publisher = Publisher(settings, editions_folder(settings, owner.folder), database, lambda: NOW)
            decision = (await publisher.publish(owner.dataset)).decision
            assert decision is not None
            return decision.outcome.value

        found.append(str(with_database(owner, run)))

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["published", "unchanged", "unchanged", "unchanged"]
    assert [kind for kind, _ in facts(owner)] == ["edition.published"] and copies_of(owner) == ["1.csv"]


def test_of_two_machines_that_publish_one_number_or_one_name_the_first_is_written(owner: Owner) -> None:
    """Where no lock of files reaches: the database decides, and the second leaves no record."""
    first = StoredEdition("list", 1, "2026-05", NOW, "5" * 64, 64, b"", "list/1.csv")
    others = [replace(first, id="2026-06"), replace(first, number=2)]
    fact = Fact(NOW, "edition.published", POLICE, "list", "edition")

    async def run(database: Database) -> list[bool]:
        return [await database.editions.publish(edition, (), [fact]) for edition in (first, *others)]

    assert with_database(owner, run) == [True, False, False]
    assert facts(owner) == [("edition.published", "edition")]


def redescribed(owner: Owner, leave_out: str) -> None:
    """The description without one column."""
    kept = [part for part in owner.dataset.read_text().split("[[columns]]") if f'name = "{leave_out}"' not in part]
    owner.dataset.write_text("[[columns]]".join(kept))


@pytest.mark.parametrize("more", [1, 10])
def test_few_changes_wait_under_another_description_too(owner: Owner, more: int) -> None:
    """Rows are known by all of their cells; else a column more would make everybody seem to be somebody else."""
    published(owner, people(range(40)), "2026-04")
    published(owner, people(range(60)), "2026-05")
    redescribed(owner, "note")
    owner.write(people(range(more, 60)))
    waits = owner.publish("--id", "2026-06")
    assert outcome(waits) == (3, "waits", "2026-05")
    assert (waits.plain["apart"], waits.plain["come"], waits.plain["gone"]) == (more, 0, more)
    assert waits.plain["since"] == "2026-05"
    owner.write(people(range(more, 80)))
    assert outcome(owner.publish("--id", "2026-06")) == (0, "published", "2026-06")


@pytest.mark.parametrize("more", [1, 10])
def test_few_changes_wait_though_the_description_and_how_days_are_written_change_with_them(
    owner: Owner, more: int
) -> None:
    """No row is known by its hash, and no day by its text."""
    published(owner, people(range(40)), "2026-04")
    redescribed(owner, "note")
    born = 'name = "born"\ntype = "date"'
    text = owner.dataset.read_text()
    assert born in text
    owner.dataset.write_text(text.replace(born, f'{born}\ndates = ["DD.MM.YYYY"]'))
    owner.write(line.replace("1990-01-02", "02.01.1990") for line in people(range(more, 40)))
    waits = owner.publish("--id", "2026-05")
    assert outcome(waits) == (3, "waits", "2026-04")
    assert (waits.plain["come"], waits.plain["gone"]) == (0, more)
    # And back again: what was written with points is compared with what is not.
    owner.write(line.replace("1990-01-02", "02.01.1990") for line in people(range(60)))
    assert outcome(owner.publish("--id", "2026-05")) == (0, "published", "2026-05")
    owner.dataset.write_text("[[columns]]".join(part for part in text.split("[[columns]]") if '"age"' not in part))
    owner.write(people(range(more, 60)))
    assert outcome(owner.publish("--id", "2026-06")) == (3, "waits", "2026-05")


def test_a_folder_among_the_copies_does_not_make_a_publication_seem_to_have_failed(owner: Owner) -> None:
    (owner.copies / "lost+found").mkdir(parents=True)
    owner.copies.parent.chmod(0o700)
    published(owner, people(range(40)), "2026-04")
    published(owner, people(range(60)), "2026-05")
    assert copies_of(owner) == ["1.csv", "2.csv", "lost+found"]


def test_few_changes_wait_under_another_key_too(owner: Owner) -> None:
    published(owner, people(range(40)), "2026-04")
    (owner.folder / "list.key").unlink()
    write_secret(owner.folder / "list.key", b"k" * 32)
    owner.write(people(range(43)))
    assert outcome(owner.publish("--id", "2026-05")) == (3, "waits", "2026-04")


def test_a_description_that_changes_alone_is_published(owner: Owner) -> None:
    published(owner, people(range(40)), "2026-04")
    redescribed(owner, "note")
    assert outcome(owner.publish("--id", "2026-05")) == (0, "published", "2026-05")


def test_without_a_copy_to_compare_with_nothing_is_published_under_another_description(owner: Owner) -> None:
    published(owner, people(range(40)), "2026-04")
    redescribed(owner, "note")
    owner.write(people(range(41)))
    for copy in owner.copies.glob("*.csv"):
        copy.unlink()
    done = owner.publish("--id", "2026-05")
    assert (done.code, done.plain["error"]["field"]) == (2, "columns") and "backup" in done.error
    assert outcome_of_newest(owner) == "2026-04"


def outcome_of_newest(owner: Owner) -> str:
    (newest,) = with_database(owner, lambda database: database.editions.of("spaces/police.example/datasets/list"))  # type: ignore[misc]
    return str(newest.id)
