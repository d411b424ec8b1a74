"""What a requester checks for itself before it believes a result.

Invariants: contract and approvals are read from the bytes that were signed, their digests are made here and
never taken over; a table is opened only under a contract that asks what was asked and whose one recipient
is the requester's own key.

Whose signature stands under a contract or an approval is NOT checked here: a requester holds no anchors, so
it trusts its home gateway for that. What a lying home gateway cannot do is read the shares: they are sealed
to the requester's key by session keys that the approvals carry.
"""

from __future__ import annotations

import base64
import hashlib
import json

from gateway.domain.approval import ApprovalBody, SignedApproval, SignedContract
from gateway.domain.computation import Computation
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Query
from gateway.domain.result import Table
from gateway.rules import packages, redelivery, sealing
from gateway.rules.contract import ENVELOPE, audience, check_parameters, check_whole, read_contract
from gateway.rules.jose import CompactJws, TokenProblem, parse_compact
from gateway.rules.records import from_bytes
from gateway.rules.roster import open_result
from gateway.rules.tokens import payload_digest

CONTRACT, APPROVAL = "isthmus-contract+jwt", "isthmus-approval+jwt"
MAX_TOKEN = 512 * 1024


def contract_of(computation: Computation) -> SignedContract:
    """Raises IsthmusError(CONTRACT_INVALID) unless token and digest fit together."""
    parsed = _parsed(computation.contract, CONTRACT, Reason.CONTRACT_INVALID)
    if payload_digest(parsed.payload) != computation.contract_digest:
        raise _untrue(Reason.CONTRACT_INVALID, "the contract has another digest than the gateway says")
    return SignedContract(read_contract(parsed.claims), payload_digest(parsed.payload), computation.contract)


def approvals_of(computation: Computation, contract: SignedContract) -> tuple[SignedApproval, ...]:
    """Raises IsthmusError(APPROVALS_INVALID) unless each approves exactly these bytes for this session."""
    approvals = []
    for token in computation.approvals:
        parsed = _parsed(token, APPROVAL, Reason.APPROVALS_INVALID)
        issuer = parsed.claims.get("iss")
        if not isinstance(issuer, str) or parsed.claims.get("aud") != audience(contract.body.session):
            raise _untrue(Reason.APPROVALS_INVALID, "an approval is for another session")
        said = {name: value for name, value in parsed.claims.items() if name not in ENVELOPE}
        body = from_bytes(ApprovalBody, json.dumps(said), what="approval", reason=Reason.APPROVALS_INVALID)
        if body.contract_digest != contract.digest:
            raise _untrue(Reason.APPROVALS_INVALID, "an approval is for other bytes than this contract", issuer)
        approvals.append(SignedApproval(issuer, body, payload_digest(parsed.payload), token))
    return tuple(approvals)


def open_own(computation: Computation, asked: Query, private: bytes) -> Table:
    """The table behind a released computation's shares, which are sealed to the public half of `private`.

    Raises IsthmusError: CONTRACT_INVALID or APPROVALS_INVALID when the documents are not of what was asked,
    INCONSISTENT_SHARES when the shares do not open or do not fit together.
    """
    contract = contract_of(computation)
    own = base64.b64encode(sealing.public_of(private)).decode()
    recipients = contract.body.recipients
    if not packages.answers(contract.body.query, asked):
        raise _untrue(Reason.CONTRACT_INVALID, "the contract asks something else than you did", field="query")
    if [(recipient.kind, recipient.key) for recipient in recipients] != [("client", own)]:
        raise _untrue(Reason.CONTRACT_INVALID, "the contract has another recipient than you", field="recipients")
    check_whole(contract.body)
    check_parameters(contract.body, {})
    approvals = approvals_of(computation, contract)
    _check_receipts(computation, contract, redelivery.origin(contract, approvals))
    return open_result(contract, approvals, computation.shares, recipients[0].name, private)


def _check_receipts(computation: Computation, contract: SignedContract, origin: str) -> None:
    """Every space's receipt is of this contract, the shares are those that the receipts name, and they come from where
    the approvals say: this session, or the shares kept of the contract `origin`."""
    if sorted(receipt.space for receipt in computation.receipts) != sorted(contract.body.entities()):
        raise _untrue(Reason.CONTRACT_INVALID, "the receipts are not one of each space", field="receipts")
    if any(receipt.contract != contract.digest for receipt in computation.receipts):
        raise _untrue(Reason.CONTRACT_INVALID, "a receipt is of another contract", field="receipts")
    if any(receipt.redelivered != origin for receipt in computation.receipts):
        raise _untrue(Reason.CONTRACT_INVALID, "a receipt says otherwise where its shares come from", field="receipts")
    named = sorted(output for receipt in computation.receipts for output in receipt.outputs)
    came = sorted(hashlib.sha256(base64.b64decode(share.sealed)).hexdigest() for share in computation.shares)
    if named != came:
        raise _untrue(Reason.INCONSISTENT_SHARES, "the shares are not those that the receipts name", field="shares")


def _parsed(token: str, typ: str, reason: Reason) -> CompactJws:
    try:
        parsed = parse_compact(token, MAX_TOKEN)
    except TokenProblem as problem:
        raise _untrue(reason, "a signed document is not readable", private=problem.private) from None
    if parsed.typ != typ:
        raise _untrue(reason, "a signed document is of another kind")
    return parsed


def _untrue(
    reason: Reason, public: str, space: str = "", *, field: str = "", private: str = ""
) -> IsthmusError:  # fmt: skip
    return IsthmusError(
        reason,
        public,
        field=field,
        space=space,
        private=private,
        advice="Do not use this result; show it to the operator of your space",
    )
