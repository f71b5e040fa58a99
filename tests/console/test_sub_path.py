"""Everything below the path of PUBLIC_URL, behind a proxy that strips the path and behind one that passes it on."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec import Struct
from msgspec.structs import replace
from playwright.sync_api import Page
from tests.acceptance.tenants import Tenant, found
from tests.console.furnished import path_of, places
from tests.reverse_proxy import ReverseProxy, reverse_proxy
from tests.served import ADMIN, SETTINGS, VERIFY, Reply, Served, served, sign
from tests.world import envelope, text_message, value

from tellwire.errors import BadSettings

PATH = "/shared/tellwire"


class Behind(Struct):
    """A proxy with Tellwire behind it, an organization that has one of everything, and who runs the installation."""

    proxy: ReverseProxy
    app: Served
    tenant: Tenant
    cookie: str = ""

    def ask(self, method: str, target: str, body: Any = None, **headers: str) -> Reply:
        """A request to the proxy, as the URL says it."""
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.server_port, timeout=20)
        try:
            connection.request(method, target, sent, {name.replace("_", "-"): each for name, each in headers.items()})
            answer = connection.getresponse()
            return Reply(answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the API that must do, in the organization."""
        headers = {"authorization": f"Bearer {ADMIN}", "tellwire-organization": self.tenant.id}
        if body is not None:
            headers["content-type"] = "application/json"
        reply = self.ask(method, PATH + path, body, **headers)
        assert reply.status < 300, (path, reply.status, reply.body)
        return reply.json

    def page(self, target: str) -> Reply:
        return self.ask("GET", target, cookie=self.cookie)

    def send(self, target: str, form: str, cookie: str = "") -> Reply:
        kind = "application/x-www-form-urlencoded"
        return self.ask("POST", target, form.encode(), cookie=cookie, content_type=kind, origin=self.proxy.root)

    def link(self) -> str:
        """The path of a new login link, which begins as PUBLIC_URL does."""
        url: str = self.call("POST", "/v1/login-links", {})["url"]
        assert url.startswith(f"{self.proxy.url}/login/link/")
        return urlsplit(url).path


@pytest.fixture(scope="module", params=[True, False], ids=["strips", "passes on"])
def behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    with ExitStack() as stack:
        proxy = stack.enter_context(reverse_proxy(PATH, strips=request.param))
        settings = replace(SETTINGS, public_url=proxy.url)
        app = stack.enter_context(served(tmp_path_factory.mktemp("below"), settings=settings))
        proxy.upstream = app.port
        here = Behind(proxy, app, found(app, "acme", "100200300400500"))
        entered = here.send(here.link(), "")
        assert (entered.status, entered.headers["location"]) == (303, f"{PATH}/")
        assert f"; Path={PATH};" in entered.headers["set-cookie"]
        here.cookie = entered.headers["set-cookie"].partition(";")[0]
        yield here
        assert proxy.strays == []


class Addresses(HTMLParser):
    """What begins with a slash in the attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(name, value) for name, value in attrs if value and value.startswith("/") and name != "data-key"]


one_style = pytest.mark.parametrize("behind", [True], indirect=True, ids=["strips"], scope="module")
"""For what is the same behind either proxy."""


@one_style
def test_every_address_in_every_page_stays_below_the_path_and_leads_somewhere(behind: Behind) -> None:
    links: set[str] = set()
    for place in places():
        reply = behind.page(PATH + path_of(place, behind.tenant))
        assert reply.status == 200, (place, reply.status)
        addresses = Addresses(reply.body.decode()).found
        assert {name for name, _ in addresses} >= {"href", "src", "action"}, place
        astray = [each for each in addresses if not each[1].startswith(f"{PATH}/")]
        assert astray == [], place
        links |= {address.partition("#")[0] for name, address in addresses if name in ("href", "src")}
    for link in sorted(links):
        assert behind.page(link).status in (200, 303), link


def test_a_page_of_nobody_leads_to_the_login_below_the_path(behind: Behind) -> None:
    reply = behind.ask("GET", f"{PATH}/deliveries?state=failed")
    assert (reply.status, reply.headers["location"]) == (303, f"{PATH}/login?next=%2Fdeliveries%3Fstate%3Dfailed")
    page = behind.ask("GET", reply.headers["location"])
    assert f'action="{PATH}/login"' in page.body.decode()
    bare = behind.ask("GET", PATH)
    assert (bare.status, bare.headers["location"]) == (303, f"{PATH}/login")


def test_who_logs_in_gets_to_the_page_that_was_wanted(behind: Behind) -> None:
    entered = behind.send(behind.link(), "next=%2Fdeliveries%3Fstate%3Dfailed")
    assert entered.headers["location"] == f"{PATH}/deliveries?state=failed"
    cookie = entered.headers["set-cookie"].partition(";")[0]
    csrf = re.search(r'name="csrf" value="([^"]+)"', behind.ask("GET", f"{PATH}/", cookie=cookie).body.decode())
    assert csrf is not None
    out = behind.send(f"{PATH}/logout", f"csrf={csrf[1]}", cookie)
    assert (out.status, out.headers["location"]) == (303, f"{PATH}/login")
    assert f"; Path={PATH};" in out.headers["set-cookie"]


def test_what_is_shown_once_has_its_cookie_below_the_path(behind: Behind) -> None:
    endpoint = f"{PATH}/endpoints/{behind.tenant.ids['endpoint_id'][0]}"
    csrf = re.search(r'name="csrf" value="([^"]+)"', behind.page(endpoint).body.decode())
    assert csrf is not None
    rotated = behind.send(f"{endpoint}/rotate", f"csrf={csrf[1]}&hours=1", behind.cookie)
    assert (rotated.status, rotated.headers["location"].partition("?")[0]) == (303, f"{endpoint}/secret")
    assert f"Path={endpoint}/secret" in rotated.headers["set-cookie"]


def test_links_of_the_api_lead_through_the_proxy(behind: Behind) -> None:
    portal = behind.call("POST", "/v1/portal-links", {"name": "guests", "may": ["replay"]})["url"]
    assert portal.startswith(f"{behind.proxy.url}/portal/")
    entered = behind.ask("GET", urlsplit(portal).path)
    assert (entered.status, entered.headers["location"]) == (303, f"{PATH}/")
    source = behind.call("POST", "/v1/sources", {"name": "old", "kind": "wakit"})["url"]
    assert source.startswith(f"{behind.proxy.url}/sources/")
    assert behind.ask("POST", urlsplit(source).path, b"{}").status == 401
    document = behind.ask("GET", f"{PATH}/openapi.json").json
    assert document["servers"] == [{"url": behind.proxy.url}]
    graph = behind.ask("GET", f"{PATH}/graph/v24.0/1", authorization="Bearer nobody")
    assert graph.json["error"]["type"] == "OAuthException"


def test_a_file_has_a_link_that_works(behind: Behind) -> None:
    part = 'Content-Disposition: form-data; name="{}"'
    body = "".join(
        f"--frontier\r\n{head}\r\n\r\n{content}\r\n"
        for head, content in (
            (part.format("account"), behind.tenant.number),
            (part.format("file") + '; filename="a.txt"\r\nContent-Type: text/plain', "some text"),
        )
    )
    kind = "multipart/form-data; boundary=frontier"
    made = behind.ask(
        "POST",
        f"{PATH}/v1/media",
        f"{body}--frontier--\r\n".encode(),
        content_type=kind,
        authorization=f"Bearer {ADMIN}",
        tellwire_organization=behind.tenant.id,
    )
    assert made.status == 201, made.body
    link = urlsplit(made.json["url"])
    assert made.json["url"].startswith(f"{behind.proxy.url}/media/")
    assert behind.ask("GET", f"{link.path}?{link.query}").body == b"some text"


def test_meta_posts_and_probes_come_through(behind: Behind) -> None:
    raw = json.dumps(envelope(value(messages=[text_message("wamid.BELOW")]))).encode()
    signed = f"sha256={sign(raw)}"
    assert behind.ask("POST", f"{PATH}/meta/webhook", raw, x_hub_signature_256=signed).status == 200
    assert behind.ask("POST", f"{PATH}/meta/webhook", raw).status == 401
    hello = f"{PATH}/meta/webhook?hub.mode=subscribe&hub.verify_token={VERIFY}&hub.challenge=17"
    assert behind.ask("GET", hello).body == b"17"
    assert behind.ask("GET", f"{PATH}/readyz").status == 200
    assert behind.ask("GET", f"{PATH}//v1/accounts").status == 404


def test_an_open_page_gets_its_parts_with_addresses_below_the_path(behind: Behind) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", behind.proxy.server_port, timeout=20)
    connection.request("GET", f"{PATH}/live?of={PATH}/", headers={"cookie": behind.cookie})
    answer = connection.getresponse()
    lines = (line for line in iter(answer.readline, b""))
    parts = (json.loads(line[6:])["html"] for line in lines if line.startswith(b"data: "))
    html = next(part for part in parts if "href=" in part)
    answer.close()
    connection.close()
    addresses = Addresses(html).found
    assert addresses
    assert [each for each in addresses if not each[1].startswith(f"{PATH}/")] == []


def test_the_server_itself_answers_with_and_without_the_path(behind: Behind) -> None:
    for path in ("/livez", f"{PATH}/livez", "/v1/accounts", f"{PATH}/v1/accounts"):
        assert behind.app.call("GET", path).status == 200, path
    assert behind.app.call("GET", f"{PATH}ly/livez").status == 404


def test_no_way_around_a_proxys_rule_leads_to_open_metrics(tmp_path: Path) -> None:
    settings = replace(SETTINGS, public_url=f"https://example.com{PATH}", open_operations=True)
    with served(tmp_path, settings=settings) as app:
        assert [app.call("GET", path, key=None).status for path in ("/metrics", "/version")] == [200, 200]
        below = [f"{PATH}/metrics", f"{PATH}/version"]  # what a stripping proxy makes of the path twice
        assert [app.call("GET", path, key=None).status for path in below] == [401, 401]
        assert [app.call("GET", path).status for path in below] == [200, 200]
        assert app.call("GET", f"{PATH}{PATH}/metrics").status == 404


@one_style
def test_a_browser_stays_below_the_path_and_its_page_is_kept_as_it_is(behind: Behind, page: Page) -> None:
    page.goto(behind.proxy.root + behind.link())
    page.wait_for_url(f"{behind.proxy.url}/")
    page.locator("nav").get_by_role("link", name="Deliveries").click()
    page.wait_for_url(f"{behind.proxy.url}/deliveries")
    page.locator("nav").get_by_role("link", name="Home").click()
    with page.expect_event("request", lambda request: f"{PATH}/live?" in request.url):
        page.reload()
    assert f"{PATH}/live" in behind.proxy.passed


@pytest.mark.parametrize("path", ["/v1", "/inbox", "/meta/hooks", "/static"])
def test_a_path_of_our_own_is_refused(path: str, tmp_path: Path) -> None:
    settings = replace(SETTINGS, public_url=f"https://example.com{path}")
    with pytest.raises(BadSettings, match=f"PUBLIC_URL has the path {path}"), served(tmp_path, settings=settings):
        pass
