"""The work of `isthmus trust rotate` and `isthmus trust keys`: from a configuration to its rings.

Invariant: a key is rotated where its secret lies: the agent's by the agent's configuration, all others by the
gateway's.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from connectors.config import AgentConfig
from gateway.config import AnchorConfig, GatewayConfig, load
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.edges import certificates, keys, ringfiles, rotating
from gateway.edges.certificates import Role
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.rotating import Leaf, Wish, told
from gateway.rules import keyring
from gateway.rules.keyring import DAY, TERMS, Entry, KeyName, Ring

_AGENTS = (KeyName.CONTRACT, KeyName.TLS_AGENT)
_LEAVES = (KeyName.TLS_SERVER, KeyName.TLS_CLIENT, KeyName.TLS_AGENT)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Times in seconds; None takes what the key needs."""

    key: str
    ahead: int | None
    overlap: int | None
    because: str
    compromised: bool

    def name(self) -> KeyName:
        if self.key not in list(KeyName):
            raise IsthmusError(
                Reason.INVALID_ARGUMENT,
                f"there is no key {self.key!r}",
                field="KEY",
                advice=f"One of {', '.join(KeyName)}",
            )
        return KeyName(self.key)

    def wish(self) -> Wish:
        """A compromised key is replaced at once, unless more time is asked for."""
        terms = TERMS[self.name()]
        at_once = 0 if self.compromised else None
        ahead = next(value for value in (self.ahead, at_once, terms.ahead) if value is not None)
        overlap = next(value for value in (self.overlap, at_once, max(DAY, terms.overlap)) if value is not None)
        return Wish(ahead, overlap, self.because or ("compromised" if self.compromised else ""), self.compromised)


@dataclass(frozen=True, slots=True)
class Space:
    """What a configuration says: whose rings, and where each lies."""

    entity: EntityId
    anchors: tuple[AnchorConfig, ...]
    rings: dict[KeyName, Path]
    authorities: Path
    is_agent: bool


@dataclass(frozen=True, slots=True)
class Rotated:
    changed: list[tuple[KeyName, Path, Ring]]
    removable: list[Path]
    next: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        return {
            "rotated": [{"key": name, "ring": str(path), **_times(ring.latest)} for name, path, ring in self.changed],
            "removable": [str(path) for path in self.removable],
            "next": list(self.next),
        }

    def told(self) -> str:
        lines = [
            f"{name}: {ring.latest.kid[:12]} is published now and used from {told(ring.latest.use)}."
            for name, _, ring in self.changed
        ]
        return "\n".join(
            (*lines, *self.next, *(f"Nothing needs {path} any more: delete it." for path in self.removable))
        )


@dataclass(frozen=True, slots=True)
class Found:
    name: KeyName
    path: Path
    ring: Ring
    now: int


def read(config: Path) -> Space:
    """A gateway's or an agent's configuration. Raises IsthmusError(CONFIGURATION)."""
    if _is_agents(config):
        agent = load(AgentConfig, config)
        rings = {KeyName.CONTRACT: agent.keys.contract, KeyName.TLS_AGENT: agent.tls.agent}
        return Space(agent.entity, agent.anchors, rings, agent.tls.ca, is_agent=True)
    gateway = load(GatewayConfig, config)
    rings = {
        KeyName.FEDERATION: gateway.keys.federation,
        KeyName.TOKEN: gateway.keys.token,
        KeyName.CONTRACT: gateway.keys.contract,
        KeyName.REVOCATION: gateway.keys.revocation,
        KeyName.RECIPIENT: gateway.keys.recipient,
        KeyName.TLS_CA: gateway.tls.ca,
        KeyName.TLS_SERVER: gateway.tls.server,
        KeyName.TLS_CLIENT: gateway.tls.client,
    }
    if gateway.agent is not None:
        rings[KeyName.TLS_AGENT] = load(AgentConfig, gateway.agent.config).tls.agent
    return Space(gateway.entity, gateway.anchors, rings, gateway.tls.ca, is_agent=False)


def rotate(config: Path, wanted: Wanted) -> Rotated:
    name, wish = wanted.name(), wanted.wish()
    space = read(config)
    if (name in _AGENTS) != space.is_agent:
        raise IsthmusError(
            Reason.INVALID_ARGUMENT,
            f"the key {name} lies with the {'agent' if name in _AGENTS else 'gateway'}",
            field="--config",
            advice=f"Name its {'agent.toml' if name in _AGENTS else 'gateway.toml'}",
        )
    now, path = SystemClock().now(), space.rings.get(name, Path())
    changed: list[tuple[KeyName, Path, Ring]]
    if name is KeyName.TLS_CA:
        leaves = [Leaf(leaf, space.rings[leaf]) for leaf in _LEAVES if leaf in space.rings]
        done = rotating.rotate_authority(path, leaves, space.entity, wish, now)
        changed = [(made, space.rings[made], ring) for made, ring in done]
    elif name in _LEAVES:
        changed = [(name, path, rotating.rotate_leaf(Leaf(name, path), space.authorities, space.entity, wish, now))]
    else:
        anchors = [anchor.entity for anchor in space.anchors]
        ring = rotating.rotate_key(path, name, space.entity, anchors, wish, now, SystemIds())
        changed = [(name, path, ring)]
    # A recipient's old keys open old results, and a CA's is not needed where it should not lie.
    removable = [file for _, path, ring in changed for file in rotating.removable(path, ring, now)]
    return Rotated(changed, removable, _next(name, space, changed[0][2], path))


def certify(config: Path, client: str, folder: Path) -> list[Path]:
    """Certificate, key and CAs for a client, below `folder`; the files."""
    gateway, now = load(GatewayConfig, config), SystemClock().now()
    if client not in {known.id for known in gateway.clients}:
        raise IsthmusError(
            Reason.NOT_FOUND,
            f"{config.name} has no client {client!r}",
            field="CLIENT",
            advice="Add it to [[clients]] first",
        )
    ring = ringfiles.read(gateway.tls.ca)
    authority = rotating.authority_of(gateway.tls.ca.parent, ring.latest)
    made = certificates.client_certificate(authority, gateway.entity, Role.CLIENT, now, client_id=client)
    files = [folder / f"{client}.key.pem", folder / f"{client}.pem", folder / "ca.pem"]
    if taken := [file for file in files[:2] if file.exists()]:
        raise IsthmusError(
            Reason.ALREADY_EXISTS, f"{taken[0]} exists already", field="--out", advice="Name another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    keys.write_secret(files[0], made.key_pem)
    files[1].write_bytes(made.certificate_pem)
    believed = keyring.published(ring, now)
    files[2].write_bytes(b"".join(ringfiles.certificate(gateway.tls.ca.parent, entry) for entry in believed))
    return files


def found(config: Path) -> list[Found]:
    now = SystemClock().now()
    return [Found(name, path, ringfiles.read(path), now) for name, path in read(config).rings.items()]


def plain(rings: list[Found]) -> dict[str, Any]:
    return {
        "keys": [
            {"key": item.name, "ring": str(item.path), "state": state, **_times(entry)}
            for item in rings
            for entry, state in _states(item)
        ]
    }


def table(rings: list[Found]) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("Key", "kid", "State", "Published", "Used from", "Until"):
        grid.add_column(title, no_wrap=title in ("Key", "kid", "State"))
    for item in rings:
        for entry, state in _states(item):
            until = _until(item, entry)
            cells = (item.name, entry.kid[:12], state, told(entry.publish), told(entry.use), until)
            grid.add_row(*map(Text, cells))
    return grid


def _states(item: Found) -> list[tuple[Entry, str]]:
    """Each key with what it is now, as far as the files tell: whether an anchor vouches for it, the gateway knows."""
    in_use = keyring.active(item.ring, item.now)
    shown = []
    for entry in reversed(item.ring.entries):
        if entry is in_use:
            state = "in use"
        elif entry.use > item.now:
            state = "published"
        elif entry.is_retired(item.now):
            state = "retired"
        else:
            state = "opens old results" if TERMS[item.name].kept else "leaving"
        shown.append((entry, state))
    return shown


def _until(item: Found, entry: Entry) -> str:
    if entry.retire is not None:
        return told(entry.retire)
    if entry.certificate:
        expires = certificates.expiry(ringfiles.certificate(item.path.parent, entry))
        return f"{told(expires)} (expires)"
    return ""


def _times(entry: Entry) -> dict[str, Any]:
    return {"kid": entry.kid, "publish": entry.publish, "use": entry.use, "retire": entry.retire}


def _next(name: KeyName, space: Space, ring: Ring, path: Path) -> tuple[str, ...]:
    """What is left for a person."""
    at = told(ring.latest.use)
    if name is KeyName.TLS_CA:
        certificate = path.parent / ring.latest.certificate
        agent = (
            ()
            if KeyName.TLS_AGENT in space.rings
            else (
                f"The agent runs by itself: copy {path.name} and {certificate.name} to it, then rotate its tls-agent.",
            )
        )
        return (
            f"Before {at}: append {certificate} to the CA file of every client's profile.",
            "After it: give each client a certificate of the new CA, with `isthmus trust certify`.",
            *agent,
        )
    if name is KeyName.CONTRACT:
        return (f"Where the gateway reads a copy of {path.name}, copy it there now.",)
    return ()


def _is_agents(config: Path) -> bool:
    """An agent's file names the gateway that it dials; a gateway's does not."""
    try:
        return "gateway" in tomllib.loads(config.read_text())
    except (OSError, ValueError):
        return False  # read as a gateway's, it is told what is wrong with it
