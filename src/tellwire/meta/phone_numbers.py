"""PURE. Phone numbers: their digits, and the spellings that WhatsApp knows one mobile number by."""

from __future__ import annotations

import re

_PHONE = re.compile(r"\+?[0-9][0-9 ().\u00a0-]*")
_NOT_A_DIGIT = re.compile(r"[^0-9]+")
_BRAZIL_WITH_9 = re.compile(r"55([1-9][1-9])9([6-9][0-9]{7})")
_BRAZIL_WITHOUT_9 = re.compile(r"55([1-9][1-9])([6-9][0-9]{7})")
_MEXICO = re.compile(r"52(1?)([2-9][0-9]{9})")
_ARGENTINA = re.compile(r"54(9?)([1-8][0-9]{9})")


def alias(address: str) -> str:
    """Return the form in which addresses are compared: the digits of a phone number, anything else as it is."""
    if address.isdecimal() and address.isascii():
        return address
    return _NOT_A_DIGIT.sub("", address) if _PHONE.fullmatch(address) else address


def variants(phone: str) -> tuple[str, ...]:
    """Return the other spellings of a number, for look-up only; never to be stored, shown or sent to.

    Brazilian mobiles with and without the ninth digit (landlines have none), Mexican 52/521, Argentinian 54/549.

    Args:
        phone: as Meta or a person wrote it.

    Returns:
        Digits without `+`; () for any other country and for what is no phone number. Symmetric: a number is among
        the variants of each of its variants.
    """
    digits = alias(phone)
    if not digits.startswith(("55", "52", "54")):
        return ()
    if found := _BRAZIL_WITH_9.fullmatch(digits):
        return (f"55{found[1]}{found[2]}",)
    if found := _BRAZIL_WITHOUT_9.fullmatch(digits):
        return (f"55{found[1]}9{found[2]}",)
    if found := _MEXICO.fullmatch(digits):
        return (f"52{'' if found[1] else '1'}{found[2]}",)
    if found := _ARGENTINA.fullmatch(digits):
        return (f"54{'' if found[1] else '9'}{found[2]}",)
    return ()


def same_address(one: str, other: str) -> bool:
    """Return whether two addresses are one person's: equal, or spellings of one phone number."""
    a, b = alias(one), alias(other)
    return a == b or b in variants(a)


def is_user_id(address: str) -> bool:
    """Return whether an address is a business-scoped user id (`CC.…`), not a phone number."""
    return not address.lstrip("+").isdigit()
