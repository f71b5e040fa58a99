"""An endpoint that refuses: its cause in the console, mended, replayed. A real server, sink and browser."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect
from tests.acceptance.processes import every, request, until
from tests.acceptance.test_cli import ADMIN, post, serving
from tests.world import envelope, incoming

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
LATER = 15_000
"""Milliseconds: stock is taken every 2 s, and live parts come every 2 s."""


class Sink:
    """A subscriber that answers as it is told."""

    status = 401
    body = HOSTILE.encode()
    taken = 0


@contextmanager
def sink() -> Iterator[tuple[str, Sink]]:
    """A sink on a port of the system's choice."""
    state = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            state.taken += state.status == 200
            self.send_response(state.status)
            self.send_header("x-hostile", HOSTILE)
            self.send_header("content-length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_failing_endpoint_is_seen_mended_replayed_and_delivered(tmp_path: Path, page: Page) -> None:
    settings = {"RETRY_SCHEDULE": "0.01", "SHOW_ALLOW_LISTED_ANSWERS": "true"}
    with sink() as (target, state), serving(tmp_path, **settings) as (url, _):
        draft = {"url": f"{target}/<b>in</b>", "format": "row", "events": ["messages.insert"]}
        draft |= {"description": f"shop {HOSTILE}"}
        status, made = request(f"{url}/v1/webhook-endpoints", key=ADMIN, method="POST", body=draft)
        assert status == 201, made
        for number in range(3):
            assert post(url, json.dumps(envelope(incoming(f"wamid.{number}"))).encode()) == 200
        until(lambda: len(every(url, "failures", key=ADMIN)) == 1, what="a failure")
        link = request(f"{url}/v1/login-links", key=ADMIN, method="POST", body={})[1]["url"]
        page.goto(f"{url}{urlsplit(link).path}")
        expect(page).to_have_title("Home · Tellwire")

        page.goto(f"{url}/failures")
        row = page.locator("[data-row]")
        expect(row).to_have_count(1)
        expect(row).to_contain_text("Your server answered 401")
        expect(row).to_contain_text(f"shop {HOSTILE}")
        expect(row).to_contain_text("3 given up", timeout=LATER)

        state.status, state.body = 200, b"thank you"
        row.locator('[data-key="r"]').click()
        expect(page.locator("#replay")).to_contain_text(re.compile(r"Replay 3 deliveries to shop .*, oldest first"))
        page.locator("#replay button").click()
        expect(page.get_by_role("status")).to_contain_text("The replay has begun")
        expect(page.locator(".facts")).to_contain_text("Resolved", timeout=LATER)
        assert state.taken == 3
        assert {each["state"] for each in every(url, "deliveries", key=ADMIN)} == {"delivered"}

        page.goto(f"{url}/deliveries")
        expect(page.locator("[data-row]")).to_have_count(3)
        page.locator("h1").click()
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("k")
        page.keyboard.press("Enter")
        expect(page.locator("#attempt")).to_contain_text("Verified: computed anew, it is the one that was sent")
        page.get_by_role("link", name="Your server answered 401").last.click()
        expect(page.locator("#attempt h2")).to_have_text("Attempt 1")
        expect(page.locator("#attempt")).to_contain_text(HOSTILE)
        expect(page).to_have_title("Delivery of messages.insert · Tellwire")
        expect(page.locator("main img, main script, main b:has-text('in')")).to_have_count(0)

        page.set_viewport_size({"width": 360, "height": 740})
        for path in ("/deliveries", "/failures?state=all", urlsplit(page.url).path):
            page.goto(f"{url}{path}")
            assert page.evaluate("document.documentElement.scrollWidth") == 360, path

        page.goto(f"{url}/deliveries")
        page.locator('[name="id"]').first.check()
        page.locator('[name="id"]').last.check()
        page.get_by_role("button", name="Replay those chosen… (2)").click()
        expect(page.locator("main")).to_contain_text("2 of them have arrived before and arrive a second time.")
        page.wait_for_load_state()
        page.keyboard.press("r")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("It goes out once more now")
        until(lambda: state.taken == 5, what="the two that were chosen")
