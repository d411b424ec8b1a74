# Generated from proto/ by `make proto`; a test compares.
from gateway.api.buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubjectTokenType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUBJECT_TOKEN_TYPE_UNSPECIFIED: _ClassVar[SubjectTokenType]
    SUBJECT_TOKEN_TYPE_ID_TOKEN: _ClassVar[SubjectTokenType]
    SUBJECT_TOKEN_TYPE_ACCESS_TOKEN: _ClassVar[SubjectTokenType]
SUBJECT_TOKEN_TYPE_UNSPECIFIED: SubjectTokenType
SUBJECT_TOKEN_TYPE_ID_TOKEN: SubjectTokenType
SUBJECT_TOKEN_TYPE_ACCESS_TOKEN: SubjectTokenType

class IssueTokenRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class IssueTokenResponse(_message.Message):
    __slots__ = ("access_token", "expire_time")
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    access_token: str
    expire_time: int
    def __init__(self, access_token: _Optional[str] = ..., expire_time: _Optional[int] = ...) -> None: ...

class ExchangeTokenRequest(_message.Message):
    __slots__ = ("subject_token", "authorization_code")
    SUBJECT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_CODE_FIELD_NUMBER: _ClassVar[int]
    subject_token: SubjectToken
    authorization_code: AuthorizationCode
    def __init__(self, subject_token: _Optional[_Union[SubjectToken, _Mapping]] = ..., authorization_code: _Optional[_Union[AuthorizationCode, _Mapping]] = ...) -> None: ...

class SubjectToken(_message.Message):
    __slots__ = ("token", "token_type")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_TYPE_FIELD_NUMBER: _ClassVar[int]
    token: str
    token_type: SubjectTokenType
    def __init__(self, token: _Optional[str] = ..., token_type: _Optional[_Union[SubjectTokenType, str]] = ...) -> None: ...

class AuthorizationCode(_message.Message):
    __slots__ = ("code", "code_verifier")
    CODE_FIELD_NUMBER: _ClassVar[int]
    CODE_VERIFIER_FIELD_NUMBER: _ClassVar[int]
    code: str
    code_verifier: str
    def __init__(self, code: _Optional[str] = ..., code_verifier: _Optional[str] = ...) -> None: ...

class ExchangeTokenResponse(_message.Message):
    __slots__ = ("access_token", "expire_time", "subject", "scopes", "sign_in_expire_time")
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    SIGN_IN_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    access_token: str
    expire_time: int
    subject: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    sign_in_expire_time: int
    def __init__(self, access_token: _Optional[str] = ..., expire_time: _Optional[int] = ..., subject: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., sign_in_expire_time: _Optional[int] = ...) -> None: ...
