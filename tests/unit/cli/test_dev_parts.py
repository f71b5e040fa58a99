"""The parts of `tellwire dev` that its acceptance tests cannot corner: joined journeys, kept secrets, lines."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from msgspec.structs import replace
from tests.golden.formats.cases import WRITTEN

import tellwire_sdk
from tellwire.cli.dev.catcher import Catch
from tellwire.cli.dev.chat import ChattingCustomer, act, customer_of
from tellwire.cli.dev.commands import Commands, way_in_words
from tellwire.cli.dev.home import Home, clear, keep, lock, make_home, read_home
from tellwire.cli.dev.journeys import Journey, Journeys
from tellwire.cli.dev.once import arrived
from tellwire.cli.dev.replies import SIMULATED_ONLY, Replies
from tellwire.cli.dev.rest import Rest
from tellwire.cli.dev.screen import Facts, LinePrinter, Screen, banner, journey_line
from tellwire.cli.dev.stack import dev_settings
from tellwire.cli.dev.terminal import typed
from tellwire.errors import AlreadyRunning, TellwireError
from tellwire.http_client.sender import open_sender
from tellwire.model.deliveries import Attempt, Delivery
from tellwire.security.addresses import Reach
from tellwire.simulator import BUSINESS, PEOPLE, Customer, Poster, State, Update
from tellwire.simulator.refusals import PlannedError
from tellwire.verdict.rules import Line
from tellwire.verdict.watch import News

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
        kept = Journeys(arrived=journeys.append, elsewhere=lambda attempt, _: elsewhere.append(attempt))
        kept.know(formats=ENDPOINTS, authors={"person": "you"})
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


@pytest.mark.parametrize(("name", "typed"), [("openbsp", True), ("cloudevents", False)])
def test_what_came_first_under_another_format_does_not_name_the_journey(name: str, *, typed: bool) -> None:
    body = next(case.path.read_bytes() for case in WRITTEN if (case.endpoint.format, case.name) == (name, "outgoing"))

    def test(journeys: Journeys) -> None:
        journeys.know(formats={"e-other": name})
        payload = tellwire_sdk.parse(body) if typed else None
        journeys.caught(replace(caught("row", message_row("w"), "h3"), format=name, payload=payload))
        journeys.attempted(*attempted("e-other", "v1", "h3"))
        journeys.caught(caught("row", message_row("w"), "h1"))
        journeys.attempted(*attempted("e-row", "v1", "h1"))
        journeys.close()

    ((journey,), _) = travelled(test)
    assert (journey.title, journey.wamid, set(journey.stops)) == ("text", "w", {"row", name})


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


OURS: dict[str, Any] = {"direction": "outgoing", "content": {"type": "text", "text": {"body": "Yes."}}}


@pytest.mark.parametrize(
    ("author", "title", "words"),
    [
        ({"agent_id": "person"}, "text by you", "Yes."),
        ({"agent_id": "a-model"}, "text by agent", ""),
        ({}, "text by API", ""),
    ],
)
def test_a_message_of_ours_names_who_wrote_it_and_is_for_rows_alone(
    author: dict[str, str], title: str, words: str
) -> None:
    def test(journeys: Journeys) -> None:
        journeys.caught(caught("row", message_row("", status={"pending": "t"}, **OURS, **author), "h1"))
        journeys.attempted(*attempted("e-row", "v1", "h1"))

    ((journey,), _) = travelled(test)
    assert (journey.title, journey.way, journey.wrote) == (title, ("pending",), words)
    assert "  pending" in journey_line(journey, journey.wrote)


def test_that_meta_took_it_is_for_rows_alone() -> None:
    def test(journeys: Journeys) -> None:
        row = message_row("w", "update", status={"pending": "t"}, **OURS)
        journeys.caught(caught("row", row, "h1", event="messages.update"))
        journeys.attempted(*attempted("e-row", "v1", "h1"))

    ((journey,), _) = travelled(test)
    assert journey.title == "accepted by Meta"
    assert "received" not in journey_line(journey, "")


@pytest.mark.parametrize(("wamid", "received"), [("", False), ("w", True)])
def test_a_refusal_is_received_only_when_a_status_brings_it(wamid: str, *, received: bool) -> None:
    def test(journeys: Journeys) -> None:
        row = message_row(wamid, "update", status={"pending": "t", "failed": "t"}, **OURS)
        journeys.caught(caught("row", row, "h1", event="messages.update"))
        journeys.attempted(*attempted("e-row", "v1", "h1"))
        journeys.close()

    ((journey,), _) = travelled(test)
    assert ("received" in journey_line(journey, "")) is received


def test_a_status_of_ours_waits_for_both_formats_and_shows_the_way_so_far() -> None:
    error = {"code": 131026, "title": "Message undeliverable"}

    def test(journeys: Journeys) -> None:
        row = message_row("w", "update", status={"pending": "t", "failed": "t", "errors": [error]}, **OURS)
        journeys.caught(caught("row", row, "h1", event="messages.update"))
        journeys.attempted(*attempted("e-row", "v1", "h1"))
        failed = CHAT_STATUS.replace(b'"read"', b'"failed"')
        journeys.caught(caught("chat", failed, "h2", event="messages.update"))
        journeys.attempted(*attempted("e-chat", "v1", "h2"))

    ((journey,), _) = travelled(test)
    assert (journey.title, set(journey.stops)) == ("status failed", {"row", "chat"})
    assert journey_line(journey, "").endswith("message m1  pending → failed (131026 Message undeliverable)")


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
    reply = {"id": "r", "direction": "outgoing"}
    status = {"pending": "t", "sent": "t", "delivered": "t"}
    pieces = [
        caught("row", CONVERSATION, "h0", event="conversations.insert", message_id=""),
        caught("row", message_row("w"), "h1"),
        caught("chat", CHAT, "h2"),
        caught("row", message_row("o", "update", **reply, status=status), "h3", message_id="r"),
        caught("row", message_row("o", "update", **reply, status={"read": "t"}), "h4", message_id="r"),
        *(
            caught("chat", CHAT_STATUS.replace(b'"read"', b'"%s"' % name), f"h-{name!r}", message_id="r")
            for name in (b"sent", b"delivered", b"read")
        ),
    ]
    assert arrived(pieces, {"w"}, "r", FORMATS)
    for missing in range(len(pieces)):
        assert not arrived(pieces[:missing] + pieces[missing + 1 :], {"w"}, "r", FORMATS)
    assert not arrived(pieces, {"w", "another"}, "r", FORMATS)


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
    return Screen(LinePrinter(as_json=False, on_closed=lambda: None))


def test_what_does_not_work_is_printed_with_its_remedy_and_when_it_works_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = Line(kind="number_unknown", cause="3 items for the id 777.")
    screen().trouble(News([line], []))
    said = capsys.readouterr().out
    assert f"✗ {line.title} 3 items for the id 777.\n" in said
    assert line.remedy in said
    screen().trouble(News([], [line]))
    assert f"✓ no longer: {line.title}" in capsys.readouterr().out
    Screen(LinePrinter(as_json=True, on_closed=lambda: None)).trouble(News([line], [line]))
    first, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["event"], first["kind"], first["remedy"]) == ("trouble", "number_unknown", line.remedy)
    assert last["event"] == "trouble_over"


def test_only_what_the_simulated_customer_wrote_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    update = Customer(PEOPLE[0], BUSINESS, Random(1)).text("Hello!", at=1)
    shown = screen()
    shown.before(update)
    for wamid in (update.wamid, "wamid.somebody-else"):
        shown.arrived(Journey(event="messages.insert", title="text", wamid=wamid, row="message m1"))
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith('message m1  "Hello!"')
    assert second.endswith("message m1")


def test_the_first_lines_hold_a_key_of_ours_and_not_one_of_the_users_own() -> None:
    home: Home = make_home(FORMATS)
    facts = Facts(url="http://x", console="http://x/login/link/s", key=home.admin_key, graph="g", data="d")
    assert home.admin_key in banner(facts, home)
    own = replace(facts, key="$TELLWIRE_ADMIN_KEY", notes=["moved"])
    assert home.admin_key not in banner(own, home)
    assert "moved" in banner(own, home)


@pytest.mark.parametrize("simulated", [True, False])
def test_the_first_lines_fit_a_terminal_of_80_columns(simulated: bool) -> None:
    home: Home = make_home(FORMATS)
    facts = Facts(
        url="http://127.0.0.1:48700",
        console=f"http://127.0.0.1:48700/login/link/{'s' * 43}",
        key=home.admin_key,
        graph="http://127.0.0.1:48703  (simulated)",
        simulated=simulated,
        agent="a scripted demo agent answers, no model  (--no-agent: nobody)",
        data="/home/somebody/project/.tellwire",
    )
    assert [line for line in banner(facts, home).splitlines() if len(line) > 80] == []


def test_messages_that_leave_the_machine_are_said_to() -> None:
    home: Home = make_home(FORMATS)
    here = Facts(url="http://x", console="http://x/login/link/s", key="k", graph="g", data="d")
    assert "nothing leaves this machine" in banner(here, home)
    away = banner(replace(here, simulated=False), home)
    assert "nothing leaves" not in away
    assert "go to TELLWIRE_META_GRAPH_URL" in away
    assert "/v1/messages" not in away


# --- settings ---------------------------------------------------------------------------------------------------------


def test_an_own_graph_url_is_used_but_not_by_the_run_that_ends_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home, database = make_home(FORMATS), tmp_path / "tellwire.db"
    assert dev_settings(home, database, keep_database=True).meta_graph_url == ""
    monkeypatch.setenv("TELLWIRE_META_GRAPH_URL", "https://graph.example/v24.0")
    assert dev_settings(home, database, keep_database=True).meta_graph_url == "https://graph.example/v24.0"
    assert dev_settings(home, database, keep_database=False).meta_graph_url == ""


# --- what is typed ----------------------------------------------------------------------------------------------------


def test_lines_come_whole_and_end_with_the_input() -> None:
    async def run() -> list[str]:
        reading, writing = os.pipe()
        os.write(writing, "  one\nzwölf\n\nno end".encode())
        os.close(writing)
        try:
            return [line async for line in typed(reading)]
        finally:
            os.close(reading)

    assert asyncio.run(run()) == ["one", "zwölf", "", "no end"]


def test_no_input_is_an_end() -> None:
    async def run() -> list[str]:
        reading, writing = os.pipe()
        os.close(reading)
        os.close(writing)
        return [line async for line in typed(reading)]

    assert asyncio.run(run()) == []


class Told:
    """What `Commands` and `Replies` say."""

    def __init__(self) -> None:
        self.not_sent_because: list[str] = []
        self.answers: list[tuple[str, str]] = []

    def answered(self, command: str, text: str) -> None:
        self.answers.append((command, text))

    def whole_id(self, identifier: str) -> str:
        return identifier

    def not_sent(self, status: int | None, cause: str) -> None:
        self.not_sent_because.append(f"{status}: {cause}")

    def paused(self, conversation_id: str) -> None:
        raise AssertionError(conversation_id)

    resumed = paused


async def lines(*said: str) -> AsyncIterator[str]:
    for each in said:
        yield each


def take(told: Told, rest: Rest, *said: str, simulated: bool = True) -> list[object]:
    """Let lines be typed; return what the simulated customer did."""
    acts: list[object] = []

    async def run() -> None:
        sender, state = open_sender(reach=Reach()), State()
        poster = Poster(sender, "http://127.0.0.1:1", "")
        customer = ChattingCustomer(state, poster, before=acts.append, after=lambda *_: None)
        replies = Replies(rest, told, person="p", simulated=simulated, answer=None)
        commands = Commands(rest, told, replies, customer, phone=None, simulator=state if simulated else None)
        await commands.take_all(lines(*said))
        acts.append(state.next_error())
        acts.append(state.knobs.latency)
        await sender.close()
        state.media_files.close()

    asyncio.run(run())
    return acts


NOBODY = Rest("http://127.0.0.1:1", "key")
"""A server that would say why it cannot be reached: a line that is sent to it is seen."""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/hepl", "did you mean /help?"),
        ("/status", "see /help"),
        ("/", "see /help"),
        ("/Fail 131026", "did you mean /fail?"),
        ("/help me", "takes nothing"),
        ("/as", "Lucía, João, Asha"),
        ("/as Lucas Hello", "did you mean Lucía?"),
        ("/media photo", "image, video, audio, document, sticker"),
        ("/fail", "131026 (Message undeliverable)"),
        ("/fail 131062a", "131026"),
        ("/fail 131999", "did you mean"),
        ("/slow", "such as 2s"),
        ("/slow 2h", "such as 2s"),
        ("/slow 11m", "up to 10m"),
        ("/slow ²s", "such as 2s"),
        ("/fail ²", "131026"),
        ("/why", "takes an id"),
        ("/resume", "nobody has written yet"),
    ],
)
def test_a_wrong_command_is_an_error_and_never_a_message(line: str, said: str) -> None:
    told = Told()
    acts = take(told, NOBODY, line)
    assert acts == [None, 0.0]
    [cause] = told.not_sent_because
    assert said in cause
    assert "no server" not in cause, "nothing was sent"
    assert told.answers == []


@pytest.mark.parametrize(("line", "goes"), [("//help is a word", True), ("Hello", True), ("", False)])
def test_what_is_no_command_is_sent(line: str, *, goes: bool) -> None:
    told = Told()
    take(told, NOBODY, line)
    assert len(told.not_sent_because) == goes
    assert all("127.0.0.1:1" in each for each in told.not_sent_because)


def test_commands_turn_the_simulator_and_let_its_customers_act() -> None:
    told = Told()
    *updates, error, latency = take(told, NOBODY, "/fail 131026", "/slow 1500ms", "/as joao ¿Hola?", "/media", "/help")
    assert told.not_sent_because == []
    written, image = cast("list[Update]", updates)
    assert (written.person, written.item["text"]["body"]) == (PEOPLE[1], "¿Hola?")
    assert (image.person, image.item["type"]) == (PEOPLE[1], "image")
    assert (cast("PlannedError", error).code, latency) == (131026, 1.5)
    assert [command for command, _ in told.answers] == ["/fail", "/slow", "/as", "/help"]
    for name in ("/help", "/as", "/media", "/fail", "/slow", "/why", "/open", "/resume"):
        assert f"\n  {name}" in f"\n{told.answers[-1][1]}"


@pytest.mark.parametrize("line", ["/fail 131026", "/slow 2s"])
def test_a_meta_that_is_not_ours_is_not_turned(line: str) -> None:
    told = Told()
    take(told, NOBODY, line, simulated=False)
    assert told.not_sent_because == [f"None: {SIMULATED_ONLY}"]


def test_the_way_of_a_message_is_told_in_words() -> None:
    step = {"state": "failed", "at": None, "title": "Meta refused it.", "detail": "131026", "remedy": "Ask them."}
    answer = {"query": "x", "matches": [], "notes": ["A note."], "journey": {"steps": [step]}}
    assert [line.strip() for line in way_in_words(answer)] == ["✗           Meta refused it.", "131026", "Ask them."]
    assert "nothing is known of x" in way_in_words(answer | {"journey": None})[0]


def test_what_is_typed_for_simulated_people_goes_to_no_real_meta() -> None:
    told = Told()
    replies = Replies(NOBODY, told, person="p", simulated=False, answer=None)
    asyncio.run(replies.send("Hello"))
    incoming = message_row("w", conversation_id="c", **{"from": PEOPLE[1].wa_id})
    replies.caught(caught("row", incoming, "h1"))
    asyncio.run(replies.send("Hello"))
    assert told.not_sent_because == ["None: " + SIMULATED_ONLY] * 2


def test_a_server_that_is_not_there_costs_a_line_and_no_more() -> None:
    told = Told()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    take(told, Rest(f"http://127.0.0.1:{port}", "key"), "Hello", "/resume")
    assert f"127.0.0.1:{port}" in told.not_sent_because[0]
    assert told.not_sent_because[1] == "None: nobody has written yet"


def test_a_reply_that_was_read_is_answered_once() -> None:
    answered: list[str] = []

    async def run() -> None:
        done = asyncio.Event()

        async def answer(wamid: str) -> None:
            answered.append(wamid)
            done.set()

        replies = Replies(Rest("http://127.0.0.1:1", "k"), Told(), person="p", simulated=True, answer=answer)
        for agent, status in (("p", {"sent": "t"}), ("p", {"read": "t"}), ("p", {"read": "t"}), ("x", {"read": "t"})):
            row = message_row("w", "update", direction="outgoing", agent_id=agent, status={"pending": "t", **status})
            replies.caught(caught("row", row, "h1", event="messages.update"))
        await asyncio.wait_for(done.wait(), 5)
        await replies.stop()

    asyncio.run(run())
    assert answered == ["w"]


# --- the customer -----------------------------------------------------------------------------------------------------


def test_the_customers_files_can_be_downloaded() -> None:
    state = State()
    customer = customer_of(state)
    [update] = act(state, customer, "document", caption="Your invoice")
    media = update.item["document"]
    assert media["caption"] == "Your invoice"
    assert state.media_files.find(media["id"], state.clock.now()) is not None
    state.media_files.close()


def test_the_customer_answers_no_message_to_somebody_else() -> None:
    async def run() -> None:
        sender, state = open_sender(reach=Reach()), State()
        told: list[object] = []
        story = ChattingCustomer(
            state, Poster(sender, "http://127.0.0.1:1", ""), before=told.append, after=lambda *_: None
        )
        await story.answer("wamid.to-somebody-else")
        await sender.close()
        state.media_files.close()
        assert told == []

    asyncio.run(run())
