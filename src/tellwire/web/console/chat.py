"""PURE. Messages of the API as the bubbles of a chat. Whatever strangers put into a message, something is shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from tellwire.agents.transcript import words as said
from tellwire.web.console.template_forms import VARIABLE
from tellwire.web.console.words import has_words, words

FILES = ("image", "video", "audio", "voice", "document", "sticker")
_SHOWN_AS = {"voice": "audio", "sticker": "image"}
_DECIMAL = re.compile(r"-?[0-9]{1,3}(?:\.[0-9]{1,20})?")
_MOST_CARDS = 20


class File(Struct, frozen=True, kw_only=True):
    """A file in a bubble; `kind` is image, video, audio or document, `url` a path of ours."""

    kind: str
    url: str
    name: str


class Quote(Struct, frozen=True):
    """What a message answers: who said it and what, "" for a message that is not on the page."""

    who: str
    text: str


class Bubble(Struct, kw_only=True):
    """A message. `side`: `in`, `out` or `middle`, for what nobody said. `note` says in words what is not text, `tick`
    how far it came (a name under `inbox.tick`); `cause` why not, and `remedy` what to do. `again`: it can be sent once
    more; `open`: it can still be taken back."""

    id: str
    side: str
    at: str
    author: str = ""
    text: str = ""
    note: str = ""
    files: list[File] = []
    place: str = ""
    cards: list[str] = []
    choices: list[str] = []
    quote: Quote | None = None
    reactions: list[str] = []
    marks: list[str] = []
    tick: str = ""
    cause: str = ""
    remedy: str = ""
    again: bool = False
    open: bool = False
    can_be_answered: bool = False


def bubbles(
    rows: Sequence[Mapping[str, Any]], *, customer: str, names: Mapping[str, str], templates: Mapping[Any, str]
) -> list[Bubble]:
    """Return the bubbles of a page of messages, oldest first.

    Args:
        rows: messages as the API lists them, newest first.
        customer: how the customer is called.
        names: of agents and members, by id.
        templates: the texts of templates, by name and language.
    """
    made: list[Bubble] = []
    by_wamid: dict[str, tuple[Mapping[str, Any], Bubble]] = {}
    reacted: dict[tuple[str, str], str] = {}
    for row in reversed(rows):
        content = row["content"]
        if content.get("type") == "reaction":
            target, emoji = _text(content, "reaction", "message_id"), _text(content, "reaction", "emoji")
            if target in by_wamid:
                reacted[(target, row["direction"])] = emoji[:16]
                continue
        bubble = _bubble(row, names, templates)
        answered = _text(content, "context", "id") or _text(content, "context", "message_id")
        if answered:
            bubble.quote = _quote(by_wamid.get(answered), customer)
        if row.get("wa_id"):
            by_wamid[row["wa_id"]] = (row, bubble)
        made.append(bubble)
    for (wamid, _), emoji in reacted.items():
        by_wamid[wamid][1].reactions += [emoji] if emoji else []
    return made


def snippet(row: Mapping[str, Any]) -> str:
    """Return what a message says in one line, for a quote."""
    return _words(row["content"])[:120] or words("inbox.kind.other")


def _bubble(row: Mapping[str, Any], names: Mapping[str, str], templates: Mapping[Any, str]) -> Bubble:
    content, status, incoming = row["content"], row["status"], row["direction"] == "incoming"
    kind = content.get("type")
    kind = kind if isinstance(kind, str) else "unknown"
    bubble = Bubble(id=row["id"], side="in" if incoming else "out", at=row.get("timestamp") or row["created_at"])
    bubble.author = names.get(row.get("agent_id", ""), "")
    bubble.can_be_answered = bool(row.get("wa_id")) and kind not in ("system", "reaction")
    if kind in FILES:
        bubble.files = list(_files(row, kind))
        bubble.text = _text(content, kind, "caption")
        bubble.note = "" if bubble.files else words(f"inbox.kind.{kind}")
    elif kind == "template":
        bubble.text = _template_text(content.get(kind), templates)
        bubble.note = words("inbox.kind.template", name=_text(content, "template", "name"))
    elif kind in _SHOWN and not (kind == "interactive" and incoming):
        _SHOWN[kind](bubble, content.get(kind))
    else:
        bubble.text = _words(content)
    if not (bubble.text or bubble.note or bubble.files or bubble.choices):
        bubble.note = words(f"inbox.kind.{kind}" if has_words(f"inbox.kind.{kind}") else "inbox.kind.other")
    bubble.marks = [words(f"inbox.mark.{name}") for name in ("edited", "deleted") if name in status]
    if not incoming:
        _told(bubble, row)
    return bubble


def _show_location(bubble: Bubble, part: Any) -> None:
    bubble.note, bubble.place = words("inbox.kind.location"), _place(part)
    bubble.text = "\n".join(each for each in (_text(part, "name"), _text(part, "address")) if each)


def _show_contacts(bubble: Bubble, part: Any) -> None:
    bubble.note, bubble.cards = words("inbox.kind.contacts"), list(_cards(part))


def _show_choices(bubble: Bubble, part: Any) -> None:
    bubble.text, bubble.choices = _offered(part)


def _show_edit(bubble: Bubble, part: Any) -> None:
    edited = part.get("message") if isinstance(part, dict) else None
    bubble.note, bubble.text = words("inbox.kind.edit"), _words(edited) if isinstance(edited, dict) else ""


def _show_system(bubble: Bubble, part: Any) -> None:
    bubble.side, bubble.text = "middle", _text(part, "body") or words("inbox.kind.system")


def _show_reaction(bubble: Bubble, part: Any) -> None:
    bubble.note = words("inbox.kind.reaction", emoji=_text(part, "emoji")[:16] or "–")


_SHOWN: Mapping[str, Callable[[Bubble, Any], None]] = {
    "location": _show_location,
    "contacts": _show_contacts,
    "interactive": _show_choices,
    "edit": _show_edit,
    "system": _show_system,
    "reaction": _show_reaction,
}
"""How the object of a type fills its bubble, for those that are more than words."""


def _told(bubble: Bubble, row: Mapping[str, Any]) -> None:
    """Say how far a message of ours came."""
    status, state = row["status"], row.get("send_state", "")
    errors = status.get("errors")
    if "failed" in status or state == "failed":
        first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
        bubble.tick, bubble.again = "failed", bool(state) and not row.get("resent_as")
        bubble.cause, bubble.remedy = failure(first, row.get("cause", ""))
    elif state in ("scheduled", "queued", "sending", "unknown", "cancelled"):
        bubble.tick, bubble.open = state, state in ("scheduled", "queued")
        bubble.cause = row.get("cause", "") if state != "cancelled" else ""
        bubble.again = state in ("unknown", "cancelled") and not row.get("resent_as")
    else:
        bubble.tick = next((name for name in ("played", "read", "delivered") if name in status), "sent")


def failure(error: Mapping[str, Any], cause: str) -> tuple[str, str]:
    """Return why a message failed and what to do, in words.

    Args:
        error: Meta's error as a row shows it, {} for none.
        cause: why the last try failed, as the API says it.
    """
    code = error.get("code")
    if has_words(f"inbox.failure.{code}.cause"):
        return words(f"inbox.failure.{code}.cause"), words(f"inbox.failure.{code}.remedy")
    details = _text(error, "error_data", "details")
    told = ". ".join(dict.fromkeys(each for each in (_text(error, "title"), details or cause) if each))
    return words("inbox.failure.other.cause", told=told or cause), words("inbox.failure.other.remedy")


def path_of(url: str) -> str:
    """Return the path of a link of ours, so that a page shows it from where it was loaded itself."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _quote(found: tuple[Mapping[str, Any], Bubble] | None, customer: str) -> Quote:
    if found is None:
        return Quote("", "")
    return Quote(customer if found[0]["direction"] == "incoming" else words("inbox.us"), snippet(found[0]))


def _files(row: Mapping[str, Any], kind: str) -> Iterator[File]:
    shown = _SHOWN_AS.get(kind, kind)
    for each in row.get("media", ()):
        name = each.get("filename") or words(f"inbox.kind.{kind}")
        yield File(kind=shown, url=path_of(each["url"]), name=name)


def _words(content: Mapping[str, Any]) -> str:
    return said(msgspec.json.encode(content))


def _text(part: Any, *path: str) -> str:
    for name in path:
        part = part.get(name) if isinstance(part, dict) else None
    return part if isinstance(part, str) else ""


def _place(part: Any) -> str:
    """Return the coordinates of a location, "" for none."""
    found = [str(part.get(name)) for name in ("latitude", "longitude")] if isinstance(part, dict) else []
    return ",".join(found) if found and all(_DECIMAL.fullmatch(each) for each in found) else ""


def _cards(part: Any) -> Iterator[str]:
    for card in part[:_MOST_CARDS] if isinstance(part, list) else ():
        phones = card.get("phones") if isinstance(card, dict) else None
        numbers = [_text(each, "phone") for each in phones if _text(each, "phone")] if isinstance(phones, list) else []
        name = _text(card, "name", "formatted_name")
        if name or numbers:
            yield " · ".join([name, *numbers] if name else numbers)


def _offered(part: Any) -> tuple[str, list[str]]:
    """Return the text of a message with choices, and the choices."""
    texts = [_text(part, section, "text") for section in ("header", "body", "footer")]
    action = part.get("action") if isinstance(part, dict) else None
    action = action if isinstance(action, dict) else {}
    found = [_text(each, "reply", "title") for each in _list(action.get("buttons"))]
    found += [_text(row, "title") for section in _list(action.get("sections")) for row in _rows(section)]
    found += [_text(action, "parameters", "display_text")]
    return "\n".join(text for text in texts if text), [each for each in found if each][:_MOST_CARDS]


def _rows(section: Any) -> list[Any]:
    return _list(section.get("rows")) if isinstance(section, dict) else []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _template_text(part: Any, templates: Mapping[Any, str]) -> str:
    """Return the text of a template with the parameters that were given, "" for a template that is not known."""
    text = templates.get((_text(part, "name"), _text(part, "language", "code")), "")
    components = part.get("components") if isinstance(part, dict) else None
    given: dict[str, str] = {}
    for component in _list(components):
        if _text(component, "type").lower() == "body":
            for number, parameter in enumerate(_list(component.get("parameters")), 1):
                given[_text(parameter, "parameter_name") or str(number)] = _text(parameter, "text")
    return VARIABLE.sub(lambda found: given.get(found[1]) or found[0], text)
