"""What `isthmus trust init` writes: all that an anchor needs.

Invariants: nothing is overwritten; secrets can be read by their owner alone; what is written loads as it stands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gateway.cli import init_texts
from gateway.cli.init import checked_address, checked_entity, empty_folder, filled, public_address
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId, host_of, parse_prefix
from gateway.edges import certificates, keys
from gateway.rules.invitations import fingerprint
from gateway.rules.jwks import jwk_object


@dataclass(frozen=True, slots=True)
class Founded:
    entity: EntityId
    address: str
    prefixes: tuple[EntityId, ...]
    fingerprint: str
    files: tuple[Path, ...]


def found(folder: Path, entity: str, listen: str, prefixes: list[str], now: int) -> Founded:
    """Write everything below `folder`, which must be missing or empty."""
    known = checked_entity(entity, "--entity")
    checked_address(listen)
    names = _prefixes(known, prefixes)
    address = public_address(known, listen)
    empty_folder(folder, "keys", "tls")
    federation, revocation = keys.new_signing_key(), keys.new_signing_key()
    for name, key in (("federation", federation), ("revocation", revocation)):
        keys.write_secret(folder / "keys" / f"{name}.pem", keys.pem_of(key.secret))
        (folder / "keys" / f"{name}.jwk.json").write_text(json.dumps(jwk_object(key.jwk)) + "\n")
    authority = certificates.create_authority(known, now)
    certificates.write_authority(authority, folder / "tls" / "ca.pem", folder / "tls" / "ca.key.pem")
    shown = certificates.server_certificate(authority, known, now, loopback=True)
    (folder / "tls" / "anchor.pem").write_bytes(shown.certificate_pem)
    keys.write_secret(folder / "tls" / "anchor.key.pem", shown.key_pem)
    values = {"entity": known, "listen": listen, "address": address, "prefixes": list(names)}
    (folder / "anchor.toml").write_text(filled(init_texts.ANCHOR, values))
    files = tuple(sorted(path for path in folder.rglob("*") if path.is_file()))
    return Founded(known, address, names, fingerprint([federation.jwk]), files)


def hand_out(folder: Path, founded: Founded) -> str:
    """What the operator does next, and what members have to be told."""
    config = folder / "anchor.toml"
    return "\n".join(
        (
            f"1. Start it: isthmus trust serve --config {config}",
            f"2. Invite a space: isthmus trust invite ENTITY --config {config}",
            "3. Hand the invitation over by a safe channel, and tell the fingerprint by another one:",
            f"   {founded.fingerprint}",
            f"Members will believe this anchor about {', '.join(founded.prefixes)}, and reach it at {founded.address}.",
        )
    )


def _prefixes(entity: EntityId, given: list[str]) -> tuple[EntityId, ...]:
    parent = host_of(entity).partition(".")[2]
    if not given and not parent:
        raise IsthmusError(
            Reason.INVALID_ARGUMENT,
            "for which names does this anchor vouch?",
            field="--prefix",
            advice="For example --prefix 'https://*.example'",
        )
    try:
        return tuple(parse_prefix(name) for name in given or [f"https://*.{parent}"])
    except ValueError as problem:
        raise IsthmusError(
            Reason.INVALID_ARGUMENT, str(problem), field="--prefix", advice="For example https://*.example"
        ) from None
