"""Every page in a real browser: what axe finds, 360 px, dark, sizes, and keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from tests.acceptance.tenants import Tenant, found
from tests.console.furnished import path_of, places
from tests.served import Served, served

AXE = Path(__file__).parents[1] / "clients/node/node_modules/axe-core/axe.min.js"
LARGEST = 100 * 1024


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app that is shared by the tests of this module."""
    with served(tmp_path_factory.mktemp("pages")) as running:
        yield running


@pytest.fixture(scope="module")
def tenant(app: Served) -> Tenant:
    """An organization that has one of everything."""
    return found(app, "acme", "100200300400500")


@pytest.fixture(scope="module")
def tab(app: Served, tenant: Tenant, chromium: Browser) -> Iterator[Page]:
    """A tab of who runs the installation, in the organization."""
    link = app.post("/v1/login-links", {}, headers={"tellwire-organization": tenant.id})["url"]
    context = chromium.new_context(locale="en-GB", timezone_id="Etc/UTC")
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{app.port}{urlsplit(link).path}")
    page.wait_for_url("**/")
    yield page
    context.close()


def opened(tab: Page, app: Served, path: str) -> int:
    """Open a page; return how many bytes came for it. Nothing in it may break a rule of its policy."""
    complaints: list[str] = []
    listen = lambda message: complaints.append(message.text) if message.type == "error" else None  # noqa: E731
    tab.on("console", listen)
    answer = tab.goto(f"http://127.0.0.1:{app.port}{path}")
    assert answer is not None
    assert (answer.status, complaints) == (200, []), path
    tab.remove_listener("console", listen)
    return len(answer.body())


@pytest.mark.parametrize("place", places())
def test_a_page_is_accessible_small_and_fits_a_narrow_screen(
    app: Served, tab: Page, tenant: Tenant, place: str
) -> None:
    tab.emulate_media(color_scheme="light")
    assert opened(tab, app, path_of(place, tenant)) <= LARGEST
    tab.set_viewport_size({"width": 360, "height": 740})
    wide = tab.evaluate("document.documentElement.scrollWidth")
    tab.set_viewport_size({"width": 1280, "height": 800})
    assert wide <= 360, f"{place} is {wide} px wide"
    if not AXE.exists():
        words = "axe-core is not installed: npm ci --prefix tests/clients/node --ignore-scripts"
        pytest.fail(words) if os.environ.get("CI") else pytest.skip(words)
    tab.evaluate(AXE.read_text())
    assert grave(tab, "{}") == [], place
    tab.emulate_media(color_scheme="dark")
    assert grave(tab, "{runOnly: ['color-contrast']}") == [], f"{place}, dark"


def grave(tab: Page, options: str) -> list[tuple[str, list[str]]]:
    """What axe finds serious or critical in the page, and where."""
    found = tab.evaluate(f"axe.run(document, {{resultTypes: ['violations'], ...{options}}})")
    return [
        (each["id"], [node["html"][:200] for node in each["nodes"]])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


def test_style_and_script_are_within_their_budgets() -> None:
    static = Path(__file__).parents[2] / "src/tellwire/web/console/static"
    style = sum(path.stat().st_size for path in static.glob("*.css"))
    script = sum(path.stat().st_size for path in static.glob("*.js"))
    assert style <= 30 * 1024
    assert script <= 40 * 1024
