"""Tokens of OpenID Connect providers and their public keys, read strictly and judged. Pure.

Invariants:
- the segments that are parsed here are those whose signature is checked; nothing in a token names a key that is
  fetched or embedded, only one of the keys in the configured file;
- exactly one key is chosen, by its kid; a token that names none is judged only where the file holds one key for
  its algorithm (OpenID Connect Core 1.0 section 10.1);
- a key serves one algorithm of the configured list, in which neither "none" nor an HMAC can stand;
- whatever comes in, only TokenProblem goes out.

Sources: OpenID Connect Core 1.0 sections 2 and 3.1.3.7, RFC 7515, RFC 7517, RFC 7518 section 3, RFC 8725, RFC 9068.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

from gateway.rules.grants import is_person_name
from gateway.rules.jose import Problem, TokenProblem, decode_segment, parse_object, split_compact

MAX_TOKEN = 16 * 1024
MAX_KEYS = 32
MAX_KEY_FILE = 256 * 1024
MAX_TEXT = 256
LEAST_RSA_BITS = 2048  # RFC 7518 section 3.3
MOST_RSA_BITS = 8192
LEEWAY = 5

# Algorithm → (kty, crv) of the keys that serve it.
ALGORITHMS: Mapping[str, tuple[str, str]] = {
    "RS256": ("RSA", ""),
    "PS256": ("RSA", ""),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}
_HEADERS = frozenset({"alg", "kid", "typ"})
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class TokenType(StrEnum):
    """RFC 8693 section 3."""

    ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  (a name)
    ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105


# So that neither passes for the other. Of access tokens those that say so: RFC 9068 section 4.
_TYPS = {
    TokenType.ID_TOKEN: (None, "JWT"),
    TokenType.ACCESS_TOKEN: ("at+jwt", "application/at+jwt"),
}


@dataclass(frozen=True)
class ProviderKey:
    """One key of a provider's JWK Set: `members` are base64url texts, by the names of RFC 7518 section 6."""

    kid: str
    alg: str  # empty where it does not say
    kty: str
    crv: str
    members: tuple[tuple[str, str], ...]

    def serves(self, algorithm: str) -> bool:
        return (self.kty, self.crv) == ALGORITHMS[algorithm] and self.alg in ("", algorithm)


@dataclass(frozen=True)
class InboundJws:
    """A token as read, not yet believed."""

    alg: str
    kid: str | None
    typ: str | None
    claims: dict[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of what was signed: a signature can have a second spelling, this has none."""
        return hashlib.sha256(self.signing_input).hexdigest()


def parse(compact: str) -> InboundJws:
    """Raises TokenProblem."""
    segments = split_compact(compact, MAX_TOKEN)
    header = parse_object(decode_segment(segments[0], "header"), "header")
    if unknown := header.keys() - _HEADERS:
        raise TokenProblem(Problem.HEADER, f"header parameters that are not looked at: {sorted(unknown)!r:.200}")
    alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(alg, str) or alg not in ALGORITHMS:
        raise TokenProblem(Problem.ALGORITHM, f"algorithm {alg!r:.50}")
    if "kid" in header and not (isinstance(kid, str) and 0 < len(kid) <= MAX_TEXT):
        raise TokenProblem(Problem.HEADER, f"kid {kid!r:.100}")
    if "typ" in header and not isinstance(typ, str):
        raise TokenProblem(Problem.TYP, f"typ {typ!r:.100}")
    payload = decode_segment(segments[1], "payload")
    return InboundJws(
        alg=alg,
        kid=kid,
        typ=typ,
        claims=parse_object(payload, "payload"),
        payload=payload,
        signing_input=compact[: len(segments[0]) + 1 + len(segments[1])].encode("ascii"),
        signature=decode_segment(segments[2], "signature"),
    )


def issuer_of(compact: str) -> object:
    """What an unverified token says of its issuer, to know who is to verify it. Raises TokenProblem."""
    return parse_object(decode_segment(split_compact(compact, MAX_TOKEN)[1], "payload"), "payload").get("iss")


def parse_keys(raw: bytes) -> tuple[ProviderKey, ...]:
    """The keys of a provider's JWK Set (RFC 7517 section 5) that verify signatures by an algorithm known here.

    Others (for encryption, of other curves) are passed over, as the section wants it. Raises TokenProblem for what
    is no set, for one that holds a private key, and for a broken key.
    """
    if len(raw) > MAX_KEY_FILE:
        _no_key(f"{len(raw)} bytes, at most {MAX_KEY_FILE} are allowed")
    entries = parse_object(raw, "the JWK Set").get("keys")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_KEYS:
        _no_key(f"a JWK Set holds 1 to {MAX_KEYS} keys")
    keys = [_key(entry) for entry in entries]
    return tuple(key for key in keys if key is not None)


def _key(entry: object) -> ProviderKey | None:
    if not isinstance(entry, dict):
        _no_key("a JWK is a JSON object")
    if not _PRIVATE.isdisjoint(entry):
        _no_key("a key in the set is not public: have its owner replace it, it has been seen")
    text = {name: entry.get(name, "") for name in ("kid", "alg", "use", "kty", "crv")}
    if not all(isinstance(value, str) and len(value) <= MAX_TEXT for value in text.values()):
        _no_key("a member of a JWK is no text")
    operations = entry.get("key_ops", ["verify"])
    fits = any((text["kty"], text["crv"]) == kind for kind in ALGORITHMS.values())
    if not fits or text["use"] not in ("", "sig") or not isinstance(operations, list) or "verify" not in operations:
        return None
    if text["alg"] and text["alg"] not in ALGORITHMS:
        return None
    names = {"RSA": ("n", "e"), "EC": ("x", "y"), "OKP": ("x",)}[text["kty"]]
    members: list[tuple[str, str]] = []
    for name in names:
        value = entry.get(name)
        if not isinstance(value, str):
            _no_key(f"a JWK of kty {text['kty']} without {name}")
        size = len(decode_segment(value, f"member {name}"))
        if text["kty"] != "RSA" and size != 32:
            _no_key(f"member {name} is not 32 bytes long")
        members.append((name, value))
    return ProviderKey(text["kid"], text["alg"], text["kty"], text["crv"], tuple(members))


def chosen(token: InboundJws, keys: Sequence[ProviderKey], algorithms: Sequence[str]) -> ProviderKey:
    """The one key that may have signed the token. Raises TokenProblem."""
    if token.alg not in algorithms:
        raise TokenProblem(Problem.ALGORITHM, f"alg {token.alg}, configured are {', '.join(algorithms)}")
    fitting = [key for key in keys if token.kid is None or key.kid == token.kid]
    if len(fitting) != 1:
        _no_key(f"{len(fitting)} keys with kid {token.kid!r:.100}, not one")
    if not fitting[0].serves(token.alg):
        raise TokenProblem(Problem.ALGORITHM, f"alg {token.alg}, but key {token.kid!r:.100} is for another")
    return fitting[0]


def check_claims(
    token: InboundJws, token_type: TokenType, *, issuer: str, audience: str, longest_age: int, now: int
) -> None:
    """Issued by `issuer` for us, by now, not long ago, and good. Raises TokenProblem.

    An ID token may have several audiences if `azp` says that it was made for us (Core section 3.1.3.7, rules 3 to 5);
    an access token has one.
    """
    claims = token.claims
    if token.typ not in _TYPS[token_type]:
        raise TokenProblem(Problem.TYP, f"typ {token.typ!r:.100} in what came as {token_type}")
    if claims.get("iss") != issuer:
        raise TokenProblem(Problem.ISSUER, f"issued by {claims.get('iss')!r:.200}, not by {issuer!r:.200}")
    if not is_person_name(claims.get("sub")):
        raise TokenProblem(Problem.CLAIMS, f"sub {claims.get('sub')!r:.200} is no name that a contract can hold")
    _check_audience(claims, token_type, audience)
    _check_times(claims, longest_age, now)


def _check_audience(claims: Mapping[str, Any], token_type: TokenType, audience: str) -> None:
    aud = claims.get("aud")
    listed = aud if isinstance(aud, list) else [aud]
    if audience not in listed or not all(isinstance(item, str) for item in listed):
        raise TokenProblem(Problem.AUDIENCE, f"aud is {aud!r:.200}, not {audience!r:.200}")
    if len(listed) > 1 and (token_type is not TokenType.ID_TOKEN or "azp" not in claims):
        raise TokenProblem(Problem.AUDIENCE, f"several audiences {aud!r:.200}, and no azp says whose it is")
    if token_type is TokenType.ID_TOKEN and claims.get("azp", audience) != audience:
        raise TokenProblem(Problem.AUDIENCE, f"made for {claims['azp']!r:.200}, not for {audience!r:.200}")


def _check_times(claims: Mapping[str, Any], longest_age: int, now: int) -> None:
    for name in ("exp", "iat", *(("nbf",) if "nbf" in claims else ())):
        if type(claims.get(name)) is not int:  # True is an int to isinstance
            raise TokenProblem(Problem.TIMES, f"{name} is {claims.get(name)!r:.100}")
    issued, expires = claims["iat"], claims["exp"]
    if not 0 <= issued <= now + LEEWAY:
        raise TokenProblem(Problem.TIMES, f"issued at {issued}, which is in the future at {now}")
    if now - issued > longest_age + LEEWAY:
        raise TokenProblem(Problem.TIMES, f"issued {now - issued} s ago, at most {longest_age} s are allowed")
    # No leeway here: what is issued for it never outlives it, so nothing could be issued within the leeway.
    if expires <= max(now, issued):
        raise TokenProblem(Problem.TIMES, f"expired at {expires}, now is {now}")
    if claims.get("nbf", 0) > now + LEEWAY:
        raise TokenProblem(Problem.TIMES, f"not valid before {claims['nbf']}, now is {now}")


def once_key(token: InboundJws) -> str:
    """What makes it this token at its issuer: its `jti`, or where it has none what was signed."""
    jti = token.claims.get("jti")
    if jti is None:
        return f"sha-256:{token.digest}"
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_TEXT or not jti.isascii() or not jti.isprintable():
        raise TokenProblem(Problem.CLAIMS, f"jti {jti!r:.200}")
    return f"jti:{jti}"


def _no_key(detail: str) -> NoReturn:
    raise TokenProblem(Problem.KEY, detail)
