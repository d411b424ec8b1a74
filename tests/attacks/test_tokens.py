"""Rows 1 to 7: tokens that are not good, as access tokens of clients and as request tokens of peers.

Every one of them gets the same status and the same text; what was wrong with it stands in the audit log alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.edges.keys import new_signing_key
from gateway.rules.jwks import jwk_object
from tests.attacks.forgery import CARE, FORGERS, POLICE, Forger, listening
from tests.attacks.port import GENERIC, LIST, OK, UNAUTHENTICATED, Port, bearer
from tests.unit.trust_kit import forge, header_of

Attack = tuple[str, Callable[[Forger], str]]  # what the audit record says, and the token


def _pem(forger: Forger) -> bytes:
    return forger.key.secret.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _raw(forger: Forger) -> bytes:
    return forger.key.secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _header(forger: Forger, more: str) -> str:
    return json.dumps(header_of(forger.typ, forger.key))[:-1] + more + "}"


def _unsigned(alg: str) -> Attack:
    return "ALGORITHM", lambda f: f.headed(b"", alg=alg)


def _federation(forger: Forger) -> str:
    """By a key that its issuer does have, for another use."""
    name = str(forger.says["iss"]).removeprefix("https://").removesuffix(".example")
    key = forger.port.key(name, "federation")
    return forge(header_of(forger.typ, key), forger.claims(), key.secret)


def _times(**changes: int) -> Attack:
    """Times relative to the moment at which the token is made."""
    return "", lambda f: f.saying(**{name: int(time.time()) + by for name, by in changes.items()})


ATTACKS: dict[str, Attack] = {
    # 1: algorithms.
    "01 none": _unsigned("none"),
    "01 None": _unsigned("None"),
    "01 NONE": _unsigned("NONE"),
    "01 no algorithm": ("HEADER", lambda f: forge({"kid": f.key.kid, "typ": f.typ}, f.claims(), f.key.secret)),
    "01 a list of algorithms": ("ALGORITHM", lambda f: f.headed(alg=["Ed25519"])),
    "01 HS256 over the public key": ("ALGORITHM", lambda f: f.with_mac(_raw(f))),
    "01 HS256 over its PEM": ("ALGORITHM", lambda f: f.with_mac(_pem(f))),
    "01 HS256 over its JWK": ("ALGORITHM", lambda f: f.with_mac(json.dumps(jwk_object(f.key.jwk)).encode())),
    "01 HS256 that calls itself Ed25519": ("SIGNATURE", lambda f: f.with_mac(_raw(f), "Ed25519")),
    "01 RS256": ("ALGORITHM", lambda f: f.headed(b"x" * 256, alg="RS256")),
    "01 ES256 over an Ed25519 key": (
        "ALGORITHM: alg ES256, but the key is for Ed25519",
        lambda f: f.headed(alg="ES256"),
    ),
    "01 the family's name": ("ALGORITHM", lambda f: f.headed(alg="EdDSA")),
    "01 Ed448 under EdDSA": ("ALGORITHM", lambda f: f.headed(Ed448PrivateKey.generate(), alg="EdDSA")),
    "01 Ed448 under Ed25519": ("SIGNATURE", lambda f: f.headed(Ed448PrivateKey.generate())),
    "01 no signature": ("SIGNATURE", lambda f: f.headed(b"")),
    "01 another's signature": ("SIGNATURE", lambda f: f.headed(new_signing_key().secret)),
    # 3: what is not understood.
    "03 a critical header": ("HEADER", lambda f: f.headed(crit=["exp"])),
    "03 an empty crit": ("HEADER", lambda f: f.headed(crit=[])),
    "03 an unencoded payload": ("HEADER", lambda f: f.headed(b64=False)),
    "03 a compressed payload": ("HEADER", lambda f: f.headed(zip="DEF")),
    "03 an unknown header": ("HEADER", lambda f: f.headed(note="x")),
    "03 an algorithm twice": ("MALFORMED", lambda f: f.spelled("{{}}", _header(f, ',"alg":"none"'))),
    "03 an issuer twice": ("MALFORMED", lambda f: f.spelled('{{},"iss":"https://police.example"}')),
    "03 a member twice, deep down": ("MALFORMED", lambda f: f.spelled('{{},"x":[{"y":{"z":1,"z":2}}]}')),
    "03 a name twice in two spellings": ("MALFORMED", lambda f: f.spelled('{{},"\\u0069ss":"https://police.example"}')),
    "03 NaN": ("MALFORMED", lambda f: f.spelled('{{},"nbf":NaN}')),
    "03 infinity": ("MALFORMED", lambda f: f.spelled('{{},"exp":-Infinity}')),
    "03 a number without end": ("MALFORMED", lambda f: f.spelled('{{},"nbf":1e999}')),
    "03 NaN in the header": ("MALFORMED", lambda f: f.spelled("{{}}", _header(f, ',"crit":NaN'))),
    "03 nested claims": ("MALFORMED", lambda f: f.spelled('{{},"x":' + "[" * 3000 + "]" * 3000 + "}")),
    "03 nested objects": ("MALFORMED", lambda f: f.spelled('{{},"x":' + '{"x":' * 500 + "1" + "}" * 501)),
    "03 a nested header": ("MALFORMED", lambda f: f.spelled("{{}}", _header(f, ',"x":' + "[" * 2000 + "]" * 2000))),
    "03 an array": ("MALFORMED", lambda f: f.spelled("[{{}}]")),
    "03 a half character": ("MALFORMED", lambda f: f.spelled('{{},"x":"\\ud800"}')),
    "03 two segments": ("MALFORMED", lambda f: f.saying().rpartition(".")[0]),
    "03 five segments": ("MALFORMED", lambda f: f.saying() + ".eA.eA"),
    "03 a space inside": ("MALFORMED", lambda f: f.saying().replace(".", ". ", 1)),
    # 4: key identifiers.
    "04 a path": ("HEADER", lambda f: f.headed(kid="../../keys/token.pem")),
    "04 a file": ("HEADER", lambda f: f.headed(kid="file:///etc/passwd")),
    "04 SQL": ("HEADER", lambda f: f.headed(kid="' OR 1=1 --")),
    "04 SQL of a thumbprint's length": (
        "HEADER",
        lambda f: f.headed(kid="' UNION SELECT jwk FROM keys WHERE '1'='1' -"),
    ),
    "04 a NUL": ("HEADER", lambda f: f.headed(kid=f.key.kid + "\0")),
    "04 a number": ("HEADER", lambda f: f.headed(kid=1)),
    "04 no kid": ("HEADER", lambda f: forge({"alg": "Ed25519", "typ": f.typ}, f.claims(), f.key.secret)),
    "04 a key of another use": ("KEY", _federation),
    "04 another space's key": ("KEY", lambda f: f.headed(kid=f.port.key("neutral").kid)),
    "04 a key that nobody has": ("KEY", lambda f: f.headed(kid=new_signing_key().kid)),
    # 5: another kind of token.
    "05 no typ": ("TYP", lambda f: forge({"alg": "Ed25519", "kid": f.key.kid}, f.claims(), f.key.secret)),
    "05 JWT": ("TYP", lambda f: f.headed(typ="JWT")),
    "05 the media type in full": ("TYP", lambda f: f.headed(typ=f"application/{f.typ}")),
    "05 in capitals": ("TYP", lambda f: f.headed(typ=f.typ.upper())),
    "05 a list": ("TYP", lambda f: f.headed(typ=[f.typ])),
    "05 an entity statement": ("TYP", lambda f: f.port.chain("care")[0]),
    "05 the anchor's statement": ("TYP", lambda f: f.port.chain("care")[1]),
    "05 an approval": ("TYP", lambda f: f.headed(typ="isthmus-approval+jwt")),
    "05 a contract": ("TYP", lambda f: f.headed(typ="isthmus-contract+jwt")),
    # 6: for whom and from whom.
    "06 a list of audiences": ("AUDIENCE", lambda f: f.saying(aud=[CARE, POLICE])),
    "06 a list of one audience": ("AUDIENCE", lambda f: f.saying(aud=[CARE])),
    "06 another space": ("AUDIENCE", lambda f: f.saying(aud="https://neutral.example")),
    "06 an endpoint": ("AUDIENCE", lambda f: f.saying(aud=f"https://{f.port.address}")),
    "06 the space with a slash": ("AUDIENCE", lambda f: f.saying(aud=CARE + "/")),
    "06 the space in capitals": ("AUDIENCE", lambda f: f.saying(aud=CARE.upper())),
    "06 a session": ("AUDIENCE", lambda f: f.saying(aud="urn:isthmus:session:1")),
    "06 nobody": ("AUDIENCE", lambda f: f.saying(aud=None)),
    "06 a known key, another issuer": ("KEY", lambda f: f.saying(iss="https://neutral.example")),
    "06 an unknown issuer": ("KEY", lambda f: f.saying(iss="https://evil.example")),
    "06 two issuers": ("CLAIMS", lambda f: f.saying(iss=[CARE, POLICE])),
    "06 no issuer": ("CLAIMS", lambda f: f.saying(iss=None)),
    "06 no subject": ("CLAIMS", lambda f: f.saying(sub=None)),
    "06 the anchor": ("KEY", lambda f: f.saying(iss="https://anchor.example")),
    # 7: times.
    "07 expired": _times(iat=-900, exp=-860),
    "07 just expired": _times(iat=-40, exp=-5),
    "07 of the future": _times(iat=3600, exp=3640),
    "07 not yet": _times(nbf=30),
    "07 ended before it began": _times(exp=-1),
    "07 for a day": _times(exp=86400),
    "07 a time as text": ("TIMES", lambda f: f.saying(exp=str(int(time.time()) + 50))),
    "07 an end as truth": ("TIMES", lambda f: f.saying(exp=True)),
    "07 a beginning as truth": ("TIMES", lambda f: f.saying(iat=True)),
    "07 a fraction": ("TIMES", lambda f: f.saying(exp=time.time() + 50.5)),
    "07 a float": ("TIMES", lambda f: f.saying(iat=float(int(time.time())))),
    "07 an nbf as text": ("TIMES", lambda f: f.saying(nbf="0")),
    "07 before time began": ("TIMES", lambda f: f.saying(iat=-1)),
    "07 after all time": ("MALFORMED", lambda f: f.saying(exp=2**63)),
    "07 a list of times": ("TIMES", lambda f: f.saying(exp=[int(time.time()) + 50])),
    "07 without an end": ("TIMES", lambda f: f.saying(exp=None)),
    "07 without a beginning": ("TIMES", lambda f: f.saying(iat=None)),
    # 8: what a replay store could not hold.
    "08 no jti": ("CLAIMS", lambda f: f.saying(jti=None)),
    "08 an empty jti": ("CLAIMS", lambda f: f.saying(jti="")),
    "08 a jti that is SQL": ("CLAIMS", lambda f: f.saying(jti="x'); DROP TABLE once; --")),
    "08 a jti without end": ("CLAIMS", lambda f: f.saying(jti="x" * 4000)),
}


@pytest.mark.parametrize("kind", FORGERS)
@pytest.mark.parametrize("name", ATTACKS)
def test_01_to_08_a_token_that_is_not_good_is_refused(port: Port, name: str, kind: str) -> None:
    forger = FORGERS[kind](port)
    why, make = ATTACKS[name]
    with port.audits(forger.rpc, f"UNAUTHENTICATED: {GENERIC} [{why}"):
        answer = forger.call(make(forger))
    assert (answer.code, answer.text, answer.body) == (UNAUTHENTICATED, GENERIC, b"")
    assert answer.problem is not None
    assert (answer.problem.field, answer.problem.space) == ("", "")


@pytest.mark.parametrize("kind", FORGERS)
def test_a_token_that_is_good_passes_so_that_the_others_prove_something(port: Port, kind: str) -> None:
    forger = FORGERS[kind](port)
    assert forger.call(forger.saying()).code is OK
    assert forger.call(forger.spelled("{{}}")).code is OK
    assert forger.port.call(forger.rpc, forger.sent, forger.credentials, ()).code is UNAUTHENTICATED


@pytest.mark.parametrize("kind", FORGERS)
def test_02_a_key_that_comes_with_a_token_is_neither_used_nor_fetched(port: Port, kind: str) -> None:
    forger, own = FORGERS[kind](port), new_signing_key()
    jwk = jwk_object(own.jwk)
    certificate = port.client("police")[0]
    with listening() as listener:
        for scheme in ("http", "https"):
            there = f"{scheme}://{listener.address}/keys.json"
            for header in (
                {"jwk": jwk},
                {"jku": there},
                {"x5u": there},
                {"x5c": [certificate.decode()]},
                {"x5t#S256": "A" * 43},
                {"jku": there, "jwk": jwk, "x5u": there},
            ):
                for key in (own, forger.key):
                    token = forge(header_of(forger.typ, key, **header), forger.claims(), key.secret)
                    with port.audits(forger.rpc, "HEADER"):
                        answer = forger.call(token)
                    assert (answer.code, answer.text) == (UNAUTHENTICATED, GENERIC), header
            # As issuer, and as something that only sounds like a key.
            for claims in ({"iss": there}, {"iss": f"https://{listener.address}"}, {"jwks_uri": there, "iss": there}):
                with port.audits(forger.rpc, "KEY"):
                    assert forger.call(forger.saying(**claims)).code is UNAUTHENTICATED


def test_05_what_one_kind_of_token_is_for_another_is_not_taken_for(port: Port) -> None:
    client, peer = FORGERS["client"](port), FORGERS["peer"](port)
    with port.audits(LIST, "TYP"):
        assert client.call(port.request_token("care", LIST, b"")).code is UNAUTHENTICATED
    with port.audits(peer.rpc, "TYP"):
        assert peer.call(port.access_token("police")).code is UNAUTHENTICATED
    # Another space's own access token, under its own certificate, opens nothing here.
    with port.audits(LIST):
        answer = port.call(LIST, b"", port.client("police"), bearer(port.access_token("police")))
    assert (answer.code, answer.text) == (UNAUTHENTICATED, GENERIC)
