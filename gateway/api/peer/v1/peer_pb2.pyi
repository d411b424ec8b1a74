# Generated from proto/ by `make proto`; a test compares.
from gateway.api.buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DescribeRequest(_message.Message):
    __slots__ = ("chain", "revocations", "offer")
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    REVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    chain: _containers.RepeatedScalarFieldContainer[str]
    revocations: _containers.RepeatedScalarFieldContainer[str]
    offer: str
    def __init__(self, chain: _Optional[_Iterable[str]] = ..., revocations: _Optional[_Iterable[str]] = ..., offer: _Optional[str] = ...) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("chain", "offer", "revocations")
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    REVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    chain: _containers.RepeatedScalarFieldContainer[str]
    offer: str
    revocations: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, chain: _Optional[_Iterable[str]] = ..., offer: _Optional[str] = ..., revocations: _Optional[_Iterable[str]] = ...) -> None: ...

class CheckDraftRequest(_message.Message):
    __slots__ = ("draft",)
    DRAFT_FIELD_NUMBER: _ClassVar[int]
    draft: bytes
    def __init__(self, draft: _Optional[bytes] = ...) -> None: ...

class CheckDraftResponse(_message.Message):
    __slots__ = ("allowed", "refusal", "rounds", "bytes_per_party", "kept_seats")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_PARTY_FIELD_NUMBER: _ClassVar[int]
    KEPT_SEATS_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    refusal: Refusal
    rounds: int
    bytes_per_party: int
    kept_seats: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, allowed: _Optional[bool] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ..., rounds: _Optional[int] = ..., bytes_per_party: _Optional[int] = ..., kept_seats: _Optional[_Iterable[str]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("reason", "text", "field", "advice", "space")
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    text: str
    field: str
    advice: str
    space: str
    def __init__(self, reason: _Optional[str] = ..., text: _Optional[str] = ..., field: _Optional[str] = ..., advice: _Optional[str] = ..., space: _Optional[str] = ...) -> None: ...

class Chain(_message.Message):
    __slots__ = ("statements",)
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    statements: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, statements: _Optional[_Iterable[str]] = ...) -> None: ...

class ConsultRequest(_message.Message):
    __slots__ = ("plan", "chains", "withdrawn")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    CHAINS_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    plan: str
    chains: _containers.RepeatedCompositeFieldContainer[Chain]
    withdrawn: bool
    def __init__(self, plan: _Optional[str] = ..., chains: _Optional[_Iterable[_Union[Chain, _Mapping]]] = ..., withdrawn: _Optional[bool] = ...) -> None: ...

class ConsultResponse(_message.Message):
    __slots__ = ("consulted", "refusal")
    CONSULTED_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    consulted: Consulted
    refusal: Refusal
    def __init__(self, consulted: _Optional[_Union[Consulted, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class Consulted(_message.Message):
    __slots__ = ("stage", "have", "need", "deliver_time", "see_time", "deadline", "text")
    class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STAGE_UNSPECIFIED: _ClassVar[Consulted.Stage]
        STAGE_NOT_NEEDED: _ClassVar[Consulted.Stage]
        STAGE_DELIVERED: _ClassVar[Consulted.Stage]
        STAGE_SEEN: _ClassVar[Consulted.Stage]
        STAGE_APPROVED: _ClassVar[Consulted.Stage]
        STAGE_REJECTED: _ClassVar[Consulted.Stage]
    STAGE_UNSPECIFIED: Consulted.Stage
    STAGE_NOT_NEEDED: Consulted.Stage
    STAGE_DELIVERED: Consulted.Stage
    STAGE_SEEN: Consulted.Stage
    STAGE_APPROVED: Consulted.Stage
    STAGE_REJECTED: Consulted.Stage
    STAGE_FIELD_NUMBER: _ClassVar[int]
    HAVE_FIELD_NUMBER: _ClassVar[int]
    NEED_FIELD_NUMBER: _ClassVar[int]
    DELIVER_TIME_FIELD_NUMBER: _ClassVar[int]
    SEE_TIME_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    stage: Consulted.Stage
    have: int
    need: int
    deliver_time: int
    see_time: int
    deadline: int
    text: str
    def __init__(self, stage: _Optional[_Union[Consulted.Stage, str]] = ..., have: _Optional[int] = ..., need: _Optional[int] = ..., deliver_time: _Optional[int] = ..., see_time: _Optional[int] = ..., deadline: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class ProposeRequest(_message.Message):
    __slots__ = ("contract", "chains")
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    CHAINS_FIELD_NUMBER: _ClassVar[int]
    contract: str
    chains: _containers.RepeatedCompositeFieldContainer[Chain]
    def __init__(self, contract: _Optional[str] = ..., chains: _Optional[_Iterable[_Union[Chain, _Mapping]]] = ...) -> None: ...

class ProposeResponse(_message.Message):
    __slots__ = ("approval", "veto")
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    VETO_FIELD_NUMBER: _ClassVar[int]
    approval: str
    veto: Refusal
    def __init__(self, approval: _Optional[str] = ..., veto: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class RunRequest(_message.Message):
    __slots__ = ("contract", "approvals", "chains")
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    CHAINS_FIELD_NUMBER: _ClassVar[int]
    contract: str
    approvals: _containers.RepeatedScalarFieldContainer[str]
    chains: _containers.RepeatedCompositeFieldContainer[Chain]
    def __init__(self, contract: _Optional[str] = ..., approvals: _Optional[_Iterable[str]] = ..., chains: _Optional[_Iterable[_Union[Chain, _Mapping]]] = ...) -> None: ...

class RunResponse(_message.Message):
    __slots__ = ("heartbeat", "progress", "output", "completed", "failure")
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    heartbeat: Heartbeat
    progress: Progress
    output: Output
    completed: Completed
    failure: Failure
    def __init__(self, heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., output: _Optional[_Union[Output, _Mapping]] = ..., completed: _Optional[_Union[Completed, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Progress(_message.Message):
    __slots__ = ("phase", "fraction")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    phase: str
    fraction: float
    def __init__(self, phase: _Optional[str] = ..., fraction: _Optional[float] = ...) -> None: ...

class Output(_message.Message):
    __slots__ = ("pid", "recipient", "sealed")
    PID_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    pid: int
    recipient: str
    sealed: bytes
    def __init__(self, pid: _Optional[int] = ..., recipient: _Optional[str] = ..., sealed: _Optional[bytes] = ...) -> None: ...

class Completed(_message.Message):
    __slots__ = ("receipt", "views")
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    receipt: str
    views: _containers.RepeatedCompositeFieldContainer[View]
    def __init__(self, receipt: _Optional[str] = ..., views: _Optional[_Iterable[_Union[View, _Mapping]]] = ...) -> None: ...

class View(_message.Message):
    __slots__ = ("pid", "step", "sender", "values")
    PID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    pid: int
    step: str
    sender: int
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, pid: _Optional[int] = ..., step: _Optional[str] = ..., sender: _Optional[int] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("reason", "culprit", "phase", "text", "action")
    REASON_FIELD_NUMBER: _ClassVar[int]
    CULPRIT_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    reason: str
    culprit: str
    phase: str
    text: str
    action: str
    def __init__(self, reason: _Optional[str] = ..., culprit: _Optional[str] = ..., phase: _Optional[str] = ..., text: _Optional[str] = ..., action: _Optional[str] = ...) -> None: ...

class ConcludeRequest(_message.Message):
    __slots__ = ("session", "contract_digest", "state", "failure", "receipts")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    session: str
    contract_digest: str
    state: str
    failure: Failure
    receipts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, session: _Optional[str] = ..., contract_digest: _Optional[str] = ..., state: _Optional[str] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., receipts: _Optional[_Iterable[str]] = ...) -> None: ...

class ConcludeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TunnelRequest(_message.Message):
    __slots__ = ("open", "frames")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    open: TunnelOpen
    frames: _containers.RepeatedCompositeFieldContainer[Frame]
    def __init__(self, open: _Optional[_Union[TunnelOpen, _Mapping]] = ..., frames: _Optional[_Iterable[_Union[Frame, _Mapping]]] = ...) -> None: ...

class TunnelResponse(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[Frame]
    def __init__(self, frames: _Optional[_Iterable[_Union[Frame, _Mapping]]] = ...) -> None: ...

class TunnelOpen(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: str
    def __init__(self, session: _Optional[str] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("source", "destination", "sealed", "more")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    source: int
    destination: int
    sealed: bytes
    more: bool
    def __init__(self, source: _Optional[int] = ..., destination: _Optional[int] = ..., sealed: _Optional[bytes] = ..., more: _Optional[bool] = ...) -> None: ...
