"""Whether a message is marketing that its recipient wants no more."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import MsgspecError, Struct
from sqlalchemy import Connection, select

from tellwire.conversations.marketing import stopped
from tellwire.stores.queries import messages
from tellwire.stores.schema.sending import templates
from tellwire.stores.schema.tables import accounts

_MARKETING = "MARKETING"


class _Template(Struct):
    name: str = ""
    language: Any = None

    @property
    def code(self) -> str:
        """The code of the language."""
        return str(self.language.get("code")) if isinstance(self.language, dict) else str(self.language)


class _Content(Struct):
    template: _Template


_content = msgspec.json.Decoder(_Content)


def unwanted(connection: Connection, organization_id: str, account_id: str, party: str, content: bytes) -> bool:
    """Return whether a template is marketing, and its recipient has stopped that on the account.

    Args:
        party: the conversation's party; a group has stopped nothing.
        content: the content of the message's row. A template that is not known here is taken for no marketing: Meta
            refuses it if it is.
    """
    contact = messages.get_contact(connection, organization_id, party)
    while contact is not None and contact.merged_into:
        contact = messages.get_contact(connection, organization_id, contact.merged_into)
    if contact is None or not stopped(contact.marketing, account_id):
        return False
    try:
        template = _content.decode(content).template
    except MsgspecError:
        return False
    business = select(accounts.c.waba_id).where(accounts.c.id == account_id).scalar_subquery()
    query = select(templates.c.language, templates.c.category).where(
        templates.c.organization_id == organization_id,
        templates.c.waba_id == business,
        templates.c.name == template.name,
    )
    categories = {row.language: row.category.upper() for row in connection.execute(query)}
    known = [categories[template.code]] if template.code in categories else list(categories.values())
    return _MARKETING in known
