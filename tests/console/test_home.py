"""Home: what is broken first, with a button that mends it; then what goes through, endpoints, numbers and agents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.console.visitor import Visitor
from tests.served import HOOK, Served, served

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


def test_an_empty_installation_teaches(app: Served, owner: Visitor) -> None:
    page = owner.page("/")
    assert "Everything works." in page
    assert 'href="/endpoints/new"' in page
    assert 'href="/numbers/new"' in page
    assert "tellwire dev" in page


def test_a_disabled_endpoint_is_said_first_and_mended_by_its_button(fresh: Served) -> None:
    owner = Visitor.entered(fresh)
    made = fresh.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", "description": MARKUP})["id"]
    fresh.run(fresh.world.outbox.disable(made, f"answered {MARKUP}"))
    page = owner.page("/")
    assert "One thing does not work." in page
    assert page.index("A webhook endpoint is disabled.") < page.index("What goes through")
    assert MARKUP not in page
    reply = owner.submit("/", "/")
    assert (reply.status, reply.headers["location"]) == (303, "/?done=mended")
    assert "Everything works." in owner.page("/")
    assert fresh.get(f"/v1/webhook-endpoints/{made}")["state"] == "active"
