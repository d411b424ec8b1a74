"""What each kind of token must say, as data.

Invariants:
- a new kind of token is a new entry and no new code; a `typ` that is not here is refused;
- every profile names its size, lifetime, audience, which key signs it and what of the channel it is bound to;
- one use of a key, one set of kinds: no key that a statement names signs what a person or a client signs;
- a lifetime is a cap: what a statement, list or plan allows may be shorter, never longer.

Sources: DESIGN section 4; RFC 7519, RFC 8725, RFC 8705 (certificate binding), RFC 9068 (`at+jwt`), RFC 7523
(client assertions), OpenID Federation 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from gateway.domain.identity import KeyUse
from gateway.rules.jose import is_thumbprint

HOUR = 3600
DAY = 24 * HOUR
KIB = 1024

_TEXT = re.compile(r"[\x21-\x7e]{1,512}")
_IDENTIFIER = re.compile(r"[A-Za-z0-9._~:/+=-]{1,128}")  # fits any store's column: no NUL, no quote, bounded
_SCOPE = re.compile(r"(?:[\x21\x23-\x5b\x5d-\x7e]+ )*[\x21\x23-\x5b\x5d-\x7e]+|")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")

Check = Callable[[object], bool]


def is_text(value: object) -> bool:
    """A non-empty string of visible ASCII: safe in logs, comparable byte by byte."""
    return isinstance(value, str) and _TEXT.fullmatch(value) is not None


def is_identifier(value: object) -> bool:
    return isinstance(value, str) and _IDENTIFIER.fullmatch(value) is not None


def is_integer(value: object) -> bool:
    return type(value) is int  # bool is a subclass, 1.0 compares equal: neither is an integer here


def is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def is_scope(value: object) -> bool:
    """Scopes between single spaces (RFC 6749 section 3.3)."""
    return isinstance(value, str) and _SCOPE.fullmatch(value) is not None


def is_hex_digest(value: object) -> bool:
    """A SHA-256 as `payload_digest` writes it."""
    return isinstance(value, str) and _HEX_DIGEST.fullmatch(value) is not None


def is_line(value: object) -> bool:
    """What a person writes in one line, for people."""
    return isinstance(value, str) and len(value) <= 500 and value.isprintable()


def is_document(value: object) -> bool:
    """A text of at most 64 Ki characters, in as many lines as it likes."""
    return isinstance(value, str) and 0 < len(value) <= 64 * KIB and "\0" not in value


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
    signed_with: KeyUse | None  # None: by a key that no statement of the issuer names, so the caller says which
    required: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)
    binding: Binding = Binding.NONE
    once: bool = False
    has_jti: bool = True
    of_itself: bool = False  # sub is iss
    pushes_chain: bool = False  # may carry a `trust_chain`; of the others that header refuses


ENTITY = "https://"
SESSION = "urn:isthmus:session:"
PLAN = "urn:isthmus:plan:"
POLICY = "urn:isthmus:policy:"

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
                optional={"authorization_details": is_list_of_objects, "act": is_object, "scope": is_scope},
                binding=Binding.CERTIFICATE,
            ),
            Profile(
                "isthmus-request+jwt",
                max_bytes=96 * KIB,  # room for a chain of 64 KiB, a third longer in base64url
                lifetime=60,
                audience=ENTITY,
                signed_with=KeyUse.TOKENS,
                required={"rpc": is_text, "rqh": is_thumbprint},
                optional={"ath": is_thumbprint},
                binding=Binding.REQUEST,
                once=True,
                of_itself=True,
                pushes_chain=True,
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
            # A client that names itself where no certificate can (RFC 7523 section 3): it is both issuer and
            # subject, its client ID is both, and it signs with the key that is configured for it. A space's
            # token key never signs one, or a gateway could pose as its clients.
            Profile(
                "isthmus-client-assertion+jwt",
                max_bytes=8 * KIB,
                lifetime=30,
                audience=ENTITY,
                signed_with=None,
                once=True,
                of_itself=True,
            ),
            # What an issuer takes back; `gateway.rules.revocation` says whose list counts for what.
            Profile(
                "isthmus-revocation+jwt",
                max_bytes=1024 * KIB,
                lifetime=300,
                audience=None,
                signed_with=KeyUse.REVOCATIONS,
                required={"seq": is_count, "revoked": is_object},
                of_itself=True,
            ),
            # The next keys of one use, vouched for by a present key of that use: on this alone an anchor renews
            # its pin (`gateway.rules.verification.read_rotation`).
            Profile(
                "isthmus-rotation+jwt",
                max_bytes=16 * KIB,
                lifetime=30 * DAY,
                audience=ENTITY,
                signed_with=None,
                required={"use": is_text, "jwks": is_object},
                of_itself=True,
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
            # A steward's decision about a plan, or a requester's signature under a query, by a key of their own
            # (`gateway.rules.verification.read_decision`). About a standing query it lives longer than the plan.
            Profile(
                "isthmus-decision+jwt",
                max_bytes=64 * KIB,
                lifetime=400 * DAY,
                audience=PLAN,
                signed_with=None,
                required={"decision": is_text},
                # Whose people it speaks for: one key may be a steward's of two spaces.
                optional={"reason": is_line, "space": is_text},
            ),
            # A draft contract that people decide on, addressed to its own digest (`gateway.rules.plans`).
            Profile(
                "isthmus-plan+jwt",
                max_bytes=512 * KIB,
                lifetime=30 * DAY,
                audience=PLAN,
                signed_with=KeyUse.TOKENS,
                required={"contract": is_object},
            ),
            # A policy that a steward wants for the dataset that it is addressed to, by a key of their own
            # (`gateway.rules.policy_texts`).
            Profile(
                "isthmus-policy+jwt",
                max_bytes=192 * KIB,
                lifetime=7 * DAY,
                audience=POLICY,
                signed_with=None,
                required={"policy": is_document, "version": is_count},
                of_itself=True,
            ),
        )
    }
)
