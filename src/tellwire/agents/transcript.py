"""PURE. Writes a conversation as text for a model: who said what; content that is not text is described in brackets.

Phone numbers and ids are left out: no model needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tellwire.agents.ports import TranscriptLine
from tellwire.meta.raw_json import verbatim
from tellwire.model.messaging import Message

_FILES = {
    "image": "an image",
    "video": "a video",
    "audio": "a voice message",
    "voice": "a voice message",
    "document": "a document",
    "sticker": "a sticker",
}
_MAX_CHARACTERS = 4096
_UNSAID = frozenset(("deleted", "failed", "cancelled"))
_NO_ANSWERS = frozenset(("flow_token",))
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def transcript(messages: Sequence[Message], asked: Message) -> list[TranscriptLine]:
    """Return what was said, the oldest first, the message to answer last; successive messages of one side are one
    line."""
    lines: list[TranscriptLine] = []
    for message in (*(each for each in messages if each.id != asked.id), asked):
        text = said(message)
        if not text:
            continue
        by_customer = message.direction == "incoming"
        if lines and lines[-1].by_customer == by_customer:
            lines[-1] = TranscriptLine(by_customer, f"{lines[-1].text}\n{text}")
        else:
            lines.append(TranscriptLine(by_customer, text))
    return lines


def said(message: Message) -> str:
    """Return what a message says in words; "" for one that says nothing, or was taken back or never sent."""
    if message.kind not in ("message", "edit") or not _UNSAID.isdisjoint(message.status):
        return ""
    return words(message.content)


def words(content: bytes) -> str:
    """Return a message's content in words; "" when it has none (a reaction, or what Meta could not show)."""
    value = _decode(content)
    kind = value.get("type")
    part = value.get(kind) if isinstance(kind, str) else None
    if not isinstance(kind, str) or not isinstance(part, dict | list):
        return ""
    if kind in _FILES:
        return _file(_FILES[kind], part)
    describe = _DESCRIPTIONS.get(kind)
    return describe(part)[:_MAX_CHARACTERS] if describe else ""


def _text(part: Any, *path: str) -> str:
    for name in path:
        part = part.get(name) if isinstance(part, dict) else None
    return part.strip() if isinstance(part, str) else ""


def _file(what: str, part: Any) -> str:
    name, caption = _text(part, "filename"), _text(part, "caption")
    return f"[{what}{f' named {name}' if name else ''}]{f' {caption}' if caption else ''}"[:_MAX_CHARACTERS]


def _location(part: Any) -> str:
    about = ", ".join(text for text in (_text(part, "name"), _text(part, "address")) if text)
    coordinates = [part.get(name) for name in ("latitude", "longitude")] if isinstance(part, dict) else []
    return f"[a location: {about or ', '.join(str(each) for each in coordinates)}]"


def _contacts(part: Any) -> str:
    cards = part if isinstance(part, list) else []
    names = ", ".join(name for card in cards if (name := _text(card, "name", "formatted_name")))
    return f"[contacts: {names}]" if names else "[contacts]"


def _interactive(part: Any) -> str:
    """Return the choice that was made, or the text and the choices that were offered."""
    for reply in ("button_reply", "list_reply"):
        if chosen := _text(part, reply, "title"):
            return chosen
    if _text(part, "nfm_reply", "name"):
        return _form(part["nfm_reply"])
    texts = [_text(part, section, "text") for section in ("header", "body", "footer")]
    action = part.get("action") if isinstance(part, dict) else None
    options = [_text(button, "reply", "title") for button in _list(action, "buttons")]
    options += [_text(row, "title") for section in _list(action, "sections") for row in _list(section, "rows")]
    offered = " / ".join(option for option in options if option)
    return "\n".join(text for text in (*texts, f"[choices: {offered}]" if offered else "") if text)


def _form(reply: Any) -> str:
    """Return what a customer filled in, line by line. A Flow's own text is the same for all answers ("Sent"), and its
    token is no answer."""
    answers = "\n".join(_answers(_text(reply, "response_json")))
    text = "" if answers and _text(reply, "name") == "flow" else _text(reply, "body")
    return "\n".join(part for part in (f"[a filled form] {text}".strip(), answers) if part)


def _answers(given: str) -> Iterator[str]:
    value, refused = verbatim.read(given.encode(errors="replace"))
    answers = value if isinstance(value, dict) and not refused else {}
    nested = answers.get("values")  # those of an address
    for name, answer in (nested if isinstance(nested, dict) else answers).items():
        text = _answer(answer)
        if text and name not in _NO_ANSWERS:
            yield f"{name}: {text}"


def _answer(given: Any) -> str:
    match given:
        case str():
            return given.strip()
        case None:
            return ""
        case [*some] if all(isinstance(each, str) for each in some):
            return ", ".join(some)
        case _:
            return msgspec.json.encode(given).decode()


def _list(part: Any, name: str) -> list[Any]:
    value = part.get(name) if isinstance(part, dict) else None
    return value if isinstance(value, list) else []


def _order(part: Any) -> str:
    items = [item for item in _list(part, "product_items") if isinstance(item, dict)]
    listed = ", ".join(f"{item.get('quantity')} × {_text(item, 'product_retailer_id')}" for item in items)
    note = _text(part, "text")
    return f"[an order: {listed or 'no items'}]{f' {note}' if note else ''}"


_DESCRIPTIONS: Mapping[str, Callable[[Any], str]] = {
    "text": lambda part: _text(part, "body"),
    "button": lambda part: _text(part, "text"),
    "location": _location,
    "contacts": _contacts,
    "interactive": _interactive,
    "order": _order,
    "template": lambda part: f"[the template {_text(part, 'name')}]",
}
"""By type, how a message is described; others are left out."""
