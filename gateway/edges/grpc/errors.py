"""One total map from `Reason` to gRPC status, and errors as google.rpc.Status both ways.

Invariant: only public texts leave; whatever is no IsthmusError becomes INTERNAL with a generic text.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from gateway.domain.errors import IsthmusError, Reason

DOMAIN = "isthmus"
_CODES = grpc.StatusCode

STATUS: dict[Reason, grpc.StatusCode] = {
    Reason.UNAUTHENTICATED: _CODES.UNAUTHENTICATED,
    Reason.PERMISSION_DENIED: _CODES.PERMISSION_DENIED,
    Reason.REVOKED: _CODES.UNAUTHENTICATED,
    Reason.INVALID_ARGUMENT: _CODES.INVALID_ARGUMENT,
    Reason.MALFORMED_QUERY: _CODES.INVALID_ARGUMENT,
    Reason.NO_DEADLINE: _CODES.INVALID_ARGUMENT,
    Reason.UNKNOWN_DATASET: _CODES.NOT_FOUND,
    Reason.UNKNOWN_COLUMN: _CODES.INVALID_ARGUMENT,
    Reason.UNKNOWN_CODE: _CODES.INVALID_ARGUMENT,
    Reason.WRONG_FILTER_TYPE: _CODES.INVALID_ARGUMENT,
    Reason.NOT_FOUND: _CODES.NOT_FOUND,
    Reason.ALREADY_EXISTS: _CODES.ALREADY_EXISTS,
    Reason.RESULT_DELETED: _CODES.NOT_FOUND,
    Reason.SEATS_REFUSED: _CODES.FAILED_PRECONDITION,
    Reason.POLICY_REFUSED: _CODES.FAILED_PRECONDITION,
    Reason.NOT_APPROVED: _CODES.FAILED_PRECONDITION,
    Reason.NOT_RELEASABLE: _CODES.FAILED_PRECONDITION,
    Reason.PROGRAM_UNKNOWN: _CODES.FAILED_PRECONDITION,
    Reason.PROGRAM_MISMATCH: _CODES.FAILED_PRECONDITION,
    Reason.CONTRACT_INVALID: _CODES.FAILED_PRECONDITION,
    Reason.CONTRACT_EXPIRED: _CODES.FAILED_PRECONDITION,
    Reason.CONTRACT_CONSUMED: _CODES.FAILED_PRECONDITION,
    Reason.APPROVALS_INVALID: _CODES.FAILED_PRECONDITION,
    Reason.EDITION_CHANGED: _CODES.FAILED_PRECONDITION,
    Reason.REVOCATION_STALE: _CODES.FAILED_PRECONDITION,
    Reason.RULEBOOK_NOT_ACCEPTED: _CODES.FAILED_PRECONDITION,
    Reason.SPACE_PAUSED: _CODES.FAILED_PRECONDITION,
    Reason.SOURCE_UNREADABLE: _CODES.FAILED_PRECONDITION,
    Reason.ROWS_EXCEED_BOUND: _CODES.FAILED_PRECONDITION,
    Reason.INPUT_OUT_OF_RANGE: _CODES.FAILED_PRECONDITION,
    Reason.PEER_UNREACHABLE: _CODES.UNAVAILABLE,
    Reason.AGENT_UNREACHABLE: _CODES.UNAVAILABLE,
    Reason.NO_FREE_SEAT: _CODES.UNAVAILABLE,
    Reason.PARTY_DIED: _CODES.ABORTED,
    Reason.PARTY_STALLED: _CODES.ABORTED,
    Reason.PROTOCOL_VIOLATION: _CODES.ABORTED,
    Reason.FRAME_UNREADABLE: _CODES.ABORTED,
    Reason.DEADLINE_EXCEEDED: _CODES.DEADLINE_EXCEEDED,
    Reason.CANCELLED: _CODES.CANCELLED,
    Reason.INCONSISTENT_SHARES: _CODES.DATA_LOSS,
    Reason.KEPT_SHARE_UNREADABLE: _CODES.ABORTED,
    Reason.ILLEGAL_TRANSITION: _CODES.FAILED_PRECONDITION,
    Reason.RESOURCE_EXHAUSTED: _CODES.RESOURCE_EXHAUSTED,
    Reason.AUDIT_BROKEN: _CODES.FAILED_PRECONDITION,
    Reason.CONFIGURATION: _CODES.FAILED_PRECONDITION,
    Reason.INTERNAL: _CODES.INTERNAL,
}


def to_status(problem: IsthmusError) -> grpc.Status:
    """The rich status of a refusal: ErrorInfo always, BadRequest or PreconditionFailure where they fit."""
    code = STATUS[problem.reason]
    info = error_details_pb2.ErrorInfo(reason=problem.reason.value, domain=DOMAIN)
    for key in ("field", "space", "advice"):
        if value := getattr(problem, key):
            info.metadata[key] = value
    details = [_packed(info)]
    if code is _CODES.INVALID_ARGUMENT and problem.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=problem.field, description=problem.public)
        details.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    if code is _CODES.FAILED_PRECONDITION:
        broken = error_details_pb2.PreconditionFailure.Violation(
            type=problem.reason.value, subject=problem.space or problem.field, description=problem.public
        )
        details.append(_packed(error_details_pb2.PreconditionFailure(violations=[broken])))
    return rpc_status.to_status(status_pb2.Status(code=code.value[0], message=problem.public, details=details))


def from_rpc_error(error: grpc.RpcError, *, space: str = "", whom: str = "the gateway") -> IsthmusError:
    """The refusal that a peer or gateway sent, or PEER_UNREACHABLE when it did not come from one."""
    code, message = error.code(), error.details() or ""
    trailing: Any = error.trailing_metadata() or ()
    for key, value in trailing:
        if key == "grpc-status-details-bin":
            problem = _from_details(value, space)
            if problem is not None:
                return problem
    if code is _CODES.DEADLINE_EXCEEDED:
        return IsthmusError(
            Reason.DEADLINE_EXCEEDED, f"{whom} did not answer in time", space=space, advice="Try again later"
        )
    if code is _CODES.CANCELLED:
        return IsthmusError(Reason.CANCELLED, "the call was cancelled", space=space)
    if code is _CODES.UNIMPLEMENTED:
        return IsthmusError(Reason.PROGRAM_UNKNOWN, f"{whom} does not know this call", space=space, advice="Upgrade it")
    if code is _CODES.RESOURCE_EXHAUSTED:
        return IsthmusError(Reason.RESOURCE_EXHAUSTED, f"{whom} refused the size of a message", space=space)
    return IsthmusError(
        Reason.PEER_UNREACHABLE,
        f"{whom} cannot be reached",
        private=f"{code}: {message}",
        space=space,
        advice="Check that it runs and that the address and certificates fit",
    )


def _from_details(value: bytes, space: str) -> IsthmusError | None:
    try:
        status = status_pb2.Status.FromString(value)
    except DecodeError:
        return None
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN and info.reason in Reason.__members__:
            meta = dict(info.metadata)
            return IsthmusError(
                Reason(info.reason),
                status.message,
                field=meta.get("field", ""),
                space=meta.get("space", space),
                advice=meta.get("advice", ""),
            )
    return None


def _packed(message: error_details_pb2.ErrorInfo) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
