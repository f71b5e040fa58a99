"""Check that a phone number or a business account belongs to the caller: Meta shows it to the caller's token."""

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


async def check_number(graph: Graph, phone_number_id: str, token: str, *, display: str = "") -> None:
    """Ask Meta for the number with the token; `display` is the phone number that Meta must show, "" for any.

    Raises:
        Invalid: there is no token, or Meta shows something else.
        MetaRefused, MetaUnreachable: Meta does not show it.
    """
    found = await _asked(graph, phone_number_id, token, _NUMBER)
    if str(found.id) != phone_number_id:
        raise Invalid("Meta does not show this number to this token.", ("/phone_number_id", "is not this token's"))
    if display and not same_address(display, found.display_phone_number):
        raise Invalid("Meta shows another phone number.", ("/display_phone_number", "is not this number's"))


async def check_business(graph: Graph, waba_id: str, token: str) -> None:
    """Ask Meta for the business account with the token; its notices may then be applied to the account.

    Raises:
        Invalid: there is no token, or Meta shows something else.
        MetaRefused, MetaUnreachable: Meta does not show it.
    """
    found = await _asked(graph, waba_id, token, _BUSINESS)
    if str(found.id) != waba_id:
        raise Invalid("Meta does not show this business account to this token.", ("/waba_id", "is not this token's"))


async def _asked(graph: Graph, what: str, token: str, query: dict[str, str]) -> _Shown:
    if not token:
        raise Invalid(
            "Without the scope admin an account needs its access token, with which Meta confirms whose it is.",
            ("/access_token", "is missing"),
        )
    answer = await graph.ask(token, what, query=query)
    if not answer.ok:
        raise refusal(Account(id="", organization_id="", phone_number_id="", access_token=token), answer)
    try:
        return msgspec.json.decode(answer.body, type=_Shown)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Shown()
