"""The organisation's OpenID Connect providers, as configuration names them: their tokens, verified.

Invariants: nothing is fetched, a provider's keys are a file that is read again when it changes; a changed file that
cannot be read leaves no keys, so that nobody signs in rather than somebody by keys that were taken away; a token is
parsed by `gateway.rules.oidc` and its signature checked over those bytes with the one key and algorithm chosen
there; whatever comes in, only TokenProblem goes out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from jwt.algorithms import Algorithm, ECAlgorithm, OKPAlgorithm, RSAAlgorithm, RSAPSSAlgorithm
from jwt.exceptions import PyJWTError

from gateway.domain.sign_in import ClaimRule, Inbound
from gateway.edges.files import Watched
from gateway.ports import Clock
from gateway.rules import oidc
from gateway.rules.jose import Problem, TokenProblem, decode_segment

Key = RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey

_ALGORITHMS: dict[str, Algorithm] = {
    "RS256": RSAAlgorithm(RSAAlgorithm.SHA256),
    "PS256": RSAPSSAlgorithm(RSAPSSAlgorithm.SHA256),
    "ES256": ECAlgorithm(ECAlgorithm.SHA256),
    "EdDSA": OKPAlgorithm(),  # `public_key` makes no Ed448 key
}


@dataclass(frozen=True)
class Provider:
    """One provider: `name` stands behind the @ of its people, `audience` is what it calls us."""

    name: str
    issuer: str
    audience: str
    jwks: Path
    algorithms: tuple[str, ...]
    longest_age: int
    rules: tuple[ClaimRule, ...]
    _file: Watched[tuple[oidc.ProviderKey, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_file", Watched(self.jwks, oidc.parse_keys))

    def keys(self) -> tuple[oidc.ProviderKey, ...]:
        """Raises TokenProblem when the file cannot be read."""
        try:
            return self._file.read()
        except OSError as problem:
            raise TokenProblem(
                Problem.KEY, f"the keys of {self.issuer} cannot be read: {problem.strerror}"
            ) from problem


class Providers:
    """All of them; a token goes to the one that its `iss` names exactly."""

    def __init__(self, providers: Sequence[Provider], clock: Clock) -> None:
        self._by_issuer = {provider.issuer: provider for provider in providers}
        self._by_name = {provider.name: provider for provider in providers}
        self._clock = clock

    def rules(self, provider: str) -> tuple[ClaimRule, ...]:
        """The rules by which a provider's people are granted something."""
        found = self._by_name.get(provider)
        return found.rules if found else ()

    def verify(self, token: str, token_type: oidc.TokenType) -> Inbound:
        """Raises TokenProblem. Whether it was used before is for the caller to find out, by `Inbound.once`."""
        read = oidc.parse(token)
        issuer = read.claims.get("iss")
        provider = self._by_issuer.get(issuer) if isinstance(issuer, str) else None
        if provider is None:
            raise TokenProblem(Problem.ISSUER, f"issued by {issuer!r:.200}, which is no configured provider")
        key = oidc.chosen(read, provider.keys(), provider.algorithms)
        if not _holds(read, key):
            raise TokenProblem(Problem.SIGNATURE, f"no valid signature by {provider.issuer}, kid {read.kid!r:.100}")
        oidc.check_claims(
            read,
            token_type,
            issuer=provider.issuer,
            audience=provider.audience,
            longest_age=provider.longest_age,
            now=self._clock.now(),
        )
        jwk = {"kid": key.kid, "kty": key.kty, "crv": key.crv, "alg": read.alg, **dict(key.members)}
        return Inbound(
            provider=provider.name,
            issuer=provider.issuer,
            subject=read.claims["sub"],
            claims=read.claims,
            token=token,
            digest=read.digest,
            key=json.dumps({name: value for name, value in jwk.items() if value}, sort_keys=True),
            once=oidc.once_key(read),
            expires=read.claims["exp"],
        )


def _holds(token: oidc.InboundJws, key: oidc.ProviderKey) -> bool:
    algorithm = _ALGORITHMS[token.alg]
    try:
        return bool(algorithm.verify(token.signing_input, algorithm.prepare_key(public_key(key)), token.signature))
    except (PyJWTError, UnsupportedAlgorithm, ValueError):
        return False


def public_key(key: oidc.ProviderKey) -> Key:
    """The key that a JWK describes. Raises TokenProblem, for an RSA key outside 2048 to 8192 bits too."""
    raw = {name: decode_segment(value, f"member {name}") for name, value in key.members}
    number = {name: int.from_bytes(value) for name, value in raw.items()}
    try:
        match key.kty:
            case "RSA":
                if not oidc.LEAST_RSA_BITS <= number["n"].bit_length() <= oidc.MOST_RSA_BITS:
                    raise TokenProblem(Problem.KEY, f"an RSA key of {number['n'].bit_length()} bits")
                return RSAPublicNumbers(number["e"], number["n"]).public_key()
            case "EC":
                return ec.EllipticCurvePublicNumbers(number["x"], number["y"], ec.SECP256R1()).public_key()
            case _:
                return Ed25519PublicKey.from_public_bytes(raw["x"])
    except ValueError as problem:
        raise TokenProblem(Problem.KEY, f"no {key.kty} key: {problem}") from problem
