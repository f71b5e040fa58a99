"""Serve what clients read of a number and of a business account, and what is passed through to Meta.

Meta is asked with the account's token, so `fields` are Meta's; what is known here is the answer while Meta gives none.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response

from tellwire.meta.raw_json import verbatim
from tellwire.model.tenancy import Account
from tellwire.web.graph.calls import Call
from tellwire.web.graph.errors import JSON, SERVICE, GraphError
from tellwire.web.graph.relay import asked

_ASKED = frozenset(("fields", "limit", "after", "before"))
_SECONDS = 10.0


async def read_number(call: Call, account: Account) -> Response[bytes]:
    """Return what Meta says of a number."""
    return await _read(call, [account], account.phone_number_id, _number(account))


async def read_business(call: Call, waba_id: str) -> Response[bytes]:
    """Return what Meta says of a business account."""
    mine = call.accounts(waba_id)
    return await _read(call, mine, waba_id, {"id": waba_id, "name": next((a.name for a in mine if a.name), "")})


async def list_numbers(call: Call, waba_id: str) -> Response[bytes]:
    """Return the numbers of a business account that are the caller's organization's."""
    mine = call.accounts(waba_id)
    local = {"data": [_chosen(call, _number(each)) for each in mine]}
    told = await _asked(call, mine, f"{waba_id}/phone_numbers")
    page: dict[str, Any] = local if told is None else verbatim.readable_members(told)
    numbers = {each.phone_number_id for each in mine}
    rows = page.get("data")
    kept = [row for row in rows if isinstance(row, dict) and row.get("id") in numbers] if isinstance(rows, list) else []
    paging = page.get("paging")
    cursors = paging.get("cursors") if isinstance(paging, dict) else None
    shown: dict[str, Any] = {"data": kept} | ({"paging": {"cursors": cursors}} if cursors and kept else {})
    return Response(msgspec.json.encode(shown), media_type=JSON)


async def passed_through(call: Call, account: Account) -> Response[bytes]:
    """Make the same call at Meta, and return its answer."""
    members = {name: msgspec.Raw(member) for name, member in call.body.items() if name != "access_token"}
    body = msgspec.json.encode(members)
    answer = await asked(call, account, f"{account.phone_number_id}/{call.path.edge}", body=body)
    return Response(answer, media_type=JSON)


async def _read(call: Call, accounts: list[Account], path: str, known: dict[str, Any]) -> Response[bytes]:
    told = await _asked(call, accounts, path)
    return Response(told or msgspec.json.encode(_chosen(call, known)), media_type=JSON)


async def _asked(call: Call, accounts: list[Account], path: str) -> bytes | None:
    """Return Meta's answer, None when there is none or no token to ask with.

    Raises:
        GraphError: Meta refuses it.
    """
    account = next((each for each in accounts if each.access_token), None)
    if account is None:
        return None
    query = {name: value for name, value in call.query.items() if name in _ASKED}
    try:
        return await asked(call, account, path, query=query, seconds=_SECONDS)
    except GraphError as error:
        if error.code == SERVICE and not error.passed_on:
            return None
        raise


def _number(account: Account) -> dict[str, Any]:
    shown = {"display_phone_number": account.display_phone_number, "verified_name": account.name}
    return {"id": account.phone_number_id, **{name: value for name, value in shown.items() if value}}


def _chosen(call: Call, whole: dict[str, Any]) -> dict[str, Any]:
    wanted = {*call.fields, "id"} if call.fields else {*whole}
    return {name: value for name, value in whole.items() if name in wanted}
