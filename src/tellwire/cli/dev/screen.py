"""What `dev` shows on stdout: the banner and the live lines, for people or as JSON, one document a line."""

from __future__ import annotations

import json
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from tellwire import __version__
from tellwire.catcher import Tally
from tellwire.cli.dev.home import FOLDER, Home
from tellwire.cli.dev.journeys import Journey
from tellwire.cli.dev.stack import FORMATS, Stack
from tellwire.model import Attempt, Delivery
from tellwire.ports import Answer
from tellwire.settings import Settings
from tellwire.simulator import Update

_TITLE_WIDTH = 20
_TEXT_WIDTH = 40
_TEXTS = 1000


class Voice:
    """Prints lines at once; when nobody reads any more it calls `unheard` and falls silent."""

    def __init__(self, *, as_json: bool, unheard: Callable[[], None]) -> None:
        self._as_json = as_json
        self._unheard = unheard

    def say(self, text: str, document: Mapping[str, object]) -> None:
        """Print the text, or the document that means the same."""
        try:
            sys.stdout.write((json.dumps(msgspec.to_builtins(document)) if self._as_json else text) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._unheard()


class Screen:
    """Turns what happens into lines. What people write is shown only where our own simulated customer wrote it."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._texts: OrderedDict[str, str] = OrderedDict()

    def ready(self, stack: Stack, home: Home, settings: Settings, *, notes: Sequence[str]) -> None:
        """Where to look and what to try first. A key that is the user's own is not repeated."""
        own = settings.admin_key != home.admin_key
        document: dict[str, object] = {
            "event": "ready",
            "url": stack.url,
            "catcher": stack.catcher_url,
            "api_key": None if own else home.admin_key,
            "secrets": home.secrets,
            "meta_app_secret": home.app_secret,
            "data": _data(settings),
            "notes": notes,
        }
        key = "$TELLWIRE_ADMIN_KEY" if own else home.admin_key
        self._voice.say(banner(stack.url, home, key=key, data=_data(settings), notes=notes), document)

    def before(self, update: Update) -> None:
        """A simulated customer is about to do something."""
        body = update.item.get("text", {}).get("body", "")
        if body:
            self._texts[update.wamid] = body
            if len(self._texts) > _TEXTS:
                self._texts.popitem(last=False)

    def after(self, update: Update, answer: Answer) -> None:
        """It was answered; an answer other than 200 has no journey and is told here."""
        if answer.status != 200:
            said = answer.body.decode("utf-8", "replace").strip() or answer.cause
            document = {"event": "refused", "what": update.title, "status": answer.status, "cause": said}
            self._voice.say(f"{_now()}  {update.title:<{_TITLE_WIDTH}}  refused: {answer.status} {said}", document)

    def arrived(self, journey: Journey) -> None:
        """What became of an event."""
        deliveries = {
            name: {"status": stop.status, "verified": stop.verified, "error": stop.error or None}
            for name, stop in journey.stops.items()
        }
        document: dict[str, object] = {
            "event": journey.event,
            "what": journey.title,
            "row": journey.row,
            "deliveries": deliveries,
        }
        text = self._texts.get(journey.wamid, "") if journey.event == "messages.insert" else ""
        self._voice.say(f"{_now()}  {journey_line(journey, text)}", document)

    def elsewhere(self, attempt: Attempt, delivery: Delivery) -> None:
        """What an attempt at an endpoint of the user's own came to."""
        document = {
            "event": "attempt",
            "endpoint_id": delivery.endpoint_id,
            "delivery_id": delivery.id,
            "number": attempt.number,
            "outcome": attempt.outcome,
            "status": attempt.response_status or None,
            "cause": attempt.cause or None,
        }
        outcome = (
            f"delivered {attempt.response_status}" if attempt.outcome == "delivered" else f"failed: {attempt.cause}"
        )
        self._voice.say(f"{_now()}  → {attempt.url}  {outcome}  (attempt {attempt.number})", document)

    def stopped(self, tallies: Mapping[str, Tally], settings: Settings) -> None:
        """The last line: what came of it and where the data is."""
        words = ", ".join(f"{name} {tally.verified} of {tally.received} verified" for name, tally in tallies.items())
        text = f"\nStopped: {words}. Your data stays in {_data(settings)}; `tellwire dev --fresh` starts without it."
        self._voice.say(text, {"event": "stopped", "formats": tallies, "data": _data(settings)})


def banner(url: str, home: Home, *, key: str, data: str, notes: Sequence[str]) -> str:
    """The first lines."""
    lines = [
        f"Tellwire {__version__} · simulator ON: no Meta account needed, nothing leaves this machine",
        "",
        f"  status page      {url}/",
        f"  API document     {url}/openapi.json",
        f"  API key          {key}",
        *(f"  signing secret   {secret}  ({name})" for name, secret in home.secrets.items()),
        f"  Meta webhook     {url}/meta/webhook  (app secret {home.app_secret})",
        f"  data             {data}  (kept; --fresh starts without)",
        *(f"  note             {note}" for note in notes),
        "",
        "To send everything to your own code too, as `row` or as `chat`:",
        f"  curl -X POST {url}/v1/webhook-endpoints -H 'Content-Type: application/json' \\",
        f'    -H "Authorization: Bearer {key}" -d \'{{"url": "http://127.0.0.1:3000/webhook", "format": "row"}}\'',
        "",
        "Ctrl-C stops everything. A simulated customer:",
        "",
    ]
    return "\n".join(lines)


def journey_line(journey: Journey, text: str) -> str:
    """What became of an event; `text` is what a simulated customer wrote, "" for anything else."""
    cut = text if len(text) <= _TEXT_WIDTH else f"{text[: _TEXT_WIDTH - 1]}…"
    steps = ["received", "stored"]
    for name, stop in sorted(journey.stops.items(), key=lambda each: FORMATS.index(each[0])):
        proof = "verified" if stop.verified else stop.error or "not verified"
        steps.append(f"{'delivered' if 200 <= stop.status < 300 else 'failed'} {name} {stop.status} ({proof})")
    said = f'"{cut}"' if cut else ""
    return f"{journey.title:<{_TITLE_WIDTH}}  {' → '.join(steps)}  {journey.row}  {said}".rstrip()


def _data(settings: Settings) -> str:
    """Where the data is: the folder of `dev`, or the database that the settings name."""
    path = settings.sqlite_path
    inside = path is not None and path.parent == FOLDER
    return str(FOLDER.resolve()) if inside or path is None else str(path.resolve())


def _now() -> str:
    return f"{datetime.now():%H:%M:%S}"  # noqa: DTZ005 - the user's own time
