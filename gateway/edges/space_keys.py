"""All rings of keys that a gateway works with, and what its statement says of them.

Invariants: a key is used only if the space's own verified chain vouches for it; a certificate only if a CA that the
space publishes issued it, and it has not expired; the agent's ring is read for its public side alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.config import GatewayKeys, GatewayTls
from gateway.domain.identity import Jwk, KeyUse
from gateway.edges import ringfiles
from gateway.edges.certificates import Credentials, Purpose, issued_by
from gateway.edges.federation import Federation
from gateway.edges.keyrings import KeyRing
from gateway.edges.keys import AgreementKey, SigningKey
from gateway.edges.opener import RecipientKeys
from gateway.edges.own_chain import OwnChain
from gateway.edges.ringfiles import Public
from gateway.ports import Clock
from gateway.rules.jose import TokenProblem, parse_compact
from gateway.rules.tokens import PROFILES

ROTATION = PROFILES["isthmus-rotation+jwt"]


class SpaceKeys:
    def __init__(self, keys: GatewayKeys, tls: GatewayTls, entity: str, trust: Federation, clock: Clock) -> None:
        """Raises IsthmusError(CONFIGURATION)."""
        self._entity, self._trust = entity, trust
        self._own_chain: OwnChain | None = None

        def pinned(use: KeyUse) -> Callable[[str], bool]:
            return lambda kid: believed(trust, entity, use, kid)

        now = clock.now
        self.federation: KeyRing[SigningKey] = KeyRing(keys.federation, now, ringfiles.signing, self._vouched_for)
        self.token: KeyRing[SigningKey] = KeyRing(keys.token, now, ringfiles.signing, pinned(KeyUse.TOKENS))
        self.revocation: KeyRing[SigningKey] = KeyRing(
            keys.revocation, now, ringfiles.signing, pinned(KeyUse.REVOCATIONS)
        )
        self.contract: KeyRing[Public] = KeyRing(keys.contract, now, ringfiles.public, pinned(KeyUse.CONTRACTS))
        self.recipient: KeyRing[AgreementKey] = KeyRing(keys.recipient, now, ringfiles.agreement)
        self.ca: KeyRing[bytes] = KeyRing(tls.ca, now, ringfiles.certificate)
        self.server = leaves(tls.server, self.authorities, clock, Purpose.SERVER)
        self.client = leaves(tls.client, self.authorities, clock, Purpose.CLIENT)

    def vouched_by(self, chain: OwnChain) -> None:
        """Close the circle: the chain is signed with these keys, and says which of them count."""
        self._own_chain = chain

    def refresh(self) -> None:
        """Read again what changed."""
        for ring in (self.federation, self.token, self.revocation, self.contract, self.recipient):
            ring.refresh()
        for certificates in (self.ca, self.server, self.client):
            certificates.refresh()

    def authorities(self) -> bytes:
        """PEM of the own CAs: one, or two while it is rotated."""
        return b"".join(self.ca.published())

    def described(self) -> tuple[object, ...]:
        """What the own statement depends on: it is made anew when this changes."""
        kids = [
            tuple(key.jwk.kid for key in ring.published())
            for ring in (self.federation, self.token, self.revocation, self.contract)
        ]
        return (*kids, self.federation.kid, self.authorities())

    def recipients(self) -> RecipientKeys:
        return RecipientKeys(
            lambda: self.recipient.active().secret.private_bytes_raw(),
            lambda: [key.secret.private_bytes_raw() for key in self.recipient.every()],
        )

    def rotations(self) -> list[str]:
        """The rotation tokens that are due for the anchors: those that ask for exactly the keys which are published."""
        tokens = []
        for ring in (self.federation, self.contract, self.revocation):
            wanted = {key.jwk.kid for key in ring.published()}
            tokens += [token for token in ring.ring.latest.rotations if _pinned_by(token) == wanted]
        return tokens

    def _vouched_for(self, kid: str) -> bool:
        return self._own_chain is not None and self._own_chain.vouches_for(kid)


def _pinned_by(token: str) -> set[str]:
    """The keys that a rotation token asks an anchor to pin; none for what is no such token."""
    try:
        keys = parse_compact(token, ROTATION.max_bytes).claims.get("jwks", {}).get("keys", [])
        return {str(key.get("kid")) for key in keys}
    except (TokenProblem, AttributeError):
        return set()


def public(keys: Sequence[SigningKey | Public]) -> tuple[Jwk, ...]:
    return tuple(key.jwk for key in keys)


def believed(trust: Federation, entity: str, use: KeyUse, kid: str) -> bool:
    """Whether the entity's verified chain names this key for this use."""
    known = trust.entity(entity)
    return known is not None and any(key.kid == kid for key in known.keys(use))


def leaves(path: Path, authorities: Callable[[], bytes], clock: Clock, purpose: Purpose) -> KeyRing[Credentials]:
    """A ring of certificates of TLS: one is used as long as a CA of `authorities` stands behind it."""
    # Checking a certificate costs a signature, and is asked for with every call: once a minute is enough.
    checked: dict[tuple[str, bytes, int], bool] = {}

    def stands(kid: str) -> bool:
        question = (kid, authorities(), clock.now() // 60)
        if question not in checked:
            if len(checked) > 64:
                checked.clear()
            checked[question] = issued_by(ring.named(kid).certificate_pem, question[1], clock.now(), purpose)
        return checked[question]

    ring: KeyRing[Credentials] = KeyRing(path, clock.now, ringfiles.credentials, stands)
    return ring
