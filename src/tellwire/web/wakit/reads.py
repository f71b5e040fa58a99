"""wakit's reads: conversations, the messages of one, contacts and templates."""

from __future__ import annotations

from functools import partial
from typing import Any

from litestar import Request
from msgspec import Raw
from sqlalchemy import Connection

from tellwire.accounts.templates import DELETED, Template
from tellwire.meta.outgoing.windows import window_closed
from tellwire.model.messaging import Contact, Conversation, Message
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS
from tellwire.stores.queries import parties, service_windows, templates
from tellwire.stores.queries.paging import PageRequest
from tellwire.stores.queries.templates import TemplateFilter
from tellwire.web.request import RequestContext
from tellwire.web.wakit import accounts, given
from tellwire.web.wakit.given import rule
from tellwire.web.wakit.recipients import named_in
from tellwire.web.wakit.words import UNKNOWN, digits, latest_status, phone_of_contact, time_words

_TEMPLATES_A_PAGE = 200


async def conversations(context: RequestContext, request: Request[Any, Any, Any]) -> Any:
    """Return the conversations of an account in which somebody wrote last."""
    query = given.parameters(request)
    account, most = accounts.chosen(context, query.get("account_phone", "")), given.limit(query, 10)
    owner, now = context.organization_id, context.services.clock.now()

    def look(connection: Connection) -> list[dict[str, Any]]:
        found = parties.recent(connection, owner, account.id, most)
        return [_listed(connection, account, each, now) for each in found]

    return {"account": accounts.shown(account), "conversations": await context.read(look)}


def _listed(connection: Connection, account: Account, conversation: Conversation, now: int) -> dict[str, Any]:
    owner, party = account.organization_id, conversation.party
    thread = parties.Thread(owner, account.id, party)
    last = next(iter(parties.newest_messages(connection, thread, 1)), None)
    return {
        **_who(conversation, parties.person(connection, owner, party)),
        "unread": parties.unread(connection, thread),
        "last_message": None
        if last is None
        else {
            "direction": last.direction,
            "content": Raw(last.content),
            "timestamp": time_words(_at(last), now),
            "status": latest_status(last.status),
        },
    }


def _who(conversation: Conversation, contact: Contact | None) -> dict[str, Any]:
    if conversation.is_group:
        return {"group": {"id": conversation.party, "name": UNKNOWN}}
    phone = phone_of_contact(contact) if contact else ""
    name = contact.name if contact else ""
    return {"contact": {"name": name or UNKNOWN, "phone": phone or digits(conversation.contact_address)}}


def _at(message: Message) -> int:
    return message.timestamp * MICROS or message.created_at


async def conversation(context: RequestContext, request: Request[Any, Any, Any]) -> Any:
    """Return the newest messages with a contact or in a group, oldest first."""
    query = given.parameters(request)
    named = await named_in(context, query, query.get("account_phone", ""))
    most, now = given.limit(query, 50), context.services.clock.now()
    account, party, owner = named.account, named.party, context.organization_id

    def look(connection: Connection) -> dict[str, Any]:
        known = parties.newest_conversation(connection, named.thread)
        if known is None:
            raise rule(f"Conversation with {named.words} not found.")
        last = service_windows.last_incoming_at(connection, owner, account.id, party)
        found = parties.newest_messages(connection, named.thread, most)
        return {
            "account": accounts.shown(account),
            **_who(known, parties.person(connection, owner, party)),
            "service_window": "closed" if not last or window_closed(now, last) else "open",
            "messages": [_message(each, now) for each in reversed(found)],
        }

    return await context.read(look)


def _message(message: Message, now: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "direction": message.direction,
        "content": Raw(message.content),
        "time": time_words(_at(message), now),
        "status": latest_status(message.status),
    }
    return shown | {"errors": Raw(message.errors)} if message.errors else shown


async def contacts(context: RequestContext, request: Request[Any, Any, Any]) -> Any:
    """Return the newest contacts whose name or number contains what is given."""
    query = given.parameters(request)
    name, number, most = query.get("name", ""), digits(query.get("number", "")), given.limit(query, 10)
    found = await context.read(lambda c: parties.people_like(c, context.organization_id, name, number, most))
    return {"contacts": [{"name": each.name or UNKNOWN, "phone": phone_of_contact(each)} for each in found]}


async def list_templates(context: RequestContext, request: Request[Any, Any, Any]) -> Any:
    """Return the templates of an account as they were synchronised, or one with its components."""
    query = given.parameters(request)
    account = accounts.chosen(context, query.get("account_phone", ""))
    if name := query.get("template_id", ""):
        one = await context.read(lambda c: templates.get(c, context.organization_id, name))
        if one is None or one.waba_id != account.waba_id or one.status == DELETED:
            raise rule(f"Template {name} not found.")
        return _template(one) | {"components": Raw(one.components)}
    if not account.waba_id:
        raise rule("The account has no waba_id, so nobody knows its templates: set it with PATCH /v1/accounts/{id}.")
    found: list[dict[str, str]] = []
    chosen, paging = TemplateFilter(waba_id=account.waba_id), PageRequest(_TEMPLATES_A_PAGE)
    page_of = partial(templates.page, organization_id=context.organization_id, chosen=chosen)
    while True:
        page = await context.read(partial(page_of, request=paging))
        found += [_template(each) for each in page.items if each.status != DELETED]
        if not page.after:
            return {"templates": found}
        paging = PageRequest(_TEMPLATES_A_PAGE, page.after)


def _template(template: Template) -> dict[str, Any]:
    return {
        "id": template.meta_id or template.id,
        "name": template.name,
        "status": template.status,
        "category": template.category,
        "language": template.language,
    }
