"""PURE. Template messages as they are sent: name, language, and components with their parameters.

Sources: Meta, "Messages API" (template, component and parameter objects) and the pages of each kind of template. Names
of components and buttons are taken in any case, as Meta does. Whether the parameters fit the template itself is checked
by `template_parameters`, once it is synchronised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tellwire.meta.outgoing.interactive import PRODUCT_SECTIONS
from tellwire.meta.outgoing.media import HEADERS, media
from tellwire.meta.outgoing.rules import inner, repeated, unique
from tellwire.meta.outgoing.shapes import Choice, Complaint, Fields, Kinds, ListOf, Number, Rule, Shape, String
from tellwire.meta.outgoing.sharing import LOCATION

ONLY_BODY = 32768
WITH_OTHERS = 1024
MOST_BUTTONS = 10
ONCE = ("header", "body", "carousel", "limited_time_offer")

_NAME = String(512, pattern="[a-z0-9_]+", wants="of lower-case letters, digits and underscores")
_LANGUAGE = Fields(
    needs={"code": String(pattern="[A-Za-z]{2,3}(?:[_-][A-Za-z0-9]{2,8})*", wants="a language such as en or pt_BR")},
    may={"policy": Choice(("deterministic",))},
)

# --- parameters -------------------------------------------------------------------------------------------------------

_NAMED: dict[str, Shape] = {"parameter_name": String(pattern="[a-z0-9_]+", wants=_NAME.wants)}
_FALLBACK = String()
_CURRENCY = Fields(
    needs={
        "fallback_value": _FALLBACK,
        "code": String(pattern="[A-Z]{3}", wants="a currency's code of three capital letters"),
        "amount_1000": Number(-(10**15), 10**15, whole=True),
    }
)


def _texts(most: int) -> dict[str, Fields]:
    return {
        "text": Fields(needs={"text": String(most)}, may=_NAMED),
        "currency": Fields(needs={"currency": _CURRENCY}, may=_NAMED),
        "date_time": Fields(needs={"date_time": Fields(needs={"fallback_value": _FALLBACK})}, may=_NAMED),
    }


def _alone(kind: str, shape: Shape) -> Kinds:
    return Kinds("type", {kind: Fields(needs={kind: shape})})


_HEADER = Kinds(
    "type",
    {
        **_texts(60),
        **HEADERS,
        "gif": Fields(needs={"gif": media()}),
        "location": Fields(needs={"location": LOCATION}),
        "product": Fields(needs={"product": Fields(needs={"product_retailer_id": String(), "catalog_id": String()})}),
    },
)
_ACTION = Fields(
    may={
        "thumbnail_product_retailer_id": String(),
        "sections": PRODUCT_SECTIONS,
        "flow_token": String(),
        "flow_action_data": Fields(),
    }
)

# --- components -------------------------------------------------------------------------------------------------------

BUTTONS: dict[str, Kinds] = {
    "quick_reply": _alone("payload", String(256)),
    "url": _alone("text", String(2000)),
    "copy_code": _alone("coupon_code", String(20)),
    "flow": _alone("action", _ACTION),
    "catalog": _alone("action", _ACTION),
    "mpm": _alone("action", _ACTION),
}
"""What a button's parameters may be, by its `sub_type`; those of any other are left to Meta."""

_INDEX = Number(0, MOST_BUTTONS - 1, whole=True, texts=True)
_BUTTON = Kinds(
    "sub_type",
    {
        name: Fields(needs={"index": _INDEX}, may={"parameters": ListOf(parameter, least=0, most=1)})
        for name, parameter in BUTTONS.items()
    },
    folded=True,
    others=Fields(needs={"index": _INDEX}, may={"parameters": ListOf(Fields(), least=0)}),
)
_OFFER = Fields(needs={"expiration_time_ms": Number(0, 10**15, whole=True, texts=True)})
_PARTS: dict[str, Fields | Kinds] = {
    "header": Fields(may={"parameters": ListOf(_HEADER, least=0, most=1)}),
    "body": Fields(may={"parameters": ListOf(Kinds("type", _texts(ONLY_BODY)), least=0)}),
    "button": _BUTTON,
}
CARD_COMPONENT = Kinds("type", _PARTS, folded=True)
_CARDS = ListOf(
    Fields(
        needs={
            "card_index": Number(0, 9, whole=True, texts=True),
            "components": ListOf(CARD_COMPONENT, least=0),
        }
    ),
    most=10,
    rules=(unique("card_index", "card_index"),),
)
_LOOSE = Fields(may={"parameters": ListOf(Fields(), least=0)})
_COMPONENTS = Kinds(
    "type",
    {
        **_PARTS,
        "carousel": Fields(needs={"cards": _CARDS}),
        "limited_time_offer": Fields(needs={"parameters": ListOf(_alone("limited_time_offer", _OFFER), most=1)}),
        "order_status": _LOOSE,
        "tap_target_configuration": _LOOSE,
    },
    folded=True,
)


def named_components(value: Any, at: str = "/components") -> Iterator[tuple[str, str, Any]]:
    """Give each component of a template or card: its pointer, its type in lower case ("" for none), and itself."""
    components = inner(value, "components")
    for number, component in enumerate(components if isinstance(components, list) else ()):
        kind = inner(component, "type")
        yield f"{at}/{number}", kind.lower() if isinstance(kind, str) else "", component


def parameters(component: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Give the parameters of a component, each with its pointer."""
    given = inner(component, "parameters")
    for number, parameter in enumerate(given if isinstance(given, list) else ()):
        yield f"{at}/parameters/{number}", parameter


def _twice(value: Any) -> Iterator[Complaint]:
    """Give a complaint about a second header, body, … or button of one index; also on every card."""
    found = list(named_components(value))
    yield from repeated((f"{at}/type", kind) for at, kind, _ in found if kind in ONCE)
    yield from repeated((f"{at}/index", _number(inner(each, "index"))) for at, kind, each in found if kind == "button")
    for at, _, component in found:
        cards = inner(component, "cards")
        for number, card in enumerate(cards if isinstance(cards, list) else ()):
            for pointer, words in _twice(card):
                yield f"{at}/cards/{number}{pointer}", words


def _number(index: Any) -> Any:
    """Return an index as a number, also when it is written as a text."""
    return int(index) if isinstance(index, str) and re.fullmatch("[0-9]{1,9}", index) else index


def _mixed(value: Any) -> Iterator[Complaint]:
    """Give complaints where only some parameters of header and body have a name, or a component uses one twice."""
    seen = None
    for at, kind, component in named_components(value):
        if kind not in ("header", "body"):
            continue
        texts = [(here, each) for here, each in parameters(component, at) if _is_text(each)]
        for here, parameter in texts:
            has_name = "parameter_name" in parameter
            seen = has_name if seen is None else seen
            if has_name != seen:
                yield here + "/parameter_name", "must stand on every parameter of the template, or on none"
        yield from repeated((here + "/parameter_name", inner(each, "parameter_name")) for here, each in texts)


def _is_text(parameter: Any) -> bool:
    return inner(parameter, "type") in ("text", "currency", "date_time")


def _too_long(value: Any) -> Iterator[Complaint]:
    """Give complaints about long parameters in a body that is not the only component."""
    found = list(named_components(value))
    for at, kind, component in found:
        if kind != "body" or len(found) == 1:
            continue
        for here, parameter in parameters(component, at):
            text = inner(parameter, "text")
            if isinstance(text, str) and WITH_OTHERS < len(text) <= ONLY_BODY:
                yield (
                    here + "/text",
                    f"must have at most {WITH_OTHERS} characters beside other components, {len(text)} given",
                )


TEMPLATE = Fields(
    needs={"name": _NAME, "language": _LANGUAGE},
    may={"components": ListOf(_COMPONENTS, least=0)},
    rules=(
        Rule("one header, body, carousel and offer; every button's index differs from the others", _twice),
        Rule("parameter_name on every parameter of header and body, or on none", _mixed),
        Rule(f"a body's text at most {WITH_OTHERS} characters, unless it is the only component", _too_long),
    ),
)
