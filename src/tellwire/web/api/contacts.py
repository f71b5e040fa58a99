"""Serve `/v1/contacts`: people, with every phone number and user id by which they are known."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from litestar import Response, delete, get, patch
from litestar.params import FromPath, JSONBody
from litestar.response import Stream
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import encode

from tellwire.errors import NotFound
from tellwire.model.erasures import Counts, Erasure
from tellwire.model.messaging import NEVER, Contact
from tellwire.model.row_json import instant
from tellwire.model.units import MICROS
from tellwire.stores.queries import erasures, messages, person_rows
from tellwire.web.api.contact_export import export
from tellwire.web.api.marketing_preferences import MarketingPreference, preferences_of
from tellwire.web.api.shapes import LINE, Id, NextCursor, When, when
from tellwire.web.parameters import Cursor, Limit, Name, our_id, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import JSON, joined, page_response, raw_json_response

_READ = {"scopes": ("read", "inbox")}
_MANAGE = {"scopes": ("contacts:manage",)}
_NOUN = "contacts"
_ERASING_SECONDS = 5.0


class ContactRead(Struct, kw_only=True):
    """A contact. `merged_into` is the older contact that it turned out to be. `marketing`: by account, whether they
    have stopped or resumed marketing; left out while they have done neither."""

    id: Id
    organization_id: Id
    name: str | UnsetType = UNSET
    username: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET
    merged_into: str | UnsetType = UNSET
    own_name: Annotated[bool, Meta(description="The name was set here: no name of Meta's changes it.")]
    marketing: list[MarketingPreference] | UnsetType = UNSET
    created_at: When
    updated_at: When


class FormerAlias(Struct, kw_only=True):
    """A phone number or user id that a person left, by Meta's time: what Meta dates later there is somebody else's."""

    alias: str
    until: When


class ContactWithAliases(ContactRead, kw_only=True):
    """A contact with every phone number and user id that it is known by, and those that it has left."""

    aliases: list[str]
    former_aliases: list[FormerAlias]


class ContactChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a contact. What is left out stays."""

    name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=512, pattern=LINE)] | UnsetType | None,
        Meta(description="A name of your own, which stays. null: the next name that Meta gives counts again."),
    ] = UNSET


class ErasureRead(Struct, kw_only=True):
    """How far the erasure of a contact, and of those that were merged into it, has come: `erased` counts rows."""

    id: Id
    organization_id: Id
    contact_id: Id
    contact_ids: list[Id]
    state: Literal["running", "done"]
    erased: Counts
    erased_at: When
    finished_at: When | None


class ContactList(Struct, kw_only=True):
    """A page of contacts, newest first."""

    data: list[ContactRead]
    next_cursor: NextCursor


def _shown(contact: Contact) -> bytes:
    return encode(
        ContactRead(
            id=contact.id,
            organization_id=contact.organization_id,
            name=contact.name or UNSET,
            username=contact.username or UNSET,
            phone=contact.phone or UNSET,
            user_id=contact.user_id or UNSET,
            merged_into=contact.merged_into or UNSET,
            own_name=contact.own_name,
            marketing=preferences_of(contact) or UNSET,
            created_at=instant(contact.created_at),
            updated_at=instant(contact.updated_at),
        )
    )


@get("/contacts", summary="List contacts", opt=_READ)
async def list_contacts(
    context: ContextDependency, limit: Limit = 50, cursor: Cursor = "", alias: Name = ""
) -> Response[ContactList]:
    """The contacts of the organization; `alias` finds the one that a phone number or user id stands for now."""
    paging = page_request(_NOUN, limit, cursor)
    page = await context.read(lambda c: messages.contacts_page(c, context.organization_id, alias, paging))
    return page_response(_NOUN, page, _shown, ContactList)


@get("/contacts/{contact_id:str}", summary="Read a contact", opt=_READ)
async def read_contact(contact_id: FromPath[str], context: ContextDependency) -> Response[ContactWithAliases]:
    """One contact."""
    return await _answer(context, await _known(context, contact_id))


@patch("/contacts/{contact_id:str}", summary="Change a contact", opt=_MANAGE)
async def change_contact(
    contact_id: FromPath[str], context: ContextDependency, data: JSONBody[ContactChange]
) -> Response[ContactWithAliases]:
    """Give a contact a name of your own. Rows and events show it from their next change on."""
    name, audit_change, wanted = our_id(contact_id, "contact"), context.audit_change(), data.name
    if wanted is UNSET:
        return await _answer(context, await _known(context, name))
    contact = await context.write(lambda c: messages.rename_contact(c, audit_change, name, wanted))
    if contact is None:
        raise NotFound("There is no contact with this id.")
    return await _answer(context, contact)


@get(
    "/contacts/{contact_id:str}/export",
    summary="Export a contact",
    opt={"scopes": ("contacts:manage",), "media_type": JSON},
)
async def export_contact(contact_id: FromPath[str], context: ContextDependency) -> Stream:
    """Everything that is kept of a person, also under contacts that were merged, as one JSON object: `contacts`,
    `aliases`, `former_aliases`, `conversations`, `messages`, `media`, `handovers` and `agent_runs` of the
    conversations, `events`, `deliveries` with their attempts, and `received`, what Meta sent of them, verbatim. It is
    sent while it is read: an object that breaks off is not whole."""
    name = our_id(contact_id, "contact")
    person = await context.read(lambda c: person_rows.get(c, context.organization_id, name))
    if person is None:
        raise NotFound("There is no contact with this id.")
    headers = {"content-disposition": f'attachment; filename="contact-{person.ids[0]}.json"'}
    return Stream(export(context, person), media_type=JSON, headers=headers)


@delete("/contacts/{contact_id:str}", summary="Erase a contact", opt=_MANAGE, status_code=202)
async def erase_contact(contact_id: FromPath[str], context: ContextDependency) -> Response[ErasureRead]:
    """Erase a person: the contact and those merged into it, messages, events, what attempts and received POSTs quote;
    what was not delivered yet is `cancelled`. From the answer on nobody finds the person; the rest goes in the
    background, see `/erasure`. Answers 202 with `state` `done` when it was little. What Meta sends late for what was
    erased is known for 40 days and brings nothing back; a message that is newer is a new contact's."""
    name, audit_change, vault = our_id(contact_id, "contact"), context.audit_change(), context.services.store.vault
    erasure = await context.write(lambda c: erasures.begin(c, audit_change, vault, name, nobodys=context.sees_nobodys))
    if erasure is None:
        return await _erasure(context, name, status=202)
    running = context.services.erase(context.organization_id, erasure.id)
    context.app_state.keep_running(running)
    await asyncio.wait((running,), timeout=_ERASING_SECONDS)
    return await _erasure(context, erasure.contact_id, status=202)


@get("/contacts/{contact_id:str}/erasure", summary="Read how an erasure stands", opt=_MANAGE)
async def read_erasure(contact_id: FromPath[str], context: ContextDependency) -> Response[ErasureRead]:
    """How far the erasure of a contact has come; known for 40 days."""
    return await _erasure(context, our_id(contact_id, "contact"))


async def _erasure(context: RequestContext, contact_id: str, *, status: int = 200) -> Response[ErasureRead]:
    vault = context.services.store.vault
    erasure = await context.read(lambda c: erasures.of_contact(c, vault, context.organization_id, contact_id))
    if erasure is None:
        raise NotFound("There is no contact with this id.")
    return raw_json_response(_shown_erasure(erasure), ErasureRead, status=status)


def _shown_erasure(erasure: Erasure) -> bytes:
    return encode(
        ErasureRead(
            id=erasure.id,
            organization_id=erasure.organization_id,
            contact_id=erasure.contact_id,
            contact_ids=list(erasure.contact_ids),
            state=erasure.state,
            erased=erasure.counts,
            erased_at=instant(erasure.erased_at),
            finished_at=when(erasure.finished_at),
        )
    )


async def _known(context: RequestContext, contact_id: str) -> Contact:
    name = our_id(contact_id, "contact")
    contact = await context.read(lambda c: messages.get_contact(c, context.organization_id, name))
    if contact is None:
        raise NotFound("There is no contact with this id.")
    return contact


async def _answer(context: RequestContext, contact: Contact) -> Response[ContactWithAliases]:
    known = await context.read(lambda c: messages.aliases_of(c, contact.id))
    aliases = [alias for alias, until in known if until == NEVER]
    left = [FormerAlias(alias=alias, until=instant(until * MICROS)) for alias, until in known if until != NEVER]
    shown = joined(_shown(contact), {"aliases": aliases, "former_aliases": left})
    return raw_json_response(shown, ContactWithAliases)


HANDLERS = (
    list_contacts,
    read_contact,
    change_contact,
    export_contact,
    erase_contact,
    read_erasure,
)
