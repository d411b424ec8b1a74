"""What `isthmus trust revoke` does: says what it is that goes, and adds it to the file that the process watches.

Invariant: nothing is written that the running process could not sign.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from gateway.anchor.config import AnchorProcessConfig
from gateway.config import GatewayConfig, load
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Anchor, EntityId, parse_entity_id
from gateway.edges import certificates, keys, ringfiles
from gateway.edges.clock import SystemClock
from gateway.edges.revoking import FILE, Entry, add_entry
from gateway.rules.jose import TokenProblem, is_thumbprint
from gateway.rules.jwks import parse_jwk

KINDS = ("key", "token", "contract", "entity")
# What stops with a key of one's own, and what the operator does next.
CONSEQUENCES = {
    "federation": "Nobody believes this space until it has another federation key.",
    "token": "This gateway signs nothing with it any more: no token, no call to a peer, no contract.",
    "revocation": "This was its last word: no further list of this space is read until it has another one.",
    "contract": "This space approves nothing until its agent has another one.",
    "tls.ca": "No certificate of this CA counts any more, at any gateway.",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; one of them."""

    key: str = ""
    token: str = ""
    contract: str = ""
    entity: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    entity: str
    kind: str
    id: str
    name: str
    file: Path
    new: bool

    def plain(self) -> dict[str, Any]:
        what = {"entity": self.entity, "kind": self.kind, "id": self.id, "name": self.name}
        return {**what, "file": str(self.file), "new": self.new}

    def said(self) -> str:
        what = f"the {self.name} key {self.id}" if self.name else f"{self.kind} {self.id}"
        lines = [f"Revoked: {what}." if self.new else f"Revoked before: {what}."]
        if self.name in CONSEQUENCES:
            lines.append(CONSEQUENCES[self.name])
        lines.append(f"It stands in {self.file}; a running gateway tells its peers and its agent within seconds.")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Issuer:
    """Who revokes: whom besides itself, if anybody, and what its own keys are called."""

    entity: EntityId
    may_revoke: Callable[[EntityId], bool]
    rings: Mapping[str, Path]
    files: Mapping[str, Path]


def revoke_it(config: Path, wanted: Wanted, reason: str) -> Done:
    """Raises IsthmusError(INVALID_ARGUMENT or CONFIGURATION), and has written nothing then."""
    issuer = _issuer(config)
    given = [(kind, value) for kind, value in zip(KINDS, astuple(wanted), strict=True) if value]
    if len(given) != 1:
        raise _invalid("name one thing to revoke: --key, --token, --contract or --entity", "")
    kind, value = given[0]
    if kind == "key":
        value = _kid(value)
    if kind == "entity":
        _check_entity(issuer, value)
    name = _own_keys(issuer).get(value, "") if kind == "key" else ""
    file = config.parent / FILE
    new = add_entry(file, Entry(kind, value, SystemClock().now(), reason))
    return Done(issuer.entity, kind, value, name, file, new)


def _issuer(config: Path) -> _Issuer:
    """A space by its gateway's configuration, an anchor by its own."""
    try:
        is_anchor = "operator" not in tomllib.loads(config.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        is_anchor = False  # `load` says what is wrong
    if is_anchor:
        settings = load(AnchorProcessConfig, config)
        over = Anchor(settings.entity, (), settings.prefixes)
        files = {"federation": settings.keys.federation, "revocation": settings.keys.revocation}
        return _Issuer(settings.entity, over.may_vouch_for, {}, files)
    space = load(GatewayConfig, config)
    keys, tls = space.keys, space.tls
    rings = {
        "federation": keys.federation,
        "token": keys.token,
        "revocation": keys.revocation,
        "contract": keys.contract,
        "tls.ca": tls.ca,
        "tls.server": tls.server,
        "tls.client": tls.client,
    }
    return _Issuer(space.entity, lambda entity: entity == space.entity, rings, {})


def _check_entity(issuer: _Issuer, value: str) -> None:
    try:
        entity = parse_entity_id(value)
    except ValueError as problem:
        raise _invalid(str(problem), "entity") from None
    if not issuer.may_revoke(entity):
        raise _invalid(f"{issuer.entity} has no say over {entity}: a space revokes itself, an anchor its own", "entity")


def _kid(text: str) -> str:
    """A thumbprint as it is, or that of the key in a file."""
    if is_thumbprint(text):
        return text
    path = Path(text)
    try:
        content = path.read_bytes()
        if content.lstrip().startswith(b"{"):
            return parse_jwk(json.loads(content)).kid
        if b"-----BEGIN CERTIFICATE" in content:
            return certificates.kid_of(content)
        return keys.load_signing_key(path).kid
    except (OSError, ValueError, TokenProblem):
        raise _invalid(f"{text} is neither a key's thumbprint nor a file that holds a key", "key") from None


def _own_keys(issuer: _Issuer) -> dict[str, str]:
    """kid → what it is, of the issuer's keys that can be read here."""
    found = {}
    for name, ring in issuer.rings.items():
        with suppress(IsthmusError):  # not readable for whoever runs the command: then it has no name here
            found.update(dict.fromkeys((entry.kid for entry in ringfiles.read(ring).entries), name))
    for name, file in issuer.files.items():
        with suppress(IsthmusError):
            found[_kid(str(file))] = name
    return found


def _invalid(text: str, field: str) -> IsthmusError:
    return IsthmusError(Reason.INVALID_ARGUMENT, text, field=field, advice="See: isthmus trust revoke --help")
