"""Rings on disk: put there by a command, read by what runs, never half, never with another key's secret."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Anchor, EntityId, Jwk
from gateway.edges import certificates, keys, ringfiles, rotating
from gateway.edges.certificates import Purpose, issued_by
from gateway.edges.clock import SystemIds
from gateway.edges.federation import Federation, entity_configuration, subordinate_statement
from gateway.edges.keyrings import KeyRing
from gateway.edges.keys import SigningKey
from gateway.edges.own_chain import OwnChain
from gateway.edges.rotating import Leaf, Wish
from gateway.edges.space_keys import leaves
from gateway.edges.tokens import Verifier, sign, signature_holds
from gateway.rules.jose import parse_compact
from gateway.rules.jwks import parse_jwk
from gateway.rules.keyring import DAY, KeyName, published
from gateway.rules.tokens import PROFILES, check_shape, check_times
from tests.unit import trust_kit
from tests.unit.trust_kit import ANCHOR, CARE, NOW

ANCHOR_KEY = keys.new_signing_key()

DRILL = Wish(10, 20, because="a drill")


@dataclass
class Watch:
    at: int = NOW

    def now(self) -> int:
        return self.at


def begun(folder: Path, name: str = "token") -> Path:
    ringfiles.begin(folder, name, keys.new_signing_key(), NOW)
    return ringfiles.path_of(folder, name)


def rotated(path: Path, name: KeyName = KeyName.TOKEN, now: int = NOW, wish: Wish = DRILL) -> None:
    rotating.rotate_key(path, name, CARE, [ANCHOR], wish, now, SystemIds())


def watched(path: Path, clock: Watch) -> KeyRing[SigningKey]:
    return KeyRing(path, clock.now, ringfiles.signing)


def test_what_runs_takes_up_a_rotation_and_every_step_of_it(tmp_path: Path) -> None:
    path, clock = begun(tmp_path), Watch()
    ring = watched(path, clock)
    first = ring.active().kid
    rotated(path)
    assert ring.refresh() and not ring.refresh()
    second = ring.ring.latest.kid
    seen = []
    for clock.at in (NOW, NOW + 9, NOW + 10, NOW + 29, NOW + 30):
        seen.append((ring.active().kid, {key.kid for key in ring.published()}))
    both = {first, second}
    assert seen == [(first, both), (first, both), (second, both), (second, both), (second, {second})]
    assert [key.kid for key in ring.every()] == [second, first]


def test_a_ring_of_one_key_is_one_small_public_file_beside_its_secret(tmp_path: Path) -> None:
    path = begun(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["token.pem", "token.ring.json"]
    assert stat.S_IMODE((tmp_path / "token.pem").stat().st_mode) == 0o600
    (only,) = json.loads(path.read_text())["keys"]
    assert set(only) == {"kid", "jwk", "secret", "publish", "use", "retire"}
    assert only["secret"] == "token.pem" and "d" not in only["jwk"]


def _not_json(path: Path) -> None:
    path.write_text("{")


def _gone(path: Path) -> None:
    path.unlink()


def _without_its_secret(path: Path) -> None:
    rotated(path)
    (path.parent / ringfiles.read(path).latest.secret).unlink()


def _with_the_secret_of_another_key(path: Path) -> None:
    rotated(path)
    secret = path.parent / ringfiles.read(path).latest.secret
    secret.unlink()
    keys.write_secret(secret, keys.pem_of(keys.new_signing_key().secret))


def _open_to_others(path: Path) -> None:
    rotated(path)
    (path.parent / ringfiles.read(path).latest.secret).chmod(0o644)


@pytest.mark.parametrize(
    "harm", [_not_json, _gone, _without_its_secret, _with_the_secret_of_another_key, _open_to_others]
)
def test_a_broken_ring_leaves_the_last_good_one_in_use_with_one_warning(tmp_path: Path, harm: object) -> None:
    assert callable(harm)
    path, clock = begun(tmp_path), Watch()
    ring = watched(path, clock)
    good = ring.ring
    harm(path)
    clock.at += 1000
    with structlog.testing.capture_logs() as logs:
        assert [ring.refresh() for _ in range(3)] == [False] * 3
    assert ring.ring == good and ring.active().kid == good.latest.kid
    assert [entry["log_level"] for entry in logs] == ["warning"]
    with pytest.raises(IsthmusError) as refused:  # and nothing starts on it
        watched(path, clock)
    assert refused.value.reason is Reason.CONFIGURATION


def test_a_secret_that_comes_after_its_ring_is_taken_when_it_is_there(tmp_path: Path) -> None:
    path, clock = begun(tmp_path), Watch()
    ring = watched(path, clock)
    rotated(path)
    secret = tmp_path / ringfiles.read(path).latest.secret
    kept = secret.read_bytes()
    secret.unlink()
    assert not ring.refresh()
    keys.write_secret(secret, kept)
    assert ring.refresh() and len(ring.ring.entries) == 2


def test_two_commands_cannot_change_one_ring_at_once(tmp_path: Path) -> None:
    path = begun(tmp_path)
    with ringfiles.locked(path), pytest.raises(IsthmusError, match="another command"):
        rotated(path)
    assert len(ringfiles.read(path).entries) == 1


def test_a_refused_rotation_leaves_nothing_behind(tmp_path: Path) -> None:
    path = begun(tmp_path, "contract")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(IsthmusError, match="48 h"):
        rotated(path, KeyName.CONTRACT, wish=Wish(3600, DAY))
    with pytest.raises(IsthmusError, match="30 days"):
        rotated(path, KeyName.CONTRACT, wish=Wish(29 * DAY, 2 * DAY))
    after = {file.name: file.read_bytes() for file in tmp_path.iterdir() if not file.name.endswith(".lock")}
    assert after == before


@pytest.mark.parametrize(
    ("name", "use"),
    [(KeyName.FEDERATION, "federation"), (KeyName.CONTRACT, "contracts"), (KeyName.REVOCATION, "revocations")],
)
def test_what_anchors_pin_comes_with_tokens_of_the_present_key_for_every_anchor(
    tmp_path: Path, name: KeyName, use: str
) -> None:
    path = begun(tmp_path)
    present = ringfiles.read(path).latest
    anchors = [ANCHOR, EntityId("https://other.example")]
    rotating.rotate_key(path, name, CARE, anchors, DRILL, NOW, SystemIds())
    latest = ringfiles.read(path).latest
    tokens = [parse_compact(token, 16 * 1024) for token in latest.rotations]
    profile = PROFILES["isthmus-rotation+jwt"]
    assert present.jwk is not None
    for token in tokens:
        check_shape(profile, token.claims)
        check_times(token.claims, profile.lifetime, NOW + 30)
        assert token.typ == profile.typ and signature_holds(token, present.jwk)
        assert (token.claims["iss"], token.claims["use"]) == (CARE, use)
    both, alone = [present.jwk, latest.jwk], [latest.jwk]
    told = [(t.claims["aud"], t.claims["nbf"], [parse_jwk(k) for k in t.claims["jwks"]["keys"]]) for t in tokens]
    assert told == [(anchor, at, pins) for anchor in anchors for at, pins in ((NOW, both), (NOW + 30, alone))]
    assert tokens[0].claims["iat"] < tokens[1].claims["iat"]


def test_other_keys_need_no_anchor(tmp_path: Path) -> None:
    path = begun(tmp_path)
    rotated(path)
    assert ringfiles.read(path).latest.rotations == ()


def test_a_recipients_old_secret_stays_at_hand(tmp_path: Path) -> None:
    ringfiles.begin(tmp_path, "recipient", keys.new_agreement_key(), NOW)
    path = ringfiles.path_of(tmp_path, "recipient")
    ring = KeyRing(path, Watch().now, ringfiles.agreement)
    rotated(path, KeyName.RECIPIENT, wish=Wish(0, 0))
    ring.refresh()
    assert [key.kid for key in ring.every()] == [entry.kid for entry in reversed(ringfiles.read(path).entries)]
    assert rotating.removable(path, ringfiles.read(path), NOW + 10_000 * DAY) == []


def test_retired_secrets_are_named_as_removable_and_nothing_else(tmp_path: Path) -> None:
    path = begun(tmp_path)
    rotated(path)
    for now, files in ((NOW + 29, []), (NOW + 30, ["token.pem"])):
        assert [file.name for file in rotating.removable(path, ringfiles.read(path), now)] == files
    (tmp_path / "token.pem").unlink()
    ring = watched(path, Watch(NOW + 30))
    assert ring.active().kid == ring.ring.latest.kid
    assert len(ring.ring.entries) == 2


# Certificates ------------------------------------------------------------------------------------


def test_a_new_ca_comes_with_certificates_that_are_used_when_it_is(tmp_path: Path) -> None:
    authority = certificates.create_authority(CARE, NOW)
    ringfiles.begin_certificate(tmp_path, "ca", authority.credentials, NOW)
    server = certificates.server_certificate(authority, CARE, NOW, loopback=True)
    ringfiles.begin_certificate(tmp_path, "gateway", server, NOW)
    path, leaf = ringfiles.path_of(tmp_path, "ca"), Leaf(KeyName.TLS_SERVER, ringfiles.path_of(tmp_path, "gateway"))
    done = dict(rotating.rotate_authority(path, [leaf], CARE, DRILL, NOW))
    assert {name: ring.latest.use for name, ring in done.items()} == {
        KeyName.TLS_CA: NOW + 10,
        KeyName.TLS_SERVER: NOW + 10,
    }
    clock = Watch()
    ca = KeyRing(path, clock.now, ringfiles.certificate)
    shown = leaves(leaf.path, lambda: b"".join(ca.published()), clock, Purpose.SERVER)
    old = ringfiles.read(path).entries[0]
    kids = []
    for clock.at in (NOW, NOW + 10, NOW + 30):
        kids.append(shown.kid)
        assert issued_by(shown.active().certificate_pem, b"".join(ca.published()), clock.at, Purpose.SERVER)
    first, second = ringfiles.read(leaf.path).entries
    assert kids == [first.kid, second.kid, second.kid]
    assert old not in published(ca.ring, NOW + 30)
    with pytest.raises(IsthmusError, match="under way"):
        rotating.rotate_authority(path, [leaf], CARE, DRILL, NOW + 11)
    # Made while the next CA waits: of that one, and used no sooner.
    again = rotating.rotate_leaf(leaf, path, CARE, Wish(0, 0, because="lost", compromised=True), NOW + 5)
    assert again.latest.use == NOW + 10


def test_the_cas_secret_is_missed_by_nothing_that_runs_and_by_the_command_in_words(tmp_path: Path) -> None:
    authority = certificates.create_authority(CARE, NOW)
    ringfiles.begin_certificate(tmp_path, "ca", authority.credentials, NOW)
    client = certificates.client_certificate(authority, CARE, certificates.Role.GATEWAY, NOW)
    ringfiles.begin_certificate(tmp_path, "to-peers", client, NOW)
    (tmp_path / "ca.key.pem").unlink()
    path = ringfiles.path_of(tmp_path, "ca")
    assert KeyRing(path, Watch().now, ringfiles.certificate).published() == (authority.certificate_pem,)
    leaf = Leaf(KeyName.TLS_CLIENT, ringfiles.path_of(tmp_path, "to-peers"))
    with pytest.raises(IsthmusError) as refused:
        rotating.rotate_leaf(leaf, path, CARE, Wish(0, 0), NOW)
    assert "ca.key.pem" in str(refused.value)


# The own chain -----------------------------------------------------------------------------------


class Own:
    """Care's chain, whose federation and contract keys are rings."""

    def __init__(self, folder: Path) -> None:
        self.clock = Watch()
        self.trust = Federation([Anchor(ANCHOR, (ANCHOR_KEY.jwk,), (CARE,))], self.clock.now)
        self.space = trust_kit.new_space(CARE)
        self.file = folder / "statement.jwt"
        ringfiles.begin(folder, "federation", self.space.federation, NOW)
        ringfiles.begin(folder, "contract", self.space.contracts, NOW)
        self.path = ringfiles.path_of(folder, "federation")
        self.federation = KeyRing(self.path, self.clock.now, ringfiles.signing, lambda kid: self.chain.vouches_for(kid))
        self.pin(self.space.federation.jwk)
        self.chain = OwnChain(self._made, self._says, self.file, self.trust, self.clock)
        assert self.chain.refresh()

    def pin(self, *jwks: Jwk) -> None:
        self.file.write_text(subordinate_statement(ANCHOR, CARE, jwks, ANCHOR_KEY, self.clock.now()))

    def _says(self) -> object:
        return self.federation.kid, [key.kid for key in self.federation.published()]

    def _made(self, now: int) -> str:
        signer = self.federation.active()
        further = [key.jwk for key in self.federation.published() if key.kid != signer.kid]
        return entity_configuration(CARE, self.space.metadata(), [ANCHOR], signer, now, further_keys=further)

    def signed_by(self) -> str:
        return parse_compact(self.chain()[0], 64 * 1024).kid


def test_the_federation_key_switches_only_once_the_anchor_names_the_next_one(tmp_path: Path) -> None:
    own = Own(tmp_path)
    first = own.signed_by()
    rotated(own.path, KeyName.FEDERATION)
    own.federation.refresh()
    assert own.chain.refresh()  # it is published
    second = own.federation.ring.latest
    own.clock.at = NOW + 100  # long after the first one was to be retired
    own.chain.refresh()
    assert own.signed_by() == first
    assert own.trust.admit(own.chain()).federation_keys == (own.space.federation.jwk,)
    assert second.jwk is not None
    own.pin(own.space.federation.jwk, second.jwk)
    while own.chain.refresh():
        pass
    assert own.signed_by() == second.kid
    assert not own.chain.refresh()


def test_a_statement_of_the_anchor_that_does_not_hold_changes_nothing(tmp_path: Path) -> None:
    own = Own(tmp_path)
    before = own.chain()
    for broken in ("", "no token", subordinate_statement(ANCHOR, CARE, [own.space.tokens.jwk], ANCHOR_KEY, NOW)):
        own.file.write_text(broken)
        assert not own.chain.refresh()
        assert own.chain() == before
    own.clock.at += 4000
    assert own.chain()[0] != before[0]  # and it is made anew in time all the same
    assert own.trust.entity(CARE) is not None


def test_a_broken_statement_of_the_anchor_does_not_hold_up_what_the_space_says_of_itself(tmp_path: Path) -> None:
    own = Own(tmp_path)
    own.file.write_text("no token")
    rotated(own.path, KeyName.FEDERATION)
    own.federation.refresh()
    with structlog.testing.capture_logs() as logs:
        assert [own.chain.refresh() for _ in range(3)] == [True, False, False]
    assert [entry["log_level"] for entry in logs] == ["warning"]
    own.clock.at += 1
    own.pin(own.space.federation.jwk)
    assert own.chain.refresh()


def test_a_later_statement_says_a_later_time_even_within_one_second(tmp_path: Path) -> None:
    own = Own(tmp_path)
    issued = [own.trust.admit(own.chain()).issued_at]
    rotated(own.path, KeyName.FEDERATION)
    own.federation.refresh()
    assert own.chain.refresh()
    issued.append(own.trust.admit(own.chain()).issued_at)
    assert issued == [NOW, NOW + 1]


# Audit -------------------------------------------------------------------------------------------


async def test_a_receipt_of_before_verifies_against_the_history_of_the_ring(tmp_path: Path) -> None:
    path = begun(tmp_path, "contract")
    old = watched(path, Watch()).active()
    claims = {
        "iss": CARE, "sub": CARE, "iat": NOW, "jti": "1" * 22, "aud": "urn:isthmus:session:s",
        "contract_digest": "0" * 64, "receipt": {},
    }  # fmt: skip
    receipt = sign("isthmus-receipt+jwt", claims, old)
    now = NOW
    for _ in range(3):
        rotated(path, KeyName.CONTRACT, now)
        now += 100
    (tmp_path / "contract.pem").unlink()

    class History:
        """A directory of every key that the ring remembers."""

        def keys(self, issuer: str, kid: str, typ: str) -> list[Jwk]:
            return [e.jwk for e in ringfiles.read(path).entries if e.kid == kid and e.jwk is not None]

        def token_revoked(self, issuer: str, jti: str) -> bool:
            return False

    verified = await Verifier(History(), lambda: now).verify(receipt, "isthmus-receipt+jwt", claims["aud"])
    assert verified.kid == old.kid
    assert old.kid not in {entry.kid for entry in published(ringfiles.read(path), now)}
