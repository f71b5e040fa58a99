"""TemplateSync as Meta has them: synchronised, listed, created, deleted, and what may be sent of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.served import APP_SECRET, Served, served
from tests.world import CUSTOMER

from tellwire.accounts.template_sync import TemplateSync
from tellwire.http_client.graph import open_graph
from tellwire.ports.http_out import Answer
from tellwire.simulator import BUSINESS, TOKEN, Knobs, Simulator, State
from tellwire.stores.template_repository import SqlTemplateRepository

NUMBER, WABA = BUSINESS.phone_number_id, BUSINESS.waba_id
ACCOUNT = {
    "phone_number_id": NUMBER,
    "waba_id": WABA,
    "display_phone_number": BUSINESS.display_phone_number,
    "access_token": TOKEN,
}
ORDER = {
    "name": "order_ready",
    "language": "en_US",
    "category": "UTILITY",
    "components": [{"type": "BODY", "text": "Order {{1}} is ready."}],
}
HOUR = 3_600_000_000

pytestmark = pytest.mark.usefixtures("each_store")


@contextmanager
def meta(app: Served) -> Iterator[State]:
    """A Meta that the app asks, and that posts to it; nothing is approved by itself."""
    state = State(seed=1, knobs=Knobs(approve_seconds=-1))
    simulator = Simulator(state, callback=f"http://127.0.0.1:{app.port}/meta/webhook", secret=APP_SECRET)
    app.run(simulator.start())
    app.outside.graph = open_graph(f"{simulator.url}/v24.0")
    try:
        yield state
    finally:
        app.run(app.outside.graph.close())
        app.run(simulator.stop())


def due_of(app: Served) -> Callable[[], Coroutine[Any, Any, int]]:
    """What a process does by itself."""
    return TemplateSync(SqlTemplateRepository(app.world.store), app.outside, app.clock, lambda: 0.0).synchronise_due


def sync(app: Served) -> Any:
    return app.post("/v1/templates/sync", {"account": NUMBER}, status=200)


def sent(app: Served, *texts: str, language: str = "en_US", name: str = "order_ready") -> Any:
    parameters = [{"type": "text", "text": text} for text in texts]
    components = [{"type": "body", "parameters": parameters}] if parameters else []
    template = {"name": name, "language": {"code": language}, "components": components}
    draft = {"account": NUMBER, "to": f"+{CUSTOMER}", "type": "template", "template": template}
    return app.call("POST", "/v1/messages", draft)


def test_templates_are_what_meta_lists(tmp_path: Path) -> None:
    with served(tmp_path) as app, meta(app) as there:
        app.post("/v1/accounts", ACCOUNT)
        for number in range(120):  # more than one page
            there.templates[WABA].add(ORDER | {"name": f"order_{number}"}, "APPROVED")
        assert sync(app) == {"added": 121, "changed": 0, "removed": 0, "total": 121}
        assert sync(app) == {"added": 0, "changed": 0, "removed": 0, "total": 121}
        app.clock.move(1)
        there.templates[WABA].remove("order_7")
        found = there.templates[WABA].find("order_8", "en_US")
        assert found is not None
        found.status, found.quality = "PAUSED", "RED"
        assert sync(app) == {"added": 0, "changed": 1, "removed": 1, "total": 120}
        (paused,) = app.get("/v1/templates?status=PAUSED")["data"]
        assert (paused["name"], paused["quality"], paused["components"]) == ("order_8", "RED", ORDER["components"])
        assert paused["synchronised_at"]
        (gone,) = app.get("/v1/templates?name=order_7")["data"]
        assert (gone["status"], gone["reason"]) == ("DELETED", "Meta lists it no longer")
        assert len(app.get(f"/v1/templates?account={NUMBER}&limit=200")["data"]) == 121
        assert app.get("/v1/templates?account=another")["data"] == []
        assert app.get(f"/v1/templates/{paused['meta_id']}")["id"] == paused["id"]
        assert app.get(f"/v1/accounts/{NUMBER}")["templates"]["cause"] == ""


def test_what_happens_by_itself_backs_off_and_is_seen(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        app.post("/v1/accounts", ACCOUNT)
        due = due_of(app)
        assert app.get(f"/v1/accounts/{NUMBER}")["templates"] is None
        quoting = {"error": {"code": 190, "message": "Session has expired"}}
        app.outside.refused = Answer(status=401, body=json.dumps(quoting).encode())
        assert [app.run(due()) for _ in range(2)] == [1, 0]
        read = app.get(f"/v1/accounts/{NUMBER}")
        assert read["templates"]["synchronised_at"] is None
        assert read["templates"]["cause"] == "Meta refuses it, code 190: Session has expired"
        assert read["problems"] == ["Meta refuses the access token."]
        gaps = []
        for _ in range(8):
            waited = 0
            while not app.run(due()):
                app.clock.move(60_000_000)
                waited += 1
            gaps.append(waited)
        assert gaps == [1, 2, 4, 8, 16, 32, 60, 60]
        app.outside.refused = None
        app.clock.move(HOUR)
        assert app.run(due()) == 1
        read = app.get(f"/v1/accounts/{NUMBER}")
        assert (read["templates"]["cause"], read["problems"]) == ("", [])
        app.clock.move(HOUR - 1)
        assert app.run(due()) == 0
        app.clock.move(1)
        assert app.run(due()) == 1


def test_metas_refusals_are_problems(tmp_path: Path) -> None:
    with served(tmp_path) as app, meta(app):
        app.post("/v1/accounts", ACCOUNT | {"access_token": "another-token"})
        problem = app.call("POST", "/v1/templates/sync", {"account": NUMBER}).problem(422)
        assert problem["type"] == "urn:tellwire:problem:meta-refused"
        app.call("POST", "/v1/templates", {"account": NUMBER, **ORDER}).problem(422)
        assert app.get("/v1/templates")["data"] == []
        app.outside.graph, graph = None, app.outside.graph
        app.outside.refused = Answer(failure="timeout", cause="no answer within 20 s")
        problem = app.call("POST", "/v1/templates/sync", {"account": NUMBER}).problem(502)
        assert "no answer within 20 s" in problem["detail"]
        app.outside.graph = graph


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        ({"account": "nobody's"}, "/account"),
        ({"account": "1"}, "/account"),
        ({"account": "2"}, "/account"),
        ({"name": "Order Ready"}, "/name"),
        ({"language": "english"}, "/language"),
        ({"category": "SPAM"}, "/category"),
        ({"components": []}, "/components"),
        ({"components": {}}, "/components"),
        ({"parameter_format": "ANY"}, "/parameter_format"),
        ({"status": "APPROVED"}, "/status"),
    ],
)
def test_bad_drafts(shared: Served, draft: dict[str, Any], pointer: str) -> None:
    shared.call("POST", "/v1/templates", {"account": NUMBER, **ORDER} | draft).problem(422, pointer)
    assert shared.outside.asked == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("drafts")) as app:
        app.post("/v1/accounts", ACCOUNT)
        app.post("/v1/accounts", {"phone_number_id": "1", "waba_id": "5"})
        app.post("/v1/accounts", {"phone_number_id": "2", "access_token": "an-invented-token"})
        yield app


def test_created_and_deleted_at_meta_and_here(tmp_path: Path) -> None:
    with served(tmp_path) as app, meta(app) as there:
        app.post("/v1/accounts", ACCOUNT)
        key = {"idempotency-key": "once"}
        made = app.post("/v1/templates", {"account": NUMBER, **ORDER}, headers=key)
        assert app.post("/v1/templates", {"account": NUMBER, **ORDER}, headers=key) == made
        assert (made["status"], made["category"]) == ("PENDING", "UTILITY")
        listed = there.templates[WABA].find("order_ready", "en_US")
        assert listed is not None
        assert made["meta_id"] == listed.id
        app.call("POST", "/v1/templates", {"account": NUMBER, **ORDER}).problem(422)
        app.post("/v1/templates", {"account": NUMBER, **ORDER, "language": "es_MX"})
        assert app.call("DELETE", f"/v1/templates/{made['id']}").status == 204
        assert [each.language for each in there.templates[WABA].named("order_ready")] == ["es_MX"]
        app.post("/v1/templates", {"account": NUMBER, **ORDER})
        assert app.call("DELETE", "/v1/templates/order_ready").status == 204
        assert there.templates[WABA].named("order_ready") == []
        assert app.get("/v1/templates")["data"] == []
        app.call("DELETE", "/v1/templates/order_ready").problem(404)


def test_only_what_meta_would_take_is_queued(tmp_path: Path) -> None:
    with served(tmp_path) as app, meta(app) as there:
        app.post("/v1/accounts", ACCOUNT)
        assert sent(app, name="whatever").status == 202  # nothing is known yet
        there.templates[WABA].add(ORDER, "APPROVED")
        there.templates[WABA].add(ORDER | {"language": "es_MX"}, "APPROVED")
        there.templates[WABA].add(ORDER | {"name": "new_one"}, "PENDING")
        sync(app)
        assert sent(app, "17").status == 202
        problem = sent(app, "17", name="whatever").problem(422, "/template/name")
        assert problem["type"] == "urn:tellwire:problem:template-mismatch"
        (error,) = sent(app, "17", language="fr").problem(422, "/template/language/code")["errors"]
        assert "en_US, es_MX" in error["message"]
        (error,) = sent(app, "17", name="new_one").problem(422, "/template/name")["errors"]
        assert "PENDING" in error["message"]
        assert sent(app).status == 422
        assert sent(app, "17", "18").status == 422
        assert len(app.query("SELECT 1 FROM sends")) == 2


@pytest.mark.parametrize(
    ("whose", "to"),
    [
        ("5215588392274", "+52 1 55 8839 2274"),
        ("5215588392274", "525588392274"),  # Mexico's other spelling
        ("525588392274", "+5215588392274"),
        ("5491155550001", "+541155550001"),  # Argentina's
        ("553198887777", "+5531998887777"),  # Brazil's
        ("491701234567", "+491701234567"),
        ("MX.13491208655302741918", "MX.13491208655302741918"),
    ],
)
def test_marketing_is_not_sent_to_who_has_stopped_it(tmp_path: Path, whose: str, to: str) -> None:
    key = "wa_id" if whose.isdigit() else "user_id"

    def says(app: Served, word: str, at: int) -> None:
        entry = {key: whose, "category": "marketing_messages", "value": word, "timestamp": at}
        found = {"metadata": {"phone_number_id": NUMBER}, "user_preferences": [entry]}
        change = {"field": "user_preferences", "value": found}
        assert (
            app.meta({"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": [change]}]}).status
            == 200
        )

    def sends(app: Served, name: str = "order_ready", **more: Any) -> Any:
        template = {"name": name, "language": {"code": "en_US"}}
        draft = {"account": NUMBER, "to": to, "type": "template", "template": template}
        return app.call("POST", "/v1/messages", draft | more)

    with served(tmp_path) as app, meta(app) as there:
        app.post("/v1/accounts", ACCOUNT)
        plain = {"components": [{"type": "BODY", "text": "It is ready."}]}
        there.templates[WABA].add(ORDER | plain | {"name": "offer", "category": "MARKETING"}, "APPROVED")
        there.templates[WABA].add(ORDER | plain, "APPROVED")
        sync(app)
        first = sends(app, "offer")
        assert first.status == 202
        says(app, "stop", 1_778_038_800)
        problem = sends(app, "offer").problem(422, "/template/name")
        assert problem["type"] == "urn:tellwire:problem:opted-out"
        draft = {"account": NUMBER, "type": "template", "template": {"name": "offer", "language": {"code": "en_US"}}}
        there_too = draft | {"conversation_id": first.json["conversation_id"]}
        app.call("POST", "/v1/messages", there_too).problem(422, "/template/name")
        sends(app, "offer", scheduled_at="2026-06-01T00:00:00+00:00").problem(422, "/template/name")
        assert sends(app).status == 202
        assert sends(app, "offer", skip_opt_out_check=True).status == 202
        sends(app, "offer", skip_opt_out_check="yes").problem(422, "/skip_opt_out_check")
        assert app.post(f"/v1/messages/{first.json['id']}/cancel", status=200)["send_state"] == "cancelled"
        app.call("POST", f"/v1/messages/{first.json['id']}/resend").problem(422, "/template/name")
        says(app, "resume", 1_778_038_900)
        assert sends(app, "offer").status == 202


def test_a_stop_holds_for_its_number_and_its_organization(tmp_path: Path) -> None:
    other = {"phone_number_id": "900000000000009", "waba_id": WABA, "access_token": TOKEN}
    with served(tmp_path) as app, meta(app) as there:
        for account in (ACCOUNT, other):
            app.post("/v1/accounts", account)
        plain = {"components": [{"type": "BODY", "text": "It is ready."}], "category": "MARKETING"}
        there.templates[WABA].add(ORDER | plain, "APPROVED")
        sync(app)
        entry = {"wa_id": CUSTOMER, "category": "marketing_messages", "value": "stop", "timestamp": 1_778_038_800}
        found = {"metadata": {"phone_number_id": NUMBER}, "user_preferences": [entry]}
        change = {"field": "user_preferences", "value": found}
        app.meta({"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": [change]}]})
        draft = {
            "to": f"+{CUSTOMER}",
            "type": "template",
            "template": {"name": "order_ready", "language": {"code": "en_US"}},
        }
        app.call("POST", "/v1/messages", {"account": NUMBER, **draft}).problem(422, "/template/name")
        app.post("/v1/messages", {"account": other["phone_number_id"], **draft}, status=202)


def test_a_webhook_stops_and_opens_what_may_be_sent(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        app.post("/v1/accounts", ACCOUNT)
        with meta(app) as there:
            there.templates[WABA].add(ORDER, "APPROVED")
            sync(app)
            entry = {"id": WABA, "time": 1_790_000_000}
            named = {"message_template_id": 1, "message_template_name": "order_ready"}
            for event, status in (("PAUSED", 422), ("APPROVED", 202)):
                value = {"event": event, **named, "message_template_language": "en_US", "reason": "LOW_QUALITY"}
                change = {"field": "message_template_status_update", "value": value}
                body = {"object": "whatsapp_business_account", "entry": [entry | {"changes": [change]}]}
                assert app.meta(body).status == 200
                reply = sent(app, "17")
                assert reply.status == status
                assert status == 202 or "PAUSED (LOW_QUALITY)" in reply.json["errors"][0]["message"]
            # what Meta told of and is not read yet is left to Meta; then it is read, soon
            assert sent(app, name="brand_new").status == 202
            app.clock.move(60_000_000)
            assert app.run(due_of(app)()) == 1
            sent(app, name="brand_new").problem(422, "/template/name")


def test_an_account_shows_what_meta_told_of_it(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        app.post("/v1/accounts", ACCOUNT)
        restricted = {"event": "ACCOUNT_RESTRICTION", "restriction_info": [{"restriction_type": "RESTRICTED_X"}]}
        change = {"field": "account_update", "value": restricted}
        entry = {"id": WABA, "time": 1_790_000_000, "changes": [change]}
        assert app.meta({"object": "whatsapp_business_account", "entry": [entry]}).status == 200
        read = app.get(f"/v1/accounts/{NUMBER}")
        assert read["about"] == {
            "restrictions": {"value": restricted["restriction_info"], "at": "2026-09-21T14:13:20+00:00"}
        }
        assert read["problems"] == ["Meta restricts the business account (RESTRICTED_X)."]
        assert app.call("PATCH", f"/v1/accounts/{NUMBER}", {"name": "x"}).json["about"] == read["about"]


def test_news_wait_for_the_account_that_is_created(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        entry = {"id": WABA, "changes": [{"field": "account_review_update", "value": {"decision": "REJECTED"}}]}
        assert app.meta({"object": "whatsapp_business_account", "entry": [entry]}).status == 200
        assert app.get("/v1/inbound")["data"][0]["outcome"] == "unrouted"
        app.post("/v1/accounts", ACCOUNT)
        assert app.get(f"/v1/accounts/{NUMBER}")["problems"] == ["Meta's review rejected the business account."]
