"""Compact JWS and the JSON inside it, read strictly and once, before any key is looked at.

Invariants:
- one reading: whoever verifies the signature gets the segments parsed here, so no second, laxer parser can
  see another token;
- nothing but `TokenProblem` leaves this module, whatever bytes come in, in time linear in their number;
- a text that passes has one meaning: no duplicate names, no NaN, no integer beyond 2^53 - 1, no lone
  surrogate, no second base64url spelling.

Sources: RFC 7515 section 7.1, RFC 8725 sections 2 and 3, RFC 7493 (I-JSON).
"""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import b64url

MAX_DEPTH = 16
MAX_CHAIN_STATEMENTS = 8
MAX_CHAIN_BYTES = 64 * 1024
MAX_INTEGER = 2**53 - 1

ALGORITHMS = frozenset({"Ed25519", "ES256"})

_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
_REQUIRED_HEADERS = frozenset({"alg", "kid", "typ"})
_ALLOWED_HEADERS = _REQUIRED_HEADERS | {"trust_chain"}
# A string is skipped whole, closed or not, so that the scan never starts over.
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class Problem(StrEnum):
    """Why a token or chain was refused; stable, for audit records and tests, never for the caller."""

    MALFORMED = "MALFORMED"
    HEADER = "HEADER"
    ALGORITHM = "ALGORITHM"
    TYP = "TYP"
    KEY = "KEY"
    SIGNATURE = "SIGNATURE"
    ISSUER = "ISSUER"
    AUDIENCE = "AUDIENCE"
    CLAIMS = "CLAIMS"
    TIMES = "TIMES"
    LIFETIME = "LIFETIME"
    BINDING = "BINDING"
    REPLAY = "REPLAY"
    CHAIN = "CHAIN"
    OLDER = "OLDER"  # a chain that holds, and a newer one of its entity is believed already
    POLICY = "POLICY"
    REVOKED = "REVOKED"
    OVERTAKEN = "OVERTAKEN"  # a list that was on its way while a newer one of its issuer arrived
    TAKEN_BACK = "TAKEN_BACK"  # a revocation list in which something is missing, or that is one of two by a number


class TokenProblem(IsthmusError):
    """A refused token. The caller learns nothing but that; `problem` and `private` say exactly why."""

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(
            Reason.UNAUTHENTICATED,
            "These credentials were not accepted",
            private=f"{problem}: {detail}",
            advice="Ask for a new token and check this machine's clock; the audit log holds the reason.",
        )
        self.problem = problem


def malformed(detail: str) -> NoReturn:
    raise TokenProblem(Problem.MALFORMED, detail)


@dataclass(frozen=True)
class CompactJws:
    """A token as read, not yet believed."""

    alg: str
    kid: str
    typ: str
    trust_chain: tuple[str, ...]
    claims: dict[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes


def parse_compact(compact: str, max_bytes: int) -> CompactJws:
    """The token in `compact`, at most `max_bytes` long. Raises TokenProblem."""
    segments = split_compact(compact, max_bytes)
    header = parse_object(decode_segment(segments[0], "header"), "header")
    alg, kid, typ, trust_chain = _read_header(header)
    payload = decode_segment(segments[1], "payload")
    return CompactJws(
        alg=alg,
        kid=kid,
        typ=typ,
        trust_chain=trust_chain,
        claims=parse_object(payload, "payload"),
        payload=payload,
        signing_input=compact[: len(segments[0]) + 1 + len(segments[1])].encode("ascii"),
        signature=decode_segment(segments[2], "signature"),
    )


def split_compact(compact: str, max_bytes: int) -> list[str]:
    """The three segments of a token of at most `max_bytes`, as they are. Raises TokenProblem."""
    if len(compact) > max_bytes:
        malformed(f"{len(compact)} characters, at most {max_bytes} are allowed")
    if not compact.isascii():
        malformed("not ASCII")
    segments = compact.split(".")
    if len(segments) != 3:
        malformed(f"{len(segments)} segments, not 3")
    return segments


def decode_segment(text: str, name: str) -> bytes:
    """base64url without padding, in its only spelling: no stray bits in the last character."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        malformed(f"{name} is not base64url")
    if b64url(raw) != text:  # the decoder skips foreign characters and ignores stray bits; this does not
        malformed(f"{name} is not canonical base64url without padding")
    return raw


def parse_object(raw: bytes, name: str) -> dict[str, Any]:
    """The JSON object in `raw`, read strictly. Raises TokenProblem."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        malformed(f"{name} is not UTF-8")
    _bound_depth(text, name)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_names,
            parse_constant=_no_constant,
            parse_float=_finite_float,
            parse_int=_bounded_integer,
        )
        if _SURROGATE_ESCAPE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as problem:
        malformed(f"{name} is not strict JSON: {problem}")
    if not isinstance(value, dict):
        malformed(f"{name} is not a JSON object")
    return value


def _bound_depth(text: str, name: str) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(text):
        character = text[match.start()]
        if character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                malformed(f"{name} is nested deeper than {MAX_DEPTH}")
        elif character in "]}":
            depth -= 1


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member names")
    return members


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number beyond double precision")
    return value


def _bounded_integer(text: str) -> int:
    value = int(text)  # ValueError beyond 4300 digits
    if abs(value) > MAX_INTEGER:
        raise ValueError("an integer beyond 2^53 - 1")
    return value


def is_thumbprint(value: object) -> bool:
    """Whether `value` is spelled as a SHA-256 in base64url, as `kid`, `x5t#S256`, `rqh` and `ath` are."""
    return isinstance(value, str) and _THUMBPRINT.fullmatch(value) is not None


def _read_header(header: dict[str, Any]) -> tuple[str, str, str, tuple[str, ...]]:
    unknown = header.keys() - _ALLOWED_HEADERS
    if unknown:
        raise TokenProblem(Problem.HEADER, f"header parameters that no token of ours has: {sorted(unknown)!r:.200}")
    missing = _REQUIRED_HEADERS - header.keys()
    if missing:
        raise TokenProblem(Problem.TYP if "typ" in missing else Problem.HEADER, f"no {sorted(missing)} in the header")
    alg, kid, typ = header["alg"], header["kid"], header["typ"]
    if not isinstance(alg, str) or alg not in ALGORITHMS:
        raise TokenProblem(Problem.ALGORITHM, f"algorithm {alg!r:.50}")
    if not is_thumbprint(kid):
        raise TokenProblem(Problem.HEADER, f"kid {kid!r:.100} is no RFC 7638 thumbprint")
    if not isinstance(typ, str):
        raise TokenProblem(Problem.TYP, "typ is no string")
    return alg, kid, typ, _read_trust_chain(header)


def _read_trust_chain(header: dict[str, Any]) -> tuple[str, ...]:
    """The pushed chain as strings (OpenID Federation 1.0 section 4.3); `gateway.rules.trust` judges it."""
    if "trust_chain" not in header:
        return ()
    chain = header["trust_chain"]
    if not isinstance(chain, list) or not 1 <= len(chain) <= MAX_CHAIN_STATEMENTS:
        raise TokenProblem(Problem.HEADER, f"trust_chain is no list of 1 to {MAX_CHAIN_STATEMENTS}")
    if not all(isinstance(statement, str) for statement in chain) or sum(map(len, chain)) > MAX_CHAIN_BYTES:
        raise TokenProblem(Problem.HEADER, "trust_chain holds something other than statements, or too much")
    return tuple(chain)
