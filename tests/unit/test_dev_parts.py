"""The parts of `tellwire dev` that its acceptance tests cannot corner: joined journeys, kept secrets, lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

import tellwire_sdk
from tellwire.catcher import Catch
from tellwire.cli.dev.home import Home, clear, keep, lock, make_home, read_home
from tellwire.cli.dev.journeys import Journey, Journeys
from tellwire.cli.dev.once import arrived
from tellwire.cli.dev.screen import Screen, Voice, banner, journey_line
from tellwire.errors import AlreadyRunning, TellwireError
from tellwire.model import Attempt, Delivery
from tellwire.simulator import BUSINESS, PEOPLE, Customer

FORMATS = ("row", "chat")
ENDPOINTS = {"e-row": "row", "e-chat": "chat"}


def message_row(wamid: str, action: str = "insert", **columns: Any) -> bytes:
    data = {"id": "m1", "direction": "incoming", "content": {"type": "text", "text": {"body": "x"}}, "wa_id": wamid}
    return json.dumps({"data": data | columns, "entity": "messages", "action": action}).encode()


CONVERSATION = json.dumps(
    {"data": {"id": "c1", "status": "open"}, "entity": "conversations", "action": "insert"}
).encode()
CHAT = json.dumps(
    {
        "message_type": "incoming_message",
        "participants": {"sender": {}, "receiver": {}},
        "message": {"conversation_id": "c", "timestamp": "1", "type": "image"},
    }
).encode()
CHAT_STATUS = json.dumps(
    {
        "message_type": "status_update",
        "participants": {"sender": {}, "receiver": {}},
        "statuses": [{"conversation_id": "c", "status": "read", "timestamp": "1"}],
    }
).encode()


def caught(name: str, body: bytes, webhook_id: str, *, event: str = "messages.insert", message_id: str = "m1") -> Catch:
    headers = {"webhook-id": webhook_id, "tellwire-event": event}
    if message_id:
        headers["tellwire-message-id"] = message_id
    return Catch(format=name, headers=headers, body=body, payload=tellwire_sdk.parse(body))


def attempted(endpoint: str, event_id: str, webhook_id: str, *, status: int = 200) -> tuple[Attempt, Delivery]:
    delivery = Delivery(
        id=f"d-{webhook_id}",
        organization_id="o",
        event_id=event_id,
        endpoint_id=endpoint,
        order_key="k",
        webhook_id=webhook_id,
    )
    attempt = Attempt(
        delivery_id=delivery.id,
        organization_id="o",
        number=1,
        started_at=1,
        outcome="delivered" if status == 200 else "failed",
        cause="" if status == 200 else "connection refused",
        response_status=status,
    )
    return attempt, delivery


def travelled(test: Callable[[Journeys], None]) -> tuple[list[Journey], list[Attempt]]:
    """What was told of journeys, and of attempts elsewhere, before anything was waited for."""
    journeys: list[Journey] = []
    elsewhere: list[Attempt] = []

    async def run() -> None:
        kept = Journeys(ENDPOINTS, arrived=journeys.append, elsewhere=lambda attempt, _: elsewhere.append(attempt))
        test(kept)

    asyncio.run(run())
    return journeys, elsewhere


# --- journeys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", FORMATS)
def test_a_message_has_arrived_when_it_is_there_in_both_formats(first: str) -> None:
    def test(journeys: Journeys) -> None:
        journeys.caught(caught("row", message_row("w"), "h1"))
        journeys.caught(caught("chat", CHAT, "h2"))
        both = {"row": attempted("e-row", "v1", "h1"), "chat": attempted("e-chat", "v1", "h2")}
        journeys.attempted(*both.pop(first))
        journeys.attempted(*both.popitem()[1])

    ((journey,), _) = travelled(test)
    assert (journey.event, journey.wamid, journey.row) == ("messages.insert", "w", "message m1")
    assert {name: (stop.status, stop.verified) for name, stop in journey.stops.items()} == {
        "row": (200, True),
        "chat": (200, True),
    }


def test_a_conversation_is_for_rows_alone() -> None:
    def test(journeys: Journeys) -> None:
        journeys.caught(caught("row", CONVERSATION, "h1", event="conversations.insert", message_id=""))
        journeys.attempted(*attempted("e-row", "v1", "h1"))

    ((journey,), _) = travelled(test)
    assert (journey.title, journey.row) == ("conversation opened", "conversation c1")


def test_a_status_is_called_by_the_one_that_chat_names() -> None:
    def test(journeys: Journeys) -> None:
        row = message_row("w", "update", status={"sent": "t", "read": "t", "failed": "t", "errors": []})
        journeys.caught(caught("row", row, "h1", event="messages.update"))
        journeys.caught(caught("chat", CHAT_STATUS, "h2", event="messages.update"))
        journeys.attempted(*attempted("e-row", "v1", "h1"))
        journeys.attempted(*attempted("e-chat", "v1", "h2"))

    ((journey,), _) = travelled(test)
    assert journey.title == "status read"


def test_an_update_that_is_not_for_chat_is_told_at_the_end() -> None:
    def test(journeys: Journeys) -> None:
        row = message_row("w", "update", status={"pending": "t", "edited": "t"})
        journeys.caught(caught("row", row, "h1", event="messages.update"))
        journeys.attempted(*attempted("e-row", "v1", "h1"))
        journeys.close()

    ((journey,), _) = travelled(test)
    assert (journey.title, list(journey.stops)) == ("status edited", ["row"])


def test_a_failed_attempt_at_the_catcher_is_a_stop_that_is_not_verified() -> None:
    def test(journeys: Journeys) -> None:
        journeys.attempted(*attempted("e-row", "v1", "h1", status=0))
        journeys.close()

    ((journey,), _) = travelled(test)
    (stop,) = journey.stops.values()
    assert (stop.status, stop.verified, stop.error) == (0, False, "connection refused")
    assert "failed row 0 (connection refused)" in journey_line(journey, "")


def test_attempts_at_other_endpoints_are_told_apart() -> None:
    journeys, elsewhere = travelled(lambda journeys: journeys.attempted(*attempted("mine", "v1", "h1")))
    assert journeys == []
    assert [attempt.delivery_id for attempt in elsewhere] == ["d-h1"]


# --- once -------------------------------------------------------------------------------------------------------------


def test_everything_has_arrived_only_with_the_last_piece() -> None:
    pieces = [
        caught("row", CONVERSATION, "h0", event="conversations.insert", message_id=""),
        caught("row", message_row("w"), "h1"),
        caught("chat", CHAT, "h2"),
    ]
    assert arrived(pieces, {"w"})
    for missing in range(len(pieces)):
        assert not arrived(pieces[:missing] + pieces[missing + 1 :], {"w"})
    assert not arrived(pieces, {"w", "another"})


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_secrets_are_made_once_and_only_for_their_owner(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    lock(folder)
    home, made = keep(folder, FORMATS)
    assert made
    assert keep(folder, FORMATS) == (home, False)
    assert read_home(folder) == home
    assert (folder / "dev.json").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert home != make_home(FORMATS)


def test_a_format_that_came_later_makes_everything_anew(tmp_path: Path) -> None:
    lock(tmp_path / "data")
    keep(tmp_path / "data", ("row",))
    home, made = keep(tmp_path / "data", FORMATS)
    assert made
    assert set(home.secrets) == set(FORMATS)


def test_a_folder_is_held_by_one(tmp_path: Path) -> None:
    lock(tmp_path)
    with pytest.raises(AlreadyRunning, match="another `tellwire dev`"):
        lock(tmp_path)


def test_clearing_leaves_the_lock_and_what_links_lead_to(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "data"
    outside.mkdir()
    (outside / "mine").write_text("x")
    lock(folder)
    (folder / "tellwire.db").write_text("x")
    (folder / "media").mkdir()
    (folder / "media" / "file").write_text("x")
    (folder / "link").symlink_to(outside)
    clear(folder)
    assert [path.name for path in folder.iterdir()] == ["dev.lock"]
    assert (outside / "mine").exists()


def test_damaged_secrets_say_how_to_start_anew(tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text("{")
    with pytest.raises(TellwireError, match="--fresh"):
        read_home(tmp_path)
    assert read_home(tmp_path / "nowhere") is None


# --- what is shown ----------------------------------------------------------------------------------------------------


def screen() -> Screen:
    return Screen(Voice(as_json=False, unheard=lambda: None))


def test_only_what_the_simulated_customer_wrote_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    update = Customer(PEOPLE[0], BUSINESS, Random(1)).text("Hello!", at=1)
    shown = screen()
    shown.before(update)
    for wamid in (update.wamid, "wamid.somebody-else"):
        shown.arrived(Journey(event="messages.insert", title="text", wamid=wamid, row="message m1"))
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith('message m1  "Hello!"')
    assert second.endswith("message m1")


def test_an_own_key_is_not_repeated() -> None:
    home: Home = make_home(FORMATS)
    assert home.admin_key in banner("http://x", home, key=home.admin_key, data="d", notes=[])
    assert home.admin_key not in banner("http://x", home, key="$TELLWIRE_ADMIN_KEY", data="d", notes=["moved"])
