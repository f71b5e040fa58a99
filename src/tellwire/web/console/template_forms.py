"""PURE. A message template as a form: a field for each variable, the text around them, and the message made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
_FILES = ("image", "video", "document")
_UNFILLED = ("catalog", "flow", "phone_number", "quick_reply", "voice_call", "app")
"""Buttons that can be sent without anything."""
_IMPOSSIBLE = ("carousel", "limited_time_offer")


class Field(Struct, frozen=True, kw_only=True):
    """A field of the form. `name`: its component, then the variable (`body.1`, `button.0`); `kind`: text, link (to a
    file) or code; `example` is the one that the template was approved with."""

    name: str
    part: str
    variable: str
    kind: str = "text"
    example: str = ""


class Piece(Struct, frozen=True):
    """A piece of the preview: a text, or the variable that the field `field` fills."""

    text: str
    field: str = ""


class TemplateForm(Struct, frozen=True, kw_only=True):
    """A template as a form. `fits`: whether a form can fill all that it needs. `body` is its plain text."""

    id: str
    name: str
    language: str
    category: str
    fields: tuple[Field, ...]
    header: tuple[Piece, ...]
    body: tuple[Piece, ...]
    footer: str
    buttons: tuple[str, ...]
    named: bool
    fits: bool

    @property
    def text(self) -> str:
        """Return the text of the body with its variables as they stand in the template."""
        return "".join(each.text for each in self.body)


def form_of(template: Mapping[str, Any]) -> TemplateForm:
    """Return the form of a template as the API lists it."""
    parts = {_text(each, "type").lower(): each for each in _list(template.get("components"))}
    header, body = _text(parts.get("header"), "text"), _text(parts.get("body"), "text")
    form = _text(parts.get("header"), "format").lower() or "text"
    fields = list(_header_fields(parts.get("header"), form))
    fields += _variables("body", body, _examples(parts.get("body"), "body_text"))
    buttons = _list(_inner(parts.get("buttons"), "buttons"))
    found = [_button_field(number, each) for number, each in enumerate(buttons)]
    fields += [each for each in found if isinstance(each, Field)]
    style = str(template.get("parameter_format") or "").upper()
    names = VARIABLE.findall(header) + VARIABLE.findall(body)
    return TemplateForm(
        id=template["id"],
        name=template["name"],
        language=template["language"],
        category=template["category"],
        fields=tuple(fields),
        header=tuple(_pieces("header", header)) if form == "text" else (),
        body=tuple(_pieces("body", body)),
        footer=_text(parts.get("footer"), "text"),
        buttons=tuple(_text(each, "text") or _text(each, "type") for each in buttons),
        named=style == "NAMED" or (not style and not all(each.isdecimal() for each in names)),
        fits=form in ("text", *_FILES)
        and not parts.keys() & set(_IMPOSSIBLE)
        and all(each is not False for each in found),
    )


def message_of(form: TemplateForm, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the object `template` of a message, with what was typed into the fields."""
    components: dict[str, dict[str, Any]] = {}
    for field in form.fields:
        part, _, rest = field.name.partition(".")
        value = given.get(field.name, "").strip()
        if part == "button":
            parameter = {"type": "coupon_code", "coupon_code": value} if field.kind == "code" else _said(value)
            sub_type = "copy_code" if field.kind == "code" else "url"
            component = {"type": "button", "sub_type": sub_type, "index": rest, "parameters": [parameter]}
            components[field.name] = component
            continue
        parameter = {"type": rest, rest: {"link": value}} if field.kind == "link" else _said(value)
        if form.named and field.kind == "text":
            parameter["parameter_name"] = field.variable
        components.setdefault(part, {"type": part, "parameters": []})["parameters"].append(parameter)
    message = {"name": form.name, "language": {"code": form.language}}
    return message | ({"components": list(components.values())} if components else {})


def _said(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def _header_fields(header: Any, form: str) -> Iterator[Field]:
    if form in _FILES:
        yield Field(name=f"header.{form}", part="header", variable=form, kind="link")
    elif form == "text":
        yield from _variables("header", _text(header, "text"), _examples(header, "header_text"))


def _variables(part: str, text: str, examples: list[str]) -> Iterator[Field]:
    for number, name in enumerate(dict.fromkeys(VARIABLE.findall(text))):
        example = examples[number] if number < len(examples) else ""
        yield Field(name=f"{part}.{name}", part=part, variable=name, example=example)


def _button_field(number: int, button: Any) -> Field | bool:
    """Return the field that a button needs: True for none, False for one that no form can fill."""
    kind = _text(button, "type").lower()
    name, title = f"button.{number}", _text(button, "text")
    if kind == "url":
        variable = VARIABLE.search(_text(button, "url"))
        return Field(name=name, part="button", variable=title or "1") if variable else True
    if kind in ("otp", "copy_code"):
        return Field(name=name, part="button", variable=title or kind, kind="code" if kind == "copy_code" else "text")
    return kind in _UNFILLED


def _pieces(part: str, text: str) -> Iterator[Piece]:
    end = 0
    for found in VARIABLE.finditer(text):
        if found.start() > end:
            yield Piece(text[end : found.start()])
        yield Piece(found[0], f"{part}.{found[1]}")
        end = found.end()
    if end < len(text):
        yield Piece(text[end:])


def _examples(component: Any, name: str) -> list[str]:
    """Return the examples of a component's variables; Meta nests those of a body."""
    found = _list(_inner(component, "example", name)) or [
        _inner(each, "example") for each in _list(_inner(component, "example", f"{name}_named_params"))
    ]
    found = found[0] if found and isinstance(found[0], list) else found
    return [each for each in found if isinstance(each, str)]


def _inner(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: Any, name: str) -> str:
    found = _inner(value, name)
    return found if isinstance(found, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
