"""PURE. Change a place in a webhook body of Meta's that a person names by a path."""

from __future__ import annotations

from typing import Any

import msgspec

from tellwire.errors import BadSettings

_ITEMS = ("messages", "statuses", "message_echoes", "calls", "groups", "history", "user_preferences", "user_id_update")


def changed(body: bytes, change: str) -> bytes:
    """Return a body with one place changed.

    Args:
        change: PATH=VALUE. A path of names and numbers with dots begins at the first message, status or notice; one
            that begins with a slash is a JSON pointer into the whole body. The value is JSON, or else text.

    Raises:
        BadSettings: it has no such form, or the path leads through something that is there and has no parts.
    """
    path, equals, value = change.partition("=")
    if not equals or not path.strip("/."):
        raise BadSettings(f"--set takes PATH=VALUE, such as text.body=Hi; not {change}")
    document = msgspec.json.decode(body)
    whole = path.startswith("/")
    steps = path[1:].split("/") if whole else path.split(".")
    place: Any = document if whole else _item(document)
    for step in steps[:-1]:
        place = _within(place, step, path)
    _put(place, steps[-1], _value(value), path)
    return msgspec.json.encode(document)


def _item(document: Any) -> Any:
    try:
        value = document["entry"][0]["changes"][0]["value"]
    except (LookupError, TypeError):
        return document
    for name in _ITEMS:
        if isinstance(value, dict) and isinstance(value.get(name), list) and value[name]:
            return value[name][0]
    return value


def _within(place: Any, step: str, path: str) -> Any:
    if isinstance(place, dict):
        return place.setdefault(step, {})
    if isinstance(place, list) and step.isdigit() and int(step) < len(place):
        return place[int(step)]
    raise _nowhere(place, step, path)


def _put(place: Any, step: str, value: Any, path: str) -> None:
    if isinstance(place, dict):
        place[step] = value
    elif isinstance(place, list) and step.isdigit() and int(step) < len(place):
        place[int(step)] = value
    else:
        raise _nowhere(place, step, path)


def _nowhere(place: Any, step: str, path: str) -> BadSettings:
    there = f"a list of {len(place)}" if isinstance(place, list) else "no object"
    return BadSettings(f"--set: {path} leads nowhere: {step} would be in {there}")


def _value(given: str) -> Any:
    try:
        return msgspec.json.decode(given)
    except msgspec.MsgspecError:
        return given
