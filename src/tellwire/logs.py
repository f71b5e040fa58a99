"""Logs, set up in one place: lines for people on a terminal, JSON elsewhere, and nothing private in either.

Whatever speaks through `structlog` or the standard `logging` goes through `masked` before it is written. Servers that
bring a set-up of their own are started without it (uvicorn: `log_config=None`).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from msgspec import Struct

MASK = "***"

_PRIVATE = re.compile(
    r"secret|token|authorization|password|cookie|signature|(api|admin|master)_?key|body|content|payload|\btext\b",
    re.IGNORECASE,
)
"""Keys whose values are never written: secrets, and what people wrote to each other."""

_IDENTIFIERS = frozenset({"phone_number_id", "waba_id", "account"})
"""Keys whose digits name a business's account, not a person."""

_IN_TEXT = re.compile(
    r"(?P<uuid>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)"
    r"|(?P<wamid>wamid\.[A-Za-z0-9+/=_-]+)"
    r"|(?P<key>\b(?:tw_|whsec_|EAA)[A-Za-z0-9+/=_-]{8,}|(?<=Bearer )\S+|(?<=://)[^/\s:@]*:[^/\s@]*(?=@))"
    r"|(?P<phone>\+\d[\d ().-]{6,20}\d|(?<![0-9A-Za-z])\d{8,15}(?![0-9A-Za-z]))",
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
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
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
            structlog.processors.format_exc_info,
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
        case None | bool() | int() | float():
            return value
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


def _mask(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {name: value if name == "timestamp" else masked(value, name) for name, value in event.items()}
