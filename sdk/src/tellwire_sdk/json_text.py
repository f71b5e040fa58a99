"""JSON whose numbers keep their text, so that what was read can be written again as it was given."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain, repeat
from typing import Any, NoReturn, Self

from tellwire_sdk.errors import Reason, WebhookError

PLAIN_INTEGER = 600
"""The most digits of an integer that becomes an int: fewer than the lowest limit that Python can be set to."""


_encode_scalar = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class ExactFloat(float):
    """A number that also keeps its own `text`: `1.10` stays `1.10`, `1e999` stays itself though its value is inf."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __getnewargs__(self) -> tuple[str]:  # type: ignore[override]  # copies are made from the text
        return (self.text,)


class _Written(str):
    """A piece of text that is JSON already."""

    __slots__ = ()


def read_json(body: bytes | bytearray | memoryview) -> Any:
    """Return the value of a JSON text in UTF-8; numbers that an int or a float would change are `ExactFloat`.

    Raises:
        WebhookError: `not_bytes`, `not_json`.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise WebhookError(
            Reason.NOT_BYTES,
            f"give the raw bytes of the request's body, not {type(body).__name__}: parsing changes them",
        )
    try:
        return json.loads(
            str(body, "utf-8"), parse_float=ExactFloat, parse_int=_integer, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise WebhookError(
            Reason.NOT_JSON, "the body is not UTF-8: pass the bytes as received, not decompressed twice or decoded"
        ) from None
    except json.JSONDecodeError as error:
        raise WebhookError(Reason.NOT_JSON, f"the body is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise WebhookError(Reason.NOT_JSON, "the body is nested too deeply to be read") from None


def write_json(value: object) -> bytes:
    """Return compact JSON in UTF-8 of what `read_json` gives, without recursion, so that no depth is too much.

    Raises:
        WebhookError: `not_json` for a value that JSON cannot hold.
    """
    written: list[str] = []
    rest = [iter((value,))]
    while rest:
        for item in rest[-1]:
            match item:
                case _Written():
                    written.append(item)
                case Mapping():
                    rest.append(_object(item))
                    break
                case list() | tuple():
                    rest.append(_array(item))
                    break
                case _:
                    written.append(_scalar(item))
        else:
            rest.pop()
    return "".join(written).encode("utf-8", "backslashreplace")  # a lone surrogate becomes its own JSON escape


def _object(value: Mapping[Any, object]) -> Iterator[object]:
    yield _Written("{")
    for separator, (key, item) in zip(chain(("",), repeat(",")), value.items(), strict=False):
        if not isinstance(key, str):
            raise WebhookError(Reason.NOT_JSON, f"a key of a JSON object is text, not {type(key).__name__}")
        yield _Written(f"{separator}{_scalar(key)}:")
        yield item
    yield _Written("}")


def _array(value: list[object] | tuple[object, ...]) -> Iterator[object]:
    yield _Written("[")
    for separator, item in zip(chain(("",), repeat(",")), value, strict=False):
        yield _Written(separator)
        yield item
    yield _Written("]")


def _scalar(value: object) -> str:
    if isinstance(value, ExactFloat):
        return value.text
    try:
        return _encode_scalar(value)
    except (TypeError, ValueError):
        raise WebhookError(Reason.NOT_JSON, f"JSON has no place for this {type(value).__name__}") from None


def _integer(text: str) -> int | ExactFloat:
    return ExactFloat(text) if len(text) > PLAIN_INTEGER or text == "-0" else int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise WebhookError(Reason.NOT_JSON, f"the body is not JSON: {name} is not a number there")
