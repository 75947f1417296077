"""What reaches the log, and what never does."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog
from pydantic import BaseModel, ValidationError
from structlog.contextvars import bound_contextvars

from sync_engine.errors import UnavailableError
from sync_engine.observability import App, LogLevel, Receive, Scope, Send, configure_logging, request_ids


class Log:
    """Collects what is logged; every line read back as JSON."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]


@pytest.fixture
def log() -> Iterator[Log]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    log = Log()
    configure_logging("json", "info", log.stream)
    yield log
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


class Person(BaseModel):
    age: int


def test_an_event_is_one_json_line_with_an_utc_timestamp_and_bound_fields(log: Log) -> None:
    with bound_contextvars(connection_id="c1"):
        structlog.get_logger().info("pull_finished", meetings=12, duration_ms=840)

    line = log.last
    assert (line["event"], line["level"], line["connection_id"], line["meetings"]) == (
        "pull_finished",
        "info",
        "c1",
        12,
    )
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "key",
    [
        "access_token",
        "clientSecret",
        "password",
        "Authorization",
        "api_key",
        "title",
        "meeting_title",
        "email",
        "organizer",
        "participants",
        "body",
        "description",
        "notes",
        "join_url",
        "location",
    ],
)
def test_a_sensitive_field_is_masked_wherever_it_stands(log: Log, key: str) -> None:
    structlog.get_logger().info(
        "pushed", **{key: "private words"}, details=[{"inner": {key: ["private words"]}}]
    )

    assert "private words" not in log.stream.getvalue()
    assert log.last[key] == "***"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("participants", 3),
        ("title_length", 12),
        ("task_name", "pull"),
        ("provider", "beta"),
        ("token_expired", True),
        ("url", "http://127.0.0.1:8080/console"),
        ("host", "127.0.0.1"),
        ("meeting_id", "018f"),
        ("body", None),
    ],
)
def test_counts_names_and_ids_stay_readable(log: Log, key: str, value: object) -> None:
    structlog.get_logger().info("pushed", **{key: value})

    assert log.last[key] == value


@pytest.mark.parametrize(
    "text",
    [
        "host anna@acme.example has no licence",
        "GET https://x.example/y?q=anna-acme failed",
        "sent Bearer anna-acme-token",
    ],
)
def test_addresses_queries_and_credentials_are_scrubbed_from_any_text(log: Log, text: str) -> None:
    structlog.get_logger().info("refused", detail=text, several=[text])
    logging.getLogger("celery.worker").warning("%s", text)

    assert "anna" not in log.stream.getvalue()
    assert len(log.lines) == 2


def test_an_exception_of_others_shows_its_type_and_place_but_not_what_it_quotes(log: Log) -> None:
    with pytest.raises(ValidationError) as caught:
        Person.model_validate({"age": "private words"})

    structlog.get_logger().error("record_refused", exc_info=caught.value)
    logging.getLogger("elsewhere").error("failed", exc_info=caught.value)

    assert "private words" not in log.stream.getvalue()
    for line in log.lines:
        assert "ValidationError" in line["exception"]
        assert "test_observability.py" in line["exception"]


def test_an_exception_of_ours_shows_its_message_and_its_cause(log: Log) -> None:
    try:
        try:
            raise ValueError("private words")
        except ValueError as error:
            raise UnavailableError("no answer within 30 s") from error
    except UnavailableError:
        structlog.get_logger().exception("pull_failed")

    assert "UnavailableError: no answer within 30 s" in log.last["exception"]
    assert "ValueError" in log.last["exception"]
    assert "private words" not in log.stream.getvalue()


@pytest.mark.parametrize(
    "name", ["httpx", "httpcore", "uvicorn.access", "uvicorn.error", "sqlalchemy.engine"]
)
def test_libraries_are_heard_from_warning_on(log: Log, name: str) -> None:
    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("trouble")

    assert [(line["event"], line["logger"]) for line in log.lines] == [("trouble", name)]


@pytest.mark.parametrize(("level", "heard"), [("debug", ["d", "i"]), ("info", ["i"]), ("error", [])])
def test_the_level_holds_for_our_own_events(log: Log, level: LogLevel, heard: list[str]) -> None:
    configure_logging("json", level, log.stream)
    logger = structlog.get_logger("sync_engine.services.pull")

    logger.debug("d")
    logger.info("i")

    assert [line["event"] for line in log.lines] == heard


def test_configuring_twice_writes_every_line_once(log: Log) -> None:
    configure_logging("json", "info", log.stream)

    structlog.get_logger().info("once")
    logging.getLogger("other").warning("once")

    assert [line["event"] for line in log.lines] == ["once", "once"]


def test_columns_show_no_local_variables_of_a_failed_call(log: Log) -> None:
    configure_logging("console", "info", log.stream)

    def fail(secret: str) -> None:
        raise ValueError(secret)

    try:
        fail("private words")
    except ValueError:
        structlog.get_logger().exception("pull_failed", meetings=3)

    assert "pull_failed" in log.stream.getvalue()
    assert "ValueError" in log.stream.getvalue()
    assert "private words" not in log.stream.getvalue()


def test_away_from_a_terminal_the_log_is_json(log: Log) -> None:
    configure_logging("auto", "info", log.stream)

    structlog.get_logger().info("pulled")

    assert log.last["event"] == "pulled"


def answering_app() -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        structlog.get_logger().info("delivery_stored")
        await send({"type": "http.response.start", "status": 204, "headers": [(b"x-other", b"1")]})
        await send({"type": "http.response.body", "body": b""})

    return request_ids(app, new_id=lambda: "made-here")


@pytest.mark.parametrize(
    ("sent", "used"),
    [
        ({}, "made-here"),
        ({"X-Request-ID": "from-proxy.1"}, "from-proxy.1"),
        ({"X-Request-ID": 'x" injected'}, "made-here"),
        ({"X-Request-ID": "x" * 65}, "made-here"),
    ],
)
async def test_every_line_of_a_request_carries_its_id_and_so_does_the_answer(
    log: Log, sent: dict[str, str], used: str
) -> None:
    transport = httpx.ASGITransport(app=answering_app())

    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/", headers=sent)
    structlog.get_logger().info("afterwards")

    assert answer.headers["x-request-id"] == used
    assert answer.headers["x-other"] == "1"
    assert log.lines[0]["request_id"] == used
    assert "request_id" not in log.last
