"""Show what a contact has said of marketing: on contacts, and in the export of a person."""

from __future__ import annotations

from msgspec import Struct

from tellwire.conversations import marketing
from tellwire.model.messaging import Contact
from tellwire.model.row_json import instant
from tellwire.model.units import MICROS
from tellwire.web.api.shapes import Id, When


class MarketingPreference(Struct, kw_only=True):
    """Whether a contact wants marketing of an account: their last word in WhatsApp, with Meta's time of it."""

    account_id: Id
    choice: marketing.Choice
    at: When


def preferences_of(contact: Contact) -> list[MarketingPreference]:
    """Return what a contact has said, by account."""
    return [
        MarketingPreference(account_id=account_id, choice=each.choice, at=instant(each.at * MICROS))
        for account_id, each in sorted(marketing.known(contact.marketing).items())
    ]
