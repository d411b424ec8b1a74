"""Records from bytes and back: strict in, canonical out.

Invariants: reading refuses unknown fields, wrong types and missing fields, and names the field;
writing is RFC 8785 canonical JSON, so equal records have equal bytes.
"""

from __future__ import annotations

import functools
import json
from typing import Any, TypeVar, cast

import rfc8785
from pydantic import TypeAdapter, ValidationError

from gateway.domain.errors import IsthmusError, Reason

T = TypeVar("T")


@functools.cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def to_plain(value: object) -> Any:
    """The record as plain JSON values, with fields that are None left out."""
    return _adapter(type(value)).dump_python(value, mode="json", exclude_none=True)


def to_bytes(value: object) -> bytes:
    """Canonical bytes (RFC 8785)."""
    return rfc8785.dumps(to_plain(value))


def from_bytes(kind: type[T], data: bytes | str, *, what: str, reason: Reason = Reason.INVALID_ARGUMENT) -> T:
    """Read one record; `what` names it in the error (`query file`, `contract`).

    Raises IsthmusError with the path of the first offending field.
    """
    try:
        return cast(T, _adapter(kind).validate_json(data))
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
        field = _path(first["loc"])
        raise IsthmusError(
            reason,
            f"{what}: {_say(first['type'], first['msg'], field)}",
            field=field,
            advice=f"Correct the {what} and try again",
        ) from None


def from_plain(kind: type[T], data: object, *, what: str, reason: Reason = Reason.INVALID_ARGUMENT) -> T:
    """Read one record from plain JSON values (a parsed YAML or TOML file)."""
    try:
        text = json.dumps(data, allow_nan=False)
    except (TypeError, ValueError):
        raise IsthmusError(
            reason,
            f"{what}: only text, numbers, lists and mappings may stand in it",
            advice="Put dates in quotes",
        ) from None
    return from_bytes(kind, text, what=what, reason=reason)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else (f".{part}" if path else part)
    return path


def _say(kind: str, message: str, field: str) -> str:
    match kind:
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"unknown field {field}"
        case "missing" | "missing_argument":
            return f"field {field} is missing"
        case "json_invalid":
            return "not valid JSON"
        case _:
            return f"field {field}: {message[0].lower()}{message[1:]}"
