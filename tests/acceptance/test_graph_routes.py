"""Every route of the Graph façade but sending: shapes, fields, errors, and nothing of another organization's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from tests.acceptance.graph_site import ADMIN, CUSTOMER, NUMBER, WABA, Site, site, text
from tests.acceptance.processes import request, until
from tests.acceptance.test_graph_sending import details, error
from tests.acceptance.test_meta_format import SECRET, Bot, listening

from tellwire.security.api_keys import Scope
from tellwire.web.graph.dispatch import ROUTES

PICTURE = b"a picture" * 1000
BODY = [{"type": "BODY", "text": "Ready."}]


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("routes")) as found:
        yield found


@pytest.fixture(scope="module")
def uploaded(at: Site) -> str:
    status, answer = at.upload(PICTURE, ("messaging_product", "whatsapp"), ("type", "image/png"))
    assert status == 200, answer
    return str(answer["id"])


def key(at: Site, *scopes: str, organization: str = "") -> str:
    draft: dict[str, Any] = {"name": "k", "scopes": list(scopes)}
    return str(
        at.rest("POST", "/v1/api-keys", draft | ({"organization_id": organization} if organization else {}))["key"]
    )


# --- media ------------------------------------------------------------------------------------------------------------


def test_an_upload_has_an_id_of_digits_and_particulars_and_bytes(at: Site, uploaded: str) -> None:
    assert uploaded.isdecimal()
    status, shown = at.call("GET", f"/{uploaded}")
    digest = hashlib.sha256(PICTURE).hexdigest()
    assert (status, shown) == (
        200,
        {
            "url": f"{at.graph}/v24.0/{uploaded}/content",
            "mime_type": "image/png",
            "sha256": digest,
            "file_size": len(PICTURE),
            "id": uploaded,
            "messaging_product": "whatsapp",
        },
    )
    assert at.call("GET", f"/{uploaded}?fields=url&phone_number_id={NUMBER}")[1].keys() == {"id", "url"}
    status, content = request(shown["url"], key=ADMIN)
    assert (status, content) == (200, PICTURE.decode())
    error(request(shown["url"]), 401, 190)
    assert request(f"{shown['url']}?access_token={ADMIN}")[0] == 200


def test_an_uploaded_file_is_sent_and_its_row_links_to_it(at: Site, uploaded: str) -> None:
    status, answer = at.send(type="image", text=None, image={"id": uploaded, "caption": "Look"})
    assert status == 200, answer
    body = at.accepted()[-1]["body"]
    assert body["image"]["id"].isdecimal()
    assert body["image"]["id"] != uploaded  # it is Meta's own
    assert at.messages()[0]["media"][0]["sha256"] == hashlib.sha256(PICTURE).hexdigest()
    header = {"type": "image", "image": {"id": uploaded}}
    buttons = {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Yes"}}]}
    interactive = {"type": "button", "header": header, "body": {"text": "Yes?"}, "action": buttons}
    assert at.send(type="interactive", text=None, interactive=interactive)[0] == 200


UPLOADS: list[tuple[dict[str, Any], int, int]] = [
    ({"fields": (("type", "image/png"),)}, 400, 100),
    ({"fields": (("messaging_product", "telegram"),)}, 400, 100),
    ({"fields": (("messaging_product", "whatsapp"), ("type", "image/tiff"))}, 400, 100),
    ({"fields": (("messaging_product", "whatsapp"), ("strange", "x"))}, 400, 100),
    ({"fields": (("messaging_product", "whatsapp"),), "content": b""}, 400, 100),
    ({"fields": (("messaging_product", "whatsapp"),), "content": b"x" * (6 << 20)}, 400, 100),
]


@pytest.mark.parametrize(("given", "status", "code"), UPLOADS)
def test_a_wrong_upload(at: Site, given: dict[str, Any], status: int, code: int) -> None:
    error(at.upload(given.get("content", PICTURE), *given["fields"]), status, code)


def test_the_fields_of_an_upload_may_stand_in_the_query(at: Site) -> None:
    status, answer = at.upload(PICTURE, query="?messaging_product=whatsapp&type=image/jpeg", kind="")
    assert status == 200, answer
    assert at.call("GET", f"/{answer['id']}")[1]["mime_type"] == "image/jpeg"
    error(at.call("POST", f"/{NUMBER}/media", {"messaging_product": "whatsapp"}), 400, 100)


def test_a_deleted_file_is_gone(at: Site) -> None:
    _, answer = at.upload(PICTURE, ("messaging_product", "whatsapp"))
    path = f"/{answer['id']}"
    error(at.call("DELETE", f"{path}?phone_number_id=999"), 400, 100)
    assert at.call("DELETE", path) == (200, {"success": True})
    for method in ("GET", "DELETE"):
        assert error(at.call(method, path), 400, 100)["error_subcode"] == 33
    error(at.call("GET", f"{path}/content"), 400, 100)


# --- templates --------------------------------------------------------------------------------------------------------


def test_templates_are_paged_filtered_and_shown_by_field(at: Site) -> None:
    path = f"/{WABA}/message_templates"
    for number in range(3):
        draft = {"name": f"paged_{number}", "language": "en_US", "category": "UTILITY", "components": BODY}
        status, made = at.call("POST", path, draft)
        assert (status, made.keys()) == (200, {"id", "status", "category"})
    names, page = [], f"{path}?limit=2"
    while page:
        status, answer = at.call("GET", page)
        assert status == 200
        names += [each["name"] for each in answer["data"]]
        after = answer["paging"]["cursors"]["after"]
        page = f"{path}?limit=2&after={after}" if "next" in answer["paging"] else ""
    assert {*names} == {"hello_world", "paged_0", "paged_1", "paged_2"}
    assert len(names) == 4
    back = at.call("GET", f"{path}?limit=2&before={answer['paging']['cursors']['before']}")[1]
    assert [each["name"] for each in back["data"]] == names[:2]
    chosen = at.call("GET", f"{path}?name=paged_1&status=approved,pending&fields=name,status&summary=total_count")[1]
    assert [each.keys() for each in chosen["data"]] == [{"name", "status", "id"}]
    assert chosen["summary"]["total_count"] == 1
    assert at.call("GET", f"{path}?name=nothing")[1] == {"data": []}
    one = at.call("GET", f"/{made['id']}?fields=name")[1]
    assert one == {"name": "paged_2", "id": made["id"]}
    error(at.call("GET", f"{path}?limit=-1"), 400, 100)
    error(at.call("GET", f"{path}?after=nonsense"), 400, 100)


def test_what_meta_refuses_of_a_template_is_answered_as_it_came(at: Site) -> None:
    path = f"/{WABA}/message_templates"
    draft = {"name": "Not a name", "language": "en_US", "category": "UTILITY", "components": BODY}
    assert error(at.call("POST", path, draft), 400, 100)["fbtrace_id"].startswith("A")
    error(at.call("POST", path, {"name": "x"}), 400, 100)
    assert error(at.call("DELETE", f"{path}?name=nothing_there"), 400, 100)["fbtrace_id"].startswith("A")
    error(at.call("DELETE", path), 400, 100)


def test_a_template_is_deleted_here_and_at_meta(at: Site) -> None:
    path = f"/{WABA}/message_templates"
    draft = {"name": "short_lived", "language": "en_US", "category": "UTILITY", "components": BODY}
    made = at.call("POST", path, draft)[1]
    assert at.call("DELETE", f"{path}?name=short_lived&hsm_id={made['id']}") == (200, {"success": True})
    assert error(at.call("GET", f"/{made['id']}"), 400, 100)["error_subcode"] == 33


# --- numbers, business accounts, tokens -------------------------------------------------------------------------------


def test_numbers_and_business_accounts_are_read_with_their_fields(at: Site) -> None:
    assert at.call("GET", f"/{NUMBER}")[1]["display_phone_number"] == "525500000000"
    assert at.call("GET", f"/{NUMBER}?fields=verified_name")[1] == {"verified_name": "Simulated Shop", "id": NUMBER}
    assert at.call("GET", f"/{WABA}?fields=name")[1] == {"id": WABA, "name": "Simulated Shop"}
    numbers = at.call("GET", f"/{WABA}/phone_numbers?fields=quality_rating")[1]
    assert numbers["data"] == [{"quality_rating": "GREEN", "id": NUMBER}]


def test_what_a_token_may_do(at: Site) -> None:
    sender = key(at, "messages:write")
    found = at.call("GET", f"/debug_token?input_token={sender}")[1]["data"]
    assert (found["is_valid"], found["scopes"]) == (True, ["whatsapp_business_messaging"])
    assert found["granular_scopes"] == [{"scope": "whatsapp_business_messaging", "target_ids": [WABA]}]
    assert at.call("GET", "/debug_token?input_token=tw_wrong")[1]["data"]["is_valid"] is False
    error(at.call("GET", "/debug_token"), 400, 100)
    assert at.call("GET", "/me", key=sender)[1].keys() == {"id", "name"}
    assert at.call("GET", "/me?fields=id", key=sender)[1].keys() == {"id"}


def test_thread_control_is_passed_through_and_handovers_come_back(at: Site) -> None:
    path = f"/{NUMBER}/thread_control"
    whom = {"messaging_product": "whatsapp", "to": CUSTOMER}
    passed = whom | {"action": "pass", "metadata": "order 12", "control_pass": {"target_role": "ai_agent"}}
    assert at.call("POST", path, passed) == (200, {"success": True})
    mine = {"phone_number_id": NUMBER, "customer": CUSTOMER}
    assert at.control("threads")["data"] == [mine | {"owner": "ai_agent"}]
    found = error(at.call("POST", path, whom | {"action": "take"}), 400, 2494191)
    assert found["fbtrace_id"].startswith("A"), "Meta's own"
    assert at.form(path, **whom, action="release") == (200, {"success": True})
    assert at.control("threads")["data"] == []
    error(at.call("POST", path, whom | {"action": "request"}), 400, 100)
    error(at.call("POST", path, passed, key=key(at, "read")), 403, 10)
    bot = Bot("a-token")
    with listening(bot) as url:
        draft = {"url": url, "format": "meta", "secret": SECRET, "verify_token": "a-token"}
        made = at.rest("POST", "/v1/webhook-endpoints", draft | {"fields": ["messaging_handovers"]})
        at.control("thread", wa_id=CUSTOMER, action="pass", role="ai_agent", summary="Asks where an order is.")
        until(lambda: bot.came, what="the handover")
        at.rest("DELETE", f"/v1/webhook-endpoints/{made['id']}")
    [change] = json.loads(bot.came[0].body)["entry"][0]["changes"]
    told = change["value"]["control_passed"]
    assert (change["field"], change["value"]["sender"]) == ("messaging_handovers", {"phone_number": CUSTOMER})
    assert (told["previous_owner_role"], told["new_owner_role"]) == ("ai_agent", "customer_service")
    assert "thread.control_passed" in {each["name"] for each in at.rest("GET", "/v1/events?limit=50")["data"]}


NOT_THERE = [
    ("GET", "/nonsense"),
    ("GET", "/1234567890123456"),
    ("DELETE", "/1234567890123456"),
    ("GET", "/" + "9" * 40),
    ("GET", f"/{WABA}/messages"),
    ("GET", f"/{NUMBER}/messages"),
    ("POST", f"/{WABA}"),
    ("PUT", f"/{NUMBER}/messages"),
    ("PATCH", f"/{NUMBER}"),
    ("POST", "/me"),
]


@pytest.mark.parametrize(("method", "path"), NOT_THERE)
def test_what_is_not_there_is_metas_unknown_object(at: Site, method: str, path: str) -> None:
    found = error(at.call(method, path, {} if method != "GET" else None), 400, 100)
    assert (found["error_subcode"], found["type"]) == (33, "GraphMethodException")
    assert f"Unsupported {method.lower()} request" in found["message"]


@pytest.mark.parametrize(
    "url",
    ["", "/", "/v24.0", "/v24.0/", "/24.0/me", "/vX.0/me", "/me", f"/v24.0/{NUMBER}/a/b", f"/v24.0/{NUMBER}/calls"],
)
def test_an_unknown_path_is_metas(at: Site, url: str) -> None:
    found = error(request(f"{at.graph}{url}", key=ADMIN), 400, 2500)
    assert "Unknown path components" in found["message"]


def test_a_wrong_host_is_answered_in_metas_shape(at: Site) -> None:
    error(at.call("GET", f"/{NUMBER}", headers={"Host": "elsewhere.example.com"}), 400, 100)


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_every_route_asks_for_a_scope(at: Site, uploaded: str) -> None:
    """Each scope alone: a route that needs another is 403 with code 10, whatever it names."""
    template = at.call("GET", f"/{WABA}/message_templates")[1]["data"][0]["id"]
    nodes = {"number": NUMBER, "business": WABA, "template": template, "file": uploaded, "token": ""}
    checked = 0
    for scope in get_args(Scope):
        mine = key(at, scope)
        for (method, kind, edge), route in ROUTES.items():
            if scope == "admin" or scope in route.scopes:
                continue
            path = "/" + "/".join(part for part in (nodes[kind], edge) if part)
            found = error(at.call(method, path, {} if method == "POST" else None, key=mine), 403, 10)
            assert route.scopes[0] in details(found)
            checked += 1
    assert checked > len(ROUTES)


def test_nothing_of_another_organization_is_found(at: Site, uploaded: str) -> None:
    """Every route that names a thing of the other's, with every scope: Meta's unknown object, and nothing changes."""
    template = at.call("GET", f"/{WABA}/message_templates")[1]["data"][0]["id"]
    at.heard(CUSTOMER, hours_ago=0)
    came = at.control("customer", wa_id=CUSTOMER, type="image", size=1000)["message"]["image"]["id"]
    until(lambda: at.call("GET", f"/{came}")[0] == 200, what="the customer's file")
    other = at.rest("POST", "/v1/organizations", {"name": "Another"})["id"]
    theirs = key(at, "admin", organization=other)
    before = at.control("counts")["sends"], len(at.messages())
    nodes: dict[str, list[str]] = {
        "number": [NUMBER], "business": [WABA], "template": [template], "file": [uploaded, came], "token": [],
    }  # fmt: skip
    bodies = {"messages": text(), "message_templates": {"name": "x", "language": "en", "category": "UTILITY"}}
    for method, kind, edge in ROUTES:
        for node in nodes[kind]:
            path = f"/{node}/{edge}" if edge else f"/{node}"
            body = bodies.get(edge, {}) if method == "POST" else None
            found = error(at.call(method, path, body, key=theirs), 400, 100)
            assert found["error_subcode"] == 33
    assert at.call("GET", f"/debug_token?input_token={ADMIN}", key=theirs)[1]["data"]["is_valid"] is False
    assert at.call("GET", f"/debug_token?input_token={key(at, 'read')}", key=theirs)[1]["data"]["is_valid"] is False
    assert (at.control("counts")["sends"], len(at.messages())) == before
