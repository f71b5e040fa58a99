"""Logs, set up in one place: lines for people on a terminal, JSON elsewhere, and nothing private in either.

Whatever is logged with `structlog` or the standard `logging` goes through `masked` before it is written. A server that
would set up logging by itself is started without that (uvicorn: `log_config=None`).
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

from tellwire.errors import TellwireError
from tellwire.observability.masking import masked


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
    writer = logging.StreamHandler(out) if stream else _Stderr()
    writer.setFormatter(formatter)
    logging.basicConfig(handlers=[writer], level=level, force=True)
    structlog.configure(
        processors=[*first, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what is stderr when something is logged: it may be another stream than at the start."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Return stderr."""
        return sys.stderr


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
