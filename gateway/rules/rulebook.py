"""Rulebooks: what an anchor's statements say of them, who has accepted which, and who may begin sessions by that. Pure.

An anchor names its rulebook in every statement that it signs about a member, a space its acceptance in its own: so a
chain says both, and whoever verifies one can decide without asking anybody.

Invariants: a version never gets another text or another day; what was known of an anchor's rulebook is never forgotten
for less; a space that has not accepted the version in force begins no session, and before that day nothing changes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NoReturn

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Entity, parse_entity_id
from gateway.domain.rulebook import Acceptance, OwnWord, Rulebook
from gateway.rules.dates import day_of
from gateway.rules.jose import Problem, TokenProblem

MAX_TEXT = 256 * 1024
MAX_VERSION = 2**31 - 1
MAX_STANDING = 4  # in one statement: the version in force, and those that come
MAX_ANCHORS = 8
MEMBER = "rulebooks"  # of a superior's statement, and of a space's own metadata
OWN_WORDS = frozenset({MEMBER, "paused", "leaving"})  # what no superior's policy may say for a space

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[^\n\t\x20-\x7e\u00a0-\u2027\u202f-\u2065\u206a-\U0010ffff]")


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def checked_text(raw: bytes) -> str:
    """The text in `raw`. Raises IsthmusError(INVALID_ARGUMENT) for one that is too long, or that a terminal would not
    show as it is."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        _invalid("the rulebook is no text in UTF-8", "Save it as UTF-8")
    if not text.strip() or len(raw) > MAX_TEXT:
        _invalid(f"a rulebook has between 1 and {MAX_TEXT} bytes, and this one {len(raw)}", "Put annexes elsewhere")
    if (found := _CONTROL.search(text)) is not None:
        line = text.count("\n", 0, found.start()) + 1
        _invalid(f"line {line} of the rulebook has a control character", "Line ends are single line feeds")
    return text


def check_succession(known: Sequence[Rulebook], book: Rulebook, now: int) -> None:
    """Raises IsthmusError(INVALID_ARGUMENT) unless `book` may be published after `known`, lowest version first."""
    last = known[-1] if known else None
    if not 1 <= book.version <= MAX_VERSION or (last is not None and book.version <= last.version):
        least = 1 if last is None else last.version + 1
        _invalid(f"version {book.version} does not come after what is published", f"--version {least} is next")
    if day_of(book.in_force) < day_of(now) or (last is not None and book.in_force < last.in_force):
        at_least = day_of(now if last is None else max(now, last.in_force))
        _invalid("the day is past, or before that of the version before", f"--in-force {at_least} or later")
    if len(standing((*known, book), now)) > MAX_STANDING:
        _invalid(f"{MAX_STANDING - 1} versions are to come already", "Wait until one of them is in force")


def in_force(books: Iterable[Rulebook], now: int) -> Rulebook | None:
    """The highest version whose day has come."""
    return max((book for book in books if book.in_force <= now), key=lambda book: book.version, default=None)


def standing(books: Sequence[Rulebook], now: int) -> tuple[Rulebook, ...]:
    """From the version in force on: what a statement says."""
    current = in_force(books, now)
    return tuple(book for book in books if current is None or book.version >= current.version)


def books_in(claims: Mapping[str, Any]) -> tuple[Rulebook, ...]:
    """What a superior's statement says of its rulebook, lowest version first. Raises TokenProblem."""
    said = claims.get(MEMBER, [])
    if not isinstance(said, list) or len(said) > MAX_STANDING:
        _refuse(f"{MEMBER} is no list of at most {MAX_STANDING}")
    books = []
    for item in said:
        if not isinstance(item, dict) or item.keys() != {"version", "digest", "in_force"}:
            _refuse(f"an entry of {MEMBER} is no version with digest and day")
        if type(item["in_force"]) is not int or not 0 <= item["in_force"] < 2**53:
            _refuse("in_force is no time")
        books.append(Rulebook(_version(item["version"]), _digest(item["digest"]), item["in_force"]))
    if any(one.version >= other.version for one, other in pairwise(books)):
        _refuse(f"{MEMBER} is not in the order of its versions")
    return tuple(books)


def claims_of(books: Sequence[Rulebook]) -> dict[str, Any]:
    """As `books_in` reads it; nothing where there is no rulebook."""
    said = [{"version": book.version, "digest": book.digest, "in_force": book.in_force} for book in books]
    return {MEMBER: said} if said else {}


def word_in(metadata: Mapping[str, Any]) -> OwnWord:
    """What a space says of its own membership. Raises TokenProblem."""
    said, paused, leaving = metadata.get(MEMBER, []), metadata.get("paused", False), metadata.get("leaving", [])
    if not isinstance(said, list) or not isinstance(leaving, list) or max(len(said), len(leaving)) > MAX_ANCHORS:
        _refuse(f"{MEMBER} or leaving is no list of at most {MAX_ANCHORS}")
    if type(paused) is not bool:
        _refuse("paused is neither true nor false")
    accepted = []
    for item in said:
        if not isinstance(item, dict) or item.keys() != {"anchor", "version", "digest"}:
            _refuse("an acceptance is no anchor, version and digest")
        accepted.append(Acceptance(_entity(item["anchor"]), _version(item["version"]), _digest(item["digest"])))
    if len({item.anchor for item in accepted}) < len(accepted):
        _refuse("two acceptances of one anchor's rulebook")
    return OwnWord(tuple(accepted), paused, tuple(map(_entity, leaving)))


def metadata_of(word: OwnWord) -> dict[str, Any]:
    """As `word_in` reads it; nothing where nothing is said."""
    said: dict[str, Any] = {}
    if word.accepted:
        said[MEMBER] = [
            {"anchor": item.anchor, "version": item.version, "digest": item.digest} for item in word.accepted
        ]
    if word.paused:
        said["paused"] = True
    if word.leaving:
        said["leaving"] = list(word.leaving)
    return said


def merged(known: Sequence[Rulebook], said: Sequence[Rulebook], anchor: str) -> tuple[Rulebook, ...]:
    """All that is known of an anchor's rulebook. Raises TokenProblem where it says another thing than before."""
    by_version = {book.version: book for book in known}
    for book in said:
        if by_version.setdefault(book.version, book) != book:
            raise TokenProblem(
                Problem.POLICY, f"{anchor} says two things of version {book.version} of its rulebook"
            )  # fmt: skip
    return tuple(by_version[version] for version in sorted(by_version))


def acceptance_of(word: OwnWord, anchor: str) -> Acceptance | None:
    return next((item for item in word.accepted if item.anchor == anchor), None)


def accepting(word: OwnWord, acceptance: Acceptance) -> OwnWord:
    """The same with `acceptance` in the place of an earlier one of that anchor. Raises IsthmusError for a lower one."""
    before = acceptance_of(word, acceptance.anchor)
    if before is not None and before.version > acceptance.version:
        _invalid(
            f"version {before.version} is accepted, which comes after version {acceptance.version}",
            "Who does not accept the rulebook any more leaves: isthmus trust leave",
        )
    others = [item for item in word.accepted if item.anchor != acceptance.anchor]
    return replace(word, accepted=(*others, acceptance))


def objection(entity: Entity, books: Sequence[Rulebook], now: int) -> IsthmusError | None:
    """Why no session begins with `entity`, which `books` of its anchor oblige; None if nothing is against it."""
    if entity.anchor in entity.word.leaving:
        return IsthmusError(
            Reason.REVOKED,
            f"{entity.entity_id} has left the federation of {entity.anchor}",
            space=entity.entity_id,
            advice="Ask without it",
        )
    if entity.word.paused:
        return IsthmusError(
            Reason.SPACE_PAUSED,
            f"{entity.entity_id} is paused by its operator",
            space=entity.entity_id,
            advice=f"Ask without it, or when the operator of {entity.entity_id} has resumed it",
        )
    demanded = in_force(books, now)
    if demanded is None:
        return None
    accepted = acceptance_of(entity.word, entity.anchor)
    texts = {book.version: book.digest for book in books}
    if accepted is not None and accepted.version >= demanded.version and texts.get(accepted.version) == accepted.digest:
        return None
    return IsthmusError(
        Reason.RULEBOOK_NOT_ACCEPTED,
        f"{entity.entity_id} has not accepted version {demanded.version} of the rulebook of {entity.anchor}, which is "
        f"in force since {day_of(demanded.in_force)}",
        space=entity.entity_id,
        advice=f"The operator of {entity.entity_id} reads and accepts it: isthmus trust rulebook accept",
    )


def _version(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MAX_VERSION:
        _refuse(f"version {value!r:.50} is no number from 1 on")
    return value


def _digest(value: object) -> str:
    if not isinstance(value, str) or _DIGEST.fullmatch(value) is None:
        _refuse("the digest of a rulebook is no SHA-256 in hex")
    return value


def _entity(value: object) -> str:
    try:
        return parse_entity_id(str(value))
    except ValueError as problem:
        _refuse(str(problem))


def _invalid(public: str, advice: str) -> NoReturn:
    raise IsthmusError(Reason.INVALID_ARGUMENT, public, advice=advice)


def _refuse(detail: str) -> NoReturn:
    raise TokenProblem(Problem.CHAIN, detail)
