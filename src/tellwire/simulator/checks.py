"""PURE. Refuse a message at once where Meta does: shapes, types and limits.

Source: Meta, "Messages" reference (Cloud API); limits as of Graph API v24.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from tellwire.simulator.refusals import Refusal

Json = Mapping[str, Any]

_USER_ID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")
_GROUP_ID = re.compile(r"[!-~]{1,256}")
_BODIES = {"list": 4096}
_BODILESS = ("product", "catalog_message", "call_permission_request")
_CALLBACK_DATA = 512
MEDIA_TYPES = ("image", "video", "audio", "document", "sticker")
INTERACTIVE_TYPES = (
    *("button", "list", "cta_url", "flow", "product", "product_list", "catalog_message", "location_request_message"),
    *("address_message", "carousel", "call_permission_request", "voice_call", "request_contact_info"),
    *("order_details", "order_status"),
)


class Outgoing(Struct, frozen=True, kw_only=True):
    """A message that a business sends: its recipient (one of phone number, user id and group id is set) and its
    content."""

    given: str
    phone: str = ""
    user_id: str = ""
    group_id: str = ""
    type: str
    content: Any
    body: Json
    callback_data: str = ""

    @property
    def recipient(self) -> str:
        """Return the recipient's address: digits, a user id or a group id."""
        return self.phone or self.user_id or self.group_id


def read(body: object, *, country_code: str = "") -> Outgoing:
    """Check and parse the body of a send.

    Raises:
        Refusal: as Meta refuses it.
    """
    if not isinstance(body, dict) or body.get("messaging_product") != "whatsapp":
        raise Refusal(100, "messaging_product must be whatsapp")
    kind = _text(body, "type", "text")
    if kind not in CHECKS:
        raise Refusal(100, f"type must be one of {{{', '.join(CHECKS)}}}, not {kind}")
    content = body.get(kind)
    if content is None:
        raise Refusal(131008, f"{kind} is missing")
    CHECKS[kind](content)
    context = body.get("context")
    if context is not None and not (isinstance(context, dict) and _text(context, "message_id", "")):
        raise Refusal(131009, "context must name a message_id")
    data = _text(body, "biz_opaque_callback_data", "")
    if len(data) > _CALLBACK_DATA:
        raise Refusal(131009, f"biz_opaque_callback_data may have {_CALLBACK_DATA} characters")
    to = _recipient(body, country_code)
    return Outgoing(
        given=to.given,
        phone=to.phone,
        user_id=to.user_id,
        group_id=to.group_id,
        type=kind,
        content=content,
        body=body,
        callback_data=data,
    )


class _Recipient(Struct, frozen=True):
    """The recipient of a message: the text as it was `given`, and one of the others."""

    given: str
    phone: str = ""
    user_id: str = ""
    group_id: str = ""


def _recipient(body: Json, country_code: str) -> _Recipient:
    """Return the recipient of a message; `to` wins over `recipient`."""
    to, user_id = _text(body, "to", ""), _text(body, "recipient", "")
    sort = _text(body, "recipient_type", "individual")
    if sort not in ("individual", "group"):
        raise Refusal(100, f"recipient_type must be individual or group, not {sort}")
    if not to and not user_id:
        raise Refusal(131008, "to is missing")
    if sort == "group":
        if not _GROUP_ID.fullmatch(to):
            raise Refusal(131009, "to is not the id of a group")
        return _Recipient(to, group_id=to)
    if not to:
        if not _USER_ID.fullmatch(user_id):
            raise Refusal(131009, "recipient is not a business-scoped user id")
        return _Recipient(user_id, user_id=user_id)
    digits = re.sub(r"[ ()\-]", "", to)
    if not re.fullmatch(r"\+?[0-9]{5,15}", digits):
        raise Refusal(131009, "to is not a phone number")
    plain = digits.removeprefix("+")
    return _Recipient(to, phone=plain if plain != digits else country_code + plain)


# --- by type ----------------------------------------------------------------------------------------------------------


def _text(given: Json, key: str, default: str | None = None) -> str:
    value = given.get(key, default)
    if value is None:
        raise Refusal(131008, f"{key} is missing")
    if not isinstance(value, str):
        raise Refusal(131009, f"{key} must be a string")
    return value


def _object(given: object, what: str) -> Json:
    if not isinstance(given, dict):
        raise Refusal(100, f"{what} must be an object")
    return given


def _bounded(given: Json, key: str, most: int, *, default: str | None = None) -> None:
    value = _text(given, key, default)
    if default is None and not value:
        raise Refusal(131008, f"{key} is empty")
    if len(value) > most:
        raise Refusal(131009, f"{key} may have {most} characters, not {len(value)}")


def _check_text(content: object) -> None:
    _bounded(_object(content, "text"), "body", 4096)


def _media(kind: str) -> Callable[[object], None]:
    def check(content: object) -> None:
        media = _object(content, kind)
        if not _text(media, "id", "") and not _text(media, "link", ""):
            raise Refusal(131008, f"{kind} needs an id or a link")
        if "caption" in media and kind in ("audio", "sticker"):
            raise Refusal(100, f"{kind} takes no caption")
        _bounded(media, "caption", 1024, default="")

    return check


def _check_location(content: object) -> None:
    location = _object(content, "location")
    for key, most in (("latitude", 90), ("longitude", 180)):
        try:
            there = -most <= float(location[key]) <= most
        except KeyError:
            raise Refusal(131008, f"{key} is missing") from None
        except (TypeError, ValueError):
            raise Refusal(131009, f"{key} must be a number") from None
        if not there:
            raise Refusal(131009, f"{key} lies between -{most} and {most}")


def _check_contacts(content: object) -> None:
    if not isinstance(content, list) or not content:
        raise Refusal(100, "contacts must be an array with at least one")
    if len(content) > 257:
        raise Refusal(131009, "at most 257 contacts go in one message")
    for each in content:
        _text(_object(_object(each, "a contact").get("name"), "name"), "formatted_name")


def _check_reaction(content: object) -> None:
    reaction = _object(content, "reaction")
    if not _text(reaction, "message_id"):
        raise Refusal(131008, "message_id is missing")
    _text(reaction, "emoji")


def _check_interactive(content: object) -> None:
    interactive = _object(content, "interactive")
    kind = _text(interactive, "type")
    if kind not in INTERACTIVE_TYPES:
        raise Refusal(131051, f"interactive type {kind} is not supported")
    if kind not in _BODILESS or "body" in interactive:
        _bounded(_object(interactive.get("body"), "body"), "text", _BODIES.get(kind, 1024))
    if "footer" in interactive:
        _bounded(_object(interactive["footer"], "footer"), "text", 60)
    action = _object(interactive.get("action", {}), "action")
    if kind == "button":
        _check_buttons(action)
    if kind == "list":
        _check_sections(action)


def _check_buttons(action: Json) -> None:
    buttons = _list(action, "buttons", 3)
    replies = [_object(_object(each, "a button").get("reply"), "reply") for each in buttons]
    for reply in replies:
        _bounded(reply, "id", 256)
        _bounded(reply, "title", 20)
    if len({reply["title"] for reply in replies}) < len(replies) or len({r["id"] for r in replies}) < len(replies):
        raise Refusal(131009, "buttons must differ in id and title")


def _check_sections(action: Json) -> None:
    _bounded(action, "button", 20)
    rows = [
        _object(row, "a row")
        for each in _list(action, "sections", 10)
        for row in _list(_object(each, "a section"), "rows", 10)
    ]
    if len(rows) > 10:
        raise Refusal(131009, "a list has at most 10 rows in all")
    for row in rows:
        _bounded(row, "id", 200)
        _bounded(row, "title", 24)
        _bounded(row, "description", 72, default="")


def _array(given: Json, key: str) -> list[Any]:
    value = given.get(key, [])
    if not isinstance(value, list):
        raise Refusal(100, f"{key} must be an array")
    return value


def _list(given: Json, key: str, most: int) -> list[Any]:
    value = given.get(key)
    if not isinstance(value, list) or not value:
        raise Refusal(131008, f"{key} is missing")
    if len(value) > most:
        raise Refusal(131009, f"{key} may be {most}, not {len(value)}")
    return value


def _check_template(content: object) -> None:
    template = _object(content, "template")
    _text(template, "name")
    _text(_object(template.get("language"), "language"), "code")
    for component in _array(template, "components"):
        for parameter in _array(_object(component, "a component"), "parameters"):
            _text(_object(parameter, "a parameter"), "parameter_name", "")


CHECKS: dict[str, Callable[[object], None]] = {
    "text": _check_text,
    **{kind: _media(kind) for kind in MEDIA_TYPES},
    "location": _check_location,
    "contacts": _check_contacts,
    "reaction": _check_reaction,
    "interactive": _check_interactive,
    "template": _check_template,
}
"""The check of each message type; it raises `Refusal`."""
