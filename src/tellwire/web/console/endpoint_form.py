"""PURE. The form of a webhook endpoint: its fields, what was typed into them, and the body that the API takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from tellwire.web.console.words import words

Kind = Literal["choice", "yes", "number", "whole", "numbers", "names"]


class Option(Struct, frozen=True):
    """An advanced option: `choices` of a choice, `formats` that alone have it (none: all)."""

    name: str
    kind: Kind
    choices: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    default: str = ""


OPTIONS: tuple[Option, ...] = (
    Option("ordering", "choice", ("keyed", "strict", "none"), default="keyed"),
    Option("updates", "choice", ("full", "changed"), ("row",), default="full"),
    Option("conversation_ids", "choice", ("conversation", "message"), ("chat",), default="conversation"),
    Option("batching", "choice", ("item", "as_received"), ("meta",), default="item"),
    Option("json", "choice", ("verbatim", "canonical"), default="verbatim"),
    Option("fields", "names", formats=("meta",)),
    Option("echoes", "yes", formats=("meta",)),
    Option("standby", "yes", default="on"),
    Option("external", "yes", default="on"),
    Option("history", "yes"),
    Option("timeout_seconds", "number"),
    Option("head_of_line_seconds", "number"),
    Option("max_in_flight", "whole"),
    Option("rate_limit_per_second", "number"),
    Option("retry_schedule", "numbers"),
    Option("hub_signature", "yes"),
    Option("wappcloud_signature", "choice", ("prefixed", "bare"), ("chat",), default="prefixed"),
    Option("rotating_signature", "choice", ("old", "new"), default="old"),
)

_BUFFER_SECONDS = 2.0
_BUFFER_MOST = 20
"""What is taken where only the other is typed."""
_BUFFER = ("buffer_seconds", "buffer_most", "buffer_types")
_TEXTS = ("url", "description", "other_accounts", *_BUFFER)
SECRETS = ("token", "verify_token", "secret", "headers")
"""What is typed into these is never shown again, not even beside an error."""

Typed = dict[str, Any]
"""A field's name → what stands in it: a text, or a list of those that are ticked."""


class Refused(Exception):  # noqa: N818 - named after what is wrong
    """Something that was typed cannot be sent; `errors` has the words by field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(errors)
        self.errors = errors


def empty(formats: Sequence[str]) -> Typed:
    """Return the form of a new endpoint."""
    typed: Typed = dict.fromkeys(_TEXTS, "")
    typed |= {option.name: option.default for option in OPTIONS}
    return typed | {"format": formats[0], "events": [], "accounts": []}


def typed_of(form: Any) -> Typed:
    """Return what came with a form."""
    typed: Typed = {name: str(form.get(name, "")).strip() for name in (*_TEXTS, *SECRETS, "format")}
    typed |= {option.name: str(form.get(option.name, "")).strip() for option in OPTIONS}
    for name in ("events", "accounts"):
        typed[name] = [str(each) for each in form.getall(name, [])]
    return typed | {name: bool(form.get(name)) for name in ("token_away", "headers_away")}


def of_endpoint(endpoint: Mapping[str, Any], accounts: Sequence[Mapping[str, Any]]) -> Typed:
    """Return the form of an endpoint as it is."""
    typed: Typed = {option.name: _shown(option, endpoint[option.name]) for option in OPTIONS}
    names = {account[key]: account["phone_number_id"] for account in accounts for key in ("id", "phone_number_id")}
    buffer = endpoint["buffer"] or {}
    return typed | {
        "url": endpoint["url"],
        "format": endpoint["format"],
        "description": endpoint["description"],
        "events": list(endpoint["events"]),
        "accounts": [names[each] for each in endpoint["accounts"] if each in names],
        "other_accounts": ", ".join(each for each in endpoint["accounts"] if each not in names),
        "buffer_seconds": _plain(buffer.get("seconds")),
        "buffer_most": _plain(buffer.get("most")),
        "buffer_types": ", ".join(buffer.get("types", ())),
    }


def draft(typed: Typed) -> dict[str, Any]:
    """Return the body that creates an endpoint.

    Raises:
        Refused: something is no number, or no header.
    """
    body = _body(typed) | {"format": typed["format"]}
    return body | {name: typed[name] for name in ("token", "verify_token", "secret") if typed[name]}


def change(typed: Typed) -> dict[str, Any]:
    """Return the body that changes an endpoint; secrets that were not typed anew stay as they are.

    Raises:
        Refused: as `draft`.
    """
    body = _body(typed) | {name: typed[name] for name in ("token", "verify_token") if typed[name]}
    body |= {"token": None} if typed["token_away"] else {}
    return body | ({"headers": None} if typed["headers_away"] else {})


def _body(typed: Typed) -> dict[str, Any]:
    reading = _Reading(typed)
    body: dict[str, Any] = {"url": typed["url"], "description": typed["description"], "events": typed["events"]}
    body["accounts"] = list(dict.fromkeys([*typed["accounts"], *_names(typed["other_accounts"])]))
    for option in OPTIONS:
        if not option.formats or typed["format"] in option.formats:
            body[option.name] = reading.option(option)
    body["buffer"] = reading.buffer()
    if typed["headers"]:
        body["headers"] = reading.value("headers", _headers, "endpoint_form.no_headers")
    if reading.errors:
        raise Refused(reading.errors)
    return body


class _Reading:
    """Reads what was typed, and collects in `errors` what cannot be read."""

    def __init__(self, typed: Typed) -> None:
        self._typed = typed
        self.errors: dict[str, str] = {}

    def value(self, name: str, reader: Callable[[str], Any], otherwise: str) -> Any:
        """Return a value, None where nothing was typed; `otherwise` is the key of the words for what it is not."""
        try:
            return reader(self._typed[name]) if self._typed[name] else None
        except ValueError:
            self.errors[name] = words(otherwise)
            return None

    def option(self, option: Option) -> Any:
        """Return the value of an option."""
        if option.kind == "choice":
            return self._typed[option.name] or option.default
        if option.kind == "yes":
            return bool(self._typed[option.name])
        return self.value(option.name, *_READERS[option.kind])

    def buffer(self) -> dict[str, Any] | None:
        """Return how messages are collected, None for not at all."""
        if not self._typed["buffer_seconds"] and not self._typed["buffer_most"]:
            return None
        return {
            "seconds": self.value("buffer_seconds", *_READERS["number"]) or _BUFFER_SECONDS,
            "most": self.value("buffer_most", *_READERS["whole"]) or _BUFFER_MOST,
            "types": _names(self._typed["buffer_types"]),
        }


def field_errors(errors: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return what the API says of a body, by the field of the form that shows it."""
    found: dict[str, list[str]] = {}
    for error in errors:
        name = error["pointer"].split("/")[1] if error["pointer"].startswith("/") else ""
        found.setdefault("buffer_seconds" if name == "buffer" else name, []).append(error["message"])
    return {name: "; ".join(dict.fromkeys(messages)) for name, messages in found.items()}


def _shown(option: Option, value: Any) -> str:
    if option.kind == "yes":
        return "on" if value else ""
    if option.kind in ("numbers", "names"):
        return ", ".join(_plain(each) for each in value or ())
    return _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _names(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _numbers(text: str) -> list[float]:
    return [_number(each) for each in _names(text)]


def _headers(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise ValueError(line)
        found[name.strip()] = value.strip()
    return found


_READERS: dict[Kind, tuple[Callable[[str], Any], str]] = {
    "number": (_number, "endpoint_form.no_number"),
    "whole": (int, "endpoint_form.no_whole_number"),
    "numbers": (_numbers, "endpoint_form.no_numbers"),
    "names": (_names, ""),
}
