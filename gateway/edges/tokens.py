"""Signs tokens and verifies them: the only code that knows PyJWT, and the only verifier in the house.

Invariants:
- the order is DESIGN section 4's: all of `gateway.rules.verification.judge`, then channel, request, revocation, replay;
  nothing is skipped for want of an argument;
- the signature is checked over the bytes that were parsed: PyJWT's own, more lenient parser never sees a
  token;
- one algorithm per check, the key's; no HMAC, RSA, "none" or Ed448 is registered at all;
- whatever comes in, only `TokenProblem` goes out, or what the replay store raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import rfc8785
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey, Ed448PublicKey
from jwt.algorithms import AllowedOKPKeys, OKPAlgorithm
from jwt.api_jws import PyJWS
from jwt.exceptions import InvalidKeyError, PyJWTError

from gateway.domain.identity import Jwk
from gateway.edges.keys import SigningKey, verification_key
from gateway.rules.jose import CompactJws, Problem, TokenProblem
from gateway.rules.jwks import verifies_signatures
from gateway.rules.tokens import LEEWAY, Channel, check_binding, check_shape, profile_of
from gateway.rules.verification import Verified, judge

__all__ = ["Clock", "KeyDirectory", "ReplayStore", "Verified", "Verifier", "sign", "signature_holds"]

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
        verified = judge(compact, profile, audience, self._directory.keys, self._clock(), signature_holds)
        if issuer is not None and verified.issuer != issuer:
            raise TokenProblem(Problem.ISSUER, f"issued by {verified.issuer!r:.200}, not by {issuer!r:.200}")
        channel = Channel(certificate_thumbprint, request_hash, method)
        check_binding(profile, verified.claims, channel, issuer_named=issuer is not None)
        if profile.has_jti and self._directory.token_revoked(verified.issuer, verified.claims["jti"]):
            raise TokenProblem(Problem.REVOKED, f"token {verified.claims['jti']} of {verified.issuer!r:.200}")
        if profile.once:
            claims = verified.claims
            await self._consume(verified.issuer, typ, claims["jti"], claims["exp"] + LEEWAY)
        return verified

    async def _consume(self, issuer: str, typ: str, jti: str, expires_at: int) -> None:
        if self._replay is None:
            raise TokenProblem(Problem.REPLAY, f"{typ} is good for one use, and nothing here remembers uses")
        if await self._replay.consume(issuer, typ, jti, expires_at) is not True:
            raise TokenProblem(Problem.REPLAY, f"jti {jti} of {issuer!r:.200} was used before")
