"""The checks of a token's claims against its profile. Pure.

Invariants:
- what a caller forgets to present is a refusal, never a check left out;
- nothing of a token's content is looked at here before its signature held (`gateway.rules.verification`);
- the clock arrives as an argument, in whole seconds since the epoch.

ES256 signatures come in pairs: (r, n - s) is valid where (r, s) is. Both are accepted, because RFC 7518 section 3.4
asks for no low s and hardware makes either; so nothing here may be keyed on a signature or on the compact form. A use
is (iss, typ, jti), a digest is of the payload.

Sources: DESIGN section 4; RFC 7519, RFC 8725, RFC 8705 (certificate binding), RFC 9068 (`at+jwt`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from gateway.domain.identity import b64url
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.profiles import (
    DAY,
    PLAN,
    PROFILES,
    SESSION,
    Binding,
    Check,
    Profile,
    is_identifier,
    is_integer,
    is_text,
)

__all__ = [
    "DAY",
    "LEEWAY",
    "PLAN",
    "PROFILES",
    "SESSION",
    "Binding",
    "Channel",
    "Profile",
    "check_audience",
    "check_binding",
    "check_shape",
    "check_times",
    "payload_digest",
    "profile_of",
    "request_hash",
]

LEEWAY = 5  # seconds: one or two of skew broke neighbouring systems


@dataclass(frozen=True)
class Channel:
    """What the channel shows of the call: client certificate, hash of the request, full method."""

    certificate_thumbprint: str | None = None
    request_hash: str | None = None
    method: str | None = None


def profile_of(typ: str) -> Profile:
    """The profile of `typ`. Raises TokenProblem."""
    profile = PROFILES.get(typ)
    if profile is None:
        raise TokenProblem(Problem.TYP, f"unknown typ {typ!r:.100}")
    return profile


def payload_digest(payload: bytes) -> str:
    """The digest of a contract or approval: SHA-256, in hex, of the payload bytes as received.

    Not of the whole compact form: ECDSA turns a signature (r, s) into a second valid one, (r, n - s), and a
    signer may sign the same bytes twice. One contract must not have two digests, or it could be consumed
    twice.
    """
    return hashlib.sha256(payload).hexdigest()


def request_hash(received: bytes) -> str:
    """`rqh` over a request's bytes as received; also `ath` over an access token's ASCII (RFC 9449)."""
    return b64url(hashlib.sha256(received).digest())


def check_shape(profile: Profile, claims: Mapping[str, Any]) -> None:
    """Every claim that the profile needs is there, of its type; unknown ones are ignored (RFC 7519 section 4)."""
    needed: dict[str, Check] = {"iss": is_text, "sub": is_text, "iat": is_integer, **profile.required}
    if profile.lifetime is not None:
        needed["exp"] = is_integer
    elif "exp" in claims:
        _claims("exp in a token that does not expire")
    if profile.has_jti:
        needed["jti"] = is_identifier
    if profile.audience is not None:
        needed["aud"] = is_text
    elif "aud" in claims:
        _claims("aud in a token that has none")
    for name, check in needed.items():
        if name not in claims:
            raise TokenProblem(_problem_of(name), f"no {name}")
        if not check(claims[name]):
            raise TokenProblem(_problem_of(name), f"{name} is {claims[name]!r:.200}")
    for name, check in {"nbf": is_integer, **profile.optional}.items():
        if name in claims and not check(claims[name]):
            raise TokenProblem(_problem_of(name), f"{name} is {claims[name]!r:.200}")
    if profile.of_itself and claims["sub"] != claims["iss"]:
        _claims(f"sub is {claims['sub']!r:.200}, and whoever issues a {profile.typ} speaks of itself")


def check_audience(profile: Profile, claims: Mapping[str, Any], audience: str | None) -> None:
    """`aud` is exactly the expected one, which is of the profile's kind. Run after `check_shape`."""
    if profile.audience is None:
        if audience is not None:
            raise TokenProblem(Problem.AUDIENCE, f"{profile.typ} has no audience, one was expected")
        return
    if audience is None or not audience.startswith(profile.audience):
        raise TokenProblem(Problem.AUDIENCE, f"expected audience {audience!r:.200} is none for {profile.typ}")
    if claims["aud"] != audience:
        raise TokenProblem(Problem.AUDIENCE, f"aud is {claims['aud']!r:.200}, not {audience!r:.200}")


def check_times(claims: Mapping[str, Any], lifetime: int | None, now: int) -> None:
    """Issued, valid, not expired, not for longer than `lifetime`. Run after `check_shape`."""
    issued = claims["iat"]
    if not 0 <= issued <= now + LEEWAY:
        raise TokenProblem(Problem.TIMES, f"issued at {issued}, which is in the future at {now}")
    if lifetime is not None:
        expires = claims["exp"]
        if expires <= issued:
            raise TokenProblem(Problem.TIMES, f"expires at {expires}, not after it was issued at {issued}")
        if expires - issued > lifetime:
            raise TokenProblem(Problem.LIFETIME, f"lives {expires - issued} s, at most {lifetime} s are allowed")
        if now >= expires + LEEWAY:
            raise TokenProblem(Problem.TIMES, f"expired at {expires}, now is {now}")
    if "nbf" in claims and claims["nbf"] > now + LEEWAY:
        raise TokenProblem(Problem.TIMES, f"not valid before {claims['nbf']}, now is {now}")


def check_binding(profile: Profile, claims: Mapping[str, Any], channel: Channel, issuer_named: bool) -> None:
    """The token belongs to this channel and this call. Run after `check_shape`."""
    if profile.binding is Binding.NONE:
        return
    if not issuer_named:
        _binding(f"the caller did not say whose {profile.typ} it accepts")
    if profile.binding is Binding.CERTIFICATE:
        bound = claims["cnf"]["x5t#S256"]
        if not _same(bound, channel.certificate_thumbprint):
            _binding(f"bound to certificate {bound}, presented was {channel.certificate_thumbprint}")
        return
    if not _same(claims["rpc"], channel.method):
        _binding(f"made for {claims['rpc']!r:.200}, used for {channel.method!r:.200}")
    if not _same(claims["rqh"], channel.request_hash):
        _binding("made for another request")


def _same(claimed: str, presented: str | None) -> bool:
    return presented is not None and hmac.compare_digest(claimed.encode(), presented.encode())


def _problem_of(name: str) -> Problem:
    if name == "aud":
        return Problem.AUDIENCE
    return Problem.TIMES if name in ("iat", "exp", "nbf") else Problem.CLAIMS


def _claims(detail: str) -> NoReturn:
    raise TokenProblem(Problem.CLAIMS, detail)


def _binding(detail: str) -> NoReturn:
    raise TokenProblem(Problem.BINDING, detail)
