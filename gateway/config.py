"""The gateway's configuration: one TOML file, frozen, unknown keys refused, secrets by path.

Invariant: a path in it is relative to the file that names it.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from gateway.domain.caller import Rights
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Anchor, EntityId, Jwk, parse_entity_id, parse_prefix
from gateway.domain.sign_in import ClaimRule, Grant
from gateway.rules.access import SCOPES
from gateway.rules.grants import BUILT_IN, is_provider_name
from gateway.rules.jose import TokenProblem
from gateway.rules.jwks import parse_jwk
from gateway.rules.oidc import ALGORITHMS
from gateway.rules.retention import LEAST_DAYS, MOST_DAYS, Kept, Rule
from gateway.rules.roles import named


def _entity(value: object) -> EntityId:
    return parse_entity_id(value) if isinstance(value, str) else EntityId("")


def _beside(value: object, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder", Path())
    if not isinstance(value, str) or not value:
        raise ValueError("a path is a text")
    return Path(folder) / value


_ISSUER = re.compile(r"(?:https://[^/?#\s]+|http://(?:localhost|127\.0\.0\.1)(?::[0-9]+)?)(?:/[^?#\s]*)?")


def _scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := set(scopes) - SCOPES:
        raise ValueError(f"unknown scopes {sorted(unknown)}; there are {sorted(SCOPES)}")
    return scopes


def _provider_name(name: str) -> str:
    if not is_provider_name(name) or name == BUILT_IN:
        raise ValueError(f"lower-case letters, digits and hyphens, at most 32, and not {BUILT_IN!r}")
    return name


def _issuer(issuer: str) -> str:
    # Core section 2: https, no query or fragment. On loopback http, where nobody is in between.
    if (
        re.fullmatch(r"(?:https://[^/?#\s]+|http://(?:localhost|127\.0\.0\.1)(?::[0-9]+)?)(?:/[^?#\s]*)?", issuer)
        is None
    ):
        raise ValueError("an issuer is an https address without query or fragment, spelled as in its tokens")
    return issuer


def _algorithms(algorithms: tuple[str, ...]) -> tuple[str, ...]:
    if not algorithms or set(algorithms) - set(ALGORITHMS):
        raise ValueError(f"one or more of {', '.join(ALGORITHMS)}")
    return algorithms


def _prefix(value: object) -> EntityId:
    return parse_prefix(value) if isinstance(value, str) else EntityId("")


Entity = Annotated[EntityId, BeforeValidator(_entity)]
Prefix = Annotated[EntityId, BeforeValidator(_prefix)]
Beside = Annotated[Path, PlainValidator(_beside)]
Roles = Annotated[tuple[str, ...], AfterValidator(named)]


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
    """Rings of keys. `contract` is the agent's, of which the public side is read: its secrets never lie here."""

    federation: Beside
    token: Beside
    recipient: Beside
    revocation: Beside
    contract: Beside


class GatewayTls(Strict):
    """Rings of certificates: the space's CA, and leaves for its port and for calls to peers."""

    ca: Beside
    server: Beside
    client: Beside


class AnchorConfig(Strict):
    """A pinned anchor: public keys (JWK files), and the entity IDs under which it may vouch and revoke."""

    entity: Entity
    keys: tuple[Beside, ...]
    prefixes: tuple[Prefix, ...]
    revocation_keys: tuple[Beside, ...]

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


class PolledAnchorConfig(AnchorConfig):
    """`address` is the host:port where the anchor answers, `tls_ca` its own CA; without them it is not asked."""

    address: str = ""
    tls_ca: Beside | None = None


class PeerConfig(Strict):
    """`address` is host:port, in place of what the peer's statement says; `chain` a JSON list of its statements."""

    entity: Entity
    address: str = ""
    chain: Beside | None = None


class ClientConfig(Strict):
    """What one client may do, for itself and at most for a person; "*" allows all."""

    id: str
    scopes: tuple[str, ...] = ("catalogue", "compute")
    datasets: tuple[str, ...] = ("*",)
    statistics: tuple[str, ...] = ("*",)
    purposes: tuple[str, ...] = ("*",)
    roles: Roles = ()
    for_people: bool = False
    redirects: tuple[str, ...] = ()

    @property
    def grant(self) -> Grant:
        return Grant(self.scopes, Rights(self.datasets, self.statistics, self.purposes, self.roles))


class PersonRuleConfig(Strict):
    """Whoever's token has `value` as its `claim`, or in it; what is not listed is not granted."""

    claim: str
    value: str
    scopes: Annotated[tuple[str, ...], AfterValidator(_scopes)]
    datasets: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    roles: Roles = ()

    @property
    def rule(self) -> ClaimRule:
        rights = Rights(self.datasets, self.statistics, self.purposes, self.roles)
        return ClaimRule(self.claim, self.value, Grant(self.scopes, rights))


class ProviderConfig(Strict):
    """An OpenID Connect provider of this organisation: whom its tokens may be exchanged for, and by which keys."""

    name: Annotated[str, AfterValidator(_provider_name)]
    issuer: Annotated[str, AfterValidator(_issuer)]
    jwks: Beside
    algorithms: Annotated[tuple[str, ...], AfterValidator(_algorithms)]
    audience: Annotated[str, Field(min_length=1)]
    longest_age: Annotated[int, Field(ge=1, le=86_400)] = 3600
    people: tuple[PersonRuleConfig, ...] = ()


class LoginConfig(Strict):
    """The login page of the built-in issuer. Beyond loopback it needs a certificate and its key."""

    listen: str
    people: Beside
    certificate: Beside | None = None
    key: Beside | None = None

    @model_validator(mode="after")
    def _encrypted(self) -> LoginConfig:
        host = self.listen.rpartition(":")[0]
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key come together")
        if self.key is None and host not in ("127.0.0.1", "[::1]", "localhost"):
            raise ValueError("beyond loopback the login page needs certificate and key")
        return self


class EmbeddedAgent(Strict):
    """The agent that this gateway starts as its child. Leave the table out where it runs by itself."""

    config: Beside


class RevocationConfig(Strict):
    """How much older than five minutes a list may be before new sessions are refused."""

    grace_minutes: int = Field(default=0, ge=0, le=60)


class RetentionConfig(Strict):
    """For how many days a gateway keeps what, from its end or coming on."""

    results_days: Annotated[int, Field(ge=LEAST_DAYS[Kept.RESULTS], le=MOST_DAYS)] = 90
    computations_days: Annotated[int, Field(ge=LEAST_DAYS[Kept.COMPUTATIONS], le=MOST_DAYS)] = 1826
    sign_ins_days: Annotated[int, Field(ge=LEAST_DAYS[Kept.SIGN_INS], le=MOST_DAYS)] = 180

    @model_validator(mode="after")
    def _in_order(self) -> RetentionConfig:
        if self.results_days > self.computations_days:
            raise ValueError("a result is not kept longer than its computation: results_days <= computations_days")
        return self

    @property
    def rules(self) -> tuple[Rule, ...]:
        return (
            Rule(Kept.RESULTS, self.results_days),
            Rule(Kept.COMPUTATIONS, self.computations_days),
            Rule(Kept.SIGN_INS, self.sign_ins_days),
        )


class LogConfig(Strict):
    level: str = "info"


def _distinct(providers: tuple[ProviderConfig, ...]) -> tuple[ProviderConfig, ...]:
    for field in ("name", "issuer"):
        if len({getattr(provider, field) for provider in providers}) != len(providers):
            raise ValueError(f"two providers have the same {field}")
    return providers


class GatewayConfig(Strict):
    entity: Entity
    listen: str
    endpoint: str
    database: str
    statement: Beside
    operator: OperatorConfig
    keys: GatewayKeys
    tls: GatewayTls
    anchors: tuple[PolledAnchorConfig, ...] = ()
    admit: Literal["anchored", "listed"] = "anchored"
    peers: tuple[PeerConfig, ...] = ()
    clients: tuple[ClientConfig, ...] = ()
    providers: Annotated[tuple[ProviderConfig, ...], AfterValidator(_distinct)] = ()
    login: LoginConfig | None = None
    agent: EmbeddedAgent | None = None
    revocation: RevocationConfig = RevocationConfig()
    retention: RetentionConfig = RetentionConfig()
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
