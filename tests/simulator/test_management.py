"""Numbers, accounts, templates and tokens at the simulated Meta, and the control API that turns it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.simulator.running import CUSTOMER, NUMBER, SECRET, WABA, Meta, running, text
from tests.world import SetClock

from tellwire.meta import parse
from tellwire.simulator import BUSINESS, TOKEN
from tellwire.simulator.acts import ACTS
from tellwire.simulator.control import CONTROLS
from tellwire.simulator.payloads import escaped

HOUR = 3_600_000_000
BODY = {"type": "BODY", "text": "Hola {{1}}, tu pedido {{2}} está listo"}
ORDER = {"name": "order_ready", "language": "es_MX", "category": "UTILITY", "components": [BODY]}
ASK = {"type": "BODY", "text": "Hi {{name}}"}
PICTURE = {"type": "HEADER", "format": "IMAGE"}


def filled(*parameters: Any, kind: str = "body") -> dict[str, Any]:
    return {"type": kind, "parameters": list(parameters)}


def word(value: str, **more: str) -> dict[str, str]:
    return {"type": "text", "text": value, **more}


def template(name: str = "order_ready", language: str = "es_MX", *components: Any) -> dict[str, Any]:
    content = {"name": name, "language": {"code": language}, "components": list(components)}
    return {"messaging_product": "whatsapp", "to": CUSTOMER, "type": "template", "template": content}


# --- numbers, accounts, tokens ----------------------------------------------------------------------------------------


def test_numbers_are_shown_whole_and_by_fields() -> None:
    async def test(there: Meta) -> None:
        _, whole = await there.call("GET", f"/v24.0/{NUMBER}")
        assert (whole["id"], whole["display_phone_number"]) == (NUMBER, BUSINESS.display_phone_number)
        _, chosen = await there.call("GET", f"/v24.0/{NUMBER}", params={"fields": "quality_rating,throughput{level}"})
        assert chosen.keys() == {"id", "quality_rating", "throughput"}
        await there.control("number", phone_number_id="2", display_phone_number="525500000002")
        _, listed = await there.call("GET", f"/{WABA}/phone_numbers")
        assert [each["id"] for each in listed["data"]] == [NUMBER, "2"]
        _, account = await there.call("GET", f"/{WABA}", params={"fields": "name"})
        assert account.keys() == {"id", "name"}

    running(test)


def test_a_number_is_registered_with_a_pin() -> None:
    async def test(there: Meta) -> None:
        body = {"messaging_product": "whatsapp", "pin": "123456"}
        assert await there.call("POST", f"/{NUMBER}/register", json=body) == (200, {"success": True})
        status, answer = await there.call("POST", f"/{NUMBER}/register", json=body | {"pin": "1"})
        assert (status, answer["error"]["code"]) == (400, 100)

    running(test)


def test_without_a_subscription_no_webhook_comes() -> None:
    async def test(there: Meta) -> None:
        path = f"/v24.0/{WABA}/subscribed_apps"
        assert len((await there.call("GET", path))[1]["data"]) == 1
        assert await there.call("DELETE", path) == (200, {"success": True})
        assert (await there.call("GET", path))[1] == {"data": []}
        await there.send(text())
        await there.control("customer", wa_id=CUSTOMER, text="Hola")
        await there.control("quality")
        await there.state.webhooks.idle()
        assert there.callback.bodies == []
        assert await there.call("POST", path) == (200, {"success": True})
        await there.send(text())
        await there.callback.until(there.callback.statuses)

    running(test)


def test_tokens_are_debugged_made_and_ended() -> None:
    async def test(there: Meta) -> None:
        _, told = await there.call("GET", "/debug_token", params={"input_token": TOKEN})
        assert told["data"]["is_valid"]
        assert told["data"]["granular_scopes"][0]["target_ids"] == [WABA]
        _, told = await there.call("GET", "/debug_token", params={"input_token": "another"})
        assert not told["data"]["is_valid"]
        _, made = await there.call("GET", "/v24.0/oauth/access_token", token="")
        assert (await there.send(text(), token=made["access_token"]))[0] == 200
        await there.control("invalidate", token=made["access_token"])
        assert (await there.send(text(), token=made["access_token"]))[0] == 401
        _, told = await there.call("GET", "/debug_token", params={"input_token": made["access_token"]})
        assert not told["data"]["is_valid"]
        await there.control("invalidate")
        assert (await there.send(text()))[0] == 401
        await there.control("token", token=TOKEN)
        assert (await there.send(text()))[0] == 200

    running(test)


def test_calls_about_an_account_are_limited_by_the_hour() -> None:
    clock = SetClock()

    async def test(there: Meta) -> None:
        path = f"/{WABA}/phone_numbers"
        assert [(await there.call("GET", path))[0] for _ in range(4)] == [200, 200, 200, 400]
        _, answer = await there.call("GET", path)
        assert answer["error"]["code"] == 80007
        assert (await there.look("counts"))["management"] == {WABA: {"broken": 2, "peak": 5}}
        clock.move(HOUR)
        assert (await there.call("GET", path))[0] == 200

    running(test, clock=clock, management_per_hour=3)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/123456"), ("POST", f"/{NUMBER}/nothing"), ("PUT", f"/{WABA}"), ("GET", "/"), ("POST", "/messages")],
)
def test_what_is_not_there_is_refused_as_meta_does(method: str, path: str) -> None:
    async def test(there: Meta) -> None:
        status, answer = await there.call(method, path)
        assert status == 400
        assert (answer["error"]["code"], answer["error"]["error_subcode"]) == (100, 33)

    running(test)


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"x"', b"[" * 100_000, b"\xff", b"", b'{"messaging_product":"whatsapp","to":"\\ud800","text":1}'],
    ids=["cut", "list", "string", "deep", "bytes", "empty", "surrogate"],
)
def test_a_body_that_is_no_message_is_refused(body: bytes) -> None:
    async def test(there: Meta) -> None:
        status, answer = await there.call("POST", f"/{NUMBER}/messages", data=body)
        assert status == 400
        assert answer["error"]["code"] == 100

    running(test)


def test_odd_text_is_kept_and_shown() -> None:
    async def test(there: Meta) -> None:
        body = escaped(text(text={"body": "\ud800 \x00"}))
        assert (await there.call("POST", f"/{NUMBER}/messages", data=body))[0] == 200
        [kept] = (await there.look("accepted"))["data"]
        assert kept["body"]["text"]["body"] == "\ud800 \x00"

    running(test)


# --- templates --------------------------------------------------------------------------------------------------------


def test_a_template_is_pending_then_approved_and_can_be_sent() -> None:
    async def test(there: Meta) -> None:
        there.state.turn(approve_seconds=-1)
        _, made = await there.call("POST", f"/{WABA}/message_templates", json=ORDER)
        assert made["status"] == "PENDING"
        filling = filled(word("Ana"), word("42"))
        status, refused = await there.send(template("order_ready", "es_MX", filling))
        assert (status, refused["error"]["code"]) == (404, 132001)
        await there.control("template", name="order_ready", status="APPROVED")
        await there.callback.until(lambda: there.callback.values("message_template_status_update"))
        [told] = there.callback.values("message_template_status_update")
        assert (told["event"], told["message_template_id"]) == ("APPROVED", int(made["id"]))
        status, answer = await there.send(template("order_ready", "es_MX", filling))
        assert (status, answer["messages"][0]["message_status"]) == (200, "accepted")
        await there.callback.until(there.callback.statuses)
        assert there.callback.statuses()[0]["pricing"]["category"] == "utility"

    running(test)


@pytest.mark.parametrize(("status", "code"), [("PAUSED", 132015), ("DISABLED", 132016), ("REJECTED", 132001)])
def test_a_template_that_may_not_be_sent_is_refused(status: str, code: int) -> None:
    async def test(there: Meta) -> None:
        await there.control("template", name="hello_world", status=status)
        _, answer = await there.send(template("hello_world", "en_US"))
        assert answer["error"]["code"] == code
        await there.callback.until(lambda: there.callback.values("message_template_status_update"))
        assert there.callback.values("message_template_status_update")[0]["event"] == status

    running(test)


@pytest.mark.parametrize(
    ("components", "given", "code"),
    [
        pytest.param([BODY], [filled(word("a"), word("b"))], 0, id="filled"),
        pytest.param([BODY], [filled(word("a"))], 132000, id="one too few"),
        pytest.param([BODY], [], 132000, id="none"),
        pytest.param([BODY], [filled(word("a"), word("b"), word("c"))], 132000, id="one too many"),
        pytest.param([ASK], [filled(word("Ana", parameter_name="name"))], 0, id="named"),
        pytest.param([ASK], [filled(word("Ana", parameter_name="nome"))], 132012, id="named otherwise"),
        pytest.param([PICTURE], [filled({"type": "image", "image": {"id": "1"}}, kind="header")], 0, id="header"),
        pytest.param([PICTURE], [filled(word("a"), kind="header")], 132012, id="header of another kind"),
        pytest.param([PICTURE], [], 132012, id="header missing"),
        pytest.param([BODY], [{"type": "body", "parameters": 7}], 100, id="parameters no array"),
        pytest.param([BODY], ["x"], 100, id="component no object"),
    ],
)
def test_a_template_takes_what_fills_its_places(components: list[Any], given: list[Any], code: int) -> None:
    async def test(there: Meta) -> None:
        there.state.templates[WABA].add({**ORDER, "components": components}, "APPROVED")
        _, answer = await there.send(template("order_ready", "es_MX", *given))
        assert answer.get("error", {}).get("code", 0) == code

    running(test)


def test_templates_are_listed_page_by_page_edited_and_deleted() -> None:
    async def test(there: Meta) -> None:
        path = f"/v24.0/{WABA}/message_templates"
        for name in ("a", "b", "c", "d"):
            await there.call("POST", path, json={**ORDER, "name": name})
        names: list[str] = []
        query = {"limit": "2", "fields": "name,status"}
        while True:
            _, page = await there.call("GET", path, params=query)
            names += [each["name"] for each in page["data"]]
            assert all(each.keys() == {"id", "name", "status"} for each in page["data"])
            if "next" not in page["paging"]:
                break
            query["after"] = page["paging"]["cursors"]["after"]
        assert names == ["hello_world", "a", "b", "c", "d"]
        _, back = await there.call("GET", path, params={"limit": "2", "before": page["paging"]["cursors"]["before"]})
        assert [each["name"] for each in back["data"]] == ["b", "c"]
        assert (await there.call("GET", path, params={"after": "nonsense"}))[0] == 400
        _, again = await there.call("POST", path, json={**ORDER, "name": "a"})
        assert again["error"]["error_subcode"] == 2388024
        _, named = await there.call("GET", path, params={"name": "d"})
        assert [each["name"] for each in named["data"]] == ["hello_world", "d"], "every name with that in it"
        found = named["data"][1]
        assert (await there.call("POST", f"/{found['id']}", json={"components": [ASK]}))[0] == 200
        assert (await there.call("GET", f"/{found['id']}"))[1]["components"] == [ASK]
        assert await there.call("DELETE", path, params={"name": "d"}) == (200, {"success": True})
        assert (await there.call("DELETE", path, params={"name": "d"}))[0] == 400
        assert (await there.call("GET", f"/{found['id']}"))[0] == 400

    running(test)


@pytest.mark.parametrize("key", ["name", "language", "category", "components"])
def test_a_template_without_what_it_needs_is_refused(key: str) -> None:
    async def test(there: Meta) -> None:
        status, answer = await there.call("POST", f"/{WABA}/message_templates", json={**ORDER, key: 7})
        assert (status, answer["error"]["code"]) == (400, 100)

    running(test)


def test_an_authentication_template_needs_a_phone_number() -> None:
    async def test(there: Meta) -> None:
        there.state.templates[WABA].add({**ORDER, "category": "AUTHENTICATION", "components": []}, "APPROVED")
        status, answer = await there.send({**template(), "to": "", "recipient": "MX.90000000000000000001"})
        assert (status, answer["error"]["code"]) == (400, 131062)
        assert (await there.send(template()))[0] == 200

    running(test)


def test_held_templates_fail_later() -> None:
    async def test(there: Meta) -> None:
        _, answer = await there.send(template("hello_world", "en_US"))
        assert answer["messages"][0]["message_status"] == "held_for_quality_assessment"
        await there.callback.until(there.callback.statuses)
        assert there.callback.statuses()[0]["errors"][0]["code"] == 132015

    running(test, hold_templates=True)


# --- control ----------------------------------------------------------------------------------------------------------

WRITTEN: dict[str, dict[str, Any]] = {
    "text": {"text": "Hola"},
    "image": {"size": 10},
    "video": {"size": 10},
    "audio": {"size": 10},
    "document": {"size": 10, "filename": "x.pdf"},
    "sticker": {"size": 10},
    "location": {},
    "contacts": {},
    "reaction": {"message_id": "wamid.X", "emoji": "👍"},
    "tap": {"id": "y", "title": "Yes", "reply_to": "wamid.X"},
    "pick": {"id": "y", "title": "Yes", "description": "Really"},
    "button": {"payload": "STOP", "text": "Stop"},
    "edit": {"message_id": "wamid.X", "text": "Hola!"},
    "revoke": {"message_id": "wamid.X"},
    "unsupported": {},
}


def test_a_customer_does_whatever_the_control_api_says() -> None:
    async def test(there: Meta) -> None:
        for kind, given in WRITTEN.items():
            status, answer = await there.control("customer", wa_id=f"+{CUSTOMER}", type=kind, **given)
            assert status == 200, answer
            assert answer["id"].startswith("wamid.")
        await there.callback.until(lambda: len(there.callback.messages()) == len(WRITTEN))
        assert {each["from"] for each in there.callback.messages()} == {CUSTOMER}
        understood = [type(item).__name__ for body in there.callback.bodies for item in parse(escaped(body))]
        assert "NotUnderstood" not in understood

    assert WRITTEN.keys() == ACTS.keys()
    running(test)


def test_the_customer_service_window_opens_when_a_customer_writes() -> None:
    clock = SetClock()

    async def test(there: Meta) -> None:
        await there.send(text())
        await there.callback.until(there.callback.statuses)
        assert there.callback.statuses()[-1]["errors"][0]["code"] == 131047
        await there.control("customer", wa_id=CUSTOMER, text="Hola")
        await there.send(text())
        await there.callback.until(lambda: len(there.callback.statuses()) == 4)
        assert there.callback.statuses()[1]["pricing"]["type"] == "free_customer_service"
        clock.move(24 * HOUR)
        await there.send(text())
        await there.callback.until(lambda: len(there.callback.statuses()) == 5)
        assert there.callback.statuses()[-1]["status"] == "failed"

    running(test, clock=clock, service_window=True)


def test_a_group_is_written_to() -> None:
    async def test(there: Meta) -> None:
        _, answer = await there.send(text("120363000000000001@g.us", recipient_type="group"))
        assert answer["messages"][0]["group_id"] == "120363000000000001@g.us"
        await there.callback.until(there.callback.statuses)
        status = there.callback.statuses()[0]
        assert (status["recipient_type"], status["recipient_id"]) == ("group", "120363000000000001@g.us")

    running(test)


def test_account_webhooks_are_sent_on_demand() -> None:
    async def test(there: Meta) -> None:
        await there.control("quality", event="FLAGGED")
        value = {"event": "VERIFIED_ACCOUNT", "phone_number": BUSINESS.display_phone_number}
        await there.control("notice", field="account_update", value=value)
        await there.callback.until(lambda: len(there.callback.bodies) == 2)
        assert there.callback.values("account_update") == [value]
        assert there.callback.values("phone_number_quality_update")[0]["event"] == "FLAGGED"

    running(test)


def test_clear_forgets_what_happened() -> None:
    async def test(there: Meta) -> None:
        await there.send(text())
        await there.control("fail", code=131016)
        await there.control("clear")
        assert (await there.look("accepted"))["data"] == []
        assert (await there.look("counts"))["sends"] == 0
        assert (await there.send(text()))[0] == 200

    running(test, delivered_after=60)


def test_accepted_messages_are_read_piece_by_piece() -> None:
    async def test(there: Meta) -> None:
        for number in range(5):
            await there.send(text(biz_opaque_callback_data=f"{number % 4}"))
        numbers = [each["number"] for each in (await there.look("accepted?after=1&limit=3"))["data"]]
        assert numbers == [2, 3, 4]
        assert (await there.look("counts"))["accepted_again"] == 1

    running(test)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("nothing", {}, 404),
        ("knobs", {"latncy": 1}, 422),
        ("fail", {"code": 42}, 422),
        ("fail", {"code": 131016, "how": "loudly"}, 422),
        ("fail", {"code": 131016, "count": "²"}, 422),
        ("customer", {}, 422),
        ("customer", {"wa_id": "\ud800"}, 422),
        ("customer", {"wa_id": CUSTOMER, "type": "smoke"}, 422),
        ("customer", {"wa_id": CUSTOMER}, 422),
        ("customer", {"wa_id": CUSTOMER, "type": "image", "base64": "?"}, 422),
        ("customer", {"wa_id": CUSTOMER, "type": "image", "size": -1}, 422),
        ("customer", {"wa_id": CUSTOMER, "text": "x", "phone_number_id": "9"}, 400),
        ("template", {"name": "hello_world", "status": "FINE"}, 422),
        ("template", {"name": "unknown", "status": "PAUSED"}, 404),
        ("template", {"name": "hello_world", "status": "PAUSED", "waba_id": "9"}, 400),
        ("notice", {"field": "account_update"}, 422),
        ("token", {}, 422),
    ],
)
def test_what_the_control_api_does_not_take_is_named(path: str, body: dict[str, Any], status: int) -> None:
    async def test(there: Meta) -> None:
        answered, answer = await there.control(path, **body)
        assert answered == status
        assert answer["error"]

    running(test)


def test_webhooks_can_go_elsewhere() -> None:
    async def test(there: Meta) -> None:
        there.simulator.set_callback("", "")
        await there.send(text())
        await there.state.webhooks.idle()
        assert there.callback.bodies == []
        assert {path for _, path in CONTROLS} >= {"knobs", "counts", "accepted", "customer"}
        assert SECRET

    running(test)


# --- threads of several responders ------------------------------------------------------------------------------------


def test_threads_are_passed_released_and_taken_only_by_the_escalation_partner() -> None:
    async def test(there: Meta) -> None:
        path, whom = f"/v24.0/{NUMBER}/thread_control", {"messaging_product": "whatsapp", "to": f"+{CUSTOMER}"}

        async def owners() -> list[str]:
            return [each["owner"] for each in (await there.look("threads"))["data"]]

        assert (await there.call("POST", path, json=whom | {"action": "pass"})) == (200, {"success": True})
        assert await owners() == ["escalation"]
        chosen = whom | {"action": "pass", "control_pass": {"target_role": "marketing"}, "metadata": "x" * 2000}
        assert (await there.call("POST", path, json=chosen))[0] == 200
        assert await owners() == ["marketing"]
        status, answer = await there.call("POST", path, json=whom | {"action": "take"})
        assert (status, answer["error"]["code"]) == (400, 2494191)
        there.state.turn(thread_role="escalation")
        assert (await there.call("POST", path, json=whom | {"action": "take"}))[0] == 200
        assert await owners() == ["escalation"]
        assert (await there.call("POST", path, json=whom | {"action": "release"}))[0] == 200
        assert await owners() == []
        assert there.callback.values("messaging_handovers") == [], "what the app does is told to the others"

    running(test)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"messaging_product": "telegram"}, 100),
        ({"to": ""}, 131008),
        ({"to": 5}, 131008),
        ({"action": "request"}, 100),
        ({"metadata": "x" * 2001}, 100),
        ({"control_pass": {"target_role": "friend"}}, 100),
        ({"control_pass": "friend"}, 100),
    ],
)
def test_thread_control_refuses_what_is_wrong(change: dict[str, Any], code: int) -> None:
    async def test(there: Meta) -> None:
        body = {"messaging_product": "whatsapp", "to": CUSTOMER, "action": "pass"} | change
        status, answer = await there.call("POST", f"/{NUMBER}/thread_control", json=body)
        assert (status, answer["error"]["code"]) == (400, code)

    running(test)


def test_another_responder_passes_and_takes_and_the_webhooks_are_understood() -> None:
    async def test(there: Meta) -> None:
        await there.control("thread", wa_id=CUSTOMER, action="pass", metadata="order 12", summary="Asks where it is.")
        await there.control("thread", wa_id=CUSTOMER, action="take", role="escalation")
        await there.control("thread", user_id="MX.1234", action="pass")
        await there.control("thread", wa_id=CUSTOMER, action="release")
        await there.callback.until(lambda: len(there.callback.bodies) == 3)
        items = [item for body in there.callback.bodies for item in parse(escaped(body))]
        assert [getattr(item, "event", None) for item in items] == ["control_passed", "control_taken", "control_passed"]
        passed, taken, hidden = there.callback.values("messaging_handovers")
        assert passed["control_passed"]["conversation_context"]["summary"] == {"text": "Asks where it is."}
        assert taken["control_taken"]["new_owner_role"] == "escalation"
        assert "sender" not in hidden

    running(test)
