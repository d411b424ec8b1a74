"""Rows 8 and 9: tokens that were good once, or are good for somebody or something else."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import pytest

from gateway.api.peer.v1 import peer_pb2 as peer
from gateway.domain.identity import EntityId, b64url
from gateway.edges.certificates import Role, client_certificate, load_authority, thumbprint
from gateway.edges.keys import new_signing_key
from gateway.rules.gateway_metadata import ENTITY_TYPE
from gateway.rules.jose import parse_compact
from gateway.rules.jwks import jwk_object
from gateway.rules.tokens import request_hash
from tests.attacks.forgery import CARE, Forger, of_client, of_peer
from tests.attacks.port import GENERIC, LIST, OK, PEER, UNAUTHENTICATED, Port, bearer, free_address
from tests.e2e.shell import ROOT, Shell
from tests.unit.trust_kit import forge, header_of

DESCRIBE = PEER + "Describe"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# The order of P-256's group (FIPS 186-4 D.1.2.3).
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture(scope="module")
def replicas(shell: Shell) -> Iterator[tuple[Port, Port]]:
    """care's gateway, and a second process of it over the same database."""
    home = shell.folder / "spaces" / "care"
    first = Port(shell)
    second = replace(first, replica=free_address())
    config = home / "second.toml"
    # It listens elsewhere; its peers know both under one endpoint.
    text = (home / "gateway.toml").read_text().replace(f'listen = "{first.address}"', f'listen = "{second.address}"')
    config.write_text(text.replace('[agent]\nconfig = "agent.toml"\n', ""))
    command = (sys.executable, "-m", "gateway", "gateway", "serve", "--config", str(config), "--embedded")
    process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT)
    try:
        with second.channel(second.client()) as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
        yield first, second
    finally:
        process.communicate(timeout=15)


def _describe(port: Port, token: str, sent: bytes) -> grpc.StatusCode:
    return port.call(DESCRIBE, sent, port.gateway("police"), bearer(token)).code


def _refused(port: Port, token: str, sent: bytes, why: str) -> None:
    with port.audits(DESCRIBE, why):
        answer = port.call(DESCRIBE, sent, port.gateway("police"), bearer(token))
    assert (answer.code, answer.text) == (UNAUTHENTICATED, GENERIC)


def test_08_a_request_token_serves_once_whichever_replica_it_comes_to(replicas: tuple[Port, Port]) -> None:
    for first, then in (replicas, replicas[::-1]):
        forger = of_peer(first)
        token = forger.saying()
        assert _describe(first, token, forger.sent) is OK
        _refused(then, token, forger.sent, "used before")
        _refused(first, token, forger.sent, "used before")
        # Its identifier is used up, whatever else a new token says.
        _refused(then, forger.saying(jti=parse_compact(token, 8192).claims["jti"]), forger.sent, "used before")
        assert first.still_serves()
        assert then.still_serves()


def test_08_of_many_at_once_on_two_replicas_one_is_served(replicas: tuple[Port, Port]) -> None:
    forger = of_peer(replicas[0])
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            token = forger.saying()
            codes = list(pool.map(lambda port: _describe(port, token, forger.sent), replicas * 4))  # noqa: B023
            assert sorted(code.name for code in codes) == ["OK", *["UNAUTHENTICATED"] * 7]


def _with_es256(port: Port) -> Forger:
    """police, which says with every call that it signs with a P-256 key too."""
    key = new_signing_key("ES256")
    metadata = parse_compact(port.chain("police")[0], 64 * 1024).claims["metadata"]
    metadata[ENTITY_TYPE]["token_jwks"]["keys"].append(jwk_object(key.jwk))
    chain = [port.restated("police", metadata=metadata), port.chain("police")[1]]
    request = peer.DescribeRequest(chain=chain)
    assert port.as_peer("police", "Describe", request).code is OK
    sent, forger = request.SerializeToString(), of_peer(port)
    return replace(forger, key=key, sent=sent, says={**forger.says, "rqh": request_hash(sent)})


def _mirrored(token: str) -> str:
    """The second signature that holds wherever an ECDSA signature does: (r, n - s)."""
    head, _, signature = token.rpartition(".")
    raw = parse_compact(token, 8192).signature
    other = raw[:32] + (N - int.from_bytes(raw[32:])).to_bytes(32)
    assert b64url(other) != signature
    return f"{head}.{b64url(other)}"


def _stray(token: str) -> str:
    """The same bytes in another spelling: a bit that base64url leaves unused."""
    return token[:-1] + ALPHABET[ALPHABET.index(token[-1]) ^ 1]


RESPELLED: dict[str, Callable[[str], str]] = {
    "as it was": lambda t: t,
    "padded": lambda t: t + "==",
    "padded once": lambda t: t + "=",
    "with a stray bit": _stray,
    "with a character more": lambda t: t + "A",
    "with a foreign character": lambda t: t + "!",
    "in the other alphabet": lambda t: t.replace("-", "+").replace("_", "/") + "==",
    "with the claims padded": lambda t: ".".join([(p := t.split("."))[0], p[1] + "=", p[2]]),
    "with the header padded": lambda t: ".".join([(p := t.split("."))[0] + "=", p[1], p[2]]),
    "without its signature": lambda t: t.rpartition(".")[0] + ".",
}


@pytest.mark.parametrize("alg", ["Ed25519", "ES256"])
def test_08_a_used_token_is_used_in_every_other_spelling(port: Port, alg: str) -> None:
    forger = _with_es256(port) if alg == "ES256" else of_peer(port)
    again = {**RESPELLED, "mirrored": _mirrored} if alg == "ES256" else RESPELLED
    token = forger.saying()
    assert _describe(port, token, forger.sent) is OK
    for name, respell in again.items():
        why = "used before" if name in ("as it was", "mirrored") else ""
        _refused(port, respell(token), forger.sent, why)


def test_08_whichever_of_two_signatures_comes_first_is_the_only_one(port: Port) -> None:
    forger = _with_es256(port)
    token = forger.saying()
    assert _describe(port, _mirrored(token), forger.sent) is OK
    _refused(port, token, forger.sent, "used before")


# 9: another's certificate, another request.


def test_09_a_stolen_token_is_worth_nothing_on_another_certificate(port: Port) -> None:
    tls = port.folder / "spaces" / "care" / "tls"
    authority = load_authority(tls / "ca.pem", tls / "ca.key.pem")
    renewed = client_certificate(authority, EntityId(CARE), Role.CLIENT, int(time.time()), client_id="analyst")
    unknown = client_certificate(authority, EntityId(CARE), Role.CLIENT, int(time.time()), client_id="nobody")
    thieves = {
        "another client": port.client("care", "operator"),
        "the client's next certificate": (renewed.certificate_pem, renewed.key_pem),
        "a client that is not configured": (unknown.certificate_pem, unknown.key_pem),
        "a client elsewhere": port.client("police"),
        "a peer": port.gateway("police"),
        "the own gateway": port.gateway("care"),
        "an agent elsewhere": port.agent("police"),
    }
    token = bearer(port.access_token())
    for thief, credentials in thieves.items():
        with port.audits(LIST, "UNAUTHENTICATED"):
            answer = port.call(LIST, b"", credentials, token)
        assert (answer.code, answer.text) == (UNAUTHENTICATED, GENERIC), thief


def test_09_a_token_names_its_certificate_and_its_client_and_nothing_beside(port: Port) -> None:
    forger = of_client(port)
    own, other = thumbprint(port.client()[0]), thumbprint(port.client("care", "operator")[0])
    for changes in (
        {"cnf": None},
        {"cnf": {}},
        {"cnf": {"x5t#S256": other}},
        {"cnf": {"x5t#S256": own.upper()}},
        {"cnf": {"x5t#S256": [own]}},
        {"cnf": {"x5t#S256": own, "jkt": own}},
        {"cnf": {"jkt": own}},
        {"cnf": own},
        {"client_id": "operator"},
        {"client_id": None},
        {"client_id": ["analyst"]},
    ):
        with port.audits(LIST, "UNAUTHENTICATED"):
            answer = forger.call(forger.saying(**changes))
        assert (answer.code, answer.text) == (UNAUTHENTICATED, GENERIC), changes


def test_09_a_request_token_is_for_these_bytes_this_method_and_this_certificate(port: Port) -> None:
    forger = of_peer(port)
    sent, gateway = forger.sent, port.gateway("police")
    longer = peer.DescribeRequest(chain=port.chain("police")).SerializeToString() + b"\x7a\x00"
    propose = peer.ProposeRequest(contract="x").SerializeToString()
    attempts = {
        "a byte more": (DESCRIBE, longer, gateway, forger.saying()),
        "the hash of nothing": (DESCRIBE, sent, gateway, forger.saying(rqh=request_hash(b""))),
        "no hash": (DESCRIBE, sent, gateway, forger.saying(rqh=None)),
        "a hash in hex": (DESCRIBE, sent, gateway, forger.saying(rqh="0" * 64)),
        "another method": (DESCRIBE, sent, gateway, forger.saying(rpc=PEER + "CheckDraft")),
        "a method of another service": (DESCRIBE, sent, gateway, forger.saying(rpc=LIST)),
        "a short name": (DESCRIBE, sent, gateway, forger.saying(rpc="Describe")),
        "no method": (DESCRIBE, sent, gateway, forger.saying(rpc=None)),
        "any method": (DESCRIBE, sent, gateway, forger.saying(rpc="*")),
        # Methods that stream, too: what is hashed there is the first message.
        "proposed and run": (PEER + "Run", propose, gateway, port.request_token("police", PEER + "Propose", propose)),
        "another first message": (
            PEER + "Tunnel",
            propose,
            gateway,
            port.request_token("police", PEER + "Tunnel", b""),
        ),
        "another peer's certificate": (DESCRIBE, sent, port.gateway("registry"), forger.saying()),
        "a certificate of the peer's client": (DESCRIBE, sent, port.client("police"), forger.saying()),
        "a certificate of the peer's agent": (DESCRIBE, sent, port.agent("police"), forger.saying()),
        "the own gateway's certificate": (DESCRIBE, sent, port.gateway("care"), forger.saying()),
        "in another peer's name": (DESCRIBE, sent, gateway, forger.saying(iss="https://registry.example")),
        "in the own name": (DESCRIBE, sent, gateway, port.request_token("care", DESCRIBE, sent)),
    }
    for name, (rpc, message, credentials, token) in attempts.items():
        with port.audits(rpc, "UNAUTHENTICATED"):
            answer = port.call(rpc, message, credentials, bearer(token))
        assert (answer.code, answer.text, answer.body) == (UNAUTHENTICATED, GENERIC, b""), name
    # Nothing that was refused has used up what is good.
    good = forger.saying()
    with port.audits(DESCRIBE, "another request"):
        port.call(DESCRIBE, longer, gateway, bearer(good))
    assert _describe(port, good, sent) is OK


def test_09_a_request_token_of_a_client_is_none(port: Port) -> None:
    """A client that could sign would be a gateway: the role comes from the certificate alone."""
    key = port.key("police")
    now = int(time.time())
    says = {
        "iss": "https://police.example",
        "sub": "https://police.example",
        "aud": CARE,
        "iat": now,
        "exp": now + 30,
        "jti": "x-1",
    }
    claims = {**says, "rpc": LIST, "rqh": request_hash(b"")}
    token = forge(header_of("isthmus-request+jwt", key), claims, key.secret)
    with port.audits(LIST, "UNAUTHENTICATED"):
        assert port.call(LIST, b"", port.client("police"), bearer(token)).code is UNAUTHENTICATED
