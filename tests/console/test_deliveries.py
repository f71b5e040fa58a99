"""The pages of deliveries and failures over plain HTTP: filters, choices, one attempt in full, strangers' words."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.console.visitor import Visitor
from tests.failing import attempted, stock
from tests.served import HOOK, MISSING, Served, served
from tests.world import CUSTOMER, envelope, incoming

import tellwire_sdk
from tellwire.model.members import Member
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.model.units import HOUR
from tellwire.stores.queries import members
from tellwire.stores.queries.audit import AuditChange

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>&{{7*7}}'
SECRET = "an invented secret of ours"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Served]:
    """One endpoint, and three messages for it."""
    with served(tmp_path) as running:
        draft = {"url": HOOK, "format": "row", "events": ["messages.insert"], "description": "shop-crm"}
        running.post("/v1/webhook-endpoints", draft | {"secret": SECRET})
        for number in range(3):
            running.meta(envelope(incoming(f"wamid.{number}")))
        yield running


@pytest.fixture
def visitor(app: Served) -> Visitor:
    return Visitor.entered(app)


def ids_of(app: Served) -> list[str]:
    """The deliveries, oldest first."""
    return [row["id"] for row in reversed(app.get("/v1/deliveries")["data"])]


def links(page: str) -> list[str]:
    """The deliveries that a page lists."""
    return re.findall(r'<tr data-row>\s*<td[^>]*><a href="/deliveries/([0-9a-f-]{36})"', page)


def sent_headers(app: Served, delivery_id: str) -> tuple[tuple[str, str], ...]:
    """The headers of an attempt as the dispatcher would have sent them, over the body that it would have sent."""
    row = app.get(f"/v1/deliveries/{delivery_id}")
    event = app.get(f"/v1/events/{row['event_id']}")
    attempted(app, delivery_id, "500", request_headers=(("webhook-id", row["webhook_id"]),))
    body = app.get(f"/v1/deliveries/{delivery_id}/sent")["body"]
    assert event["data"]["id"] in body
    signature = tellwire_sdk.sign(
        body.encode(), webhook_id=row["webhook_id"], timestamp=1_778_038_763, secrets=[SECRET]
    )
    return (
        ("webhook-id", row["webhook_id"]),
        ("webhook-timestamp", "1778038763"),
        ("webhook-signature", f"v1,{'x' * 43}= {signature}"),
        ("Authorization", "Bearer ****"),
    )


# --- the list ---------------------------------------------------------------------------------------------------------


def test_filters_stand_in_the_address_and_times_may_be_those_of_a_browsers_field(app: Served, visitor: Visitor) -> None:
    ids = ids_of(app)
    attempted(app, ids[0])
    assert links(visitor.page("/deliveries")) == ids[::-1]
    assert links(visitor.page("/deliveries?state=failed")) == ids[:1]
    assert links(visitor.page(f"/deliveries?contact={CUSTOMER}&state=pending")) == ids[:0:-1]
    assert links(visitor.page("/deliveries?last=hour")) == ids[::-1]
    assert links(visitor.page("/deliveries?since=2026-05-06T03:39&until=2026-05-06T03:40")) == ids[::-1]
    assert links(visitor.page("/deliveries?until=2026-05-06T03:39")) == []
    app.clock.move(2 * HOUR)
    assert links(visitor.page("/deliveries?last=hour")) == []
    (failure,) = stock(app)
    assert links(visitor.page(f"/deliveries?failure_id={failure['id']}")) == ids[:1]
    assert "must be one of" in visitor.page("/deliveries?state=nonsense")
    assert "must be RFC 3339" in visitor.page("/deliveries?since=yesterday")


def test_a_choice_is_replayed_after_a_page_that_says_what_will_happen(app: Served, visitor: Visitor) -> None:
    ids = ids_of(app)
    attempted(app, ids[1], "")
    page = visitor.page("/deliveries")
    (csrf,) = set(re.findall(r'name="csrf" value="(\w+)"', page))
    chosen = [("csrf", csrf), ("id", ids[2]), ("id", ids[1]), ("id", ids[1]), ("id", MISSING)]
    asked = visitor.send_form("/deliveries/selected", chosen)
    said = html.unescape(asked.body.decode())
    for words in ("Replay 2 deliveries to shop-crm, oldest first", "1 of them has arrived before", "1 is no longer"):
        assert words in said
    once = re.findall(r'name="once" value="([^"]+)"', said)[-1]
    rest = [("id", each) for each in re.findall(r'name="id" value="([^"]+)"', said)]
    assert [each for _, each in rest] == ids[1:]
    for _ in range(2):  # a second click does nothing twice
        assert visitor.send_form("/deliveries/replay", [("csrf", csrf), ("once", once), *rest]).status == 303
    assert [app.get(f"/v1/deliveries/{each}")["replay"] for each in ids] == [0, 1, 1]
    nothing = visitor.send_form("/deliveries/selected", [("csrf", csrf)])
    assert "Nothing is chosen" in nothing.body.decode()


def test_who_may_only_look_is_offered_nothing_to_replay(app: Served) -> None:
    attempted(app, ids_of(app)[0], request_headers=(("webhook-id", "msg_1"),))
    (failure,) = stock(app)
    change = AuditChange(DEFAULT_ORGANIZATION, "a test", app.clock.now(), app.world.store.new_id)
    viewer = Member(id="", organization_id=DEFAULT_ORGANIZATION, email="vera@example.com", name="Vera", role="viewer")
    app.write(lambda c: members.add(c, change, viewer))
    vera = Visitor.entered(app, email="vera@example.com")
    for path in ("/deliveries", f"/deliveries/{ids_of(app)[0]}", "/failures", f"/failures/{failure['id']}"):
        page = vera.page(path)
        assert not re.search(r'<input type="checkbox" name="id"|action="[^"]*replay|data-key="r"', page), path
    (csrf,) = set(re.findall(r'name="csrf" value="(\w+)"', vera.page("/deliveries")))
    for path in (f"/deliveries/{ids_of(app)[0]}/replay", "/deliveries/selected", f"/failures/{failure['id']}/replay"):
        assert vera.post(path, {"csrf": csrf}).status == 403


# --- one delivery -----------------------------------------------------------------------------------------------------


def test_the_signature_is_computed_anew_and_names_the_secret_without_showing_it(app: Served, visitor: Visitor) -> None:
    delivery = ids_of(app)[0]
    headers = sent_headers(app, delivery)
    attempted(
        app, delivery, request_headers=headers, url=HOOK, durations={"connect": 1.0, "first_byte": 9.0, "total": 10.0}
    )
    sent = app.get(f"/v1/deliveries/{delivery}/sent")
    assert (sent["attempt"], sent["verified"], sent["why_not"]) == (2, True, None)
    assert sent["secrets"] == [{"secret": "current", "expires_at": None, "matches": True}]
    page = html.unescape(visitor.page(f"/deliveries/{delivery}"))
    for words in ("Verified", "Wait 9.0 ms", "made this signature", "YOUR-SECRET", "curl -X POST", sent["body"]):
        assert words in page
    assert SECRET not in page
    path = app.get("/v1/webhook-endpoints")["data"][0]["id"]
    app.post(f"/v1/webhook-endpoints/{path}/rotate-secret", {}, status=200)
    after = app.get(f"/v1/deliveries/{delivery}/sent")["secrets"]
    assert {(each["secret"], each["matches"]) for each in after} == {("current", False), ("rotated_out", True)}
    app.clock.move(1)
    app.call("PATCH", f"/v1/webhook-endpoints/{path}", {"updates": "changed", "secret": "another secret of ours"})
    first = app.get(f"/v1/deliveries/{delivery}/sent?attempt=1")
    assert (first["attempt"], first["verified"]) == (1, False)
    app.call("GET", f"/v1/deliveries/{delivery}/sent?attempt=9").problem(404)
    app.call("GET", f"/v1/deliveries/{delivery}/sent?attempt=-1").problem(422, "/attempt")
    assert app.get(f"/v1/deliveries/{ids_of(app)[1]}/sent")["attempt"] is None


def test_edit_and_replay_sends_what_was_changed_and_keeps_what_was_typed(app: Served, visitor: Visitor) -> None:
    delivery = ids_of(app)[0]
    attempted(app, delivery, request_headers=sent_headers(app, delivery), url=HOOK)
    path, action = f"/deliveries/{delivery}", f"/deliveries/{delivery}/edited-replay"
    wrong = visitor.submit(path, action, url=HOOK, body='{"kept": ')
    assert (wrong.status, "kept" in wrong.body.decode(), "not a JSON object" in wrong.body.decode()) == (
        422,
        True,
        True,
    )
    inside = visitor.submit(path, action, url="http://10.0.0.1/", body="")
    assert (inside.status, "only https reaches the outside" in inside.body.decode()) == (422, True)
    same = visitor.submit(path, action, usual_url=HOOK, url=HOOK, body="")
    assert (same.status, "was changed" in same.body.decode()) == (422, True)
    done = visitor.submit(path, action, usual_url=HOOK, url=HOOK, body='{"fixed": true}')
    assert (done.status, done.headers["location"]) == (303, f"{path}?done=replayed")
    row = app.get(f"/v1/deliveries/{delivery}")
    assert (row["replay"], row["replay_url"], row["replay_edited"]) == (1, None, True)


def test_what_strangers_wrote_is_shown_and_never_markup(app: Served, visitor: Visitor) -> None:
    """Every field of an attempt and of a failure that a subscriber or its owner controls."""
    delivery = ids_of(app)[0]
    endpoint = app.get("/v1/webhook-endpoints")["data"][0]["id"]
    app.call("PATCH", f"/v1/webhook-endpoints/{endpoint}", {"description": f"shop {HOSTILE}"})
    attempted(
        app,
        delivery,
        cause=f"certificate of {HOSTILE}",
        url=f"https://x.example/{HOSTILE}",
        request_headers=(("webhook-id", HOSTILE), (f"x-{HOSTILE}", HOSTILE)),
        response_headers=((HOSTILE, HOSTILE),),
        response_body=HOSTILE.encode(),
    )
    (failure,) = stock(app)
    app.post(f"/v1/failures/{failure['id']}/acknowledge", {"note": HOSTILE}, status=200)
    query = urlencode(dict.fromkeys(("contact", "endpoint_id", "webhook_id", "failure_id", "since"), HOSTILE))
    for path, shown in (
        (f"/deliveries/{delivery}", 8),
        ("/deliveries", 2),
        (f"/deliveries?{query}", 4),
        ("/failures?state=all", 3),
        (f"/failures/{failure['id']}", 4),
    ):
        page = visitor.page(path)
        assert "<script>alert" not in page, path
        assert "<img" not in page, path
        assert "&{{7*7}}" not in page, path
        assert html.unescape(page).count(HOSTILE) >= shown, path


def test_a_failure_page_says_what_a_replay_will_do_and_keeps_a_note_that_is_refused(
    app: Served, visitor: Visitor
) -> None:
    for each in ids_of(app):
        attempted(app, each)
    (row,) = stock(app)
    path = f"/failures/{row['id']}"
    assert "Replay 3 deliveries to shop-crm, oldest first, at 160/s: about 1 s." in visitor.page(path)
    long = "x" * 501
    refused = visitor.submit(path, f"{path}/acknowledge", note=long)
    assert (refused.status, long in refused.body.decode()) == (422, True)
    assert visitor.submit(path, f"{path}/acknowledge", note="their deploy").status == 303
    assert "their deploy" in visitor.page("/failures?state=acknowledged")
    assert visitor.submit(path, f"{path}/replay").status == 303
    again = visitor.submit(path, f"{path}/replay")
    assert (again.status, "under way" in again.body.decode()) == (409, True)
    assert visitor.submit(path, f"{path}/resolve").status == 303
    assert "Nothing fails" in visitor.page("/failures")


@pytest.mark.parametrize("path", ["/deliveries", "/failures"])
def test_ids_of_nothing_are_a_page_that_says_so(visitor: Visitor, path: str) -> None:
    for name in (MISSING, "nonsense", "%00"):
        assert visitor.get(f"{path}/{name}").status == 404
