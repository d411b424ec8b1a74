"""A new operator joins a running federation, by the commands of docs/joining.md as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from gateway.api.peer.v1 import peer_pb2
from gateway.domain.identity import Jwk
from gateway.edges import keys
from gateway.edges.clock import SystemIds
from gateway.edges.tokens import sign
from gateway.rules.tokens import request_hash
from gateway.sandbox.anchor import NAME
from tests.e2e.shell import QUERIES, ROOT, WITHIN, Done, Shell
from tests.e2e.truth import cells, everyone, form_by_year

PAGE = ROOT / "docs" / "joining.md"
HARBOUR = "https://harbour.example"
FOUR = ("https://care.example", "https://neutral.example", "https://police.example", "https://registry.example")
DESCRIBE = "/isthmus.peer.v1.PeerService/Describe"
pytestmark = pytest.mark.timeout(900)
SEEN_WITHIN = 150.0  # a machine that runs several of these at once is slow


def commands(title: str) -> list[list[str]]:
    """The words of every command under a heading of the page."""
    section = re.split(r"^## ", PAGE.read_text().partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.M)[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, flags=re.S)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines() if line.startswith("isthmus ")]


@dataclass
class Newcomer:
    """The newcomer's shell, in the folder of the sandbox; `serving` is what it has left running."""

    shell: Shell
    port: int
    serving: list[subprocess.Popen[bytes]] = field(default_factory=list)
    joined_after: float = 0.0

    @property
    def home(self) -> Path:
        return self.shell.folder / "harbour"

    def run(self, words: list[str], stdin: str = "") -> Done:
        """A command of the page, on a port that is free here."""
        done = subprocess.run(
            self.command(words), cwd=self.shell.folder, env=self.environment(), input=stdin, capture_output=True,
            text=True, timeout=WITHIN,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, words: list[str]) -> None:
        log = (self.shell.folder / "harbour.log").open("ab")
        self.serving.append(
            subprocess.Popen(self.command(words), cwd=self.shell.folder, env=self.environment(), stdout=log, stderr=log)
        )

    def stop(self) -> None:
        for process in self.serving:
            with suppress(ProcessLookupError):
                process.terminate()
            process.wait(timeout=20)
        self.serving.clear()

    def command(self, words: list[str]) -> list[str]:
        return [sys.executable, "-m", "gateway", *(word.replace(":8453", f":{self.port}") for word in words)]

    def environment(self) -> dict[str, str]:
        return self.shell.environment(PYTHONPATH=str(ROOT))

    def sees(self) -> set[str]:
        """Whom the newcomer's own client finds reachable."""
        return reachable(self.run(["spaces", "--profile", "harbour/client/profile.toml", "--json"]))

    def is_seen_by_all(self) -> None:
        for space in ("care", "police", "registry", "neutral"):
            within(SEEN_WITHIN, lambda space=space: HARBOUR in self.seen_by(space))  # type: ignore[misc]

    def accept(self, config: str) -> None:
        """A space accepts the rulebook, once its gateway has fetched it."""
        words = ["trust", "rulebook", "accept", "--yes", "--config", config]
        within(SEEN_WITHIN, lambda: self.run(words).code == 0)

    def owing(self) -> set[str]:
        """With whom care begins no session now."""
        listed = self.shell("spaces", "--json").json["spaces"]
        return {str(space["entity"]) for space in listed if space["objection"] is not None}

    def seen_by(self, space: str) -> set[str]:
        return reachable(self.shell("spaces", "--json", "--profile", self.shell.sandbox.profile(space)))


def reachable(done: Done) -> set[str]:
    if done.code != 0:
        return set()
    return {str(space["entity"]) for space in done.json["spaces"] if space["reachable"]}


def within(seconds: float, what: Callable[[], bool]) -> None:
    """Asks over and over; each asking is a process of its own, which is pause enough."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """Has joined, and serves."""
    from gateway.sandbox.federation import _free_ports

    with Shell.with_sandbox(tmp_path_factory.mktemp("joining")) as shell:
        harbour = Newcomer(shell, _free_ports(())[NAME])
        try:
            began = time.monotonic()
            (invite,) = commands("The anchor's operator invites")
            made = harbour.run(invite)
            assert made.code == 0, made.err
            fingerprint = re.search(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}", made.out)
            assert fingerprint is not None
            init, join, serve, *look = commands("The newcomer joins")
            assert harbour.run(init).code == 0
            joined = harbour.run(join, stdin="y\n")
            assert joined.code == 0, joined.err
            assert fingerprint[0] in joined.err and "https://*.example" in joined.err
            harbour.start(serve)
            within(SEEN_WITHIN, lambda: HARBOUR in harbour.seen_by("care"))
            harbour.joined_after = time.monotonic() - began
            within(SEEN_WITHIN, lambda: harbour.sees() == {HARBOUR, *FOUR})
            for words in look:
                assert harbour.run(words).code == 0, words
            yield harbour
        finally:
            harbour.stop()


def test_the_newcomer_is_in_the_others_catalogue_within_five_minutes(
    newcomer: Newcomer, capsys: pytest.CaptureFixture[str]
) -> None:
    newcomer.is_seen_by_all()
    listed = newcomer.shell("datasets", "--json").json["datasets"]
    assert "spaces/harbour.example/datasets/example" in {item["name"] for item in listed}
    with capsys.disabled():
        print(f"\njoined, and seen by a member, {newcomer.joined_after:.1f} s after the invitation was asked for")
    assert newcomer.joined_after < 300


def test_it_takes_a_seat_in_a_computation_that_is_released(newcomer: Newcomer) -> None:
    seats = f"seats:\n  at: [https://care.example, https://neutral.example, {HARBOUR}]\n"
    query = newcomer.shell.file("seated.yaml", (QUERIES / "form_year.yaml").read_text() + seats)
    done = newcomer.shell("run", query, "--json")
    assert done.code == 0, done.err
    assert done.json["state"] == "RELEASED" and HARBOUR in str(done.json["receipt"])
    assert cells(done.json) == form_by_year(everyone())


def test_show_says_who_is_believed_and_who_is_a_member(newcomer: Newcomer) -> None:
    found = newcomer.run(["trust", "show", "--config", "harbour/gateway.toml", "--json"]).json
    assert {space["entity"] for space in found["believed"]} == {HARBOUR, *FOUR}
    assert {space["anchor"] for space in found["believed"]} == {"https://anchor.example"}
    at_anchor = newcomer.run(["trust", "show", "--config", "anchor/anchor.toml", "--json"]).json
    assert {member["entity"]: member["state"] for member in at_anchor["members"]}[HARBOUR] == "member"
    assert at_anchor["fingerprint"] == found["anchors"][0]["fingerprint"]
    assert {one["state"] for one in at_anchor["invitations"]} == {"used"}


def test_the_invitation_cannot_be_used_again(newcomer: Newcomer) -> None:
    home = newcomer.shell.folder / "thief"
    words = ["gateway", "init", str(home), "--entity", HARBOUR, "--listen", "127.0.0.1:8453"]
    assert newcomer.run(words).code == 0
    before = (home / "gateway.toml").read_text()
    done = newcomer.run(["trust", "join", "harbour.invitation", "--config", str(home / "gateway.toml"), "--yes"])
    assert done.code == 3 and "was used before" in done.err
    assert (home / "gateway.toml").read_text() == before and not (home / "anchor").exists()


def test_with_a_rulebook_in_force_no_session_begins_without_who_has_not_accepted_it(newcomer: Newcomer) -> None:
    book = newcomer.shell.file("rulebook.md", (ROOT / "deploy" / "samples" / "rulebook.md").read_text())
    today = time.strftime("%Y-%m-%d", time.gmtime())
    publish = ["trust", "rulebook", "publish", str(book), "--version", "1", "--in-force", today]
    done = newcomer.run([*publish, "--config", "anchor/anchor.toml"])
    assert done.code == 0, done.err
    seats = f"seats:\n  at: [https://care.example, https://neutral.example, {HARBOUR}]\n"
    query = newcomer.shell.file("seated.yaml", (QUERIES / "form_year.yaml").read_text() + seats)
    within(SEEN_WITHIN, lambda: newcomer.shell("plan", query, "--json").code == 3)
    for space in ("care", "neutral", "police", "registry"):
        newcomer.accept(f"spaces/{space}/gateway.toml")
    within(SEEN_WITHIN, lambda: newcomer.owing() == {HARBOUR})
    refused = newcomer.shell("plan", query, "--json")
    assert (refused.code, refused.json["error"]["reason"]) == (3, "RULEBOOK_NOT_ACCEPTED")
    assert refused.json["error"]["space"] == HARBOUR and "isthmus trust rulebook accept" in refused.err
    shown = newcomer.run(["trust", "rulebook", "show", "--config", "spaces/care/gateway.toml", "--json"]).json
    assert shown["accepted"] == {**dict.fromkeys(FOUR, 1), HARBOUR: 0} and shown["text"] == Path(book).read_text()
    newcomer.accept("harbour/gateway.toml")
    within(SEEN_WITHIN, lambda: newcomer.owing() == set())
    done = newcomer.shell("run", query, "--json")
    assert done.code == 0, done.err
    assert HARBOUR in str(done.json["receipt"]) and cells(done.json) == form_by_year(everyone())


def test_a_paused_space_offers_nothing_until_it_is_resumed(newcomer: Newcomer) -> None:
    name = "spaces/harbour.example/datasets/example"
    for word, offered in (("pause", False), ("resume", True)):
        assert newcomer.run(["trust", word, "--config", "harbour/gateway.toml"]).code == 0
        within(SEEN_WITHIN, lambda offered=offered: (HARBOUR in newcomer.owing()) is not offered)  # type: ignore[misc]
        listed = newcomer.shell("datasets", "--json").json["datasets"]
        assert (name in {item["name"] for item in listed}) is offered
        if not offered:
            assert "is paused by its operator" in newcomer.shell("spaces", "--json").out


def test_a_member_that_leaves_is_gone_and_comes_back_with_an_invitation(newcomer: Newcomer) -> None:
    left = newcomer.run(["trust", "leave", "--config", "harbour/gateway.toml"], stdin="y\n")
    assert left.code == 0 and "has left https://anchor.example" in left.out, left.err
    within(SEEN_WITHIN, lambda: HARBOUR not in newcomer.seen_by("care"))
    config = ["--config", "anchor/anchor.toml"]
    members = newcomer.run(["trust", "show", *config, "--json"]).json["members"]
    assert {member["entity"]: member["state"] for member in members}[HARBOUR] == "left"
    assert newcomer.run(["trust", "suspend", HARBOUR, "--lift", *config]).code == 3
    invite = ["trust", "invite", HARBOUR, "--again", "--out", "back.invitation", *config]
    assert newcomer.run(invite).code == 0
    joined = newcomer.run(["trust", "join", "back.invitation", "--config", "harbour/gateway.toml", "--yes"])
    assert joined.code == 0, joined.err
    newcomer.is_seen_by_all()
    within(SEEN_WITHIN, lambda: newcomer.owing() == set())


def test_a_suspended_member_disappears_and_its_calls_are_refused(newcomer: Newcomer) -> None:
    with calling(newcomer) as call:
        # It pushes no chain that holds, so the refusal of an honest gateway tells that it was let in.
        assert call() is grpc.StatusCode.UNAUTHENTICATED
        before = refusals(newcomer)
        suspend = ["trust", "suspend", HARBOUR, "--config", "anchor/anchor.toml"]
        assert newcomer.run(suspend).code == 0
        within(SEEN_WITHIN, lambda: HARBOUR not in newcomer.seen_by("care"))
        assert call() is grpc.StatusCode.UNAUTHENTICATED
        assert f"{HARBOUR} was revoked by https://anchor.example" in refusals(newcomer)[len(before)]
    # At its next look at what it trusts, the port does not know the newcomer's CA any more.
    within(SEEN_WITHIN, lambda: refused_at_the_door(newcomer))
    assert newcomer.run([*suspend, "--lift"]).code == 0
    newcomer.is_seen_by_all()


def test_without_the_anchor_everything_goes_on_restarts_included(newcomer: Newcomer) -> None:
    (anchor,) = newcomer.shell.sandbox.process_ids()["anchor"][NAME]
    os.kill(anchor, signal.SIGKILL)
    newcomer.stop()
    newcomer.start(commands("The newcomer joins")[2])
    within(SEEN_WITHIN, lambda: newcomer.sees() == {HARBOUR, *FOUR})
    done = newcomer.shell("run", QUERIES / "form_year.yaml", "--json")
    assert done.code == 0, done.err
    refused = newcomer.run(["trust", "join", "harbour.invitation", "--config", "thief/gateway.toml", "--yes"])
    assert refused.code == 5 and "anchor https://anchor.example cannot be reached" in refused.err


def refused_at_the_door(newcomer: Newcomer) -> bool:
    """Whether a new connection is refused; one that is not is refused by what it asks."""
    with calling(newcomer) as call:
        return call() is grpc.StatusCode.UNAVAILABLE


class calling:
    """Calls care's port on one connection with the newcomer's own certificate and key; says the status."""

    def __init__(self, newcomer: Newcomer) -> None:
        self._home = newcomer.home
        tls = self._home / "tls"
        credentials = grpc.ssl_channel_credentials(
            (newcomer.shell.folder / "users" / "care.ca.pem").read_bytes(),
            keys.read_secret(tls / "to-peers.key.pem"),
            (tls / "to-peers.pem").read_bytes(),
        )
        options = (("grpc.ssl_target_name_override", "care.example"), ("grpc.use_local_subchannel_pool", 1))
        self._channel = grpc.secure_channel(newcomer.shell.sandbox.addresses["care"], credentials, options)

    def __enter__(self) -> Callable[[], grpc.StatusCode]:
        return self._call

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def _call(self) -> grpc.StatusCode:
        sent = peer_pb2.DescribeRequest(chain=["e30.e30.e30", "e30.e30.e30"]).SerializeToString()
        key, now = keys.load_signing_key(self._home / "keys" / "token.pem"), int(time.time())
        assert isinstance(key.jwk, Jwk)
        claims = {
            "iss": HARBOUR, "sub": HARBOUR, "aud": "https://care.example", "iat": now, "exp": now + 60,
            "jti": SystemIds().fresh(), "rpc": DESCRIBE, "rqh": request_hash(sent),
        }  # fmt: skip
        metadata = (("authorization", f"Bearer {sign('isthmus-request+jwt', claims, key)}"),)
        try:
            self._channel.unary_unary(DESCRIBE)(sent, metadata=metadata, timeout=15)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def refusals(newcomer: Newcomer) -> list[str]:
    """What care's gateway refused the newcomer, or somebody whom it did not take for anybody."""
    return [
        fact.detail
        for fact in newcomer.shell.facts("care")
        if fact.kind == "call.refused" and fact.about == DESCRIBE and ("harbour" in fact.subject + fact.detail)
    ]
