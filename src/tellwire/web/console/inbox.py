"""Serve `/inbox`: who wrote, and who waits for an answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from litestar import Response, get
from msgspec import Struct

from tellwire.model.units import MICROS, Micros
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit
from tellwire.web.console.words import words
from tellwire.web.request import StateDependency

_FILTERS = ("label", "assignee", "status", "unread", "q", "cursor")
_HOUR = 3600


class Window(Struct, frozen=True):
    """Whether one may write freely to a customer: `state` is open, soon (it closes within two hours), closed or
    unknown; `words` say it, `left` says it in brief."""

    state: str
    words: str
    left: str

    @property
    def shape(self) -> str:
        """Return the kind of state that templates show it as."""
        return {"open": "good", "soon": "waiting", "closed": "bad", "unknown": "none"}[self.state]


def window_of(conversation: Mapping[str, Any], now: Micros) -> Window:
    """Return what is known of the customer service window of a conversation as the API shows it."""
    closes_at = conversation["window_closes_at"]
    if closes_at is None:
        return Window("unknown", words("inbox.window.unknown"), words("inbox.window.unknown_left"))
    closes = datetime.fromisoformat(closes_at)
    seconds = int((closes - datetime.fromtimestamp(now // MICROS, UTC)).total_seconds())
    if seconds <= 0:
        return Window("closed", words("inbox.window.closed"), words("inbox.window.closed_left"))
    hours, minutes = seconds // _HOUR, max(seconds // 60, 1)
    left = words("inbox.window.hours", count=hours) if hours else words("inbox.window.minutes", count=minutes)
    state = "open" if hours >= 2 else "soon"
    return Window(state, words("inbox.window.open", left=left), words("inbox.window.left", left=left))


def name_of(conversation: Mapping[str, Any]) -> str:
    """Return how the customer of a conversation is called: by name, else by number; a group by its id."""
    contact = conversation["contact"] or {}
    return (
        contact.get("name")
        or contact.get("username")
        or number_of(conversation)
        or (words("inbox.group") if conversation["group_id"] else words("inbox.somebody"))
    )


def number_of(conversation: Mapping[str, Any]) -> str:
    """Return the number of the customer of a conversation as people write it, "" for none."""
    number = str((conversation["contact"] or {}).get("phone", "")).removeprefix("+")
    return f"+{number}" if number else ""


@get("/inbox", opt={"scopes": ("read", "inbox")}, include_in_schema=False)
async def inbox(visit: VisitDependency, app_state: StateDependency) -> Response[bytes]:
    """The conversations, that with the newest message first."""
    chosen = {name: visit.query.get(name, "") for name in _FILTERS}
    me = visit.session.stored.member_id
    query = dict(chosen) | ({"assignee": me or "none"} if chosen["assignee"] == "me" else {})
    found = await visit.api.part("/conversations", order="activity", limit=50, **query)
    labels = await visit.api.part("/labels", limit=200)
    people = await visit.api.part("/conversations/assignees")
    now = app_state.services.clock.now()
    rows = [
        {"row": row, "name": name_of(row), "window": window_of(row, now)}
        for row in (found.data["data"] if found.data else ())
    ]
    return visit.page(
        "inbox.html",
        found=found,
        rows=rows,
        labels=sorted(labels.data["data"], key=_name) if labels.data else [],
        people=people.data["data"] if people.data else [],
        chosen=chosen,
        filtered=any(chosen.values()),
        me=me,
    )


def _name(named: Mapping[str, Any]) -> str:
    return str(named["name"]).casefold()


def may_write(visit: Visit) -> bool:
    """Return whether the person may answer and note things."""
    return visit.may("messages:write")


HANDLERS = (inbox,)
