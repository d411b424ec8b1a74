"""`isthmus trust revoke`: what it takes, what it writes, what it refuses."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from gateway.cli.init import Wanted as Space
from gateway.cli.init import lay_out
from gateway.cli.revoking import Wanted, revoke_it
from gateway.cli.trust_init import found
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges import keys
from gateway.edges.certificates import kid_of
from gateway.edges.revoking import read_file
from gateway.rules.jwks import jwk_object

CARE = "https://care.example"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    space = Space.checked(CARE, "127.0.0.1:9", "", "NL")
    lay_out(tmp_path / "space", space, int(time.time()))
    return tmp_path / "space" / "gateway.toml"


def test_a_key_is_named_by_its_thumbprint_or_by_a_file_that_holds_it(config: Path) -> None:
    home = config.parent
    token = keys.load_signing_key(home / "keys" / "token.pem").kid
    for named in (token, str(home / "keys" / "token.pem")):
        done = revoke_it(config, Wanted(key=named), "it was copied")
        assert (done.kind, done.id, done.name) == ("key", token, "token")
    contract = keys.load_signing_key(home / "agent" / "contract.pem")
    (home / "contract.jwk.json").write_text(json.dumps(jwk_object(contract.jwk)))
    by_jwk = revoke_it(config, Wanted(key=str(home / "contract.jwk.json")), "")
    assert (by_jwk.id, by_jwk.name) == (contract.kid, "contract")
    certificate = (home / "tls" / "ca.pem").read_bytes()
    ca = revoke_it(config, Wanted(key=str(home / "tls" / "ca.pem")), "")
    assert (ca.id, ca.name) == (kid_of(certificate), "tls.ca")
    assert "No certificate of this CA counts" in ca.said()
    assert [entry.id for entry in read_file(home / "revoked.toml")] == [token, contract.kid, ca.id]
    assert read_file(home / "revoked.toml")[0].reason == "it was copied"


def test_tokens_contracts_and_the_space_itself_are_revoked_by_name(config: Path) -> None:
    for wanted in (Wanted(token="jti-1"), Wanted(contract="ab" * 32), Wanted(entity=CARE)):
        first, second = revoke_it(config, wanted, ""), revoke_it(config, wanted, "")
        assert (first.new, second.new) == (True, False)
        assert first.said().startswith("Revoked: ")
        assert second.said().startswith("Revoked before: ")
    kinds = [entry.kind for entry in read_file(config.parent / "revoked.toml")]
    assert kinds == ["token", "contract", "entity"]


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Wanted(), Reason.INVALID_ARGUMENT),
        (Wanted(token="x", entity=CARE), Reason.INVALID_ARGUMENT),
        (Wanted(key="short"), Reason.INVALID_ARGUMENT),
        (Wanted(key="gateway.toml"), Reason.INVALID_ARGUMENT),
        (Wanted(entity="https://police.example"), Reason.INVALID_ARGUMENT),
        (Wanted(contract="ab"), Reason.CONFIGURATION),
        (Wanted(token="a b"), Reason.CONFIGURATION),
    ],
)
def test_what_no_list_could_say_is_refused_and_nothing_is_written(config: Path, wanted: Wanted, reason: Reason) -> None:
    with pytest.raises(IsthmusError) as caught:
        revoke_it(config, wanted, "")
    assert caught.value.reason is reason
    assert caught.value.advice
    assert not (config.parent / "revoked.toml").exists()


def test_an_anchor_revokes_whom_it_may_vouch_for(tmp_path: Path) -> None:
    found(tmp_path / "anchor", "https://anchor.example", "127.0.0.1:9", ["https://*.example"], int(time.time()))
    config = tmp_path / "anchor" / "anchor.toml"
    assert revoke_it(config, Wanted(entity=CARE), "").new
    federation = next((tmp_path / "anchor").rglob("federation.pem"))
    assert revoke_it(config, Wanted(key=str(federation)), "").name == "federation"
    with pytest.raises(IsthmusError) as caught:
        revoke_it(config, Wanted(entity="https://care.elsewhere"), "")
    assert caught.value.field == "entity"
    assert [entry.kind for entry in read_file(tmp_path / "anchor" / "revoked.toml")] == ["entity", "key"]
