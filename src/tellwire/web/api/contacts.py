"""`/v1/contacts`: people, by every phone number and user id that they are known by."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath
from msgspec import UNSET, Struct, UnsetType
from msgspec.json import encode

from tellwire.errors import NotFound
from tellwire.model import Contact
from tellwire.rows import instant
from tellwire.stores import cold_messages
from tellwire.web.api.shapes import Id, NextCursor, When
from tellwire.web.desk import AtDesk, joined, listed, shown
from tellwire.web.parameters import Cursor, Limit, Name, our_id, turn_of

_READ = {"scopes": ("read",)}
_NOUN = "contacts"


class ContactRead(Struct, kw_only=True):
    """A contact. `merged_into` is the older contact that it turned out to be."""

    id: Id
    organization_id: Id
    name: str | UnsetType = UNSET
    username: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET
    merged_into: str | UnsetType = UNSET
    created_at: When
    updated_at: When


class ContactWithAliases(ContactRead, kw_only=True):
    """A contact with every phone number and user id that it is known by."""

    aliases: list[str]


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
            created_at=instant(contact.created_at),
            updated_at=instant(contact.updated_at),
        )
    )


@get("/contacts", summary="List contacts", opt=_READ)
async def list_contacts(
    desk: AtDesk, limit: Limit = 50, cursor: Cursor = "", alias: Name = ""
) -> Response[ContactList]:
    """The contacts of the organization; `alias` finds the one that a phone number or user id stands for."""
    turn = turn_of(_NOUN, limit, cursor)
    page = await desk.read(lambda c: cold_messages.contacts_page(c, desk.organization_id, alias, turn))
    return listed(_NOUN, page, _shown, ContactList)


@get("/contacts/{contact_id:str}", summary="Read a contact", opt=_READ)
async def read_contact(contact_id: FromPath[str], desk: AtDesk) -> Response[ContactWithAliases]:
    """One contact."""
    name = our_id(contact_id, "contact")
    contact = await desk.read(lambda c: cold_messages.get_contact(c, desk.organization_id, name))
    if contact is None:
        raise NotFound("There is no contact with this id.")
    aliases = await desk.read(lambda c: cold_messages.aliases_of(c, name))
    return shown(joined(_shown(contact), {"aliases": aliases}), ContactWithAliases)


HANDLERS = (list_contacts, read_contact)
