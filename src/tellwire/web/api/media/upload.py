"""Accept a file that is to be sent: its bytes as they arrive, then its row.

The row is created first, marked as erased: if the process ends before the row is completed, the bytes are swept away.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import AsyncIterator, Mapping
from typing import Any

from litestar import Request
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from tellwire.errors import Conflict, Invalid, TooBig
from tellwire.meta import media_limits
from tellwire.model.messaging import Media
from tellwire.model.units import HOUR
from tellwire.stores.queries import media as media_queries
from tellwire.stores.queries.audit import note
from tellwire.web.api.media.forms import FormFile, boundary_of, read_form
from tellwire.web.request import RequestContext

_PATIENCE = HOUR
"""How long an upload may take before its bytes are taken for left behind."""


class Form(Struct, frozen=True):
    """The fields of a form: that of the `file`, and the others. `account_id`: whose file it is, "" when the field
    `account` says so. `defaults`: the values of fields that it has not."""

    file: str
    fields: frozenset[str]
    account_id: str = ""
    defaults: Mapping[str, str] = {}


OWN_FORM = Form("file", frozenset(("account", "type")))


class Upload:
    """One upload. `read` the form, then `keep` the row within the transaction of the answer, or `drop` the bytes.

    `fields`: the other fields of the form, once it is read.
    """

    def __init__(self, context: RequestContext, form: Form = OWN_FORM) -> None:
        self._context = context
        self._form = form
        self._digest = hashlib.sha256()
        self._form_file = FormFile("", "")
        self._size = 0
        self._reserved: Media | None = None
        self.fields: dict[str, str] = {}

    @property
    def digest(self) -> bytes:
        """Return the digest of everything that was sent, by which a repeated request is recognised."""
        said = [
            self._form_file.filename,
            self._form_file.mime_type,
            *(f"{k}={v}" for k, v in sorted(self.fields.items())),
        ]
        return self._digest.digest() + "\0".join(said).encode()

    def given(self, name: str) -> str:
        """Return a field of the form that was read, "" when it is missing."""
        return self.fields.get(name) or self._form.defaults.get(name, "")

    async def read(self, request: Request[Any, Any, Any]) -> Media:
        """Read the form and store the file.

        Raises:
            Problem: the form or the file is not valid; nothing is kept.
        """
        boundary = boundary_of(request)
        reserved = self._reserved = await self._context.write(self._reserve)
        try:
            self.fields = await read_form(request, boundary, self._take, file=self._form.file)
            return self._checked(reserved)
        except BaseException:
            await self.drop()
            raise

    def keep(self, connection: Connection, media: Media) -> None:
        """Write the row.

        Raises:
            Conflict: the upload took so long that it was swept away.
        """
        if self._reserved is None or not media_queries.settle(connection, self._reserved, media):
            raise Conflict("The upload took more than an hour.", kind="too-slow")
        note(connection, self._context.audit_change(), "media.uploaded", media.id)

    async def drop(self) -> None:
        """Remove the bytes; the row is swept away later."""
        if self._reserved is not None:
            await self._context.services.files.delete(self._reserved.id)

    def _reserve(self, connection: Connection) -> Media:
        now = self._context.services.clock.now()
        reserved = Media(
            id=self._context.services.store.new_id(),
            organization_id=self._context.organization_id,
            account_id="",
            state="erased",
            due_at=now + _PATIENCE,
            created_at=now,
            updated_at=now,
        )
        media_queries.add(connection, reserved)
        return reserved

    async def _take(self, form_file: FormFile, chunks: AsyncIterator[bytes]) -> None:
        self._form_file = form_file
        if self._reserved is not None:
            await self._context.services.files.write(self._reserved.id, self._counted(chunks))

    async def _counted(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        most = min(media_limits.MAX_BYTES, self._context.services.settings.media_max_bytes)
        async for chunk in chunks:
            await self._context.check_key()
            self._size += len(chunk)
            if self._size > most:
                raise TooBig(f"The file is larger than {most} bytes.")
            self._digest.update(chunk)
            yield chunk

    def _checked(self, reserved: Media) -> Media:
        faults = [(f"/{name}", "is not a field here") for name in self.fields if name not in self._form.fields]
        account_id = self._form.account_id or self._account(self.given("account"), faults)
        said = self.given("type")
        given = said or self._form_file.mime_type
        if media_limits.plain_type(given) in ("", "application/octet-stream") and not said:
            given = mimetypes.guess_type(self._form_file.filename)[0] or given
        mime_type = media_limits.plain_type(given)
        limit = media_limits.LIMITS.get(mime_type)
        if limit is None:
            kind_field = "/type" if "type" in self._form.fields else f"/{self._form.file}"
            faults.append((kind_field, f"must be one that Meta takes: {', '.join(media_limits.LIMITS)}"))
        elif self._size > limit:
            faults.append((f"/{self._form.file}", f"has {self._size} bytes; Meta takes at most {limit} of {mime_type}"))
        if not self._size:
            faults.append((f"/{self._form.file}", "is empty"))
        if faults:
            raise Invalid("The form is not valid.", *faults)
        return replace(
            reserved,
            account_id=account_id,
            mime_type=mime_type,
            sha256=self._digest.hexdigest(),
            filename=self._form_file.filename.replace("\0", "\ufffd")[:512],
            size=self._size,
            state="stored",
            due_at=0,
        )

    def _account(self, name: str, faults: list[tuple[str, str]]) -> str:
        if not name:
            faults.append(("/account", "is required"))
            return ""
        account = self._context.account(name)
        if account is None:
            faults.append(("/account", "there is no such account"))
            return ""
        return account.id
