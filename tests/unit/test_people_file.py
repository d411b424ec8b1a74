"""The file of people, and passwords."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from gateway.domain.errors import IsthmusError, Reason
from gateway.edges import passwords
from gateway.edges.people import NoPeople, PeopleFile, Person, added, listed, removed

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def hash() -> str:
    return passwords.hashed(PASSWORD)


def person(name: str, hash: str, *scopes: str) -> Person:
    return Person(name, hash, scopes or ("catalogue",), ("*",), ("count_by",), ())


async def test_people_are_known_by_their_password_and_by_nothing_else(tmp_path: Path, hash: str) -> None:
    path = tmp_path / "people.toml"
    people = PeopleFile(path)
    assert people.grant("anna") is None and not await people.knows("anna", PASSWORD)
    added(path, person("anna", hash))
    grant = people.grant("anna")
    assert grant is not None and (grant.scopes, grant.rights.statistics) == (("catalogue",), ("count_by",))
    assert await people.knows("anna", PASSWORD)
    for name, password in (("anna", PASSWORD + " "), ("anna", ""), ("anna", "x" * 1000), ("bert", PASSWORD)):
        assert not await people.knows(name, password)
    assert not await NoPeople().knows("anna", PASSWORD) and NoPeople().grant("anna") is None


def test_the_file_is_its_owners_and_changes_count_at_once(tmp_path: Path, hash: str) -> None:
    path = tmp_path / "people.toml"
    added(path, person("anna", hash))
    added(path, person("bert", hash, "catalogue", "operate"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    people = PeopleFile(path)
    assert set(people.people()) == {"anna", "bert"} == {item.name for item in listed(path)}
    removed(path, "anna")
    assert set(people.people()) == {"bert"}
    assert PASSWORD not in path.read_text()
    path.chmod(0o640)
    with pytest.raises(IsthmusError) as refused:
        people.people()
    assert "read by others" in refused.value.private and str(path) not in str(refused.value)


def test_names_are_unique_and_known_ones_are_removed(tmp_path: Path, hash: str) -> None:
    path = tmp_path / "people.toml"
    added(path, person("anna", hash))
    with pytest.raises(IsthmusError) as twice:
        added(path, person("anna", hash))
    assert twice.value.reason is Reason.ALREADY_EXISTS
    with pytest.raises(IsthmusError) as nobody:
        removed(path, "bert")
    assert nobody.value.reason is Reason.NOT_FOUND
    assert [file.name for file in tmp_path.iterdir()] == ["people.toml"]


def test_two_writers_do_not_undo_each_other(tmp_path: Path, hash: str) -> None:
    path = tmp_path / "people.toml"
    done: list[str] = []

    def write(name: str) -> None:
        while name not in done:
            try:
                added(path, person(name, hash))
                done.append(name)
            except IsthmusError as problem:
                assert "somebody else" in problem.public

    threads = [threading.Thread(target=write, args=(f"p{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {item.name for item in listed(path)} == set(done) and len(done) == 6


@pytest.mark.parametrize("name", ["", "Anna", "an na", "anna@ministry", "-anna", "a" * 65, "änna", 'a"b'])
def test_a_name_is_plain(tmp_path: Path, hash: str, name: str) -> None:
    with pytest.raises(IsthmusError):
        added(tmp_path / "people.toml", person(name, hash))


BROKEN = {
    "no TOML": "people = [",
    "an unknown key": "[[people]]\nname = 'a'\nadmin = true\n",
    "a password in the clear": "[[people]]\nname='a'\npassword='secret-secret'\nscopes=[]\ndatasets=[]\nstatistics=[]\n"
    "purposes=[]\n",
    "an expensive hash": "[[people]]\nname='a'\npassword='$argon2id$v=19$m=99999999,t=3,p=4$"
    + "A" * 22
    + "$"
    + "A" * 43
    + "'\nscopes=[]\ndatasets=[]\nstatistics=[]\npurposes=[]\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_does_not_hold_is_refused_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / "people.toml"
    path.touch(mode=0o600)
    path.write_text(BROKEN[name])
    for read, reason in ((listed, Reason.CONFIGURATION), (lambda it: PeopleFile(it).people(), Reason.INTERNAL)):
        with pytest.raises(IsthmusError) as refused:
            read(path)
        assert refused.value.reason is reason
        assert "secret-secret" not in str(refused.value) + refused.value.private


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("eleven char", "at least 12"),
        ("x" * 257, "at most 256"),
        ("ANNA-anna-ok", "name"),
        ("aaaaaaaaaaaaaa", "different"),
        (PASSWORD, ""),
        ("パスワードは長い方がよいです", ""),
    ],
)
def test_a_password_is_long_and_not_the_name(password: str, why: str) -> None:
    assert why in passwords.wrong_with("anna", password)
    assert bool(passwords.wrong_with("anna", password)) is bool(why)


def test_a_hash_is_argon2id_with_a_salt_of_its_own_and_takes_one_spelling(hash: str) -> None:
    assert hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$") and passwords.is_hash(hash)
    again = passwords.hashed("caf\u00e9 caf\u00e9 caf\u00e9")
    assert passwords.matches("cafe\u0301 cafe\u0301 cafe\u0301", again)
    assert passwords.hashed(PASSWORD) != hash
    assert not passwords.matches(PASSWORD, hash[:-1]) and not passwords.matches(PASSWORD, "")
