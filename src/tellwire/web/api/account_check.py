"""Serve `/v1/accounts/{id}/check`: ask Meta whether an account's token works, and what it shows of the number."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, post
from litestar.params import FromPath
from msgspec import Meta, Struct
from sqlalchemy import Connection

from tellwire.accounts.template_sync import refusal, token_refused
from tellwire.errors import Invalid, NotFound
from tellwire.model.tenancy import Account
from tellwire.stores.queries import accounts
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import json_response

_FIELDS = (
    "id,display_phone_number,verified_name,quality_rating,name_status,code_verification_status,throughput,"
    "whatsapp_business_manager_messaging_limit"
)


class CheckRead(Struct, kw_only=True):
    """What Meta answered; texts are Meta's words, empty for what it did not say."""

    ok: Annotated[bool, Meta(description="Whether Meta shows the number to the account's token.")]
    cause: Annotated[str, Meta(description="In plain words why not; empty when it does.")]
    display_phone_number: str = ""
    verified_name: str = ""
    quality: Annotated[str, Meta(description="GREEN, YELLOW, RED or UNKNOWN.")] = ""
    name_status: str = ""
    verification: Annotated[str, Meta(description="VERIFIED, NOT_VERIFIED or EXPIRED.")] = ""
    throughput: Annotated[str, Meta(description="STANDARD, HIGH or NOT_APPLICABLE.")] = ""
    messaging_limit: Annotated[str, Meta(description="How many customers may be written to in 24 hours.")] = ""


class _Number(Struct):
    id: Any = ""
    display_phone_number: Any = ""
    verified_name: Any = ""
    quality_rating: Any = ""
    name_status: Any = ""
    code_verification_status: Any = ""
    throughput: Any = None
    whatsapp_business_manager_messaging_limit: Any = ""


def known_account(connection: Connection, context: RequestContext, name: str) -> Account:
    """Return the account with this id or phone_number_id.

    Raises:
        NotFound: the organization has no such account.
    """
    account = accounts.find(connection, context.services.store.vault, context.organization_id, name)
    if account is None:
        raise NotFound("There is no account with this id.")
    return account


@post(
    "/accounts/{account_id:str}/check",
    summary="Check an account's token",
    opt={"scopes": ("accounts:manage",)},
    status_code=200,
)
async def check_token(account_id: FromPath[str], context: ContextDependency) -> Response[CheckRead]:
    """Ask Meta with the account's token for its number. That the token is refused, or accepted again, is noted in
    `about`; nothing else changes."""
    account = await context.read(lambda c: known_account(c, context, account_id))
    if not account.access_token:
        raise Invalid("The account has no access token.", ("/account", "needs an access_token; change it to set one"))
    answer = await context.services.graph.ask(account.access_token, account.phone_number_id, query={"fields": _FIELDS})
    if answer.ok or token_refused(answer):
        word, now = "accepted" if answer.ok else "refused", context.services.clock.now()
        await context.write(lambda c: accounts.note_token(c, account, word, now))
    if not answer.ok:
        return json_response(CheckRead(ok=False, cause=refusal(account, answer).detail))
    return json_response(_read(account, answer.body))


def _read(account: Account, body: bytes) -> CheckRead:
    try:
        number = msgspec.json.decode(body, type=_Number)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        number = _Number()
    if str(number.id) != account.phone_number_id:
        return CheckRead(ok=False, cause="Meta does not show this number to this token.")
    level = number.throughput.get("level", "") if isinstance(number.throughput, dict) else ""
    return CheckRead(
        ok=True,
        cause="",
        display_phone_number=_text(number.display_phone_number),
        verified_name=_text(number.verified_name),
        quality=_text(number.quality_rating),
        name_status=_text(number.name_status),
        verification=_text(number.code_verification_status),
        throughput=_text(level),
        messaging_limit=_text(number.whatsapp_business_manager_messaging_limit),
    )


def _text(value: object) -> str:
    return value[:256] if isinstance(value, str) else ""


HANDLERS = (check_token,)
