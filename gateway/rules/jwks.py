"""Public keys from and to JSON (RFC 7517, RFC 8037, RFC 9864). Pure.

Invariants: no private member passes; coordinates have one spelling, the curve's length, and are a point that
`gateway.rules.curves` lets pass; a `kid` that is not the RFC 7638 thumbprint of its key refuses the key; `alg`
is stated and fits the curve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from gateway.domain.identity import Jwk
from gateway.rules.curves import ed25519_flaw, p256_flaw, x25519_flaw
from gateway.rules.jose import Problem, TokenProblem, decode_segment

MAX_KEYS = 8
_MEMBERS = frozenset({"kty", "crv", "x", "y", "alg", "use", "key_ops", "kid"})
_KEY_OPERATIONS = frozenset({"sign", "verify", "encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"})
# (kty, crv) → algorithms a key of that curve may name, and what is wrong with its coordinates, if anything.
_CURVES: dict[tuple[str, str], tuple[frozenset[str], Callable[..., str | None]]] = {
    ("OKP", "Ed25519"): (frozenset({"Ed25519"}), ed25519_flaw),
    ("EC", "P-256"): (frozenset({"ES256"}), p256_flaw),
    ("OKP", "X25519"): (frozenset({"", "ECDH-ES"}), x25519_flaw),
}


def parse_jwk(value: object) -> Jwk:
    """The public key that `value` describes. Raises TokenProblem."""
    if not isinstance(value, dict):
        _refuse("a JWK is a JSON object")
    unknown = value.keys() - _MEMBERS
    if unknown:
        _refuse(f"members that no public key of ours has: {sorted(unknown)!r:.200}")
    key_ops = value.get("key_ops", [])
    if not isinstance(key_ops, list) or not all(isinstance(operation, str) for operation in key_ops):
        _refuse("key_ops is no list of strings")
    if len(set(key_ops)) != len(key_ops) or not _KEY_OPERATIONS.issuperset(key_ops):
        _refuse(f"key_ops {key_ops!r:.200}")
    text = {name: value.get(name, "") for name in _MEMBERS - {"key_ops"}}
    if not all(isinstance(member, str) for member in text.values()):
        _refuse("a member of the JWK is no string")
    curve = _CURVES.get((text["kty"], text["crv"]))
    if curve is None:
        _refuse(f"kty {text['kty']!r:.20} with crv {text['crv']!r:.20}")
    algorithms, flaw = curve
    if text["alg"] not in algorithms:
        _refuse(f"alg {text['alg']!r:.20} does not fit crv {text['crv']}")
    if text["kty"] == "OKP" and "y" in value:
        _refuse("an OKP key has no y")
    coordinates = [_coordinate(text, name) for name in ("x", "y")[: 1 + (text["kty"] == "EC")]]
    found = flaw(*coordinates)
    if found is not None:
        _refuse(f"{text['crv']}: {found}")
    if text["use"] not in ("", "sig", "enc"):
        _refuse(f"use {text['use']!r:.20}")
    jwk = Jwk(
        kty=text["kty"],
        crv=text["crv"],
        x=text["x"],
        y=text["y"],
        alg=text["alg"],
        use=text["use"],
        key_ops=tuple(key_ops),
    )
    if text["kid"] not in ("", jwk.kid):
        _refuse("kid is not the thumbprint of its key")
    return jwk


def parse_verification_keys(value: object) -> tuple[Jwk, ...]:
    """A JWK Set whose every key verifies signatures: 1 to 8, no two the same. Raises TokenProblem."""
    if not isinstance(value, dict) or not isinstance(value.get("keys"), list):
        _refuse("no JWK Set")
    entries = value["keys"]
    if not 1 <= len(entries) <= MAX_KEYS:
        _refuse(f"a JWK Set of {len(entries)} keys; 1 to {MAX_KEYS} are allowed")
    keys = tuple(parse_jwk(entry) for entry in entries)
    if not all(verifies_signatures(key) for key in keys):
        _refuse("a key in the set is not for verifying signatures")
    if len({key.kid for key in keys}) != len(keys):
        _refuse("two keys with one kid")
    return keys


def verifies_signatures(jwk: Jwk) -> bool:
    """Whether its own use, key_ops and alg say so (RFC 7517 sections 4.2 and 4.3, RFC 8725 section 3.1)."""
    return jwk.use == "sig" and jwk.key_ops in ((), ("verify",)) and jwk.alg in ("Ed25519", "ES256")


def jwk_object(jwk: Jwk) -> dict[str, Any]:
    """The key as JSON; `parse_jwk` reads it back to an equal one."""
    members: dict[str, Any] = {"kty": jwk.kty, "crv": jwk.crv, "x": jwk.x, "kid": jwk.kid}
    for name in ("y", "alg", "use"):
        if getattr(jwk, name):
            members[name] = getattr(jwk, name)
    if jwk.key_ops:
        members["key_ops"] = list(jwk.key_ops)
    return members


def jwk_set(keys: tuple[Jwk, ...]) -> dict[str, Any]:
    return {"keys": [jwk_object(key) for key in keys]}


def _coordinate(members: dict[str, str], name: str) -> bytes:
    raw = decode_segment(members[name], f"coordinate {name}")
    if len(raw) != 32:
        _refuse(f"coordinate {name} is not 32 bytes long")
    return raw


def _refuse(detail: str) -> NoReturn:
    raise TokenProblem(Problem.KEY, detail)
