"""Find a source by what a query calls it: its id, its name, or `meta` for Meta itself."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter

from tellwire.errors import Invalid
from tellwire.model.sources import META, Source
from tellwire.web.request import RequestContext

SourceName = Annotated[str, QueryParameter(description="A source's id or name; `meta` for Meta itself.", max_length=64)]


def source_of(context: RequestContext, name: str, pointer: str = "source") -> str:
    """Return the id of the organization's source with this id or name, "" for Meta.

    Raises:
        Invalid: there is none.
    """
    found = known_source(context, name, pointer)
    return found.id if found else ""


def known_source(context: RequestContext, name: str, pointer: str) -> Source | None:
    """Return the organization's source with this id or name, None for Meta.

    Raises:
        Invalid: there is none.
    """
    if name == META:
        return None
    for source in of_organization(context):
        if name in (source.id, source.name):
            return source
    raise Invalid("A source is not known.", (f"/{pointer}", "is no id or name of a source, nor meta"))


def of_organization(context: RequestContext) -> list[Source]:
    """Return the organization's sources."""
    sources = context.services.store.registry().sources.values()
    return [source for source in sources if source.organization_id == context.organization_id]
