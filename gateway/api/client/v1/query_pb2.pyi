# Generated from proto/ by `make proto`; a test compares.
from gateway.api.buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JointQuery(_message.Message):
    __slots__ = ("title", "purpose", "legal_basis", "sources", "link_on", "count_by", "overlap", "rate", "histogram", "cross_tab", "corridors", "funnel", "summary", "repeats", "survival", "chi_square", "kruskal_wallis", "quantiles", "hit", "t_test", "correlation", "program", "linear_regression", "logistic_regression", "limits", "seats", "demo_view", "standing", "common_codes")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    LEGAL_BASIS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    LINK_ON_FIELD_NUMBER: _ClassVar[int]
    COUNT_BY_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    CROSS_TAB_FIELD_NUMBER: _ClassVar[int]
    CORRIDORS_FIELD_NUMBER: _ClassVar[int]
    FUNNEL_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    REPEATS_FIELD_NUMBER: _ClassVar[int]
    SURVIVAL_FIELD_NUMBER: _ClassVar[int]
    CHI_SQUARE_FIELD_NUMBER: _ClassVar[int]
    KRUSKAL_WALLIS_FIELD_NUMBER: _ClassVar[int]
    QUANTILES_FIELD_NUMBER: _ClassVar[int]
    HIT_FIELD_NUMBER: _ClassVar[int]
    T_TEST_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    LINEAR_REGRESSION_FIELD_NUMBER: _ClassVar[int]
    LOGISTIC_REGRESSION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    DEMO_VIEW_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    COMMON_CODES_FIELD_NUMBER: _ClassVar[int]
    title: str
    purpose: str
    legal_basis: str
    sources: _containers.RepeatedCompositeFieldContainer[Source]
    link_on: _containers.RepeatedScalarFieldContainer[str]
    count_by: CountBy
    overlap: Overlap
    rate: Rate
    histogram: Histogram
    cross_tab: CrossTab
    corridors: Corridors
    funnel: Funnel
    summary: Summary
    repeats: Repeats
    survival: Survival
    chi_square: ChiSquare
    kruskal_wallis: KruskalWallis
    quantiles: Quantiles
    hit: Hit
    t_test: TTest
    correlation: Correlation
    program: PackagedProgram
    linear_regression: LinearRegression
    logistic_regression: LogisticRegression
    limits: Limits
    seats: Seats
    demo_view: bool
    standing: int
    common_codes: bool
    def __init__(self, title: _Optional[str] = ..., purpose: _Optional[str] = ..., legal_basis: _Optional[str] = ..., sources: _Optional[_Iterable[_Union[Source, _Mapping]]] = ..., link_on: _Optional[_Iterable[str]] = ..., count_by: _Optional[_Union[CountBy, _Mapping]] = ..., overlap: _Optional[_Union[Overlap, _Mapping]] = ..., rate: _Optional[_Union[Rate, _Mapping]] = ..., histogram: _Optional[_Union[Histogram, _Mapping]] = ..., cross_tab: _Optional[_Union[CrossTab, _Mapping]] = ..., corridors: _Optional[_Union[Corridors, _Mapping]] = ..., funnel: _Optional[_Union[Funnel, _Mapping]] = ..., summary: _Optional[_Union[Summary, _Mapping]] = ..., repeats: _Optional[_Union[Repeats, _Mapping]] = ..., survival: _Optional[_Union[Survival, _Mapping]] = ..., chi_square: _Optional[_Union[ChiSquare, _Mapping]] = ..., kruskal_wallis: _Optional[_Union[KruskalWallis, _Mapping]] = ..., quantiles: _Optional[_Union[Quantiles, _Mapping]] = ..., hit: _Optional[_Union[Hit, _Mapping]] = ..., t_test: _Optional[_Union[TTest, _Mapping]] = ..., correlation: _Optional[_Union[Correlation, _Mapping]] = ..., program: _Optional[_Union[PackagedProgram, _Mapping]] = ..., linear_regression: _Optional[_Union[LinearRegression, _Mapping]] = ..., logistic_regression: _Optional[_Union[LogisticRegression, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., seats: _Optional[_Union[Seats, _Mapping]] = ..., demo_view: _Optional[bool] = ..., standing: _Optional[int] = ..., common_codes: _Optional[bool] = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("dataset", "filters")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    filters: _containers.RepeatedCompositeFieldContainer[Filter]
    def __init__(self, dataset: _Optional[str] = ..., filters: _Optional[_Iterable[_Union[Filter, _Mapping]]] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("column", "equals", "one_of", "between")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    EQUALS_FIELD_NUMBER: _ClassVar[int]
    ONE_OF_FIELD_NUMBER: _ClassVar[int]
    BETWEEN_FIELD_NUMBER: _ClassVar[int]
    column: str
    equals: Value
    one_of: Values
    between: Between
    def __init__(self, column: _Optional[str] = ..., equals: _Optional[_Union[Value, _Mapping]] = ..., one_of: _Optional[_Union[Values, _Mapping]] = ..., between: _Optional[_Union[Between, _Mapping]] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ("text", "integer")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    text: str
    integer: int
    def __init__(self, text: _Optional[str] = ..., integer: _Optional[int] = ...) -> None: ...

class Values(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[Value]
    def __init__(self, values: _Optional[_Iterable[_Union[Value, _Mapping]]] = ...) -> None: ...

class Between(_message.Message):
    __slots__ = ("low", "high")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    low: Value
    high: Value
    def __init__(self, low: _Optional[_Union[Value, _Mapping]] = ..., high: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...

class CountBy(_message.Message):
    __slots__ = ("columns",)
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, columns: _Optional[_Iterable[str]] = ...) -> None: ...

class Overlap(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Rate(_message.Message):
    __slots__ = ("columns", "population", "per")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    POPULATION_FIELD_NUMBER: _ClassVar[int]
    PER_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedScalarFieldContainer[str]
    population: _containers.RepeatedCompositeFieldContainer[Population]
    per: int
    def __init__(self, columns: _Optional[_Iterable[str]] = ..., population: _Optional[_Iterable[_Union[Population, _Mapping]]] = ..., per: _Optional[int] = ...) -> None: ...

class Histogram(_message.Message):
    __slots__ = ("column", "edges", "columns", "private_edges")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_EDGES_FIELD_NUMBER: _ClassVar[int]
    column: str
    edges: _containers.RepeatedCompositeFieldContainer[Value]
    columns: _containers.RepeatedScalarFieldContainer[str]
    private_edges: PrivateEdges
    def __init__(self, column: _Optional[str] = ..., edges: _Optional[_Iterable[_Union[Value, _Mapping]]] = ..., columns: _Optional[_Iterable[str]] = ..., private_edges: _Optional[_Union[PrivateEdges, _Mapping]] = ...) -> None: ...

class PrivateEdges(_message.Message):
    __slots__ = ("least", "most", "at", "step")
    LEAST_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    least: Value
    most: Value
    at: _containers.RepeatedScalarFieldContainer[int]
    step: int
    def __init__(self, least: _Optional[_Union[Value, _Mapping]] = ..., most: _Optional[_Union[Value, _Mapping]] = ..., at: _Optional[_Iterable[int]] = ..., step: _Optional[int] = ...) -> None: ...

class Summary(_message.Message):
    __slots__ = ("measures", "columns")
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    measures: _containers.RepeatedCompositeFieldContainer[Measure]
    columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, measures: _Optional[_Iterable[_Union[Measure, _Mapping]]] = ..., columns: _Optional[_Iterable[str]] = ...) -> None: ...

class Measure(_message.Message):
    __slots__ = ("column", "least", "most", "variance", "step")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    LEAST_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    VARIANCE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    column: str
    least: Value
    most: Value
    variance: bool
    step: int
    def __init__(self, column: _Optional[str] = ..., least: _Optional[_Union[Value, _Mapping]] = ..., most: _Optional[_Union[Value, _Mapping]] = ..., variance: _Optional[bool] = ..., step: _Optional[int] = ...) -> None: ...

class Repeats(_message.Message):
    __slots__ = ("column", "least", "most", "within", "columns")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    LEAST_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    WITHIN_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    column: str
    least: str
    most: str
    within: _containers.RepeatedScalarFieldContainer[int]
    columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, column: _Optional[str] = ..., least: _Optional[str] = ..., most: _Optional[str] = ..., within: _Optional[_Iterable[int]] = ..., columns: _Optional[_Iterable[str]] = ...) -> None: ...

class Survival(_message.Message):
    __slots__ = ("since", "until", "end", "every", "intervals", "groups")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    EVERY_FIELD_NUMBER: _ClassVar[int]
    INTERVALS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    since: str
    until: str
    end: str
    every: int
    intervals: int
    groups: Groups
    def __init__(self, since: _Optional[str] = ..., until: _Optional[str] = ..., end: _Optional[str] = ..., every: _Optional[int] = ..., intervals: _Optional[int] = ..., groups: _Optional[_Union[Groups, _Mapping]] = ...) -> None: ...

class Groups(_message.Message):
    __slots__ = ("column", "codes")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    column: str
    codes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, column: _Optional[str] = ..., codes: _Optional[_Iterable[str]] = ...) -> None: ...

class ChiSquare(_message.Message):
    __slots__ = ("rows", "columns")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    rows: CodedColumn
    columns: CodedColumn
    def __init__(self, rows: _Optional[_Union[CodedColumn, _Mapping]] = ..., columns: _Optional[_Union[CodedColumn, _Mapping]] = ...) -> None: ...

class KruskalWallis(_message.Message):
    __slots__ = ("groups", "column", "edges")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    groups: CodedColumn
    column: str
    edges: _containers.RepeatedCompositeFieldContainer[Value]
    def __init__(self, groups: _Optional[_Union[CodedColumn, _Mapping]] = ..., column: _Optional[str] = ..., edges: _Optional[_Iterable[_Union[Value, _Mapping]]] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ("least_list", "each")
    LEAST_LIST_FIELD_NUMBER: _ClassVar[int]
    EACH_FIELD_NUMBER: _ClassVar[int]
    least_list: int
    each: bool
    def __init__(self, least_list: _Optional[int] = ..., each: _Optional[bool] = ...) -> None: ...

class PackagedProgram(_message.Message):
    __slots__ = ("name", "inputs", "settings", "digest", "descriptor")
    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    inputs: _containers.RepeatedCompositeFieldContainer[ProgramInput]
    settings: _containers.RepeatedCompositeFieldContainer[ProgramSetting]
    digest: str
    descriptor: str
    def __init__(self, name: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[ProgramInput, _Mapping]]] = ..., settings: _Optional[_Iterable[_Union[ProgramSetting, _Mapping]]] = ..., digest: _Optional[str] = ..., descriptor: _Optional[str] = ...) -> None: ...

class ProgramInput(_message.Message):
    __slots__ = ("name", "column", "codes", "least", "most")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    LEAST_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    name: str
    column: str
    codes: _containers.RepeatedScalarFieldContainer[str]
    least: Value
    most: Value
    def __init__(self, name: _Optional[str] = ..., column: _Optional[str] = ..., codes: _Optional[_Iterable[str]] = ..., least: _Optional[_Union[Value, _Mapping]] = ..., most: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...

class ProgramSetting(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: int
    def __init__(self, name: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...

class LinearRegression(_message.Message):
    __slots__ = ("outcome", "covariates")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    COVARIATES_FIELD_NUMBER: _ClassVar[int]
    outcome: Outcome
    covariates: _containers.RepeatedCompositeFieldContainer[Covariate]
    def __init__(self, outcome: _Optional[_Union[Outcome, _Mapping]] = ..., covariates: _Optional[_Iterable[_Union[Covariate, _Mapping]]] = ...) -> None: ...

class LogisticRegression(_message.Message):
    __slots__ = ("outcome", "covariates")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    COVARIATES_FIELD_NUMBER: _ClassVar[int]
    outcome: Events
    covariates: _containers.RepeatedCompositeFieldContainer[Covariate]
    def __init__(self, outcome: _Optional[_Union[Events, _Mapping]] = ..., covariates: _Optional[_Iterable[_Union[Covariate, _Mapping]]] = ...) -> None: ...

class Events(_message.Message):
    __slots__ = ("column", "codes")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    column: str
    codes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, column: _Optional[str] = ..., codes: _Optional[_Iterable[str]] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("column", "least", "most")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    LEAST_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    column: str
    least: Value
    most: Value
    def __init__(self, column: _Optional[str] = ..., least: _Optional[_Union[Value, _Mapping]] = ..., most: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...

class Covariate(_message.Message):
    __slots__ = ("column", "codes", "numbers")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    column: str
    codes: _containers.RepeatedScalarFieldContainer[str]
    numbers: Numbers
    def __init__(self, column: _Optional[str] = ..., codes: _Optional[_Iterable[str]] = ..., numbers: _Optional[_Union[Numbers, _Mapping]] = ...) -> None: ...

class Numbers(_message.Message):
    __slots__ = ("least", "most", "step")
    LEAST_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    least: int
    most: int
    step: int
    def __init__(self, least: _Optional[int] = ..., most: _Optional[int] = ..., step: _Optional[int] = ...) -> None: ...

class CodedColumn(_message.Message):
    __slots__ = ("column", "codes")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    column: str
    codes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, column: _Optional[str] = ..., codes: _Optional[_Iterable[str]] = ...) -> None: ...

class Quantiles(_message.Message):
    __slots__ = ("of", "at", "columns")
    OF_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    of: Grid
    at: _containers.RepeatedScalarFieldContainer[int]
    columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, of: _Optional[_Union[Grid, _Mapping]] = ..., at: _Optional[_Iterable[int]] = ..., columns: _Optional[_Iterable[str]] = ...) -> None: ...

class TTest(_message.Message):
    __slots__ = ("groups", "of")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    groups: Groups
    of: Grid
    def __init__(self, groups: _Optional[_Union[Groups, _Mapping]] = ..., of: _Optional[_Union[Grid, _Mapping]] = ...) -> None: ...

class Correlation(_message.Message):
    __slots__ = ("of",)
    OF_FIELD_NUMBER: _ClassVar[int]
    of: _containers.RepeatedCompositeFieldContainer[Grid]
    def __init__(self, of: _Optional[_Iterable[_Union[Grid, _Mapping]]] = ...) -> None: ...

class Grid(_message.Message):
    __slots__ = ("column", "least", "most", "step")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    LEAST_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    column: str
    least: Value
    most: Value
    step: int
    def __init__(self, column: _Optional[str] = ..., least: _Optional[_Union[Value, _Mapping]] = ..., most: _Optional[_Union[Value, _Mapping]] = ..., step: _Optional[int] = ...) -> None: ...

class Population(_message.Message):
    __slots__ = ("codes", "people")
    CODES_FIELD_NUMBER: _ClassVar[int]
    PEOPLE_FIELD_NUMBER: _ClassVar[int]
    codes: _containers.RepeatedScalarFieldContainer[str]
    people: int
    def __init__(self, codes: _Optional[_Iterable[str]] = ..., people: _Optional[int] = ...) -> None: ...

class ToldColumn(_message.Message):
    __slots__ = ("column", "sources")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    column: str
    sources: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, column: _Optional[str] = ..., sources: _Optional[_Iterable[int]] = ...) -> None: ...

class CrossTab(_message.Message):
    __slots__ = ("columns",)
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedCompositeFieldContainer[ToldColumn]
    def __init__(self, columns: _Optional[_Iterable[_Union[ToldColumn, _Mapping]]] = ...) -> None: ...

class Corridors(_message.Message):
    __slots__ = ("origin", "transit", "destination")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    TRANSIT_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    origin: ToldColumn
    transit: ToldColumn
    destination: ToldColumn
    def __init__(self, origin: _Optional[_Union[ToldColumn, _Mapping]] = ..., transit: _Optional[_Union[ToldColumn, _Mapping]] = ..., destination: _Optional[_Union[ToldColumn, _Mapping]] = ...) -> None: ...

class Funnel(_message.Message):
    __slots__ = ("stages", "by")
    STAGES_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    by: _containers.RepeatedCompositeFieldContainer[ToldColumn]
    def __init__(self, stages: _Optional[_Iterable[_Union[Stage, _Mapping]]] = ..., by: _Optional[_Iterable[_Union[ToldColumn, _Mapping]]] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("sources",)
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    sources: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, sources: _Optional[_Iterable[int]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("minimum_cell", "zero_is_small", "dominance", "rounding", "epsilon")
    MINIMUM_CELL_FIELD_NUMBER: _ClassVar[int]
    ZERO_IS_SMALL_FIELD_NUMBER: _ClassVar[int]
    DOMINANCE_FIELD_NUMBER: _ClassVar[int]
    ROUNDING_FIELD_NUMBER: _ClassVar[int]
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    minimum_cell: int
    zero_is_small: bool
    dominance: int
    rounding: int
    epsilon: str
    def __init__(self, minimum_cell: _Optional[int] = ..., zero_is_small: _Optional[bool] = ..., dominance: _Optional[int] = ..., rounding: _Optional[int] = ..., epsilon: _Optional[str] = ...) -> None: ...

class Seats(_message.Message):
    __slots__ = ("count", "at")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    count: int
    at: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, count: _Optional[int] = ..., at: _Optional[_Iterable[str]] = ...) -> None: ...
