"""PURE. Interactive messages, kind by kind.

Sources: Meta, "Interactive messages" and its pages of each kind, "Share products", "Sending a Flow", "Call buttons".
"""

from __future__ import annotations

from typing import Any

from tellwire.meta.outgoing.media import HEADERS, LINK
from tellwire.meta.outgoing.rules import (
    at_most_in_all,
    forbidden,
    inner,
    one_of,
    requires,
    same_on_every_card,
    titled_when_several,
    unique,
    unique_in_all,
)
from tellwire.meta.outgoing.shapes import Anything, Choice, Fields, Kinds, ListOf, Number, Rule, Shape, String

BODY = Fields(needs={"text": String(1024)})
LONG_BODY = Fields(needs={"text": String(4096)})
FOOTER = Fields(needs={"text": String(60)})
TITLE = String(20)
ID = String(256, pattern=r"(?s)\S(?:.*\S)?", wants="without spaces around it")

_TEXT_HEADER = {"text": Fields(needs={"text": String(60)})}
HEADER = Kinds("type", {**_TEXT_HEADER, **HEADERS})
TEXT_HEADER = Kinds("type", _TEXT_HEADER)


def _message(action: Shape, *, body: Shape = BODY, header: Shape = HEADER) -> Fields:
    return Fields(needs={"body": body, "action": action}, may={"header": header, "footer": FOOTER})


def _named(name: str, parameters: Fields | None = None, *, needed: bool = True) -> Fields:
    """Return the shape of an action with this name."""
    given: dict[str, Shape] = {} if parameters is None else {"parameters": parameters}
    needs: dict[str, Shape] = {"name": Choice((name,))}
    return Fields(needs={**needs, **given}) if needed else Fields(needs=needs, may=given)


# --- buttons and lists ------------------------------------------------------------------------------------------------

_BUTTONS = Fields(
    needs={
        "buttons": ListOf(
            Fields(needs={"type": Choice(("reply",)), "reply": Fields(needs={"id": ID, "title": TITLE})}),
            most=3,
            rules=(unique("id", "reply", "id"), unique("title", "reply", "title")),
        )
    }
)
_ROW = Fields(needs={"id": String(200), "title": String(24)}, may={"description": String(72, least=0)})
_LIST = Fields(
    needs={
        "button": TITLE,
        "sections": ListOf(Fields(needs={"rows": ListOf(_ROW, most=10)}, may={"title": String(24)}), most=10),
    },
    rules=(
        at_most_in_all("sections", "rows", 10),
        unique_in_all("sections", "rows", "id"),
        titled_when_several("sections"),
    ),
)
_URL_PARAMETERS = Fields(needs={"display_text": TITLE, "url": LINK})

# --- catalogs ---------------------------------------------------------------------------------------------------------

_PRODUCT = Fields(needs={"catalog_id": String(), "product_retailer_id": String()})
_PRODUCTS = ListOf(Fields(needs={"product_retailer_id": String()}), most=30)
PRODUCT_SECTIONS = ListOf(Fields(needs={"product_items": _PRODUCTS}, may={"title": String(24)}), most=10)
_PRODUCT_LIST = Fields(
    needs={"catalog_id": String(), "sections": PRODUCT_SECTIONS},
    rules=(at_most_in_all("sections", "product_items", 30), titled_when_several("sections")),
)
_THUMBNAIL = Fields(may={"thumbnail_product_retailer_id": String()})

# --- flows and calls --------------------------------------------------------------------------------------------------

_FLOW = Fields(
    needs={"flow_message_version": String(), "flow_cta": String(30)},
    may={
        "flow_id": String(),
        "flow_name": String(),
        "flow_token": String(),
        "mode": Choice(("draft", "published")),
        "flow_action": Choice(("navigate", "data_exchange")),
        "flow_action_payload": Fields(needs={"screen": String()}, may={"data": Fields()}),
    },
    rules=(one_of("flow_id", "flow_name"),),
)
_CALL = Fields(may={"display_text": TITLE, "ttl_minutes": Number(1, 43200, whole=True), "payload": String(512)})
_ADDRESS = Fields(
    needs={"country": String(pattern="[A-Z]{2}", wants="a country's code of two capital letters")},
    may={"values": Fields(), "saved_addresses": ListOf(Anything(), least=0), "validation_errors": Fields()},
)
_ORDER = Fields(
    needs={
        "reference_id": String(35, pattern="[A-Za-z0-9._-]+", wants="of letters, digits, underscores, dashes and dots")
    }
)

# --- cards ------------------------------------------------------------------------------------------------------------

_TWO_BREAKS = Rule(
    "at most 2 line breaks in text",
    lambda body: (
        [("/text", f"must have at most 2 line breaks, {text.count(chr(10))} given")]
        if isinstance(text := inner(body, "text"), str) and text.count("\n") > 2
        else []
    ),
)
_REPLY = Fields(needs={"type": Choice(("quick_reply",)), "quick_reply": Fields(needs={"id": ID, "title": TITLE})})
_CARD_ACTION = Fields(
    may={
        "name": Choice(("cta_url",)),
        "parameters": _URL_PARAMETERS,
        "buttons": ListOf(_REPLY, most=3, rules=(unique("title", "quick_reply", "title"),)),
    },
    rules=(one_of("parameters", "buttons"), requires("parameters", "name")),
)
_INDEX = Number(0, 9, whole=True)
_MEDIA_CARD = Fields(
    needs={
        "card_index": _INDEX,
        "header": Kinds("type", {kind: HEADERS[kind] for kind in ("image", "video")}),
        "action": _CARD_ACTION,
    },
    may={"body": Fields(needs={"text": String(160)}, rules=(_TWO_BREAKS,))},
)
_PRODUCT_CARD = Fields(needs={"card_index": _INDEX, "action": _PRODUCT})


def _buttons_of(card: Any) -> Any:
    """Return what buttons a card has: the number of replies, or "cta_url"; None when that is not known."""
    buttons = inner(card, "action", "buttons")
    return len(buttons) if isinstance(buttons, list) else inner(card, "action", "name")


_CARDS = ListOf(
    Kinds("type", {"cta_url": _MEDIA_CARD, "quick_reply": _MEDIA_CARD, "product": _PRODUCT_CARD}, absent="cta_url"),
    least=2,
    most=10,
    rules=(
        unique("card_index", "card_index"),
        same_on_every_card("header type", "header", "type"),
        same_on_every_card("catalog", "action", "catalog_id"),
        same_on_every_card("kind and number of buttons", "action", trait=_buttons_of),
    ),
)

# --- all of them ------------------------------------------------------------------------------------------------------

KINDS: dict[str, Fields] = {
    "button": _message(_BUTTONS),
    "list": _message(_LIST, body=LONG_BODY, header=TEXT_HEADER),
    "cta_url": _message(_named("cta_url", _URL_PARAMETERS)),
    "flow": _message(_named("flow", _FLOW)),
    "product": Fields(
        needs={"action": _PRODUCT},
        may={"body": BODY, "footer": FOOTER},
        rules=(forbidden("header", "is not possible with a single product"),),
    ),
    "product_list": Fields(
        needs={"header": TEXT_HEADER, "body": BODY, "action": _PRODUCT_LIST}, may={"footer": FOOTER}
    ),
    "catalog_message": _message(_named("catalog_message", _THUMBNAIL, needed=False)),
    "location_request_message": _message(_named("send_location")),
    "address_message": _message(_named("address_message", _ADDRESS)),
    "request_contact_info": _message(_named("request_contact_info")),
    "carousel": Fields(
        needs={"body": BODY, "action": Fields(needs={"cards": _CARDS})},
        rules=(
            forbidden("header", "is not possible above cards"),
            forbidden("footer", "is not possible below cards"),
        ),
    ),
    "call_permission_request": Fields(
        needs={"action": _named("call_permission_request")}, may={"body": BODY, "header": HEADER, "footer": FOOTER}
    ),
    "voice_call": _message(_named("voice_call", _CALL, needed=False)),
    "order_details": _message(_named("review_and_pay", _ORDER)),
    "order_status": _message(_named("review_order", _ORDER)),
}

INTERACTIVE = Kinds("type", KINDS)
