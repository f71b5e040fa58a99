"""Whom a call is about: a contact by its phone number, or a group by its id."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from tellwire.errors import Invalid
from tellwire.meta.outgoing import recipient
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS
from tellwire.stores.queries import service_windows
from tellwire.stores.queries.parties import Thread
from tellwire.web.request import RequestContext
from tellwire.web.wakit import accounts, given
from tellwire.web.wakit.words import digits


class Named(Struct, frozen=True):
    """What a call names. `party`: "" for a contact that nobody has written with; `to`: the contact's address, "" for a
    group; `words`: how messages to the caller name it."""

    account: Account
    party: str
    to: str
    words: str

    @property
    def thread(self) -> Thread:
        """Everything that the account wrote with it."""
        return Thread(self.account.organization_id, self.account.id, self.party)


async def named_in(context: RequestContext, given_fields: Mapping[str, object], account_phone: str) -> Named:
    """Return what `contact_phone` or `group_id` names; the contact when there are both.

    Raises:
        Invalid: neither is there, or the phone number is none.
        Problem: see `accounts.chosen`.
    """
    phone, group = named(given_fields)
    account = accounts.chosen(context, account_phone)
    if not phone:
        return Named(account, group, "", f"group {group}")
    found, wrong = recipient.read(phone)
    if found is None or found.kind != "user_id":
        found, wrong = recipient.read("+" + digits(phone))
    if found is None:
        raise Invalid(f"contact_phone {wrong}.")
    to = found.address
    now = context.services.clock.now() // MICROS
    party = await context.read(lambda c: service_windows.party_of(c, account, to, now, last=True))
    return Named(account, party, to, f"contact {to.removeprefix('+')}")


def named(given_fields: Mapping[str, object]) -> tuple[str, str]:
    """Return `contact_phone` and `group_id`, "" for one that is not there.

    Raises:
        Invalid: neither is there.
    """
    phone, group = (given.text(given_fields.get(name), name) for name in ("contact_phone", "group_id"))
    if not phone and not group:
        raise Invalid("contact_phone or group_id is required.")
    return phone, group
