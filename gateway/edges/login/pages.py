"""The login page of the built-in issuer: OAuth 2.1 authorization code with PKCE (RFC 7636), without JavaScript.

Invariants: nobody is sent anywhere but to a redirect that is registered for the client, or to loopback (RFC 8252
section 7.3); a form is only taken from the page that this process gave to this browser for this very request; every
refusal of a name or password has one text and takes one time; each attempt is throttled by name and by address before
it is judged, and is in the audit log; no page is stored, framed, or runs a script.

What proves that a form is ours, and what is throttled, is this process's own: of several replicas one serves the page.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.domain.errors import IsthmusError
from gateway.edges.login.throttle import Throttle, network_of
from gateway.flows.sign_in import SigningIn
from gateway.ports import Clock

FOLDER = Path(__file__).parent / "templates"
MAX_FORM = 8 * 1024
FORM_WITHIN = 10.0
BY_NAME, BY_ADDRESS = (10, 300), (30, 300)  # attempts, in seconds
WRONG = "Name or password is not right. After some attempts you have to wait for five minutes."
STALE = "This page was open for too long, or came from elsewhere. Please sign in again."

_LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|\[::1\]):[1-9][0-9]{0,4}/")
# Against a name of somebody else's that leads here (DNS rebinding).
_LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_STATE = re.compile(r"[\x21-\x7e]{1,512}")
_NAMES = ("response_type", "client_id", "redirect_uri", "code_challenge", "code_challenge_method", "state", "scope")

log = structlog.get_logger()


class Refused(Exception):
    """A request that gets a page instead of a form, and nobody is sent anywhere."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An authorization request that holds. `redirect` is the client's own."""

    client: str
    redirect: str
    challenge: str
    state: str

    @property
    def query(self) -> str:
        given = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": self.redirect,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            "state": self.state,
        }
        return urlencode(given)

    def answer(self, **given: str) -> str:
        """The redirect with what it brings (OAuth 2.1 section 4.1.2)."""
        joint = "&" if "?" in self.redirect else "?"
        return self.redirect + joint + urlencode({**given, "state": self.state})


class Pages:
    """`redirects` are what is registered for each configured client; `secure`: served under TLS."""

    def __init__(
        self,
        signing_in: SigningIn,
        operator: str,
        redirects: Mapping[str, Sequence[str]],
        clock: Clock,
        *,
        secure: bool,
    ) -> None:
        self._signing_in = signing_in
        self._operator = operator
        self._redirects = redirects
        self._clock = clock
        self._secure = secure
        self._cookie = "__Host-isthmus-login" if secure else "isthmus-login"
        self._secret = secrets.token_bytes(32)
        self._names, self._addresses = Throttle(*BY_NAME), Throttle(*BY_ADDRESS)
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/authorize", self._form, methods=["GET"]),
                Route("/authorize", self._signed_in, methods=["POST"]),
                Route("/style.css", self._style, methods=["GET"]),
            ],
            exception_handlers={Exception: self._broken},
        )

    async def _form(self, request: Request) -> Response:
        try:
            asked = self._asked(request)
        except Refused as refused:
            return self._page(400, "refused.html", why=str(refused))
        return self._login(asked, self._browser(request))

    async def _signed_in(self, request: Request) -> Response:
        try:
            asked = self._asked(request)
            form = await _form_of(request)
        except Refused as refused:
            return self._page(400, "refused.html", why=str(refused))
        browser = self._browser(request)
        if not self._is_from_here(request, form, browser, asked):
            return self._login(asked, browser, status=403, problem=STALE)
        # As people's devices write a name: with a capital, with a space behind.
        name, password = form.get("name", "").strip().lower(), form.get("password", "")
        address, now = network_of(request.client.host if request.client else ""), self._clock.now()
        wait = self._addresses.attempt(address, now) or self._names.attempt(name, now)
        if wait:
            return self._login(asked, browser, status=429, problem=WRONG, wait=wait)
        code = await self._signing_in.password(name, password, asked.client, asked.challenge, address)
        if code is None:
            return self._login(asked, browser, status=401, problem=WRONG)
        self._names.forgive(name)
        self._addresses.forgive(address)
        response = RedirectResponse(asked.answer(code=code), status_code=303)
        response.delete_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="strict")
        return self._guarded(response, asked)

    def _asked(self, request: Request) -> Asked:
        """Raises Refused. The redirect is judged first; a request that does not hold is not answered to anybody."""
        if not self._secure and request.url.hostname not in _LOOPBACK_HOSTS:
            raise Refused("This page is on this machine, and has no other name.")
        try:
            pairs = parse_qsl(request.url.query, keep_blank_values=True, max_num_fields=len(_NAMES))
        except ValueError:
            raise Refused("That was no request of a client.") from None
        given = dict(pairs)
        if len(given) != len(pairs):
            raise Refused("A parameter is there twice.")
        client, redirect = given.get("client_id", ""), given.get("redirect_uri", "")
        if client not in self._redirects:
            raise Refused("No client of this name may ask people to sign in here.")
        if redirect not in self._redirects[client] and _LOOPBACK.fullmatch(redirect) is None:
            raise Refused("The client wants you to be sent to an address that is not registered for it.")
        if given.get("response_type") != "code":
            raise Refused("The client asks for something other than a code.")
        challenge, state = given.get("code_challenge", ""), given.get("state", "")
        if given.get("code_challenge_method") != "S256" or _CHALLENGE.fullmatch(challenge) is None:
            raise Refused("The client does not prove that the code will be its own (PKCE with S256).")
        if _STATE.fullmatch(state) is None:
            raise Refused("The client sent no state by which it would know its own request again.")
        return Asked(client, redirect, challenge, state)

    def _browser(self, request: Request) -> str:
        """What this browser was given before, or something fresh."""
        known = request.cookies.get(self._cookie, "")
        return known if re.fullmatch(r"[0-9a-f]{32}", known) else secrets.token_hex(16)

    def _proof(self, browser: str, asked: Asked) -> str:
        """What only a form has that this process gave to this browser, for this request."""
        return hmac.new(self._secret, f"{browser} {asked.query}".encode(), hashlib.sha256).hexdigest()

    def _is_from_here(self, request: Request, form: Mapping[str, str], browser: str, asked: Asked) -> bool:
        origin = request.headers.get("origin")
        own = f"{'https' if self._secure else 'http'}://{request.headers.get('host', '')}"
        if origin is not None and origin != own:
            return False
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return False
        if request.cookies.get(self._cookie) != browser:
            return False
        return hmac.compare_digest(form.get("proof", "").encode(), self._proof(browser, asked).encode())

    def _login(self, asked: Asked, browser: str, *, status: int = 200, problem: str = "", wait: int = 0) -> Response:
        response = self._page(
            status,
            "login.html",
            asked=asked,
            problem=problem,
            proof=self._proof(browser, asked),
            action=f"/authorize?{asked.query}",
        )
        response.set_cookie(
            self._cookie, browser, max_age=900, path="/", secure=self._secure, httponly=True, samesite="strict"
        )
        if wait:
            response.headers["Retry-After"] = str(wait)
        return self._guarded(response, asked)

    def _page(self, status: int, name: str, **given: object) -> Response:
        text = self._templates.get_template(name).render(operator=self._operator, **given)
        return self._guarded(HTMLResponse(text, status_code=status))

    def _guarded(self, response: Response, asked: Asked | None = None) -> Response:
        # A browser holds the redirect after a form against form-action too, hence the client's origin in it.
        target = urlsplit(asked.redirect) if asked else None
        to = f"'self' {target.scheme}://{target.netloc}" if target else "'self'"
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; script-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action {to}"
        )
        response.headers["Cache-Control"] = "no-store"
        # Not no-referrer: browsers would then say that the form comes from nowhere.
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        if self._secure:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        return response

    async def _style(self, request: Request) -> Response:
        return self._guarded(Response((FOLDER / "style.css").read_text(), media_type="text/css"))

    async def _broken(self, request: Request, problem: Exception) -> Response:
        known = isinstance(problem, IsthmusError)
        log.error("login page failed", error=problem if known else type(problem).__name__)
        return self._guarded(PlainTextResponse("Something went wrong here. Please try again later.", status_code=500))


async def _form_of(request: Request) -> Mapping[str, str]:
    """The fields of an urlencoded form, each once. Raises Refused."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refused("That was no form.")
    body = b""
    try:
        async with asyncio.timeout(FORM_WITHIN):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_FORM:
                    raise Refused("That was more than a name and a password.")
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=3)
    except (ValueError, TimeoutError):
        raise Refused("That was no form.") from None
    if len(dict(pairs)) != len(pairs):
        raise Refused("A field is there twice.")
    return dict(pairs)
