"""The own list of a space or an anchor: signed from a file, in numbers that go up, and laid ready for who asks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.revocation import Revoked
from gateway.edges.herald import Shelf
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.revocations import read_stored
from gateway.edges.revoking import HEAD, Entry, OwnList, add_entry, read_file, revoked_by
from gateway.edges.store.database import Database
from tests.fakes import FakeClock, FakeIds, MemoryBeliefs
from tests.unit.trust_kit import CARE, POLICE

THUMBPRINT = "A" * 43


@dataclass
class Office:
    """Where `care` signs its own list."""

    folder: Path
    beliefs: Any
    clock: FakeClock = field(default_factory=FakeClock)
    key: SigningKey = field(default_factory=new_signing_key)

    @property
    def file(self) -> Path:
        return self.folder / "revoked.toml"

    def opened(self) -> OwnList:
        return OwnList(CARE, lambda: self.key, self.beliefs, self.file, self.clock, FakeIds())

    def revoke(self, kind: str, id: str) -> None:
        assert add_entry(self.file, Entry(kind, id, self.clock.at, "because"))


@pytest.fixture(params=["memory", "stored"])
async def office(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Office]:
    if request.param == "memory":
        yield Office(tmp_path, MemoryBeliefs())
        return
    async with await Database.open(f"sqlite+aiosqlite:///{tmp_path}/state.db") as database:
        yield Office(tmp_path, database.beliefs)


async def test_the_own_list_is_signed_anew_every_minute_and_at_once_when_the_file_changes(office: Office) -> None:
    own = office.opened()
    first = await own.current()
    assert await own.current() == first
    assert read_stored(first).revoked == Revoked()
    office.clock.at += 59
    assert await own.current() == first
    office.clock.at += 1
    second = read_stored(await own.current())
    assert second.issued_at == office.clock.at
    office.revoke("key", THUMBPRINT)
    office.revoke("token", "token-1")
    third = read_stored(await own.current())
    assert third.revoked == Revoked(frozenset({THUMBPRINT}), frozenset({"token-1"}))
    assert third.seq > second.seq > read_stored(first).seq
    assert "because" not in json.dumps(third.token)


async def test_numbers_go_up_across_restarts_replicas_and_clocks_that_are_set_back(office: Office) -> None:
    numbers = [read_stored(await office.opened().current()).seq]
    office.revoke("contract", "ab" * 32)
    one, other = office.opened(), office.opened()
    tokens = [await one.current(), await other.current()]
    assert tokens[0] == tokens[1]  # what a replica has just signed is good enough
    numbers.append(read_stored(tokens[0]).seq)
    office.clock.at -= 100
    numbers.append(read_stored(await other.current()).seq)
    office.clock.at += 1000
    numbers.append(read_stored(await one.current()).seq)
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == office.clock.at


async def test_what_was_revoked_stays_though_it_is_taken_out_of_the_file_but_for_an_entity(office: Office) -> None:
    own = office.opened()
    office.revoke("key", THUMBPRINT)
    office.revoke("entity", CARE)
    assert read_stored(await own.current()).revoked.entities == {CARE}
    office.file.unlink()
    revoked = read_stored(await own.current()).revoked
    assert (revoked.kids, revoked.entities) == ({THUMBPRINT}, set())


async def test_a_file_that_cannot_be_read_changes_nothing_and_stops_a_first_start(office: Office) -> None:
    office.file.write_text("revoked = 7")
    with pytest.raises(IsthmusError) as caught:
        await office.opened().current()
    assert caught.value.reason is Reason.CONFIGURATION
    office.file.unlink()
    office.revoke("key", THUMBPRINT)
    own = office.opened()
    before = read_stored(await own.current())
    office.file.write_text("[[revoked]")
    office.clock.at += 60
    after = read_stored(await own.current())
    assert after.revoked == before.revoked
    assert after.seq > before.seq


async def test_a_revocation_key_that_was_revoked_signs_no_more(office: Office) -> None:
    own = office.opened()
    office.revoke("key", office.key.kid)
    last = read_stored(await own.current())
    assert office.key.kid in last.revoked.kids
    office.clock.at += 60
    with pytest.raises(IsthmusError) as caught:
        await own.current()
    assert caught.value.reason is Reason.REVOKED
    office.key = new_signing_key()
    assert read_stored(await own.current()).seq > last.seq


async def test_a_new_key_signs_at_once(office: Office) -> None:
    own = office.opened()
    first = await own.current()
    office.key = new_signing_key()
    assert await own.current() != first


@pytest.mark.parametrize(
    "text",
    [
        "[[revoked]]\nkind = 'key'\nid = 'short'\nat = 1\n",
        "[[revoked]]\nkind = 'person'\nid = 'x'\nat = 1\n",
        "[[revoked]]\nkind = 'token'\nid = 'x'\n",
        "[[revoked]]\nkind = 'token'\nid = 'x'\nat = 1\nby = 'me'\n",
        "[[revoked]]\nkind = 'token'\nid = 'x'\nat = true\n",
        "more = 1\n",
        "[[revoked]]\nkind = 'token'\nid = 7\nat = 1\n",
        "[[revoked]]\nkind = 'token'\nid = ['x']\nat = 1\n",
    ],
)
def test_a_file_that_says_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "revoked.toml"
    file.write_text(text)
    with pytest.raises(IsthmusError) as caught:
        read_file(file)
    assert caught.value.reason is Reason.CONFIGURATION
    with pytest.raises(IsthmusError):
        add_entry(file, Entry("token", "fine", 1))
    assert file.read_text() == text


def test_an_entry_is_added_once_and_only_if_a_list_can_hold_it(tmp_path: Path) -> None:
    file = tmp_path / "revoked.toml"
    assert read_file(file) == []
    entries = [Entry("key", THUMBPRINT, 1, 'a "quoted" reason'), Entry("token", "t", 2), Entry("entity", CARE, 3)]
    assert [add_entry(file, entry) for entry in entries] == [True, True, True]
    assert not add_entry(file, replace(entries[0], at=9))
    for bad in (Entry("key", "x", 1), Entry("contract", "AB" * 32, 1), Entry("entity", "care.example", 1)):
        with pytest.raises(IsthmusError):
            add_entry(file, bad)
    assert read_file(file) == entries
    assert file.read_text().startswith(HEAD)
    assert file.stat().st_mode & 0o077 == 0
    assert revoked_by([entries[0], entries[0]]).kids == {THUMBPRINT}


async def test_an_anchors_newest_list_lies_ready(tmp_path: Path) -> None:
    office = Office(tmp_path, MemoryBeliefs())
    shelf = Shelf(office.opened())
    assert shelf() == ""
    await shelf.look()
    first = read_stored(shelf())
    office.revoke("entity", POLICE)
    await shelf.look()
    assert read_stored(shelf()).revoked.entities == {POLICE}
    assert read_stored(shelf()).seq > first.seq
    office.file.write_text("nothing of the kind")
    office.clock.at += 60
    await shelf.look()
    assert read_stored(shelf()).revoked.entities == {POLICE}
