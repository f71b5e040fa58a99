"""PURE. Read message templates as Meta lists them, and check whether a message may be made of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from tellwire.meta import scalars
from tellwire.meta.outgoing import template_parameters
from tellwire.meta.outgoing.shapes import Complaint
from tellwire.meta.raw_json import verbatim
from tellwire.model.units import Micros

APPROVED = "APPROVED"
DELETED = "DELETED"
FIELDS = "id,name,language,category,status,components,parameter_format,quality_score,rejected_reason"
"""The fields that Meta is asked for."""


class Listed(Struct, frozen=True, kw_only=True):
    """A template in one language, as Meta lists it; `components` is Meta's list, JSON."""

    meta_id: str
    name: str
    language: str
    category: str = ""
    status: str = ""
    quality: str = ""
    reason: str = ""
    parameter_format: str = ""
    components: bytes = b"[]"


class Template(Listed, frozen=True, kw_only=True):
    """A template as it is kept. `synchronised_at`: when Meta last listed it (micros), 0 for never."""

    id: str
    organization_id: str
    waba_id: str
    synchronised_at: Micros = 0
    created_at: Micros = 0
    updated_at: Micros = 0


class TemplateStatus(Struct, frozen=True, kw_only=True):
    """The state of a business account's template synchronisation. `synchronised_at`: 0 for never. `asked_at`: when a
    webhook announced changes that the rows may not hold yet, 0 for none. `cause`: why the last attempt failed."""

    organization_id: str
    waba_id: str
    synchronised_at: Micros = 0
    asked_at: Micros = 0
    due_at: Micros = 0
    attempts: int = 0
    cause: str = ""


class SyncCounts(Struct, frozen=True, kw_only=True):
    """What a synchronisation changed, in numbers of templates."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    total: int = 0


def read_page(body: bytes) -> tuple[list[Listed], str] | None:
    """Return the templates of a page of Meta's list and the cursor of the next page ("" for the last); None if the body
    is not such a page.

    A row without a name or a language cannot be sent and is left out.
    """
    top = verbatim.members(body)
    rows = verbatim.elements(top["data"]) if top and "data" in top else None
    if top is None or rows is None:
        return None
    paging = verbatim.readable_members(bytes(top["paging"])) if "paging" in top else {}
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, dict) and paging.get("next") else ""
    return [found for row in rows if (found := _listed(bytes(row)))], after if isinstance(after, str) else ""


def _listed(text: bytes) -> Listed | None:
    row, refused = verbatim.read(text)
    if refused or not isinstance(row, dict):
        return None
    name, language = scalars.ident(row.get("name"), scalars.NAME_LIMIT), scalars.keyword(row.get("language"))
    parts = verbatim.members(text) or {}
    if not name or not language:
        return None
    score = row.get("quality_score")
    reason = scalars.name(row.get("rejected_reason")) or ""
    return Listed(
        meta_id=scalars.ident(row.get("id")) or "",
        name=name,
        language=language,
        category=scalars.keyword(row.get("category")),
        status=scalars.keyword(row.get("status")),
        quality=scalars.keyword(score.get("score") if isinstance(score, dict) else score),
        reason="" if reason == "NONE" else reason,
        parameter_format=scalars.keyword(row.get("parameter_format")),
        components=bytes(parts["components"]) if isinstance(row.get("components"), list) else b"[]",
    )


def refusals(standing: TemplateStatus | None, named: Sequence[Template], given: dict[str, Any]) -> list[Complaint]:
    """Return why a message cannot be made of a template, as (JSON pointer, words); nothing when it can, or when the
    templates are not known.

    Args:
        standing: the synchronisation state of the business account.
        named: the templates of the given name, in every language.
        given: the object that the message sends as `template`.
    """
    if standing is None or not standing.synchronised_at:
        return []
    language = language_of(given)
    there = [template for template in named if template.status != DELETED]
    chosen = next((template for template in there if template.language == language), None)
    if chosen is None and standing.asked_at:
        return []  # Meta announced changes that are not read yet
    if chosen is None and there:
        languages = ", ".join(sorted(template.language for template in there))
        return [("/template/language/code", f"is not a language of this template; there is {languages}")]
    if chosen is None:
        return [("/template/name", "is not a template of the business account")]
    if chosen.status != APPROVED:
        why = f" ({chosen.reason})" if chosen.reason else ""
        return [("/template/name", f"is not approved: Meta says {chosen.status}{why}")]
    return template_parameters.complaints(chosen.components, chosen.parameter_format, given)


def language_of(given: dict[str, Any]) -> str:
    """Return the language code of a message's `template`."""
    language = given.get("language")
    code = language.get("code") if isinstance(language, dict) else language
    return code if isinstance(code, str) else ""
