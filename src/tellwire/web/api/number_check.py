"""Check that what an account claims is the caller's: Meta shows its number and business account to its access token."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from tellwire.accounts.template_sync import refusal
from tellwire.errors import Invalid
from tellwire.meta.phone_numbers import same_address
from tellwire.model.tenancy import Account
from tellwire.ports.http_out import Graph

_NUMBER = {"fields": "id,display_phone_number,verified_name"}
_BUSINESS = {"fields": "id"}


class _Shown(Struct):
    id: str | int = ""
    display_phone_number: str = ""


async def check_account(graph: Graph, account: Account) -> None:
    """Ask Meta with the account's token for its number, and for its business account if it names one.

    Raises:
        Invalid: there is no token, or Meta shows something else.
        MetaRefused, MetaUnreachable: Meta does not show it.
    """
    found = await _asked(graph, account, account.phone_number_id, _NUMBER)
    if str(found.id) != account.phone_number_id:
        raise Invalid("Meta does not show this number to this token.", ("/phone_number_id", "is not this token's"))
    display = account.display_phone_number
    if display and not same_address(display, found.display_phone_number):
        raise Invalid("Meta shows another phone number.", ("/display_phone_number", "is not this number's"))
    if not account.waba_id:
        return
    found = await _asked(graph, account, account.waba_id, _BUSINESS)
    if str(found.id) != account.waba_id:
        raise Invalid("Meta does not show this business account to this token.", ("/waba_id", "is not this token's"))


async def _asked(graph: Graph, account: Account, what: str, query: dict[str, str]) -> _Shown:
    if not account.access_token:
        raise Invalid(
            "Meta confirms whose an account is by its access token; only who runs the installation needs none.",
            ("/access_token", "is missing"),
        )
    answer = await graph.ask(account.access_token, what, query=query)
    if not answer.ok:
        raise refusal(account, answer)
    try:
        return msgspec.json.decode(answer.body, type=_Shown)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Shown()
