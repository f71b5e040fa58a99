"""Implement `tellwire why`: what became of a message, step by step, and what to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tellwire.cli import DONE, FAILED, NOT_FOUND, printing
from tellwire.cli.ids import Unclear, whole
from tellwire.cli.listing import show
from tellwire.cli.output import DIM, GREEN, RED, YELLOW, Json, painted, print_indented, print_json
from tellwire.cli.server import Api, talks_to_server
from tellwire.cli.times import ago

_MARKS = {
    "done": ("✓", GREEN),
    "waiting": ("…", YELLOW),
    "failed": ("✗", RED),
    "missing": ("?", RED),
    "skipped": ("-", DIM),
}
_HAVE_IDS = ("messages", "deliveries", "events", "conversations")
_MATCHES = ("kind", "id", "at", "title")


@talks_to_server()
def why(
    api: Api,
    query: Annotated[
        str,
        typer.Argument(metavar="WHAT", help="A phone number, a name, a wamid, an id, a webhook-id, or words of it."),
    ],
    *,
    json: Json = False,
) -> int:
    """Tell the way of a message in plain words, and what to do where it stopped.

    Where several things fit, they are listed, and the newest message among them is told. Exit code 0: all arrived; 1:
    something failed, or waits, or did not come; 4: nothing was found.
    """
    found = _found(api, query)
    if found["journey"] is None and (newest := _newest(found["matches"])):
        journey = api.call("GET", "why", query={"q": newest["message_id"]})["journey"]
        found = {**found, "journey": journey}
    if json:
        print_json(found)
    else:
        _print(found)
    if not found["matches"] and found["journey"] is None:
        return NOT_FOUND
    return DONE if arrived(found["journey"]) else FAILED


def _found(api: Api, query: str) -> dict[str, Any]:
    found: dict[str, Any] = api.call("GET", "why", query={"q": query})
    if found["matches"] or found["journey"]:
        return found
    for noun in _HAVE_IDS:
        try:
            name = whole(api, query, noun)
        except Unclear as unclear:
            if unclear.exit_code == NOT_FOUND:
                continue
            raise
        if name != query:
            return dict(api.call("GET", "why", query={"q": name}))
    return found


def _newest(matches: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    told = [each for each in matches if each["message_id"]]
    return max(told, key=lambda each: each["at"] or "", default=None)


def arrived(journey: Mapping[str, Any] | None) -> bool:
    """Return whether everything of a journey was done, but for what somebody chose to leave out."""
    return journey is None or all(step["state"] in ("done", "skipped") for step in journey["steps"])


def _print(found: Mapping[str, Any]) -> None:
    matches, journey = found["matches"], found["journey"]
    for note in found["notes"]:
        printing.err(f"{note}\n")
    if not matches and journey is None:
        printing.err(f"nothing is known of {found['query']}; looked for {', '.join(found['looked_for'])}\n")
        return
    if len(matches) > 1 or journey is None:
        show(matches, _MATCHES, as_json=False)
    if journey is None:
        return
    now = time.time()
    contact, account = journey["contact"] or {}, journey["account"] or {}
    between = " and ".join(
        printing.on_one_line(str(each.get("name") or each.get("phone") or each.get("display_phone_number")))
        for each in (contact, account)
        if each
    )
    if len(matches) > 1:
        printing.out("\nThe newest of them")
        printing.out(f", between {between}:\n" if between else ":\n")
    elif between:
        printing.out(f"A message between {between}\n")
    for step in journey["steps"]:
        _print_step(step, now)


def _print_step(step: Mapping[str, Any], now: float) -> None:
    mark, colour = _MARKS[step["state"]]
    at = f"  {painted(ago(step['at'], now) if sys.stdout.isatty() else step['at'], DIM)}" if step["at"] else ""
    printing.out(f"{painted(mark, colour)} {printing.on_one_line(step['title'])}{at}\n")
    for said in (step["detail"], f"→ {step['remedy']}" if step["remedy"] else ""):
        if said:
            print_indented(said)
    for each in step["deliveries"]:
        tries = f", {each['attempts']} tries" if each["attempts"] > 1 else ""
        cause = f": {printing.on_one_line(each['cause'])}" if each["cause"] else ""
        printing.out(f"    {each['id'][-8:]}  {printing.on_one_line(each['event'])}  {each['state']}{tries}{cause}\n")
