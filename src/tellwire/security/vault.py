"""Secrets at rest: AES-256-GCM with several master keys; the first encrypts, all decrypt.

Source: docs/reference/delivery.md, "Secrets".
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tellwire.errors import BadSettings


class Vault:
    """Encrypts texts for storage (`seal`) and decrypts them (`unseal`).

    `context` (table, column, id) is authenticated, so that a sealed value opens only in the column and row it is of.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {hashlib.sha256(key).hexdigest()[:8]: AESGCM(key) for key in keys}
        self._first = next(iter(self._keys))

    def seal(self, plain: str, context: str) -> str:
        """Return `plain` encrypted, as `<key id>.<base64>`; "" stays ""."""
        if not plain:
            return ""
        nonce = os.urandom(12)
        sealed = self._keys[self._first].encrypt(nonce, plain.encode(), context.encode())
        return f"{self._first}.{base64.b64encode(nonce + sealed).decode()}"

    def is_sealed_by_first_key(self, sealed: str) -> bool:
        """Return whether a value was sealed by the first key (or is ""), so that it need not be sealed again."""
        return not sealed or sealed.partition(".")[0] == self._first

    def unseal(self, sealed: str, context: str) -> str:
        """Return the text that `seal` was given.

        Raises:
            BadSettings: none of the master keys is the one that sealed it.
        """
        if not sealed:
            return ""
        name, _, text = sealed.partition(".")
        raw = base64.b64decode(text)
        try:
            return self._keys[name].decrypt(raw[:12], raw[12:], context.encode()).decode()
        except (KeyError, InvalidTag):
            raise BadSettings(
                f"MASTER_KEY: the stored secret {context} was sealed with another key ({name}); add that key"
            ) from None


def read_or_make_master_key(database: Path, *, holds_sealed: Callable[[], bool]) -> bytes:
    """Read the 32-byte key from the 0600 file beside an SQLite database, making it on the first start.

    Args:
        database: its file.
        holds_sealed: returns whether anything in it is sealed already; then another key was lost, and none is made.

    Raises:
        BadSettings: the file holds no key, or is not there though the database needs it.
    """
    path = master_key_path(database)
    if not path.exists():
        if holds_sealed():
            raise BadSettings(
                f"{database} holds secrets that are sealed with a master key, and {path} is not there: put back the "
                "file that was made with the database, or set TELLWIRE_MASTER_KEY to its key. No new key was made, "
                "because it would open none of them"
            )
        write_master_key(path, os.urandom(32))
    return read_master_key(path)


def master_key_path(database: Path) -> Path:
    """Return the file of the master key of an SQLite database, which stands beside it."""
    return database.with_name(database.name + ".master-key")


def read_master_key(path: Path) -> bytes:
    """Return the key in a file.

    Raises:
        BadSettings: it holds none.
    """
    try:
        key = base64.b64decode(path.read_text().strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise BadSettings(
            f"{path} does not hold a 32-byte key in base64: put back the file that was made with the database"
        )
    return key


def write_master_key(path: Path, key: bytes) -> None:
    """Make a key file for this user alone, whole or not at all; one that another process made meanwhile stays."""
    draft = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
