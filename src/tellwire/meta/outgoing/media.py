"""PURE. Media objects of a message: their shapes, and where they are in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.json import encode

from tellwire.meta.outgoing.rules import inner, one_of
from tellwire.meta.outgoing.shapes import Boolean, Fields, Shape, String, step
from tellwire.meta.raw_json import replace, verbatim

CAPTION = String(1024, least=0)
LINK = String(pattern=r"(?i:https?)://[^\s/?#]+\S*", wants="an http:// or https:// URL")
FILENAME = String()


def media(**may: Shape) -> Fields:
    """Return the shape of a media object: an uploaded one's id or a link, and what else its kind may have."""
    return Fields(may={"id": String(), "link": LINK, **may}, rules=(one_of("id", "link"),), closed=True)


SHAPES: dict[str, Fields] = {
    "image": media(caption=CAPTION),
    "video": media(caption=CAPTION),
    "audio": media(voice=Boolean()),
    "document": media(caption=CAPTION, filename=FILENAME),
    "sticker": media(),
}
"""The media types. `voice`: a voice note, which must be OGG with the OPUS codec."""

HEADERS: dict[str, Fields] = {
    kind: Fields(needs={kind: media(**({"filename": FILENAME} if kind == "document" else {}))})
    for kind in ("image", "video", "document")
}
"""Media as the header of an interactive message or as a template's parameter, named by its `type`."""


class MediaReference(Struct, frozen=True):
    """An uploaded media object of a message: the JSON pointer to its id in the content, its kind, and the id."""

    pointer: str
    kind: str
    id: str


def media_references(content: bytes) -> tuple[MediaReference, ...]:
    """Return the media that a message's content names by id; () for content that cannot be read."""
    value, _ = verbatim.read(content)
    return tuple(_references(value))


def with_media_ids(content: bytes, media_ids: Mapping[str, str]) -> bytes:
    """Return the content with media ids replaced; ids that the mapping doesn't know, and every other byte, stay."""
    changes = {
        place.pointer: encode(media_ids[place.id]) for place in media_references(content) if place.id in media_ids
    }
    return replace.replaced(content, changes) if changes else content


def _references(value: Any) -> Iterator[MediaReference]:
    kind = inner(value, "type")
    match kind:
        case "interactive":
            yield from _header(inner(value, kind, "header"), f"/{kind}/header")
            for at, card in _listed(inner(value, kind, "action", "cards"), f"/{kind}/action/cards"):
                yield from _header(inner(card, "header"), f"{at}/header")
        case "template":
            yield from _components(inner(value, kind, "components"), f"/{kind}/components")
        case str() if kind in SHAPES:
            yield from _header(value, "", kind)
        case _:
            pass


def _components(components: Any, at: str) -> Iterator[MediaReference]:
    for here, component in _listed(components, at):
        for place, parameter in _listed(inner(component, "parameters"), f"{here}/parameters"):
            yield from _header(parameter, place)
        for place, card in _listed(inner(component, "cards"), f"{here}/cards"):
            for deeper, each in _listed(inner(card, "components"), f"{place}/components"):
                for there, parameter in _listed(inner(each, "parameters"), f"{deeper}/parameters"):
                    yield from _header(parameter, there)


def _header(value: Any, at: str, *kinds: str) -> Iterator[MediaReference]:
    for kind in kinds or ("image", "video", "document", "gif"):
        found = inner(value, kind, "id")
        if isinstance(found, str):
            yield MediaReference(f"{at}{step(kind)}/id", kind, found)


def _listed(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    for number, item in enumerate(value if isinstance(value, list) else ()):
        yield f"{at}/{number}", item
