"""PURE. Turn WappCloud's way to name a template and its variables into Meta's template object.

Source: docs/reference/wappcloud.md, "Templates".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tellwire.accounts.templates import APPROVED, DELETED, Template
from tellwire.errors import Invalid
from tellwire.meta.outgoing.rules import inner
from tellwire.meta.outgoing.template import named_components
from tellwire.meta.raw_json import verbatim

DEFAULT_LANGUAGE = "en_US"
_MEDIA = ("image", "video", "document")
_VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


def meta_template(message: Mapping[str, Any], known: Sequence[Template]) -> dict[str, Any]:
    """Return Meta's template object of a message.

    Args:
        message: WappCloud's object `message`.
        known: the templates of that name, one for each language, as they were synchronised.

    Raises:
        Invalid: a field is wrong, or the language is not clear.
    """
    name = message.get("template_name")
    if not isinstance(name, str) or not name:
        raise Invalid("message.template_name must be a text.")
    there = [template for template in known if template.status != DELETED]
    language = _language(message, there)
    own = next((template for template in there if template.language == language), None)
    components = [*_header(message.get("header"), own), *_body(message.get("body")), *_buttons(message, own)]
    found: dict[str, Any] = {"name": name, "language": {"code": language}}
    return found | {"components": components} if components else found


def _language(message: Mapping[str, Any], there: Sequence[Template]) -> str:
    given = message.get("language")
    if given is not None:
        if not isinstance(given, str) or not given:
            raise Invalid("message.language must be a text such as en_US.")
        return given
    usable = [template for template in there if template.status == APPROVED] or there
    languages = sorted({template.language for template in usable})
    if len(languages) > 1:
        raise Invalid(f"The template has several languages ({', '.join(languages)}): name one in message.language.")
    return languages[0] if languages else DEFAULT_LANGUAGE


def _header(given: Any, own: Template | None) -> Iterator[dict[str, Any]]:
    if given is None:
        return
    kind = inner(given, "type")
    if kind == "text":
        parameter: dict[str, Any] = {"type": "text", "text": _text(inner(given, "text"), "message.header.text")}
        if own is not None and own.parameter_format.upper() == "NAMED":
            names = _VARIABLE.findall(str(inner(_own_parts(own).get("header"), "text")))
            parameter |= {"parameter_name": names[0]} if names else {}
    elif isinstance(kind, str) and kind in _MEDIA:
        file = {"link": _text(inner(given, "url"), "message.header.url")}
        if kind == "document" and (filename := inner(given, "filename")):
            file["filename"] = _text(filename, "message.header.filename")
        parameter = {"type": kind, kind: file}
    else:
        raise Invalid(f"message.header.type must be one of text, {', '.join(_MEDIA)}.")
    yield {"type": "header", "parameters": [parameter]}


def _body(given: Any) -> Iterator[dict[str, Any]]:
    if given is None:
        return
    variables = inner(given, "variables")
    if variables is None and isinstance(given, dict):
        return
    if not isinstance(variables, dict):
        raise Invalid('message.body.variables must be an object such as {"1": "Ada"}.')
    texts = {name: _text(value, f"message.body.variables.{name}") for name, value in variables.items()}
    if not texts:
        return
    if not any(name.isdecimal() for name in texts):
        parameters = [{"type": "text", "parameter_name": name, "text": text} for name, text in texts.items()]
    elif texts.keys() == {str(number) for number in range(1, len(texts) + 1)}:
        parameters = [{"type": "text", "text": texts[str(number)]} for number in range(1, len(texts) + 1)]
    else:
        raise Invalid("message.body.variables must be numbered from 1 without gaps, or all have names.")
    yield {"type": "body", "parameters": parameters}


def _buttons(message: Mapping[str, Any], own: Template | None) -> Iterator[dict[str, Any]]:
    given = message.get("buttons")
    if given is None:
        return
    if not isinstance(given, list):
        raise Invalid("message.buttons must be a list.")
    places = _url_buttons(own) if own is not None else []
    for number, button in enumerate(given):
        if inner(button, "type") != "url":
            raise Invalid(f"message.buttons[{number}].type must be url.")
        text = _text(inner(button, "text"), f"message.buttons[{number}].text")
        index = places[number] if number < len(places) else number
        parameters = [{"type": "text", "text": text}]
        yield {"type": "button", "sub_type": "url", "index": str(index), "parameters": parameters}


def _url_buttons(own: Template) -> list[int]:
    """Return the places of a template's buttons whose URL has a variable."""
    buttons = inner(_own_parts(own).get("buttons"), "buttons")
    return [
        number
        for number, button in enumerate(buttons if isinstance(buttons, list) else ())
        if _VARIABLE.search(str(inner(button, "url") or "")) or inner(button, "type") in ("OTP", "COPY_CODE")
    ]


def _own_parts(own: Template) -> dict[str, Any]:
    value, refused = verbatim.read(own.components)
    return {} if refused else {kind: part for _, kind, part in named_components({"components": value})}


def _text(value: Any, name: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise Invalid(f"{name} must be a text.")
    return value
