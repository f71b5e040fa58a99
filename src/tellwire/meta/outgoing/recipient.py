"""PURE. Whom a message goes to: a phone number, a business-scoped user id, or a group."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from tellwire.meta.phone_numbers import alias

_SEPARATORS = re.compile(r"[\s().\-\u00ad\u2010-\u2015\u2060\u200b\u200e\u200f\u202a-\u202e\u2212\[\]]+")
_USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
_LEAST, _MOST = 7, 15
_LONGEST = 200


class Recipient(Struct, frozen=True):
    """An address as Meta takes it: phone numbers with `+`, the other two as Meta gave them."""

    kind: Literal["phone", "user_id", "group"]
    address: str


def read(to: object) -> tuple[Recipient | None, str]:
    """Read an address as a person wrote it: (the recipient, ""), or (None, what is wrong with it).

    Phone numbers are international ones, with or without `+`; spaces, dashes, dots and brackets don't count. A number
    is never changed to another spelling (Brazil's ninth digit, Mexico's 1, Argentina's 9). Groups have no address of
    this kind: they are written to by their conversation.
    """
    if not isinstance(to, str):
        return None, "must be a text: a phone number or a business-scoped user id"
    given = to.strip()
    if len(given) > _LONGEST:
        return None, f"must have at most {_LONGEST} characters, {len(given)} given"
    if _USER_ID.fullmatch(given):
        return Recipient("user_id", given), ""
    plain = _SEPARATORS.sub("", given)
    digits = plain.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()):
        return None, "must be a phone number such as +491701234567 or a user id such as US.13491208655302741918"
    if plain.startswith("00"):
        return None, "must start with + instead of 00"
    if digits.startswith("0"):
        return None, "must start with + and the country's code; no country's code starts with 0"
    if not _LEAST <= len(digits) <= _MOST:
        return None, f"must have {_LEAST} to {_MOST} digits, {len(digits)} given"
    return Recipient("phone", f"+{digits}"), ""


def known(address: str, *, group: bool = False) -> Recipient | None:
    """Return the recipient behind an address that a row holds; None when Meta would not take it."""
    if group:
        return Recipient("group", address) if address else None
    if _USER_ID.fullmatch(address):
        return Recipient("user_id", address)
    digits = alias(address)
    return Recipient("phone", f"+{digits}") if digits.isascii() and digits.isdecimal() else None
