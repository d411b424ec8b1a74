"""What `isthmus gateway init` writes: everything a new space needs but an anchor that it joins.

Invariants: nothing is overwritten; secrets can be read by their owner alone; the agent's keys lie in a folder
of their own, so that it can be moved to another user or machine; what is written loads as it stands.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from gateway.cli import init_texts
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId, host_of, parse_entity_id
from gateway.edges import certificates, keys, ringfiles
from gateway.edges.certificates import Role

CLIENT = "analyst"
STEWARD = "steward"
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:]{2,45}\]):(?P<port>[1-9][0-9]{0,4})")
_LOOPBACK = re.compile(r"127(?:\.[0-9]{1,3}){3}|localhost|\[::1\]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """`listen` is host:port; `jurisdiction` two letters."""

    entity: EntityId
    listen: str
    operator: str
    jurisdiction: str

    @classmethod
    def checked(cls, entity: str, listen: str, operator: str, jurisdiction: str) -> Wanted:
        """Raises IsthmusError(INVALID_ARGUMENT) naming the option."""
        known = checked_entity(entity, "--entity")
        checked_address(listen)
        if re.fullmatch(r"[A-Z]{2}", jurisdiction) is None:
            raise _wrong(f"{jurisdiction!r} is not two capital letters", "--jurisdiction", "For example NL, or EU")
        name = operator or host_of(known)
        if len(name) > 200 or not name.isprintable():
            raise _wrong("a name has at most 200 printable characters", "--operator", "Shorten it")
        return cls(known, listen, name, jurisdiction)

    @property
    def port(self) -> str:
        return self.listen.rpartition(":")[2]

    @property
    def endpoint(self) -> str:
        return public_address(self.entity, self.listen)


def lay_out(folder: Path, wanted: Wanted, now: int) -> list[Path]:
    """Write everything below `folder`, which must be missing or empty; the files, in order."""
    empty_folder(folder, "keys", "tls", "client", "steward", "agent", "agent/datasets", "agent/data")
    _keys(folder, now)
    _certificates(folder, wanted, now)
    values = {
        "entity": wanted.entity,
        "listen": wanted.listen,
        "endpoint": wanted.endpoint,
        "operator": wanted.operator,
        "group": host_of(wanted.entity),
        "jurisdiction": wanted.jurisdiction,
        "host": host_of(wanted.entity),
        "own_gateway": f"127.0.0.1:{wanted.port}",
        "client": CLIENT,
        "steward": STEWARD,
        "today": now,
    }
    for name, text in init_texts.FILES.items():
        (folder / name).write_text(filled(text, values))
    keys.write_secret(folder / "agent" / "datasets" / "example.key", secrets.token_bytes(32))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def next_steps(folder: Path, wanted: Wanted) -> tuple[str, ...]:
    config = folder / "gateway.toml"
    return (
        f"Ask the anchor of your federation for an invitation of {wanted.entity}, and join: "
        f"isthmus trust join INVITATION --config {config}",
        f"Describe your data in {folder / 'agent' / 'agent.toml'}.",
        f"Start it: isthmus gateway serve --config {config}",
        f"Ask: isthmus datasets --profile {folder / 'client' / 'profile.toml'}",
    )


def empty_folder(folder: Path, *inside: str) -> None:
    """Make `folder`, closed to others, with these folders in it. Raises IsthmusError if anything is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as problem:
        raise _wrong(f"{folder} cannot be used: {problem.strerror}", "DIR", "Name another folder") from None
    if taken:
        raise IsthmusError(
            Reason.ALREADY_EXISTS, f"{folder} is not empty", field="DIR", advice="Nothing is overwritten: name another"
        )
    folder.chmod(0o700)
    for name in inside:
        (folder / name).mkdir()


def checked_entity(text: str, option: str) -> EntityId:
    try:
        return parse_entity_id(text)
    except ValueError as problem:
        raise _wrong(str(problem), option, "For example https://care.example") from None


def checked_address(listen: str) -> None:
    address = _ADDRESS.fullmatch(listen)
    if address is None or int(address["port"]) > 65535:
        raise _wrong(f"{listen!r} is not host:port", "--listen", "For example 0.0.0.0:8443")


def public_address(entity: EntityId, listen: str) -> str:
    """Where others find the port: under the entity's host name, unless it is on loopback for a trial."""
    host, _, port = listen.rpartition(":")
    return listen if _LOOPBACK.fullmatch(host) is not None else f"{host_of(entity)}:{port}"


def _keys(folder: Path, now: int) -> None:
    for name in ("federation", "token", "revocation"):
        ringfiles.begin(folder / "keys", name, keys.new_signing_key(), now)
    ringfiles.begin(folder / "keys", "recipient", keys.new_agreement_key(), now)
    ringfiles.begin(folder / "agent", "contract", keys.new_signing_key(), now)


def _certificates(folder: Path, wanted: Wanted, now: int) -> None:
    authority = certificates.create_authority(wanted.entity, now)
    ringfiles.begin_certificate(folder / "tls", "ca", authority.credentials, now)
    server = certificates.server_certificate(authority, wanted.entity, now, loopback=True)
    to_peers = certificates.client_certificate(authority, wanted.entity, Role.GATEWAY, now)
    agent = certificates.client_certificate(authority, wanted.entity, Role.AGENT, now)
    ringfiles.begin_certificate(folder / "tls", "gateway", server, now)
    ringfiles.begin_certificate(folder / "tls", "to-peers", to_peers, now)
    ringfiles.begin_certificate(folder / "agent", "agent", agent, now)
    # A client's folder can be moved away by itself.
    for home, name in (("client", CLIENT), ("steward", STEWARD)):
        client = certificates.client_certificate(authority, wanted.entity, Role.CLIENT, now, client_id=name)
        (folder / home / "ca.pem").write_bytes(authority.certificate_pem)
        (folder / home / f"{name}.pem").write_bytes(client.certificate_pem)
        keys.write_secret(folder / home / f"{name}.key.pem", client.key_pem)


def filled(text: str, values: Mapping[str, object]) -> str:
    """TOML spells texts and numbers as JSON does."""
    return Template(text).substitute({name: json.dumps(value, ensure_ascii=False) for name, value in values.items()})


def _wrong(public: str, option: str, advice: str) -> IsthmusError:
    return IsthmusError(Reason.INVALID_ARGUMENT, public, field=option, advice=advice)
