"""PURE. Passwords of members, kept as argon2id in the PHC form (RFC 9106, second recommended choice, with less memory).

`cryptography` makes and checks them; its parameters stand in each hash, so that they can be raised later.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

SHORTEST = 10
"""A password has at least so many characters."""

_LENGTH, _ITERATIONS, _LANES, _MEMORY_KIB = 32, 3, 1, 32 * 1024
_NOBODYS = (
    f"$argon2id$v=19$m={_MEMORY_KIB},t={_ITERATIONS},p={_LANES}"
    "$bm9ib2R5bm9ib2R5bm9ib2Q$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""A hash that no password has: a member who is not there takes as long to refuse as one who is."""


def hashed(password: str, salt: bytes) -> str:
    """Return what is stored of a password, with 16 random bytes as salt."""
    made = Argon2id(salt=salt, length=_LENGTH, iterations=_ITERATIONS, lanes=_LANES, memory_cost=_MEMORY_KIB)
    return made.derive_phc_encoded(password.encode())


def is_right(password: str, stored: str) -> bool:
    """Return whether a password is the one that was stored; "" is nobody's. It takes tens of milliseconds."""
    try:
        Argon2id.verify_phc_encoded(password.encode(), stored or _NOBODYS)
    except InvalidKey:
        return False
    return bool(stored)
