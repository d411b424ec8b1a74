"""The login page over HTTP: a real listener, a browser that keeps cookies, and attackers that do not."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.config import LoginConfig
from gateway.domain.caller import Caller, CallerKind, Rights
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.domain.sign_in import Grant
from gateway.edges import certificates, keys, passwords
from gateway.edges.login import server
from gateway.edges.login.pages import BY_ADDRESS, BY_NAME, FOLDER, STALE, WRONG, Pages
from gateway.edges.login.server import serving
from gateway.edges.login.throttle import Throttle, network_of
from gateway.edges.oidc import Providers
from gateway.edges.people import PeopleFile, Person, added
from gateway.edges.store.database import Database
from gateway.flows.sign_in import SigningIn, challenge_of
from gateway.rules.jose import TokenProblem
from tests.fakes import FakeClock, FakeIds

PASSWORD = "correct horse battery"
VERIFIER = "v" * 43
ALL = Grant(("catalogue", "compute"), Rights(("*",), ("*",), ("*",)))
DESK = Caller(CallerKind.HOLDER, "desk", certificate="A" * 43)
REGISTERED = "https://console.care.example/signed-in?from=page"
ASKED = {
    "response_type": "code",
    "client_id": "desk",
    "redirect_uri": "http://127.0.0.1:4711/",
    "code_challenge": challenge_of(VERIFIER),
    "code_challenge_method": "S256",
    "state": "our/own+state",
}


@pytest.fixture(scope="module")
def hashed() -> str:
    return passwords.hashed(PASSWORD)


@dataclass
class UnsignedTokens:
    """What is signed, for the test to look at."""

    signed: list[dict[str, Any]] = field(default_factory=list)

    def sign(self, claims: Any) -> str:
        self.signed.append(claims)
        return f"token-{len(self.signed)}"

    async def verify(self, token: str, certificate: str) -> Any:
        raise AssertionError(token)


@dataclass
class Page:
    signing_in: SigningIn
    database: Database
    clock: FakeClock
    browser: httpx.AsyncClient

    async def form(self, **asked: str) -> httpx.Response:
        return await self.browser.get("/authorize", params={**ASKED, **asked})

    async def send(self, shown: httpx.Response, name: str = "anna", password: str = PASSWORD, **more: Any) -> Any:
        data = {"proof": proof_in(shown), "name": name, "password": password}
        return await self.browser.post(str(shown.url), data=data, **more)

    async def code(self) -> str:
        sent = await self.send(await self.form())
        return parse_qs(urlsplit(sent.headers["location"]).query)["code"][0]

    async def kinds(self) -> list[str]:
        return [fact.kind for fact in await self.database.audit.read(start=0, limit=100)]


@asynccontextmanager
async def running(folder: Path, hashed: str, *, secure: bool = False) -> AsyncIterator[Page]:
    """With a certificate of the space's own CA where it is `secure`."""
    added(folder / "people.toml", Person("anna", hashed, ("catalogue",), ("*",), ("*",), ("*",)))
    clock = FakeClock()
    async with await Database.open(f"sqlite+aiosqlite:///{folder}/state.db") as database:
        signing_in = SigningIn(
            "https://care.example",
            clock,
            FakeIds(),
            database.once,
            database.sign_ins,
            database.audit,
            UnsignedTokens(),
            Providers([], clock),
            PeopleFile(folder / "people.toml"),
            {"desk": ALL, "other": ALL},
        )
        redirects = {"desk": (REGISTERED,), "other": ()}
        pages = Pages(signing_in, "Care <Alliance>", redirects, clock, secure=secure)
        pair = _certificate(folder) if secure else (None, None)
        trusted: Any = ssl.create_default_context(cafile=folder / "ca.pem") if secure else True
        async with serving(pages.app(), "127.0.0.1:0", *pair) as port:
            base = f"{'https' if secure else 'http'}://localhost:{port}"
            async with httpx.AsyncClient(base_url=base, verify=trusted) as browser:
                yield Page(signing_in, database, clock, browser)


def _certificate(folder: Path) -> tuple[Path, Path]:
    now = int(time.time())
    authority = certificates.create_authority(EntityId("https://care.example"), now)
    made = certificates.server_certificate(authority, EntityId("https://care.example"), now, loopback=True)
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    (folder / "login.pem").write_bytes(made.certificate_pem)
    keys.write_secret(folder / "login.key.pem", made.key_pem)
    return folder / "login.pem", folder / "login.key.pem"


@pytest.fixture
async def page(tmp_path: Path, hashed: str) -> AsyncIterator[Page]:
    async with running(tmp_path, hashed) as page:
        yield page


def proof_in(shown: httpx.Response) -> str:
    found = re.search(r'name="proof" value="([0-9a-f]{64})"', shown.text)
    return found[1] if found else ""


async def test_whoever_signs_in_is_sent_back_with_a_code_that_serves_once(page: Page) -> None:
    shown = await page.form()
    assert shown.status_code == 200
    sent = await page.send(shown)
    assert sent.status_code == 303
    target = urlsplit(sent.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == ASKED["redirect_uri"]
    brought = parse_qs(target.query)
    assert brought.keys() == {"code", "state"} and brought["state"] == [ASKED["state"]]
    issued = await page.signing_in.redeem(DESK, brought["code"][0], VERIFIER)
    assert (issued.subject, issued.grant.scopes) == ("anna@people", ("catalogue",))
    with pytest.raises(TokenProblem) as again:
        await page.signing_in.redeem(DESK, brought["code"][0], VERIFIER)
    assert "used before" in again.value.private
    assert await page.kinds() == ["login.accepted", "token.exchanged"]


async def test_a_code_is_for_its_client_its_verifier_and_a_minute(page: Page) -> None:
    other = Caller(CallerKind.HOLDER, "other", certificate="B" * 43)
    for caller, verifier, later in ((other, VERIFIER, 0), (DESK, "w" * 43, 0), (DESK, VERIFIER, 60)):
        code = await page.code()
        page.clock.at += later
        with pytest.raises(TokenProblem):
            await page.signing_in.redeem(caller, code, verifier)
        with pytest.raises(TokenProblem):  # a wrong try spends it
            await page.signing_in.redeem(DESK, code, VERIFIER)


async def test_a_code_is_not_in_the_store_as_it_is(page: Page, tmp_path: Path) -> None:
    code = await page.code()
    await page.database.close()
    assert all(code.encode() not in file.read_bytes() for file in tmp_path.iterdir())


async def test_every_wrong_name_or_password_gets_the_same_page(page: Page) -> None:
    shown = await page.form()
    answers = [
        await page.send(shown, name, password)
        for name, password in (("anna", "wrong horse battery"), ("nobody", PASSWORD), ("", ""), ("a\x00b", "x" * 256))
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({re.sub(r'value="[0-9a-f]{64}"', "", answer.text) for answer in answers}) == 1
    assert WRONG in answers[0].text
    facts = await page.database.audit.read(start=0, limit=10)
    assert [fact.subject for fact in facts] == ["anna@people", "somebody", "somebody", "somebody"]
    assert PASSWORD not in str(facts)


async def test_a_form_of_elsewhere_is_not_taken(page: Page) -> None:
    shown = await page.form()
    other = await page.form(state="another")
    good = {"proof": proof_in(shown), "name": "anna", "password": PASSWORD}
    address = str(shown.url)
    base = str(page.browser.base_url)
    async with httpx.AsyncClient(base_url=base) as stranger:
        attempts = [
            await page.browser.post(address, data={**good, "proof": "0" * 64}),
            await page.browser.post(address, data={"name": "anna", "password": PASSWORD}),
            await page.browser.post(str(other.url), data=good),
            await page.browser.post(address, data=good, headers={"Origin": "https://evil.example"}),
            await page.browser.post(address, data=good, headers={"Origin": "null"}),
            await page.browser.post(address, data=good, headers={"Sec-Fetch-Site": "cross-site"}),
            await stranger.post(address, data=good),
            await stranger.post(address, data=good, headers={"Cookie": "isthmus-login=" + "0" * 32}),
        ]
    assert {attempt.status_code for attempt in attempts} == {403}
    assert all(STALE in attempt.text for attempt in attempts)
    assert await page.kinds() == []
    assert (await page.browser.post(address, data=good, headers={"Origin": base.rstrip("/")})).status_code == 303


@pytest.mark.parametrize(
    "asked",
    [
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": REGISTERED + "&more=1"},
        {"redirect_uri": "http://127.0.0.1:80@evil.example/"},
        {"redirect_uri": "http://127.0.0.1.evil.example:80/"},
        {"redirect_uri": "http://localhost:4711/"},
        {"redirect_uri": "http://127.0.0.1:4711/elsewhere"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": ""},
        {"client_id": "nobody"},
        {"client_id": "other", "redirect_uri": REGISTERED},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"state": ""},
        {"more": "than", "is": "known"},
    ],
)
async def test_a_request_that_does_not_hold_sends_nobody_anywhere(page: Page, asked: dict[str, str]) -> None:
    for answer in (
        await page.form(**asked),
        await page.browser.post("/authorize", params={**ASKED, **asked}, data={"name": "anna", "password": PASSWORD}),
    ):
        assert answer.status_code == 400
        assert "location" not in answer.headers and 'type="password"' not in answer.text
    assert await page.kinds() == []


async def test_a_parameter_twice_is_refused_and_so_is_another_name_of_this_machine(page: Page) -> None:
    first = await page.form()
    assert (await page.browser.get(f"{first.url}&state=second")).status_code == 400
    assert (await page.browser.get(str(first.url), headers={"Host": "evil.example"})).status_code == 400


async def test_a_registered_redirect_keeps_its_own_parameters(page: Page) -> None:
    sent = await page.send(await page.form(redirect_uri=REGISTERED))
    assert sent.headers["location"].startswith(REGISTERED + "&code=")


async def test_nothing_but_a_form_of_two_fields_is_read(page: Page) -> None:
    shown = await page.form()
    address = str(shown.url)
    for answer in (
        await page.browser.post(address, json={"name": "anna"}),
        await page.browser.post(address, data={"name": "a" * 9000}),
        await page.browser.post(
            address, content=b"name=a&name=b", headers={"Content-Type": "application/x-www-form-urlencoded"}
        ),
        await page.browser.post(
            address, content=b"\xff\xfe", headers={"Content-Type": "application/x-www-form-urlencoded"}
        ),
        await page.browser.post(address, data={"a": "1", "b": "2", "c": "3", "d": "4"}),
    ):
        assert answer.status_code == 400
    assert (await page.browser.put(address)).status_code == 405
    assert (await page.browser.get("/")).status_code == 404


async def test_attempts_are_throttled_by_name_and_the_right_password_waits_too(page: Page) -> None:
    shown = await page.form()
    for _ in range(BY_NAME[0]):
        assert (await page.send(shown, password="wrong")).status_code == 401
    throttled = await page.send(shown)
    assert throttled.status_code == 429 and WRONG in throttled.text
    assert 0 < int(throttled.headers["retry-after"]) <= BY_NAME[1]
    page.clock.at += BY_NAME[1]
    assert (await page.send(shown)).status_code == 303


async def test_every_page_is_guarded(page: Page) -> None:
    shown = await page.form()
    for answer in (shown, await page.form(client_id="x"), await page.send(shown), await page.browser.get("/style.css")):
        policy = answer.headers["content-security-policy"]
        for part in ("default-src 'none'", "script-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert part in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers
    assert "form-action 'self' http://127.0.0.1:4711" in shown.headers["content-security-policy"]
    cookie = shown.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "secure" not in cookie
    assert "<script" not in shown.text and "Care &lt;Alliance&gt;" in shown.text


async def test_under_tls_the_cookie_is_secure_and_the_browser_told_to_stay(tmp_path: Path, hashed: str) -> None:
    async with running(tmp_path, hashed, secure=True) as page:
        shown = await page.form()
        cookie = shown.headers["set-cookie"]
        assert cookie.startswith("__Host-isthmus-login=") and "Secure" in cookie and "Path=/" in cookie
        assert "max-age" in shown.headers["strict-transport-security"]
        assert (await page.send(shown)).status_code == 303


async def test_a_certificate_without_its_key_is_named_before_anything_is_served(page: Page, tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    certificate.write_text("no certificate")
    pages = Pages(page.signing_in, "x", {}, page.clock, secure=True)
    with pytest.raises(IsthmusError) as refused:
        async with serving(pages.app(), "127.0.0.1:0", certificate, key):
            pass
    assert (refused.value.reason, refused.value.field) == (Reason.CONFIGURATION, "login.certificate")


async def test_a_connection_that_says_nothing_is_ended_and_others_are_served(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTION_LASTS", 0.2)
    host, port = page.browser.base_url.host, page.browser.base_url.port
    silent = [await asyncio.open_connection(host, port) for _ in range(server.CONNECTIONS)]
    slow = await asyncio.open_connection(host, port)
    slow[1].write(b"GET /style.css HTTP/1.1\r\nHost: loc")
    async with asyncio.timeout(10):
        for reader, writer in [*silent, slow]:
            with contextlib.suppress(ConnectionError):
                while await reader.read(4096):
                    pass
            writer.close()
    assert (await page.form()).status_code == 200


async def test_a_file_of_people_that_breaks_lets_nobody_in_and_says_nothing(page: Page, tmp_path: Path) -> None:
    shown = await page.form()
    (tmp_path / "people.toml").write_text("people = 1")
    answer = await page.send(shown)
    assert answer.status_code == 500
    assert answer.text == "Something went wrong here. Please try again later."


def test_beyond_loopback_the_page_needs_tls() -> None:
    for listen, more in (("0.0.0.0:8444", {}), ("127.0.0.1:8444", {"key": "k"})):
        with pytest.raises(ValueError, match="certificate"):
            LoginConfig.model_validate({"listen": listen, "people": "people.toml", **more})


async def test_a_port_that_is_taken_is_named(page: Page) -> None:
    pages = Pages(page.signing_in, "x", {}, page.clock, secure=False)
    with pytest.raises(IsthmusError) as refused:
        async with serving(pages.app(), f"127.0.0.1:{page.browser.base_url.port}", None, None):
            pass
    assert refused.value.reason is Reason.CONFIGURATION


def test_the_throttle_counts_per_key_forgives_and_forgets() -> None:
    throttle = Throttle(2, 10, keys=3)
    assert [throttle.attempt("a", 0), throttle.attempt("a", 4), throttle.attempt("a", 5)] == [0, 0, 5]
    assert throttle.attempt("b", 5) == 0
    assert throttle.attempt("a", 10) == 0
    throttle.forgive("a")
    assert throttle.attempt("a", 10) == 0
    for key in "cdef":
        throttle.attempt(key, 11)
    assert len(throttle._attempts) == 3


def test_an_address_is_what_one_person_has() -> None:
    assert network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2:ffff::1") == "2001:db8:1:2::"
    assert network_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert network_of("") == "unknown"
    assert BY_ADDRESS[0] > BY_NAME[0]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_controls_have_the_contrast_of_wcag_aa(theme: int) -> None:
    """WCAG 2.2, 1.4.3 for text (4.5) and 1.4.11 for what a control is seen by (3)."""
    themes = re.findall(r":root \{(.*?)\}", (FOLDER / "style.css").read_text(), flags=re.S)
    colour = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", themes[theme]))
    for text, behind in (
        ("text", "card"),
        ("text", "page"),
        ("quiet", "card"),
        ("on-accent", "accent"),
        ("problem", "problem-page"),
    ):
        assert _contrast(colour[text], colour[behind]) >= 4.5, (text, behind)
    for edge in ("line", "accent"):
        assert _contrast(colour[edge], colour["card"]) >= 3, edge


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, by WCAG 2.2's definition."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
