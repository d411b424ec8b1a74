"""The anchor's configuration: one TOML file, frozen, unknown keys refused, secrets by path."""

from __future__ import annotations

from gateway.config import Beside, Entity, LogConfig, Prefix, Strict


class AnchorKeys(Strict):
    """Secret files. `federation` vouches and invites; `revocation` can only revoke."""

    federation: Beside
    revocation: Beside


class AnchorTls(Strict):
    """The anchor's CA certificate, which invitations carry, and a leaf certificate for its port."""

    ca: Beside
    certificate: Beside
    key: Beside


class AnchorProcessConfig(Strict):
    """`address` is host:port under which members reach it; `prefixes` the names for which it vouches."""

    entity: Entity
    listen: str
    address: str
    database: str
    prefixes: tuple[Prefix, ...]
    keys: AnchorKeys
    tls: AnchorTls
    log: LogConfig = LogConfig()
