"""A sandbox whose first space lets people sign in: at a real OpenID Connect provider, and on its own login page.

The provider is `oidc-provider-mock` (MIT), which serves Authlib's authorization-code flow over HTTP with an RS256 key;
it runs in a thread of the test. A second provider is made of keys that the tests hold, for tokens that no provider
would sign.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import oidc_provider_mock
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.domain.identity import EntityId, b64url
from gateway.edges import certificates, keys
from gateway.edges.anchors import write_statements
from gateway.sandbox.anchor import NAME, enrol
from gateway.sandbox.federation import PORTS_FILE
from gateway.sandbox.layout import SPACES, STATEMENT, lay_out
from tests.e2e.shell import ROOT, Done, Shell

CARE = EntityId("https://care.example")
US = "isthmus-care"  # what the provider calls the gateway
PASSWORD = "correct horse battery"
LAB = "https://lab.example"
SIGNED_IN = "http://127.0.0.1:9/callback"


@dataclass(frozen=True)
class Provider:
    """A provider that runs: `issuer` is its address."""

    issuer: str

    def jwks(self) -> str:
        where = httpx.get(f"{self.issuer}/.well-known/openid-configuration").json()["jwks_uri"]
        return httpx.get(where).text

    def person(self, sub: str, **claims: object) -> None:
        httpx.put(f"{self.issuer}/users/{sub}", json=claims).raise_for_status()

    def id_token(self, sub: str, client: str = US) -> str:
        """The whole authorization-code flow, as a browser and a client go through it."""
        found = httpx.get(f"{self.issuer}/.well-known/openid-configuration").json()
        asked = {
            "client_id": client,
            "redirect_uri": SIGNED_IN,
            "response_type": "code",
            "scope": "openid email profile",
            "state": "s",
        }
        assert httpx.get(found["authorization_endpoint"], params=asked).status_code == 200
        sent = httpx.post(found["authorization_endpoint"], params=asked, data={"sub": sub})
        code = httpx.URL(sent.headers["location"]).params["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": SIGNED_IN}
        answer = httpx.post(found["token_endpoint"], data=form, auth=(client, "secret"))
        return str(answer.json()["id_token"])


@dataclass(frozen=True)
class Lab:
    """Two signing keys of a configured provider that the tests are themselves."""

    rsa: rsa.RSAPrivateKey
    ec: ec.EllipticCurvePrivateKey

    def jwks(self) -> str:
        numbers, point = self.rsa.public_key().public_numbers(), self.ec.public_key().public_numbers()
        return json.dumps(
            {
                "keys": [
                    {"kty": "RSA", "kid": "r", "use": "sig", "n": number(numbers.n), "e": number(numbers.e)},
                    {
                        "kty": "EC",
                        "kid": "e",
                        "crv": "P-256",
                        "alg": "ES256",
                        "x": b64url(point.x.to_bytes(32, "big")),
                        "y": b64url(point.y.to_bytes(32, "big")),
                    },
                ]
            }
        )

    def claims(self, **changes: object) -> dict[str, object]:
        now = int(time.time())
        made = {
            "iss": LAB,
            "sub": "visitor",
            "aud": US,
            "iat": now,
            "exp": now + 600,
            "jti": os.urandom(8).hex(),
            "role": "researcher",
            **changes,
        }
        return {name: value for name, value in made.items() if value is not None}

    def token(self, header: Mapping[str, object] | None = None, secret: object = None, **changes: object) -> str:
        """RS256 unless `header` says otherwise; `secret` bytes are an HMAC key."""
        head = {"alg": "RS256", "kid": "r", "typ": "JWT", **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        text = ".".join(b64url(json.dumps(part).encode()) for part in (head, self.claims(**changes)))
        if isinstance(secret, bytes):
            import hmac

            signature = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        else:
            key = secret if isinstance(secret, rsa.RSAPrivateKey) else self.rsa
            signature = key.sign(text.encode(), padding.PKCS1v15(), SHA256())
        return f"{text}.{b64url(signature)}"


def number(value: int) -> str:
    return b64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def new_lab() -> Lab:
    return Lab(rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1()))


@dataclass(frozen=True)
class World:
    shell: Shell
    provider: Provider
    lab: Lab
    page: str

    @property
    def home(self) -> Path:
        return self.shell.folder / "spaces" / "care"

    def profile(self, name: str, client: str = "desk") -> Path:
        """A profile of its own for somebody at `client`, with its own token file."""
        users = self.shell.folder / "users"
        text = (users / "care-analyst.toml").read_text()
        text = text.replace("care-analyst.pem", f"care-{client}.pem")
        text = text.replace("care-analyst.key.pem", f"care-{client}.key.pem")
        text = text.replace("care-analyst.token", f"{name}.token")
        path = users / f"{name}.toml"
        path.write_text(f'{text}login = "{self.page}"\n')
        return path

    def exchanged(self, profile: Path, token: str, kind: str = "id_token") -> Done:
        file = profile.with_suffix(".subject")
        file.unlink(missing_ok=True)
        keys.write_secret(file, token.encode())
        options = ("--subject-token-file", file, "--kind", kind, "--profile", profile, "--json")
        return self.shell("tokens", "exchange", *options)

    def people(self, *arguments: str, typed: str = "") -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "people", *arguments, "--config", str(self.home / "gateway.toml")],
            cwd=ROOT,
            env=self.shell.environment(),
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Done(done.returncode, done.stdout, done.stderr)


@contextmanager
def running(home: Path) -> Iterator[World]:
    """Everything up, with anna and bert on the login page and the provider's groups mapped."""
    with ExitStack() as stack:
        server = stack.enter_context(oidc_provider_mock.run_server_in_thread())
        provider, lab = Provider(f"http://localhost:{server.server_port}"), new_lab()
        shell = Shell(home)
        (page_port,) = _free_ports(1)
        folder = shell.folder
        numbered = dict(zip((*(spec.name for spec in SPACES), NAME), _free_ports(1 + len(SPACES)), strict=True))
        joining = lay_out(folder, numbered, int(time.time()))
        (folder / PORTS_FILE).write_text(json.dumps(numbered))
        statements = asyncio.run(enrol(folder / NAME / "anchor.toml", joining))
        for spec in SPACES:
            write_statements(folder / "spaces" / spec.name / STATEMENT, [statements[spec.entity]])
        world = World(shell, provider, lab, f"http://127.0.0.1:{page_port}")
        (world.home / "provider.jwks.json").write_text(provider.jwks())
        (world.home / "lab.jwks.json").write_text(lab.jwks())
        settings = world.home / "gateway.toml"
        settings.write_text(settings.read_text() + _tables(provider.issuer, page_port))
        _client(folder, world.home, "desk")
        for name, *scopes in (("anna", "catalogue", "compute", "operate"), ("bert", "catalogue")):
            options = [option for scope in scopes for option in ("--scopes", scope)]
            added = world.people("add", name, *options, typed=f"{PASSWORD} of {len(name)}\n")
            assert added.code == 0, added.err
        assert stat.S_IMODE((world.home / "people.toml").stat().st_mode) == 0o600
        stack.enter_context(Shell.with_sandbox(home))
        yield world


def _tables(issuer: str, port: int) -> str:
    return f"""
[[clients]]
id = "desk"
scopes = ["catalogue", "compute"]
purposes = ["trend-monitoring"]
for_people = true
redirects = ["https://console.care.example/signed-in"]

[[providers]]
name = "ministry"
issuer = "{issuer}"
jwks = "provider.jwks.json"
algorithms = ["RS256"]
audience = "{US}"

[[providers.people]]
claim = "groups"
value = "analysts"
scopes = ["catalogue", "compute", "operate"]
datasets = ["*"]
statistics = ["count_by"]
purposes = ["*"]

[[providers.people]]
claim = "email"
value = "chief@ministry.example"
scopes = ["operate"]

[[providers]]
name = "lab"
issuer = "{LAB}"
jwks = "lab.jwks.json"
algorithms = ["RS256", "ES256"]
audience = "{US}"
longest_age = 900

[[providers.people]]
claim = "role"
value = "researcher"
scopes = ["catalogue"]
datasets = ["*"]

[login]
listen = "127.0.0.1:{port}"
people = "people.toml"
"""


def _client(folder: Path, home: Path, client: str) -> None:
    authority = certificates.load_authority(home / "tls" / "ca.pem", home / "tls" / "ca.key.pem")
    made = certificates.client_certificate(
        authority, CARE, certificates.Role.CLIENT, int(time.time()), client_id=client
    )
    (folder / "users" / f"care-{client}.pem").write_bytes(made.certificate_pem)
    keys.write_secret(folder / "users" / f"care-{client}.key.pem", made.key_pem)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]


def claims_in(token: str) -> dict[str, Any]:
    """What a token says, read as anybody can."""
    body = token.split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return read
