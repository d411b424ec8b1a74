"""The one way from a compact token to claims that may be believed, and the readers built on it. Pure.

Invariants:
- the order is DESIGN section 4's: size, segments, strict JSON, header, typ, exactly one key, that key's own use
  and algorithm, signature, claims, audience, times, lifetime; channel and replay follow in
  `gateway.edges.tokens`, which alone knows them;
- keys come from the caller, by the name that the token states: no token brings its own;
- only `TokenProblem` leaves this module.

Decisions and rotations are read here, because no statement names the keys that sign them: a decision's belong to
a person, a rotation's are the present keys of the use that it renews.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain.identity import EntityId, Jwk, KeyUse
from gateway.rules.jose import CompactJws, Problem, TokenProblem, parse_compact
from gateway.rules.jwks import parse_verification_keys, verifies_signatures
from gateway.rules.profiles import Profile
from gateway.rules.tokens import check_audience, check_shape, check_times, payload_digest, profile_of

SignatureCheck = Callable[[CompactJws, Jwk], bool]
KeysOf = Callable[[str, str, str], Sequence[Jwk]]  # issuer, kid, typ


@dataclass(frozen=True)
class Verified:
    """A token that passed every check. `digest` is SHA-256, in hex, of its payload bytes."""

    claims: Mapping[str, Any]
    issuer: str
    kid: str
    digest: str


@dataclass(frozen=True)
class Rotation:
    """The keys that `issuer` will sign with for one use, said with a key it signs with now."""

    issuer: EntityId
    use: KeyUse
    keys: tuple[Jwk, ...]


def judge(
    compact: str, profile: Profile, audience: str | None, keys_of: KeysOf, now: int, signature_holds: SignatureCheck
) -> Verified:
    """The token's content, if it is one of `profile` for `audience`. Raises TokenProblem."""
    token = read_token(compact, profile)
    issuer, jwk = _signer(token, keys_of)
    if not signature_holds(token, jwk):
        raise TokenProblem(Problem.SIGNATURE, f"no valid signature by {issuer!r:.200}, kid {token.kid}")
    check_shape(profile, token.claims)
    check_audience(profile, token.claims, audience)
    check_times(token.claims, profile.lifetime, now)
    return Verified(token.claims, issuer, token.kid, payload_digest(token.payload))


def read_token(compact: str, profile: Profile) -> CompactJws:
    """The token as read, of the kind that `profile` describes, and not believed yet. Raises TokenProblem."""
    token = parse_compact(compact, profile.max_bytes)
    if token.typ != profile.typ:
        raise TokenProblem(Problem.TYP, f"typ is {token.typ!r:.100}, not {profile.typ}")
    if token.trust_chain and not profile.pushes_chain:
        raise TokenProblem(Problem.HEADER, f"a trust_chain on a {profile.typ}, which pushes none")
    return token


def _signer(token: CompactJws, keys_of: KeysOf) -> tuple[str, Jwk]:
    issuer = token.claims.get("iss")
    if not isinstance(issuer, str):
        raise TokenProblem(Problem.CLAIMS, "iss is no string")
    keys = keys_of(issuer, token.kid, token.typ)
    if len(keys) != 1:
        raise TokenProblem(Problem.KEY, f"{len(keys)} keys {token.kid} of {issuer!r:.200} for {token.typ}, not one")
    jwk = keys[0]
    if jwk.kid != token.kid or not verifies_signatures(jwk):
        raise TokenProblem(Problem.KEY, f"key {token.kid} of {issuer!r:.200} is not for verifying signatures")
    if jwk.alg != token.alg:
        raise TokenProblem(Problem.ALGORITHM, f"alg {token.alg}, but the key is for {jwk.alg}")
    return issuer, jwk


def keys_of_one(issuer: str, keys: Sequence[Jwk]) -> KeysOf:
    """The keys of one issuer that no statement names: a person's, a client's, a pinned anchor's."""

    def keys_of(named: str, kid: str, typ: str) -> Sequence[Jwk]:
        return [key for key in keys if key.kid == kid] if named == issuer else []

    return keys_of


def read_decision(
    compact: str, person: str, keys: Sequence[Jwk], audience: str, now: int, signature_holds: SignatureCheck
) -> Verified:
    """The decision of `person` by one of their own `keys` for the plan that `audience` names. Raises TokenProblem."""
    return judge(compact, profile_of("isthmus-decision+jwt"), audience, keys_of_one(person, keys), now, signature_holds)


def read_rotation(
    compact: str,
    issuer: EntityId,
    present: Mapping[KeyUse, Sequence[Jwk]],
    audience: EntityId,
    now: int,
    signature_holds: SignatureCheck,
) -> Rotation:
    """The next keys of one use of `issuer`, vouched for by one of its `present` keys of that use.

    `present` is what the reader has pinned, for each use that may be renewed so. A key that is pinned for another
    use is refused: one key never serves two. Raises TokenProblem.
    """
    profile = profile_of("isthmus-rotation+jwt")
    use = _use_of(read_token(compact, profile), present)
    verified = judge(compact, profile, audience, keys_of_one(issuer, present[use]), now, signature_holds)
    keys = parse_verification_keys(verified.claims["jwks"])
    elsewhere = {key.kid for other, pinned in present.items() if other is not use for key in pinned}
    if not elsewhere.isdisjoint(key.kid for key in keys):
        raise TokenProblem(Problem.KEY, f"{issuer} names a key for {use} that serves another use")
    return Rotation(issuer, use, keys)


def _use_of(token: CompactJws, present: Mapping[KeyUse, Sequence[Jwk]]) -> KeyUse:
    """The use that the token says it renews: it only chooses whose signature must hold."""
    named = token.claims.get("use")
    for use in present:
        if use.value == named:
            return use
    raise TokenProblem(Problem.CLAIMS, f"use {named!r:.50} is none that is renewed here")
