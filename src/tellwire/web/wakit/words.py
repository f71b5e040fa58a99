"""PURE. Say times, statuses and numbers as wakit does.

Source: docs/reference/wakit.md, "Values".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from tellwire.meta.phone_numbers import alias
from tellwire.model.messaging import Contact
from tellwire.model.row_json import STATUS_ORDER
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS, Micros

UNKNOWN = "Unknown"
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LIFE = {name: place for place, name in enumerate(STATUS_ORDER)}
_WEEK = 7
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_DIGITS = re.compile(r"[^0-9]+")


def time_words(at: Micros, now: Micros) -> str:
    """Return a time as people say it, in UTC: `HH:mm` today, `yesterday`, the weekday within a week, else the date."""
    then, today = _day_and_time(at), _day_and_time(now)
    days = (today.date() - then.date()).days
    if days == 0:
        return f"{then:%H:%M}"
    if days == 1:
        return "yesterday"
    return _WEEKDAYS[then.weekday()] if 1 < days < _WEEK else then.date().isoformat()


def _day_and_time(at: Micros) -> datetime:
    return _EPOCH + timedelta(seconds=at // MICROS)


def latest_status(status: Mapping[str, Micros]) -> str:
    """Return the status with the newest time; of several within a second the one that comes last in a message's life.

    Meta's times are whole seconds and `pending` is by our clock, so that counts only as long as there is no other.
    """
    told = {name: at for name, at in status.items() if name != "pending"}
    return max(told, key=lambda name: (told[name] // MICROS, _LIFE.get(name, -1))) if told else "pending"


def digits(text: str) -> str:
    """Return the digits of a text."""
    return _NOT_DIGITS.sub("", text)


def phone_of_account(account: Account) -> str:
    """Return an account's phone number as digits, its phone_number_id when its number is not known."""
    return digits(account.display_phone_number) or account.phone_number_id


def phone_of_contact(contact: Contact) -> str:
    """Return a contact's phone number as digits, the user id of one whose number is not known."""
    return alias(contact.phone) if contact.phone else contact.user_id
