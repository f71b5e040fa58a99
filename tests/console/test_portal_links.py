"""Guests: what a portal link shows and lets do, and what becomes of one that was tampered with, expired or revoked."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page
from tests.console.calls import Calls
from tests.console.visitor import Visitor
from tests.served import HOOK, SETTINGS, Served, served
from tests.world import NUMBER, START, SetClock, envelope, incoming

from tellwire.model.members import Named
from tellwire.model.units import DAY, HOUR
from tellwire.web.api import NOUNS
from tellwire.web.named_calls import CALLS

ROUTES = {
    f"{method} /v1{path}".replace(":str}", "}")
    for noun in NOUNS.values()
    for handler in noun.HANDLERS
    for path in handler.paths
    for method in handler.http_methods
    if method in ("GET", "POST", "PATCH", "PUT", "DELETE")
}
EVERYTHING: tuple[Named, ...] = get_args(Named)


@pytest.fixture(scope="module")
def clock() -> SetClock:
    return SetClock(START)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, clock: SetClock) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("portal"), clock=clock) as running:
        for name in ("mine", "theirs"):
            running.post("/v1/webhook-endpoints", {"url": f"{HOOK}/{name}", "format": "row", "description": name})
        assert running.meta(envelope(incoming("wamid.A"))).status == 200
        yield running


@pytest.fixture(scope="module")
def calls(app: Served) -> Calls:
    return Calls(app)


def endpoints(app: Served) -> dict[str, str]:
    return {each["description"]: each["id"] for each in app.get("/v1/webhook-endpoints")["data"]}


def link(app: Served, *may: str, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = app.post("/v1/portal-links", {"name": "guests", "may": list(may), **more})
    return made


def guest(app: Served, *may: str, **more: Any) -> Visitor:
    visitor = Visitor(app)
    reply = visitor.get(urlsplit(link(app, *may, **more)["url"]).path)
    assert reply.status == 303, reply.body
    return visitor


# --- the link ---------------------------------------------------------------------------------------------------------


def test_a_link_that_was_tampered_with_lets_nobody_in(app: Served) -> None:
    path = urlsplit(link(app)["url"]).path
    token = path.rpartition("/")[2]
    raw = base64.urlsafe_b64decode(token)
    for place in range(len(raw)):
        changed = bytes([*raw[:place], raw[place] ^ 1, *raw[place + 1 :]])
        reply = Visitor(app).get("/portal/" + base64.urlsafe_b64encode(changed).decode())
        assert reply.status == 410, place
        assert "set-cookie" not in reply.headers
    for odd in (token[:-1], token + "A", token[:-1] + "=", "A" * 96, "x", token.swapcase(), "%00", "é"):
        assert Visitor(app).get(f"/portal/{odd.encode().hex() if odd == 'é' else odd}").status in (404, 410)


def test_a_link_expires_and_so_do_its_sessions(app: Served, clock: SetClock) -> None:
    made = link(app, origins=["https://agency.example"])
    visitor, path = Visitor(app), urlsplit(made["url"]).path
    assert visitor.get(path).status == 303
    clock.move(12 * HOUR)
    assert visitor.get("/").status == 303, "a session lasts half a day, and the link begins another one"
    assert visitor.get(path).status == 303
    assert visitor.get("/").status == 200
    clock.move(7 * DAY)
    assert visitor.get("/").status == 303
    late = visitor.get(path)
    assert late.status == 410
    assert "frame-ancestors https://agency.example" in late.headers["content-security-policy"]
    assert app.get(f"/v1/portal-links/{made['id']}")["expired"] is True


def test_a_revoked_link_ends_its_sessions(app: Served) -> None:
    made = link(app)
    visitor, path = Visitor(app), urlsplit(made["url"]).path
    assert visitor.get(path).status == 303
    assert app.call("DELETE", f"/v1/portal-links/{made['id']}").status == 204
    assert visitor.get("/").status == 303
    assert Visitor(app).get(path).status == 410


def test_the_url_is_shown_once_and_kept_nowhere(app: Served) -> None:
    made = link(app)
    token = made["url"].rpartition("/")[2]
    assert token not in str(app.get("/v1/portal-links")) + str(app.query("SELECT * FROM portal_links"))
    assert token not in str(app.query("SELECT * FROM audit"))


def test_a_link_replaces_the_session_of_a_member_only_when_asked(app: Served) -> None:
    owner, path = Visitor.entered(app), urlsplit(link(app)["url"]).path
    before = owner.cookie
    asked = owner.get(path)
    assert (asked.status, owner.cookie) == (200, before)
    assert owner.post(path, {}, origin="https://evil.example").status == 403
    assert owner.post(path, {}).status == 303
    assert owner.cookie != before
    assert owner.get("/settings/members").status == 403


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        ({"may": ["everything"]}, "/may/0"),
        ({"may": ["inbox:read"]}, "/may"),
        ({"may": ["bodies", "inbox:write"]}, "/may"),
        ({"endpoint_id": "x"}, "/endpoint_id"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2030-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "soon"}, "/expires_at"),
        ({"name": ""}, "/name"),
        ({"name": "a\nb"}, "/name"),
        *(
            ({"origins": [origin]}, "/origins/0")
            for origin in (
                "*",
                "'self'",
                "http://agency.example",
                "https://agency.example/",
                "https://agency.example; script-src *",
                "https://agency.example https://evil.example",
                "https://*.example",
                "https://a..example",
                "https://Agency.example",
                "https://agency.example:0",
                "https://agency.example\n",
                "https://ägency.example",
                "data:",
                "",
            )
        ),
    ],
)
def test_a_link_that_cannot_be_meant_is_422(app: Served, draft: dict[str, Any], pointer: str) -> None:
    app.call("POST", "/v1/portal-links", {"name": "guests"} | draft).problem(422, pointer)


def test_an_endpoint_of_another_organization_is_422(app: Served) -> None:
    key = app.key("admin", organization=app.organization())
    draft = {"name": "guests", "endpoint_id": endpoints(app)["mine"]}
    app.call("POST", "/v1/portal-links", draft, key=key).problem(422, "/endpoint_id")


# --- frames and cookies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("https", [False, True])
@pytest.mark.parametrize("framed", [False, True])
def test_a_cookie_travels_with_another_site_only_where_that_may_frame_it(
    tmp_path: Any, framed: bool, https: bool
) -> None:
    settings = replace(SETTINGS, public_url="https://tellwire.example" if https else "")
    with served(tmp_path, settings=settings) as app:
        made = link(app, **({"origins": ["https://agency.example"]} if framed else {}))
        reply = Visitor(app).get(urlsplit(made["url"]).path)
        name, *flags = reply.headers["set-cookie"].split("; ")
        assert name.startswith("__Host-tellwire_session=" if https else "tellwire_session=")
        wanted = {"Path=/", f"Max-Age={12 * 3600}", "HttpOnly"} | ({"Secure"} if https else set())
        wanted |= {"SameSite=None", "Partitioned"} if framed and https else {"SameSite=Lax"}
        assert set(flags) == wanted
        cookie = {"cookie": name}
        page = app.send("GET", "/", None, cookie)
        ancestors = page.headers["content-security-policy"].rpartition("frame-ancestors ")[2]
        assert ancestors == ("https://agency.example" if framed else "'none'")
        assert ("x-frame-options" in page.headers) is not framed


# --- what guests may call ---------------------------------------------------------------------------------------------


def test_every_named_call_is_served() -> None:
    assert not CALLS.keys() - ROUTES


def filled(route: str, app: Served) -> tuple[str, str, Any]:
    """A route with ids of rows that are there, and a body."""
    method, _, path = route.partition(" ")
    ids = {
        "endpoint_id": endpoints(app)["mine"],
        "delivery_id": app.get("/v1/deliveries")["data"][0]["id"],
        "event_id": app.get("/v1/events")["data"][0]["id"],
        "conversation_id": app.get("/v1/conversations")["data"][0]["id"],
        "message_id": app.get("/v1/messages")["data"][0]["id"],
        "contact_id": app.get("/v1/contacts")["data"][0]["id"],
        "account_id": NUMBER,
        "format_name": "row",
    }
    for part in path.split("/"):
        if part.startswith("{"):
            path = path.replace(part, ids.get(part[1:-1], "00000000-0000-7000-8000-00000000ffff"))
    return method, path, {} if method in ("PATCH", "PUT") else None


@pytest.mark.parametrize("named", [(), *[(each,) for each in EVERYTHING], EVERYTHING], ids="+".join)
def test_guests_call_what_is_named_and_nothing_else(app: Served, calls: Calls, named: tuple[Named, ...]) -> None:
    needs = {"inbox:read": ("bodies",), "inbox:write": ("bodies", "inbox:read")}
    may = {*named, *(other for each in named for other in needs.get(each, ()))}
    visitor = guest(app, *sorted(may))
    wrong = []
    for route in sorted(ROUTES):
        status = calls.call(visitor, *filled(route, app)).status
        known = CALLS.get(route)
        allowed = known is not None and (not known.named or known.named in may)
        if (status != 403) is not allowed or status >= 500:
            wrong.append((route, status))
    assert not wrong


def test_a_guest_of_one_endpoint_sees_and_does_that_alone(app: Served, calls: Calls) -> None:
    ids = endpoints(app)
    mine, theirs = ids["mine"], ids["theirs"]
    visitor = guest(app, "replay", "pause", "test", "bodies", endpoint_id=mine)
    deliveries = {each["endpoint_id"]: each["id"] for each in app.get("/v1/deliveries")["data"]}
    for own, other, method in (
        (f"/v1/webhook-endpoints/{mine}", f"/v1/webhook-endpoints/{theirs}", "GET"),
        (f"/v1/webhook-endpoints/{mine}/test", f"/v1/webhook-endpoints/{theirs}/test", "POST"),
        (f"/v1/webhook-endpoints/{mine}/pause", f"/v1/webhook-endpoints/{theirs}/pause", "POST"),
        (f"/v1/webhook-endpoints/{mine}/resume", f"/v1/webhook-endpoints/{theirs}/resume", "POST"),
        (f"/v1/deliveries?endpoint_id={mine}", f"/v1/deliveries?endpoint_id={theirs}", "GET"),
        (f"/v1/deliveries/{deliveries[mine]}", f"/v1/deliveries/{deliveries[theirs]}", "GET"),
        (f"/v1/deliveries/{deliveries[mine]}/attempts", f"/v1/deliveries/{deliveries[theirs]}/attempts", "GET"),
        (f"/v1/deliveries/{deliveries[mine]}/replay", f"/v1/deliveries/{deliveries[theirs]}/replay", "POST"),
    ):
        assert calls.call(visitor, method, own).status < 300, own
        assert calls.call(visitor, method, other).status == 404, other
    for wider in (
        "/v1/deliveries",
        "/v1/deliveries?endpoint_id=",
        f"/v1/deliveries?endpoint_id={mine}&endpoint_id={theirs}",
        f"/v1/deliveries?endpoint_id={theirs}&endpoint_id={mine}",
    ):
        assert calls.call(visitor, "GET", wider).status == 404, wider
    told = {route for route in ROUTES if CALLS.get(route, None) is not None and CALLS[route].endpoint}
    for route in sorted(ROUTES - told):
        assert calls.call(visitor, *filled(route, app)).status == 403, route
    assert [each["state"] for each in app.get("/v1/webhook-endpoints")["data"]] == ["active", "active"]


def test_bodies_and_people_are_not_told_unless_named(app: Served, calls: Calls) -> None:
    visitor = guest(app)
    assert calls.call(visitor, "GET", "/v1/deliveries?contact=5215500000001").status == 403
    assert calls.call(guest(app, "bodies"), "GET", "/v1/deliveries?contact=5215500000001").status == 200


def test_a_guest_never_edits_what_is_replayed(app: Served, calls: Calls) -> None:
    delivery = app.get("/v1/deliveries")["data"][0]["id"]
    path = f"/v1/deliveries/{delivery}/replay"
    visitor = guest(app, "replay")
    assert calls.call(visitor, "POST", path, {"url": "https://evil.example/"}).status == 403
    assert calls.call(visitor, "POST", path, {"body": {"a": 1}}).status == 403
    assert calls.call(visitor, "POST", path).status == 202


def test_what_a_guest_does_stands_in_the_audit(app: Served, calls: Calls) -> None:
    made = link(app, "pause")
    visitor = Visitor(app)
    visitor.get(urlsplit(made["url"]).path)
    calls.call(visitor, "POST", f"/v1/webhook-endpoints/{endpoints(app)['mine']}/pause")
    entry = app.get("/v1/audit?limit=1")["data"][0]
    assert (entry["actor"], entry["action"]) == (f"portal-link {made['id']}", "endpoint.paused")
    calls.call(visitor, "POST", f"/v1/webhook-endpoints/{endpoints(app)['mine']}/resume")


def test_the_navigation_shows_guests_what_is_theirs(app: Served) -> None:
    visitor = guest(app)
    page = visitor.page("/")
    for path, there in (("/endpoints", True), ("/deliveries", True), ("/inbox", False), ("/settings", False)):
        assert (f'<a href="{path}"' in page) is there, path
    assert '<a href="/inbox"' in guest(app, "bodies", "inbox:read").page("/")


def test_another_site_shows_a_link_in_a_frame_only_if_it_may(app: Served, page: Page) -> None:
    """A real browser refuses the frame."""
    url = link(app)["url"].replace(urlsplit(link(app)["url"]).netloc, f"127.0.0.1:{app.port}")
    page.set_content(f'<iframe name="portal" src="{url}"></iframe>')
    frame = page.frame("portal")
    assert frame is not None
    frame.wait_for_load_state()
    assert "Tellwire" not in frame.content()


def test_an_allowed_site_shows_a_link_in_a_frame_and_a_guest_works_there(tmp_path: Any, page: Page) -> None:
    """The agency's page is of another site, over https; a browser takes loopback for as safe, cookies included."""
    agency = "https://agency.example"
    with served(tmp_path, settings=replace(SETTINGS, public_url="https://tellwire.example")) as app:
        app.post("/v1/webhook-endpoints", {"url": f"{HOOK}/mine", "format": "row", "description": "mine"})
        made = link(app, "pause", origins=[agency])
        url = f"http://127.0.0.1:{app.port}{urlsplit(made['url']).path}"
        inside = f'<!doctype html><title>Agency</title><iframe name="portal" src="{url}"></iframe>'
        page.context.route(f"{agency}/**", lambda route: route.fulfill(body=inside, content_type="text/html"))
        page.goto(f"{agency}/customers")
        frame = page.frame("portal")
        assert frame is not None
        frame.get_by_role("navigation").get_by_role("link", name="Endpoints").click()
        frame.get_by_role("link", name="mine").click()
        frame.get_by_role("button", name="Pause").click()
        frame.get_by_role("button", name="Resume").wait_for()
        assert app.get("/v1/webhook-endpoints")["data"][0]["state"] == "paused"
        assert page.url == f"{agency}/customers"
