"""PURE. Split lists into pages, with the Graph API's cursors.

Source: Meta, "Graph API: paginated results".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from tellwire.simulator.refusals import Refusal

T = TypeVar("T")
_LIMIT = 25


def page(rows: Sequence[T], query: Mapping[str, str], url: str, *, show: Callable[[T], object]) -> dict[str, Any]:
    """Return the page of a list that `limit`, `after` and `before` ask for; `url` is that of the list.

    Raises:
        Refusal: the cursor was not made here.
    """
    limit = int(query["limit"]) if query.get("limit", "").isdecimal() else _LIMIT
    start = _index_of(query["after"]) + 1 if query.get("after") else 0
    if query.get("before"):
        start = max(0, _index_of(query["before"]) - limit)
    shown = rows[start : start + limit]
    if not shown:
        return {"data": []}
    last = start + len(shown) - 1
    paging: dict[str, Any] = {"cursors": {"before": _cursor(start), "after": _cursor(last)}}
    if last + 1 < len(rows):
        paging["next"] = f"{url}?limit={limit}&after={_cursor(last)}"
    return {"data": [show(each) for each in shown], "paging": paging}


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(f"place:{place}".encode()).decode()


def _index_of(cursor: str) -> int:
    with suppress(ValueError):
        word, _, number = base64.urlsafe_b64decode(cursor).decode().partition(":")
        if word == "place":
            return int(number)
    raise Refusal(100, "the cursor is not one of this list")
