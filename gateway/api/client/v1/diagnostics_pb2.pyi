# Generated from proto/ by `make proto`; a test compares.
from gateway.api.buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DiagnosePeerRequest(_message.Message):
    __slots__ = ("peer",)
    PEER_FIELD_NUMBER: _ClassVar[int]
    peer: str
    def __init__(self, peer: _Optional[str] = ...) -> None: ...

class DiagnosePeerResponse(_message.Message):
    __slots__ = ("peer", "finding")
    PEER_FIELD_NUMBER: _ClassVar[int]
    FINDING_FIELD_NUMBER: _ClassVar[int]
    peer: str
    finding: Finding
    def __init__(self, peer: _Optional[str] = ..., finding: _Optional[_Union[Finding, _Mapping]] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("way", "step", "outcome", "cause", "measured", "text", "actor", "advice")
    class Way(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        WAY_UNSPECIFIED: _ClassVar[Finding.Way]
        WAY_THERE: _ClassVar[Finding.Way]
        WAY_BACK: _ClassVar[Finding.Way]
    WAY_UNSPECIFIED: Finding.Way
    WAY_THERE: Finding.Way
    WAY_BACK: Finding.Way
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[Finding.Outcome]
        OUTCOME_OK: _ClassVar[Finding.Outcome]
        OUTCOME_WARNING: _ClassVar[Finding.Outcome]
        OUTCOME_FAILED: _ClassVar[Finding.Outcome]
        OUTCOME_NOT_TRIED: _ClassVar[Finding.Outcome]
    OUTCOME_UNSPECIFIED: Finding.Outcome
    OUTCOME_OK: Finding.Outcome
    OUTCOME_WARNING: Finding.Outcome
    OUTCOME_FAILED: Finding.Outcome
    OUTCOME_NOT_TRIED: Finding.Outcome
    class Actor(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTOR_UNSPECIFIED: _ClassVar[Finding.Actor]
        ACTOR_OWN_OPERATOR: _ClassVar[Finding.Actor]
        ACTOR_PEER_OPERATOR: _ClassVar[Finding.Actor]
        ACTOR_BOTH_OPERATORS: _ClassVar[Finding.Actor]
        ACTOR_NETWORK: _ClassVar[Finding.Actor]
    ACTOR_UNSPECIFIED: Finding.Actor
    ACTOR_OWN_OPERATOR: Finding.Actor
    ACTOR_PEER_OPERATOR: Finding.Actor
    ACTOR_BOTH_OPERATORS: Finding.Actor
    ACTOR_NETWORK: Finding.Actor
    WAY_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    way: Finding.Way
    step: str
    outcome: Finding.Outcome
    cause: str
    measured: str
    text: str
    actor: Finding.Actor
    advice: str
    def __init__(self, way: _Optional[_Union[Finding.Way, str]] = ..., step: _Optional[str] = ..., outcome: _Optional[_Union[Finding.Outcome, str]] = ..., cause: _Optional[str] = ..., measured: _Optional[str] = ..., text: _Optional[str] = ..., actor: _Optional[_Union[Finding.Actor, str]] = ..., advice: _Optional[str] = ...) -> None: ...
