"""What a requester asks: sources, owner-side filters, one statistic, purpose, wished limits.

Invariant: exactly one statistic is set and exactly one operator per filter (`gateway.rules.queries`
checks it). A query names datasets; the plan names their editions.
"""

from __future__ import annotations

from dataclasses import fields

from gateway.domain.records import record


@record
class Between:
    """Both ends included. Dates are ISO 8601 days, integers are integers."""

    low: str | int
    high: str | int


@record
class Filter:
    """Rows that the owner keeps, decided at the owner: `equals`, `one_of` or `between`."""

    column: str
    equals: str | int | None = None
    one_of: tuple[str | int, ...] | None = None
    between: Between | None = None


@record
class Source:
    dataset: str
    filters: tuple[Filter, ...] = ()


@record
class CountBy:
    """People (each once across all sources) by the codes of these columns."""

    columns: tuple[str, ...]


@record
class Overlap:
    """How many people are on exactly which of the sources' lists; each source is one list."""


@record
class Population:
    """How many people of a public statistic stand behind one cell: `codes`, one for each column."""

    codes: tuple[str, ...]
    people: int


@record
class Rate:
    """People by the codes of these columns, and how many that is of every `per` people in the population."""

    columns: tuple[str, ...]
    population: tuple[Population, ...]
    per: int = 100_000


@record
class PrivateEdges:
    """Edges that are quantiles `at` probabilities, in hundredths, of the numbers of everybody who is counted, and that
    nobody learns. All sources say their numbers to lie between `least` and `most`; they are told apart by intervals of
    `step` from the least on."""

    least: str | int
    most: str | int
    at: tuple[int, ...]
    step: int = 1


@record
class Histogram:
    """People by which of the intervals between `edges` their number or day in `column` lies in, each from an edge to
    before the next, and by the codes of further columns. Edges are all integers or all ISO 8601 days, ascending, or
    private ones."""

    column: str
    edges: tuple[str | int, ...] = ()
    columns: tuple[str, ...] = ()
    private_edges: PrivateEdges | None = None


@record
class ToldColumn:
    """A column, and which sources tell it (their indices); None: all of them do."""

    column: str
    sources: tuple[int, ...] | None = None


@record
class CrossTab:
    """People by columns that different sources tell; a person is counted if all of them are known of it."""

    columns: tuple[ToldColumn, ...]


@record
class Corridors:
    """People by where they come from, through what, and where to, as a cross-tab of these columns."""

    origin: ToldColumn
    destination: ToldColumn
    transit: ToldColumn | None = None


@record
class Funnel:
    """How far people came through stages, each of them some of the sources (their indices): on lists of the first
    stage, of the first and the second, and so on. None: each source is one, in their order. `by` makes a funnel for
    each combination of codes."""

    stages: tuple[tuple[int, ...], ...] | None = None
    by: tuple[ToldColumn, ...] = ()


@record
class Measure:
    """What is measured of people: whole numbers or ISO 8601 days in `column`, which all sources say to lie between
    `least` and `most`. Sums are rounded to multiples of `step`, times the base of counts where these are rounded."""

    column: str
    least: str | int
    most: str | int
    variance: bool = False
    step: int = 1


@record
class Summary:
    """People by the codes of these columns (none: all together), and how many of them have each measure, its sum, mean
    and, where asked for, variance."""

    measures: tuple[Measure, ...]
    columns: tuple[str, ...] = ()


@record
class Repeats:
    """People whom sources of several spaces have, by whether two of them recorded the person within so many days
    (`within`, ascending), and by the codes of these columns. `column` has the day, which all sources say to lie between
    `least` and `most`."""

    column: str
    least: str
    most: str
    within: tuple[int, ...]
    columns: tuple[str, ...] = ()


@record
class Groups:
    """Two to four codes of a column: people who have another one are left out."""

    column: str
    codes: tuple[str, ...]


@record
class Survival:
    """How long it takes people from a day in column `since` to one in `until`, both ISO 8601, in `intervals` of `every`
    days; of whom it has not happened by the day `end`, it is known that it had not then. By `groups`, where asked for;
    of two, how far they differ."""

    since: str
    until: str
    end: str
    every: int
    intervals: int
    groups: Groups | None = None


@record
class CodedColumn:
    """A column of codes, and those of them that are taken: people with another one are left out. None: all are."""

    column: str
    codes: tuple[str, ...] | None = None


@record
class ChiSquare:
    """Whether what people are in one column goes together with what they are in the other: Pearson's χ², its degrees of
    freedom and its p value."""

    rows: CodedColumn
    columns: CodedColumn


@record
class KruskalWallis:
    """Whether groups of people differ in where they stand in the order of a number or a day in `column`, sorted into
    the intervals between `edges`: Kruskal and Wallis's H, its degrees of freedom and its p value."""

    groups: CodedColumn
    column: str
    edges: tuple[str | int, ...]


@record
class Grid:
    """A number or an ISO 8601 day in `column`, which all sources say to lie between `least` and `most`, by which of the
    intervals of `step` from the least on it lies in."""

    column: str
    least: str | int
    most: str | int
    step: int = 1


@record
class Numbers:
    """From `least` to `most`, in intervals of `step`, each of which counts as its lowest number."""

    least: int
    most: int
    step: int = 1


@record
class Quantiles:
    """In which interval of a grid quantiles lie, by the codes of these columns (none: of all together). `at` are
    probabilities in hundredths, ascending: 0 is the least, 50 the median, 100 the greatest."""

    of: Grid
    at: tuple[int, ...]
    columns: tuple[str, ...] = ()


@record
class Hit:
    """Whether the one person whom the first source's filter names by a case is on any of the other sources' lists, or,
    with `each`, on which of them; all of these have at least `least_list` people."""

    least_list: int
    each: bool = False


@record
class TTest:
    """Whether two groups of people, two codes of a column, differ in the mean of a number or a day, by the number of
    its interval in a grid: Welch's t, its degrees of freedom and its p value."""

    groups: Groups
    of: Grid


@record
class Correlation:
    """Whether two numbers or days of the same people go together in a line, each by the number of its interval in a
    grid: Pearson's r, its degrees of freedom and its p value."""

    of: tuple[Grid, ...]


@record
class ProgramInput:
    """The column for one of a program's inputs: with `codes`, those that are taken (None: all), or between bounds, two
    integers or two ISO 8601 days, which the sources' own lie within."""

    name: str
    column: str
    codes: tuple[str, ...] | None = None
    least: str | int | None = None
    most: str | int | None = None


@record
class ProgramSetting:
    name: str
    value: int


@record
class PackagedProgram:
    """What a program computes that no release has. The home gateway fills in what is left empty: the `digest` that most
    spaces of the question run, and the program's `descriptor` (`gateway.domain.program`), as canonical text."""

    name: str
    inputs: tuple[ProgramInput, ...]
    settings: tuple[ProgramSetting, ...] = ()
    digest: str = ""
    descriptor: str = ""


@record
class Covariate:
    """A column that a regression is on: of codes, those that are taken (None: all, in alphabetical order), the first of
    them being what the others are compared with; or of whole numbers, as one term. Whoever has another one is left out.
    """

    column: str
    codes: tuple[str, ...] | None = None
    numbers: Numbers | None = None


@record
class Outcome:
    """A whole number or an ISO 8601 day in `column`, which all sources say to lie between `least` and `most`."""

    column: str
    least: str | int
    most: str | int


@record
class LinearRegression:
    """How a number goes with columns, all at once: coefficients by ordinary least squares, their standard errors, and
    how well they fit."""

    outcome: Outcome
    covariates: tuple[Covariate, ...]


@record
class Events:
    """A column of codes, and those of them that are the outcome; all others are its absence."""

    column: str
    codes: tuple[str, ...]


@record
class LogisticRegression:
    """How whether people have an outcome goes with columns, all at once: log odds by maximum likelihood, their standard
    errors, and how well they fit."""

    outcome: Events
    covariates: tuple[Covariate, ...]


@record
class Statistic:
    count_by: CountBy | None = None
    overlap: Overlap | None = None
    rate: Rate | None = None
    histogram: Histogram | None = None
    cross_tab: CrossTab | None = None
    corridors: Corridors | None = None
    funnel: Funnel | None = None
    summary: Summary | None = None
    repeats: Repeats | None = None
    survival: Survival | None = None
    chi_square: ChiSquare | None = None
    kruskal_wallis: KruskalWallis | None = None
    quantiles: Quantiles | None = None
    hit: Hit | None = None
    t_test: TTest | None = None
    correlation: Correlation | None = None
    program: PackagedProgram | None = None
    linear_regression: LinearRegression | None = None
    logistic_regression: LogisticRegression | None = None

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names of those that are set: one, in a query that is well formed."""
        return tuple(item.name for item in fields(self) if getattr(self, item.name) is not None)

    @property
    def name(self) -> str:
        return self.chosen[0]


@record
class Limits:
    """Wished limits: a requester may only tighten what the owners demand.

    `minimum_cell` None means the strictest minimum of all owners; 0 asks for exact release, which
    owners grant per statistic or not at all. `dominance` is the percentage of a cell that one provider may have,
    `rounding` what counts are to be multiples of, `epsilon` (a decimal, as text) asks for noise; None leaves each to
    the owners.
    """

    minimum_cell: int | None = None
    zero_is_small: bool = False
    dominance: int | None = None
    rounding: int | None = None
    epsilon: str | None = None


@record
class Seats:
    """How many parties compute, and, where the requester wants to say so, at whose gateways (entity IDs)."""

    count: int = 3
    at: tuple[str, ...] = ()


@record
class Query:
    title: str
    purpose: str
    legal_basis: str
    sources: tuple[Source, ...]
    # Columns by which people are recognised across sources; none: nobody is, and records are counted.
    link_on: tuple[str, ...]
    statistic: Statistic
    limits: Limits = Limits()
    seats: Seats = Seats()
    # Demonstrations only: one party shows a sample of its receive buffer. Owners must allow it.
    demo_view: bool = False
    # For how many editions approval by people is asked at once.
    standing: int = 1
    # Where sources' code lists differ: only the codes that all have, people with another one left out.
    common_codes: bool = False
