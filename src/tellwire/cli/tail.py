"""Implement `tellwire tail`: follow what happens, one line an event."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer

from tellwire.cli import printing
from tellwire.cli.client import Client, NoServer, Rejected, ServerEvent
from tellwire.cli.ids import whole
from tellwire.cli.listing import Account
from tellwire.cli.nouns.words import says, state, who
from tellwire.cli.output import DIM, columns, cut, painted, print_json
from tellwire.cli.server import talks_to_server
from tellwire.cli.short_ids import short
from tellwire.cli.times import moment

INTERRUPTED = 130
"""The exit code after Ctrl-C, as of every program that it ends (128 + SIGINT)."""
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 30.0
_FIRST_ID = "00000000-0000-7000-8000-000000000000"
_BUSY = 429
_LEAST = 30


@talks_to_server()
def tail(
    api: Client,
    *,
    event: Annotated[
        list[str] | None,
        typer.Option("--event", metavar="NAME", help="Only these, such as messages.insert; repeatable."),
    ] = None,
    account: Account = "",
    phone: Annotated[str, typer.Option("--phone", metavar="NUMBER", help="Only with this person.")] = "",
    conversation: Annotated[str, typer.Option(metavar="ID", help="Only of this conversation.")] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="SPAN|TIME", help="Begin then: 10m, 2h, or a time; now unless given.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, metavar="N", help="End after so many; 0: never.")] = 0,
    json: Annotated[bool, typer.Option("--json", "--jsonl", help="One JSON document a line.")] = False,
) -> int:
    """Follow the events, one line each, until Ctrl-C. A break of the connection loses none.

    It goes on by itself when the server comes back. Exit code 130 after Ctrl-C.
    """
    talk = whole(api, conversation, "conversations")
    accounts = _Accounts(api, account)
    told = 0
    try:
        for each in followed(api, _start(api, moment("--since", since))):
            payload = msgspec.json.decode(each.data)
            if not _wanted(each, payload["data"], names=event or [], phone=phone, talk=talk):
                continue
            if account and not accounts.has(each.id, payload["data"]):
                continue
            _print(each, payload, as_json=json)
            told += 1
            if told == limit:
                break
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def followed(api: Client, after: str) -> Iterator[ServerEvent]:
    """Yield the events after an id, for ever: when the stream breaks, from the last one on, without a gap.

    Raises:
        NoServer: there was no server at the beginning.
        Rejected: the server refuses the stream.
    """
    wait, reached = _FIRST_WAIT, False
    while True:
        said = "the server ended the stream"
        try:
            for each in api.stream("events", "stream", after=after):
                after, wait, reached = each.id, _FIRST_WAIT, True
                yield each
            reached = True
        except NoServer as gone:
            if not reached and not _answers(api):
                raise
            said = str(gone)
        except Rejected as refused:
            if refused.status != _BUSY and refused.status < 500:
                raise
            said = str(refused)
        reached = True
        if wait >= 1:
            printing.err(f"tellwire: {said}; trying again in {wait:.0f} s\n")
        time.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT)


def _answers(api: Client) -> bool:
    """Return whether the server answers at all, so that only the stream broke."""
    try:
        api.exchange("GET", "/livez")
    except NoServer:
        return False
    return True


def _start(api: Client, since: str) -> str:
    """Return the id after which to begin: the newest one now, so that nothing is missed before the first event."""
    if since:
        made = f"{int(datetime.fromisoformat(since).timestamp() * 1000):012x}"
        return f"{made[:8]}-{made[8:]}-7000-8000-000000000000"
    newest = api.call("GET", "events", query={"limit": "1"})["data"]
    return str(newest[0]["id"]) if newest else _FIRST_ID


class _Accounts:
    """Which account events are of: their rows do not say it, so the server is asked once for each conversation."""

    def __init__(self, api: Client, account: str) -> None:
        self._api = api
        self._wanted = str(api.call("GET", "accounts", account)["id"]) if account else ""
        self._known: dict[str, bool] = {}

    def has(self, event_id: str, row: Mapping[str, Any]) -> bool:
        """Return whether an event is of the account that is wanted."""
        key = str(row.get("conversation_id") or event_id)
        if key not in self._known:
            found = self._api.call("GET", "events", event_id)
            self._known[key] = found["account_id"] == self._wanted
        return self._known[key]


def _wanted(each: ServerEvent, row: Mapping[str, Any], *, names: list[str], phone: str, talk: str) -> bool:
    if names and each.event not in names:
        return False
    if talk and talk not in (row.get("conversation_id"), row.get("id")):
        return False
    if not phone:
        return True
    contact = row.get("contact") or {}
    addresses = (
        contact.get("phone"),
        contact.get("user_id"),
        row.get("from"),
        row.get("to"),
        row.get("contact_address"),
    )
    digits = _digits(phone)
    return any(each and (each == phone or _digits(str(each)) == digits) for each in addresses)


def _digits(address: str) -> str:
    return re.sub(r"\D", "", address) or address


def _print(each: ServerEvent, payload: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({"id": each.id, "event": each.event, **payload})
        return
    row = payload["data"]
    at = datetime.fromtimestamp(int(each.id.replace("-", "")[:12], 16) / 1000).astimezone()
    line = [f"{each.event:<20}"]
    if "direction" in row:
        line += ["←" if row["direction"] == "incoming" else "→", who(row), "·", says(row)]
        line += [] if row["direction"] == "incoming" else [f"({state(row)})"]
    elif "contact_address" in row:
        line += [who(row), "·", str(row.get("status", ""))]
    else:
        line.append(printing.on_one_line(str(row.get("title") or row.get("cause") or row.get("kind") or "")))
    said, end = " ".join(line), short(each.id)
    if room := columns():
        said = cut(said, max(_LEAST, room - len("00:00:00 ") - len(f"  {end}")))
    printing.out(f"{painted(f'{at:%H:%M:%S}', DIM)} {said}  {painted(end, DIM)}\n")
    sys.stdout.flush()
