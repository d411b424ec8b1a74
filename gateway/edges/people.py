"""The people of the built-in issuer: one TOML file with their grants and Argon2id hashes.

Invariants: the file is closed to everybody but its owner; it is read again when it changes, so that who is removed is
out at once; it is replaced as a whole, by one writer at a time; a name that is not known costs as much time to
refuse as a wrong password.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.domain.caller import Rights
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.records import record
from gateway.domain.sign_in import Grant
from gateway.edges import passwords
from gateway.edges.files import Watched
from gateway.edges.keys import read_secret
from gateway.rules.access import SCOPES
from gateway.rules.records import from_plain
from gateway.rules.roles import named

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# Hashing takes 64 MiB: one at a time, so that a flood of attempts takes time and no memory.
_AT_ONCE = 1
# No password has this hash; it is there to be computed.
_NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$" + "A" * 22 + "$" + "A" * 43


@record
class Person:
    """One person as the file has them."""

    name: str
    password: str
    scopes: tuple[str, ...]
    datasets: tuple[str, ...]
    statistics: tuple[str, ...]
    purposes: tuple[str, ...]
    roles: tuple[str, ...] = ()

    @property
    def grant(self) -> Grant:
        return Grant(self.scopes, Rights(self.datasets, self.statistics, self.purposes, self.roles))


@record
class _File:
    people: tuple[Person, ...] = ()


class PeopleFile:
    """`People` of gateway.ports, over the file at `path`; a file that is missing knows nobody."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = Watched(path, _parsed, read_secret)
        self._turn = asyncio.Semaphore(_AT_ONCE)

    def people(self) -> Mapping[str, Person]:
        """Raises IsthmusError(INTERNAL) for a file that cannot be read or is not whole: nobody is let in by it."""
        try:
            return self._file.read()
        except FileNotFoundError:
            return {}
        except IsthmusError as problem:
            raise IsthmusError(
                Reason.INTERNAL,
                "something is wrong here with who may sign in",
                private=str(problem),
                advice="The operator finds the reason in the audit log",
            ) from problem

    def grant(self, name: str) -> Grant | None:
        person = self.people().get(name)
        return person.grant if person else None

    async def knows(self, name: str, password: str) -> bool:
        person = self.people().get(name)
        async with self._turn:
            same = await asyncio.to_thread(passwords.matches, password, person.password if person else _NOBODYS)
        return same and person is not None


class NoPeople:
    """`People` of gateway.ports where there is no built-in issuer."""

    def grant(self, name: str) -> Grant | None:
        return None

    async def knows(self, name: str, password: str) -> bool:
        return False


def added(path: Path, person: Person) -> None:
    """Raises IsthmusError(ALREADY_EXISTS) for a name that is there."""
    _check(person)
    with _changing(path) as people:
        if person.name in people:
            raise IsthmusError(
                Reason.ALREADY_EXISTS,
                f"{person.name} is there already",
                field="NAME",
                advice=f"Run: isthmus people remove {person.name}",
            )
        people[person.name] = person


def removed(path: Path, name: str) -> None:
    """Raises IsthmusError(NOT_FOUND) for a name that is not there."""
    with _changing(path) as people:
        if people.pop(name, None) is None:
            raise IsthmusError(
                Reason.NOT_FOUND, f"there is no {name}", field="NAME", advice="`isthmus people list` shows all"
            )


def listed(path: Path) -> list[Person]:
    return list(_read(path).values())


def _read(path: Path) -> Mapping[str, Person]:
    return _parsed(read_secret(path)) if path.exists() else {}


def _parsed(raw: bytes) -> Mapping[str, Person]:
    try:
        data = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise _broken("it is not TOML") from None
    people = from_plain(_File, data, what="file of people", reason=Reason.CONFIGURATION).people
    for person in people:
        _check(person)
    if len({person.name for person in people}) != len(people):
        raise _broken("a name is there twice")
    return {person.name: person for person in people}


def _check(person: Person) -> None:
    if _NAME.fullmatch(person.name) is None:
        raise _broken(f"{person.name!r:.100} is no name: lower-case letters, digits and . _ -, at most 64")
    if unknown := set(person.scopes) - SCOPES:
        raise _broken(f"{person.name} has unknown scopes {sorted(unknown)}; there are {sorted(SCOPES)}")
    try:
        named(person.roles)
    except ValueError as unknown_role:
        raise _broken(f"{person.name}: {unknown_role}") from None
    if not passwords.is_hash(person.password):
        raise _broken(f"the password of {person.name} is not as `isthmus people add` writes it")


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[dict[str, Person]]:
    """The people as they are, to be changed; written when the block ends well."""
    fresh = path.with_name(path.name + ".new")
    try:
        # Made before the old one is read: of two writers one is refused, and neither undoes what the other did.
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise IsthmusError(
            Reason.ALREADY_EXISTS,
            f"somebody else is changing {path.name}",
            advice=f"Try again; if nobody is, remove {fresh}",
        ) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            people = dict(_read(path))
            yield people
            file.write(_text(people).encode())
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        fresh.unlink()
        raise
    fresh.replace(path)  # from here on the name is free for the next writer, and not ours to remove


def _text(people: Mapping[str, Person]) -> str:
    lists = ("scopes", "datasets", "statistics", "purposes", "roles")
    text = ["# People of the built-in issuer. Written by `isthmus people`; secret, mode 0600.\n"]
    for person in people.values():
        text.append(f'\n[[people]]\nname = "{person.name}"\npassword = "{person.password}"\n')
        text += [f"{name} = {json.dumps(list(getattr(person, name)))}\n" for name in lists]
    return "".join(text)


def _broken(what: str) -> IsthmusError:
    return IsthmusError(
        Reason.CONFIGURATION, f"the file of people: {what}", field="login.people", advice="Use `isthmus people`"
    )
