"""The sandbox's anchor: what `isthmus trust init` would write, and the spaces made members as they would join.

Invariant: every space becomes a member by an invitation and its own signed configuration, through the same code that
answers on the anchor's port; only the wire between them is left out, because nothing listens yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from gateway.domain.identity import EntityId
from gateway.edges import certificates, keys
from gateway.edges.certificates import Credentials
from gateway.edges.clock import SystemIds
from gateway.rules import invitations
from gateway.rules.jwks import jwk_object
from gateway.sandbox.toml import toml

ANCHOR = EntityId("https://anchor.example")
PREFIXES = (EntityId("https://*.example"),)
NAME = "anchor"  # its folder, and its place among the ports
INVITED_FOR = 3600


def lay_out_anchor(folder: Path, port: int, now: int) -> keys.SigningKey:
    """Keys, CA and configuration of the anchor in `folder`; returns the key that vouches."""
    (folder / "tls").mkdir(parents=True)
    federation, revocation = keys.new_signing_key(), keys.new_signing_key()
    for name, public, key in (("federation", "anchor", federation), ("revocation", "revocation", revocation)):
        keys.write_secret(folder / f"{name}.pem", keys.pem_of(key.secret))
        (folder / f"{public}.jwk.json").write_text(json.dumps(jwk_object(key.jwk)))
    authority = certificates.create_authority(ANCHOR, now)
    certificates.write_authority(authority, folder / "tls" / "ca.pem", folder / "tls" / "ca.key.pem")
    shown: Credentials = certificates.server_certificate(authority, ANCHOR, now, loopback=True)
    (folder / "tls" / "anchor.pem").write_bytes(shown.certificate_pem)
    keys.write_secret(folder / "tls" / "anchor.key.pem", shown.key_pem)
    address = f"127.0.0.1:{port}"
    parts = [
        toml(
            {
                "entity": ANCHOR,
                "listen": address,
                "address": address,
                "database": "sqlite+aiosqlite:///anchor.db",
                "prefixes": list(PREFIXES),
            }
        ),
        "[keys]\n" + toml({"federation": "federation.pem", "revocation": "revocation.pem"}),
        "[tls]\n" + toml({"ca": "tls/ca.pem", "certificate": "tls/anchor.pem", "key": "tls/anchor.key.pem"}),
        "[log]\n" + toml({"level": "warning"}),
    ]
    (folder / "anchor.toml").write_text("\n".join(parts))
    return federation


async def enrol(config: Path, configurations: Mapping[EntityId, str]) -> dict[EntityId, str]:
    """Make these entities members with the configurations that they signed; the statements about them."""
    # Its database and its port: half of what a command on a sandbox that runs would load, and it needs neither.
    from gateway.anchor.app import opened

    statements = {}
    async with opened(config) as office:
        for entity, configuration in configurations.items():
            kept, line = office.desk.invite(entity, INVITED_FOR, SystemIds())
            await office.vouch.invite(kept)
            token, seed = invitations.split(line)
            proof = invitations.proof(seed, token, configuration)
            member = await office.vouch.join(office.desk.invitation(token), proof, configuration)
            statements[entity] = member.statement
    return statements
