"""Which account a call is about, and how wakit shows accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request
from msgspec import Struct

from tellwire.accounts.template_sync import refusal
from tellwire.model.tenancy import Account
from tellwire.web.request import RequestContext
from tellwire.web.wakit.given import rule
from tellwire.web.wakit.words import UNKNOWN, digits, phone_of_account

_FIELDS = {"fields": "verified_name,quality_rating,whatsapp_business_manager_messaging_limit"}
_TOGETHER = 8
_SECONDS = 10.0


class _Number(Struct):
    verified_name: str = ""
    quality_rating: str = ""
    whatsapp_business_manager_messaging_limit: str = ""


def chosen(context: RequestContext, account_phone: str) -> Account:
    """Return the account with this phone number or phone_number_id; with neither, the only one.

    Raises:
        Problem: there is no such account, none at all, or several; a rule of wakit's.
    """
    accounts = context.accounts
    if not accounts:
        raise rule("No connected WhatsApp accounts were found: create one with POST /v1/accounts.")
    if account_phone:
        wanted = digits(account_phone)
        found = next((each for each in accounts if wanted in (phone_of_account(each), each.phone_number_id)), None)
        if found is None or not wanted:
            raise rule(f"Account phone {account_phone} was not found. Available accounts: {_named(accounts)}.")
        return found
    if len(accounts) > 1:
        raise rule(f"Multiple accounts found: name one as account_phone. Available accounts: {_named(accounts)}.")
    return accounts[0]


def shown(account: Account) -> dict[str, str]:
    """Return an account as reads show it."""
    return {"name": account.name or UNKNOWN, "phone": phone_of_account(account)}


def _named(accounts: Sequence[Account]) -> str:
    return ", ".join(f"{each.name or UNKNOWN} ({phone_of_account(each)})" for each in accounts)


async def list_accounts(context: RequestContext, _: Request[Any, Any, Any]) -> Any:
    """Return the accounts."""
    return {"accounts": [{"phone": phone_of_account(each), "name": each.name or UNKNOWN} for each in context.accounts]}


async def health(context: RequestContext, _: Request[Any, Any, Any]) -> Any:
    """Return what Meta says now of every account."""
    accounts, found = context.accounts, []
    for start in range(0, len(accounts), _TOGETHER):
        some = accounts[start : start + _TOGETHER]
        found += await asyncio.gather(*(_health_of(context, account) for account in some))
    return {"accounts": found}


async def _health_of(context: RequestContext, account: Account) -> dict[str, str]:
    about = {
        "phone": phone_of_account(account),
        "name": account.name or UNKNOWN,
        "address": account.phone_number_id,
    }
    if not account.access_token:
        return {**about, "status": "error", "error": "The account has no access token."}
    answer = await context.services.graph.ask(
        account.access_token, account.phone_number_id, query=_FIELDS, timeout_seconds=_SECONDS
    )
    if not answer.ok:
        return {**about, "status": "error", "error": refusal(account, answer).detail}
    try:
        number = msgspec.json.decode(answer.body, type=_Number)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        number = _Number()
    return {
        **about,
        "name": number.verified_name or about["name"],
        "status": "active",
        "quality": number.quality_rating or "unknown",
        "messaging_limit": number.whatsapp_business_manager_messaging_limit or "unknown",
    }
