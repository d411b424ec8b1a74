"""A person signs in on the gateway's login page, in their own browser (RFC 8252, RFC 7636).

Invariants: the code is taken on loopback, once, and only with the state that this attempt made up; the verifier never
leaves this process but to the gateway; nobody waits for ever.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, urlencode, urlsplit

from gateway.api.client.v1 import tokens_pb2 as tok
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.certificates import claimed_uri

SubjectToken = Literal["id_token", "access_token"]

WITHIN = 300.0
MAX_REQUEST = 16 * 1024
REQUEST_WITHIN = 10.0

_KINDS = {
    "id_token": tok.SUBJECT_TOKEN_TYPE_ID_TOKEN,
    "access_token": tok.SUBJECT_TOKEN_TYPE_ACCESS_TOKEN,
}
_PAGE = (
    "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nCache-Control: no-store\r\n"
    "Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}"
)
_BODY = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Isthmus</title><h1>{text}</h1></html>'


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in, with which scopes; times in seconds since 1970."""

    subject: str
    scopes: tuple[str, ...]
    expires: int
    ends: int
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to sign in: what only this process knows until the gateway asks."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)

    def address(self, page: str, client: str, redirect: str) -> str:
        """The login page for this attempt."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": redirect,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "state": self.state,
        }
        return f"{page.rstrip('/')}/authorize?{urlencode(asked)}"


def client_in(certificate: bytes) -> str:
    """The client's ID, as its own certificate has it."""
    return claimed_uri(certificate).rpartition("/clients/")[2]


def of_code(code: str, verifier: str) -> tok.ExchangeTokenRequest:
    return tok.ExchangeTokenRequest(authorization_code=tok.AuthorizationCode(code=code, code_verifier=verifier))


def of_subject(token: str, kind: SubjectToken) -> tok.ExchangeTokenRequest:
    return tok.ExchangeTokenRequest(subject_token=tok.SubjectToken(token=token, token_type=_KINDS[kind]))


def signed_in(answer: tok.ExchangeTokenResponse) -> SignedIn:
    ends = int(answer.sign_in_expire_time)
    return SignedIn(answer.subject, tuple(answer.scopes), int(answer.expire_time), ends, answer.access_token)


async def code_from_browser(page: str, client: str, show: Callable[[str], None], attempt: Attempt) -> str:
    """The code that the login page sends to this machine; `show` is given the address to open.

    Raises IsthmusError(DEADLINE_EXCEEDED) when nobody signs in within five minutes.
    """
    async with _landing(attempt.state) as (redirect, code):
        show(attempt.address(page, client, redirect))
        try:
            return await asyncio.wait_for(code, WITHIN)
        except TimeoutError:
            raise IsthmusError(
                Reason.DEADLINE_EXCEEDED, "nobody signed in within five minutes", advice="Start again"
            ) from None


@asynccontextmanager
async def _landing(state: str) -> AsyncIterator[tuple[str, asyncio.Future[str]]]:
    """A listener on loopback: its address, and the code once it has come."""
    code: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_WITHIN):
                head = await reader.readuntil(b"\r\n\r\n")
                found = _code_in(head.partition(b"\r\n")[0].decode("ascii", "replace"), state)
                # Before the page that says so: who reads it may go on at once.
                if found and not code.done():
                    code.set_result(found)
                text = "You are signed in. You can close this page." if found else "There is nothing here."
                body = _BODY.format(text=text)
                status = "200 OK" if found else "404 Not Found"
                writer.write(_PAGE.format(status=status, length=len(body), body=body).encode())
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=MAX_REQUEST)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", code
    finally:
        server.close()
        await server.wait_closed()


def _code_in(request_line: str, state: str) -> str:
    """The code of a redirect that belongs to this attempt; empty for anything else."""
    method, _, rest = request_line.partition(" ")
    address = urlsplit(rest.partition(" ")[0])
    given = parse_qs(address.query)
    if method != "GET" or address.path != "/" or given.keys() != {"code", "state"}:
        return ""
    same = hmac.compare_digest(given["state"][0].encode(), state.encode())
    return given["code"][0] if same and len(given["code"]) == len(given["state"]) == 1 else ""
