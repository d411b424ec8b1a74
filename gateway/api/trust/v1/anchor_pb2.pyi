# Generated from proto/ by `make proto`; a test compares.
from gateway.api.buf.validate import validate_pb2 as _validate_pb2
from gateway.api.peer.v1 import peer_pb2 as _peer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JoinRequest(_message.Message):
    __slots__ = ("invitation", "proof", "configuration")
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    invitation: str
    proof: bytes
    configuration: str
    def __init__(self, invitation: _Optional[str] = ..., proof: _Optional[bytes] = ..., configuration: _Optional[str] = ...) -> None: ...

class JoinResponse(_message.Message):
    __slots__ = ("statements",)
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    statements: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, statements: _Optional[_Iterable[str]] = ...) -> None: ...

class FetchRequest(_message.Message):
    __slots__ = ("configuration", "rotations", "version", "rulebook")
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    ROTATIONS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RULEBOOK_FIELD_NUMBER: _ClassVar[int]
    configuration: str
    rotations: _containers.RepeatedScalarFieldContainer[str]
    version: int
    rulebook: int
    def __init__(self, configuration: _Optional[str] = ..., rotations: _Optional[_Iterable[str]] = ..., version: _Optional[int] = ..., rulebook: _Optional[int] = ...) -> None: ...

class FetchResponse(_message.Message):
    __slots__ = ("statements", "members", "suspended", "version", "more", "revocations", "rulebook_text")
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    REVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    RULEBOOK_TEXT_FIELD_NUMBER: _ClassVar[int]
    statements: _containers.RepeatedScalarFieldContainer[str]
    members: _containers.RepeatedCompositeFieldContainer[_peer_pb2.Chain]
    suspended: _containers.RepeatedScalarFieldContainer[str]
    version: int
    more: bool
    revocations: str
    rulebook_text: str
    def __init__(self, statements: _Optional[_Iterable[str]] = ..., members: _Optional[_Iterable[_Union[_peer_pb2.Chain, _Mapping]]] = ..., suspended: _Optional[_Iterable[str]] = ..., version: _Optional[int] = ..., more: _Optional[bool] = ..., revocations: _Optional[str] = ..., rulebook_text: _Optional[str] = ...) -> None: ...
