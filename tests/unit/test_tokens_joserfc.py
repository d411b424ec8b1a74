"""joserfc as second implementation: it agrees with our verifier on generated tokens, wherever it is as strict.

joserfc is given the key, our two algorithms, our header names and a claims registry as its documentation has it.
`STRICTER` lists what it accepts and we refuse; for everything else both say the same. Nothing that we accept does it
refuse.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

from gateway.domain.identity import Jwk, b64url
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.tokens import signature_holds
from gateway.rules.jose import TokenProblem
from gateway.rules.tokens import LEEWAY, profile_of
from gateway.rules.verification import judge, keys_of_one
from tests.unit.trust_kit import CARE, NOW, POLICE, SESSION, forge, header_of

TYP = "isthmus-approval+jwt"
KEYS = {"Ed25519": new_signing_key(), "ES256": new_signing_key("ES256")}
STRANGERS = {"Ed25519": new_signing_key(), "ES256": new_signing_key("ES256")}
SETTINGS = settings(max_examples=150, deadline=None)


@dataclass(frozen=True)
class Case:
    """A token in parts, before it is signed; `respell` is done to its text."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signer: SigningKey
    alg: str
    respell: Callable[[str], str] = lambda text: text

    @property
    def compact(self) -> str:
        return self.respell(forge(self.header, self.claims, self.signer.secret))


def ours(compact: str, key: Jwk) -> bool:
    try:
        judge(compact, profile_of(TYP), SESSION, keys_of_one(CARE, [key]), NOW, signature_holds)
    except TokenProblem:
        return False
    return True


def theirs(compact: str, key: Jwk) -> bool:
    members = {name: getattr(key, name) for name in ("kty", "crv", "x", "y", "use") if getattr(key, name)}
    imported = (ECKey if key.kty == "EC" else OKPKey).import_key({**members, "alg": key.alg})
    algorithms = [key.alg]
    registry = JWSRegistry(
        header_registry={"trust_chain": HeaderParameter("chain", "list[str]")}, algorithms=algorithms
    )
    claims = jwt.JWTClaimsRegistry(
        now=NOW,
        leeway=LEEWAY,
        iss={"essential": True, "value": CARE},
        aud={"essential": True, "value": SESSION},
        sub={"essential": True},
        iat={"essential": True},
        exp={"essential": True},
        jti={"essential": True},
        contract_digest={"essential": True},
    )
    try:
        token = jwt.decode(compact, imported, algorithms=algorithms, registry=registry)
        claims.validate(token.claims)
    except (JoseError, ValueError, TypeError, KeyError):
        return False
    return True


times = st.integers(NOW - 700, NOW + 700)
identifiers = st.from_regex(r"[A-Za-z0-9._~:/+=-]{1,40}", fullmatch=True)


@st.composite
def good(draw: st.DrawFn) -> Case:
    alg = draw(st.sampled_from(sorted(KEYS)))
    issued = draw(st.integers(NOW - 500, NOW + LEEWAY))
    lives = draw(st.integers(max(1, NOW - issued - LEEWAY + 1), 600))
    claims = {
        "iss": CARE,
        "sub": draw(identifiers),
        "aud": SESSION,
        "iat": issued,
        "exp": issued + lives,
        "jti": draw(identifiers),
        "contract_digest": draw(st.binary(min_size=32, max_size=32)).hex(),
        "more": draw(st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(), st.lists, max_leaves=5)),
    }
    if draw(st.booleans()):
        claims["nbf"] = draw(st.integers(NOW - 500, NOW + LEEWAY))
    return Case(header_of(TYP, KEYS[alg]), claims, KEYS[alg], alg)


def _changed(case: Case, **parts: Any) -> Case:
    return Case(**{**vars(case), **parts})


@st.composite
def mutated(draw: st.DrawFn) -> Case:
    """One defect of a kind that both look for."""
    case = draw(good())
    kind = draw(
        st.sampled_from(["signer", "expired", "future", "aud", "iss", "missing", "character", "alg", "segment"])
    )
    match kind:
        case "signer":
            return _changed(case, signer=STRANGERS[case.alg])
        case "expired":
            over = draw(st.integers(NOW - 500, NOW - LEEWAY))
            return _changed(case, claims={**case.claims, "iat": over - 60, "exp": over})
        case "future":
            name = draw(st.sampled_from(["iat", "nbf"]))
            later = draw(st.integers(NOW + LEEWAY + 1, NOW + 500))
            return _changed(case, claims={**case.claims, name: later, "exp": later + 60})
        case "aud":
            return _changed(case, claims={**case.claims, "aud": draw(st.sampled_from([CARE, "", SESSION + "0", None]))})
        case "iss":
            return _changed(case, claims={**case.claims, "iss": draw(st.sampled_from([POLICE, "", CARE + "/", None]))})
        case "missing":
            name = draw(st.sampled_from(["iss", "sub", "aud", "iat", "exp", "jti", "contract_digest"]))
            return _changed(case, claims={key: value for key, value in case.claims.items() if key != name})
        case "alg":
            other = {"Ed25519": "ES256", "ES256": "Ed25519"}[case.alg]
            header = {**case.header, "alg": draw(st.sampled_from([other, "none", "HS256", "EdDSA", "ES384", ""]))}
            return _changed(case, header=header)
        case "segment":
            cut = draw(
                st.sampled_from([lambda t: t.rpartition(".")[0], lambda t: t + ".", lambda t: t.replace(".", "", 1)])
            )
            return _changed(case, respell=cut)
    at, put = draw(st.floats(0, 0.999)), draw(st.sampled_from("ABCDwxyz0189-_"))

    def respell(text: str) -> str:
        index = int(at * len(text))
        return text[:index] + put + text[index + 1 :]

    return _changed(case, respell=respell)


@SETTINGS
@given(good())
def test_both_accept_what_is_good(case: Case) -> None:
    compact = case.compact
    assert ours(compact, KEYS[case.alg].jwk)
    assert theirs(compact, KEYS[case.alg].jwk)


@SETTINGS
@given(mutated())
def test_both_say_the_same_of_what_has_one_defect(case: Case) -> None:
    compact = case.compact
    assert ours(compact, KEYS[case.alg].jwk) is theirs(compact, KEYS[case.alg].jwk)


def _stricter() -> dict[str, Callable[[str], str]]:
    """What joserfc accepts and we refuse: from an algorithm's name, a token."""

    def case(header: dict[str, Any] | None = None, respell: Callable[[str], str] = str, **claims: Any) -> Any:
        def make(alg: str) -> str:
            said = {
                "iss": CARE,
                "sub": "s",
                "aud": SESSION,
                "iat": NOW,
                "exp": NOW + 60,
                "jti": "j",
                "contract_digest": "ab" * 32,
                **claims,
            }
            kept = {name: value for name, value in said.items() if value is not ...}
            named = {n: v for n, v in {**header_of(TYP, KEYS[alg]), **(header or {})}.items() if v is not ...}
            return respell(forge(named, kept, KEYS[alg].secret))

        return make

    def doubled(alg: str) -> str:
        claims = json.dumps({"iss": CARE, "sub": "s", "aud": SESSION, "iat": NOW, "exp": NOW + 60, "jti": "j"})
        twice = claims[:-1] + f', "contract_digest": "{"ab" * 32}", "sub": "s"}}'
        return forge(header_of(TYP, KEYS[alg]), twice, KEYS[alg].secret)

    return {
        "another typ": case({"typ": "at+jwt"}),
        "no typ": case({"typ": ...}),
        "no kid": case({"kid": ...}),
        "the kid of another key": case({"kid": "k" * 43}),
        "duplicate names": doubled,
        "an audience that is a list": case(aud=[SESSION]),
        "an audience among others": case(aud=[SESSION, CARE]),
        "a lifetime over the cap": case(exp=NOW + 601),
        "expired by less than the leeway, and not after it was issued": case(iat=NOW, exp=NOW),
        "a digest of another form": case(contract_digest="AB" * 32),
        "a jti that no store could tell apart": case(jti="a b"),
        "a subject that is no printable text": case(sub="a\nb"),
        "an integer beyond 2^53 - 1": case(more=2**60),
        "a pushed chain on a token that pushes none": case({"trust_chain": ["x"]}),
        "embedded key": case({"jwk": {"kty": "OKP"}}),
        "content type": case({"cty": "JWT"}),
        "nested deeper than 16": case(more=json.loads("[" * 17 + "]" * 17)),
    }


STRICTER = _stricter()


@pytest.mark.parametrize("alg", sorted(KEYS))
@pytest.mark.parametrize("what", sorted(STRICTER))
def test_ours_is_stricter(what: str, alg: str) -> None:
    compact = STRICTER[what](alg)
    assert theirs(compact, KEYS[alg].jwk), "joserfc refuses it by now: move it to what both look for"
    assert not ours(compact, KEYS[alg].jwk)


def test_the_signature_of_either_is_the_others() -> None:
    """Tokens that joserfc signs, we accept."""
    for alg, key in KEYS.items():
        private = key.secret.private_bytes_raw() if alg == "Ed25519" else key.secret.private_numbers().private_value  # type: ignore[union-attr]
        raw = private if isinstance(private, bytes) else private.to_bytes(32, "big")
        public = {name: getattr(key.jwk, name) for name in ("kty", "crv", "x", "y") if getattr(key.jwk, name)}
        secret = (ECKey if alg == "ES256" else OKPKey).import_key({**public, "d": b64url(raw)})
        claims = json.loads(
            json.dumps({"iss": CARE, "sub": "s", "aud": SESSION, "iat": NOW, "exp": NOW + 60, "jti": "j"})
        )
        claims["contract_digest"] = "ab" * 32
        compact = jwt.encode(header_of(TYP, key), claims, secret, algorithms=[alg])
        assert ours(compact, key.jwk)
