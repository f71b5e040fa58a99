"""Logs, set up in one place: lines for people on a terminal, JSON elsewhere, and nothing private in either.

Whatever speaks through `structlog` or the standard `logging` goes through `masked` before it is written. Servers that
bring a set-up of their own are started without it (uvicorn: `log_config=None`).
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
_FEWEST = 1_000_000
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
            structlog.processors.ExceptionRenderer(_told),
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
    """What may be written of a value that stands under `key`: plain JSON types, private parts replaced.

    Phone numbers keep their last two digits, message ids of Meta (which hold the number) their last twelve characters.
    """
    match value:
        case None | bool():
            return value
        case int() | float():
            return value if key in _IDENTIFIERS or abs(value) < _FEWEST else f"{MASK}{str(value)[-2:]}"
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


def _told(exc_info: structlog.typing.ExcInfo) -> str:
    """A traceback without the words of exceptions that may quote what was being worked on."""
    return _story(exc_info[1]).rstrip()


def _story(error: BaseException) -> str:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    told = [f"{_story(before)}\nand then\n" if before else "", *traceback.format_tb(error.__traceback__)]
    told.append(f"{type(error).__name__}: {error}" if _speaks_for_itself(error) else type(error).__name__)
    if isinstance(error, BaseExceptionGroup):
        told += [f"\nfor one\n{_story(each)}" for each in error.exceptions]
    return "".join(told)


def _speaks_for_itself(error: BaseException) -> bool:
    """Whether its words are ours or the system's. Others may hold a value: `int("…")` quotes what is no number."""
    return isinstance(error, TellwireError | OSError | sqlite3.Error)


def _first_line_of_asyncio(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What the event loop says of a lost task shows the task's exception with its words: only the first line stays."""
    if event.get("logger") == "asyncio":
        event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _mask(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {name: value if name == "timestamp" else masked(value, name) for name, value in event.items()}
