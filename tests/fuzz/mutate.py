"""Mutations of tokens, chains and JSON: of their bytes, and of what they mean. Seeded; no clock, no I/O.

A mutated token keeps its signature, gets a stranger's, or gets the right one over the wrong content: the last is what
reaches the checks behind the signature.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from gateway.domain.identity import b64url
from tests.unit.trust_kit import raw_signature

MAX_WEIGHT = 400_000  # characters: past every size limit but the offer's

Json = Any
Sign = Callable[[bytes], bytes]

NUMBERS = [0, -1, 1, 1.0, 0.5, 1e308, 2**31, 2**53 - 1, 2**53, 2**63, 2**64, -(2**63), 10**300, 1_800_000_000]
TEXTS = [
    "", " ", "\0", "a\nb", "\ud800", "é", "none", "HS256", "EdDSA", "Ed25519", "ES256", "ES384", "JWT", "../x",
    "' OR 1=1 --", "https://care.example", "https://care.example/", "https://police.example",
    "urn:isthmus:session:0197",
    "A" * 43, "A" * 513, "x" * 70_000, "0" * 64, "entity-statement+jwt", "isthmus-request+jwt", "verify", "sig", "enc",
]  # fmt: skip
NAMES = [
    "alg", "kid", "typ", "trust_chain", "jwk", "jku", "x5c", "crit", "b64", "zip", "iss", "sub", "aud", "iat", "exp",
    "nbf", "jti", "cnf", "act", "scope", "rpc", "rqh", "ath", "jwks", "keys", "metadata", "metadata_policy",
    "metadata_policy_crit", "constraints", "authority_hints", "use", "key_ops", "kty", "crv", "x", "y", "d", "seq",
    "revoked", "decision", "contract_digest", "offer", "client_id", "isthmus_gateway", "value", "one_of", "subset_of",
    "endpoint", "affiliates", "tls_ca", "seats", "max_path_length", "naming_constraints", "permitted", "",
]  # fmt: skip
RAW = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "1" * 5000,
    "[" * 40,
    '{"a":' * 40,
    "tru",
    "'x'",
    "01",
    "-",
    '"\\ud800"',
    "\x00",
]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\0é"


def scalar(random: Random) -> Json:
    return random.choice([random.choice(NUMBERS), random.choice(TEXTS), None, True, False, [], {}])


def anything(random: Random, depth: int = 3) -> Json:
    kind = random.randrange(6) if depth else 0
    if kind == 4:
        return [anything(random, depth - 1) for _ in range(random.randrange(4))]
    if kind == 5:
        return {random.choice(NAMES): anything(random, depth - 1) for _ in range(random.randrange(4))}
    return scalar(random)


def changed(random: Random, value: Json, depth: int = 6) -> Json:
    """`value` with one thing in it put in, taken out, doubled or replaced."""
    if depth and value and isinstance(value, dict | list) and random.random() < 0.8:
        if isinstance(value, list):
            return _changed_list(random, value, depth)
        copy = dict(value)
        match random.randrange(6):
            case 0:
                copy[random.choice(NAMES)] = anything(random)
            case 1:
                del copy[random.choice(list(copy))]
            case 2:
                copy[random.choice(list(copy))] = copy[random.choice(list(copy))]
            case _:
                name = random.choice(list(copy))
                copy[name] = changed(random, copy[name], depth - 1)
        return copy
    return _near(random, value) if random.random() < 0.5 else anything(random)


def _changed_list(random: Random, value: list[Json], depth: int) -> list[Json]:
    copy, at = list(value), random.randrange(len(value))
    match random.randrange(5):
        case 0:
            del copy[at]
        case 1:
            copy.insert(at, copy[random.randrange(len(copy))])
        case 2:
            times = random.choice([2, 9, 65, 300])
            copy = copy * (times if times * _weight(copy) < MAX_WEIGHT else 1)
        case 3:
            random.shuffle(copy)
        case _:
            copy[at] = changed(random, copy[at], depth - 1)
    return copy


def _weight(value: Json) -> int:
    """About how many characters `value` has as JSON."""
    if isinstance(value, str):
        return len(value) + 2
    if isinstance(value, list):
        return 2 + sum(map(_weight, value))
    return 2 + sum(len(name) + _weight(part) for name, part in value.items()) if isinstance(value, dict) else 8


def _near(random: Random, value: Json) -> Json:
    """Almost the same: the spelling, type or number beside it."""
    if isinstance(value, bool) or value is None:
        return random.choice([0, 1, "true", None, True, False])
    if isinstance(value, int):
        return random.choice([value + 1, value - 1, value + 10**6, -value, value / 2, str(value), [value]])
    if isinstance(value, str):
        return random.choice(
            [scattered(random, value), value.upper(), value + "/", value + " ", [value], {value: 1}, ""]
        )
    return random.choice([[value], {"keys": value}, None])


def scattered(random: Random, text: str) -> str:
    """Bytes of `text` changed, lost, doubled, moved or cut off."""
    if not text:
        return random.choice(ALPHABET)
    at = random.randrange(len(text))
    upto = min(len(text), at + random.choice([1, 1, 2, 8, 64]))
    match random.randrange(8):
        case 0:
            return text[:at] + random.choice(ALPHABET) + text[at + 1 :]
        case 1:
            return text[:at] + random.choice(ALPHABET) + text[at:]
        case 2:
            return text[:at] + text[upto:]
        case 3:
            return text[:upto] + text[at:]
        case 4:
            return text[:at]
        case 5:
            return text[:at] + chr(ord(text[at]) ^ (1 << random.randrange(7))) + text[at + 1 :]
        case 6:
            return text[upto:] + text[:upto]
        case _:
            return text[:at] + text[at:upto] * random.choice([2, 50, 3000]) + text[upto:]


def written(random: Random, value: Json) -> bytes:
    """`value` as JSON, now and then badly spelled."""
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):
        text = "{}"
    match random.randrange(12):
        case 0:
            text = text.replace(":", f': {random.choice(RAW)}, "more":', 1)
        case 1 if text.startswith('{"') and "," in text:
            text = text[:-1] + "," + text[1:]  # every member twice
        case 2:
            text = scattered(random, text)
        case 3:
            text = " " * random.choice([1, 5000]) + text
    raw = text.encode("utf-8", "surrogatepass")
    return raw + random.choice([b"\xff", b"\x00", b"\xc0\x80"]) if random.random() < 0.02 else raw


def decoded(segment: str) -> Json:
    try:
        return json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (ValueError, binascii.Error):
        return {}


def token(random: Random, compact: str, others: list[str], signers: Mapping[str, Any]) -> str:
    """Another text than `compact`, near it. `signers`: the right secret and a stranger's."""
    match random.randrange(10):
        case 0 | 1 | 2:
            return scattered(random, compact)
        case 3:
            mine, theirs = compact.split("."), random.choice(others).split(".")
            at = random.randrange(3)
            mine[at] = theirs[at % len(theirs)]
            return ".".join(mine)
        case 4:
            return ".".join(random.sample(compact.split(".") * 2, random.randrange(1, 6)))
    header, payload, signature = compact.split(".")
    if random.random() < 0.4:
        header = b64url(written(random, changed(random, decoded(header))))
    else:
        payload = b64url(written(random, changed(random, decoded(payload))))
    signing_input = f"{header}.{payload}"
    how = random.random()
    if how < 0.75:
        secret = signers["right" if how < 0.5 else "stranger"]
        signature = b64url(raw_signature(signing_input.encode(), secret))
    return f"{signing_input}.{signature}"
