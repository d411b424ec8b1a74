"""Strangers who begin handshakes and leave them: nobody has to be known for that, and the port has to bear it."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack, suppress

from tests.attacks.port import Port
from tests.e2e.shell import Shell

AT_ONCE, ROUNDS = 20, 100


def knock(address: str) -> None:
    """Begin handshakes at once, and hang up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            raw = socket.create_connection((host, int(port)), timeout=10)
            raw.setblocking(False)
            begun = stack.enter_context(context.wrap_socket(raw, do_handshake_on_connect=False))
            with suppress(ssl.SSLWantReadError, ConnectionError, ssl.SSLError):
                begun.do_handshake()


def test_17_handshakes_that_are_left_do_not_bring_a_gateway_down(shell: Shell) -> None:
    port = Port(shell)
    before = shell.sandbox.process_ids()["gateway"]["care"]
    for _ in range(ROUNDS):
        knock(shell.sandbox.addresses["care"])
    assert port.still_serves()
    assert shell.sandbox.process_ids()["gateway"]["care"] == before
