"""This gateway's own access tokens: signed with its token key, read by the one verifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.edges.keyrings import Signer
from gateway.edges.tokens import Verifier, sign

ACCESS_TOKEN = "at+jwt"  # noqa: S105  (a name)


@dataclass(frozen=True, slots=True)
class SignedTokens:
    """`OwnTokens` of gateway.ports."""

    entity: str
    signer: Signer
    verifier: Verifier

    def sign(self, claims: Mapping[str, Any]) -> str:
        return sign(ACCESS_TOKEN, claims, self.signer())

    async def verify(self, token: str, certificate: str) -> Mapping[str, Any]:
        verified = await self.verifier.verify(
            token, ACCESS_TOKEN, self.entity, issuer=self.entity, certificate_thumbprint=certificate
        )
        return verified.claims
