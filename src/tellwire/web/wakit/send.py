"""wakit's `POST /messages`."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.json import encode
from sqlalchemy import Connection

from tellwire.errors import Invalid
from tellwire.meta.outgoing.windows import window_closed
from tellwire.meta.raw_json import verbatim
from tellwire.stores.queries import parties, service_windows
from tellwire.web.api.messages import send
from tellwire.web.api.messages.fields import MessageDraft
from tellwire.web.api.messages.validation import checked
from tellwire.web.imitation import body_of
from tellwire.web.request import RequestContext
from tellwire.web.responses import JSON
from tellwire.web.wakit import given
from tellwire.web.wakit.given import rule
from tellwire.web.wakit.recipients import Named, named, named_in

_SENT = b'{"status":"sent"}'


class _Given(Struct):
    """The body. Of what is to be sent, `template` counts before `document`, and that before `text`."""

    contact_phone: Any = None
    group_id: Any = None
    account_phone: Any = None
    text: Any = None
    template: Raw | UnsetType = UNSET
    document: Raw | UnsetType = UNSET


FIELDS = _Given.__struct_fields__


async def send_message(context: RequestContext, request: Request[Any, Any, Any]) -> Any:
    """Queue a message."""
    body = await body_of(request, _Given)
    async with context.once(request) as once:
        if once.kept is not None:
            return once.kept
        whom = {"contact_phone": body.contact_phone, "group_id": body.group_id}
        named(whom)
        kind, payload = _content(body)
        to = await named_in(context, whom, given.text(body.account_phone, "account_phone"))
        if not to.account.access_token:
            raise rule("The account has no access_token: give it one with PATCH /v1/accounts/{id}.")
        draft = await _draft(context, to, kind, payload)
        answer = await send.queue(context, once, await checked(context, draft), lambda _: _SENT, status=200)
        return Response(answer, media_type=JSON)


def _content(body: _Given) -> tuple[str, bytes]:
    """Return what is to be sent: its type and, as JSON, its object."""
    if template := _object(body.template, "template"):
        return "template", template
    if document := _object(body.document, "document"):
        return "document", _document(document)
    if not body.text:
        raise Invalid("Either text, template or document is required.")
    if not isinstance(body.text, str):
        raise Invalid("text must be a text.")
    return "text", encode({"body": body.text})


def _object(value: Raw | UnsetType, name: str) -> bytes:
    """Return an object as JSON, b"" when it is not there."""
    raw = b"" if value is UNSET else bytes(value)
    if raw in (b"", b"null", b"false", b'""', b"0"):
        return b""
    if not raw.startswith(b"{"):
        raise Invalid(f"{name} must be an object.")
    return raw


def _document(raw: bytes) -> bytes:
    value, wrong = verbatim.read(raw)
    if wrong:
        raise Invalid(f"document {wrong}.")
    fields = {name: value[name] for name in ("link", "filename", "caption", "mime_type") if value.get(name)}
    if "link" not in fields:
        raise Invalid("document.link is required.")
    if not isinstance(fields.pop("mime_type", ""), str):
        raise Invalid("document.mime_type must be a text.")
    return encode(fields)


async def _draft(context: RequestContext, to: Named, kind: str, payload: bytes) -> MessageDraft:
    owner, account, now = context.organization_id, to.account, context.services.clock.now()
    content: dict[str, Any] = {"account": account.id, "type": kind, kind: Raw(payload)}
    if not to.to:
        found = await context.read(lambda c: parties.newest_conversation(c, to.thread))
        if found is None or not found.is_group:
            raise rule(f"Conversation with {to.words} not found.")
        return MessageDraft(conversation_id=found.id, skip_window_check=True, **content)

    def last_incoming(connection: Connection) -> int:
        return service_windows.last_incoming_at(connection, owner, account.id, to.party) if to.party else 0

    if kind != "template":
        last = await context.read(last_incoming)
        if not last:
            raise rule("Service window is closed (no prior incoming message): only a template can be sent.")
        if window_closed(now, last):
            raise rule("Service window is closed (24h+ since last user message): only a template can be sent.")
    return MessageDraft(to=to.to, **content)
