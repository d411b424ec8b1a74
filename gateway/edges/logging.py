"""The log: JSON lines for the operator.

Invariants: one event is one line, and no name that a stranger chose breaks it or hides in it; a field is a
number, a flag or a short text, anything else is named by its type alone, since a list, a mapping or an object
may be somebody's record; an exception is logged as its type and where it was raised, without its text, which
may quote what it choked on (an IsthmusError's texts are written by us and are kept); of other libraries'
messages the template's first line is kept and not what was filled in.

Use `structlog.get_logger()`; bind what the work is about with `about(computation=…, contract=…)`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from collections.abc import Iterator
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from gateway.domain.errors import IsthmusError
from gateway.rules.text import escaped

LONGEST = 1000
# Frames of a traceback, innermost last.
FRAMES = 8


def configure_logging(level: str, stream: TextIO | None = None) -> None:
    """Write events of `level` (debug, info, warning, error) and above to `stream`, or to stderr.

    The libraries' logs (asyncio, grpc) come along from warning on.
    """
    out = sys.stderr if stream is None else stream
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _plain,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Library()], force=True)


@contextlib.contextmanager
def about(*, computation: str = "", contract: str = "") -> Iterator[None]:
    """Bind the identifiers that are given to all events of this task until the block ends."""
    given = {"computation": computation, "contract": contract}
    with structlog.contextvars.bound_contextvars(**{name: value for name, value in given.items() if value}):
        yield


def _plain(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    plain: EventDict = {}
    for name, value in event.items():
        if name == "exc_info":
            plain.update(_problem(value))
        else:
            plain[escaped(str(name))] = _field(value)
    return plain


def _field(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, BaseException):
        return _named(value)
    if isinstance(value, str):
        text = escaped(value[:LONGEST])
        return text if len(value) <= LONGEST else f"{text}… ({len(value)} characters)"
    return f"<{type(value).__name__}>"


def _problem(exc_info: object) -> dict[str, str]:
    if exc_info is True:
        exc_info = sys.exc_info()
    problem = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if not isinstance(problem, BaseException):
        return {}
    frames = traceback.extract_tb(problem.__traceback__)[-FRAMES:]
    where = " > ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
    fields = {"problem": _named(problem), "where": escaped(where)}
    if problem.__cause__ is not None:
        fields["cause"] = _named(problem.__cause__)
    return fields


def _named(problem: BaseException) -> str:
    if isinstance(problem, IsthmusError):
        text = f"{problem.reason}: {problem}"
        return escaped(f"{text} [{problem.private}]" if problem.private else text)
    return type(problem).__name__


class _Library(logging.Handler):
    """Other libraries' records, through the same processors."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(library=record.name)
        # The template, never getMessage(): what libraries fill in may be anything. Its first line alone:
        # asyncio appends the repr of a failed task, exception and all.
        fields = {"exc_info": record.exc_info} if record.exc_info else {}
        write = log.error if record.levelno >= logging.ERROR else log.warning
        write(str(record.msg).partition("\n")[0], **fields)
