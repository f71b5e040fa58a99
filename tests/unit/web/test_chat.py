"""Messages as bubbles: whatever a message holds, something is shown; and how far it came, in words."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tellwire.meta.outgoing import types as outgoing
from tellwire.meta.webhooks import messages
from tellwire.web.console.chat import Bubble, bubbles, failure, path_of
from tellwire.web.console.words import has_words

AT = "2026-05-06T03:39:23+00:00"
KINDS = (*messages.TYPES, *outgoing.TYPES, "external", "unknown", "of the future")
JUNK: tuple[Any, ...] = (
    *(None, 5, "x", [], [None], {}, {"body": 5}, {"text": {"body": []}}, [{"name": 5, "phones": [5]}]),
    *({"message": 5}, {"action": 5}, {"action": {"buttons": [5], "sections": [{"rows": 5}]}}, {"components": [5]}),
    *({"latitude": "1;2", "longitude": []}, {"product_items": [5]}, {"nfm_reply": {"name": "flow"}}, {"phones": 5}),
)


def row(direction: str = "incoming", **more: Any) -> dict[str, Any]:
    content = {"type": "text", "text": {"body": "Hello"}}
    return {"id": "1", "direction": direction, "content": content, "status": {}, "created_at": AT, **more}


def shown(*rows: dict[str, Any]) -> list[Bubble]:
    """The bubbles of rows that are given oldest first."""
    return bubbles(rows[::-1], customer="Ana", names={}, templates={})


@pytest.mark.parametrize("kind", dict.fromkeys(KINDS))
def test_whatever_a_message_holds_something_is_shown(kind: str) -> None:
    for direction, part in itertools.product(("incoming", "outgoing"), JUNK):
        (bubble,) = shown(row(direction, content={"type": kind, kind: part}))
        assert bubble.text or bubble.note or bubble.choices or bubble.files, (kind, part)


@pytest.mark.parametrize("content", [{}, {"type": 5}, {"type": None}, {"type": "text", "context": 5}])
def test_a_message_without_a_type_is_shown_too(content: dict[str, Any]) -> None:
    (bubble,) = shown(row(content=content))
    assert bubble.note


@pytest.mark.parametrize(
    ("more", "tick", "again", "is_open"),
    [
        ({"send_state": "scheduled"}, "scheduled", False, True),
        ({"send_state": "queued"}, "queued", False, True),
        ({"send_state": "sending"}, "sending", False, False),
        ({"send_state": "unknown"}, "unknown", True, False),
        ({"send_state": "cancelled"}, "cancelled", True, False),
        ({"send_state": "cancelled", "resent_as": "2"}, "cancelled", False, False),
        ({"send_state": "accepted"}, "sent", False, False),
        ({"send_state": "failed"}, "failed", True, False),
        ({"status": {"sent": AT}}, "sent", False, False),
        ({"status": {"sent": AT, "delivered": AT}}, "delivered", False, False),
        ({"status": {"delivered": AT, "read": AT}}, "read", False, False),
        ({"status": {"read": AT, "played": AT}}, "played", False, False),
        ({"status": {"failed": AT}}, "failed", False, False),
        ({"send_state": "accepted", "status": {"sent": AT, "failed": AT}}, "failed", True, False),
    ],
)
def test_how_far_a_message_came(more: dict[str, Any], tick: str, again: bool, is_open: bool) -> None:
    (bubble,) = shown(row("outgoing", **more))
    assert (bubble.tick, bubble.again, bubble.open) == (tick, again, is_open)
    assert has_words(f"inbox.tick.{tick}")
    assert bool(bubble.cause) == (tick == "failed")


def test_reactions_stand_at_their_message_and_the_last_one_of_each_side_counts() -> None:
    def reaction(emoji: str, to: str = "wamid.1") -> dict[str, Any]:
        return row(content={"type": "reaction", "reaction": {"message_id": to, "emoji": emoji}})

    (bubble,) = shown(row(wa_id="wamid.1"), reaction("a"), reaction("b"))
    assert bubble.reactions == ["b"]
    (bubble,) = shown(row(wa_id="wamid.1"), reaction("a"), reaction(""))
    assert bubble.reactions == []
    first, second = shown(row(wa_id="wamid.1"), reaction("a", "wamid.of another page"))
    assert (first.reactions, "earlier message" in second.note) == ([], True)


def test_an_answer_quotes_what_it_answers() -> None:
    _, answer, other = shown(
        row(wa_id="wamid.1"),
        row("outgoing", content={"type": "text", "text": {"body": "Yes"}, "context": {"message_id": "wamid.1"}}),
        row(content={"type": "text", "text": {"body": "?"}, "context": {"id": "wamid.of another page"}}),
    )
    assert answer.quote is not None
    assert (answer.quote.who, answer.quote.text) == ("Ana", "Hello")
    assert other.quote is not None
    assert other.quote.text == ""


@pytest.mark.parametrize("error", [{}, {"code": None}, {"code": "x", "title": 5}, {"code": 1, "error_data": 5}])
def test_a_failure_always_has_a_cause_and_a_remedy(error: dict[str, Any]) -> None:
    cause, remedy = failure(error, "")
    assert cause
    assert remedy


def test_links_of_ours_are_shown_from_where_the_page_is() -> None:
    assert path_of("https://public.example/media/1?signature=x") == "/media/1?signature=x"
