"""Who may do what when a client acts for a person: mapping, intersection, claims, and the check of them. Pure.

Invariants:
- default deny: whom no rule matches has no grant, and an empty intersection is a refusal;
- rights only shrink: a token for a person grants what both the client and the person are granted, and the gate
  refuses one that grants more than configuration does at that moment;
- a person's name is `name@provider`, which no client ID and no entity ID can be, and no other provider's person;
- `act` is exactly one deep, and says who holds the certificate (RFC 8693 section 4.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from gateway.domain.caller import Rights
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.sign_in import ClaimRule, Grant
from gateway.rules.access import NOT_ALLOWED

TOKEN_LIFETIME = 300
BUILT_IN = "people"  # the provider's name of whom the built-in issuer knows
NOBODY = Grant((), Rights((), (), ()))
ALL = "*"

_NAME = re.compile(r"[\x21-\x7e]{1,160}")
_PROVIDER = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_LISTS = ("datasets", "statistics", "purposes", "roles")


def is_provider_name(text: str) -> bool:
    """Lower-case letters, digits and hyphens, at most 32: what stands behind the @ of a person's name."""
    return _PROVIDER.fullmatch(text) is not None


def is_person_name(text: object) -> bool:
    """Visible ASCII, at most 160 characters: with its provider, what a contract can name (OIDC Core section 2)."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def person_id(name: str, provider: str) -> str:
    """`name@provider`; the last @ divides them, so that two different pairs are two different texts."""
    if not is_person_name(name) or not is_provider_name(provider):
        raise ValueError(f"{name!r:.200} at {provider!r:.50} is no name of a person")
    return f"{name}@{provider}"


def provider_of(person: str) -> str:
    """The provider in a person's name; empty for what is none."""
    name, at, provider = person.rpartition("@")
    return provider if at and is_person_name(name) and is_provider_name(provider) else ""


def grant_of(claims: Mapping[str, Any], rules: Sequence[ClaimRule]) -> Grant:
    """The grant of the first rule that matches, else NOBODY.

    The first and not all: lists that are united one by one would allow combinations that no rule allows.
    """
    return next((rule.grant for rule in rules if _matches(claims, rule)), NOBODY)


def _matches(claims: Mapping[str, Any], rule: ClaimRule) -> bool:
    # An address that its provider has not verified is what the person typed (OIDC Core section 5.7).
    if rule.claim == "email" and claims.get("email_verified") is not True:
        return False
    claimed = claims.get(rule.claim)
    return claimed == rule.value or (isinstance(claimed, list) and rule.value in claimed)


def intersection(one: Grant, other: Grant) -> Grant:
    """What both grant."""
    scopes = tuple(sorted(set(one.scopes) & set(other.scopes)))
    lists = ((getattr(one.rights, name), getattr(other.rights, name)) for name in _LISTS)
    return Grant(scopes, Rights(*(_both(left, right) for left, right in lists)))


def _both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    if ALL in one:
        return (ALL,) if ALL in other else other
    return one if ALL in other else tuple(sorted(set(one) & set(other)))


def is_covered(grant: Grant, by: Grant) -> bool:
    """Whether `by` grants all that `grant` does."""
    lists = ((getattr(grant.rights, name), getattr(by.rights, name)) for name in _LISTS)
    return set(grant.scopes) <= set(by.scopes) and all(ALL in more or set(less) <= set(more) for less, more in lists)


def granted_to(client: Grant, person: Grant) -> Grant:
    """What a client may do for a person; raises IsthmusError(PERMISSION_DENIED) when that is nothing."""
    both = intersection(client, person)
    if not both.scopes:
        raise IsthmusError(
            Reason.PERMISSION_DENIED,
            "nothing is granted to you here",
            advice="Ask the operator of this space to grant you a scope that this client has too",
        )
    return both


def scopes_and_details(grant: Grant) -> dict[str, Any]:
    """`scope` and RFC 9396 `authorization_details` as claims."""
    details = {"type": "isthmus", **{name: list(getattr(grant.rights, name)) for name in _LISTS}}
    return {"scope": " ".join(grant.scopes), "authorization_details": [details]}


def grant_in(claims: Mapping[str, Any]) -> Grant:
    """What a verified token grants: the one `isthmus` entry of `authorization_details`; anything else is nothing."""
    details = claims.get("authorization_details", [])
    entries = [item for item in details if item.get("type") == "isthmus"] if isinstance(details, list) else []
    lists = [entries[0].get(name, []) for name in _LISTS] if len(entries) == 1 else []
    if not all(isinstance(item, list) and all(isinstance(value, str) for value in item) for item in lists):
        lists = []
    scopes = claims.get("scope", "")
    named = tuple(scopes.split()) if isinstance(scopes, str) else ()
    return Grant(named, Rights(*(tuple(item) for item in lists)) if lists else NOBODY.rights)


def claims_of(
    issuer: str, client: str, certificate: str, grant: Grant, jti: str, now: int, *, person: str = "", ends: int = 0
) -> dict[str, Any]:
    """The claims of an `at+jwt` (RFC 9068 section 2.2), bound to `certificate` (RFC 8705 section 3.1).

    With a `person` the client acts for them, and neither this token nor one that it is exchanged for outlives `ends`.
    """
    claims = {
        "iss": issuer,
        "sub": person or client,
        "aud": issuer,
        "client_id": client,
        "iat": now,
        "exp": min(now + TOKEN_LIFETIME, ends) if person else now + TOKEN_LIFETIME,
        "jti": jti,
        "cnf": {"x5t#S256": certificate},
        **scopes_and_details(grant),
    }
    return {**claims, "act": {"sub": client}, "sign_in_ends": ends} if person else claims


def check_actor(claims: Mapping[str, Any]) -> str:
    """The person that a verified `at+jwt` is for; empty where the client asks for itself.

    Raises IsthmusError(PERMISSION_DENIED) for an `act` that is nested, names another than the client, stands where
    none is needed, or is missing where one is.
    """
    subject, client = claims["sub"], claims["client_id"]
    if subject == client:
        if "act" in claims:
            _denied(f"act {claims['act']!r:.200} in {client}'s own token")
        return ""
    if claims.get("act") != {"sub": client}:
        _denied(f"act {claims.get('act')!r:.200} in a token that {client} holds for {subject!r:.200}")
    if not provider_of(subject):
        _denied(f"{client} acts for {subject!r:.200}, which is no person's name")
    return str(subject)


def check_not_widened(token: Grant, client: Grant, person: Sequence[Grant] | None) -> None:
    """Raises IsthmusError(PERMISSION_DENIED) when a token grants more than configuration does now.

    `person` None is a client for itself; else what configuration may grant that person, one of which has to cover it.
    """
    if not is_covered(token, client):
        _denied(f"the token grants {token}, configuration grants the client {client}")
    if person is not None and not any(is_covered(token, grant) for grant in person):
        _denied(f"the token grants {token}, which configuration does not grant the person")


def _denied(private: str) -> NoReturn:
    raise IsthmusError(
        Reason.PERMISSION_DENIED,
        NOT_ALLOWED,
        private=private,
        advice="Ask for a new token; if it comes back, ask the operator of this space",
    )
