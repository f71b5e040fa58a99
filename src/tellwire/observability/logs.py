"""Logs, set up in one place: lines for people on a terminal, JSON elsewhere, and nothing private in either.

Whatever is logged with `structlog` or the standard `logging` goes through `masked` before it is written. A server that
would set up logging by itself is started without that (uvicorn: `log_config=None`).
"""

from __future__ import annotations

import logging
import re
import sqlite3
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from msgspec import Struct

from tellwire.errors import TellwireError

MASK = "***"

_PRIVATE = re.compile(
    r"secret|token|authorization|password|cookie|signature|(api|admin|master)_?key|body|content|payload|\btext\b",
    re.IGNORECASE,
)
"""Keys whose values are never written: secrets, and what people wrote to each other."""

_IDENTIFIERS = frozenset(
    {
        *("phone_number_id", "waba_id", "account", "request_id", "inbound_id", "event_id", "delivery_id"),
        *("endpoint_id", "owner", "count"),
    }
)
"""Keys whose digits name a business's account or something of ours, not a person."""
_MAY_BE_A_PHONE = 1_000_000
"""A number of 7 digits or more may be a phone number."""

_IN_TEXT = re.compile(
    r"(?P<uuid>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)"
    r"|(?P<wamid>wamid\.[A-Za-z0-9+/=_-]+)"
    r"|(?P<key>\b(?:tw_|whsec_|EAA)[A-Za-z0-9+/=_-]{8,}|(?<=Bearer )\S+|(?<=://)[^/\s:@]*:[^/\s@]*(?=@))"
    r"|(?P<phone>\+\d[\d ().-]{6,20}\d|\d{7,})",
    re.IGNORECASE,
)


def set_up(stream: TextIO | None = None, *, as_json: bool | None = None, level: int = logging.INFO) -> None:
    """Send the logs of the whole process to `stream`, standard error unless given.

    Args:
        stream: where lines go.
        as_json: one JSON object a line; by default whenever `stream` is no terminal.
        level: the least level of `logging` that is written.
    """
    out = stream or sys.stderr
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if (as_json if as_json is not None else not out.isatty())
        else structlog.dev.ConsoleRenderer()
    )
    first: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *first],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _first_line_of_asyncio,
            structlog.processors.ExceptionRenderer(_render_exception),
            _mask,
            last,
        ],
    )
    writer = logging.StreamHandler(out)
    writer.setFormatter(formatter)
    logging.basicConfig(handlers=[writer], level=level, force=True)
    structlog.configure(
        processors=[*first, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def masked(value: object, key: str = "") -> object:
    """Return what may be written of a value that stands under `key`: plain JSON types, private parts replaced.

    Phone numbers keep their last two digits, message ids of Meta (which hold the number) their last twelve characters.
    """
    match value:
        case None | bool():
            return value
        case int() | float():
            return value if key in _IDENTIFIERS or abs(value) < _MAY_BE_A_PHONE else f"{MASK}{str(value)[-2:]}"
        case _ if _PRIVATE.search(key):
            return MASK
        case bytes():
            return f"<{len(value)} bytes>"
        case Mapping():
            return {str(masked(str(name))): masked(each, str(name)) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [masked(each, key) for each in value]
        case Struct():
            return f"<{type(value).__name__}>"
        case _:
            return str(value) if key in _IDENTIFIERS else _IN_TEXT.sub(_replacement, str(value))


def _replacement(found: re.Match[str]) -> str:
    text = found[0]
    match found.lastgroup:
        case "uuid":
            return text
        case "wamid":
            return f"wamid.{MASK}{text[-12:]}"
        case "phone":
            return f"{MASK}{text[-2:]}"
        case _:
            return MASK


def _render_exception(exc_info: structlog.typing.ExcInfo) -> str:
    """Return a traceback, without the messages of exceptions that may quote private values."""
    return _traceback(exc_info[1]).rstrip()


def _traceback(error: BaseException) -> str:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = [f"{_traceback(before)}\nand then\n" if before else "", *traceback.format_tb(error.__traceback__)]
    lines.append(f"{type(error).__name__}: {error}" if _is_safe_to_write(error) else type(error).__name__)
    if isinstance(error, BaseExceptionGroup):
        lines += [f"\nfor one\n{_traceback(each)}" for each in error.exceptions]
    return "".join(lines)


def _is_safe_to_write(error: BaseException) -> bool:
    """Return whether an exception's message is ours or the system's; another may quote a value, as `int("…")` does."""
    return isinstance(error, TellwireError | OSError | sqlite3.Error)


def _first_line_of_asyncio(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Cut what the event loop logs of a lost task to its first line: the others hold the message of its exception."""
    if event.get("logger") == "asyncio":
        event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _mask(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {name: value if name == "timestamp" else masked(value, name) for name, value in event.items()}
