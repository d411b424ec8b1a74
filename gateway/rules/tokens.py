"""What each kind of token must say, as data, and the one check of it. Pure.

Invariants:
- a `typ` outside `PROFILES` is refused; a new kind of token is a new entry and no new code;
- every profile names its size, lifetime, audience, which of the issuer's keys signs it and what of the
  channel it is bound to; what a caller forgets to present is a refusal, never a check left out;
- the clock arrives as an argument, in whole seconds since the epoch.

Sources: DESIGN section 4; RFC 7519, RFC 8725, RFC 8705 (certificate binding), RFC 9068 (`at+jwt`), OpenID
Federation 1.0.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NoReturn

from gateway.domain.identity import KeyUse, b64url
from gateway.rules.jose import Problem, TokenProblem, is_thumbprint

LEEWAY = 5  # seconds: one or two of skew broke neighbouring systems
HOUR = 3600
DAY = 24 * HOUR
KIB = 1024

_TEXT = re.compile(r"[\x21-\x7e]{1,512}")
_IDENTIFIER = re.compile(r"[A-Za-z0-9._~:/+=-]{1,128}")  # fits any store's column: no NUL, no quote, bounded
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")

Check = Callable[[object], bool]


def is_text(value: object) -> bool:
    """A non-empty string of visible ASCII: safe in logs, comparable byte by byte."""
    return isinstance(value, str) and _TEXT.fullmatch(value) is not None


def is_identifier(value: object) -> bool:
    return isinstance(value, str) and _IDENTIFIER.fullmatch(value) is not None


def is_integer(value: object) -> bool:
    return type(value) is int  # bool is a subclass, 1.0 compares equal: neither is an integer here


def is_hex_digest(value: object) -> bool:
    """A SHA-256 as `payload_digest` writes it."""
    return isinstance(value, str) and _HEX_DIGEST.fullmatch(value) is not None


def is_object(value: object) -> bool:
    return isinstance(value, dict)


def is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def is_certificate_confirmation(value: object) -> bool:
    """`cnf` with an `x5t#S256` and nothing else (RFC 8705 section 3.1)."""
    return isinstance(value, dict) and value.keys() == {"x5t#S256"} and is_thumbprint(value["x5t#S256"])


class Binding(StrEnum):
    """What of the channel a token is bound to."""

    NONE = "none"
    CERTIFICATE = "certificate"  # cnf.x5t#S256 is the presented client certificate
    REQUEST = "request"  # rpc and rqh are the call's; the caller names the issuer that the certificate belongs to


@dataclass(frozen=True)
class Profile:
    """One kind of token. `lifetime` None means that it never expires and carries no `exp`."""

    typ: str
    max_bytes: int
    lifetime: int | None
    audience: str | None  # what the audience starts with; None: the token has none
    signed_with: KeyUse
    required: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)
    binding: Binding = Binding.NONE
    once: bool = False
    has_jti: bool = True


ENTITY = "https://"
SESSION = "urn:isthmus:session:"
PLAN = "urn:isthmus:plan:"

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.typ: profile
        for profile in (
            Profile(
                "entity-statement+jwt",
                max_bytes=64 * KIB,
                lifetime=30 * DAY,  # gateway.rules.trust cuts a leaf's to a day
                audience=None,
                signed_with=KeyUse.FEDERATION,
                required={"jwks": is_object},
                has_jti=False,
            ),
            Profile(
                "at+jwt",
                max_bytes=8 * KIB,
                lifetime=300,
                audience=ENTITY,
                signed_with=KeyUse.TOKENS,
                required={"client_id": is_text, "cnf": is_certificate_confirmation},
                # What they grant, and how deep `act` goes, is the access table's matter: it denies when
                # they are absent.
                optional={"authorization_details": is_list_of_objects, "act": is_object},
                binding=Binding.CERTIFICATE,
            ),
            Profile(
                "isthmus-request+jwt",
                max_bytes=96 * KIB,  # may push a trust chain
                lifetime=60,
                audience=ENTITY,
                signed_with=KeyUse.TOKENS,
                required={"rpc": is_text, "rqh": is_thumbprint},
                optional={"ath": is_thumbprint},
                binding=Binding.REQUEST,
                once=True,
            ),
            # Read by every space at Propose and at Run: its digest, not its jti, is consumed once, durably,
            # by each agent.
            Profile(
                "isthmus-contract+jwt",
                max_bytes=512 * KIB,
                lifetime=600,
                audience=SESSION,
                signed_with=KeyUse.TOKENS,
            ),
            Profile(
                "isthmus-approval+jwt",
                max_bytes=64 * KIB,
                lifetime=600,
                audience=SESSION,
                signed_with=KeyUse.CONTRACTS,
                required={"contract_digest": is_hex_digest},
            ),
            # What a space offers, signed by its agent, so that no gateway can invent a dataset.
            Profile(
                "isthmus-offer+jwt",
                max_bytes=4096 * KIB,
                lifetime=DAY,
                audience=None,
                signed_with=KeyUse.CONTRACTS,
                required={"offer": is_object},
            ),
            Profile(
                "isthmus-receipt+jwt",
                max_bytes=64 * KIB,
                lifetime=None,
                audience=SESSION,
                signed_with=KeyUse.CONTRACTS,
                required={"contract_digest": is_hex_digest},
            ),
            # A client that names itself where no certificate can: as RFC 7523 section 3 has it.
            Profile(
                "isthmus-client-assertion+jwt",
                max_bytes=8 * KIB,
                lifetime=30,
                audience=ENTITY,
                signed_with=KeyUse.TOKENS,
                once=True,
            ),
            # What an issuer takes back; `gateway.rules.revocation` says whose list counts for what.
            Profile(
                "isthmus-revocation+jwt",
                max_bytes=1024 * KIB,
                lifetime=300,
                audience=None,
                signed_with=KeyUse.REVOCATIONS,
                required={"seq": is_integer, "revoked": is_object},
            ),
            # The next keys of one use, vouched for by a present one: on this alone an anchor renews its pin.
            Profile(
                "isthmus-rotation+jwt",
                max_bytes=16 * KIB,
                lifetime=30 * DAY,
                audience=ENTITY,
                signed_with=KeyUse.FEDERATION,  # or the key of the use that it names, as gateway.rules.trust reads it
                required={"use": is_text, "jwks": is_object},
            ),
            # Good for one entity to join with, once, until it expires.
            Profile(
                "isthmus-invitation+jwt",
                max_bytes=16 * KIB,
                lifetime=30 * DAY,
                audience=ENTITY,
                signed_with=KeyUse.FEDERATION,
                once=True,
            ),
            # A steward's decision about a plan, or a requester's signature under a query, by a key of their own.
            Profile(
                "isthmus-decision+jwt",
                max_bytes=64 * KIB,
                lifetime=30 * DAY,
                audience=PLAN,
                signed_with=KeyUse.DECISIONS,
                required={"decision": is_text},
            ),
        )
    }
)


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
    """Every claim that the profile needs is there, of its type; unknown ones are ignored (RFC 7519 4)."""
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
