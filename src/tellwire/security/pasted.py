"""PURE. Tokens as people paste them: with blanks around them, or with the `Bearer` of a header before them."""

from __future__ import annotations

import re
from typing import Final

from tellwire.errors import Invalid

_INVISIBLE: Final = "\u200b\u2060\ufeff"
_HEADER: Final = re.compile(r"(?:authorization\s*:\s*)?bearer(?:\s+|$)", re.IGNORECASE)
_VISIBLE: Final = re.compile(r"[!-~]+")


def token_of(given: str, pointer: str) -> str:
    """Return a token for a header `Authorization: Bearer …` as it is meant; "" when none is given.

    Args:
        given: as it was pasted.
        pointer: where it stands in the body, for the refusal.

    Raises:
        Invalid: it has characters that no such header takes, or nothing is left of it.
    """
    token = as_meant(given)
    if not given or _VISIBLE.fullmatch(token):
        return token
    why = "must have visible ASCII characters only, no spaces" if token else "holds no token"
    raise Invalid("The token cannot be used.", (pointer, why))


def as_meant(given: str) -> str:
    """Return a token without blanks around it and without `Bearer` before it; it may still be one that no header
    takes."""
    token = trimmed(given)
    while found := _HEADER.match(token):
        token = trimmed(token[found.end() :])
    return token


def trimmed(given: str) -> str:
    """Return a secret without the blanks around it, those included that nobody sees."""
    before = None
    while before != given:
        before, given = given, given.strip().strip(_INVISIBLE)
    return given
