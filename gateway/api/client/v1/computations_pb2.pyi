# Generated from proto/ by `make proto`; a test compares.
from gateway.api.buf.validate import validate_pb2 as _validate_pb2
from gateway.api.client.v1 import query_pb2 as _query_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ValidateComputationRequest(_message.Message):
    __slots__ = ("query", "recipient_key")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_KEY_FIELD_NUMBER: _ClassVar[int]
    query: _query_pb2.JointQuery
    recipient_key: bytes
    def __init__(self, query: _Optional[_Union[_query_pb2.JointQuery, _Mapping]] = ..., recipient_key: _Optional[bytes] = ...) -> None: ...

class ValidateComputationResponse(_message.Message):
    __slots__ = ("plan",)
    PLAN_FIELD_NUMBER: _ClassVar[int]
    plan: Plan
    def __init__(self, plan: _Optional[_Union[Plan, _Mapping]] = ...) -> None: ...

class CreateComputationRequest(_message.Message):
    __slots__ = ("request_id", "query", "recipient_key")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_KEY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    query: _query_pb2.JointQuery
    recipient_key: bytes
    def __init__(self, request_id: _Optional[str] = ..., query: _Optional[_Union[_query_pb2.JointQuery, _Mapping]] = ..., recipient_key: _Optional[bytes] = ...) -> None: ...

class CreateComputationResponse(_message.Message):
    __slots__ = ("computation",)
    COMPUTATION_FIELD_NUMBER: _ClassVar[int]
    computation: Computation
    def __init__(self, computation: _Optional[_Union[Computation, _Mapping]] = ...) -> None: ...

class GetComputationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetComputationResponse(_message.Message):
    __slots__ = ("computation",)
    COMPUTATION_FIELD_NUMBER: _ClassVar[int]
    computation: Computation
    def __init__(self, computation: _Optional[_Union[Computation, _Mapping]] = ...) -> None: ...

class ListComputationsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListComputationsResponse(_message.Message):
    __slots__ = ("computations", "next_page_token")
    COMPUTATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    computations: _containers.RepeatedCompositeFieldContainer[Computation]
    next_page_token: str
    def __init__(self, computations: _Optional[_Iterable[_Union[Computation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchComputationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WatchComputationResponse(_message.Message):
    __slots__ = ("computation",)
    COMPUTATION_FIELD_NUMBER: _ClassVar[int]
    computation: Computation
    def __init__(self, computation: _Optional[_Union[Computation, _Mapping]] = ...) -> None: ...

class CancelComputationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class CancelComputationResponse(_message.Message):
    __slots__ = ("computation",)
    COMPUTATION_FIELD_NUMBER: _ClassVar[int]
    computation: Computation
    def __init__(self, computation: _Optional[_Union[Computation, _Mapping]] = ...) -> None: ...

class AcknowledgeResultRequest(_message.Message):
    __slots__ = ("name", "consistent")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONSISTENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    consistent: bool
    def __init__(self, name: _Optional[str] = ..., consistent: _Optional[bool] = ...) -> None: ...

class AcknowledgeResultResponse(_message.Message):
    __slots__ = ("computation",)
    COMPUTATION_FIELD_NUMBER: _ClassVar[int]
    computation: Computation
    def __init__(self, computation: _Optional[_Union[Computation, _Mapping]] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("draft", "seats", "threshold", "editions", "smallest_group", "learners", "forecast", "verdicts", "minimum_cell", "persons")
    DRAFT_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    EDITIONS_FIELD_NUMBER: _ClassVar[int]
    SMALLEST_GROUP_FIELD_NUMBER: _ClassVar[int]
    LEARNERS_FIELD_NUMBER: _ClassVar[int]
    FORECAST_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_CELL_FIELD_NUMBER: _ClassVar[int]
    PERSONS_FIELD_NUMBER: _ClassVar[int]
    draft: str
    seats: _containers.RepeatedCompositeFieldContainer[PlannedSeat]
    threshold: int
    editions: _containers.RepeatedCompositeFieldContainer[PlannedEdition]
    smallest_group: _containers.RepeatedScalarFieldContainer[str]
    learners: _containers.RepeatedCompositeFieldContainer[Learner]
    forecast: Forecast
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    minimum_cell: int
    persons: _containers.RepeatedCompositeFieldContainer[Persons]
    def __init__(self, draft: _Optional[str] = ..., seats: _Optional[_Iterable[_Union[PlannedSeat, _Mapping]]] = ..., threshold: _Optional[int] = ..., editions: _Optional[_Iterable[_Union[PlannedEdition, _Mapping]]] = ..., smallest_group: _Optional[_Iterable[str]] = ..., learners: _Optional[_Iterable[_Union[Learner, _Mapping]]] = ..., forecast: _Optional[_Union[Forecast, _Mapping]] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ..., minimum_cell: _Optional[int] = ..., persons: _Optional[_Iterable[_Union[Persons, _Mapping]]] = ...) -> None: ...

class Persons(_message.Message):
    __slots__ = ("space", "persons", "hours")
    SPACE_FIELD_NUMBER: _ClassVar[int]
    PERSONS_FIELD_NUMBER: _ClassVar[int]
    HOURS_FIELD_NUMBER: _ClassVar[int]
    space: str
    persons: int
    hours: int
    def __init__(self, space: _Optional[str] = ..., persons: _Optional[int] = ..., hours: _Optional[int] = ...) -> None: ...

class PlannedSeat(_message.Message):
    __slots__ = ("pid", "entity", "operator")
    PID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    pid: int
    entity: str
    operator: str
    def __init__(self, pid: _Optional[int] = ..., entity: _Optional[str] = ..., operator: _Optional[str] = ...) -> None: ...

class PlannedEdition(_message.Message):
    __slots__ = ("dataset", "edition", "row_bound")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    ROW_BOUND_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    edition: str
    row_bound: int
    def __init__(self, dataset: _Optional[str] = ..., edition: _Optional[str] = ..., row_bound: _Optional[int] = ...) -> None: ...

class Learner(_message.Message):
    __slots__ = ("who", "what")
    WHO_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    who: str
    what: str
    def __init__(self, who: _Optional[str] = ..., what: _Optional[str] = ...) -> None: ...

class Forecast(_message.Message):
    __slots__ = ("seconds", "bytes_per_party", "rounds")
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_PARTY_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    seconds: float
    bytes_per_party: int
    rounds: int
    def __init__(self, seconds: _Optional[float] = ..., bytes_per_party: _Optional[int] = ..., rounds: _Optional[int] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("space", "decision", "reason", "text", "advice")
    class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DECISION_UNSPECIFIED: _ClassVar[Verdict.Decision]
        DECISION_ALLOWED: _ClassVar[Verdict.Decision]
        DECISION_REFUSED: _ClassVar[Verdict.Decision]
        DECISION_UNREACHABLE: _ClassVar[Verdict.Decision]
    DECISION_UNSPECIFIED: Verdict.Decision
    DECISION_ALLOWED: Verdict.Decision
    DECISION_REFUSED: Verdict.Decision
    DECISION_UNREACHABLE: Verdict.Decision
    SPACE_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    space: str
    decision: Verdict.Decision
    reason: str
    text: str
    advice: str
    def __init__(self, space: _Optional[str] = ..., decision: _Optional[_Union[Verdict.Decision, str]] = ..., reason: _Optional[str] = ..., text: _Optional[str] = ..., advice: _Optional[str] = ...) -> None: ...

class Computation(_message.Message):
    __slots__ = ("name", "state", "role", "requester", "create_time", "update_time", "contract", "contract_digest", "approvals", "spaces", "ending", "shares", "table", "receipts", "views", "session_seconds", "query", "deletions", "plan", "plan_digest")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Computation.State]
        STATE_PENDING: _ClassVar[Computation.State]
        STATE_AWAITING_APPROVAL: _ClassVar[Computation.State]
        STATE_AGREED: _ClassVar[Computation.State]
        STATE_RUNNING: _ClassVar[Computation.State]
        STATE_RELEASED: _ClassVar[Computation.State]
        STATE_WITHHELD: _ClassVar[Computation.State]
        STATE_REJECTED: _ClassVar[Computation.State]
        STATE_CANCELLED: _ClassVar[Computation.State]
        STATE_FAILED: _ClassVar[Computation.State]
        STATE_EXPIRED: _ClassVar[Computation.State]
    STATE_UNSPECIFIED: Computation.State
    STATE_PENDING: Computation.State
    STATE_AWAITING_APPROVAL: Computation.State
    STATE_AGREED: Computation.State
    STATE_RUNNING: Computation.State
    STATE_RELEASED: Computation.State
    STATE_WITHHELD: Computation.State
    STATE_REJECTED: Computation.State
    STATE_CANCELLED: Computation.State
    STATE_FAILED: Computation.State
    STATE_EXPIRED: Computation.State
    class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ROLE_UNSPECIFIED: _ClassVar[Computation.Role]
        ROLE_HOME: _ClassVar[Computation.Role]
        ROLE_PARTICIPANT: _ClassVar[Computation.Role]
    ROLE_UNSPECIFIED: Computation.Role
    ROLE_HOME: Computation.Role
    ROLE_PARTICIPANT: Computation.Role
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    REQUESTER_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    SPACES_FIELD_NUMBER: _ClassVar[int]
    ENDING_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    SESSION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    DELETIONS_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: Computation.State
    role: Computation.Role
    requester: str
    create_time: int
    update_time: int
    contract: str
    contract_digest: str
    approvals: _containers.RepeatedScalarFieldContainer[str]
    spaces: _containers.RepeatedCompositeFieldContainer[SpaceStatus]
    ending: Ending
    shares: _containers.RepeatedCompositeFieldContainer[SealedShare]
    table: Table
    receipts: _containers.RepeatedCompositeFieldContainer[Receipt]
    views: _containers.RepeatedCompositeFieldContainer[View]
    session_seconds: float
    query: str
    deletions: _containers.RepeatedCompositeFieldContainer[Deletion]
    plan: str
    plan_digest: str
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[Computation.State, str]] = ..., role: _Optional[_Union[Computation.Role, str]] = ..., requester: _Optional[str] = ..., create_time: _Optional[int] = ..., update_time: _Optional[int] = ..., contract: _Optional[str] = ..., contract_digest: _Optional[str] = ..., approvals: _Optional[_Iterable[str]] = ..., spaces: _Optional[_Iterable[_Union[SpaceStatus, _Mapping]]] = ..., ending: _Optional[_Union[Ending, _Mapping]] = ..., shares: _Optional[_Iterable[_Union[SealedShare, _Mapping]]] = ..., table: _Optional[_Union[Table, _Mapping]] = ..., receipts: _Optional[_Iterable[_Union[Receipt, _Mapping]]] = ..., views: _Optional[_Iterable[_Union[View, _Mapping]]] = ..., session_seconds: _Optional[float] = ..., query: _Optional[str] = ..., deletions: _Optional[_Iterable[_Union[Deletion, _Mapping]]] = ..., plan: _Optional[str] = ..., plan_digest: _Optional[str] = ...) -> None: ...

class Deletion(_message.Message):
    __slots__ = ("kind", "delete_time", "kept_days")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DELETE_TIME_FIELD_NUMBER: _ClassVar[int]
    KEPT_DAYS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    delete_time: int
    kept_days: int
    def __init__(self, kind: _Optional[str] = ..., delete_time: _Optional[int] = ..., kept_days: _Optional[int] = ...) -> None: ...

class SpaceStatus(_message.Message):
    __slots__ = ("space", "status", "phase", "fraction")
    SPACE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    space: str
    status: str
    phase: str
    fraction: float
    def __init__(self, space: _Optional[str] = ..., status: _Optional[str] = ..., phase: _Optional[str] = ..., fraction: _Optional[float] = ...) -> None: ...

class Ending(_message.Message):
    __slots__ = ("reason", "space", "phase", "text", "action")
    REASON_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    reason: str
    space: str
    phase: str
    text: str
    action: str
    def __init__(self, reason: _Optional[str] = ..., space: _Optional[str] = ..., phase: _Optional[str] = ..., text: _Optional[str] = ..., action: _Optional[str] = ...) -> None: ...

class SealedShare(_message.Message):
    __slots__ = ("pid", "recipient", "sealed")
    PID_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    pid: int
    recipient: str
    sealed: bytes
    def __init__(self, pid: _Optional[int] = ..., recipient: _Optional[str] = ..., sealed: _Optional[bytes] = ...) -> None: ...

class Table(_message.Message):
    __slots__ = ("columns", "rows", "measures", "uncounted", "overall")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    UNCOUNTED_FIELD_NUMBER: _ClassVar[int]
    OVERALL_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedScalarFieldContainer[str]
    rows: _containers.RepeatedCompositeFieldContainer[Row]
    measures: _containers.RepeatedScalarFieldContainer[str]
    uncounted: bool
    overall: _containers.RepeatedCompositeFieldContainer[Figure]
    def __init__(self, columns: _Optional[_Iterable[str]] = ..., rows: _Optional[_Iterable[_Union[Row, _Mapping]]] = ..., measures: _Optional[_Iterable[str]] = ..., uncounted: _Optional[bool] = ..., overall: _Optional[_Iterable[_Union[Figure, _Mapping]]] = ...) -> None: ...

class Figure(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: Number
    def __init__(self, name: _Optional[str] = ..., value: _Optional[_Union[Number, _Mapping]] = ...) -> None: ...

class Row(_message.Message):
    __slots__ = ("codes", "count", "suppressed", "values")
    CODES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SUPPRESSED_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    codes: _containers.RepeatedScalarFieldContainer[str]
    count: int
    suppressed: bool
    values: _containers.RepeatedCompositeFieldContainer[Number]
    def __init__(self, codes: _Optional[_Iterable[str]] = ..., count: _Optional[int] = ..., suppressed: _Optional[bool] = ..., values: _Optional[_Iterable[_Union[Number, _Mapping]]] = ...) -> None: ...

class Number(_message.Message):
    __slots__ = ("integer", "real")
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    REAL_FIELD_NUMBER: _ClassVar[int]
    integer: int
    real: float
    def __init__(self, integer: _Optional[int] = ..., real: _Optional[float] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("space", "contract_digest", "outputs", "minimum_cell", "zero_is_small", "tree_size", "tree_head", "bytes_sent", "rounds", "seconds", "token", "epsilon", "redelivered")
    SPACE_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_CELL_FIELD_NUMBER: _ClassVar[int]
    ZERO_IS_SMALL_FIELD_NUMBER: _ClassVar[int]
    TREE_SIZE_FIELD_NUMBER: _ClassVar[int]
    TREE_HEAD_FIELD_NUMBER: _ClassVar[int]
    BYTES_SENT_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    REDELIVERED_FIELD_NUMBER: _ClassVar[int]
    space: str
    contract_digest: str
    outputs: _containers.RepeatedScalarFieldContainer[str]
    minimum_cell: int
    zero_is_small: bool
    tree_size: int
    tree_head: str
    bytes_sent: int
    rounds: int
    seconds: float
    token: str
    epsilon: str
    redelivered: str
    def __init__(self, space: _Optional[str] = ..., contract_digest: _Optional[str] = ..., outputs: _Optional[_Iterable[str]] = ..., minimum_cell: _Optional[int] = ..., zero_is_small: _Optional[bool] = ..., tree_size: _Optional[int] = ..., tree_head: _Optional[str] = ..., bytes_sent: _Optional[int] = ..., rounds: _Optional[int] = ..., seconds: _Optional[float] = ..., token: _Optional[str] = ..., epsilon: _Optional[str] = ..., redelivered: _Optional[str] = ...) -> None: ...

class View(_message.Message):
    __slots__ = ("pid", "space", "step", "sender", "values")
    PID_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    pid: int
    space: str
    step: str
    sender: int
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, pid: _Optional[int] = ..., space: _Optional[str] = ..., step: _Optional[str] = ..., sender: _Optional[int] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...
