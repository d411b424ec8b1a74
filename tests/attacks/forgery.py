"""Tokens as somebody makes them who holds a signing key and no scruples, and a listener that nobody may visit."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gateway.api.peer.v1 import peer_pb2 as peer
from gateway.domain.identity import b64url
from gateway.edges.certificates import thumbprint
from gateway.edges.keys import SigningKey
from gateway.rules.tokens import request_hash
from tests.attacks.port import LIST, PEER, Answer, Port, bearer
from tests.unit.trust_kit import forge, header_of

CARE, POLICE = "https://care.example", "https://police.example"


@dataclass(frozen=True, slots=True)
class Forger:
    """Somebody who holds the token key of `issuer`, and the certificate that its tokens are for."""

    port: Port
    typ: str
    rpc: str
    sent: bytes
    key: SigningKey
    credentials: tuple[bytes, bytes]
    says: Mapping[str, Any]

    def call(self, token: str) -> Answer:
        return self.port.call(self.rpc, self.sent, self.credentials, bearer(token))

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What a good token says, changed; None leaves a claim out."""
        now = int(time.time())
        made = {**self.says, "iat": now, "exp": now + 60, "jti": f"attack-{time.time_ns()}", **changes}
        return {name: value for name, value in made.items() if value is not None}

    def saying(self, **changes: Any) -> str:
        """Signed rightly: what a hole in the issuer would let out."""
        return forge(header_of(self.typ, self.key), self.claims(**changes), self.key.secret)

    def spelled(self, claims: str, header: str | None = None) -> str:
        """Signed rightly over texts as they are; `{}` in `claims` stands for the members of good ones."""
        good = json.dumps(self.claims())[1:-1]
        return forge(header or header_of(self.typ, self.key), claims.replace("{}", good), self.key.secret)

    def headed(self, secret: Any = None, **header: Any) -> str:
        return forge(
            header_of(self.typ, self.key, **header), self.claims(), self.key.secret if secret is None else secret
        )

    def with_mac(self, secret: bytes, alg: str = "HS256") -> str:
        """A key that everybody knows, taken for a shared secret."""
        head = self.headed(b"", alg=alg).rpartition(".")[0]
        return f"{head}.{b64url(hmac.digest(secret, head.encode(), hashlib.sha256))}"


def of_client(port: Port) -> Forger:
    """Access tokens of care's analyst."""
    says = {
        "iss": CARE,
        "sub": "analyst",
        "aud": CARE,
        "client_id": "analyst",
        "scope": "catalogue compute",
        "cnf": {"x5t#S256": thumbprint(port.client()[0])},
        "authorization_details": [{"type": "isthmus", "datasets": ["*"], "statistics": ["*"], "purposes": ["*"]}],
    }
    return Forger(port, "at+jwt", LIST, b"", port.key("care"), port.client(), says)


def of_peer(port: Port) -> Forger:
    """Request tokens of police's gateway."""
    rpc = PEER + "Describe"
    sent = peer.DescribeRequest(chain=port.chain("police")).SerializeToString()
    says = {"iss": POLICE, "sub": POLICE, "aud": CARE, "rpc": rpc, "rqh": request_hash(sent)}
    return Forger(port, "isthmus-request+jwt", rpc, sent, port.key("police"), port.gateway("police"), says)


FORGERS: dict[str, Callable[[Port], Forger]] = {"client": of_client, "peer": of_peer}


@dataclass(frozen=True, slots=True)
class Listener:
    """A place on this machine where something could be fetched: whoever connects is noticed."""

    socket: socket.socket

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.socket.getsockname()[1]}"

    def visitors(self) -> int:
        """How many have connected since this was asked before."""
        count = 0
        self.socket.setblocking(False)
        while True:
            try:
                self.socket.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener; it ends well only if nobody came."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener(server)
        host, _, number = listener.address.partition(":")
        socket.create_connection((host, int(number))).close()
        assert listener.visitors() == 1, "this listener notices nobody"
        yield listener
        assert listener.visitors() == 0
