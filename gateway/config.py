"""The gateway's configuration: one TOML file, frozen, unknown keys refused, secrets by path.

Invariant: a path in it is relative to the file that names it.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, ValidationInfo

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Anchor, EntityId, Jwk, parse_entity_id
from gateway.rules.access import SCOPES
from gateway.rules.jose import TokenProblem
from gateway.rules.jwks import parse_jwk


def _entity(value: object) -> EntityId:
    return parse_entity_id(value) if isinstance(value, str) else EntityId("")


def _beside(value: object, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder", Path())
    if not isinstance(value, str) or not value:
        raise ValueError("a path is a text")
    return Path(folder) / value


Entity = Annotated[EntityId, BeforeValidator(_entity)]
Beside = Annotated[Path, PlainValidator(_beside)]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class OperatorConfig(Strict):
    """Who runs this space, as its statement says it. `affiliates` are entity IDs."""

    name: str
    group: str
    affiliates: tuple[Entity, ...] = ()
    jurisdiction: str
    seats: int = 1


class GatewayKeys(Strict):
    """Files. `contract` holds the agent's public key only: the secret one never lies with the gateway."""

    federation: Beside
    token: Beside
    recipient: Beside
    revocation: Beside
    contract: Beside


class GatewayTls(Strict):
    """The space's CA certificate, and leaf certificates for its port and for calls to peers."""

    ca: Beside
    certificate: Beside
    key: Beside
    client_certificate: Beside
    client_key: Beside


class AnchorConfig(Strict):
    """A pinned anchor: public keys (JWK files), and the entity IDs under which it may vouch and revoke."""

    entity: Entity
    keys: tuple[Beside, ...]
    prefixes: tuple[Entity, ...]
    revocation_keys: tuple[Beside, ...]
    # Where the anchor's newest list is put down, if it comes as a file.
    revocations: Beside | None = None

    def load(self) -> Anchor:
        return Anchor(self.entity, _public(self.keys), tuple(self.prefixes), _public(self.revocation_keys))


def _public(paths: tuple[Path, ...]) -> tuple[Jwk, ...]:
    keys = []
    for path in paths:
        try:
            keys.append(parse_jwk(json.loads(path.read_text())))
        except (OSError, ValueError, TokenProblem):
            raise broken(f"the anchor's key {path} cannot be read", "anchors", "Get it from the anchor") from None
    return tuple(keys)


class PeerConfig(Strict):
    """`address` is host:port; `chain` a JSON list of its statements, as its operator handed it over."""

    entity: Entity
    address: str
    chain: Beside


class ClientConfig(Strict):
    """What one client may do; "*" allows all."""

    id: str
    scopes: tuple[str, ...] = ("catalogue", "compute")
    datasets: tuple[str, ...] = ("*",)
    statistics: tuple[str, ...] = ("*",)
    purposes: tuple[str, ...] = ("*",)


class EmbeddedAgent(Strict):
    """The agent that this gateway starts as its child. Leave the table out where it runs by itself."""

    config: Beside


class RevocationConfig(Strict):
    """How much older than five minutes a list may be before new sessions are refused."""

    grace_minutes: int = Field(default=0, ge=0, le=60)


class LogConfig(Strict):
    level: str = "info"


class GatewayConfig(Strict):
    entity: Entity
    listen: str
    endpoint: str
    database: str
    statement: Beside
    operator: OperatorConfig
    keys: GatewayKeys
    tls: GatewayTls
    anchors: tuple[AnchorConfig, ...]
    peers: tuple[PeerConfig, ...] = ()
    clients: tuple[ClientConfig, ...] = ()
    agent: EmbeddedAgent | None = None
    revocation: RevocationConfig = RevocationConfig()
    log: LogConfig = LogConfig()


C = TypeVar("C", bound=BaseModel)


def load(kind: type[C], path: Path) -> C:
    """Read one configuration file; raises IsthmusError(CONFIGURATION) naming the field."""
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text())
    except OSError:
        raise broken(f"the configuration {path} cannot be read", "", "`isthmus gateway init` writes one") from None
    except tomllib.TOMLDecodeError as problem:
        raise broken(f"the configuration {path} is not TOML: {problem}", "", "Correct the line") from None
    try:
        # Lax only in that TOML's arrays may stand for tuples; everything else is strict.
        made = kind.model_validate_json(json.dumps(data, default=str), context={"folder": path.parent})
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise broken(f"{path.name}: {field}: {first['msg']}", field, "docs/configuration.md lists every key") from None
    if isinstance(made, GatewayConfig):
        for client in made.clients:
            if unknown := set(client.scopes) - SCOPES:
                raise broken(f"client {client.id} has unknown scopes {sorted(unknown)}", "clients.scopes", str(SCOPES))
    return made


def database_url(text: str, folder: Path) -> str:
    """A relative SQLite path is relative to the configuration file."""
    prefix = "sqlite+aiosqlite:///"
    if text.startswith(prefix) and not text.startswith(prefix + "/"):
        return f"{prefix}{(folder / text.removeprefix(prefix)).absolute()}"
    return text


def broken(public: str, field: str, advice: str) -> IsthmusError:
    return IsthmusError(Reason.CONFIGURATION, public, field=field, advice=advice)
