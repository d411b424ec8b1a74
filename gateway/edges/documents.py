"""Signed documents: offers, contracts, approvals, receipts. Reading one is verifying it.

Invariants: a document is verified over the bytes as received and is never re-made; contracts are signed
with a space's token key by its gateway, everything else here with the contract key by its agent; no
document is read whose issuer is not who it speaks for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain.approval import ApprovalBody, SignedApproval, SignedContract
from gateway.domain.computation import Computation, Receipt
from gateway.domain.contract import Contract
from gateway.domain.decision import SignedPlan
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Offer
from gateway.edges.keyrings import Signer
from gateway.edges.tokens import Verifier, sign
from gateway.ports import Clock, Ids, Once
from gateway.rules.contract import audience, read_body, read_contract
from gateway.rules.jose import parse_compact
from gateway.rules.offers import check_offer
from gateway.rules.plans import audience as plan_audience
from gateway.rules.plans import check_addressed, plan_digest
from gateway.rules.recall import recall_plan
from gateway.rules.records import from_bytes, to_plain
from gateway.rules.tokens import payload_digest

OFFER = "isthmus-offer+jwt"
CONTRACT = "isthmus-contract+jwt"
APPROVAL = "isthmus-approval+jwt"
RECEIPT = "isthmus-receipt+jwt"
PLAN = "isthmus-plan+jwt"
OFFER_LIFETIME = 24 * 3600
MAX_STORED = 512 * 1024


@dataclass(frozen=True, slots=True)
class Reader:
    """Verifies documents; needs no secret."""

    verifier: Verifier

    async def offer(self, token: str, entity: str) -> Offer:
        """The offer of `entity`; raises IsthmusError(UNAUTHENTICATED) unless that space's agent signed it."""
        verified = await self.verifier.verify(token, OFFER, None, issuer=entity)
        return check_offer(from_bytes(Offer, json.dumps(verified.claims.get("offer")), what="offer"), entity)

    async def contract(self, token: str) -> SignedContract:
        """The contract, signed by its initiator's gateway. Whether it may run is `gateway.rules.contract`."""
        session = _unverified(token, "aud")
        verified = await self.verifier.verify(token, CONTRACT, session)
        return SignedContract(read_contract(verified.claims), verified.digest, token)

    async def plan(self, token: str) -> SignedPlan:
        """A plan that people are to decide on, signed by its initiator's gateway and addressed to its own digest."""
        verified = await self.verifier.verify(token, PLAN, _unverified(token, "aud"))
        body = read_body(verified.claims)
        return SignedPlan(body, check_addressed(verified.claims, body), token, verified.claims["exp"])

    async def approval(self, token: str, contract: SignedContract) -> SignedApproval:
        """One space's approval of exactly `contract`; raises IsthmusError(APPROVALS_INVALID) for another's."""
        verified = await self.verifier.verify(token, APPROVAL, audience(contract.body.session))
        body = _approval_body(verified.claims)
        if body.contract_digest != contract.digest:
            raise approvals_invalid("an approval is for other bytes than this contract", verified.issuer)
        return SignedApproval(verified.issuer, body, verified.digest, token)

    async def receipt(self, token: str, contract: SignedContract, entity: str) -> Receipt:
        """What `entity` signed at the end of the session of `contract`."""
        verified = await self.verifier.verify(token, RECEIPT, audience(contract.body.session), issuer=entity)
        claims = verified.claims
        if claims["contract_digest"] != contract.digest:
            raise approvals_invalid("a receipt is for another contract", entity)
        plain = {**claims["receipt"], "space": entity, "contract": contract.digest, "token": token}
        return from_bytes(Receipt, json.dumps(plain), what="receipt")

    def recall(self, computation: Computation) -> tuple[SignedContract, Sequence[SignedApproval]]:
        """What was verified when it came and stored since: lifetimes are over by now, signatures count still.

        Of one that waits for people this is its plan. Raises IsthmusError(INTERNAL) when the stored contract is not the
        one whose digest was written down.
        """
        if computation.waits_for_people:
            plan = recall_plan(computation.plan, computation.plan_digest)
            return SignedContract(plan.body, plan.digest, plan.token), ()
        token = parse_compact(computation.contract, MAX_STORED)
        digest = payload_digest(token.payload)
        if digest != computation.contract_digest:
            raise IsthmusError(
                Reason.INTERNAL,
                f"the stored contract of {computation.name} is not the one that was approved",
                advice="This space's operator checks the audit log and the store",
            )
        contract = SignedContract(read_contract(token.claims), digest, computation.contract)
        return contract, [_recalled(approval) for approval in computation.approvals]


@dataclass(frozen=True, slots=True)
class Writer:
    """Signs documents in the name of `entity` with the key that is in use."""

    entity: str
    signer: Signer
    clock: Clock
    ids: Ids

    def offer(self, offer: Offer) -> str:
        return sign(OFFER, {**self._envelope(OFFER_LIFETIME), "offer": to_plain(offer)}, self.signer())

    def contract(self, contract: Contract) -> str:
        lifetime = contract.expires - contract.not_before
        return sign(
            CONTRACT,
            {**self._envelope(lifetime), "aud": audience(contract.session), "contract": to_plain(contract)},
            self.signer(),
        )

    def plan(self, draft: Contract, expires: int) -> str:
        claims = {**self._envelope(expires - self.clock.now()), "aud": plan_audience(plan_digest(draft))}
        return sign(PLAN, {**claims, "contract": to_plain(draft)}, self.signer())

    def approval(self, contract: Contract, body: ApprovalBody) -> str:
        claims = {**self._envelope(contract.expires - contract.not_before), "aud": audience(contract.session)}
        return sign(APPROVAL, {**claims, **to_plain(body)}, self.signer())

    def receipt(self, contract: Contract, digest: str, receipt: Mapping[str, Any]) -> str:
        """`receipt` has the fields of `Receipt` but for space, contract and token, which the envelope says."""
        claims = self._envelope(None)
        return sign(
            RECEIPT,
            {**claims, "aud": audience(contract.session), "contract_digest": digest, "receipt": dict(receipt)},
            self.signer(),
        )

    def _envelope(self, lifetime: int | None) -> dict[str, Any]:
        now = self.clock.now()
        claims: dict[str, Any] = {"iss": self.entity, "sub": self.entity, "iat": now, "jti": self.ids.fresh()}
        if lifetime is not None:
            claims["exp"] = now + lifetime
        return claims


@dataclass(frozen=True, slots=True)
class Desk:
    """Port `Documents`: reads everybody's documents and signs contracts in the gateway's name."""

    reader: Reader
    writer: Writer

    def sign(self, contract: Contract) -> str:
        return self.writer.contract(contract)

    async def contract(self, token: str) -> SignedContract:
        return await self.reader.contract(token)

    async def approval(self, token: str, contract: SignedContract) -> SignedApproval:
        return await self.reader.approval(token, contract)

    async def receipt(self, token: str, contract: SignedContract, entity: str) -> Receipt:
        return await self.reader.receipt(token, contract, entity)

    def recall(self, computation: Computation) -> tuple[SignedContract, Sequence[SignedApproval]]:
        return self.reader.recall(computation)


@dataclass(frozen=True, slots=True)
class PlanDesk:
    """Port `Plans`: signs plans in the gateway's name, reads everybody's."""

    reader: Reader
    writer: Writer

    def sign(self, draft: Contract, expires: int) -> SignedPlan:
        return SignedPlan(draft, plan_digest(draft), self.writer.plan(draft, expires), expires)

    async def read(self, token: str) -> SignedPlan:
        return await self.reader.plan(token)

    def recall(self, computation: Computation) -> SignedPlan:
        return recall_plan(computation.plan, computation.plan_digest)

    def renew(self, plan: SignedPlan) -> SignedPlan:
        if parse_compact(plan.token, MAX_STORED).kid == self.writer.signer().kid:
            return plan
        return self.sign(plan.body, plan.expires)


@dataclass(frozen=True, slots=True)
class ReplayStore:
    """What the verifier asks of a store, over port `Once`."""

    once: Once

    async def consume(self, issuer: str, typ: str, jti: str, expires_at: int) -> bool:
        return await self.once.consume(typ, issuer, jti, expires_at)


def approvals_invalid(public: str, space: str = "") -> IsthmusError:
    return IsthmusError(
        Reason.APPROVALS_INVALID, public, space=space, advice="Have the contract approved again by every space"
    )


def _approval_body(claims: Mapping[str, Any]) -> ApprovalBody:
    body = {name: value for name, value in claims.items() if name in ApprovalBody.__dataclass_fields__}
    return from_bytes(ApprovalBody, json.dumps(body), what="approval", reason=Reason.APPROVALS_INVALID)


def _recalled(approval: str) -> SignedApproval:
    token = parse_compact(approval, MAX_STORED)
    return SignedApproval(
        str(token.claims["iss"]), _approval_body(token.claims), payload_digest(token.payload), approval
    )


def _unverified(token: str, claim: str) -> str | None:
    """A claim read before the signature is checked, only to say what the verifier must then find."""
    value = parse_compact(token, MAX_STORED).claims.get(claim)
    return value if isinstance(value, str) else None
