"""Whether a phone number is the caller's: Meta shows it to the token that comes with it."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from tellwire.errors import Invalid
from tellwire.model import Account
from tellwire.ports import Graph
from tellwire.templates_sync import refusal

_FIELDS = {"fields": "id,display_phone_number,verified_name"}


class _Number(Struct):
    id: str | int = ""


async def check_number(graph: Graph, phone_number_id: str, token: str) -> None:
    """Ask Meta for the number with the token.

    Raises:
        Invalid: there is no token, or Meta shows another thing.
        MetaRefused, MetaUnreachable: Meta does not show it.
    """
    if not token:
        raise Invalid(
            "Without the scope admin an account needs its access token, for which Meta confirms the number.",
            ("/access_token", "is missing"),
        )
    answer = await graph.ask(token, phone_number_id, query=_FIELDS)
    if not answer.ok:
        raise refusal(Account(id="", organization_id="", phone_number_id="", access_token=token), answer)
    try:
        found = msgspec.json.decode(answer.body, type=_Number).id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found = ""
    if str(found) != phone_number_id:
        raise Invalid("Meta does not show this number to this token.", ("/phone_number_id", "is not this token's"))
