"""PURE. The parameters of a template are masked once they are no longer needed, one-time codes above all."""

from __future__ import annotations

from typing import Any

from msgspec.json import encode

from tellwire.meta.raw_json import verbatim

MASK = "****"
TEMPLATE = b'{"type":"template"'
"""How the content of a template message begins, as `content_of` writes it."""
_PLAIN = ("type", "parameter_name")


def mask(content: bytes, *, authentication: bool) -> bytes:
    """Return the content of an accepted message as it is kept and shown from then on.

    Args:
        content: as `content_of` wrote it.
        authentication: whether its template is of that category; the content of any other stays as it is.

    Returns: every value of every parameter (header, body, buttons, cards) is "****". The JSON is written anew, so that
        a member given twice leaves nothing behind.
    """
    if not authentication:
        return content
    value, refused = verbatim.read(content)
    if refused or not isinstance(value, dict) or not isinstance(value.get("template"), dict):
        return content
    return encode({**value, "template": _holder(value["template"])})


def is_masked(content: bytes) -> bool:
    """Return whether a content's parameters are gone, so that it cannot be sent again."""
    masked = content.startswith(TEMPLATE) and encode(MASK) in content
    return masked and mask(content, authentication=True) == content


def _holder(value: Any) -> Any:
    """Return a template, or one card of it, with its parameters masked."""
    return _with(
        value, "components", lambda component: _with(_with(component, "parameters", _masked), "cards", _holder)
    )


def _with(value: Any, name: str, change: Any) -> Any:
    """Return an object with each element of one of its lists changed; anything else as it is."""
    if not isinstance(value, dict) or not isinstance(value.get(name), list):
        return value
    return {**value, name: [change(each) for each in value[name]]}


def _masked(parameter: Any) -> Any:
    """Return a parameter with its type and name; all its other values, an object's members too, are masked."""
    if not isinstance(parameter, dict):
        return MASK
    return {name: value if name in _PLAIN else _hidden(value) for name, value in parameter.items()}


def _hidden(value: Any) -> Any:
    return dict.fromkeys(value, MASK) if isinstance(value, dict) else MASK


def carries_code(content: bytes) -> bool:
    """Return whether a template's parameters look like those of an authentication template, for where its category is
    not known: the body's one parameter is repeated by a button that copies or fills it in."""
    value, refused = verbatim.read(content)
    template = value.get("template") if not refused and isinstance(value, dict) else None
    components = template.get("components") if isinstance(template, dict) else None
    texts: dict[str, list[Any]] = {"body": [], "button": []}
    for component in components if isinstance(components, list) else ():
        kind = str(component.get("type")).lower() if isinstance(component, dict) else ""
        if kind in texts and isinstance(component.get("parameters"), list):
            texts[kind] += [p.get("text") for p in component["parameters"] if isinstance(p, dict)]
    return len(texts["body"]) == 1 and bool(texts["body"][0]) and texts["body"][0] in texts["button"]
