"""PURE. Rules about several parts of a message at once: one of two, no two the same, at most so many in all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tellwire.meta.outgoing.shapes import Complaint, Rule, counted, quoted, step


def one_of(first: str, second: str) -> Rule:
    """Return the rule that exactly one of two members is given."""
    says = f"exactly one of {first} and {second}"

    def broken(value: Any) -> Iterator[Complaint]:
        if first in value and second in value:
            yield step(second), f"cannot stand beside {first}: give one of the two"
        elif first not in value and second not in value:
            yield step(first), f"is missing: give {first} or {second}"

    return Rule(says, broken)


def requires(first: str, second: str) -> Rule:
    """Return the rule that the second member is given wherever the first is."""

    def broken(value: Any) -> Iterator[Complaint]:
        if first in value and second not in value:
            yield step(second), f"is missing: {first} needs it"

    return Rule(f"{first} needs {second}", broken)


def forbidden(name: str, why: str) -> Rule:
    """Return the rule that a member is not given, because Meta does not take it here."""

    def broken(value: Any) -> Iterator[Complaint]:
        if name in value:
            yield step(name), why

    return Rule(f"no {name}", broken)


def unique(what: str, *path: str) -> Rule:
    """Return the rule that no two elements of a list have the same text or number at the end of `path`."""
    end = "".join(map(step, path))

    def broken(value: Any) -> Iterator[Complaint]:
        return repeated((step(number) + end, inner(item, *path)) for number, item in enumerate(value))

    return Rule(f"every {what} differs from the others", broken)


def repeated(found: Iterable[tuple[str, Any]]) -> Iterator[Complaint]:
    """Give a complaint about each value that was given before."""
    seen: set[Any] = set()
    for pointer, value in found:
        if not isinstance(value, str | int | float):
            continue
        if value in seen:
            shown = quoted(value) if isinstance(value, str) else "the same number"
            yield pointer, f"must differ from the others, {shown} was given before"
        seen.add(value)


def at_most_in_all(lists: str, of: str, most: int) -> Rule:
    """Return the rule that the lists `of`, inside a list of objects, have at most so many elements together."""

    def broken(value: Any) -> Iterator[Complaint]:
        number = sum(len(items) for _, items in nested(value, lists, of))
        if number > most:
            yield step(lists), f"must have at most {counted(most, of.rstrip('s'))} in all, {number} given"

    return Rule(f"at most {most} {of} over all {lists}", broken)


def unique_in_all(lists: str, of: str, name: str) -> Rule:
    """Return the rule that no two elements of the lists `of`, inside a list of objects, have the same `name`."""

    def broken(value: Any) -> Iterator[Complaint]:
        return repeated(
            (f"{at}{step(number)}{step(name)}", inner(item, name))
            for at, items in nested(value, lists, of)
            for number, item in enumerate(items)
        )

    return Rule(f"every {name} differs from the others, over all {lists}", broken)


def titled_when_several(lists: str) -> Rule:
    """Return the rule that each section has a title when there are several."""

    def broken(value: Any) -> Iterator[Complaint]:
        sections = value.get(lists)
        if isinstance(sections, list) and len(sections) > 1:
            for number, section in enumerate(sections):
                if isinstance(section, dict) and "title" not in section:
                    yield f"{step(lists)}/{number}/title", "is missing: it is needed as soon as there are two sections"

    return Rule("title needed with more than one section", broken)


def nested(value: Any, lists: str, of: str) -> Iterator[tuple[str, list[Any]]]:
    """Give the lists `of` inside a list of objects, each with its pointer."""
    outer = value.get(lists)
    for number, item in enumerate(outer if isinstance(outer, list) else ()):
        if isinstance(items := inner(item, of), list):
            yield f"{step(lists)}/{number}{step(of)}", items


def inner(value: Any, *path: str) -> Any:
    """Return the value at the end of a path through objects; None when it leads nowhere."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def same_on_every_card(what: str, *path: str, trait: Callable[[Any], Any] | None = None) -> Rule:
    """Return the rule that every card has the value of the first at the end of `path`, or the same `trait`; a None is
    ignored."""
    end = "".join(map(step, path))

    def broken(value: Any) -> Iterator[Complaint]:
        first = None
        for number, card in enumerate(value):
            shown = trait(card) if trait else inner(card, *path)
            first = shown if first is None else first
            if shown is not None and shown != first:
                yield step(number) + end, f"must have the same {what} as the first card"

    return Rule(f"the same {what} on every card", broken)
