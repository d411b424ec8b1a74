"""Signs tokens and verifies them: the only code that knows PyJWT, and the only verifier in the house.

Invariants:
- the order is DESIGN section 4's: size, segments, strict JSON, header, typ, exactly one key, that key's own
  use and algorithm, signature, claims, audience, times, lifetime, channel, request, revocation, replay; nothing is
  skipped for want of an argument;
- the signature is checked over the bytes that were parsed: PyJWT's own, more lenient parser never sees a
  token;
- one algorithm per check, the key's; no HMAC, RSA, "none" or Ed448 is registered at all;
- whatever comes in, only `TokenProblem` goes out, or what the replay store raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import rfc8785
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey, Ed448PublicKey
from jwt.algorithms import AllowedOKPKeys, OKPAlgorithm
from jwt.api_jws import PyJWS
from jwt.exceptions import InvalidKeyError, PyJWTError

from gateway.domain.identity import Jwk
from gateway.edges.keys import SigningKey, verification_key
from gateway.rules.jose import CompactJws, Problem, TokenProblem, parse_compact
from gateway.rules.jwks import verifies_signatures
from gateway.rules.tokens import (
    LEEWAY,
    Channel,
    check_audience,
    check_binding,
    check_shape,
    check_times,
    payload_digest,
    profile_of,
)

Clock = Callable[[], int]  # whole seconds since the epoch


class KeyDirectory(Protocol):
    def keys(self, issuer: str, kid: str, typ: str) -> Sequence[Jwk]:
        """The keys, still believed, with which `issuer` signs `typ` and whose thumbprint is `kid`.

        Raises TokenProblem(REVOKED) for one that would be among them, had it not been revoked.
        """
        ...

    def token_revoked(self, issuer: str, jti: str) -> bool:
        """Whether `issuer` has taken back its token `jti`."""
        ...


class ReplayStore(Protocol):
    async def consume(self, issuer: str, typ: str, jti: str, expires_at: int) -> bool:
        """True the first time, for one caller among all replicas; remembered at least until `expires_at`.

        In doubt it raises: a store that cannot answer lets nothing through.
        """


@dataclass(frozen=True)
class Verified:
    """A token that passed every check. `digest` is SHA-256, in hex, of its payload bytes."""

    claims: Mapping[str, Any]
    issuer: str
    kid: str
    digest: str


class _Ed25519(OKPAlgorithm):
    """RFC 9864's fully specified algorithm: OKPAlgorithm as it comes would take an Ed448 key too."""

    def prepare_key(self, key: AllowedOKPKeys | str | bytes) -> AllowedOKPKeys:
        prepared = super().prepare_key(key)
        if isinstance(prepared, Ed448PrivateKey | Ed448PublicKey):
            raise InvalidKeyError("Ed25519 takes no Ed448 key")
        return prepared


_JWS = PyJWS(algorithms=["ES256"])
_JWS.register_algorithm("Ed25519", _Ed25519())


def sign(typ: str, claims: Mapping[str, Any], key: SigningKey, trust_chain: Sequence[str] = ()) -> str:
    """A compact JWS over the RFC 8785 bytes of `claims`.

    Raises ValueError where our own verifier would refuse the shape, and for what canonical JSON cannot hold.
    """
    try:
        check_shape(profile_of(typ), claims)
    except TokenProblem as problem:
        raise ValueError(f"not signed: {problem.private}") from None
    headers: dict[str, Any] = {"typ": typ, "kid": key.kid}
    if trust_chain:
        headers["trust_chain"] = list(trust_chain)
    return _JWS.encode(rfc8785.dumps(dict(claims)), key.secret, algorithm=key.jwk.alg, headers=headers)


def signature_holds(token: CompactJws, jwk: Jwk) -> bool:
    """Whether `jwk` may and does verify the signature of `token`, by the one algorithm both name."""
    if not verifies_signatures(jwk) or token.alg != jwk.alg or token.kid != jwk.kid:
        return False
    algorithm = _JWS.get_algorithm_by_name(jwk.alg)
    try:
        prepared = algorithm.prepare_key(verification_key(jwk))
        return algorithm.verify(token.signing_input, prepared, token.signature)
    except (PyJWTError, UnsupportedAlgorithm, ValueError):
        return False


class Verifier:
    """The one verifier. `replay` may be left out only where no token that is good for one use is expected."""

    def __init__(self, directory: KeyDirectory, clock: Clock, replay: ReplayStore | None = None) -> None:
        self._directory = directory
        self._clock = clock
        self._replay = replay

    async def verify(
        self,
        compact: str,
        typ: str,
        audience: str | None,
        *,
        issuer: str | None = None,
        certificate_thumbprint: str | None = None,
        request_hash: str | None = None,
        method: str | None = None,
    ) -> Verified:
        """The token's content, if it is a `typ` for `audience` of this very call. Raises TokenProblem.

        `issuer` is whom the caller expects, and required where the token is bound to the channel: the home
        entity for a client's `at+jwt`, the entity that the peer's certificate belongs to for an `isthmus-
        request+jwt`.
        """
        profile = profile_of(typ)
        token = parse_compact(compact, profile.max_bytes)
        if token.typ != typ:
            raise TokenProblem(Problem.TYP, f"typ is {token.typ!r:.100}, not {typ}")
        jwk = self._key(token)
        if not signature_holds(token, jwk):
            raise TokenProblem(
                Problem.SIGNATURE, f"no valid signature by {token.claims['iss']!r:.200}, kid {token.kid}"
            )
        check_shape(profile, token.claims)
        check_audience(profile, token.claims, audience)
        check_times(token.claims, profile.lifetime, self._clock())
        named: str = token.claims["iss"]
        if issuer is not None and named != issuer:
            raise TokenProblem(Problem.ISSUER, f"issued by {named!r:.200}, not by {issuer!r:.200}")
        channel = Channel(certificate_thumbprint, request_hash, method)
        check_binding(profile, token.claims, channel, issuer_named=issuer is not None)
        if profile.has_jti and self._directory.token_revoked(named, token.claims["jti"]):
            raise TokenProblem(Problem.REVOKED, f"token {token.claims['jti']} of {named!r:.200}")
        if profile.once:
            await self._consume(named, typ, token.claims["jti"], token.claims["exp"] + LEEWAY)
        return Verified(token.claims, named, token.kid, payload_digest(token.payload))

    def _key(self, token: CompactJws) -> Jwk:
        issuer = token.claims.get("iss")
        if not isinstance(issuer, str):
            raise TokenProblem(Problem.CLAIMS, "iss is no string")
        keys = self._directory.keys(issuer, token.kid, token.typ)
        if len(keys) != 1:
            raise TokenProblem(Problem.KEY, f"{len(keys)} keys {token.kid} of {issuer!r:.200} for {token.typ}, not one")
        jwk = keys[0]
        if jwk.kid != token.kid or not verifies_signatures(jwk):
            raise TokenProblem(Problem.KEY, f"key {token.kid} of {issuer!r:.200} is not for verifying signatures")
        if jwk.alg != token.alg:
            raise TokenProblem(Problem.ALGORITHM, f"alg {token.alg}, but the key is for {jwk.alg}")
        return jwk

    async def _consume(self, issuer: str, typ: str, jti: str, expires_at: int) -> None:
        if self._replay is None:
            raise TokenProblem(Problem.REPLAY, f"{typ} is good for one use, and nothing here remembers uses")
        if await self._replay.consume(issuer, typ, jti, expires_at) is not True:
            raise TokenProblem(Problem.REPLAY, f"jti {jti} of {issuer!r:.200} was used before")
