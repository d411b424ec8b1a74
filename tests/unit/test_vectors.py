"""Published vectors: each is run, counted, and held against the table in tests/data/vectors/README.md."""

from __future__ import annotations

import json
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from joserfc import jws
from joserfc.jwk import import_key, thumbprint

from gateway.domain.identity import Jwk
from gateway.edges.tokens import signature_holds
from gateway.rules.jose import CompactJws, TokenProblem, decode_segment, parse_compact, parse_object
from gateway.rules.jwks import parse_jwk

FOLDER = Path(__file__).parents[1] / "data" / "vectors"


@dataclass(frozen=True)
class Outcome:
    accepted: int
    rejected: int
    excluded: int = 0

    @property
    def row(self) -> list[int]:
        return [self.accepted + self.rejected + self.excluded, self.accepted, self.rejected, self.excluded]


def told() -> dict[str, list[int]]:
    """The table of the README."""
    rows = [line.strip("|").split("|") for line in (FOLDER / "README.md").read_text().splitlines() if line[:1] == "|"]
    return {cells[0].strip(): [int(cell) for cell in cells[1:]] for cells in rows[2:]}


def vectors(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def outcome(verdicts: list[bool]) -> Outcome:
    counts = Counter(verdicts)
    return Outcome(counts[True], counts[False])


def read_key(jwk: dict[str, Any], **members: str) -> Jwk | None:
    try:
        return parse_jwk({**jwk, **members})
    except TokenProblem:
        return None


def holds(jwk: Jwk | None, message: bytes, signature: bytes) -> bool:
    return jwk is not None and signature_holds(CompactJws(jwk.alg, jwk.kid, "", (), {}, b"", message, signature), jwk)


@pytest.mark.parametrize(
    ("file", "alg", "name"),
    [
        ("wycheproof_ed25519.json", "Ed25519", "Wycheproof ed25519"),
        ("wycheproof_es256.json", "ES256", "Wycheproof ecdsa secp256r1 sha256 p1363"),
    ],
)
def test_wycheproof_signatures(file: str, alg: str, name: str) -> None:
    verdicts, debatable = [], Counter[tuple[str, bool]]()
    for group in vectors(file)["groups"]:
        key = read_key(group["jwk"], alg=alg, use="sig")
        for number, message, signature, result, flags in group["tests"]:
            accepted = holds(key, bytes.fromhex(message), bytes.fromhex(signature))
            verdicts.append(accepted)
            if result == "acceptable":
                debatable[flags[0], accepted] += 1
            else:
                assert accepted is (result == "valid"), f"{name}, vector {number} is {result}"
    assert outcome(verdicts).row == told()[name]
    few = {("SmallOrderPublicKey", False): 8, ("MixedOrderPublicKey", True): 21}
    assert debatable == (few if alg == "Ed25519" else {})


def test_wycheproof_x25519_keys() -> None:
    verdicts, debatable = [], Counter[tuple[str, bool]]()
    for number, jwk, result, flags in vectors("wycheproof_x25519_keys.json")["tests"]:
        accepted = read_key(jwk, use="enc") is not None
        verdicts.append(accepted)
        if result == "acceptable":
            kind = next((flag for flag in ("LowOrderPublic", "NonCanonicalPublic") if flag in flags), "other")
            debatable[kind, accepted] += 1
        else:
            assert accepted is (result == "valid"), f"vector {number} is {result}"
    assert outcome(verdicts).row == told()["Wycheproof x25519 public keys"]
    assert debatable == {("LowOrderPublic", False): 31, ("NonCanonicalPublic", False): 13, ("other", True): 210}


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_rfc_signatures_by_themselves_and_as_tokens() -> None:
    alone, as_tokens = {}, {}
    for vector in vectors("rfc_jose.json")["signatures"]:
        header, payload, signature = vector["jws"].split(".")
        alg = parse_object(decode_segment(header, "header"), "header")["alg"]
        assert alg == vector["alg"]
        if alg != "none":  # copied right, as a second implementation that knows the algorithm says
            assert jws.deserialize_compact(vector["jws"], import_key(vector["jwk"]), algorithms=[alg])
        key = read_key(vector["jwk"], alg=alg, use="sig")
        alone[vector["name"]] = holds(key, f"{header}.{payload}".encode(), decode_segment(signature, "signature"))
        try:
            parse_compact(vector["jws"], 8192)
            as_tokens[vector["name"]] = True
        except TokenProblem:
            as_tokens[vector["name"]] = False
    assert [name for name, held in alone.items() if held] == ["RFC 7515 A.3"]
    assert outcome(list(alone.values())).row == told()["RFC 7515 and 8037 signatures"]
    assert outcome(list(as_tokens.values())).row == told()["RFC 7515 and 8037 signatures, as tokens"]


def test_the_rfcs_eddsa_example_holds_under_the_name_of_its_curve() -> None:
    vector = vectors("rfc_jose.json")["signatures"][-1]
    signing_input, _, signature = vector["jws"].rpartition(".")
    key = read_key(vector["jwk"], alg="Ed25519", use="sig")
    assert holds(key, signing_input.encode(), decode_segment(signature, "signature"))
    assert read_key(vector["jwk"], alg="EdDSA", use="sig") is None


def test_rfc_keys_and_thumbprints() -> None:
    sets = vectors("rfc_jose.json")
    read = [read_key(vector["jwk"]) is not None for vector in sets["keys"]]
    assert outcome(read).row == told()["RFC 7517 and 8037 keys"]
    # What is refused of these two is what they do not say, not their points.
    assert read_key({name: sets["keys"][0]["jwk"][name] for name in ("kty", "crv", "x", "y")}, alg="ES256")
    assert read_key({name: sets["keys"][5]["jwk"][name] for name in ("kty", "crv", "x")})
    same, excluded = [], 0
    for vector in sets["thumbprints"]:
        assert thumbprint(vector["jwk"]) == vector["thumbprint"]
        key = read_key(vector["jwk"], alg="Ed25519")
        if key is None:
            assert vector["jwk"]["kty"] == "RSA"
            excluded += 1
        else:
            same.append(key.kid == vector["thumbprint"])
    ours = outcome(same)
    assert Outcome(ours.accepted, ours.rejected, excluded).row == told()["RFC 7638 and 8037 thumbprints"]


def test_rfc_8785_canonical_json() -> None:
    sets, verdicts = vectors("rfc_8785.json"), []
    for bits, text in sets["numbers"]:
        (number,) = struct.unpack(">d", bytes.fromhex(bits))
        try:
            assert rfc8785.dumps(number).decode() == text
            verdicts.append(True)
        except rfc8785.FloatDomainError:
            assert text is None
            verdicts.append(False)
    for text, canonical in sets["texts"]:
        assert rfc8785.dumps(json.loads(text)).decode() == canonical
        verdicts.append(True)
    assert outcome(verdicts).row == told()["RFC 8785 canonical JSON"]


def test_every_set_of_the_table_is_run() -> None:
    assert set(told()) == {
        "Wycheproof ed25519",
        "Wycheproof ecdsa secp256r1 sha256 p1363",
        "Wycheproof x25519 public keys",
        "RFC 7515 and 8037 signatures",
        "RFC 7515 and 8037 signatures, as tokens",
        "RFC 7517 and 8037 keys",
        "RFC 7638 and 8037 thumbprints",
        "RFC 8785 canonical JSON",
    }
