"""`/v1/webhook-endpoints` over HTTP."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.served import HOOK, MISSING, Reply, Served, served
from tests.world import envelope, incoming

import tellwire_sdk
from tellwire.errors import Invalid
from tellwire.formats import FORMATS
from tellwire.model.deliveries import Endpoint

PATH = "/v1/webhook-endpoints"
HOUR = 3600 * 1_000_000
DRAFT = {"url": HOOK, "format": "row"}
CHAT = {"url": HOOK, "format": "chat"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("endpoints")) as running:
        yield running


def stored(app: Served, endpoint_id: str) -> Endpoint:
    return app.world.store.registry().endpoints[endpoint_id]


# --- create and read --------------------------------------------------------------------------------------------------

DEFAULTS = {
    "events": [],
    "accounts": [],
    "ordering": "keyed",
    "updates": "full",
    "conversation_ids": "conversation",
    "external": True,
    "history": False,
    "has_token": False,
    "headers": {},
    "hub_signature": False,
    "wappcloud_signature": "prefixed",
    "rotating_signature": "old",
    "timeout_seconds": None,
    "head_of_line_seconds": None,
    "max_in_flight": None,
    "rate_limit_per_second": None,
    "retry_schedule": None,
    "description": "",
    "state": "active",
    "disabled_reason": "",
    "health": {
        "state": "unknown",
        "failing_since": None,
        "consecutive_failures": 0,
        "cause": "",
        "last_success_at": None,
        "last_failure_at": None,
    },
}
FULL: dict[str, Any] = {
    "events": ["messages.insert", "endpoint.disabled"],
    "accounts": ["375446602312881", MISSING],
    "standby": False,
    "json": "canonical",
    "buffer": {"seconds": 2.5, "most": 10, "types": ["text"]},
    "ordering": "strict",
    "updates": "changed",
    "external": False,
    "history": True,
    "hub_signature": True,
    "rotating_signature": "new",
    "timeout_seconds": 0.5,
    "head_of_line_seconds": 10,
    "max_in_flight": 3,
    "rate_limit_per_second": 0.5,
    "retry_schedule": [1, 2.5],
    "description": "the CRM",
}
FULL_OF_META: dict[str, Any] = {
    "format": "meta",
    "events": ["meta.messages", "endpoint.disabled"],
    "fields": ["messages", "account_update", "a_field_to_come"],
    "batching": "as_received",
    "echoes": True,
    "updates": "full",
}
"""What is other for an endpoint of the format `meta`."""
FULL_OF_CHAT: dict[str, Any] = {
    "format": "chat",
    "events": ["incoming_message", "endpoint.disabled"],
    "buffer": None,
    "updates": "full",
    "conversation_ids": "message",
    "wappcloud_signature": "bare",
}
"""What is other for an endpoint of the format `chat`."""


def test_defaults(app: Served) -> None:
    made = app.post(PATH, DRAFT)
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert made.pop("whsec_secret") == secret
    assert {name: made[name] for name in DEFAULTS} == DEFAULTS
    assert made["secrets"] == [{"rotated_at": None, "expires_at": None}]
    assert (made["url"], made["format"]) == (HOOK, "row")
    assert app.get(f"{PATH}/{made['id']}") == made
    assert made in app.get(f"{PATH}?limit=200")["data"]


def test_everything_can_be_given(app: Served) -> None:
    own = {"secret": "a secret of sixteen or more", "token": "t0ken", "headers": {"X-Team": "crm", "x-other": "é"}}
    made = app.post(PATH, DRAFT | FULL | own)
    assert {name: made[name] for name in FULL} == FULL
    assert made["secret"] == own["secret"]
    assert made["whsec_secret"] == "whsec_" + base64.b64encode(own["secret"].encode()).decode()  # type: ignore[attr-defined]
    read = app.get(f"{PATH}/{made['id']}")
    assert read["has_token"] is True
    assert read["headers"] == {"X-Team": "********", "x-other": "********"}
    shown = json.dumps([read, app.get(PATH), app.get("/v1/audit")])
    assert "t0ken" not in shown
    assert 'crm"' not in shown
    assert "a secret of" not in shown
    kept = str(app.query(f"SELECT * FROM endpoints WHERE id = '{made['id']}'"))
    assert "t0ken" not in kept
    assert "a secret of" not in kept
    endpoint = stored(app, made["id"])
    assert (endpoint.token, endpoint.headers) == ("t0ken", own["headers"])
    assert [each.value for each in endpoint.secrets] == [own["secret"]]
    chat = app.post(PATH, DRAFT | FULL | FULL_OF_CHAT)
    assert {name: chat[name] for name in FULL | FULL_OF_CHAT} == FULL | FULL_OF_CHAT


def test_a_verify_token_is_shown_once_and_never_kept_plain(app: Served) -> None:
    made = app.post(PATH, DRAFT | FULL | FULL_OF_META | {"verify_token": "mine & only mine"})
    assert {name: made[name] for name in FULL_OF_META} == FULL_OF_META
    assert made["verify_token"] == "mine & only mine"
    ours = app.post(PATH, DRAFT | {"format": "meta"})["verify_token"]
    assert len(ours) >= 32
    shown = json.dumps([app.get(f"{PATH}/{made['id']}"), app.get(PATH), app.get("/v1/audit")])
    kept = str(app.query("SELECT * FROM endpoints"))
    for token in ("mine & only mine", ours):
        assert token not in shown
        assert token not in kept
    assert stored(app, made["id"]).verify_token == "mine & only mine"
    assert "verify_token" not in app.post(f"{PATH}/{made['id']}/rotate-secret", status=200)
    changed = app.call("PATCH", f"{PATH}/{made['id']}", {"verify_token": "another"})
    assert (changed.status, stored(app, made["id"]).verify_token) == (200, "another")
    app.call("PATCH", f"{PATH}/{made['id']}", {"verify_token": None}).problem(422, "/verify_token")
    app.call("PATCH", f"{PATH}/{made['id']}", {"verify_token": "a\nb"}).problem(422, "/verify_token")


OF_SOME: dict[str, tuple[Any, Any, list[str]]] = {
    "batching": ("as_received", "item", ["meta"]),
    "echoes": (True, False, ["meta"]),
    "fields": (["messages"], [], ["meta"]),
    "verify_token": ("a token", None, ["meta"]),
    "conversation_ids": ("message", "conversation", ["chat"]),
    "wappcloud_signature": ("bare", "prefixed", ["chat"]),
    "updates": ("changed", "full", ["row", "cloudevents"]),
    "buffer": ({"seconds": 2, "most": 10}, None, ["row", "meta"]),
}
"""Options that only some formats have: a value, the default, and these formats."""


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("option", OF_SOME)
def test_an_option_of_another_format_is_refused_with_words(app: Served, form: str, option: str) -> None:
    value, plain, theirs = OF_SOME[option]
    made = app.post(PATH, DRAFT | {"format": form, option: plain})
    path = f"{PATH}/{made['id']}"
    if form in theirs:
        app.post(PATH, DRAFT | {"format": form, option: value})
        assert app.call("PATCH", path, {option: value}).status == 200
        return
    problem = app.call("POST", PATH, DRAFT | {"format": form, option: value}).problem(422, f"/{option}")
    words = f"is an option of the format {' or '.join(theirs)}, not of {form}"
    assert problem["errors"][0]["message"] == words
    assert ("verify_token" in made) == (form == "meta")
    app.call("PATCH", path, {option: value}).problem(422, f"/{option}")
    assert app.call("PATCH", path, {option: plain}).status == 200


def test_a_field_that_is_there_twice_is_refused(app: Served) -> None:
    app.call("POST", PATH, DRAFT | {"format": "meta", "fields": ["a", "b", "a"]}).problem(422, "/fields/2")
    app.call("POST", PATH, DRAFT | {"format": "chat", "buffer": FULL["buffer"]}).problem(422, "/buffer")
    problem = app.call("POST", PATH, DRAFT | {"format": "meta", "events": ["messages.insert"]})
    problem.problem(422, "/events")


GOOD = [
    {"events": ["messages.insert", "messages.update", "conversations.insert", "conversations.update"]},
    {"events": ["account.warning", "contact.erased", "delivery.exhausted", "endpoint.recovered"]},
    {"secret": "x" * 16},
    {"secret": "é" * 128},
    {"secret": "whsec_" + base64.b64encode(bytes(24)).decode()},
    {"secret": "whsec_" + base64.b64encode(bytes(64)).decode()},
    {"secret": None},
    {"timeout_seconds": 0.1},
    {"timeout_seconds": 60},
    {"timeout_seconds": None},
    {"head_of_line_seconds": 0},
    {"max_in_flight": 1},
    {"max_in_flight": 1000},
    {"rate_limit_per_second": 0.001},
    {"retry_schedule": []},
    {"retry_schedule": [1] * 50},
    {"headers": {"x-tab": "a\tb"}},
    {"description": "日本語 \U0001f600"},
]


@pytest.mark.parametrize("more", GOOD, ids=lambda more: json.dumps(more)[:40])
def test_good_fields(app: Served, more: dict[str, Any]) -> None:
    assert app.call("POST", PATH, DRAFT | more).status == 201


BAD: list[tuple[dict[str, Any], str]] = [
    ({"url": ""}, "/url"),
    ({"url": None}, "/url"),
    ({"url": 5}, "/url"),
    ({"url": "http://example.com/"}, "/url"),
    ({"url": "https://example.com/" + "x" * 2048}, "/url"),
    ({"format": "xml"}, "/format"),
    ({"format": ""}, "/format"),
    ({"format": None}, "/format"),
    ({"events": ["nope"]}, "/events/0"),
    ({"events": ["messages.insert", "incoming_message"]}, "/events/1"),
    ({"events": ["messages.insert", "messages.insert"]}, "/events/1"),
    ({"events": "messages.insert"}, "/events"),
    ({"events": [5]}, "/events/0"),
    ({"accounts": [""]}, "/accounts/0"),
    ({"accounts": ["a b"]}, "/accounts/0"),
    ({"accounts": ["x" * 65]}, "/accounts/0"),
    ({"accounts": [375446602312881]}, "/accounts/0"),
    ({"ordering": "fifo"}, "/ordering"),
    ({"updates": "some"}, "/updates"),
    ({"conversation_ids": "both"}, "/conversation_ids"),
    ({"external": "yes"}, "/external"),
    ({"history": 1}, "/history"),
    ({"secret": "short"}, "/secret"),
    ({"secret": "x" * 129}, "/secret"),
    ({"secret": "with a\nnew line in it"}, "/secret"),
    ({"secret": "whsec_not base64 at all"}, "/secret"),
    ({"secret": "whsec_" + base64.b64encode(bytes(23)).decode()}, "/secret"),
    ({"secret": "whsec_" + base64.b64encode(bytes(65)).decode()}, "/secret"),
    ({"secret": "whsec_" + "A" * 43}, "/secret"),
    ({"token": "with space"}, "/token"),
    ({"token": "with\r\nheader: x"}, "/token"),
    ({"token": "é"}, "/token"),
    ({"token": "********"}, "/token"),
    ({"token": "x" * 4097}, "/token"),
    ({"headers": {"": "x"}}, "/headers/"),
    ({"headers": {"a b": "x"}}, "/headers/a b"),
    ({"headers": {"a/b": "x"}}, "/headers/a~1b"),
    ({"headers": {"x:": "y"}}, "/headers/x:"),
    ({"headers": {"x\r\ny": "z"}}, "/headers/x\r\ny"),
    ({"headers": {"é": "z"}}, "/headers/é"),
    ({"headers": {"X-Team": "a\r\nb"}}, "/headers/X-Team"),
    ({"headers": {"X-Team": "a\x00"}}, "/headers/X-Team"),
    ({"headers": {"X-Team": "日本"}}, "/headers/X-Team"),
    ({"headers": {"X-Team": "********"}}, "/headers/X-Team"),
    ({"headers": {"X-Team": "x" * 4097}}, "/headers/X-Team"),
    ({"headers": {"X-Team": "a", "x-team": "b"}}, "/headers/x-team"),
    ({"headers": {"X-Team": 5}}, "/headers"),
    ({"headers": {f"x-{index}": "" for index in range(51)}}, "/headers"),
    *[
        ({"headers": {name: "x"}}, f"/headers/{name}")
        for name in (
            "Host",
            "Content-Type",
            "content-length",
            "Content-Anything",
            "Connection",
            "Transfer-Encoding",
            "Cookie",
            "Authorization",
            "webhook-id",
            "Webhook-Signature",
            "tellwire-event",
            "X-Hub-Signature-256",
            "X-Wappcloud-Signature",
            "Upgrade",
            "TE",
            "Keep-Alive",
        )
    ],
    ({"timeout_seconds": 0}, "/timeout_seconds"),
    ({"timeout_seconds": 61}, "/timeout_seconds"),
    ({"timeout_seconds": "5"}, "/timeout_seconds"),
    ({"timeout_seconds": True}, "/timeout_seconds"),
    ({"head_of_line_seconds": -1}, "/head_of_line_seconds"),
    ({"max_in_flight": 0}, "/max_in_flight"),
    ({"max_in_flight": 1001}, "/max_in_flight"),
    ({"max_in_flight": 1.5}, "/max_in_flight"),
    ({"rate_limit_per_second": 0}, "/rate_limit_per_second"),
    ({"description": "a\x00b"}, "/description"),
    ({"retry_schedule": [0]}, "/retry_schedule/0"),
    ({"retry_schedule": [1, -1]}, "/retry_schedule/1"),
    ({"retry_schedule": [1] * 51}, "/retry_schedule"),
    ({"retry_schedule": 5}, "/retry_schedule"),
    ({"description": "x" * 1025}, "/description"),
    ({"state": "paused"}, "/state"),
    ({"organization_id": MISSING}, "/organization_id"),
    ({"nonsense/~": 1}, "/nonsense~1~0"),
]


@pytest.mark.parametrize(("more", "pointer"), BAD, ids=lambda value: json.dumps(value)[:40])
def test_bad_fields(app: Served, more: dict[str, Any], pointer: str) -> None:
    before = len(app.world.store.registry().endpoints)
    app.call("POST", PATH, DRAFT | more).problem(422, pointer)
    assert len(app.world.store.registry().endpoints) == before


@pytest.mark.parametrize("missing", ["url", "format"])
def test_needed_fields(app: Served, missing: str) -> None:
    app.call("POST", PATH, {name: value for name, value in DRAFT.items() if name != missing}).problem(
        422, f"/{missing}"
    )


def test_every_fault_is_named_at_once(app: Served) -> None:
    draft = DRAFT | {"events": ["nope"], "token": "a b", "headers": {"Host": "x"}}
    app.call("POST", PATH, draft).problem(422, "/events/0", "/token", "/headers/Host")


# --- the challenge ----------------------------------------------------------------------------------------------------


def test_chat_is_challenged_before_it_is_stored(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        app.outside.refusal = Invalid("the challenge was not met: it said nope", ("/url", "answered 500"))
        problem = app.call("POST", PATH, CHAT).problem(422, "/url")
        assert "it said nope" in problem["detail"]
        assert app.get(PATH)["data"] == []
        app.outside.refusal = None
        made = app.post(PATH, CHAT | {"events": ["incoming_message", "status_update", "messages.insert"]})
        assert app.outside.challenged == [HOOK, HOOK]
        app.call("PATCH", f"{PATH}/{made['id']}", {"description": "the same URL", "url": HOOK})
        assert len(app.outside.challenged) == 2
        app.outside.refusal = Invalid("no")
        app.call("PATCH", f"{PATH}/{made['id']}", {"url": HOOK + "/new"}).problem(422, "/url")
        assert app.get(f"{PATH}/{made['id']}")["url"] == HOOK
        app.outside.refusal = None
        assert app.call("PATCH", f"{PATH}/{made['id']}", {"url": HOOK + "/new"}).json["url"] == HOOK + "/new"


def test_row_is_not_challenged(app: Served) -> None:
    before = len(app.outside.challenged)
    app.post(PATH, DRAFT)
    assert len(app.outside.challenged) == before


def test_an_address_that_is_refused_is_not_challenged(app: Served) -> None:
    before = len(app.outside.challenged)
    problem = app.call("POST", PATH, CHAT | {"url": "http://inner/"}).problem(422, "/url")
    assert problem["errors"][0]["message"] == "only https reaches the outside"
    assert len(app.outside.challenged) == before


# --- change -----------------------------------------------------------------------------------------------------------


def test_change_changes_what_is_given(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        made = app.post(PATH, DRAFT | FULL | {"token": "t0ken", "headers": {"x-a": "1"}})
        app.clock.move(1_000_000)
        changed = app.call("PATCH", f"{PATH}/{made['id']}", {"max_in_flight": 7, "headers": {"x-b": "2"}}).json
        assert (changed["max_in_flight"], changed["headers"]) == (7, {"x-b": "********"})
        rest = set(FULL) - {"max_in_flight"}
        assert {name: changed[name] for name in rest} == {name: FULL[name] for name in rest}
        assert changed["has_token"]
        assert changed["updated_at"] > made["updated_at"]
        nulls = dict.fromkeys([*FULL, "token", "headers"])
        reset = app.call("PATCH", f"{PATH}/{made['id']}", nulls).json
        assert {name: reset[name] for name in DEFAULTS} == DEFAULTS
        assert app.get(f"{PATH}/{made['id']}") == reset


@pytest.mark.parametrize(
    ("more", "pointer"), [each for each in BAD if next(iter(each[0])) not in ("secret", "format")], ids=str
)
def test_bad_changes(app: Served, more: dict[str, Any], pointer: str) -> None:
    made = app.post(PATH, DRAFT)
    app.call("PATCH", f"{PATH}/{made['id']}", more).problem(422, pointer)
    del made["secret"], made["whsec_secret"]
    assert app.get(f"{PATH}/{made['id']}") == made


@pytest.mark.parametrize("more", [{"format": "chat"}, {"secret": "x" * 20}])
def test_format_and_secret_are_not_changed_so(app: Served, more: dict[str, Any]) -> None:
    made = app.post(PATH, DRAFT)
    app.call("PATCH", f"{PATH}/{made['id']}", more).problem(422, f"/{next(iter(more))}")


@pytest.mark.parametrize("endpoint_id", [MISSING, "nonsense", "%00", "x" * 500, "é".encode().hex()])
@pytest.mark.parametrize(
    ("method", "suffix"),
    [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/rotate-secret")],
)
def test_unknown_endpoint_is_404(app: Served, endpoint_id: str, method: str, suffix: str) -> None:
    app.call(method, f"{PATH}/{endpoint_id}{suffix}", {} if method == "PATCH" else None).problem(404)


CONVERSATIONS = ("conversations.insert", "conversations.update")


@pytest.mark.parametrize("events", [CONVERSATIONS[:1], CONVERSATIONS[1:], CONVERSATIONS])
def test_an_endpoint_that_would_get_nothing_is_refused_with_what_its_format_sends(
    app: Served, events: tuple[str, ...]
) -> None:
    problem = app.call("POST", PATH, DRAFT | {"format": "chat", "events": events}).problem(422, "/events")
    [fault] = problem["errors"]
    assert fault["message"].startswith(
        "names nothing that the format chat sends, which is: incoming_message, status_update, messages.insert, "
        "messages.update, "
    )
    assert "conversations" not in fault["message"]
    made = app.post(PATH, DRAFT | {"format": "chat", "events": ["incoming_message", *events]})
    app.call("PATCH", f"{PATH}/{made['id']}", {"events": events}).problem(422, "/events")
    assert app.post(PATH, DRAFT | {"format": "row", "events": events})["events"] == list(events)


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_rotation_overlaps(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        made = app.post(PATH, DRAFT)
        path = f"{PATH}/{made['id']}"
        second = app.post(f"{path}/rotate-secret", status=200)
        assert second["secret"] not in (made["secret"], None)
        assert second["secrets"] == [
            {"rotated_at": None, "expires_at": None},
            {"rotated_at": "2026-05-06T03:39:23+00:00", "expires_at": "2026-05-07T03:39:23+00:00"},
        ]
        third = app.post(
            f"{path}/rotate-secret", {"secret": "my own secret of today", "overlap_seconds": 3600}, status=200
        )
        assert third["secret"] == "my own secret of today"
        assert [each.value for each in stored(app, made["id"]).secrets] == [
            "my own secret of today",
            second["secret"],
            made["secret"],
        ]
        assert {each["expires_at"] for each in third["secrets"]} == {None, "2026-05-06T04:39:23+00:00"}
        app.call("POST", f"{path}/rotate-secret", {"secret": second["secret"]}).problem(422, "/secret")
        app.clock.move(HOUR)
        assert app.get(path)["secrets"] == [{"rotated_at": None, "expires_at": None}]
        app.post(f"{path}/rotate-secret", {"overlap_seconds": 0}, status=200)
        assert len(stored(app, made["id"]).secrets) == 1


@pytest.mark.parametrize("rotating", ["old", "new"])
def test_signatures_of_one_value_keep_the_old_secret_until_the_overlap_ends(app: Served, rotating: str) -> None:
    draft = {"format": "chat", "hub_signature": True, "rotating_signature": rotating, "events": ["endpoint.disabled"]}
    made = app.post(PATH, DRAFT | draft)
    path = f"{PATH}/{made['id']}"
    app.post(f"{path}/rotate-secret", status=200)
    app.post(f"{path}/test", {}, status=200)
    sent = app.outside.sent[-1]
    headers = {name.lower(): value for name, value in sent.headers}
    newest = stored(app, made["id"]).secrets[0].value
    signer = made["secret"] if rotating == "old" else newest
    assert headers["x-hub-signature-256"] == tellwire_sdk.hub_signature(sent.body, signer)
    assert headers["x-wappcloud-signature"] == tellwire_sdk.wappcloud_signature(sent.body, signer)
    tellwire_sdk.verify(sent.body, {"x-hub-signature-256": headers["x-hub-signature-256"]}, signer)
    for secret in (made["secret"], newest):
        tellwire_sdk.verify(sent.body, headers, secret, now=int(headers["webhook-timestamp"]))


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"secret": "short"}, "/secret"),
        ({"secret": "whsec_" + "!" * 20}, "/secret"),
        ({"overlap_seconds": -1}, "/overlap_seconds"),
        ({"overlap_seconds": 2_592_001}, "/overlap_seconds"),
        ({"overlap": 5}, "/overlap"),
    ],
)
def test_bad_rotations(app: Served, body: dict[str, Any], pointer: str) -> None:
    made = app.post(PATH, DRAFT)
    app.call("POST", f"{PATH}/{made['id']}/rotate-secret", body).problem(422, pointer)
    assert [each.value for each in stored(app, made["id"]).secrets] == [made["secret"]]


# --- pause, resume, delete --------------------------------------------------------------------------------------------


def states(app: Served, endpoint_id: str) -> list[str]:
    return [each["state"] for each in app.get(f"/v1/deliveries?endpoint_id={endpoint_id}")["data"]]


def test_pause_parks_and_resume_drains(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        made = app.post(PATH, DRAFT)
        path = f"{PATH}/{made['id']}"
        app.meta(envelope(incoming("wamid.1")))
        assert states(app, made["id"]) == ["pending", "pending"]
        assert app.post(f"{path}/pause", status=200)["state"] == "paused"
        assert app.post(f"{path}/pause", status=200)["state"] == "paused"
        assert states(app, made["id"]) == ["parked", "parked"]
        app.meta(envelope(incoming("wamid.2")))
        assert states(app, made["id"]) == ["parked"] * 3
        app.clock.move(HOUR)
        assert app.post(f"{path}/resume", status=200)["state"] == "active"
        assert app.post(f"{path}/resume", status=200)["state"] == "active"
        assert states(app, made["id"]) == ["pending"] * 3
        due = {each["next_attempt_at"] for each in app.get("/v1/deliveries")["data"]}
        assert due == {"2026-05-06T04:39:23+00:00"}


def test_resume_brings_back_a_disabled_endpoint(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        made = app.post(PATH, DRAFT)
        app.run(app.world.outbox.disable(made["id"], "gone"))
        assert app.get(f"{PATH}/{made['id']}")["disabled_reason"] == "gone"
        app.post(f"{PATH}/{made['id']}/pause", status=200)
        assert app.get(f"{PATH}/{made['id']}")["state"] == "disabled"
        resumed = app.post(f"{PATH}/{made['id']}/resume", status=200)
        assert (resumed["state"], resumed["disabled_reason"]) == ("active", "")


def test_delete_cancels_what_waits(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        made, kept = app.post(PATH, DRAFT), app.post(PATH, DRAFT)
        app.meta(envelope(incoming("wamid.1")))
        delivery = app.get(f"/v1/deliveries?endpoint_id={made['id']}")["data"][0]["id"]
        reply = app.call("DELETE", f"{PATH}/{made['id']}")
        assert (reply.status, reply.body) == (204, b"")
        assert states(app, made["id"]) == ["cancelled", "cancelled"]
        assert states(app, kept["id"]) == ["pending", "pending"]
        app.call("GET", f"{PATH}/{made['id']}").problem(404)
        assert made["id"] not in app.world.store.registry().endpoints
        app.call("POST", f"/v1/deliveries/{delivery}/replay").problem(409)
        app.meta(envelope(incoming("wamid.2")))
        assert len(states(app, made["id"])) == 2


def test_changes_are_audited_and_heard_of(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        key = app.key("webhooks:manage")
        version = app.world.store.registry().version
        made = app.post(PATH, DRAFT, key=key)
        path = f"{PATH}/{made['id']}"
        app.call("PATCH", path, {"description": "x"}, key=key)
        for verb in ("rotate-secret", "pause", "resume"):
            app.call("POST", f"{path}/{verb}", key=key)
        app.call("DELETE", path, key=key)
        entries = [each for each in app.get("/v1/audit")["data"] if each["subject"] == made["id"]]
        words = ["created", "changed", "secret_rotated", "paused", "resumed", "deleted"]
        assert [each["action"] for each in entries] == [f"endpoint.{word}" for word in reversed(words)]
        assert {each["actor"] for each in entries} == {f"api-key {app.get('/v1/api-keys')['data'][0]['id']}"}
        assert app.world.store.registry().version == version + 6


# --- idempotency ------------------------------------------------------------------------------------------------------


def test_same_key_same_answer(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        once = {"idempotency-key": "once-1"}
        first = app.call("POST", PATH, DRAFT, headers=once)
        second = app.call("POST", PATH, DRAFT, headers=once)
        assert (first.status, second.status) == (201, 201)
        assert second.body == first.body
        assert second.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
        assert len(app.get(PATH)["data"]) == 1
        assert first.json["secret"] not in str(app.query("SELECT CAST(answer AS TEXT) FROM idempotency_keys"))
        app.call("POST", PATH, DRAFT | {"description": "other"}, headers=once).problem(422)
        app.call("POST", "/v1/organizations", {"name": "x"}, headers=once).problem(422)
        elsewhere = once | {"tellwire-organization": app.organization()}
        assert app.call("POST", PATH, DRAFT, headers=elsewhere).json["id"] != first.json["id"]
        app.clock.move(24 * HOUR)
        assert app.call("POST", PATH, DRAFT, headers=once).json["id"] != first.json["id"]


def test_problems_are_not_kept(app: Served) -> None:
    once = {"idempotency-key": "after-a-mistake"}
    app.call("POST", PATH, DRAFT | {"format": "xml"}, headers=once).problem(422, "/format")
    assert app.call("POST", PATH, DRAFT, headers=once).status == 201


def test_rotation_is_done_once_too(app: Served) -> None:
    made = app.post(PATH, DRAFT)
    once = {"idempotency-key": "rotate-1"}
    first = app.call("POST", f"{PATH}/{made['id']}/rotate-secret", headers=once)
    assert app.call("POST", f"{PATH}/{made['id']}/rotate-secret", headers=once).body == first.body
    assert len(stored(app, made["id"]).secrets) == 2


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
def test_bad_idempotency_keys(app: Served, key: str) -> None:
    app.call("POST", PATH, DRAFT, headers={"idempotency-key": key}).problem(400)


def test_key_in_flight_is_409(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        app.outside.hold = threading.Event()
        once = {"idempotency-key": "slow-1"}
        replies: list[Reply] = []
        thread = threading.Thread(target=lambda: replies.append(app.call("POST", PATH, CHAT, headers=once)))
        thread.start()
        for _ in range(10_000):
            if app.outside.challenged:
                break
            app.call("GET", "/livez")
        app.call("POST", PATH, CHAT, headers=once).problem(409)
        app.outside.hold.set()
        thread.join(20)
        assert replies[0].status == 201
        assert app.call("POST", PATH, CHAT, headers=once).body == replies[0].body
        assert len(app.outside.challenged) == 1
