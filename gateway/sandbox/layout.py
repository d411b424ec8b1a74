"""Lays a whole federation out in one folder: anchor, keys, certificates, configuration, data, users.

Invariants: every space has its own folder, keys and CA; what lies in it is what an operator of a real space
would have, made by the same code; key files can be read by their owner alone.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.identity import EntityId, Jwk, host_of
from gateway.edges import certificates, keys, ringfiles, steward_keys
from gateway.edges.certificates import Credentials, Role
from gateway.edges.federation import entity_configuration, subordinate_statement
from gateway.rules.gateway_metadata import GatewayMetadata
from gateway.rules.jwks import jwk_object, jwk_set
from gateway.sandbox import anchor, data, suspects
from gateway.sandbox.anchor import ANCHOR, lay_out_anchor
from gateway.sandbox.dataset_files import DatasetFile, statistics_policy, write_dataset
from gateway.sandbox.toml import toml

STATEMENT = "keys/anchor.statement.jwt"  # the anchor's, about a space
EDITION_CREATED = 1_396_310_400  # 1 April 2014, when the table was about to be published
STEWARDS = ("anna", "ben")
CLIENTS = {"analyst": ("catalogue", "compute"), "operator": ("catalogue", "compute", "operate", "steward")}

# Public sizes that people are padded to: what an owner would choose, a round number above the list's length.
ROW_BOUNDS = {"LA": 128, "NG": 640, "PFNCA": 1280, "GO": 896, "GP": 384}
TITLES = {
    "LA": "People known to local authorities",
    "NG": "People known to non-governmental organisations",
    "PFNCA": "People known to police forces and the National Crime Agency",
    "GO": "People known to government organisations",
    "GP": "People reported by the general public",
}


@dataclass(frozen=True, slots=True)
class SpaceSpec:
    """One space of the sandbox: `lists` are the published table's lists that it holds, `roles` those of its users."""

    name: str
    operator: str
    seats: int
    lists: tuple[str, ...] = ()
    jurisdiction: str = "GB"
    suspects: bool = False
    roles: tuple[str, ...] = ("analyst",)

    @property
    def datasets(self) -> tuple[str, ...]:
        return (*(name.lower() for name in self.lists), *([suspects.ID] if self.suspects else []))

    @property
    def entity(self) -> EntityId:
        return EntityId(f"https://{self.name}.example")


# The third data space holds no seat; the neutral operator holds one and has no data.
SPACES = (
    SpaceSpec("care", "Care Alliance", 1, ("LA", "NG")),
    SpaceSpec("police", "Police Cooperation", 1, ("PFNCA",), suspects=True, roles=("analyst", "investigator")),
    SpaceSpec("registry", "Victims Registry", 0, ("GO", "GP"), suspects=True),
    SpaceSpec("neutral", "Neutral Compute Foundation", 1),
)


def lay_out(
    folder: Path,
    ports: Mapping[str, int],
    now: int,
    *,
    spaces: Sequence[SpaceSpec] = SPACES,
    seed: int = 2013,
    change: Callable[[Path], None] | None = None,
) -> dict[EntityId, str]:
    """Write everything below `folder`, which must be empty or missing; what every space says of itself.

    `ports` maps a space's name, and the anchor's, to its port on loopback. `change` may edit the made-up CSV files
    (their folder is its argument) before they are described.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    anchor_key = lay_out_anchor(folder / anchor.NAME, ports[anchor.NAME], now)
    lists = data.write_lists(folder / "lists", seed)
    if change is not None:
        change(folder / "lists")
    configurations = {}
    for spec in spaces:
        home = folder / "spaces" / spec.name
        configurations[spec.entity] = _space(home, spec, ports[spec.name], anchor_key, now)
        for name in spec.lists:
            _list(home, name, lists[name])
        if spec.suspects:
            suspects.write_list(home / "data" / f"{suspects.ID}.csv", spec.name, seed)
            _describe(home, suspects.described(spec.name, EDITION_CREATED))
    (folder / "lists").rmdir()
    for spec in spaces:
        home = folder / "spaces" / spec.name
        (home / "gateway.toml").write_text(_gateway_toml(spec, ports))
        (home / "agent.toml").write_text(_agent_toml(spec, ports[spec.name]))
        _stewards(folder / "users", spec)
        _clients(folder / "users", home, spec, ports[spec.name], now)
    (folder / "default-profile.toml").write_text(_profile(spaces[0], "analyst", ports[spaces[0].name], "users/"))
    return configurations


def _space(home: Path, spec: SpaceSpec, port: int, vouching: keys.SigningKey, now: int) -> str:
    """Keys, CA and certificates of one space; returns its own statement."""
    for name in ("keys", "agent", "tls", "data", "datasets"):
        (home / name).mkdir(parents=True)
    federation, token, contract, revocation = (keys.new_signing_key() for _ in range(4))
    for name, key in (("federation", federation), ("token", token), ("revocation", revocation)):
        ringfiles.begin(home / "keys", name, key, now)
    ringfiles.begin(home / "keys", "recipient", keys.new_agreement_key(), now)
    ringfiles.begin(home / "agent", "contract", contract, now)
    authority = certificates.create_authority(spec.entity, now)
    ringfiles.begin_certificate(home / "tls", "ca", authority.credentials, now)
    server = certificates.server_certificate(authority, spec.entity, now, loopback=True)
    to_peers = certificates.client_certificate(authority, spec.entity, Role.GATEWAY, now)
    agent = certificates.client_certificate(authority, spec.entity, Role.AGENT, now)
    ringfiles.begin_certificate(home / "tls", "gateway", server, now)
    ringfiles.begin_certificate(home / "tls", "to-peers", to_peers, now)
    ringfiles.begin_certificate(home / "agent", "agent", agent, now)
    # The anchor pins these: whoever breaks into the gateway holds the federation key, and could name a contract
    # key of their own in the space's next statement, or take a revocation back.
    pinned = {
        "contract_jwks": {"value": jwk_set((contract.jwk,))},
        "revocation_jwks": {"value": jwk_set((revocation.jwk,))},
    }
    statement = subordinate_statement(ANCHOR, spec.entity, (federation.jwk,), vouching, now, metadata_policy=pinned)
    (home / STATEMENT).write_text(statement)
    metadata = GatewayMetadata(
        endpoint=f"127.0.0.1:{port}",
        operator=spec.operator,
        operator_group=spec.name,
        affiliates=(),
        jurisdiction=spec.jurisdiction,
        token_keys=(token.jwk,),
        contract_keys=(contract.jwk,),
        revocation_keys=(revocation.jwk,),
        tls_ca=authority.certificate_pem.decode(),
        seats=spec.seats,
    )
    configuration = entity_configuration(spec.entity, metadata, (ANCHOR,), federation, now)
    (home / "configuration.jwt").write_text(configuration)
    return configuration


def _list(home: Path, name: str, file: Path) -> None:
    """Move one list into its space and describe it."""
    file.rename(home / "data" / f"{name.lower()}.csv")
    described = DatasetFile(
        id=name.lower(),
        title=TITLES[name],
        description="Made-up people whose lists overlap as published for the United Kingdom in 2013",
        coverage="United Kingdom, people referred 2009 to 2014",
        row_bound=ROW_BOUNDS[name],
        created=EDITION_CREATED,
        columns=data.columns(),
        key_columns=data.KEY_COLUMNS,
        policy=statistics_policy(),
        year_of=(data.YEAR, data.REFERRED),
    )
    _describe(home, described)


def _describe(home: Path, dataset: DatasetFile) -> None:
    keys.write_secret(home / "datasets" / f"{dataset.id}.key", secrets.token_bytes(32))
    write_dataset(home / "datasets", dataset)


def _clients(users: Path, home: Path, spec: SpaceSpec, port: int, now: int) -> None:
    """One profile with certificate per client of a space; tokens are put beside it while the sandbox runs."""
    users.mkdir(exist_ok=True)
    authority = certificates.load_authority(home / "tls" / "ca.pem", home / "tls" / "ca.key.pem")
    (users / f"{spec.name}.ca.pem").write_bytes(authority.certificate_pem)
    for client in CLIENTS:
        credentials = certificates.client_certificate(authority, spec.entity, Role.CLIENT, now, client_id=client)
        _write_credentials(users, f"{spec.name}-{client}", credentials)
        (users / f"{spec.name}-{client}.toml").write_text(_profile(spec, client, port, ""))


def _stewards(users: Path, spec: SpaceSpec) -> None:
    """A key for each person who decides at a space; it is theirs, and no process of the space reads it."""
    users.mkdir(exist_ok=True)
    for name in STEWARDS:
        steward_keys.make(users / f"{spec.name}-{name}.jwk")


def _profile(spec: SpaceSpec, client: str, port: int, folder: str) -> str:
    stem = f"{folder}{spec.name}-{client}"
    return toml(
        {
            "gateway": f"127.0.0.1:{port}",
            "server_name": host_of(spec.entity),
            "ca": f"{folder}{spec.name}.ca.pem",
            "certificate": f"{stem}.pem",
            "key": f"{stem}.key.pem",
            "token": f"{stem}.token",
        }
    )


def _anchors(port: int | None = None) -> str:
    """The pin of the anchor; with its `port` it is asked, too."""
    folder = "../../anchor"
    values = {
        "entity": ANCHOR,
        "keys": [f"{folder}/anchor.jwk.json"],
        "revocation_keys": [f"{folder}/revocation.jwk.json"],
        "prefixes": list(anchor.PREFIXES),
    }
    polled = {"address": f"127.0.0.1:{port}", "tls_ca": f"{folder}/tls/ca.pem"} if port is not None else {}
    return "[[anchors]]\n" + toml({**values, **polled})


def _gateway_toml(spec: SpaceSpec, ports: Mapping[str, int]) -> str:
    address = f"127.0.0.1:{ports[spec.name]}"
    parts = [
        toml(
            {
                "entity": spec.entity,
                "listen": address,
                "endpoint": address,
                "database": "sqlite+aiosqlite:///gateway.db",
                "statement": STATEMENT,
            }
        ),
        "[operator]\n"
        + toml(
            {
                "name": spec.operator,
                "group": spec.name,
                "jurisdiction": spec.jurisdiction,
                "seats": spec.seats,
            }
        ),
        "[keys]\n"
        + toml(
            {
                "federation": "keys/federation.ring.json",
                "token": "keys/token.ring.json",
                "recipient": "keys/recipient.ring.json",
                "revocation": "keys/revocation.ring.json",
                "contract": "agent/contract.ring.json",
            }
        ),
        "[tls]\n"
        + toml(
            {
                "ca": "tls/ca.ring.json",
                "server": "tls/gateway.ring.json",
                "client": "tls/to-peers.ring.json",
            }
        ),
        _anchors(ports[anchor.NAME]),
        *(
            "[[clients]]\n" + toml({"id": client, "scopes": list(scopes), "roles": list(spec.roles)})
            for client, scopes in CLIENTS.items()
        ),
        "[agent]\n" + toml({"config": "agent.toml"}),
        "[log]\n" + toml({"level": "warning"}),
    ]
    return "\n".join(parts)


def _agent_toml(spec: SpaceSpec, port: int) -> str:
    parts = [
        toml(
            {
                "entity": spec.entity,
                "gateway": f"127.0.0.1:{port}",
                "database": "sqlite+aiosqlite:///agent.db",
                "seats": spec.seats,
                "datasets": [f"datasets/{name}.toml" for name in spec.datasets],
            }
        ),
        *(
            "[[stewards]]\n" + toml({"name": name, "key": f"../../users/{spec.name}-{name}.pub.jwk"})
            for name in STEWARDS
        ),
        "[policy_changes]\n" + toml({"persons": len(STEWARDS)}),
        "[keys]\n" + toml({"contract": "agent/contract.ring.json", "storage": "agent/storage.pem"}),
        "[tls]\n" + toml({"ca": "tls/ca.ring.json", "agent": "agent/agent.ring.json"}),
        _anchors(),
        "[log]\n" + toml({"level": "warning"}),
    ]
    return "\n".join(parts)


def _write_jwk(path: Path, jwk: Jwk) -> None:
    path.write_text(json.dumps(jwk_object(jwk)))


def _write_credentials(folder: Path, stem: str, credentials: Credentials) -> None:
    (folder / f"{stem}.pem").write_bytes(credentials.certificate_pem)
    keys.write_secret(folder / f"{stem}.key.pem", credentials.key_pem)


def is_laid_out(folder: Path) -> bool:
    return (folder / "default-profile.toml").is_file() and os.access(folder, os.W_OK)
