"""What keeps the console safe from other sites, other organizations and other roles, over real HTTP.

Routes are walked as they are served: a new page or form is covered without a change here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote, urlsplit

import pytest
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct
from msgspec.structs import replace
from tests.console.calls import Calls
from tests.console.visitor import FORM, Visitor
from tests.served import ADMIN, HOOK, MISSING, SETTINGS, Reply, Served, served
from tests.world import envelope, incoming

from tellwire.model.members import Role
from tellwire.web.api import NOUNS
from tellwire.web.console import login, portal
from tellwire.web.console.routes import PAGES

PASSWORD = "an invented password"
EVIL = "https://evil.example"


class Page(Struct, frozen=True):
    """A route of the console."""

    method: str
    path: str
    scopes: tuple[str, ...]
    inside: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def pages() -> Iterator[Page]:
    inside = [*login.INSIDE, *itertools.chain.from_iterable(module.HANDLERS for module in PAGES)]
    for handler in (*login.HANDLERS, *portal.HANDLERS, *inside):
        assert isinstance(handler, HTTPRouteHandler)
        for path, method in itertools.product(handler.paths, sorted(handler.http_methods)):
            if method not in ("OPTIONS", "HEAD"):
                yield Page(str(method), path, handler.opt["scopes"], handler in inside)


EVERY = tuple(pages())
FORMS = tuple(page for page in EVERY if page.method == "POST")
INSIDE = tuple(page for page in EVERY if page.inside)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("security"), settings=replace(SETTINGS, quota_members=1000)) as running:
        running.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})
        running.post("/v1/agents", {"name": "Ada", "kind": "human"})
        running.post("/v1/members", {"email": "first@example.com", "role": "owner"})
        running.post("/v1/portal-links", {"name": "guests"})
        assert running.meta(envelope(incoming("wamid.A"))).status == 200
        yield running


_numbers = itertools.count()


def entered(app: Served, role: str, key: str = ADMIN, **more: Any) -> Visitor:
    """A member of a role, logged in."""
    email = f"{role}-{next(_numbers)}@example.com"
    app.post("/v1/members", {"email": email, "role": role, **more}, key=key)
    return Visitor.entered(app, email=email, key=key)


def ids_of(app: Served, **options: Any) -> dict[str, str]:
    """An id of each kind of row, by the name that paths have for it."""
    nouns = {
        "account_id": "accounts", "agent_id": "agents", "key_id": "api-keys", "contact_id": "contacts",
        "conversation_id": "conversations", "delivery_id": "deliveries", "endpoint_id": "webhook-endpoints",
        "event_id": "events", "member_id": "members", "message_id": "messages", "portal_link_id": "portal-links",
    }  # fmt: skip
    rows = {name: app.get(f"/v1/{noun}", **options)["data"] for name, noun in nouns.items()}
    return {name: str(listed[-1]["id"]) for name, listed in rows.items() if listed}


def concrete(path: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+):\w+\}", lambda found: ids.get(found[1], MISSING), path)


# --- other sites ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", FORMS, ids=lambda page: page.name)
def test_no_form_is_taken_that_another_site_sent(app: Served, page: Page) -> None:
    visitor, path = Visitor.entered(app), concrete(page.path, {"secret": "s" * 43, "token": "A" * 96})
    sent = {"cookie": f"tellwire_session={visitor.cookie}"} | FORM
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', visitor.page("/settings/me"))
    assert token is not None
    right = f"csrf={token[1]}".encode()
    for headers in (
        {"origin": EVIL},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1.evil.example:{app.port}"},
        {"origin": f"http://127.0.0.1:{app.port + 1}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert app.send("POST", path, right, sent | headers).status == 403, headers
    if page.inside:
        for body in (b"", b"csrf=", b"csrf=" + b"0" * 64, b"csrf=%ED%A0%80", b"csrf=" + b"x" * 5000):
            assert app.send("POST", path, body, sent).status == 403, body
        other = Visitor.entered(app).page("/settings/me")
        foreign = re.search(r'name="csrf" value="([0-9a-f]{64})"', other)
        assert foreign is not None
        assert app.send("POST", path, f"csrf={foreign[1]}".encode(), sent).status == 403, "a token is one session's"
    assert visitor.get("/settings/me").status == 200, "nobody was logged out"


@pytest.mark.parametrize("page", INSIDE, ids=lambda page: page.name)
def test_nothing_is_shown_or_done_without_a_session(app: Served, page: Page) -> None:
    path = concrete(page.path, ids_of(app))
    for cookie in ("", "x", "A" * 43, "A" * 10_000, "é"):
        headers = {"cookie": f"tellwire_session={quote(cookie)}"} | (FORM if page.method == "POST" else {})
        reply = app.send(page.method, path, b"" if page.method == "POST" else None, headers)
        assert (reply.status, urlsplit(reply.headers["location"]).path) == (303, "/login")


@pytest.mark.parametrize("page", [page for page in EVERY if page.method == "GET"], ids=lambda page: page.name)
def test_every_page_says_that_it_is_framed_by_nobody_and_runs_no_script_of_strangers(app: Served, page: Page) -> None:
    if page.path == "/live":
        return
    reply = Visitor.entered(app).get(concrete(page.path, ids_of(app)))
    if reply.status == 303:
        return
    policy = dict(part.partition(" ")[::2] for part in reply.headers["content-security-policy"].split("; "))
    assert "unsafe" not in str(policy)
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    html = reply.body.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|javascript:", html)


def test_an_error_page_is_framed_by_nobody_either(app: Served) -> None:
    for path in ("/settings/members/" + MISSING, "/static/nothing", "/portal/x", "/settings/nothing"):
        reply = Visitor.entered(app).get(path)
        assert reply.status >= 400
        if reply.headers["content-type"].startswith("text/html"):
            assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "evil.example",
        "///evil.example",
        "/\x00",
    ],
)
def test_a_login_leads_to_no_other_site(app: Served, wanted: str) -> None:
    link = urlsplit(app.post("/v1/login-links", {})["url"]).path
    reply = Visitor(app).post(link, {"next": wanted})
    assert (reply.status, reply.headers["location"]) == (303, "/")
    hidden = re.search(r'name="next" value="([^"]*)"', Visitor(app).page(f"/login?next={quote(wanted)}"))
    assert hidden is not None
    assert hidden[1] == ""


def test_a_login_leads_to_the_page_that_was_wanted_with_its_filters(app: Served) -> None:
    reply = Visitor(app).get("/settings/audit?cursor=abc&x=%C3%A4")
    where = reply.headers["location"]
    html = Visitor(app).page(where)
    assert 'name="next" value="/settings/audit?cursor=abc&amp;x=%C3%A4"' in html


@pytest.mark.parametrize(
    ("https", "path", "begins"), [(False, "", ""), (True, "", "__Host-"), (True, "/t", "__Secure-")]
)
def test_the_cookie_is_for_this_site_alone(tmp_path: Path, https: bool, path: str, begins: str) -> None:
    settings = replace(SETTINGS, public_url=f"https://tellwire.example{path}" if https else "")
    with served(tmp_path, settings=settings) as app:
        link = urlsplit(app.post("/v1/login-links", {})["url"]).path
        origin = "https://tellwire.example" if https else f"http://127.0.0.1:{app.port}"
        reply = app.send("POST", link, b"", FORM | {"origin": origin})
        name, *flags = reply.headers["set-cookie"].split("; ")
        assert name.startswith(f"{begins}tellwire_session=")
        assert set(flags) == {f"Path={path or '/'}", "HttpOnly", "SameSite=Lax", "Max-Age=43200"} | (
            {"Secure"} if https else set()
        )
        if https:  # a cookie that a subdomain or plain http could have set counts for nothing
            assert app.send("GET", "/", None, {"cookie": name.removeprefix(begins)}).status == 303
        html = app.send("GET", "/settings/me", None, {"cookie": name}).body.decode()
        token = re.search(r'name="csrf" value="(\w+)"', html)
        assert token is not None
        out = app.send("POST", "/logout", f"csrf={token[1]}".encode(), FORM | {"cookie": name, "origin": origin})
        gone, *flags = out.headers["set-cookie"].split("; ")
        assert gone.endswith("=")
        assert "Max-Age=0" in flags
        assert ("Secure" in flags) is https


def test_neither_cookies_nor_links_are_kept_as_they_are(app: Served) -> None:
    visitor = Visitor.entered(app)
    link = app.post("/v1/login-links", {})["url"].rpartition("/")[2]
    kept = str(app.query("SELECT * FROM console_sessions")) + str(app.query("SELECT * FROM login_links"))
    assert visitor.cookie not in kept
    assert link not in kept


def test_a_cookie_is_no_key_of_the_api(app: Served) -> None:
    cookie = {"cookie": f"tellwire_session={Visitor.entered(app).cookie}"}
    app.send("GET", "/v1/members", None, cookie).problem(401)


# --- roles ------------------------------------------------------------------------------------------------------------

OPERATORS_OWN = {"/settings", "/doctor", "/alerts", "/alerts/test"}
"""Calls for who runs the installation, whatever role a member has."""
OWNER, OPERATOR, AGENT, VIEWER = roles = ("owner", "operator", "agent", "viewer")
WHO: dict[str, tuple[str, ...]] = {
    "admin": (OWNER,),  # keys, members, settings, secrets
    "webhooks:manage": (OWNER,),
    "accounts:manage": (OWNER,),
    "agents:manage": (OWNER,),
    "read": (OWNER, OPERATOR, VIEWER),  # home, find, journeys, deliveries
    "deliveries:replay": (OWNER, OPERATOR),  # replay, pause, test
    "webhooks:operate": (OWNER, OPERATOR),
    "templates:manage": (OWNER, OPERATOR),
    "contacts:manage": (OWNER, OPERATOR),
    "inbox": (OWNER, OPERATOR, AGENT),  # the inbox: who reads all may read it too
    "messages:write": (OWNER, OPERATOR, AGENT),
}
"""The table of roles of docs/reference/console.md, by what a call wants: who has it."""


INSTALLATION = ("/settings/effective",)
"""Pages for who runs the installation, which no role says."""


def may(role: str, scopes: tuple[str, ...]) -> bool:
    return not scopes or any(role in WHO[scope] for scope in scopes)


@pytest.fixture(scope="module")
def members(app: Served) -> dict[str, Visitor]:
    return {role: entered(app, role) for role in roles}


@pytest.mark.parametrize("role", roles)
def test_a_role_opens_its_pages_and_no_others(app: Served, members: dict[str, Visitor], role: str) -> None:
    visitor, ids = members[role], ids_of(app)
    wrong = []
    for page in INSIDE:
        if page.method != "GET" or page.path == "/live":
            continue
        reply = visitor.get(concrete(page.path, ids))
        allowed = may(role, page.scopes) and page.path not in INSTALLATION
        led = page.path == "/" and reply.status == 303  # to the first page that is theirs
        if (reply.status != 403 and not led) is not allowed or reply.status >= 500:
            wrong.append((page.name, reply.status))
    assert not wrong


@pytest.mark.parametrize("role", roles)
def test_a_role_sends_its_forms_and_no_others(app: Served, role: str) -> None:
    """Forms that are not theirs are 403; what theirs do is tested with their pages."""
    visitor = entered(app, role)
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', visitor.page("/settings/me"))
    assert token is not None
    for page in FORMS:
        if page.inside and not may(role, page.scopes):
            reply = visitor.post(concrete(page.path, {}), {"csrf": token[1]})
            assert reply.status == 403, page.name


@pytest.mark.parametrize("role", roles)
def test_a_role_makes_its_calls_and_no_others(app: Served, members: dict[str, Visitor], role: str) -> None:
    calls, wrong = Calls(app), []
    for noun in NOUNS.values():
        for handler in noun.HANDLERS:
            for method, path in itertools.product(sorted(handler.http_methods), handler.paths):
                if method == "OPTIONS" or path in ("/events/stream", "/members/me/end-sessions"):
                    continue
                body: Any = {} if method in ("PATCH", "PUT") else None
                status = calls.call(members[role], str(method), f"/v1{concrete(path, {})}", body).status
                allowed = may(role, handler.opt["scopes"])
                own = path in OPERATORS_OWN or path == "/members/me/password"  # for who runs it; a body is missing
                if (status != 403) is not allowed and not (allowed and own):
                    wrong.append((method, path, status))
    assert not wrong


@pytest.mark.parametrize(
    ("role", "call", "allowed"),
    [
        (OPERATOR, ("POST", f"/webhook-endpoints/{MISSING}/pause"), True),
        (OPERATOR, ("POST", f"/webhook-endpoints/{MISSING}/resume"), True),
        (OPERATOR, ("POST", f"/webhook-endpoints/{MISSING}/test"), True),
        (OPERATOR, ("POST", f"/webhook-endpoints/{MISSING}/recover"), True),
        (OPERATOR, ("POST", f"/deliveries/{MISSING}/replay"), True),
        (OPERATOR, ("POST", "/webhook-endpoints"), False),
        (OPERATOR, ("POST", f"/webhook-endpoints/{MISSING}/rotate-secret"), False),
        (OPERATOR, ("DELETE", f"/webhook-endpoints/{MISSING}"), False),
        (OPERATOR, ("GET", "/members"), False),
        (OPERATOR, ("GET", "/audit"), False),
        (OPERATOR, ("POST", "/login-links"), False),
        (AGENT, ("GET", "/conversations"), True),
        (AGENT, ("GET", "/messages"), True),
        (AGENT, ("POST", "/messages"), True),
        (AGENT, ("GET", "/templates"), True),
        (AGENT, ("GET", "/deliveries"), False),
        (AGENT, ("GET", "/events"), False),
        (AGENT, ("GET", "/webhook-endpoints"), False),
        (AGENT, ("DELETE", f"/contacts/{MISSING}"), False),
        (VIEWER, ("GET", "/deliveries"), True),
        (VIEWER, ("GET", "/conversations"), True),
        (VIEWER, ("POST", "/messages"), False),
        (VIEWER, ("POST", f"/deliveries/{MISSING}/replay"), False),
        (VIEWER, ("POST", f"/webhook-endpoints/{MISSING}/pause"), False),
        (OWNER, ("POST", f"/webhook-endpoints/{MISSING}/rotate-secret"), True),
        (OWNER, ("GET", "/members"), True),
        (OWNER, ("GET", "/settings"), False),
        (OWNER, ("POST", "/organizations"), False),
    ],
)
def test_what_the_table_of_roles_says(
    app: Served, members: dict[str, Visitor], role: str, call: tuple[str, str], allowed: bool
) -> None:
    method, path = call
    body = {"name": "x"} if path == "/organizations" else None
    reply = Calls(app).call(members[role], method, f"/v1{path}", body)
    assert (reply.status != 403) is allowed, reply


@pytest.mark.parametrize("role", roles)
def test_the_navigation_leads_only_to_pages_that_open(app: Served, members: dict[str, Visitor], role: str) -> None:
    visitor = members[role]
    html = visitor.page("/settings/me")
    places = re.findall(r'<a href="(/[^"]*)"', html[html.index('class="places"') : html.index("</nav>")])
    assert places
    served_ones = {page.path for page in INSIDE}
    assert [path for path in places if path in served_ones and visitor.get(path).status == 403] == []
    assert ("/deliveries" in places) is (role != AGENT)


def test_a_viewer_without_bodies_sees_none(app: Served) -> None:
    calls, visitor = Calls(app), entered(app, VIEWER, bodies=False)
    for path in ("/messages", "/conversations", "/contacts", "/events", "/inbound", "/media"):
        assert calls.call(visitor, "GET", f"/v1{path}").status == 403, path
    assert calls.call(visitor, "GET", "/v1/deliveries").status == 200


def test_whose_role_is_taken_away_does_nothing_more_with_a_page_that_is_open(app: Served) -> None:
    visitor, calls = entered(app, OWNER), Calls(app)
    member = next(each for each in app.get("/v1/members?limit=1")["data"])
    assert calls.call(visitor, "GET", "/v1/members").status == 200
    assert app.call("PATCH", f"/v1/members/{member['id']}", {"role": "viewer"}).status == 200
    assert visitor.get("/settings/members").status == 303


# --- organizations ----------------------------------------------------------------------------------------------------


def test_ids_of_another_organization_open_nothing(app: Served) -> None:
    theirs = ids_of(app)
    organization = app.organization()
    key = app.key("admin", organization=organization)
    visitor = entered(app, OWNER, key)
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', visitor.page("/settings/me"))
    assert token is not None
    before = [app.query(f"SELECT * FROM {table} ORDER BY id") for table in ("members", "api_keys", "portal_links")]
    faults: list[tuple[str, int]] = []
    walked = 0
    for page in INSIDE:
        if "{" not in page.path:
            continue
        walked += 1
        path = concrete(page.path, theirs)
        reply: Reply = visitor.get(path) if page.method == "GET" else visitor.post(path, {"csrf": token[1]})
        if reply.status != 404:
            faults.append((page.name, reply.status))
    assert not faults
    assert walked
    assert before == [
        app.query(f"SELECT * FROM {table} ORDER BY id") for table in ("members", "api_keys", "portal_links")
    ]


def test_an_owner_reaches_nobody_who_runs_the_installation(app: Served) -> None:
    """Else an owner would log in as one: with a password of their making, or by a link."""
    boss = app.post("/v1/members", {"email": "boss@example.com", "role": "owner", "operator": True})["id"]
    calls, owner = Calls(app), entered(app, OWNER)
    tried: tuple[tuple[str, str, Any], ...] = (
        ("GET", f"/members/{boss}", None),
        ("PATCH", f"/members/{boss}", {"password": PASSWORD}),
        ("PATCH", f"/members/{boss}", {"role": "viewer"}),
        ("DELETE", f"/members/{boss}", None),
        ("POST", f"/members/{boss}/end-sessions", None),
    )
    for method, path, body in tried:
        assert calls.call(owner, method, f"/v1{path}", body).status == 404, (method, path)
    assert boss not in calls.call(owner, "GET", "/v1/members?limit=200").body.decode()
    assert calls.call(owner, "POST", "/v1/login-links", {"email": "boss@example.com"}).status == 422
    assert calls.call(owner, "POST", "/v1/login-links", {}).status == 403
    draft = {"email": "me-too@example.com", "role": "owner", "operator": True}
    assert calls.call(owner, "POST", "/v1/members", draft).status == 403
    assert calls.call(owner, "POST", "/v1/organizations", {"name": "x"}).status == 403
    assert calls.call(owner, "GET", "/v1/settings").status == 403


def test_a_member_of_another_organization_gets_no_link_of_mine(app: Served) -> None:
    key = app.key("admin", organization=app.organization())
    app.call("POST", "/v1/login-links", {"email": "first@example.com"}, key=key).problem(422, "/email")
    unknown = app.call("POST", "/v1/login-links", {"email": "nobody@example.com"}, key=key).problem(422, "/email")
    known = app.call("POST", "/v1/login-links", {"email": "first@example.com"}, key=key).problem(422, "/email")
    assert {**known, "request_id": ""} == {**unknown, "request_id": ""}


# --- streams ----------------------------------------------------------------------------------------------------------


def test_a_live_page_ends_with_its_session(app: Served) -> None:
    visitor = Visitor.entered(app)
    connection = app.connection()
    connection.request("GET", "/live?of=/", headers={"cookie": f"tellwire_session={visitor.cookie}"})
    stream = connection.getresponse()
    assert stream.status == 200
    assert stream.readline()
    assert visitor.submit("/", "/logout").status == 303
    stream.read()  # it comes to its end
    connection.close()


@pytest.mark.parametrize("of", ["/live?of=/", "/%6Cive?of=/", "//live?of=/", "/live/"])
def test_a_live_page_is_no_stream_of_streams(app: Served, of: str) -> None:
    visitor = Visitor.entered(app)
    connection = app.connection()
    connection.request("GET", f"/live?of={quote(of)}", headers={"cookie": f"tellwire_session={visitor.cookie}"})
    connection.getresponse().read()  # it comes to its end: what it watches is no page
    connection.close()


def test_roles_are_those_of_the_model() -> None:
    assert roles == get_args(Role)


# --- what people type -------------------------------------------------------------------------------------------------

SCRIPT = "\"'><script>alert(1)</script>"


def test_names_are_shown_as_they_are_written(app: Served) -> None:
    owner = Visitor.entered(app)
    made = app.post("/v1/members", {"email": "x'<b>@example.com", "name": SCRIPT, "role": "viewer"})
    app.post("/v1/api-keys", {"name": SCRIPT, "scopes": ["read"]})
    link = app.post("/v1/portal-links", {"name": SCRIPT})
    guest = Visitor(app)
    guest.get(urlsplit(link["url"]).path)
    tried = Visitor(app).post("/login", {"email": SCRIPT, "password": "x", "next": SCRIPT}).body.decode()
    pages = [owner.page(path) for path in ("/settings/members", f"/settings/members/{made['id']}", "/settings/keys")]
    pages += [owner.page("/settings/portal-links"), guest.page("/"), tried]
    typed = {"email": SCRIPT, "name": SCRIPT, "role": "viewer"}
    pages.append(owner.submit("/settings/members", "/settings/members", **typed).body.decode())
    typed = {"name": "x" * 300 + SCRIPT, "days": SCRIPT, "origins": SCRIPT, "endpoint_id": SCRIPT}
    pages.append(owner.submit("/settings/portal-links", "/settings/portal-links", **typed).body.decode())
    for html in pages:
        assert "<script>alert" not in html
        assert "x'<b>" not in html
        assert "&lt;script&gt;alert" in html, "it is shown, not left out"


def test_a_form_says_what_is_wrong_and_keeps_what_was_typed_but_no_password(app: Served) -> None:
    owner = Visitor.entered(app)
    typed = {"email": "kept@example.com", "name": "Kept", "role": "agent", "password": "short-pw"}
    reply = owner.submit("/settings/members", "/settings/members", **typed)
    html = reply.body.decode()
    assert reply.status == 422
    assert 'value="kept@example.com"' in html
    assert 'value="agent" required checked' in html
    assert 'id="f-password-fault"' in html
    assert "short-pw" not in html


def test_keys_and_links_are_shown_once(app: Served) -> None:
    owner = Visitor.entered(app)
    key = owner.submit("/settings/keys", "/settings/keys", name="for the CRM", scope="read").body.decode()
    shown = re.search(r"tw_[A-Za-z0-9_-]{43}", key)
    assert shown is not None
    assert shown[0] not in owner.page("/settings/keys")
    assert app.call("GET", "/v1/deliveries", key=shown[0]).status == 200
    draft = {"name": "Shop", "may": "replay", "days": "365", "origins": "https://a.example https://b.example"}
    link = owner.submit("/settings/portal-links", "/settings/portal-links", **draft).body.decode()
    url = re.search(r"/portal/[A-Za-z0-9_-]{96}", link)
    assert url is not None
    assert url[0] not in owner.page("/settings/portal-links")
    made = app.get("/v1/portal-links?limit=1")["data"][0]
    assert (made["may"], made["origins"]) == (["replay"], ["https://a.example", "https://b.example"])
    assert owner.submit("/settings/portal-links", f"/settings/portal-links/{made['id']}/revoke").status == 303
    assert Visitor(app).get(url[0]).status == 410


def test_the_last_owner_is_told_why_they_stay(app: Served) -> None:
    key = app.key("admin", organization=app.organization())
    app.post("/v1/members", {"email": "alone@example.com", "role": "owner"}, key=key)
    owner = Visitor.entered(app, email="alone@example.com", key=key)
    page = f"/settings/members/{app.get('/v1/members', key=key)['data'][0]['id']}"
    reply = owner.submit(page, f"{page}/delete")
    assert reply.status == 409
    assert "last owner" in reply.body.decode()
    assert owner.get(page).status == 200
