"""Keep media as files on disk, never as a whole in memory, under ids and links that expire as Meta's do."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from random import Random
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any

from msgspec import Struct

from tellwire.meta.media_limits import DOCUMENTS
from tellwire.model.units import MICROS
from tellwire.simulator.refusals import Refusal, not_there

_MB = 1024 * 1024
LARGEST = 100 * _MB
CHUNK = 256 * 1024

TYPES: dict[str, int] = {
    **dict.fromkeys(("image/jpeg", "image/png"), 5 * _MB),
    **dict.fromkeys(("video/mp4", "video/3gpp"), 16 * _MB),
    **dict.fromkeys(("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"), 16 * _MB),
    "image/webp": 500 * 1024,
    **dict.fromkeys(DOCUMENTS, LARGEST),
}
"""The media types that may be uploaded, with their largest size in bytes. Source: Meta, "Media"."""


class Medium(Struct, frozen=True, kw_only=True):
    """A media file; its id works until `until` (micros)."""

    id: str
    phone_number_id: str
    mime_type: str
    sha256: str
    size: int
    path: Path
    until: int

    @property
    def digest(self) -> str:
        """Return the SHA-256 as webhooks write it, in Base64."""
        return base64.b64encode(bytes.fromhex(self.sha256)).decode()


class FileDraft:
    """A file that is being written."""

    def __init__(self, folder: Path) -> None:
        self._file = NamedTemporaryFile(dir=folder, delete=False)  # noqa: SIM115 - closed by `close` or `drop`
        self.path = Path(self._file.name)
        self.size = 0
        self._hash = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises:
            Refusal: the file is larger than any media may be.
        """
        self.size += len(chunk)
        if self.size > LARGEST:
            raise Refusal(131053, "the file is larger than 100 MB")
        self._file.write(chunk)
        self._hash.update(chunk)

    def close(self) -> str:
        """Finish the file; return its SHA-256 in hex."""
        self._file.close()
        return self._hash.hexdigest()

    def drop(self) -> None:
        """Delete the unfinished file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class MediaFiles:
    """All media files of a simulator, in a temporary folder that `close` deletes."""

    def __init__(self, random: Random) -> None:
        self._made = TemporaryDirectory(prefix="simulated-media-")
        self.folder = Path(self._made.name)
        self._random = random
        self._media: dict[str, Medium] = {}
        self._links: dict[str, tuple[str, int]] = {}

    def draft(self) -> FileDraft:
        """Begin a new file."""
        return FileDraft(self.folder)

    def keep(self, draft: FileDraft, mime_type: str, *, phone_number_id: str, until: int) -> Medium:
        """Store a finished file under a new id, which works until `until` (micros)."""
        made = Medium(
            id=str(self._random.randrange(10**14, 10**15)),
            phone_number_id=phone_number_id,
            mime_type=mime_type,
            sha256=draft.close(),
            size=draft.size,
            path=draft.path,
            until=until,
        )
        self._media[made.id] = made
        return made

    def write(self, chunks: Iterable[bytes]) -> FileDraft:
        """Write a new file with these bytes."""
        draft = self.draft()
        try:
            for chunk in chunks:
                draft.write(chunk)
        except BaseException:
            draft.drop()
            raise
        return draft

    def invented(self, size: int) -> FileDraft:
        """Write a new file of `size` random bytes."""
        return self.write(self._random.randbytes(min(CHUNK, size - start)) for start in range(0, size, CHUNK))

    def find(self, media_id: str, now: int, phone_number_id: str = "") -> Medium | None:
        """Return the file under an id, None when there is none or the id has expired."""
        found = self._media.get(media_id)
        if found is None or now >= found.until or phone_number_id not in ("", found.phone_number_id):
            return None
        return found

    def link(self, medium: Medium, until: int) -> str:
        """Return path and query of a new link to a file, which works until `until` (micros)."""
        key = f"{self._random.getrandbits(160):040x}"
        self._links[key] = (medium.id, until)
        return f"/whatsapp_business/attachments/?mid={medium.id}&ext={until // MICROS}&hash={key}"

    def follow(self, key: str, now: int) -> Medium | None:
        """Return the file that a link leads to, None once the link has expired."""
        media_id, until = self._links.get(key, ("", 0))
        return self.find(media_id, now) if now < until else None

    def remove(self, media_id: str, now: int) -> None:
        """Delete a file.

        Raises:
            Refusal: there is no such file.
        """
        found = self.find(media_id, now)
        if found is None:
            raise not_there(media_id, "delete")
        del self._media[media_id]
        found.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Delete all files and the folder."""
        self._media.clear()
        self._made.cleanup()


def check_upload(mime_type: str, size: int) -> None:
    """Refuse a file that Meta would not accept.

    Raises:
        Refusal: Meta does not accept its type, or it is larger than its type may be.
    """
    if not re.fullmatch(r"[ -~]{1,200}", mime_type):
        raise Refusal(100, "type is no media type")
    plain = mime_type.partition(";")[0].strip().lower()
    if plain not in TYPES:
        raise Refusal(100, f"Param file must be a file with one of the following types: {', '.join(TYPES)}")
    if size > TYPES[plain]:
        raise Refusal(131053, f"a file of type {plain} may have {TYPES[plain]} bytes, not {size}")


def shown(medium: Medium, url: str) -> dict[str, Any]:
    """Return a file as the Graph API shows it."""
    return {
        "url": url,
        "mime_type": medium.mime_type,
        "sha256": medium.sha256,
        "file_size": medium.size,
        "id": medium.id,
        "messaging_product": "whatsapp",
    }
