"""What can be seen of an address below gRPC: its name, its port, its TLS.

Invariants: every attempt has a deadline and leaves no socket open; whatever the other end does comes back as a
measurement, never as an exception; the handshake believes nothing, it looks: who is believed is judged by
`gateway.rules.diagnosis`, and nothing but an empty HTTP/2 beginning is ever sent; a private key reaches OpenSSL
through memory, never through a file on disk.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from gateway.domain.diagnosis import Handshake, Reached, Trouble
from gateway.edges.certificates import Credentials, Purpose, issued_by

RESOLVE_WITHIN = 5.0
CONNECT_WITHIN = 5.0
HANDSHAKE_WITHIN = 5.0
# RFC 9113 section 3.4: the preface and an empty SETTINGS frame. A gRPC server answers with its own.
HTTP2_BEGINNING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


async def resolve(host: str, port: int) -> Reached:
    """The addresses of `host`."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(RESOLVE_WITHIN):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as problem:
        unknown = problem.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
        return Reached(trouble=Trouble.NO_SUCH_NAME if unknown else Trouble.NO_RESOLVER)
    except UnicodeError:  # a label that is empty or too long for the DNS
        return Reached(trouble=Trouble.NO_SUCH_NAME)
    except (TimeoutError, OSError):
        return Reached(trouble=Trouble.NO_RESOLVER)
    addresses = dict.fromkeys(str(item[4][0]) for item in found)
    return Reached(", ".join(list(addresses)[:4]), time.perf_counter() - began)


async def connect(host: str, port: int) -> Reached:
    """Whether a TCP connection can be opened."""
    return await asyncio.to_thread(_connect, host, port)


async def handshake(host: str, port: int, name: str, authorities: str, own: Credentials) -> Handshake:
    """TLS as a gateway offers it, with its own client certificate; `authorities` is PEM, or empty if unknown."""
    return await asyncio.to_thread(_handshake, host, port, name, authorities, own)


def own_certificate_holds(own: Credentials, authorities: str, now: int) -> bool:
    """Whether peers that believe `authorities` can accept the own client certificate."""
    return issued_by(own.certificate_pem, authorities.encode(), now, Purpose.CLIENT)


def _connect(host: str, port: int) -> Reached:
    began = time.perf_counter()
    try:
        with socket.create_connection((host, port), timeout=CONNECT_WITHIN) as connection:
            return Reached(str(connection.getpeername()[0]), time.perf_counter() - began)
    except ConnectionRefusedError:
        trouble = Trouble.REFUSED
    except TimeoutError:
        trouble = Trouble.SILENT
    except OSError:
        trouble = Trouble.UNREACHABLE
    return Reached(seconds=time.perf_counter() - began, trouble=trouble)


def _handshake(host: str, port: int, name: str, authorities: str, own: Credentials) -> Handshake:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with _as_file(own.certificate_pem + b"\n" + own.key_pem) as path:
        context.load_cert_chain(path)
    try:
        raw = socket.create_connection((host, port), timeout=CONNECT_WITHIN)
    except OSError:
        return Handshake(Trouble.CLOSED)
    with raw:
        raw.settimeout(HANDSHAKE_WITHIN)
        try:
            connection = context.wrap_socket(raw, server_hostname=name)
        except OSError as problem:
            return Handshake(_trouble(problem))
        with connection:
            seen = _presented(connection.getpeercert(binary_form=True) or b"", authorities)
            seen = replace(seen, version=connection.version() or "", protocol=connection.selected_alpn_protocol() or "")
            if seen.protocol != "h2":
                return seen
            try:
                # In TLS 1.3 a server refuses a client certificate after the handshake: with its first record.
                connection.sendall(HTTP2_BEGINNING)
                return seen if connection.recv(9) else replace(seen, trouble=Trouble.CLOSED)
            except OSError as problem:
                return replace(seen, trouble=_trouble(problem))


def _presented(der: bytes, authorities: str) -> Handshake:
    try:
        leaf = x509.load_der_x509_certificate(der)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = tuple(names.get_values_for_type(x509.DNSName))
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return Handshake(issued=False if authorities else None, issuer="nobody readable")
    return Handshake(
        names=tuple(host[:100] for host in hosts[:8]),
        issuer=leaf.issuer.rfc4514_string()[:100],
        issued=_is_issued(leaf, authorities) if authorities else None,
        begins=int(leaf.not_valid_before_utc.timestamp()),
        ends=int(leaf.not_valid_after_utc.timestamp()),
    )


def _is_issued(leaf: x509.Certificate, authorities: str) -> bool:
    """By signature alone: whether it is valid now is told apart."""
    for authority in x509.load_pem_x509_certificates(authorities.encode()):
        try:
            leaf.verify_directly_issued_by(authority)
            return True
        except (ValueError, TypeError, InvalidSignature):
            continue
    return False


def _trouble(problem: OSError) -> Trouble:
    if isinstance(problem, TimeoutError):
        return Trouble.SILENT
    if isinstance(problem, ssl.SSLEOFError | ConnectionError | ssl.SSLZeroReturnError):
        return Trouble.CLOSED
    reason = str(getattr(problem, "reason", "") or "")
    if any(word in reason for word in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER")):
        return Trouble.PLAINTEXT
    if "ALERT" in reason and any(word in reason for word in ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")):
        return Trouble.CLIENT_REFUSED
    return Trouble.CLOSED if "EOF" in reason else Trouble.OTHER


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path for OpenSSL, which loads keys from files alone: in memory where the system has that."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("tls")
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:  # mode 0600, gone at once
        file.write(content)
        file.flush()
        yield file.name
