"""What Meta sent, kept to be told as it came, is exported and erased with the person whom it is about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.test_api_contacts import (
    GROUP,
    NAME,
    OTHER,
    WORDS,
    erase,
    everything,
    gone_from_the_files,
    known,
    meta,
    said,
)
from tests.served import Served, served
from tests.world import CUSTOMER, contact, status, statuses, text_message, value

pytestmark = pytest.mark.usefixtures("each_store")
HOOK = "https://hooks.example.com/meta"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


def subscribe(app: Served) -> None:
    for batching in ("item", "as_received"):
        app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "meta", "batching": batching, "history": True})


def posted(app: Served) -> list[dict[str, Any]]:
    """The events that hold what Meta sent."""
    found: list[dict[str, Any]] = app.get("/v1/events?entity=meta&limit=200")["data"]
    return found


def both(app: Served, *, unknown: bool = True) -> None:
    """Send what is about two people: in one POST, in a value, and in what is not understood."""
    cards = {CUSTOMER: contact(CUSTOMER, NAME), OTHER: contact(OTHER, "Other")}
    words = {CUSTOMER: WORDS, OTHER: "of another"}
    messages = [text_message(f"wamid.{each}", words[each], sender=each) for each in cards]
    meta(app, value(contacts=list(cards.values()), messages=messages))
    olds = [text_message(f"wamid.old.{each}", words[each], sender=each) for each in cards]
    threads = [{"id": each, "messages": [old]} for each, old in zip(cards, olds, strict=True)]
    meta(app, value(history=[{"metadata": {"phase": 0}, "threads": threads}]), field="history")
    sent = [status(f"wamid.{each}.out", "sent", recipient_id=each) for each in cards]
    meta(app, statuses(*sent))
    for each, card in cards.items():
        message = text_message(f"wamid.group.{each}", words[each], sender=each, group_id=GROUP)
        meta(app, value(contacts=[card], messages=[message]))
    if unknown:
        people = [{"wa_id": CUSTOMER, "text": WORDS}, {"wa_id": OTHER}]
        meta(app, {**value(), "people": people}, field="a_field_to_come")


def test_what_meta_sent_is_erased_with_the_person_and_of_others_it_stays(app: Served, tmp_path: Path) -> None:
    subscribe(app)
    both(app)
    assert WORDS.encode() in everything(app, tmp_path)
    mine = next(each["id"] for each in known(app) if each["name"] == NAME)
    told = app.get(f"/v1/contacts/{mine}/export")
    assert len(told["shared_events"]) == 6
    assert "of another" not in json.dumps(told)
    alone = [each for each in told["shared_events"] if each["name"] != "meta.a_field_to_come"]
    assert OTHER not in json.dumps(alone)
    before = len(posted(app))
    erase(app, mine)
    for gone in (CUSTOMER, NAME, WORDS):
        gone_from_the_files(app, tmp_path, gone)
    left = posted(app)
    assert 0 < len(left) < before
    shown = json.dumps(left)
    assert "null" not in json.dumps([each["data"] for each in left if each["name"] != "meta.a_field_to_come"])
    for kept in (
        f"wamid.{OTHER}",
        f"wamid.old.{OTHER}",
        f"wamid.{OTHER}.out",
        f"wamid.group.{OTHER}",
        "a_field_to_come",
    ):
        assert kept in shown
    deliveries = app.get("/v1/deliveries?limit=200")["data"]
    events = {each["id"] for each in left}
    assert {each["state"] for each in deliveries if each["event_id"] in events} == {"pending"}


def test_what_comes_late_of_an_erased_person_is_not_told(app: Served, tmp_path: Path) -> None:
    subscribe(app)
    both(app, unknown=False)
    erase(app, next(each["id"] for each in known(app) if each["name"] == NAME))
    before = len(posted(app))
    both(app, unknown=False)
    meta(app, said("wamid.again"))
    gone_from_the_files(app, tmp_path, WORDS)
    assert len(posted(app)) == before
    fresh = text_message("wamid.fresh", "of another", sender=OTHER)
    cards = [contact(CUSTOMER, NAME), contact(OTHER, "Other")]
    meta(app, value(contacts=cards, messages=[text_message(f"wamid.{CUSTOMER}", WORDS), fresh]))
    late = [each["data"]["entry"][0]["changes"][0]["value"] for each in posted(app)[: len(posted(app)) - before]]
    assert [each["messages"] for each in late] == [[fresh], [fresh]]
    assert [each["contacts"] for each in late] == [[cards[1]], [cards[1]]]
