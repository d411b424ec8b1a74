"""Passwords: what is accepted as one, and what is kept of it.

Invariants: only an Argon2id hash is kept (RFC 9106, the second recommended option of section 4: 64 MiB, 3 passes,
4 lanes), in the PHC format with a salt of its own; a hash with other parameters than those is not computed, so that
no file makes this process take gigabytes.

Length rather than composition: NIST SP 800-63B section 5.1.1.2.
"""

from __future__ import annotations

import re
import secrets
import unicodedata

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

LEAST, MOST = 12, 256  # characters
_MEMORY_KIB, _PASSES, _LANES = 64 * 1024, 3, 4
_HASH = re.compile(
    rf"\$argon2id\$v=19\$m={_MEMORY_KIB},t={_PASSES},p={_LANES}\$[A-Za-z0-9+/]{{22}}\$[A-Za-z0-9+/]{{43}}"
)


def wrong_with(name: str, password: str) -> str:
    """Why this is no password for `name`; empty when it is one."""
    if len(password) < LEAST:
        return f"a password has at least {LEAST} characters"
    if len(password) > MOST:
        return f"a password has at most {MOST} characters"
    if name.casefold() in password.casefold():
        return "a password does not contain the name"
    if len(set(password)) < 5:
        return "a password has at least 5 different characters"
    return ""


def hashed(password: str) -> str:
    """The hash to keep, in PHC format. Takes about 0.1 s and 64 MiB."""
    kdf = Argon2id(
        salt=secrets.token_bytes(16), length=32, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB
    )  # fmt: skip
    return kdf.derive_phc_encoded(_bytes(password))


def is_hash(text: str) -> bool:
    return _HASH.fullmatch(text) is not None


def matches(password: str, hash: str) -> bool:
    """Whether `hash` is of `password`; compared in constant time."""
    if not is_hash(hash) or len(password) > MOST:
        return False
    try:
        Argon2id.verify_phc_encoded(_bytes(password), hash)
    except (InvalidKey, ValueError):
        return False
    return True


def _bytes(password: str) -> bytes:
    """One spelling of what looks the same (RFC 8265 section 4.2: normalisation form C)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
