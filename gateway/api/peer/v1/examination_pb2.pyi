# Generated from proto/ by `make proto`; a test compares.
from gateway.api.buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProbeRequest(_message.Message):
    __slots__ = ("padding", "answer_bytes")
    PADDING_FIELD_NUMBER: _ClassVar[int]
    ANSWER_BYTES_FIELD_NUMBER: _ClassVar[int]
    padding: bytes
    answer_bytes: int
    def __init__(self, padding: _Optional[bytes] = ..., answer_bytes: _Optional[int] = ...) -> None: ...

class ProbeResponse(_message.Message):
    __slots__ = ("clock_ms", "release", "protocols", "engine", "codec", "agent_connected", "padding")
    CLOCK_MS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    AGENT_CONNECTED_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    clock_ms: int
    release: str
    protocols: _containers.RepeatedScalarFieldContainer[int]
    engine: str
    codec: int
    agent_connected: bool
    padding: bytes
    def __init__(self, clock_ms: _Optional[int] = ..., release: _Optional[str] = ..., protocols: _Optional[_Iterable[int]] = ..., engine: _Optional[str] = ..., codec: _Optional[int] = ..., agent_connected: _Optional[bool] = ..., padding: _Optional[bytes] = ...) -> None: ...

class ListOpenDatasetsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListOpenDatasetsResponse(_message.Message):
    __slots__ = ("datasets",)
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    datasets: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, datasets: _Optional[_Iterable[str]] = ...) -> None: ...

class ExamineRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ExamineResponse(_message.Message):
    __slots__ = ("finding",)
    FINDING_FIELD_NUMBER: _ClassVar[int]
    finding: Finding
    def __init__(self, finding: _Optional[_Union[Finding, _Mapping]] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("step", "outcome", "cause", "measured", "text", "actor", "advice")
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
    STEP_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    step: str
    outcome: Finding.Outcome
    cause: str
    measured: str
    text: str
    actor: Finding.Actor
    advice: str
    def __init__(self, step: _Optional[str] = ..., outcome: _Optional[_Union[Finding.Outcome, str]] = ..., cause: _Optional[str] = ..., measured: _Optional[str] = ..., text: _Optional[str] = ..., actor: _Optional[_Union[Finding.Actor, str]] = ..., advice: _Optional[str] = ...) -> None: ...
