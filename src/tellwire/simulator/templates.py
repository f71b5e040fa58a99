"""PURE. Keep the message templates of a WhatsApp Business account: create, list, approve, and check what is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

from msgspec import Struct

from tellwire.simulator.pages import page
from tellwire.simulator.refusals import Refusal

Json = Mapping[str, Any]

CATEGORIES = ("AUTHENTICATION", "MARKETING", "UTILITY")
STATUSES = ("APPROVED", "PENDING", "REJECTED", "PAUSED", "DISABLED")
_PLACE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
_ALREADY_THERE = 2388024
_FILTERS = ("status", "language", "category")
_HEADER_KINDS = ("image", "video", "document", "location")


class SimulatedTemplate(Struct, kw_only=True):
    """A template in one language."""

    id: str
    name: str
    language: str
    category: str
    components: list[Any]
    status: str = "APPROVED"
    quality: str = "UNKNOWN"
    reviewed_at: int = 1_700_000_000

    def shown(self, fields: Iterable[str] = ()) -> dict[str, Any]:
        """Return the template as the Graph API shows it; `fields` names what is wanted, none for all."""
        whole = {
            "name": self.name,
            "parameter_format": "NAMED" if any(not name.isdigit() for name in self._names()) else "POSITIONAL",
            "components": self.components,
            "language": self.language,
            "status": self.status,
            "category": self.category,
            "quality_score": {"score": self.quality, "date": self.reviewed_at},
            "id": self.id,
        }
        wanted = {*fields}
        return {key: value for key, value in whole.items() if not wanted or key in wanted or key == "id"}

    def change(self, given: Json) -> None:
        """Change the components; the template then has to be approved again.

        Raises:
            Refusal: the components are not an array of objects.
        """
        components = given.get("components", self.components)
        if not isinstance(components, list) or not all(isinstance(each, dict) for each in components):
            raise Refusal(100, "components must be an array of objects")
        self.components, self.status = components, "PENDING"

    def check(self, components: list[Any]) -> None:
        """Refuse parameters that do not match the template's variables.

        Raises:
            Refusal: as Meta refuses it.
        """
        if self.status == "PAUSED":
            raise Refusal(132015, f"template {self.name} is paused")
        if self.status == "DISABLED":
            raise Refusal(132016, f"template {self.name} is disabled")
        given = {str(each.get("type", "")).lower(): each for each in components if isinstance(each, dict)}
        for component in self.components:
            kind = str(component.get("type", "")).lower()
            if kind in ("header", "body"):
                _fill(kind, component, given.get(kind, {}).get("parameters") or [])

    def _names(self) -> list[str]:
        return [name for each in self.components for name in _PLACE.findall(str(each.get("text", "")))]


def _fill(kind: str, component: Json, parameters: list[Any]) -> None:
    wanted = str(component.get("format", "TEXT")).lower()
    if kind == "header" and wanted in _HEADER_KINDS:
        if len(parameters) != 1:
            raise Refusal(132012, f"header: one {wanted} is expected")
        if parameters[0].get("type") != wanted:
            raise Refusal(132012, f"header: Format mismatch, expected {wanted.upper()}")
        return
    places = list(dict.fromkeys(_PLACE.findall(str(component.get("text", "")))))
    if len(parameters) != len(places):
        raise Refusal(
            132000,
            f"{kind}: number of localizable_params ({len(parameters)}) does not match the expected number of params "
            f"({len(places)})",
        )
    named = [place for place in places if not place.isdigit()]
    if named and {each.get("parameter_name") for each in parameters} != {*named}:
        raise Refusal(132012, f"{kind}: parameters must be named {', '.join(named)}")


class SimulatedTemplates:
    """The templates of one account; their ids count up from `first_id`."""

    def __init__(self, first_id: int = 400000000000001) -> None:
        self._ids = count(first_id)
        self._all: dict[str, SimulatedTemplate] = {}
        self.add({"name": "hello_world", "language": "en_US", "category": "UTILITY", "components": _HELLO}, "APPROVED")

    def add(self, given: Json, status: str = "PENDING") -> SimulatedTemplate:
        """Create a template.

        Raises:
            Refusal: as Meta refuses it.
        """
        name, language, category, components = (
            given.get(key) for key in ("name", "language", "category", "components")
        )
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9_]{1,512}", name):
            raise Refusal(100, "name takes lower-case letters, digits and underscores")
        category = str(category).upper()
        if not isinstance(language, str) or not language or category not in CATEGORIES:
            raise Refusal(100, f"language and category ({', '.join(CATEGORIES)}) are required")
        if not isinstance(components, list) or not all(isinstance(each, dict) for each in components):
            raise Refusal(100, "components must be an array of objects")
        if self.find(name, language) is not None:
            raise Refusal(100, "Content in this language already exists", subcode=_ALREADY_THERE)
        made = SimulatedTemplate(
            id=str(next(self._ids)),
            name=name,
            language=language,
            category=category,
            components=components,
            status=status,
        )
        self._all[made.id] = made
        return made

    def find(self, name: str, language: str) -> SimulatedTemplate | None:
        """Return the template of this name in this language."""
        return next((each for each in self._all.values() if (each.name, each.language) == (name, language)), None)

    def get(self, template_id: str) -> SimulatedTemplate | None:
        """Return the template with this id."""
        return self._all.get(template_id)

    def named(self, name: str) -> list[SimulatedTemplate]:
        """Return the templates of this name, in every language."""
        return [each for each in self._all.values() if each.name == name]

    def remove(self, name: str, template_id: str = "") -> bool:
        """Delete a name in every language, or only the template with an id. Return whether there was any."""
        gone = [each.id for each in self.named(name) if not template_id or each.id == template_id]
        for each in gone:
            del self._all[each]
        return bool(gone)

    def sent(self, content: Json) -> SimulatedTemplate:
        """Return the template that a message is made of, after checking its parameters.

        Raises:
            Refusal: as Meta refuses it.
        """
        name, language = content["name"], content["language"]["code"]
        found = self.find(name, language)
        if found is None or found.status in ("PENDING", "REJECTED"):
            raise Refusal(132001, f"template name ({name}) does not exist in {language}")
        found.check(content.get("components") or [])
        return found

    def page(self, query: Mapping[str, str], url: str) -> dict[str, Any]:
        """Return a page of the list; `url` is the list's, from which the next page's URL is made."""
        wanted = [
            each
            for each in self._all.values()
            if query.get("name", "") in each.name
            and all(getattr(each, key) in query.get(key, getattr(each, key)).split(",") for key in _FILTERS)
        ]
        fields = [field for field in query.get("fields", "").split(",") if field]
        shown = page(wanted, query, url, show=lambda each: each.shown(fields))
        if query.get("summary"):
            shown["summary"] = {
                "total_count": len(wanted),
                "message_template_count": len(self._all),
                "message_template_limit": 250,
                "are_translations_complete": True,
            }
        return shown


_HELLO = [
    {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
    {"type": "BODY", "text": "Welcome and congratulations!! This message shows that you can send messages."},
    {"type": "FOOTER", "text": "WhatsApp Business Platform sample message"},
]
