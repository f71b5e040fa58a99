"""Statuses, the answer to the send and what becomes of it, in any order: the final row is always the same."""

from __future__ import annotations

import json
from functools import reduce
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace
from tests.inbox.sends import accepted, own, send_of, stored, under_way, waited
from tests.world import START, World, envelope, status, statuses

from tellwire.conversations import outgoing
from tellwire.conversations.status_merge import merge
from tellwire.meta import parse
from tellwire.meta.errors import status_errors
from tellwire.meta.webhooks.items import StatusUpdate
from tellwire.model.messaging import Message, StatusFact
from tellwire.model.row_json import errors_json

SECOND = 1_000_000
NAMES = ("sent", "delivered", "read", "played", "failed")
ITEMS = st.fixed_dictionaries(
    {"name": st.sampled_from(NAMES), "at": st.integers(START // SECOND, START // SECOND + 3), "ours": st.booleans()},
    optional={
        "pricing": st.sampled_from([{"billable": True, "category": "utility"}, {"billable": False, "type": "regular"}]),
        "code": st.sampled_from([131026, 131047]),
    },
)
STEPS = st.lists(ITEMS | st.sampled_from(["answer", "timeout", "a minute later"]), min_size=1, max_size=8)


def item(wamid: str, step: dict[str, Any], to: str, message: Message) -> dict[str, Any]:
    more: dict[str, Any] = {"pricing": step["pricing"]} if "pricing" in step else {}
    if step["name"] == "failed" and "code" in step:
        more["errors"] = [{"code": step["code"], "title": "x"}]
    if step["ours"]:
        more["biz_opaque_callback_data"] = message.id
    return status(wamid, step["name"], step["at"], to=to, **more)


def facts(items: list[dict[str, Any]]) -> list[StatusFact]:
    found = parse(json.dumps(envelope(statuses(*items))).encode()) if items else ()
    return [
        StatusFact(
            name=each.name,
            at=each.timestamp or 0,
            pricing=each.pricing,
            errors=errors_json(status_errors(each.errors)) if each.errors else b"",
        )
        for each in found
        if isinstance(each, StatusUpdate)
    ]


async def whatever_order(world: World, steps: list[Any], number: int) -> None:
    """Play the steps and compare the final row with the plain merge of what they told."""
    to, wamid = f"49151{number:08}", f"wamid.{number}"
    message = await under_way(world, f"+{to}")
    items = []
    for step in steps:
        match step:
            case "answer":
                await accepted(world, message, wamid)
            case "timeout":
                await own(world, message, lambda ledger: outgoing.mark_unknown(ledger, message.id, epoch=1, cause="?"))
            case "a minute later":
                world.clock.move(60 * SECOND)
                await waited(world)
            case _:
                items.append(item(wamid, step, to, message))
                await world.post(statuses(items[-1]))
    final = await stored(world, message)
    known = "answer" in steps or any(isinstance(step, dict) and step["ours"] for step in steps)
    wanted = reduce(merge, facts(items), replace(message, wamid=wamid)) if known else message
    assert replace(final, updated_at=0) == replace(wanted, updated_at=0)
    held = await world.query(f"SELECT count(*) FROM held_items WHERE wamid = '{wamid}'")
    if known:
        assert held == [(0,)]
        assert (await send_of(world, message)).state == "accepted"
        assert await world.query(f"SELECT id FROM messages WHERE wamid = '{wamid}'") == [(message.id,)]
