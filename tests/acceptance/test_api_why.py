"""`/v1/why`: whatever somebody knows of something leads to the whole way of its message, on both stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from tests.attempts import attempted, of_endpoint
from tests.served import HOOK, Served, served
from tests.world import CUSTOMER, envelope, incoming

from tellwire.formats.chat import ids as chat_ids
from tellwire.model.deliveries import DeliveryState

OTHER = "447700900123"
WAMID = "wamid.HBgNNTIxNTU4ODM5MjI3NBUCABIYFDNB"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, each_store: None) -> Iterator[Served]:
    """Two people who wrote, an endpoint that fails, one that is told, one that takes other things."""
    with served(tmp_path_factory.mktemp("why")) as running:
        made = [
            {"description": "warehouse", "events": ["messages.insert"]},
            {"description": "shop-crm", "events": ["messages.insert"]},
            {"description": "archive", "events": ["conversations.update"]},
        ]
        for each in made:
            running.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", **each})
        assert running.meta(envelope(incoming(WAMID, "Where is order 17?", name="María Pérez"))).status == 200
        assert (
            running.meta(envelope(incoming("wamid.170", "Where is order 170?", sender=OTHER, name="Bob"))).status == 200
        )
        attempted(running, of_endpoint(running, endpoint(running, "warehouse")), DeliveryState.FAILED,
                  cause="your server answered 401", status=401, times=13)  # fmt: skip
        attempted(running, of_endpoint(running, endpoint(running, "shop-crm")), DeliveryState.DELIVERED, status=200)
        yield running


def endpoint(app: Served, name: str) -> str:
    found = app.get("/v1/webhook-endpoints?limit=200")["data"]
    return str(next(each["id"] for each in found if each["description"] == name))


def why(app: Served, text: str, **options: Any) -> Any:
    return app.get(f"/v1/why?q={quote(text)}", **options)


def message(app: Served) -> Any:
    return app.get("/v1/messages")["data"][-1]


def steps(found: Any) -> dict[str, Any]:
    """The steps of a journey by their kinds; endpoints by their names."""
    return {
        step["title"].partition(" ")[0] if step["kind"] == "endpoint" else step["kind"]: step
        for step in found["journey"]["steps"]
    }


def _first(path: str, key: str = "id") -> Callable[[Served], str]:
    return lambda app: str(app.get(path)["data"][-1][key])


ASKED: dict[str, Callable[[Served], str]] = {
    "wamid": lambda _: WAMID,
    "message id": lambda app: message(app)["id"],
    "message id in capitals": lambda app: message(app)["id"].upper(),
    "delivery id": _first("/v1/deliveries"),
    "webhook-id": _first("/v1/deliveries", "webhook_id"),
    "event id": lambda app: next(
        e["id"] for e in app.get("/v1/events")["data"][::-1] if e["name"] == "messages.insert"
    ),
    "received POST": _first("/v1/inbound"),
    "shown id of a message": lambda app: chat_ids.shown(message(app)["id"]),
    "text": lambda _: "order 17",
    "text in other letters": lambda _: "  ORDER   17",
    "phone with spaces": lambda _: f"+{CUSTOMER[:2]} {CUSTOMER[2:5]} {CUSTOMER[5:]}",
    "phone": lambda _: CUSTOMER,
    "phone in another spelling": lambda _: "525588392274",
    "name": lambda _: "maría",
    "contact id": _first("/v1/contacts"),
}
"""Everything that leads to the message about order 17."""


@pytest.mark.parametrize("kind", ASKED)
def test_whatever_is_known_of_a_message_leads_to_its_journey(app: Served, kind: str) -> None:
    found = why(app, ASKED[kind](app))
    assert found["journey"], found
    assert found["journey"]["message"]["id"] == message(app)["id"]
    assert found["journey"]["contact"]["name"] == "María Pérez"


def test_a_journey_tells_in_words_what_happened_and_what_to_do(app: Served) -> None:
    found = steps(why(app, WAMID))
    assert list(found) == ["written", "received", "verified", "stored", "warehouse", "shop-crm", "archive"]
    assert found["received"]["detail"] == "POST /meta/webhook, alone in its POST."
    assert found["stored"]["detail"] == f"In the conversation with María Pérez (+{CUSTOMER}), which it opened."
    failed = found["warehouse"]
    assert (failed["state"], failed["title"]) == ("failed", "warehouse did not take it")
    assert failed["detail"] == "Your server answered 401. Given up, tried 13 times."
    assert failed["remedy"].startswith("It refused our signature or token.")
    assert (failed["attempts"], failed["deliveries"][0]["status"]) == (13, 401)
    assert (found["shop-crm"]["state"], found["shop-crm"]["detail"]) == ("done", "It answered 200 in 38 ms.")
    untold = found["archive"]
    assert (untold["state"], untold["title"]) == ("missing", "archive was not told")
    assert untold["detail"] == "It takes conversations.update only, and this is messages.insert."
