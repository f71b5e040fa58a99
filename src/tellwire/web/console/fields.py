"""PURE. Read the fields of a form as the API takes them, and show beside each what the API says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tellwire.web.console.api_calls import ApiProblem

Typed = Mapping[str, str]


def typed(form: Mapping[str, Any]) -> dict[str, str]:
    """Return what was typed into a form, with plain line ends, without files and without what every form carries."""
    return {
        name: value.replace("\r\n", "\n")
        for name, value in form.items()
        if isinstance(value, str) and name not in ("csrf", "once")
    }


def filled(given: Typed, *names: str) -> dict[str, Any]:
    """Return the fields that are not empty."""
    return {name: given[name] for name in names if given.get(name, "") != ""}


def number(text: str) -> int | float | str | None:
    """Return a number, None for nothing; what is no number stays a text, which the API refuses with its words."""
    text = text.strip()
    if not text:
        return None
    for kind in (int, float):
        try:
            found = kind(text)
        except ValueError:
            continue
        return found if abs(found) < 1e15 else text  # neither infinite nor not a number
    return text


def lines(text: str) -> list[str]:
    """Return the lines that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def json_of(text: str) -> Any:
    """Return what JSON says, the text itself where it is none: the API then says what it takes."""
    try:
        return json.loads(text) if text.strip() else []
    except (ValueError, RecursionError):
        return text


def faults_of(problem: ApiProblem) -> dict[str, str]:
    """Return what is wrong with a form by field: the first part of each pointer; under "" what is wrong with it all."""
    found: dict[str, str] = {}
    for error in problem.errors:
        name, _, within = error["pointer"].removeprefix("/").partition("/")
        words = f"{within}: {error['message']}" if within else error["message"]
        found[name] = f"{found[name]}; {words}" if name in found else words
    return {"": problem.detail, **found}
