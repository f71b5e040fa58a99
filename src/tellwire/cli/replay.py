"""Implement `tellwire replay`: send deliveries once more, and tell what became of them."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from tellwire.cli import DONE, FAILED, NOT_FOUND, printing
from tellwire.cli.client import Rejected
from tellwire.cli.ids import Unclear, whole
from tellwire.cli.listing import Since, Until, Yes, confirmed, show
from tellwire.cli.output import Json, print_json
from tellwire.cli.server import Api, talks_to_server
from tellwire.cli.times import moment
from tellwire.errors import BadSettings

AT_ONCE = 200
"""So many are replayed by one call."""
_ON_THE_WAY = {"pending", "delivering"}
_COLUMNS = ("id", "event_name", ("endpoint", lambda row: row["endpoint_name"]), "state", "cause")
_PAUSE = 0.3


@talks_to_server()
def replay(
    api: Api,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="Deliveries; of an event or a message all of its.")
    ] = None,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="All that were given up.")] = False,
    endpoint: Annotated[str, typer.Option(metavar="ID", help="With --failed: only to this endpoint.")] = "",
    since: Since = "",
    until: Until = "",
    to: Annotated[str, typer.Option("--to", metavar="URL", help="To another URL, this once.")] = "",
    new_id: Annotated[
        bool, typer.Option("--new-id", help="Under fresh webhook-ids: for receivers that sort out.")
    ] = False,
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for them.")] = 30,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Send deliveries once more, oldest first, and tell what became of each.

    Exit code 0: all were taken; 1: some were not, or not yet; 4: there are none.
    """
    if bool(ids) is failed:
        raise BadSettings("say what to replay: ids of deliveries, or --failed (with --endpoint and --since)")
    if not failed and (endpoint or since or until):
        raise BadSettings("--endpoint, --since and --until go with --failed")
    rows = _failed(api, endpoint, since, until) if failed else [row for each in ids or () for row in _named(api, each)]
    chosen = {row["id"]: row for row in reversed(rows)} if failed else {row["id"]: row for row in rows}
    if not chosen:
        if json:
            print_json({"data": []})
        printing.err("there is nothing to replay\n")
        return NOT_FOUND
    if failed or len(chosen) > 1:
        told = Counter(row["endpoint_name"] or row["endpoint_id"] for row in chosen.values())
        where = to or ", ".join(f"{count} to {name}" for name, count in told.most_common(3))
        confirmed(f"Send {len(chosen)} deliveries once more ({where})?", yes=yes)
    _ask(api, list(chosen), to=to, new_id=new_id)
    came = follow(api, list(chosen), wait)
    if json:
        print_json({"data": came})
    else:
        show(came, _COLUMNS, as_json=False)
        counts = Counter(row["state"] for row in came)
        printing.err(", ".join(f"{count} {name}" for name, count in counts.most_common()) + "\n")
    return DONE if all(row["state"] == "delivered" for row in came) else FAILED


def follow(
    api: Api,
    ids: Sequence[str],
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Mapping[str, Any]]:
    """Return deliveries once none of them is on its way, or the time is over; in the order of their ids given."""
    until = clock() + seconds
    while True:
        rows = {
            row["id"]: row for start in range(0, len(ids), AT_ONCE) for row in _of(api, ids[start : start + AT_ONCE])
        }
        left = sum(row["state"] in _ON_THE_WAY for row in rows.values())
        if sys.stderr.isatty():
            printing.progress(f"{len(rows) - left} of {len(rows)} answered")
        if not left or clock() >= until:
            return [rows[each] for each in ids if each in rows]
        sleep(_PAUSE)


def _of(api: Api, ids: Sequence[str]) -> list[Mapping[str, Any]]:
    return list(api.call("GET", "deliveries", query={"ids": ",".join(ids), "limit": str(AT_ONCE)})["data"])


def _failed(api: Api, endpoint: str, since: str, until: str) -> list[dict[str, Any]]:
    wanted = {
        "state": "failed",
        "endpoint_id": whole(api, endpoint, "webhook-endpoints", what="endpoint"),
        "since": moment("--since", since),
        "until": moment("--until", until),
    }
    return api.every("deliveries", query={name: value for name, value in wanted.items() if value})


def _named(api: Api, given: str) -> list[dict[str, Any]]:
    """Return the delivery of an id, or the deliveries of the event, the message or the webhook-id that it is of."""
    missing: Unclear | None = None
    for noun, name in (("deliveries", "ids"), ("events", "event_id"), ("messages", "message_id")):
        try:
            found = api.every("deliveries", query={name: whole(api, given, noun, what="delivery, event or message")})
        except Unclear as unclear:
            if unclear.exit_code != NOT_FOUND:
                raise
            missing = unclear
            continue
        if found:
            return found
    if found := api.every("deliveries", query={"webhook_id": given}):
        return found
    raise missing or Unclear(f"there is no delivery {given}, and no event or message that has one", NOT_FOUND)


def _ask(api: Api, ids: Sequence[str], *, to: str, new_id: bool) -> None:
    if to:
        for each in ids:
            api.call("POST", "deliveries", each, "replay", body={"new_id": new_id, "url": to})
        return
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        try:
            api.call("POST", "deliveries", "replay", body={"ids": some, "new_id": new_id})
        except Rejected as refused:
            if start:
                raise Rejected(refused.status, f"{start} were replayed, then: {refused}", refused.problem) from None
            raise
