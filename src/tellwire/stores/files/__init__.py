"""The stores of media: a folder, or a bucket of an S3-compatible store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from tellwire.errors import BadSettings
from tellwire.model.extras import lacking
from tellwire.ports.media import MediaStore
from tellwire.stores.files.folder import Folder


def open_files(url: str) -> MediaStore:
    """Return the media store that MEDIA_URL names.

    Raises:
        BadSettings: the URL names no media store, or the extra `s3` is not installed.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "file":
            return Folder(Path(unquote(parts.path)))
        case "s3":
            if missing := lacking("s3", "MEDIA_URL with s3:// needs"):
                raise BadSettings(missing)
            from tellwire.stores.files.bucket import open_bucket  # noqa: PLC0415 - of the extra

            return open_bucket(url)
        case _:
            raise BadSettings("MEDIA_URL takes file:///FOLDER or s3://BUCKET/PREFIX?endpoint=URL")


__all__ = ["open_files"]
