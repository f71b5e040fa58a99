"""PURE. A template message against its template, as it was synchronised: does it give every parameter, and no more?

Sources: Meta, "Templates" (components) and "Messages API" (template object). What is not known here of a template is
left to Meta.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct

from tellwire.meta.outgoing.rules import inner
from tellwire.meta.outgoing.shapes import Complaint, counted, kind, quoted
from tellwire.meta.outgoing.template import named_components, parameters
from tellwire.meta.raw_json import verbatim

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


class Button(Struct, frozen=True):
    """How a template's button is filled: as which `sub_type`, and whether it must be; "variable": when its URL has a
    variable."""

    sub_type: str
    filled: Literal["always", "maybe", "variable"]


BUTTONS: dict[str, Button] = {
    "quick_reply": Button("quick_reply", "maybe"),
    "url": Button("url", "variable"),
    "otp": Button("url", "always"),
    "copy_code": Button("copy_code", "always"),
    "flow": Button("flow", "maybe"),
    "catalog": Button("catalog", "maybe"),
    "mpm": Button("mpm", "always"),
    "voice_call": Button("voice_call", "maybe"),
    "order_details": Button("order_details", "always"),
}
"""By the button's type in the template; any other takes whatever is given."""
_UNFILLED = ("phone_number", "app")
_ALONE = ("image", "video", "document", "gif", "location", "product")
"""Header formats that are one parameter of the same name."""


class GivenComponent(Struct, frozen=True):
    """A component of the message; `component` None: there is none, and `at` is where it would stand."""

    at: str
    component: Any = None


def complaints(template_components: bytes, parameter_format: str, given: object) -> list[Complaint]:
    """Return every part of a message that does not fit its template.

    Args:
        template_components: Meta's `components`, JSON.
        parameter_format: Meta's `POSITIONAL` or `NAMED`; "" when it is not known.
        given: the object that the message sends as `template`, whatever it holds.
    """
    components, refused = verbatim.read(template_components)
    if refused or not isinstance(components, list):
        return []
    return list(_compared({"components": components}, given, parameter_format.upper(), "/template/components"))


def _compared(own: Any, given: Any, style: str, at: str) -> Iterator[Complaint]:
    """Compare a template, or one of its cards, with what is given for it."""
    theirs = {kind: component for _, kind, component in reversed(list(named_components(own)))}
    ours = {
        kind: GivenComponent(here, component) for here, kind, component in reversed(list(named_components(given, at)))
    }
    yield from _header(theirs.get("header"), ours.get("header", GivenComponent(at)), style)
    yield from _texts("body", theirs.get("body"), ours.get("body", GivenComponent(at)), style)
    buttons = inner(theirs.get("buttons"), "buttons")
    yield from _buttons(buttons if isinstance(buttons, list) else [], given, at)
    yield from _carousel(theirs.get("carousel"), ours.get("carousel", GivenComponent(at)), style)
    yield from _offer(theirs.get("limited_time_offer"), ours.get("limited_time_offer", GivenComponent(at)))


def _header(own: Any, given: GivenComponent, style: str) -> Iterator[Complaint]:
    form = inner(own, "format")
    form = form.lower() if isinstance(form, str) else "text"
    if form == "text":
        yield from _texts("header", own, given, style)
        return
    if form not in _ALONE:
        return
    found = list(parameters(given.component, given.at))
    if not found:
        yield given.at + _inside(given), f"the template's header needs its {form}"
    for at, parameter in found[:1]:
        if inner(parameter, "type") != form:
            yield f"{at}/type", f"must be {form}, as the template's header is one; {_shown(inner(parameter, 'type'))}"


def _texts(part: str, own: Any, given: GivenComponent, style: str) -> Iterator[Complaint]:
    text = inner(own, "text")
    if own is not None and not isinstance(text, str):
        return
    wanted = list(dict.fromkeys(_VARIABLE.findall(text))) if isinstance(text, str) else []
    found = list(parameters(given.component, given.at))
    if style == "NAMED" or (not style and not all(each.isdecimal() for each in wanted)):
        yield from _by_name(part, wanted, found, given)
        return
    if len(found) != len(wanted):
        words = f"the template's {part} has {counted(len(wanted), 'parameter') if wanted else 'no parameters'}"
        yield given.at + _inside(given), f"{words}, {len(found) or 'none'} given"
    for at, parameter in found:
        if inner(parameter, "parameter_name") is not None:
            yield f"{at}/parameter_name", "the template's parameters have no names but an order"


def _by_name(
    part: str, wanted: Sequence[str], found: Sequence[tuple[str, Any]], given: GivenComponent
) -> Iterator[Complaint]:
    names = [inner(parameter, "parameter_name") for _, parameter in found]
    for name in wanted:
        if name not in names:
            yield given.at + _inside(given), f"the template's {part} needs the parameter {quoted(name)}"
    known = f"they are {', '.join(wanted)}" if wanted else "it has none"
    for (at, _), name in zip(found, names, strict=True):
        if name is None:
            yield f"{at}/parameter_name", f"is missing: the parameters of the template's {part} have names; {known}"
        elif name not in wanted:
            yield f"{at}/parameter_name", f"is no parameter of the template's {part}; {known}"


def _buttons(own: Sequence[Any], given: Any, at: str) -> Iterator[Complaint]:
    filled: dict[int, GivenComponent] = {}
    for here, part, component in named_components(given, at):
        if part != "button":
            continue
        index = _index(inner(component, "index"))
        if index is None:
            continue
        if index >= len(own):
            yield f"{here}/index", f"the template has {counted(len(own), 'button')}, counted from 0; {index} was given"
        filled.setdefault(index, GivenComponent(here, component))
    for number, button in enumerate(own):
        yield from _button(number, button, filled.get(number, GivenComponent(at)))


def _button(number: int, own: Any, given: GivenComponent) -> Iterator[Complaint]:
    name = inner(own, "type")
    name = name.lower() if isinstance(name, str) else ""
    found = list(parameters(given.component, given.at))
    rule = BUTTONS.get(name)
    if rule is None:
        if found and name in _UNFILLED:
            yield f"{given.at}/parameters", f"the template's button {number} has no parameters"
        return
    sub_type = inner(given.component, "sub_type")
    if isinstance(sub_type, str) and sub_type.lower() != rule.sub_type:
        yield f"{given.at}/sub_type", f"the template's button {number} is {rule.sub_type}; {quoted(sub_type)} was given"
        return
    url = inner(own, "url")
    variable = isinstance(url, str) and bool(_VARIABLE.search(url))
    if not found and (rule.filled == "always" or (rule.filled == "variable" and variable)):
        yield given.at + _inside(given), f"the template's button {number} ({rule.sub_type}) needs its parameter"
    if found and rule.filled == "variable" and not variable:
        yield f"{given.at}/parameters", f"the URL of the template's button {number} has no parameter"


def _carousel(own: Any, given: GivenComponent, style: str) -> Iterator[Complaint]:
    cards = inner(own, "cards")
    cards = cards if isinstance(cards, list) else []
    found = inner(given.component, "cards")
    found = found if isinstance(found, list) else []
    if given.component is None:
        if cards:
            yield given.at, f"the template's carousel needs its {counted(len(cards), 'card')}"
        return
    if len(found) != len(cards):
        yield f"{given.at}/cards", f"the template has {counted(len(cards), 'card')}, {len(found)} given"
    by_index = {_index(inner(card, "card_index")): number for number, card in reversed(list(enumerate(found)))}
    for number, card in enumerate(cards):
        if (place := by_index.get(number)) is not None:
            yield from _compared(card, found[place], style, f"{given.at}/cards/{place}/components")
        elif len(found) == len(cards):
            yield f"{given.at}/cards", f"the card with the card_index {number} is missing"


def _offer(own: Any, given: GivenComponent) -> Iterator[Complaint]:
    if own is None and given.component is not None:
        yield f"{given.at}/type", "the template has no limited-time offer"
    if inner(own, "limited_time_offer", "has_expiration") is True and not list(parameters(given.component, given.at)):
        yield given.at + _inside(given), "the template's offer needs the time when it ends"


def _inside(given: GivenComponent) -> str:
    return "" if given.component is None else "/parameters"


def _index(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch("[0-9]{1,4}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _shown(value: Any) -> str:
    return f"{quoted(value) if isinstance(value, str) else kind(value)} was given"
