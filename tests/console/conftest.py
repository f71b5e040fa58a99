"""What the tests of the console share: a served app, somebody who is logged in over plain HTTP, and a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests.console.visitor import Visitor
from tests.served import Served, served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app over a fresh database, shared by the tests of a module."""
    with served(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="module")
def owner(app: Served) -> Visitor:
    """Who runs the installation, logged in by a link."""
    return Visitor.entered(app)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven as a person would; without it these tests are skipped, and fail where CI is set.

    Its event loop must not run while other modules are tested, so each starts a browser of its own.
    """
    if CHROMIUM is None:
        words = "there is no Chromium; on Debian and Ubuntu: apt install chromium"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    with sync_playwright() as playwright:
        # A public site may not frame what is on loopback, but here everything is there.
        options = ["--no-sandbox", "--disable-features=LocalNetworkAccessChecks"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh profile that reaches loopback only."""
    fresh = chromium.new_context(locale="en-GB", timezone_id="Etc/UTC")
    fresh.route(lambda url: "//127.0.0.1" not in url, lambda route: route.abort())
    yield fresh
    fresh.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty tab."""
    return context.new_page()
