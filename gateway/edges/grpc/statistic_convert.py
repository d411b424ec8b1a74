"""The statistic of a query, to and from its message: a pair for each kind, named like its field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.api.client.v1 import query_pb2 as pb
from gateway.domain import query


def _told_from(message: pb.ToldColumn) -> query.ToldColumn:
    return query.ToldColumn(message.column, tuple(message.sources) or None)


def _told_to(asked: query.ToldColumn) -> pb.ToldColumn:
    return pb.ToldColumn(column=asked.column, sources=asked.sources)


def _corridors_from(message: pb.Corridors) -> query.Corridors:
    transit = _told_from(message.transit) if message.HasField("transit") else None
    return query.Corridors(_told_from(message.origin), _told_from(message.destination), transit)


def _corridors_to(asked: query.Corridors) -> pb.Corridors:
    transit = None if asked.transit is None else _told_to(asked.transit)
    return pb.Corridors(origin=_told_to(asked.origin), transit=transit, destination=_told_to(asked.destination))


def _funnel_from(message: pb.Funnel) -> query.Funnel:
    stages = tuple(tuple(stage.sources) for stage in message.stages) or None
    return query.Funnel(stages, tuple(map(_told_from, message.by)))


def _funnel_to(asked: query.Funnel) -> pb.Funnel:
    stages = [pb.Stage(sources=sources) for sources in asked.stages or ()]
    return pb.Funnel(stages=stages, by=map(_told_to, asked.by))


def _groups_from(message: pb.Groups) -> query.Groups:
    return query.Groups(message.column, tuple(message.codes))


def _groups_to(asked: query.Groups) -> pb.Groups:
    return pb.Groups(column=asked.column, codes=asked.codes)


def _survival_from(message: pb.Survival) -> query.Survival:
    groups = _groups_from(message.groups) if message.HasField("groups") else None
    return query.Survival(message.since, message.until, message.end, message.every, message.intervals, groups)


def _survival_to(asked: query.Survival) -> pb.Survival:
    groups = None if asked.groups is None else _groups_to(asked.groups)
    return pb.Survival(
        since=asked.since,
        until=asked.until,
        end=asked.end,
        every=asked.every,
        intervals=asked.intervals,
        groups=groups,
    )


def _coded_from(message: pb.CodedColumn) -> query.CodedColumn:
    return query.CodedColumn(message.column, tuple(message.codes) or None)


def _coded_to(asked: query.CodedColumn) -> pb.CodedColumn:
    return pb.CodedColumn(column=asked.column, codes=asked.codes)


def _private_from(message: pb.PrivateEdges) -> query.PrivateEdges:
    return query.PrivateEdges(value_from(message.least), value_from(message.most), tuple(message.at), message.step or 1)


def _private_to(asked: query.PrivateEdges) -> pb.PrivateEdges:
    return pb.PrivateEdges(least=value_to(asked.least), most=value_to(asked.most), at=asked.at, step=asked.step)


def _histogram_from(message: pb.Histogram) -> query.Histogram:
    private = _private_from(message.private_edges) if message.HasField("private_edges") else None
    return query.Histogram(message.column, tuple(map(value_from, message.edges)), tuple(message.columns), private)


def _histogram_to(asked: query.Histogram) -> pb.Histogram:
    private = None if asked.private_edges is None else _private_to(asked.private_edges)
    edges = map(value_to, asked.edges)
    return pb.Histogram(column=asked.column, edges=edges, columns=asked.columns, private_edges=private)


def _grid_from(message: pb.Grid) -> query.Grid:
    return query.Grid(message.column, value_from(message.least), value_from(message.most), message.step or 1)


def _grid_to(asked: query.Grid) -> pb.Grid:
    return pb.Grid(column=asked.column, least=value_to(asked.least), most=value_to(asked.most), step=asked.step)


def _program_from(message: pb.PackagedProgram) -> query.PackagedProgram:
    inputs = tuple(
        query.ProgramInput(
            each.name,
            each.column,
            tuple(each.codes) or None,
            value_from(each.least) if each.HasField("least") else None,
            value_from(each.most) if each.HasField("most") else None,
        )
        for each in message.inputs
    )
    settings = tuple(query.ProgramSetting(each.name, each.value) for each in message.settings)
    return query.PackagedProgram(message.name, inputs, settings, message.digest, message.descriptor)


def _program_to(asked: query.PackagedProgram) -> pb.PackagedProgram:
    inputs = [
        pb.ProgramInput(
            name=each.name,
            column=each.column,
            codes=each.codes,
            least=None if each.least is None else value_to(each.least),
            most=None if each.most is None else value_to(each.most),
        )
        for each in asked.inputs
    ]
    settings = [pb.ProgramSetting(name=each.name, value=each.value) for each in asked.settings]
    return pb.PackagedProgram(
        name=asked.name, inputs=inputs, settings=settings, digest=asked.digest, descriptor=asked.descriptor
    )


def _covariate_from(message: pb.Covariate) -> query.Covariate:
    own = message.numbers
    numbers = query.Numbers(own.least, own.most, own.step or 1) if message.HasField("numbers") else None
    return query.Covariate(message.column, tuple(message.codes) or None, numbers)


def _covariate_to(asked: query.Covariate) -> pb.Covariate:
    own = asked.numbers
    numbers = None if own is None else pb.Numbers(least=own.least, most=own.most, step=own.step)
    return pb.Covariate(column=asked.column, codes=asked.codes, numbers=numbers)


def _outcome_from(message: pb.Outcome) -> query.Outcome:
    return query.Outcome(message.column, value_from(message.least), value_from(message.most))


def _outcome_to(asked: query.Outcome) -> pb.Outcome:
    return pb.Outcome(column=asked.column, least=value_to(asked.least), most=value_to(asked.most))


_FROM: Mapping[str, Callable[[Any], Any]] = {
    "count_by": lambda message: query.CountBy(tuple(message.columns)),
    "overlap": lambda message: query.Overlap(),
    "rate": lambda message: query.Rate(
        tuple(message.columns),
        tuple(query.Population(tuple(entry.codes), entry.people) for entry in message.population),
        message.per or query.Rate.per,
    ),
    "histogram": _histogram_from,
    "cross_tab": lambda message: query.CrossTab(tuple(map(_told_from, message.columns))),
    "corridors": _corridors_from,
    "funnel": _funnel_from,
    "summary": lambda message: query.Summary(
        tuple(
            query.Measure(each.column, value_from(each.least), value_from(each.most), each.variance, each.step or 1)
            for each in message.measures
        ),
        tuple(message.columns),
    ),
    "repeats": lambda message: query.Repeats(
        message.column, message.least, message.most, tuple(message.within), tuple(message.columns)
    ),
    "survival": _survival_from,
    "chi_square": lambda message: query.ChiSquare(_coded_from(message.rows), _coded_from(message.columns)),
    "kruskal_wallis": lambda message: query.KruskalWallis(
        _coded_from(message.groups), message.column, tuple(map(value_from, message.edges))
    ),
    "t_test": lambda message: query.TTest(_groups_from(message.groups), _grid_from(message.of)),
    "correlation": lambda message: query.Correlation(tuple(map(_grid_from, message.of))),
    "quantiles": lambda message: query.Quantiles(_grid_from(message.of), tuple(message.at), tuple(message.columns)),
    "hit": lambda message: query.Hit(message.least_list, message.each),
    "program": _program_from,
    "linear_regression": lambda message: query.LinearRegression(
        _outcome_from(message.outcome), tuple(map(_covariate_from, message.covariates))
    ),
    "logistic_regression": lambda message: query.LogisticRegression(
        query.Events(message.outcome.column, tuple(message.outcome.codes)),
        tuple(map(_covariate_from, message.covariates)),
    ),
}
_TO: Mapping[str, Callable[[Any], Any]] = {
    "count_by": lambda asked: pb.CountBy(columns=asked.columns),
    "overlap": lambda asked: pb.Overlap(),
    "rate": lambda asked: pb.Rate(
        columns=asked.columns,
        population=[pb.Population(codes=entry.codes, people=entry.people) for entry in asked.population],
        per=asked.per,
    ),
    "histogram": _histogram_to,
    "cross_tab": lambda asked: pb.CrossTab(columns=map(_told_to, asked.columns)),
    "corridors": _corridors_to,
    "funnel": _funnel_to,
    "summary": lambda asked: pb.Summary(
        measures=[
            pb.Measure(
                column=each.column,
                least=value_to(each.least),
                most=value_to(each.most),
                variance=each.variance,
                step=each.step,
            )
            for each in asked.measures
        ],
        columns=asked.columns,
    ),
    "repeats": lambda asked: pb.Repeats(
        column=asked.column, least=asked.least, most=asked.most, within=asked.within, columns=asked.columns
    ),
    "survival": _survival_to,
    "chi_square": lambda asked: pb.ChiSquare(rows=_coded_to(asked.rows), columns=_coded_to(asked.columns)),
    "kruskal_wallis": lambda asked: pb.KruskalWallis(
        groups=_coded_to(asked.groups), column=asked.column, edges=map(value_to, asked.edges)
    ),
    "t_test": lambda asked: pb.TTest(groups=_groups_to(asked.groups), of=_grid_to(asked.of)),
    "correlation": lambda asked: pb.Correlation(of=map(_grid_to, asked.of)),
    "quantiles": lambda asked: pb.Quantiles(of=_grid_to(asked.of), at=asked.at, columns=asked.columns),
    "hit": lambda asked: pb.Hit(least_list=asked.least_list, each=asked.each),
    "program": _program_to,
    "linear_regression": lambda asked: pb.LinearRegression(
        outcome=_outcome_to(asked.outcome), covariates=map(_covariate_to, asked.covariates)
    ),
    "logistic_regression": lambda asked: pb.LogisticRegression(
        outcome=pb.Events(column=asked.outcome.column, codes=asked.outcome.codes),
        covariates=map(_covariate_to, asked.covariates),
    ),
}


def statistic_from(message: pb.JointQuery) -> query.Statistic:
    """None is set where the message has none: `gateway.rules.queries` refuses that."""
    kind = message.WhichOneof("statistic")
    return query.Statistic() if kind is None else query.Statistic(**{kind: _FROM[kind](getattr(message, kind))})


def value_from(message: pb.Value) -> str | int:
    return int(message.integer) if message.WhichOneof("kind") == "integer" else str(message.text)


def value_to(value: str | int) -> pb.Value:
    return pb.Value(text=value) if isinstance(value, str) else pb.Value(integer=value)


def put_statistic(message: pb.JointQuery, asked: query.Statistic) -> None:
    getattr(message, asked.name).CopyFrom(_TO[asked.name](getattr(asked, asked.name)))
