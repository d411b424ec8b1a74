"""What stewards sign when they change a policy: addressed to one dataset, about one text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from gateway.domain.identity import Jwk
from gateway.rules.profiles import DAY, POLICY
from gateway.rules.tokens import profile_of
from gateway.rules.verification import SignatureCheck, Verified, judge, keys_of_one

TYP = "isthmus-policy+jwt"
LIFETIME = 7 * DAY


def audience(dataset: str) -> str:
    return POLICY + dataset


def text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_proposal(
    compact: str, person: str, keys: Sequence[Jwk], dataset: str, now: int, signature_holds: SignatureCheck
) -> Verified:
    """The policy that `person` wants for `dataset`, signed with one of their own `keys`. Raises TokenProblem."""
    return judge(compact, profile_of(TYP), audience(dataset), keys_of_one(person, keys), now, signature_holds)
