# Generated from proto/ by `make proto`; a test compares.
from gateway.api.buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ColumnType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COLUMN_TYPE_UNSPECIFIED: _ClassVar[ColumnType]
    COLUMN_TYPE_TEXT: _ClassVar[ColumnType]
    COLUMN_TYPE_DATE: _ClassVar[ColumnType]
    COLUMN_TYPE_INTEGER: _ClassVar[ColumnType]
    COLUMN_TYPE_CODE: _ClassVar[ColumnType]
COLUMN_TYPE_UNSPECIFIED: ColumnType
COLUMN_TYPE_TEXT: ColumnType
COLUMN_TYPE_DATE: ColumnType
COLUMN_TYPE_INTEGER: ColumnType
COLUMN_TYPE_CODE: ColumnType

class ListDatasetsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDatasetsResponse(_message.Message):
    __slots__ = ("datasets", "next_page_token", "unreachable")
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    datasets: _containers.RepeatedCompositeFieldContainer[Dataset]
    next_page_token: str
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, datasets: _Optional[_Iterable[_Union[Dataset, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreachable: _Optional[_Iterable[str]] = ...) -> None: ...

class GetDatasetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetDatasetResponse(_message.Message):
    __slots__ = ("dataset",)
    DATASET_FIELD_NUMBER: _ClassVar[int]
    dataset: Dataset
    def __init__(self, dataset: _Optional[_Union[Dataset, _Mapping]] = ...) -> None: ...

class ListSpacesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSpacesResponse(_message.Message):
    __slots__ = ("spaces",)
    SPACES_FIELD_NUMBER: _ClassVar[int]
    spaces: _containers.RepeatedCompositeFieldContainer[Space]
    def __init__(self, spaces: _Optional[_Iterable[_Union[Space, _Mapping]]] = ...) -> None: ...

class Dataset(_message.Message):
    __slots__ = ("name", "title", "description", "vocabulary", "columns", "key_columns", "coverage", "terms", "edition", "seen_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    KEY_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    SEEN_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    title: str
    description: str
    vocabulary: str
    columns: _containers.RepeatedCompositeFieldContainer[Column]
    key_columns: _containers.RepeatedScalarFieldContainer[str]
    coverage: str
    terms: Terms
    edition: Edition
    seen_time: int
    def __init__(self, name: _Optional[str] = ..., title: _Optional[str] = ..., description: _Optional[str] = ..., vocabulary: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[Column, _Mapping]]] = ..., key_columns: _Optional[_Iterable[str]] = ..., coverage: _Optional[str] = ..., terms: _Optional[_Union[Terms, _Mapping]] = ..., edition: _Optional[_Union[Edition, _Mapping]] = ..., seen_time: _Optional[int] = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ("name", "type", "label", "standard", "codes", "least", "most", "normalise")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    STANDARD_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    LEAST_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    NORMALISE_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: ColumnType
    label: str
    standard: str
    codes: _containers.RepeatedCompositeFieldContainer[Code]
    least: str
    most: str
    normalise: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[ColumnType, str]] = ..., label: _Optional[str] = ..., standard: _Optional[str] = ..., codes: _Optional[_Iterable[_Union[Code, _Mapping]]] = ..., least: _Optional[str] = ..., most: _Optional[str] = ..., normalise: _Optional[_Iterable[str]] = ...) -> None: ...

class Code(_message.Message):
    __slots__ = ("value", "label")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    value: str
    label: str
    def __init__(self, value: _Optional[str] = ..., label: _Optional[str] = ...) -> None: ...

class Terms(_message.Message):
    __slots__ = ("purposes", "legal_bases", "statistics", "minimum_cell", "exact_statistics", "zero_is_small", "minimum_seats", "demo_view", "version", "expires", "minimum_t", "transfer", "programs", "packages", "dominance", "rounding", "privacy", "roles", "persons", "decide_within", "person_statistics", "standing", "one_person")
    PURPOSES_FIELD_NUMBER: _ClassVar[int]
    LEGAL_BASES_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_CELL_FIELD_NUMBER: _ClassVar[int]
    EXACT_STATISTICS_FIELD_NUMBER: _ClassVar[int]
    ZERO_IS_SMALL_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_SEATS_FIELD_NUMBER: _ClassVar[int]
    DEMO_VIEW_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_T_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_FIELD_NUMBER: _ClassVar[int]
    PROGRAMS_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    DOMINANCE_FIELD_NUMBER: _ClassVar[int]
    ROUNDING_FIELD_NUMBER: _ClassVar[int]
    PRIVACY_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    PERSONS_FIELD_NUMBER: _ClassVar[int]
    DECIDE_WITHIN_FIELD_NUMBER: _ClassVar[int]
    PERSON_STATISTICS_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    ONE_PERSON_FIELD_NUMBER: _ClassVar[int]
    purposes: _containers.RepeatedScalarFieldContainer[str]
    legal_bases: _containers.RepeatedScalarFieldContainer[str]
    statistics: _containers.RepeatedScalarFieldContainer[str]
    minimum_cell: int
    exact_statistics: _containers.RepeatedScalarFieldContainer[str]
    zero_is_small: bool
    minimum_seats: int
    demo_view: bool
    version: int
    expires: str
    minimum_t: int
    transfer: _containers.RepeatedScalarFieldContainer[str]
    programs: _containers.RepeatedScalarFieldContainer[str]
    packages: _containers.RepeatedScalarFieldContainer[str]
    dominance: int
    rounding: int
    privacy: Privacy
    roles: _containers.RepeatedScalarFieldContainer[str]
    persons: int
    decide_within: int
    person_statistics: _containers.RepeatedScalarFieldContainer[str]
    standing: int
    one_person: OnePerson
    def __init__(self, purposes: _Optional[_Iterable[str]] = ..., legal_bases: _Optional[_Iterable[str]] = ..., statistics: _Optional[_Iterable[str]] = ..., minimum_cell: _Optional[int] = ..., exact_statistics: _Optional[_Iterable[str]] = ..., zero_is_small: _Optional[bool] = ..., minimum_seats: _Optional[int] = ..., demo_view: _Optional[bool] = ..., version: _Optional[int] = ..., expires: _Optional[str] = ..., minimum_t: _Optional[int] = ..., transfer: _Optional[_Iterable[str]] = ..., programs: _Optional[_Iterable[str]] = ..., packages: _Optional[_Iterable[str]] = ..., dominance: _Optional[int] = ..., rounding: _Optional[int] = ..., privacy: _Optional[_Union[Privacy, _Mapping]] = ..., roles: _Optional[_Iterable[str]] = ..., persons: _Optional[int] = ..., decide_within: _Optional[int] = ..., person_statistics: _Optional[_Iterable[str]] = ..., standing: _Optional[int] = ..., one_person: _Optional[_Union[OnePerson, _Mapping]] = ...) -> None: ...

class OnePerson(_message.Message):
    __slots__ = ("legal_bases", "roles", "least_list", "quota_per_case", "quota_per_day", "case")
    LEGAL_BASES_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    LEAST_LIST_FIELD_NUMBER: _ClassVar[int]
    QUOTA_PER_CASE_FIELD_NUMBER: _ClassVar[int]
    QUOTA_PER_DAY_FIELD_NUMBER: _ClassVar[int]
    CASE_FIELD_NUMBER: _ClassVar[int]
    legal_bases: _containers.RepeatedScalarFieldContainer[str]
    roles: _containers.RepeatedScalarFieldContainer[str]
    least_list: int
    quota_per_case: int
    quota_per_day: int
    case: str
    def __init__(self, legal_bases: _Optional[_Iterable[str]] = ..., roles: _Optional[_Iterable[str]] = ..., least_list: _Optional[int] = ..., quota_per_case: _Optional[int] = ..., quota_per_day: _Optional[int] = ..., case: _Optional[str] = ...) -> None: ...

class Privacy(_message.Message):
    __slots__ = ("epsilon", "budget", "total", "required")
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    epsilon: str
    budget: str
    total: str
    required: bool
    def __init__(self, epsilon: _Optional[str] = ..., budget: _Optional[str] = ..., total: _Optional[str] = ..., required: _Optional[bool] = ...) -> None: ...

class Edition(_message.Message):
    __slots__ = ("id", "create_time", "snapshot", "row_bound")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    ROW_BOUND_FIELD_NUMBER: _ClassVar[int]
    id: str
    create_time: int
    snapshot: str
    row_bound: int
    def __init__(self, id: _Optional[str] = ..., create_time: _Optional[int] = ..., snapshot: _Optional[str] = ..., row_bound: _Optional[int] = ...) -> None: ...

class Space(_message.Message):
    __slots__ = ("entity", "operator", "group", "affiliates", "jurisdiction", "seats", "engine", "programs", "seen_time", "reachable", "rulebook", "objection")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    AFFILIATES_FIELD_NUMBER: _ClassVar[int]
    JURISDICTION_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    PROGRAMS_FIELD_NUMBER: _ClassVar[int]
    SEEN_TIME_FIELD_NUMBER: _ClassVar[int]
    REACHABLE_FIELD_NUMBER: _ClassVar[int]
    RULEBOOK_FIELD_NUMBER: _ClassVar[int]
    OBJECTION_FIELD_NUMBER: _ClassVar[int]
    entity: str
    operator: str
    group: str
    affiliates: _containers.RepeatedScalarFieldContainer[str]
    jurisdiction: str
    seats: int
    engine: str
    programs: _containers.RepeatedCompositeFieldContainer[Program]
    seen_time: int
    reachable: bool
    rulebook: int
    objection: Objection
    def __init__(self, entity: _Optional[str] = ..., operator: _Optional[str] = ..., group: _Optional[str] = ..., affiliates: _Optional[_Iterable[str]] = ..., jurisdiction: _Optional[str] = ..., seats: _Optional[int] = ..., engine: _Optional[str] = ..., programs: _Optional[_Iterable[_Union[Program, _Mapping]]] = ..., seen_time: _Optional[int] = ..., reachable: _Optional[bool] = ..., rulebook: _Optional[int] = ..., objection: _Optional[_Union[Objection, _Mapping]] = ...) -> None: ...

class Objection(_message.Message):
    __slots__ = ("reason", "text", "advice")
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    text: str
    advice: str
    def __init__(self, reason: _Optional[str] = ..., text: _Optional[str] = ..., advice: _Optional[str] = ...) -> None: ...

class Program(_message.Message):
    __slots__ = ("name", "version", "digest", "leakage", "title", "inputs", "outputs", "takes", "opens", "formula", "sample", "costs", "descriptor")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    LEAKAGE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    TAKES_FIELD_NUMBER: _ClassVar[int]
    OPENS_FIELD_NUMBER: _ClassVar[int]
    FORMULA_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    COSTS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    digest: str
    leakage: str
    title: str
    inputs: str
    outputs: str
    takes: str
    opens: _containers.RepeatedCompositeFieldContainer[Opening]
    formula: str
    sample: str
    costs: _containers.RepeatedCompositeFieldContainer[ProgramCost]
    descriptor: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., digest: _Optional[str] = ..., leakage: _Optional[str] = ..., title: _Optional[str] = ..., inputs: _Optional[str] = ..., outputs: _Optional[str] = ..., takes: _Optional[str] = ..., opens: _Optional[_Iterable[_Union[Opening, _Mapping]]] = ..., formula: _Optional[str] = ..., sample: _Optional[str] = ..., costs: _Optional[_Iterable[_Union[ProgramCost, _Mapping]]] = ..., descriptor: _Optional[str] = ...) -> None: ...

class Opening(_message.Message):
    __slots__ = ("step", "why")
    STEP_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    step: str
    why: str
    def __init__(self, step: _Optional[str] = ..., why: _Optional[str] = ...) -> None: ...

class ProgramCost(_message.Message):
    __slots__ = ("m", "providers", "rows", "rounds", "bytes_per_party")
    M_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_PARTY_FIELD_NUMBER: _ClassVar[int]
    m: int
    providers: int
    rows: int
    rounds: int
    bytes_per_party: int
    def __init__(self, m: _Optional[int] = ..., providers: _Optional[int] = ..., rows: _Optional[int] = ..., rounds: _Optional[int] = ..., bytes_per_party: _Optional[int] = ...) -> None: ...

class ListProgramsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProgramsResponse(_message.Message):
    __slots__ = ("programs",)
    PROGRAMS_FIELD_NUMBER: _ClassVar[int]
    programs: _containers.RepeatedCompositeFieldContainer[ListedProgram]
    def __init__(self, programs: _Optional[_Iterable[_Union[ListedProgram, _Mapping]]] = ...) -> None: ...

class ListedProgram(_message.Message):
    __slots__ = ("program", "spaces", "statistics")
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    SPACES_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    program: Program
    spaces: _containers.RepeatedScalarFieldContainer[str]
    statistics: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, program: _Optional[_Union[Program, _Mapping]] = ..., spaces: _Optional[_Iterable[str]] = ..., statistics: _Optional[_Iterable[str]] = ...) -> None: ...
