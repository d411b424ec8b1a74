"""The log: one line per event, and nobody's record in it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.logging import about, configure_logging
from gateway.rules.text import escaped

SECRET = "Maria Jansen"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("info", stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_control_characters_are_escaped_in_names_and_values(out: io.StringIO) -> None:
    structlog.get_logger().info("hello\n{}", **{"who\r": "ann\x1b[2J\u202e\x7f\ud800"})
    (line,) = lines(out)
    assert line["event"] == "hello\\n{}"
    assert line["who\\r"] == "ann\\x1b[2J\\u202e\\x7f\\ud800"
    assert out.getvalue().rstrip("\n").isprintable()


def test_identifiers_are_bound_to_all_events_of_their_block(out: io.StringIO) -> None:
    log = structlog.get_logger()
    with about(computation="c1", contract="d1"):
        log.info("within")
        with about(computation="c2"):
            log.info("deeper")
    log.info("after")
    assert [(line.get("computation"), line.get("contract")) for line in lines(out)] == [
        ("c1", "d1"),
        ("c2", "d1"),
        (None, None),
    ]


def test_collections_and_objects_are_named_by_type_alone(out: io.StringIO) -> None:
    row = {"name": SECRET}
    structlog.get_logger().info(
        "read", row=row, rows=[row], key=SECRET.encode(), error=ValueError(SECRET), n=3, ok=True
    )
    (line,) = lines(out)
    assert (line["row"], line["rows"], line["key"], line["error"]) == ("<dict>", "<list>", "<bytes>", "ValueError")
    assert (line["n"], line["ok"]) == (3, True)
    assert SECRET not in out.getvalue()


def test_a_foreign_exception_is_logged_without_its_text(out: io.StringIO) -> None:
    try:
        int(SECRET)
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(out)
    assert line["problem"] == "ValueError"
    assert "test_a_foreign_exception" in line["where"]
    assert SECRET not in out.getvalue()


def test_our_own_errors_are_logged_with_reason_and_private_text(out: io.StringIO) -> None:
    try:
        raise IsthmusError(Reason.PARTY_DIED, "a party died", private="exit\ncode 9", space="https://b.example")
    except IsthmusError:
        structlog.get_logger().exception("failed")
    (line,) = lines(out)
    assert line["problem"] == "PARTY_DIED: a party died (https://b.example) [exit\\ncode 9]"


def test_other_libraries_are_heard_without_what_they_filled_in(out: io.StringIO) -> None:
    logging.getLogger("some.library").warning("cannot read %s", SECRET)
    logging.getLogger("some.library").log(35, "first line\n%s", SECRET)
    logging.getLogger("some.library").info("chatter")
    said = [(line["library"], line["level"], line["event"]) for line in lines(out)]
    assert said == [
        ("some.library", "warning", "cannot read %s"),
        ("some.library", "warning", "first line"),
    ]


def test_a_task_that_fails_unseen_is_logged_without_its_text(out: io.StringIO) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "Task exception was never retrieved", "exception": ValueError(SECRET)}
        )

    asyncio.run(main())
    (line,) = [line for line in lines(out) if line["level"] == "error"]
    assert line["event"] == "Task exception was never retrieved"
    assert line["problem"] == "ValueError"
    assert SECRET not in out.getvalue()


def test_events_below_the_level_are_left_out(out: io.StringIO) -> None:
    structlog.get_logger().debug("quiet")
    structlog.get_logger().info("loud")
    assert [line["event"] for line in lines(out)] == ["loud"]


def test_long_texts_are_cut(out: io.StringIO) -> None:
    structlog.get_logger().info("x", text="a" * 5000)
    (line,) = lines(out)
    assert line["text"] == "a" * 1000 + "… (5000 characters)"


@pytest.mark.parametrize("text", ["", "plain, Zoë 日本 \\n", "a b"])
def test_printable_text_is_left_alone(text: str) -> None:
    assert escaped(text) == text


def test_escaping_twice_changes_nothing() -> None:
    once = escaped("\x00\n\u2029\U000e0001")
    assert once == "\\x00\\n\\u2029\\U000e0001"
    assert escaped(once) == once
