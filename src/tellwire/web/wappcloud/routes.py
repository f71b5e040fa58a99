"""The one route of WappCloud's send API: text, templates and files.

Source: docs/reference/wappcloud.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from litestar import HttpMethod, Request, Response, route
from msgspec import Raw, Struct
from msgspec.json import encode
from sqlalchemy import Connection

from tellwire.errors import Invalid, Problem, TooBig
from tellwire.meta.outgoing import recipient
from tellwire.meta.phone_numbers import alias
from tellwire.model.tenancy import Account
from tellwire.stores.queries import media as media_queries
from tellwire.stores.queries import templates as template_queries
from tellwire.stores.queries.audit import note
from tellwire.stores.queries.messages import MessageEntry
from tellwire.web.api.media.upload import Form, Upload
from tellwire.web.api.messages import send
from tellwire.web.api.messages.fields import MessageDraft
from tellwire.web.api.messages.validation import checked
from tellwire.web.edge import LARGEST_BODY
from tellwire.web.imitation import allow, enter
from tellwire.web.parameters import decode_body
from tellwire.web.problems import problem_of
from tellwire.web.request import IdempotentRequest, RequestContext, StateDependency
from tellwire.web.responses import JSON
from tellwire.web.wappcloud.templates import meta_template

PATH = "/api/v1/external/process"
SCOPES = ("messages:write",)
MEDIA_TYPES = ("image", "video", "document", "audio")
FORM_FIELDS = ("contact_number", "messageType", "mediaType", "message_uid", "caption")
FILE_FIELD = "chatMedia"
_LONGEST_UID = 255
_SENT = encode({"success": True, "code": 200, "message": "Message sent successfully"})


class _Given(Struct):
    contact_number: Any = None
    messageType: Any = None  # noqa: N815 - WappCloud's name
    message_uid: Any = None
    message: Any = None


FIELDS = _Given.__struct_fields__


@route(PATH, http_method=[*HttpMethod], status_code=200, include_in_schema=False, request_max_body_size=None)
async def process(request: Request[Any, Any, Any], app_state: StateDependency) -> Response[bytes]:
    """Queue a message. What it is, the body says; a form brings a file."""
    missing = "Send an API key: `x-api-key: tw_…` or `Authorization: Bearer tw_…`."
    context = await enter(request, app_state, "x-api-key", "authorization", missing=missing)
    if request.method != "POST":
        raise problem_of(405, "method-not-allowed", "This path takes POST only.")
    allow(context, SCOPES)
    account = _account(context, request.query_params.get("account", ""))
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        return await _file(context, request, account)
    return await _message(context, request, account)


def _account(context: RequestContext, name: str) -> Account:
    """Return the account that the parameter `account` names, or the only one.

    Raises:
        Invalid: there is none, or it cannot send.
    """
    accounts = context.accounts
    if not accounts:
        raise Invalid("The organization has no account: create one with POST /v1/accounts.")
    if not name and len(accounts) > 1:
        raise Invalid(
            "The organization has several accounts: add ?account=<phone_number_id> to the address. They are "
            + ", ".join(f"{each.phone_number_id} ({each.display_phone_number or each.name})" for each in accounts)
            + "."
        )
    for account in accounts:
        names = (account.id, account.phone_number_id, alias(account.display_phone_number))
        if not name or name in names or alias(name) in names:
            if not account.access_token:
                raise Invalid("The account has no access_token: give it one with PATCH /v1/accounts/{id}.")
            return account
    raise Invalid("There is no account with this phone_number_id, phone number or id.")


async def _message(context: RequestContext, request: Request[Any, Any, Any], account: Account) -> Response[bytes]:
    body = await _body(request)
    given: _Given = decode_body(body, _Given)
    uid = _uid(given.message_uid)
    async with context.once(request, _digest(account, body), named=("message_uid", uid)) as once:
        if once.kept is not None:
            return once.kept
        message = given.message
        if not isinstance(message, dict):
            raise Invalid("message must be an object with messageBody or template_name.")
        to = _recipient(given.contact_number)
        if "template_name" in message:
            template = await _template(context, account, message)
            draft = MessageDraft(account=account.id, to=to, type="template", template=Raw(encode(template)))
            return await _queued(context, once, draft, lambda entry: _template_sent(uid or entry.message.id))
        if given.messageType not in (None, "text"):
            raise Invalid("messageType must be text; a file is sent as a form (multipart/form-data).")
        text = message.get("messageBody")
        if not isinstance(text, str) or not text:
            raise Invalid("message.messageBody must be a text that is not empty.")
        draft = MessageDraft(account=account.id, to=to, type="text", text=Raw(encode({"body": text})))
        return await _queued(context, once, draft, lambda _: _SENT)


async def _template(context: RequestContext, account: Account, message: Mapping[str, Any]) -> dict[str, Any]:
    name = message["template_name"]
    known = (
        await context.read(
            lambda c: template_queries.named(c, context.organization_id, account.waba_id, name.replace("\0", ""))
        )
        if isinstance(name, str) and account.waba_id
        else []
    )
    return meta_template(message, known)


def _template_sent(uid: str) -> bytes:
    words = "Request processed and messages sent successfully."
    return encode({"code": 200, "success": True, "data": {"message_uid": uid}, "message": words})


async def _file(context: RequestContext, request: Request[Any, Any, Any], account: Account) -> Response[bytes]:
    upload = Upload(context, Form(FILE_FIELD, frozenset(FORM_FIELDS), account.id))
    media = await upload.read(request)
    kept = False
    try:
        uid = _uid(upload.fields.get("message_uid"))
        async with context.once(request, _digest(account, upload.digest), named=("message_uid", uid)) as once:
            if once.kept is not None:
                await upload.drop()
                return once.kept
            draft = _file_draft(account, upload.fields, media.id, media.filename)
            await context.write(lambda c: upload.keep(c, media))
            kept = True
            return await _queued(context, once, draft, lambda _: _SENT)
    except Problem:
        if kept:
            await context.write(_erasing(context, media.id))
        await upload.drop()
        raise


def _erasing(context: RequestContext, media_id: str) -> Callable[[Connection], None]:
    audit_change = context.audit_change()

    def work(connection: Connection) -> None:
        media_queries.erase(connection, context.organization_id, media_id, audit_change.at)
        note(connection, audit_change, "media.deleted", media_id)

    return work


def _file_draft(account: Account, fields: Mapping[str, str], media_id: str, filename: str) -> MessageDraft:
    if fields.get("messageType", "file") != "file":
        raise Invalid("messageType must be file when a file is sent.")
    kind = fields.get("mediaType", "")
    if kind not in MEDIA_TYPES:
        raise Invalid(f"mediaType must be one of {', '.join(MEDIA_TYPES)}.")
    content = {"id": media_id}
    if kind == "document" and filename:
        content["filename"] = filename
    if fields.get("caption"):
        content["caption"] = fields["caption"]
    to = _recipient(fields.get("contact_number"))
    more: dict[str, Any] = {kind: Raw(encode(content))}
    return MessageDraft(account=account.id, to=to, type=kind, **more)


async def _queued(
    context: RequestContext, once: IdempotentRequest, draft: MessageDraft, render: Callable[[MessageEntry], bytes]
) -> Response[bytes]:
    body = await send.queue(context, once, await checked(context, draft), render, status=200)
    return Response(body, media_type=JSON)


def _recipient(given: object) -> str:
    found, wrong = recipient.read(given)
    if found is None:
        raise Invalid(f"contact_number {wrong}.")
    return found.address


def _uid(given: object) -> str:
    """Return the `message_uid`, "" for none."""
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    if given in (None, ""):
        return ""
    if not isinstance(given, str) or len(given) > _LONGEST_UID:
        raise Invalid(f"message_uid must be a text of at most {_LONGEST_UID} characters.")
    return given


def _digest(account: Account, body: bytes) -> bytes:
    return account.id.encode() + b"\n" + body


async def _body(request: Request[Any, Any, Any]) -> bytes:
    """Return the body of a request that is no form; those are not bounded here, others are."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > LARGEST_BODY:
            raise TooBig("The body is larger than 1 MiB.")
        pieces.append(piece)
    return b"".join(pieces)


HANDLERS = (process,)
