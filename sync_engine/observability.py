"""How the log is written: events with fields, to stderr, with nothing personal in them."""

from __future__ import annotations

import logging
import re
import sys
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import IO, Any, Literal, TypeAlias

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.types import EventDict, Processor, WrappedLogger

from sync_engine.errors import SyncError

LogFormat: TypeAlias = Literal["auto", "json", "console"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

MASK = "***"

_OURS = ("sync_engine", "workers")

# They log whole URLs, statements with their parameters or every request; only their warnings are wanted.
_CHATTY = (
    "httpx",
    "httpcore",
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
    "sqlalchemy",
    "alembic",
    "asyncio",
)

_NEVER_SHOWN = re.compile(
    "apikey|authorization|cookies?|credentials?|dsn|passcodes?|passwords?|passwd|pin|pwd|secrets?|signature"
)
# Numbers under these names are counts ("participants=3"), so only what could be a person's words is masked.
_PERSONAL = re.compile(
    "agenda|attendees?|body|comments?|content|descriptions?|emails?|guests?|invitees?|locations?|mail|notes?|"
    "organizers?|participants?|payload|phone|sql|subject|summary|text|titles?|tokens?|topics?|transcripts?"
)
_PERSONAL_KEYS = frozenset({"join_url", "start_url", "first_name", "last_name", "full_name", "display_name"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_EMAIL = re.compile(r"[^\s@<>\"'(),;:=/]+@[^\s@<>\"'(),;:=/]+\.[^\s@<>\"'(),;:=/.]+")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}")
_QUERY = re.compile(r"(https?://[^\s?#\"']+)[?#][^\s\"']*")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_DEPTH = 6


def configure_logging(
    log_format: LogFormat = "auto",
    level: LogLevel = "info",
    stream: IO[str] | None = None,
) -> None:
    """Set up structlog and the standard library's logging alike; calling it again replaces the set-up.

    ``auto`` writes columns to a terminal and JSON elsewhere. ``stream`` is stderr unless given: stdout
    belongs to the answers of commands.
    """
    target = stream if stream is not None else sys.stderr
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        describe_exception,
        mask_sensitive,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        # A module's logger would otherwise keep the set-up of before.
        cache_logger_on_first_use=False,
    )
    in_columns = log_format == "console" or (log_format == "auto" and target.isatty())
    _route_standard_logging(_handler(target, shared, in_columns), threshold)


def _handler(target: IO[str], shared: list[Processor], in_columns: bool) -> logging.Handler:
    # The default way of columns to show an exception prints the local variables of every frame.
    columns = structlog.dev.ConsoleRenderer(
        colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    renderer: Processor = columns if in_columns else structlog.processors.JSONRenderer(default=str)
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), _name_logger, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            # The exception is in the event by then; without this it would be printed again, in full.
            keep_exc_info=False,
        )
    )
    handler.set_name("sync_engine")
    return handler


def _route_standard_logging(handler: logging.Handler, threshold: int) -> None:
    root = logging.getLogger()
    for known in [each for each in root.handlers if each.get_name() == handler.get_name()]:
        root.removeHandler(known)
    root.addHandler(handler)
    # Debugging means ours: the libraries' own debug lines hold what we mask.
    root.setLevel(max(logging.INFO, threshold))
    for name in _OURS:
        logging.getLogger(name).setLevel(threshold)
    for name in _CHATTY:
        logger = logging.getLogger(name)
        logger.setLevel(max(logging.WARNING, threshold))
        # Uvicorn installs handlers of its own; one line must not be written twice.
        logger.handlers.clear()
        logger.propagate = True


def _name_logger(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    if record is not None:
        event["logger"] = record.name
    return event


def describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its type, its place and, where we wrote it ourselves, its message.

    Messages of others quote what they choked on: pydantic the value, SQLAlchemy the parameters.
    """
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = safe_traceback(error)
    return event


def safe_traceback(error: BaseException) -> str:
    """Describe an exception and its causes without quoting any value; innermost cause first."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\n".join(_one_exception(each) for each in reversed(seen))


def _one_exception(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
    message = ""
    if isinstance(error, SyncError):
        message = f": {error}"
    elif isinstance(error, OSError) and error.strerror:
        message = f": {error.strerror}"
    return "\n".join(
        [f"{type(error).__module__}.{type(error).__qualname__}{message}", *(f"  {at}" for at in lines)]
    )


def mask_sensitive(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask what must never be logged, should it have been passed by mistake."""
    for key, value in event.items():
        # structlog's own record of the call; it is removed before anything is written.
        if not key.startswith("_"):
            event[key] = _masked(key, value, _DEPTH)
    return event


def _masked(key: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    kind = _kind(key)
    if kind == "never" or (kind == "personal" and not isinstance(value, int | float)):
        return MASK
    return _masked_value(value, depth)


def _masked_value(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _scrubbed(value)
    if isinstance(value, int | float | None):
        return value
    if depth == 0 or isinstance(value, bytes | bytearray):
        return MASK
    if isinstance(value, Mapping):
        return {str(key): _masked(str(key), inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked_value(inner, depth - 1) for inner in value]
    return _scrubbed(str(value))


def _kind(key: str) -> str:
    words = [word.lower() for word in _WORD.findall(key)]
    if any(_NEVER_SHOWN.fullmatch(word) for word in words) or {"api", "key"} <= set(words):
        return "never"
    # The last word says what a field is: "title_length" is a length, "meeting_title" a title.
    personal = "_".join(words) in _PERSONAL_KEYS or (words and _PERSONAL.fullmatch(words[-1]))
    return "personal" if personal else ""


def _scrubbed(text: str) -> str:
    if "@" in text:
        text = _EMAIL.sub(MASK, text)
    if "://" in text:
        text = _QUERY.sub(rf"\1?{MASK}", text)
    return _BEARER.sub(rf"\1 {MASK}", text)


def request_ids(app: App, new_id: Callable[[], str] = lambda: uuid.uuid4().hex) -> App:
    """Wrap an ASGI application: every log line of a request carries its ``request_id``.

    The id is the one a proxy sent as ``X-Request-ID`` if it looks like one, else a new one; it is
    answered in the same header.
    """

    async def with_request_id(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        sent = dict(scope["headers"]).get(b"x-request-id", b"")
        request_id = sent.decode() if _REQUEST_ID.fullmatch(sent) else new_id()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                message = {**message, "headers": headers}
            await send(message)

        with bound_contextvars(request_id=request_id):
            await app(scope, receive, send_with_id)

    return with_request_id
