"""A message, its edits and its revocation, in any order and grouping: one end, and what a revocation erases first is
never told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct
from tests.inbox.sends import waited
from tests.world import DISPLAY, START, WABA, World, contact, incoming, status, value

SECOND = 1_000_000
SENT_AT = START // SECOND
REVOKED_AT = SENT_AT + 20
FIELDS = {"customer": "messages", "echo": "smb_message_echoes", "past": "history"}
PARTS = {
    "customer": ("original", "edit 5", "edit 9", "edit 9b", "revoke"),
    "echo": ("original", "status", "edit 5", "edit 9", "edit 9b", "revoke"),
    "past": ("original", "placeholder", "edit 5", "edit 9", "edit 9b", "revoke"),
}
"""What may come, by where the message is from. `edit 9b` is of the same second as `edit 9`. A `status` makes an
external row of a message that other software sent; a `placeholder` stands for a file of the past."""
TEXTS = ("original", "edit 5", "edit 9", "edit 9b")


class Arrangement(Struct, frozen=True):
    """`posts`: what comes in each POST, in order; `waits`: before which of them a minute passes."""

    origin: str
    posts: tuple[tuple[str, ...], ...]
    waits: frozenset[int] = frozenset()
    on_revoke: str = "keep"

    @property
    def steps(self) -> list[str]:
        """What comes, in the order in which it is applied: of one POST messages before statuses."""
        return [each for post in self.posts for each in sorted(post, key=lambda name: name == "status")]


@st.composite
def arrangements(draw: Any) -> Arrangement:
    origin = draw(st.sampled_from(sorted(PARTS)))
    more = draw(st.lists(st.sampled_from(PARTS[origin]), max_size=6))
    steps = draw(st.permutations(["original", *more]))
    ends = sorted({*draw(st.sets(st.integers(1, len(steps)), max_size=4)), len(steps)})
    posts = tuple(tuple(steps[start:end]) for start, end in zip([0, *ends], ends, strict=False))
    waits = draw(st.frozensets(st.integers(0, len(posts) - 1), max_size=2))
    return Arrangement(origin, posts, waits, draw(st.sampled_from(("keep", "erase"))))


def body_of(origin: str, text: str) -> dict[str, Any]:
    if origin == "past":
        return {"type": "image", "image": {"id": f"media-{text}", "sha256": text, "caption": text}}
    return {"type": "text", "text": {"body": text}}


def told(number: int, step: str) -> str:
    """The text that one part of a message has."""
    return f"words of {step!r} in {number}"


def item_of(origin: str, number: int, step: str) -> tuple[str, dict[str, Any]]:
    """The webhook field and the value of one part."""
    wamid, customer = f"wamid.{number}", f"52155{number:08}"
    if step == "status":
        return "messages", value(statuses=[status(wamid, "sent", SENT_AT, to=customer)])
    sender = {"from": DISPLAY, "to": customer} if origin == "echo" else {"from": customer}
    message: dict[str, Any] = sender | {"id": wamid, "timestamp": str(SENT_AT)}
    match step.split():
        case ["original"]:
            message |= body_of(origin, told(number, step))
        case ["placeholder"]:
            message |= {"type": "media_placeholder"}
        case ["revoke"]:
            message |= {"id": f"{wamid}.r", "timestamp": str(REVOKED_AT), "type": "revoke"}
            message["revoke"] = {"original_message_id": wamid}
        case ["edit", at]:
            message |= {"id": f"{wamid}.{at}", "timestamp": str(SENT_AT + int(at.strip("b"))), "type": "edit"}
            message["edit"] = {"original_message_id": wamid, "message": body_of(origin, told(number, step))}
    if origin == "echo":
        return FIELDS[origin], value(message_echoes=[message])
    if origin == "past":
        message["history_context"] = {"status": "READ"}
        return FIELDS[origin], value(history=[{"threads": [{"id": customer, "messages": [message]}]}])
    return FIELDS[origin], value(contacts=[contact(customer)], messages=[message])


def post_of(origin: str, number: int, steps: Sequence[str]) -> dict[str, Any]:
    changes = [{"field": field, "value": given} for field, given in (item_of(origin, number, step) for step in steps)]
    return {"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": changes}]}


async def play(world: World, given: Arrangement, number: int) -> None:
    """Send an arrangement and check its end, and what was told on the way."""
    await world.set_account(on_revoke=given.on_revoke)
    before = len(await world.events())
    for place, post in enumerate(given.posts):
        if place in given.waits:
            world.clock.move(61 * SECOND)
            await waited(world)
        await world.post_body(post_of(given.origin, number, post))
    events = (await world.events())[before:]
    rows = [json.loads(bytes(event.snapshot.row)) for event in events]
    final = next(row for row in reversed(rows) if row.get("wa_id") == f"wamid.{number}")
    assert shown(final) == expected(given, number)
    if given.on_revoke == "erase" and "revoke" in given.steps:
        since = given.steps.index("revoke")
        late = [told(number, step) for step in TEXTS if step in given.steps and given.steps.index(step) > since]
        seen = b"".join(bytes(event.snapshot.row) for event in events).decode()
        assert [text for text in late if text in seen] == []


def shown(row: dict[str, Any]) -> dict[str, Any]:
    content = {key: row["content"][key] for key in row["content"] if key in ("type", row["content"]["type"])}
    files = [file["sha256"] for file in row.get("media", ())]
    return {"content": content, "status": [name for name in row["status"] if name != "pending"], "files": files}


def expected(given: Arrangement, number: int) -> dict[str, Any]:
    edits = [step for step in ("edit 5", "edit 9", "edit 9b") if step in given.steps]
    content = body_of(given.origin, told(number, edits[-1] if edits else "original"))
    files = [told(number, edits[-1] if edits else "original")] if given.origin == "past" else []
    revoked = "revoke" in given.steps
    if revoked and given.on_revoke == "erase":
        content, files = {"type": content["type"]}, []
    reached = {"customer": [], "echo": ["sent"], "past": ["read"]}[given.origin]
    return {
        "content": content,
        "status": [*reached, *(["edited"] if edits else []), *(["deleted"] if revoked else [])],
        "files": files,
    }


async def opened_account(world: World) -> None:
    """Make the account that the arrangements speak of."""
    await world.post(incoming("wamid.first"))
