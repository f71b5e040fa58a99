"""From `tellwire dev` to the whole way of the first message, in a real browser."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from playwright.sync_api import Page, expect
from tests.acceptance.processes import running

PICTURES = Path(os.environ["TELLWIRE_PICTURES"]) if "TELLWIRE_PICTURES" in os.environ else None
"""Where the pictures of the docs go: `TELLWIRE_PICTURES=docs/images ./run test tests/console/test_first_run.py`."""


def pictured(page: Page, name: str, folder: Path) -> None:
    """Take a picture of a page, as the docs show it."""
    page.set_viewport_size({"width": 1200, "height": 820})
    page.get_by_role("navigation").get_by_role("link", name=PLACES.get(name, "Home")).click()
    if name == "journey":
        page.get_by_role("link", name="Is the order 17 ready?").first.click()
    elif name == "inbox":
        page.get_by_role("main").get_by_role("list").get_by_role("link").first.click()
    elif name == "endpoint":
        page.get_by_role("link", name=re.compile("catcher of tellwire dev .row.")).first.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.mouse.move(0, 0)
    page.screenshot(path=folder / f"console-{name}.png")


PLACES = {"phone": "Phone", "inbox": "Inbox", "endpoint": "Endpoints"}


def link_into_console(lines: list[str]) -> str | None:
    """The link that the banner shows, which logs in once."""
    return next((line.strip() for line in lines if "/login/link/" in line), None)


def test_one_click_leads_from_the_link_to_the_first_messages_way_and_the_phone_writes(
    tmp_path: Path, page: Page
) -> None:
    with running("dev", "--no-traffic", "--port", "0", cwd=tmp_path) as dev:
        page.goto(dev.wait_for(link_into_console))
        expect(page).to_have_title("Home · Tellwire")
        page.get_by_role("link", name="Phone").click()
        page.get_by_label("Write a message").fill("Is the order 17 ready?")
        page.keyboard.press("Enter")
        chat = page.get_by_role("region", name="The chat")
        expect(chat.get_by_text("Is the order 17 ready?")).to_be_visible()
        got = page.get_by_role("region", name="What subscribers got")
        expect(got.get_by_text("signature good").first).to_be_visible()

        page.get_by_role("link", name="Home").click()
        page.get_by_role("link", name="Is the order 17 ready?").first.click()
        expect(page.get_by_text(re.compile("catcher of tellwire dev .row. has it")).first).to_be_visible()

        page.goto(page.url.partition("/messages")[0] + "/phone")
        page.get_by_role("button", name="Reply to the last message").click()
        page.get_by_role("button", name="Opt out of marketing").click()
        expect(got.get_by_text("meta.user_preferences").first).to_be_visible()
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_role("alert")).to_have_text("Write something first.")
        for name in ("home", "journey", "phone", "inbox", "endpoint"):
            pictured(page, name, PICTURES or tmp_path)
        assert dev.stop(signal.SIGTERM) == 0
