"""The lines of `tellwire dev` on a terminal: how wide they are, when they change, when they are put out for good."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from prompt_toolkit.utils import get_cwidth

from tellwire.cli.dev.journeys import Journey, Stop
from tellwire.cli.dev.live import Board, LiveScreen, MessageLine, OwnStop, fitted
from tellwire.cli.dev.screen import colourful
from tellwire.cli.dev.words import name_of, short_id, text_of
from tellwire.cli.printing import on_one_line
from tellwire.formats import FORMATS
from tellwire.model.deliveries import Attempt, Delivery
from tellwire.simulator import PEOPLE

ID = "0199a7c2-4f10-7c3a-9d55-0a1b2c3d4e5f"
GOOD = dict.fromkeys(FORMATS, Stop(status=200, verified=True, ms=12.4))
LINE = MessageLine(id=ID, at="12:00:01", person="Lucía Ejemplo", incoming=True, kind="text", text="Hello!", stops=GOOD)
SENT = replace(LINE, incoming=False, author="you", reached=("pending", "sent"), ms=12.4)


def bare(text: str) -> str:
    """A text without colours."""
    out, rest = "", text
    while "\x1b[" in rest:
        before, _, rest = rest.partition("\x1b[")
        out += before
        rest = rest.partition("m")[2]
    return out + rest


def shown(line: MessageLine, columns: int = 120) -> list[str]:
    return [bare(each) for each in line.shown(columns)]


def board() -> tuple[Board, LiveScreen]:
    """A board with a screen, which puts nothing out by itself."""
    made = Board()
    made.changed = lambda: None
    return made, LiveScreen(made)


@pytest.mark.parametrize("columns", [60, 80, 99, 100, 120, 149, 150, 200])
@pytest.mark.parametrize("text", ["", "Hi", "¿Tienen envío a domicilio? 🚚" * 9, "नमस्ते" * 30, "漢字" * 80])
def test_a_line_is_never_wider_than_the_terminal(columns: int, text: str) -> None:
    for line in (LINE, SENT, replace(SENT, cause="131026 Message undeliverable " * 9, unknown=True)):
        for each in shown(replace(line, text=text), columns):
            assert get_cwidth(each) <= columns, each


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_names_ids_and_what_came_last_are_on_it_however_narrow_it_is(columns: int) -> None:
    [incoming], [outgoing] = shown(LINE, columns), shown(SENT, columns)
    assert "Lucía" in incoming
    assert incoming.endswith(short_id(ID))
    assert "→ Lucía" in outgoing
    assert "✓ sent" in outgoing
    assert "200" in outgoing


def test_a_wide_terminal_names_each_format_and_a_bad_one_is_named_on_every_terminal() -> None:
    assert f"{' '.join(FORMATS)} 200" in shown(LINE, 160)[0]
    bad = {**GOOD, "chat": Stop(status=401, verified=False, error="the signature does not match")}
    line, fault = shown(replace(LINE, stops=bad), 80)
    assert f"{len(FORMATS) - 1} formats 200 → chat 401" in line
    assert fault.strip() == "✗ chat: the signature does not match"


@pytest.mark.parametrize(
    ("status", "tick"),
    [
        ("pending", "◷ pending"),
        ("sent", "✓ sent"),
        ("delivered", "✓✓ delivered"),
        ("read", "✓✓ read"),
        ("failed", "✗ failed"),
    ],
)
def test_ticks_are_those_of_a_phone(status: str, tick: str) -> None:
    assert f"→ {tick}" in shown(replace(SENT, reached=("pending", status)))[0]


def test_an_own_endpoint_stands_in_the_line_and_says_what_to_do() -> None:
    good = replace(LINE, own={"e": OwnStop("127.0.0.1:3000/webhook", 200, delivered=True)})
    assert "→ 127.0.0.1:3000/webhook 200" in shown(good)[0]
    bad = replace(LINE, own={"e": OwnStop("127.0.0.1:3000/webhook", 0, delivered=False, cause="refused", number=2)})
    line, fault = shown(bad)
    assert "127.0.0.1:3000/webhook no answer" in line
    assert fault.strip() == "✗ 127.0.0.1:3000/webhook: refused (attempt 2). Is your server running?"


def test_what_is_cut_stands_whole_below() -> None:
    line, below = shown(replace(LINE, text="A text of a customer who has a good deal to say about it"), 80)
    assert "…" in line
    assert below.strip() == "A text of a customer who has a good deal to say about it"


# --- the board --------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_put_out_and_comes_again_only_if_it_has_changed() -> None:
    kept, _ = board()
    line = kept.line(ID)
    line.kind = "text"
    kept.show(line)
    kept.note("a note")
    assert [bare(each)[-6:] for each in kept.overflow(80, 1)] == [short_id(ID)]
    kept.show(line)
    assert kept.text(80) == ["a note"]
    line.reached = ("pending", "read")
    kept.show(line)
    assert "✓✓ read" in bare(kept.text(80)[-1])


def test_a_note_is_broken_between_words_while_it_may_move_and_whole_in_the_end() -> None:
    kept, _ = board()
    kept.note("word " * 30)
    assert max(map(len, kept.text(40))) <= 40
    assert "".join(kept.text(40)).split() == ["word"] * 30
    assert kept.overflow(40, 0, whole=True) == ["word " * 30]


@pytest.mark.parametrize("columns", [20, 40, 79, 80, 120])
def test_a_link_is_never_cut(columns: int) -> None:
    kept, _ = board()
    link = f"http://127.0.0.1:8700/login/link/{'x' * 43}"
    kept.note(f"12:00:00  /open  {link}")
    lines = kept.text(columns)
    assert max(map(len, lines)) <= columns
    assert link in "".join(lines).replace(" ", "")
    assert columns < len(link) or any(link in line for line in lines), "whole in one line where it fits"


def journey(**fields: object) -> Journey:
    made = Journey(
        event="messages.insert", title="text", row=f"message {ID}", message_id=ID, kind="text", person="Lucía"
    )
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_events_of_a_message_change_its_one_line() -> None:
    kept, screen = board()
    screen.moved(journey(author="you", wrote="Yes.", reached=("pending",), stops=GOOD))
    screen.moved(journey(event="messages.update", author="you", reached=("pending", "sent"), stops=GOOD))
    screen.arrived(journey(event="messages.update", author="you", reached=("pending",)))  # told late
    [line] = kept.text(120)
    assert "you → Lucía" in bare(line)
    assert "Yes." in bare(line)
    assert "✓ sent" in bare(line)
    assert screen.whole_id(short_id(ID)) == ID


def test_an_attempt_elsewhere_belongs_to_the_line_of_its_message() -> None:
    kept, screen = board()
    delivery = Delivery(id="d", organization_id="o", event_id="v", endpoint_id="mine", order_key="k")
    attempt = Attempt(
        delivery_id="d",
        organization_id="o",
        number=1,
        started_at=1,
        outcome="failed",
        cause="connection refused",
        url="http://127.0.0.1:3000/webhook?secret=x",
        request_headers=(("tellwire-message-id", ID),),
    )
    screen.elsewhere(attempt, delivery)
    screen.moved(journey(incoming=True, stops=GOOD))
    text = bare(" ".join(kept.text(120)))
    assert "127.0.0.1:3000/webhook no answer" in text
    assert "secret" not in text
    screen.elsewhere(replace(attempt, request_headers=()), delivery)
    assert "http://127.0.0.1:3000/webhook" in bare(kept.text(120)[-1])


def test_a_message_of_which_nobody_knows_stands_out_until_a_status_settles_it() -> None:
    kept, screen = board()
    screen.moved(journey(author="you", reached=("pending",), stops=GOOD))
    screen.unknown(ID)
    assert "? unknown" in bare(kept.text(120)[0])
    assert "\x1b[1;31m? unknown" in kept.text(120)[0]
    screen.moved(journey(event="messages.update", author="you", reached=("pending", "sent"), stops=GOOD))
    assert "unknown" not in bare(kept.text(120)[0])
    screen.unknown("another")
    assert "message another" in bare(kept.text(120)[-2] + kept.text(120)[-1])


# --- words ------------------------------------------------------------------------------------------------------------


def test_texts_of_strangers_do_not_move_the_cursor() -> None:
    said = on_one_line("a\x1b[2J\r\nb\x9b1m\u202ec\u2028d👩‍👩‍👧")
    assert said == "a [2J  b 1m c d👩‍👩‍👧"


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("text", {"body": "Hi"}, "Hi"),
        ("image", {"caption": "This one"}, "This one"),
        ("reaction", {"emoji": "👍", "message_id": "w"}, "👍"),
        ("interactive", {"body": {"text": "Choose"}}, "Choose"),
        ("sticker", {"id": "1"}, ""),
        ("text", None, ""),
    ],
)
def test_the_text_of_a_message(kind: str, content: object, text: str) -> None:
    assert text_of(kind, content) == text


def test_people_are_called_by_their_names() -> None:
    assert name_of(f"+{PEOPLE[0].wa_id}") == PEOPLE[0].name
    assert name_of("4915100000", {"name": "A\nB"}) == "A B"
    assert name_of("4915100000") == "…0000"
    assert fitted("漢字", 3) == "漢…"


@pytest.mark.parametrize("environ", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_what_is_no_terminal_has_no_colours(environ: dict[str, str]) -> None:
    assert not colourful(environ)  # the tests' own output is none
