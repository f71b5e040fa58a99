"""Keep the data of `dev` between runs: a folder with generated secrets, the database beside them, and a lock."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from pathlib import Path

import msgspec
from msgspec import Struct

import tellwire_sdk
from tellwire.errors import AlreadyRunning, TellwireError

FOLDER = Path(".tellwire")
_KEPT = "dev.json"
_LOCK = "dev.lock"


class Home(Struct, frozen=True, kw_only=True):
    """The secrets that were generated at the first start; they are worth nothing outside this machine."""

    app_secret: str
    verify_token: str
    admin_key: str
    secrets: dict[str, str]
    """signing secret of the catcher's endpoint, by format"""


def make_home(formats: tuple[str, ...]) -> Home:
    """Generate new secrets."""
    return Home(
        app_secret=secrets.token_hex(16),
        verify_token=secrets.token_urlsafe(16),
        admin_key=f"tw_{secrets.token_urlsafe(32)}",
        secrets={name: tellwire_sdk.make_secret(secrets.token_bytes(32)) for name in formats},
    )


def lock(folder: Path) -> int:
    """Create the folder if it does not exist, and lock it; the lock lasts as long as the returned file descriptor.

    Raises:
        AlreadyRunning: another `dev` uses it.
        TellwireError: the folder cannot be written to.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise AlreadyRunning(
            f"another `tellwire dev` keeps its data in {folder.resolve()}; stop it, or start this one elsewhere"
        ) from None
    return handle


def clear(folder: Path) -> None:
    """Delete everything in a locked folder except the lock.

    Raises:
        TellwireError: something cannot be deleted.
    """
    try:
        for child in folder.iterdir():
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            elif child.name != _LOCK:
                child.unlink()
    except OSError as error:
        raise _unusable(folder, error) from None


def keep(folder: Path, formats: tuple[str, ...]) -> tuple[Home, bool]:
    """Return the secrets of a locked folder, generated at the first start; and whether they were generated just now.

    Raises:
        TellwireError: the file is damaged, or cannot be read or written.
    """
    path = folder / _KEPT
    try:
        known = read_home(folder)
        if known is not None and known.secrets.keys() >= set(formats):
            return known, False
        made, draft = make_home(formats), path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(made)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise _unusable(folder, error) from None
    return made, True


def read_home(folder: Path = FOLDER) -> Home | None:
    """Return the secrets that a `dev` has kept in a folder; None when there are none.

    Raises:
        TellwireError: the file is damaged, or cannot be read.
    """
    path = folder / _KEPT
    try:
        return msgspec.json.decode(path.read_bytes(), type=Home)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(folder, error) from None
    except msgspec.MsgspecError:
        raise TellwireError(f"{path} is damaged; `tellwire dev --fresh` starts anew") from None


def _unusable(folder: Path, error: OSError) -> TellwireError:
    return TellwireError(
        f"dev keeps its data in {folder.resolve()}, which cannot be used: {error.strerror or error}; "
        "start it in a folder that you may write to"
    )
