"""News of business accounts, numbers and templates: whom they reach and what they change, over a real store."""

from __future__ import annotations

import json

from sqlalchemy import text
from tests.world import DISPLAY, NUMBER, START, WABA, envelope, incoming, play

from tellwire.conversations.changes import Options
from tellwire.inbox.housekeeping import route_unrouted
from tellwire.model.inbound import Outcome, SpeaksFor
from tellwire.model.tenancy import DEFAULT_ORGANIZATION

TEMPLATE = {
    "message_template_id": 400000000000001,
    "message_template_name": "aviso_de_pedido",
    "message_template_language": "es_MX",
}


def news(field, value, *, at=1_790_000_000, waba=WABA):
    body = envelope(value, field=field, waba=waba)
    body["entry"][0]["time"] = at
    return body


async def about(world, number=NUMBER):
    [(found,)] = await world.query(f"SELECT about FROM accounts WHERE phone_number_id = '{number}'")
    return {name: fact["value"] for name, fact in json.loads(found).items()}


async def second_number(world, *, number="900000000000002", display="919000000002"):
    """Another number of the same business account."""
    value = incoming("wamid.other")
    value["metadata"] = {"display_phone_number": display, "phone_number_id": number}
    await world.post(value)
    return number


async def test_news_of_a_business_account_reach_every_account_of_it_once(world):
    endpoint = await world.endpoint("row", events=("account.warning", "account.updated"))
    await world.post(incoming("wamid.1"))
    other = await second_number(world)
    body = news("account_update", {"event": "ACCOUNT_RESTRICTION", "restriction_info": [{"restriction_type": "X"}]})
    inbound = await world.post_body(body)
    assert inbound.outcome == Outcome.APPLIED
    assert inbound.organization_id == DEFAULT_ORGANIZATION
    assert (await world.post_body(body)).outcome == Outcome.DUPLICATE
    told = await world.delivered(endpoint)
    assert [each["type"] for each in told] == ["account.warning", "account.warning"]
    assert {each["data"]["phone_number_id"] for each in told} == {NUMBER, other}
    assert told[0]["data"]["value"] == body["entry"][0]["changes"][0]["value"]
    assert (told[0]["data"]["field"], told[0]["data"]["event"]) == ("account_update", "ACCOUNT_RESTRICTION")
    assert told[0]["data"]["waba_id"] == WABA
    assert await about(world) == await about(world, other) == {"restrictions": [{"restriction_type": "X"}]}


async def test_a_number_that_is_shown_narrows_it_down(world):
    await world.post(incoming("wamid.1"))
    other = await second_number(world)
    value = {"display_phone_number": f"+{DISPLAY}", "event": "FLAGGED", "current_limit": "TIER_10K"}
    assert (await world.post_body(news("phone_number_quality_update", value))).outcome == Outcome.APPLIED
    assert await about(world) == {"quality": "FLAGGED", "messaging_limit": "TIER_10K"}
    assert await about(world, other) == {}
    nobodys = news("phone_number_quality_update", {**value, "display_phone_number": "15550000000"})
    assert (await world.post_body(nobodys)).outcome == Outcome.UNROUTED


async def test_the_latest_by_metas_time_stays(world):
    await world.post(incoming("wamid.1"))
    for at, decision in ((1_790_000_100, "APPROVED"), (1_790_000_000, "REJECTED")):
        await world.post_body(news("account_review_update", {"decision": decision}, at=at))
    assert await about(world) == {"review": "APPROVED"}
    undated = envelope({"decision": "PENDING"}, field="account_review_update")
    world.clock.move(1_790_000_200 * 1_000_000 - START)
    await world.post_body(undated)
    assert await about(world) == {"review": "PENDING"}


async def test_settings_that_name_their_number_go_there(world):
    await world.post(incoming("wamid.1"))
    settings = {"phone_number_id": NUMBER, "calling": {"status": "ENABLED"}}
    value = {"type": "phone_number_settings", "phone_number_settings": settings}
    body = news("account_settings_update", value, waba="another")
    assert [(await world.post_body(body)).outcome for _ in range(2)] == [Outcome.APPLIED, Outcome.DUPLICATE]
    assert await about(world) == {"settings": settings}


def test_news_wait_for_their_account(tmp_path):
    async def scenario(world):
        inbound = await world.post_body(news("account_review_update", {"decision": "APPROVED"}))
        assert inbound.outcome == Outcome.UNROUTED
        assert WABA in inbound.items[0].reason
        world.ingest._options = Options(auto_accounts=True)
        await world.post(incoming("wamid.1"))
        assert await route_unrouted(world.store, world.ingest, NUMBER) == 1
        assert await route_unrouted(world.store, world.ingest, NUMBER) == 0
        assert await about(world) == {"review": "APPROVED"}
        assert await world.query("SELECT DISTINCT outcome FROM inbound") == [("applied",)]

    play(tmp_path, scenario, auto_accounts=False)


async def test_a_secret_changes_only_the_accounts_that_it_speaks_for(world):
    await world.post(incoming("wamid.1"))
    other = await second_number(world)
    body = news("account_review_update", {"decision": "APPROVED"})
    assert (await world.post_body(body, speaks_for=SpeaksFor(meta_ids=("somebody else",)))).outcome == Outcome.UNROUTED
    assert (await world.post_body(body, speaks_for=SpeaksFor(meta_ids=(other,)))).outcome == Outcome.APPLIED
    assert (await about(world), await about(world, other)) == ({}, {"review": "APPROVED"})
    assert (await world.post_body(body, speaks_for=SpeaksFor(meta_ids=(WABA,)))).outcome == Outcome.APPLIED
    assert (await about(world))["review"] == "APPROVED"


async def test_news_of_a_template_change_its_row_and_have_all_synchronised_soon(world):
    endpoint = await world.endpoint("row", events=("template.updated",))
    await world.post(incoming("wamid.1"))
    names = ("id", "organization_id", "waba_id", "meta_id", "name", "language", "category", "status", "quality")
    rest = {"reason": "", "parameter_format": "", "components": b"[]", "synchronised_at": 0, "created_at": 0}
    values = ("t1", DEFAULT_ORGANIZATION, WABA, "", "aviso_de_pedido", "es_MX", "UTILITY", "PENDING", "")
    columns = dict(zip(names, values, strict=True)) | rest | {"updated_at": 0}
    later = {"o": DEFAULT_ORGANIZATION, "w": WABA, "at": START, "due": START + 3_600_000_000}

    def rows(c):
        places = ", ".join(f":{name}" for name in columns)
        c.execute(text(f"INSERT INTO templates({', '.join(columns)}) VALUES ({places})"), columns)
        c.execute(text("INSERT INTO template_syncs VALUES (:o, :w, :at, 0, :due, 0, '')"), later)

    await world.store.write(rows)
    world.clock.move(1_000_000)
    for field, value in (
        ("message_template_status_update", {**TEMPLATE, "event": "REJECTED", "reason": "SCAM"}),
        ("message_template_quality_update", {**TEMPLATE, "new_quality_score": "RED"}),
        ("template_category_update", {**TEMPLATE, "new_category": "MARKETING"}),
        ("message_template_components_update", {**TEMPLATE, "message_template_element": "Hola"}),
    ):
        body = news(field, value)
        assert [(await world.post_body(body)).outcome for _ in range(2)] == [Outcome.APPLIED, Outcome.DUPLICATE]
    found = await world.query("SELECT status, reason, quality, category FROM templates")
    assert found == [("REJECTED", "SCAM", "RED", "MARKETING")]
    assert await world.query("SELECT asked_at, due_at FROM template_syncs") == [(START + 1_000_000, START + 60_000_000)]
    told = await world.delivered(endpoint)
    assert [each["data"]["event"] for each in told] == ["REJECTED", "QUALITY", "CATEGORY", "COMPONENTS"]
    assert told[0]["data"]["template_name"] == "aviso_de_pedido"


async def test_news_beside_messages_cost_them_nothing(world):
    body = envelope(incoming("wamid.1"))
    body["entry"].append(news("account_update", {"event": "SOMETHING_NEW"}, waba="nobody's")["entry"][0])
    inbound = await world.post_body(body)
    assert [item.outcome for item in inbound.items] == [Outcome.APPLIED, Outcome.UNROUTED]
