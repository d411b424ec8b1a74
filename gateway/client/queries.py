"""Query files: YAML or JSON, read so that the text means what it says.

Invariants: a key stands once, an alias nowhere; only `true`, `false`, `null` and decimal numbers are anything
but text, so that the country code NO stays a text and a day stays as written; an error names file, line
and field.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from gateway.client.estimates import MODELS
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Query
from gateway.rules.queries import read_query

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 16
ADVICE = "docs/queries has examples"
_PLAIN = (
    (re.compile(r"true|false"), lambda text: text == "true"),
    (re.compile(r"null|~|"), lambda text: None),
    (re.compile(r"-?(?:0|[1-9][0-9]{0,17})"), int),
    (re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+"), float),
)


class QueryFile(NamedTuple):
    """A query, and the models by which the client shall estimate from its overlap table."""

    query: Query
    estimates: tuple[str, ...] = ()


def load_query(path: Path | str) -> QueryFile:
    """Raises IsthmusError(MALFORMED_QUERY) naming file, line and field."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise _malformed(f"{path} cannot be read: {problem.strerror}", advice="Check the path") from None
    if len(raw) > MAX_BYTES:
        raise _malformed(f"{path} is longer than {MAX_BYTES} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _malformed(f"{path} is not UTF-8 text") from None
    # JSON is YAML but for tabs, which inside its texts are written \t.
    return parse_query(text.replace("\t", " ") if path.suffix == ".json" else text, path.name)


def parse_query(text: str, name: str = "query file") -> QueryFile:
    """As `load_query`, for a text at hand; `name` is what errors call it."""
    lines: dict[str, int] = {}
    try:
        node = yaml.compose(text, Loader=_NoAliases)
        data = _plain(node, "", lines, 0) if node is not None else None
    except _Broken as broken:
        raise _malformed(f"{name}, line {broken.line}: {broken.text}", field=broken.field) from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise _malformed(f"{name}{where}: {getattr(problem, 'problem', None) or 'not YAML'}") from None
    try:
        models = _models(data)
        asked = read_query(data, what="query")
        if models and asked.statistic.overlap is None:
            raise _malformed("query: estimates are made from an overlap table", field="estimates")
    except IsthmusError as problem:
        raise _malformed(
            f"{name}{_where(problem.field, lines)}: {problem.public.removeprefix('query: ')}",
            field=problem.field,
            advice=problem.advice,
        ) from None
    return QueryFile(asked, models)


def _models(data: Any) -> tuple[str, ...]:
    """The key `estimates`, taken out of `data`: it is for this client and no part of the query."""
    models = data.pop("estimates", None) if isinstance(data, dict) else None
    if models is None:
        return ()
    if not isinstance(models, list):
        raise _malformed("query: estimates is a list of models", field="estimates", advice=", ".join(MODELS))
    for index, model in enumerate(models):
        if model not in MODELS:
            raise _malformed(
                f"query: there is no model {model!r:.40}",
                field=f"estimates[{index}]",
                advice=f"Choose from {', '.join(MODELS)}",
            )
    if len(set(models)) < 2:
        raise _malformed(
            "query: one model alone would be one number alone, and the literature disputes each of them",
            field="estimates",
            advice=f"Name at least two of {', '.join(MODELS)}",
        )
    return tuple(dict.fromkeys(models))


class _NoAliases(yaml.SafeLoader):
    """An alias makes a text mean more than a reader sees, without bound when nested."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise _Broken("an alias (*name) may not stand in a query", self.peek_event())  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)


class _Broken(Exception):
    def __init__(self, text: str, node: Any, field: str = "") -> None:
        super().__init__(text)
        self.text, self.line, self.field = text, node.start_mark.line + 1, field


def _plain(node: yaml.Node, path: str, lines: dict[str, int], depth: int) -> Any:
    """Plain values from YAML's nodes; `lines` collects the line of each field."""
    lines[path] = node.start_mark.line + 1
    if depth > MAX_DEPTH:
        raise _Broken(f"nested deeper than {MAX_DEPTH}", node, path)
    if isinstance(node, yaml.MappingNode):
        made: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Broken("a field's name is a text", key, path)
            field = f"{path}.{key.value}" if path else str(key.value)
            if key.value in made:
                raise _Broken(f"{key.value} stands here twice", key, field)
            made[key.value] = _plain(value, field, lines, depth + 1)
            lines[field] = key.start_mark.line + 1
        return made
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, f"{path}[{index}]", lines, depth + 1) for index, item in enumerate(node.value)]
    if getattr(node, "style", None) is None:  # not quoted
        for pattern, value in _PLAIN:
            if pattern.fullmatch(node.value):
                return value(node.value)
    return node.value


def _where(field: str, lines: dict[str, int]) -> str:
    """The line of `field`, or of what should hold it."""
    while field and field not in lines:
        field = re.sub(r"(?:^|\.)[^.\[\]]*$|\[[0-9]+\]$", "", field)
    return f", line {lines[field]}" if field else ""


def _malformed(public: str, *, field: str = "", advice: str = ADVICE) -> IsthmusError:
    return IsthmusError(Reason.MALFORMED_QUERY, public, field=field, advice=advice)
