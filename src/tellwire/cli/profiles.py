"""Keep profiles: which server commands talk to, and with which key. `dev` and `serve` leave one while they run.

A profile is a file of this user alone, `NAME.json` in `$XDG_CONFIG_HOME/tellwire/profiles` (`~/.config` unless set).
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from tellwire.errors import BadSettings, TellwireError
from tellwire.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a profile may be called."""


class Profile(Struct, frozen=True, kw_only=True):
    """A server, and a key that it takes.

    Args:
        url: where the server is reached, without a slash at the end.
        made_by: the command that left it, "dev" or "serve"; "" for one that a person saved.
        pid: the process that serves, 0 for a saved one.
        folder: the working directory of that process.
        database: `fingerprint` of its database.
        started_at: seconds since 1970.
    """

    url: str
    key: str
    made_by: str = ""
    pid: int = 0
    folder: str = ""
    database: str = ""
    started_at: float = 0.0

    @property
    def runs(self) -> bool:
        """Whether the process that left it still runs; false for a saved one."""
        if not self.pid:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where profiles are kept."""
    given = environ.get("XDG_CONFIG_HOME", "")
    return (Path(given) if given else Path.home() / ".config") / "tellwire" / "profiles"


def fingerprint(settings: Settings) -> str:
    """Return what says whether two settings mean the same database, without a password."""
    path = settings.sqlite_path
    return str(path.resolve()) if path else hashlib.sha256(settings.database_url.encode()).hexdigest()


def every(place: Path | None = None) -> dict[str, Profile]:
    """Return all profiles by name, those of running processes first, then the newest. Damaged files are left out."""
    found = {}
    place = place or folder()
    for path in sorted(place.glob("*.json")) if place.is_dir() else ():
        with suppress(OSError, msgspec.MsgspecError):
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=Profile)
    ranked = sorted(found.items(), key=lambda item: (item[1].runs, item[1].started_at), reverse=True)
    return dict(ranked)


def read(name: str) -> Profile:
    """Return one profile.

    Raises:
        BadSettings: there is none of this name; the text names those that there are.
        TellwireError: its file cannot be read, or is damaged.
    """
    path = _path(name)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Profile)
    except FileNotFoundError:
        known = (
            ", ".join(every()) or "none yet: `tellwire dev` and `tellwire serve` leave one, `tellwire profiles save`"
        )
        raise BadSettings(f"there is no profile {name}; there are: {known}") from None
    except OSError as error:
        raise TellwireError(f"the profile {path} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError:
        raise TellwireError(f"the profile {path} is damaged: remove it, and save it again") from None


def save(name: str, profile: Profile) -> Path:
    """Write a profile, for this user's eyes only, and return its file.

    Raises:
        TellwireError: it cannot be written.
    """
    path = _path(name)
    draft = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(profile)) + b"\n")
        draft.replace(path)
    except OSError as error:
        raise TellwireError(f"the profile {path} cannot be written: {error.strerror}") from None
    return path


def remove(name: str) -> None:
    """Delete a profile.

    Raises:
        BadSettings: there is none of this name.
    """
    read(name)
    _path(name).unlink(missing_ok=True)


@contextmanager
def left_by(command: str, *, url: str, key: str, settings: Settings) -> Iterator[str]:
    """Leave a profile for as long as this process serves; provide its name, "" where it cannot be written.

    The name is the command's, or with the port behind it while another process of this command runs. The file stays
    afterwards, so that a command can say which server is not there any more.
    """
    profile = Profile(
        url=url,
        key=key,
        made_by=command,
        pid=os.getpid(),
        folder=str(Path.cwd()),
        database=fingerprint(settings),
        started_at=time.time(),
    )
    name = ""
    with suppress(TellwireError, OSError, RuntimeError):  # a service often has no home that it may write to
        other = every().get(command)
        taken = other is not None and other.runs and other.pid != profile.pid
        name = f"{command}-{url.rpartition(':')[2].partition('/')[0]}" if taken else command
        save(name, profile)
    yield name


def _path(name: str) -> Path:
    if not NAME.fullmatch(name):
        raise BadSettings(f"a profile's name has letters, digits, dots, dashes and underscores; not {name}")
    return folder() / f"{name}.json"
