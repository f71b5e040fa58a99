"""Home: what is broken first, with a button that mends it; then what goes through, endpoints, numbers and agents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Connection
from tests.console.markup import MARKUP, Markup, plain
from tests.console.visitor import Visitor
from tests.served import HOOK, Served, served
from tests.world import envelope, incoming

from tellwire.endpoints.health_history import EndpointHealth
from tellwire.model.members import Member
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.model.units import MINUTE
from tellwire.ports.http_out import Answer
from tellwire.stores.queries import health, members, traffic
from tellwire.stores.queries.audit import AuditChange
from tellwire.verdict.traffic import Counts


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Served]:
    """An app that nothing was done to."""
    with served(tmp_path) as running:
        yield running


def fails(app: Served, endpoint_id: str, cause: str) -> None:
    """Let an endpoint have failed for a minute."""
    now = app.clock.now()
    standing = EndpointHealth(
        endpoint_id=endpoint_id, organization_id=DEFAULT_ORGANIZATION, failing_since=now, failures=3, cause=cause
    )
    app.write(lambda c: health.put(c, [standing]))
    app.clock.move(MINUTE)


def member(app: Served, role: str) -> Visitor:
    """A member of the default organization, logged in."""
    email = f"{role}@example.com"

    def add(connection: Connection) -> None:
        change = AuditChange(DEFAULT_ORGANIZATION, "a test", app.clock.now(), app.world.store.new_id)
        made = Member(id="", organization_id=DEFAULT_ORGANIZATION, email=email, name=role, role=role)  # type: ignore[arg-type]
        members.add(connection, change, made)

    app.write(add)
    return Visitor.entered(app, email=email)


def test_an_empty_installation_teaches(fresh: Served) -> None:
    reply = Visitor.entered(fresh).get("/")
    page = Markup(reply)
    assert "Everything works." in page.text
    assert {"href": "/endpoints/new", "class": "button"} in page.of("a")
    assert {"href": "/numbers/new", "class": "button"} in page.of("a")
    assert "tellwire dev" in page.text
    assert page.of("html")[0]["lang"] == "en"
    assert len(page.of("main")) == len(page.of("h1")) == 1
    assert all(each.get("scope") in {"col", "row"} for each in page.of("th"))
    assert reply.headers["cache-control"] == "no-store"
    assert "unsafe" not in reply.headers["content-security-policy"]


def test_what_is_broken_is_said_first_and_mended_by_its_button(fresh: Served) -> None:
    owner = Visitor.entered(fresh)
    made = fresh.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", "description": f"shop {MARKUP}"})["id"]
    fresh.run(fresh.world.outbox.disable(made, f"answered {MARKUP}"))
    page = plain(owner.page("/"))
    assert "One thing does not work." in page
    assert page.index("A webhook endpoint is disabled.") < page.index("What goes through")
    assert f"answered {MARKUP}" in page
    assert f"for shop {MARKUP}" in page
    assert f'data-copy="tellwire endpoints resume {made}"' in page
    reply = owner.submit("/", "/")
    assert (reply.status, reply.headers["location"]) == (303, "/?done=mended")
    assert "Everything works." in owner.page("/")
    assert fresh.get(f"/v1/webhook-endpoints/{made}")["state"] == "active"


def test_a_test_from_home_says_what_came_back(fresh: Served) -> None:
    owner = Visitor.entered(fresh)
    made = fresh.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})["id"]
    fails(fresh, made, "it answered 500")
    fresh.outside.answer = Answer(status=500, body=b"no", durations={"total": 1.5}, cause=f"it answered {MARKUP}")
    page = plain(owner.submit("/", "/"))
    assert "it does not work." in page
    fresh.outside.answer = Answer(status=200, body=b"", durations={"total": 1.5})
    assert "it works." in plain(owner.submit("/", "/"))


@pytest.mark.parametrize("line", ["", "store_failing", "endpoint_disabled.nobody", MARKUP])
def test_only_what_the_verdict_offers_is_done(app: Served, owner: Visitor, line: str) -> None:
    csrf = re.search(r'name="csrf" value="([^"]*)"', owner.page("/"))
    assert csrf
    reply = owner.post("/", {"csrf": csrf[1], "line": line})
    assert (reply.status, reply.headers["location"]) == (303, "/?done=mended_already")


def test_a_viewer_sees_what_is_broken_and_is_offered_no_button(fresh: Served) -> None:
    made = fresh.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})["id"]
    fresh.run(fresh.world.outbox.disable(made, "answered 410"))
    viewer = member(fresh, "viewer")
    page = Markup(viewer.get("/"))
    assert "A webhook endpoint is disabled." in page.text
    assert [each for each in page.of("form") if each.get("action") == "/"] == []
    csrf = re.search(r'name="csrf" value="([^"]*)"', page.text)
    assert csrf
    reply = viewer.post("/", {"csrf": csrf[1], "line": f"endpoint_disabled.{made}"})
    assert reply.status == 403
    assert fresh.get(f"/v1/webhook-endpoints/{made}")["state"] == "disabled"


def test_what_goes_through_is_drawn_with_titles_and_a_table_behind(fresh: Served) -> None:
    owner = Visitor.entered(fresh)
    tally = fresh.watch.observed.tally
    fresh.meta(envelope(incoming("wamid.1")))
    tally.attempted(DEFAULT_ORGANIZATION, 2, 1)
    tally.sent(DEFAULT_ORGANIZATION)
    fresh.run(fresh.watch.round())
    page = plain(owner.page("/"))
    for title in (
        "1 messages of customers received in the last hour",
        "2 deliveries taken by receivers in the last hour, 1 attempts failed",
        "1 messages accepted by Meta in the last hour",
    ):
        assert f">{title}</title>" in page
    assert page.count("<path") == 3 + 3 + 1, "bars and a line for each, and what failed hangs from its line"
    table = page[page.index('<details id="traffic-table"') :]
    assert re.findall(r'class="number" data-label="\w+">(\d+)<', table) == ["1", "2", "1", "1"]
    assert "in the last 30 days</title>" in plain(owner.page("/?span=month"))
    assert "in the last hour</title>" in plain(owner.page(f"/?span={MARKUP.replace(' ', '+')}"))


def test_endpoints_stand_by_health_and_say_since_when_something_waits(fresh: Served) -> None:
    names = ("well", "late", "gone")
    made = {
        name: fresh.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", "description": name})["id"]
        for name in names
    }
    fresh.run(fresh.world.outbox.disable(made["gone"], "answered 410"))
    fresh.meta(envelope(incoming("wamid.1")))
    fails(fresh, made["late"], "it answered 500")
    page = plain(Visitor.entered(fresh).page("/"))
    table = page[page.index('data-live="endpoints"') :]
    places = [table.index(f'/endpoints/{made[name]}">{name}</a>') for name in ("late", "gone", "well")]
    assert places == sorted(places)
    row = table[places[0] : places[1]]
    assert "Failing" in row
    assert "2026-05-06 03:39:23" in row


def test_home_stays_light_however_much_there_is(fresh: Served) -> None:
    owner = Visitor.entered(fresh)
    for number in range(40):
        url = f"https://hooks.example.com/{'long/' * 300}?{number}"
        made = fresh.post("/v1/webhook-endpoints", {"url": url, "format": "row"})["id"]
        if number < 30:
            fresh.run(fresh.world.outbox.disable(made, "nothing but failures for 5 days"))
        fresh.post("/v1/accounts", {"phone_number_id": f"9{number:05}"})
        fresh.post("/v1/agents", {"name": f"Agent {number}", "kind": "human"})
    now = fresh.clock.now()
    for minute in range(60):
        some = {DEFAULT_ORGANIZATION: Counts(received=10**6, delivered=10**6, failing=10**6, sent=10**6)}
        fresh.write(lambda c, at=now - minute * MINUTE, counts=some: traffic.add(c, counts, at))  # type: ignore[misc]
    page = plain(owner.page("/"))
    assert "30 things do not work." in page
    assert "And 5 more things." in page
    assert page.count(">See all</a>") == 3
    assert len(page) < 100_000


def test_a_part_that_cannot_be_had_says_so_and_the_rest_is_shown(fresh: Served) -> None:
    owner = Visitor.entered(fresh)
    fresh.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", "description": "shop-crm"})
    fresh.write(lambda c: c.exec_driver_sql("DROP TABLE traffic_counts").close())
    fresh.write(lambda c: c.exec_driver_sql("DROP TABLE agents").close())
    page = plain(owner.page("/"))
    assert page.count("This part cannot be shown just now.") == 2
    assert "Everything works." in page
    assert "shop-crm" in page


def test_a_database_that_takes_no_commits_is_said_by_who_still_reads(fresh: Served) -> None:
    owner = Visitor.entered(fresh)
    fresh.write(lambda c: c.exec_driver_sql("PRAGMA query_only = 1").close())
    assert fresh.meta(envelope(incoming("wamid.1"))).status == 503
    page = plain(owner.page("/"))
    assert "The database does not take commits." in page
    assert "answered 503" in page
    assert "Not working: the database does not take commits." in plain(Visitor(fresh).page("/login"))


def test_a_browser_sees_trouble_come_and_mends_it(fresh: Served, page: Page) -> None:
    owner = Visitor.entered(fresh)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    url = f"http://127.0.0.1:{fresh.port}"
    page.context.add_cookies([{"name": "tellwire_session", "value": owner.cookie, "url": url}])
    made = fresh.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", "description": f"shop {MARKUP}"})["id"]
    page.goto(url)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Everything works.")
    fresh.run(fresh.world.outbox.disable(made, f"answered {MARKUP}"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("One thing does not work.")
    expect(page.get_by_role("img", name="messages accepted by Meta in the last hour")).to_be_visible()
    page.get_by_text("As a table").click()
    expect(page.get_by_text("Nothing went through in the last hour.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Everything works.")
    page.get_by_role("link", name="Month").click()
    expect(page).to_have_url(f"{url}/?span=month")
    assert problems == []
