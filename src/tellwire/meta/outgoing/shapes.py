"""PURE. Shapes of JSON values as data: one table checks messages and writes the page of their limits.

Lengths count Unicode code points.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, assert_never

from msgspec import Struct

Complaint = tuple[str, str]
"""What is wrong: a JSON pointer (RFC 6901), and plain words with the limit and what was given."""


class Rule(Struct, frozen=True):
    """A rule about the parts of a value: in words, and a function that gives where a value breaks it.

    `broken` is called with values whose parts may be of any type; its pointers are relative to the value.
    """

    says: str
    broken: Callable[[Any], Iterable[Complaint]]


class String(Struct, frozen=True):
    """A text of `least` to `most` characters. `pattern` must match all of it; `wants` says in words what that asks
    for."""

    most: int | None = None
    least: int = 1
    pattern: str = ""
    wants: str = ""


class Choice(Struct, frozen=True):
    """One of a few texts; `folded`: in any case."""

    among: tuple[str, ...]
    folded: bool = False


class Number(Struct, frozen=True):
    """A number. `whole`: it has no fraction; `texts`: it may be written as a text too."""

    least: float
    most: float
    whole: bool = False
    texts: bool = False


class Boolean(Struct, frozen=True):
    """One of true and false."""


class Anything(Struct, frozen=True):
    """Any JSON value."""


class ListOf(Struct, frozen=True):
    """A list of elements of one shape."""

    item: Shape
    least: int = 1
    most: int | None = None
    rules: tuple[Rule, ...] = ()


class Fields(Struct, frozen=True):
    """An object; other members than these are a complaint only where it is `closed`."""

    needs: Mapping[str, Shape] = {}
    may: Mapping[str, Shape] = {}
    rules: tuple[Rule, ...] = ()
    closed: bool = False


class Kinds(Struct, frozen=True):
    """An object whose member `by` names its shape, in any case when `folded`.

    `absent`: the kind of one without that member, "": there must be one. `others`: the shape of kinds that are not
    listed, None: there are none.
    """

    by: str
    kinds: Mapping[str, Fields | Kinds]
    folded: bool = False
    absent: str = ""
    others: Fields | None = None


Shape = String | Choice | Number | Boolean | Anything | ListOf | Fields | Kinds

_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,30})?")
_SHOWN = 40


def complaints(shape: Shape, value: object, at: str) -> Iterator[Complaint]:
    """Give everything that is wrong with a JSON value.

    Args:
        shape: what it should be.
        value: a decoded JSON value, whatever it holds.
        at: the JSON pointer that leads to it.
    """
    match shape:
        case String():
            wrong = _text(shape, value)
        case Choice():
            wrong = _word(shape, value)
        case Number():
            wrong = _number(shape, value)
        case Boolean():
            wrong = "" if isinstance(value, bool) else f"must be true or false, {kind(value)} was given"
        case Anything():
            wrong = ""
        case ListOf():
            yield from _each(shape, value, at)
            return
        case Fields():
            yield from _fields(shape, value, at)
            return
        case Kinds():
            yield from _kinds(shape, value, at)
            return
        case _:
            assert_never(shape)
    if wrong:
        yield at, wrong


def step(name: str | int) -> str:
    """Return one step of a JSON pointer, with its slash."""
    return "/" + str(name).replace("~", "~0").replace("/", "~1")


def kind(value: object) -> str:
    """Return what a JSON value is, in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"


def counted(number: int, noun: str) -> str:
    """Return a number of things: "1 card", "2 cards"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def quoted(value: str) -> str:
    """Return a text as a complaint shows it: in quotes, cut to 40 characters."""
    return f'"{value[:_SHOWN]}…"' if len(value) > _SHOWN else f'"{value}"'


def _text(shape: String, value: object) -> str:
    if not isinstance(value, str):
        return f"must be a text, {kind(value)} was given"
    if not value and shape.least:
        return "must not be empty"
    if len(value) < shape.least:
        return f"must have at least {counted(shape.least, 'character')}, {len(value)} given"
    if shape.most is not None and len(value) > shape.most:
        return f"must have at most {counted(shape.most, 'character')}, {len(value)} given"
    if shape.pattern and not re.fullmatch(shape.pattern, value):
        return f"must be {shape.wants}, {quoted(value)} was given"
    return ""


def _word(shape: Choice, value: object) -> str:
    given = value.lower() if shape.folded and isinstance(value, str) else value
    if isinstance(given, str) and given in shape.among:
        return ""
    shown = quoted(value) if isinstance(value, str) else kind(value)
    if len(shape.among) == 1:
        return f'must be "{shape.among[0]}", {shown} was given'
    return f"must be one of {', '.join(shape.among)}; {shown} was given"


def _number(shape: Number, value: object) -> str:
    if shape.texts and isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value) if "." in value else int(value)
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not isinstance(value, int | float) or (shape.whole and not whole):
        return f"must be a {'whole ' if shape.whole else ''}number, {_given(value)} was given"
    if not shape.least <= value <= shape.most:
        return f"must be from {shape.least:g} to {shape.most:.15g}, {_given(value)} was given"
    return ""


def _given(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**15 else "a number far beyond"
    return kind(value)


def _each(shape: ListOf, value: object, at: str) -> Iterator[Complaint]:
    if not isinstance(value, list):
        yield at, f"must be a list, {kind(value)} was given"
        return
    if len(value) < shape.least:
        given = "none" if not value else str(len(value))
        yield at, f"must have at least {counted(shape.least, 'element')}, {given} given"
    if shape.most is not None and len(value) > shape.most:
        yield at, f"must have at most {counted(shape.most, 'element')}, {len(value)} given"
    for number, item in enumerate(value[: shape.most]):
        yield from complaints(shape.item, item, f"{at}/{number}")
    yield from _between(shape.rules, value, at)


def _fields(shape: Fields, value: object, at: str, also: str = "") -> Iterator[Complaint]:
    if not isinstance(value, dict):
        yield at, f"must be an object, {kind(value)} was given"
        return
    for name, needed in shape.needs.items():
        if name in value:
            yield from complaints(needed, value[name], at + step(name))
        else:
            yield at + step(name), "is missing"
    for name, optional in shape.may.items():
        if name in value:
            yield from complaints(optional, value[name], at + step(name))
    if shape.closed:
        known = [*filter(None, (also,)), *shape.needs, *shape.may]
        for name in value:
            if name not in known:
                yield at + step(name), f"is not known here; known are {', '.join(known)}"
    yield from _between(shape.rules, value, at)


def _kinds(shape: Kinds, value: object, at: str) -> Iterator[Complaint]:
    if not isinstance(value, dict):
        yield at, f"must be an object, {kind(value)} was given"
        return
    given = value.get(shape.by, shape.absent or None)
    name = given.lower() if shape.folded and isinstance(given, str) else given
    found = shape.kinds.get(name, shape.others) if isinstance(name, str) else None
    if isinstance(found, Kinds):
        yield from _kinds(found, value, at)
    elif found is not None:
        yield from _fields(found, value, at, shape.by)
    elif shape.by not in value:
        yield at + step(shape.by), f"is missing; it is one of {', '.join(shape.kinds)}"
    else:
        yield at + step(shape.by), _word(Choice(tuple(shape.kinds)), given)


def _between(rules: Iterable[Rule], value: object, at: str) -> Iterator[Complaint]:
    for rule in rules:
        for pointer, words in rule.broken(value):
            yield at + pointer, words
