"""PURE. Passwords of members, kept as argon2id in the PHC form (RFC 9106, second recommended choice, with less memory).

`cryptography` makes and checks them; its parameters stand in each hash, so that they can be raised later.
"""

from __future__ import annotations

import unicodedata

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

SHORTEST, LONGEST = 10, 256
"""A password has at least and at most so many characters."""

_FEWEST = 4
"""So many different characters it has at least."""
_LENGTH, _ITERATIONS, _LANES, _MEMORY_KIB = 32, 3, 1, 32 * 1024
NOBODYS = (
    f"$argon2id$v=19$m={_MEMORY_KIB},t={_ITERATIONS},p={_LANES}"
    "$bm9ib2R5bm9ib2R5bm9ibw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""A hash that no password has: a member who is not there takes as long to refuse as one who is."""


def hashed(password: str, salt: bytes) -> str:
    """Return what is stored of a password, with 16 random bytes as salt."""
    made = Argon2id(salt=salt, length=_LENGTH, iterations=_ITERATIONS, lanes=_LANES, memory_cost=_MEMORY_KIB)
    return made.derive_phc_encoded(_bytes(password))


def is_right(password: str, stored: str) -> bool:
    """Return whether a password is the one that was stored; "" is nobody's. It takes tens of milliseconds."""
    try:
        Argon2id.verify_phc_encoded(_bytes(password[: 2 * LONGEST]), stored or NOBODYS)
    except InvalidKey:
        return False
    return bool(stored)


def fault(password: str, *known: str) -> str:
    """Return why a password is not taken, "" if it is; `known`: texts that everybody knows of its member."""
    if not SHORTEST <= len(password) <= LONGEST:
        return f"must have {SHORTEST} to {LONGEST} characters"
    if len(set(password)) < _FEWEST or password.lower() in {each.lower() for each in known}:
        return "is too easy to guess"
    return ""


def _bytes(password: str) -> bytes:
    """Return a password as it is hashed: the same on every keyboard, however it composes accents."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "replace")
