"""Print what `dev` shows on stdout: the banner and the live lines, for people or as one JSON document a line."""

from __future__ import annotations

import json
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Struct

from tellwire import __version__
from tellwire.cli import printing
from tellwire.cli.dev.catcher import CatchCounts
from tellwire.cli.dev.home import FOLDER, Home
from tellwire.cli.dev.journeys import Journey
from tellwire.cli.dev.registration import DevAgents
from tellwire.cli.dev.stack import Stack
from tellwire.cli.dev.words import text_of
from tellwire.cli.printing import on_one_line
from tellwire.formats import FORMATS
from tellwire.model.deliveries import Attempt, Delivery
from tellwire.ports.http_out import Answer
from tellwire.settings import Settings
from tellwire.simulator import BUSINESS, PEOPLE, Update
from tellwire.verdict.watch import News

if TYPE_CHECKING:
    from tellwire.cli.dev.live import Board

_TITLE_WIDTH = 20
_GAP = " " * 14
UNKNOWN = (
    "unknown whether Meta took message {0}: its answer never came. It is not sent again by itself; "
    "look at the phone, then POST /v1/messages/{0}/resend or /mark-failed"
)
_TEXT_WIDTH = 130
_KEPT = 1000
_FORMATS = tuple(FORMATS)
_YOURS = "http://127.0.0.1:3000/webhook"
_ENDPOINT = json.dumps({"url": _YOURS, "format": _FORMATS[0]})
_TO = f"+{PEOPLE[0].wa_id}"
_TEXT = {"type": "text", "text": {"body": "Hello from curl"}}
_MESSAGE = ",\n        ".join(
    (json.dumps({"account": BUSINESS.phone_number_id, "to": _TO})[:-1], json.dumps(_TEXT)[1:])
)
"""two lines, so that they fit a terminal"""


class Printer(Protocol):
    """Shows the text, or the document of the same meaning."""

    def say(self, text: str, document: Mapping[str, object]) -> None: ...


class LinePrinter:
    """A printer of lines, flushed at once; when the reader of stdout is gone it calls `on_closed` and stops."""

    def __init__(self, *, as_json: bool, on_closed: Callable[[], None]) -> None:
        self._as_json = as_json
        self._on_closed = on_closed

    def say(self, text: str, document: Mapping[str, object]) -> None:
        """Print the text, or the document of the same meaning."""
        try:
            printing.out((json.dumps(msgspec.to_builtins(document)) if self._as_json else text) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._on_closed()


class Screen:
    """A printer of what happens, line by line. A message's text is shown only if our simulated customer, you or the
    demo agent wrote it, or if the simulated phone got it.
    """

    board: Board | None = None
    """where lines can change, None where they are printed one after the other"""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._ids: OrderedDict[str, None] = OrderedDict()

    def ready(self, stack: Stack, home: Home, settings: Settings, *, console: str, notes: Sequence[str]) -> None:
        """Print where to look and what to try first. A key that the user chose is not printed.

        `console`: a link that logs in, once.
        """
        own = settings.admin_key != home.admin_key
        document: dict[str, object] = {
            "event": "ready",
            "url": stack.url,
            "console": console,
            "catcher": stack.catcher_url,
            "api_key": None if own else home.admin_key,
            "secrets": home.secrets,
            "meta_app_secret": home.app_secret,
            "meta_graph_url": stack.meta_url if stack.simulated else settings.meta_graph_url,
            "account": BUSINESS.phone_number_id,
            "to": _TO,
            "agent": stack.agents.own or stack.agents.scripted or None,
            "data": _data(settings),
            "notes": notes,
        }
        facts = Facts(
            url=stack.url,
            console=console,
            key="$TELLWIRE_ADMIN_KEY" if own else home.admin_key,
            graph=f"{stack.meta_url}  (simulated)" if stack.simulated else f"{settings.meta_graph_url}  (yours)",
            simulated=stack.simulated,
            agent=_agent(stack.agents),
            data=_data(settings),
            notes=notes,
        )
        self._printer.say(banner(facts, home), document)

    def before(self, update: Update) -> None:
        """Remember the text of an update that is about to be posted."""
        kind = update.item.get("type", "")
        body = text_of(kind, update.item.get(kind)) if update.kind == "messages" else ""
        if body:
            self._texts[update.wamid] = body
            if len(self._texts) > _KEPT:
                self._texts.popitem(last=False)

    def whole_id(self, identifier: str) -> str:
        """Return the id of the one message here that ends so, else what was given."""
        found = [each for each in self._ids if each.endswith(identifier)]
        return found[0] if len(found) == 1 else identifier

    def know(self, message_id: str) -> None:
        """Remember the id of a message that is shown."""
        if message_id:
            self._ids[message_id] = None
            if len(self._ids) > _KEPT:
                self._ids.popitem(last=False)

    def after(self, update: Update, answer: Answer) -> None:
        """Print an answer other than 200 to an update: such an update has no journey."""
        if answer.status != 200:
            said = answer.body.decode("utf-8", "replace").strip() or answer.cause
            document = {"event": "refused", "what": update.title, "status": answer.status, "cause": said}
            self._printer.say(f"{_now()}  {update.title:<{_TITLE_WIDTH}}  refused: {answer.status} {said}", document)

    def not_sent(self, status: int | None, cause: str) -> None:
        """Print that a typed line could not be sent, or that a command cannot be done."""
        document = {"event": "refused", "what": "reply", "status": status, "cause": cause}
        self._printer.say(f"{_now()}  {alarming(f'not sent{_GAP}{on_one_line(cause)}')}", document)

    def answered(self, command: str, text: str) -> None:
        """Print what a command did or found."""
        document = {"event": "answer", "command": command, "text": text}
        separator = "\n" if "\n" in text else "  "
        shown = "\n".join(on_one_line(line) for line in text.splitlines())
        self._printer.say(f"{_now()}  {command}{separator}{shown}", document)

    def unknown(self, message_id: str) -> None:
        """Print that nobody knows whether Meta took a message."""
        document = {"event": "trouble", "kind": "send_unknown", "cause": f"message {message_id}"}
        self._printer.say(f"{_now()}  {alarming('✗ ' + UNKNOWN.format(message_id))}", document)

    def paused(self, conversation_id: str) -> None:
        """Print that the agent leaves a conversation to the person who wrote in it."""
        document = {"event": "conversation.handed_over", "conversation_id": conversation_id}
        text = f"you have taken over conversation {conversation_id}; the line /resume lets the agent answer again"
        self._printer.say(f"{_now()}  {'agent paused':<{_TITLE_WIDTH}}  {text}", document)

    def resumed(self, conversation_id: str) -> None:
        """Print that the agent answers again."""
        document = {"event": "conversation.resumed", "conversation_id": conversation_id}
        text = f"it answers again in conversation {conversation_id}"
        self._printer.say(f"{_now()}  {'agent resumed':<{_TITLE_WIDTH}}  {text}", document)

    def moved(self, journey: Journey) -> None:
        """Take note of an attempt; a line is printed when its journey is complete."""

    def arrived(self, journey: Journey) -> None:
        """Print the journey of an event."""
        self.know(journey.message_id)
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
        if journey.way:
            document["status"] = journey.way
        self._printer.say(f"{_now()}  {journey_line(journey, self.text_of(journey))}", document)

    def text_of(self, journey: Journey) -> str:
        """Return the text of a new message if it may be shown, else ""."""
        text = self._texts.get(journey.wamid, "") if journey.event == "messages.insert" else ""
        return on_one_line(journey.wrote or text)

    def elsewhere(self, attempt: Attempt, delivery: Delivery) -> None:
        """Print an attempt at an endpoint of the user's own."""
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
        message = message_of(attempt)
        named = f"message {message}  " if message else ""
        line = f"→ {attempt.url}  {named}{outcome}  (attempt {attempt.number})"
        self._printer.say(f"{_now()}  {line if attempt.outcome == 'delivered' else alarming(line)}", document)

    def trouble(self, news: News) -> None:
        """Print what does not work any more, and what works again."""
        for line in news.came:
            document = {"event": "trouble", "kind": line.kind, "cause": f"{line.title} {line.cause}".strip()}
            text = f"{document['cause']}\n{'':10}{line.remedy}"
            self._printer.say(f"{_now()}  {alarming('✗ ' + text)}", document | {"remedy": line.remedy})
        for line in news.over:
            document = {"event": "trouble_over", "kind": line.kind, "cause": line.title}
            self._printer.say(f"{_now()}  ✓ no longer: {line.title}", document)

    def stopped(self, tallies: Mapping[str, CatchCounts], settings: Settings) -> None:
        """Print the last line: the counts, and where the data is."""
        words = ", ".join(f"{name} {tally.verified} of {tally.received} verified" for name, tally in tallies.items())
        text = f"\nStopped: {words}. Your data stays in {_data(settings)}; `tellwire dev --fresh` starts without it."
        self._printer.say(text, {"event": "stopped", "formats": tallies, "data": _data(settings)})


class Facts(Struct, frozen=True, kw_only=True):
    """The facts of the banner that are not part of `Home`."""

    url: str
    console: str
    key: str
    graph: str
    simulated: bool = True
    agent: str = "none"
    data: str
    notes: Sequence[str] = ()


def banner(facts: Facts, home: Home) -> str:
    """Return the first lines that are printed."""
    url, key = facts.url, facts.key
    head = "simulator ON: no Meta account, nothing leaves this machine"
    away = "customers are simulated; messages go to TELLWIRE_META_GRAPH_URL"
    facts_by_name = [
        ("server", f"{url}/"),
        ("API document", f"{url}/openapi.json"),
        ("API key", key),
        *(("signing secret", f"{secret} {name}") for name, secret in home.secrets.items()),
        ("Meta webhook", f"{url}/meta/webhook"),
        ("app secret", home.app_secret),
        ("Graph API", facts.graph),
        ("agent", facts.agent),
        ("data", f"{facts.data}  (kept; --fresh clears it)"),
        *(("note", note) for note in facts.notes),
        ("console", "this link logs in once; `tellwire login-link` makes another:"),
    ]
    lines = [
        f"Tellwire {__version__} · {head if facts.simulated else away}",
        "",
        *(f"  {name:<14}  {value}" for name, value in facts_by_name),
        f"  {facts.console}",
        "",
        "To get everything at your own code too, in another terminal:",
        f"  tellwire listen --forward-to {_YOURS}",
        f"or with an endpoint, as {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}:",
        *_curl(f"{url}/v1/webhook-endpoints", key, _ENDPOINT),
        "",
    ]
    if facts.simulated:
        lines += [
            "To write to a customer, type a line here: it goes to who wrote last. Or:",
            *_curl(f"{url}/v1/messages", key, _MESSAGE),
            "",
        ]
    else:
        lines += ["A line that is typed here goes to who wrote last, unless they are simulated.", ""]
    return "\n".join([*lines, "Ctrl-C stops everything. A simulated customer:", ""])


def _curl(url: str, key: str, body: str) -> list[str]:
    return [
        f"  curl -X POST {url} \\",
        "    -H 'Content-Type: application/json' \\",
        f'    -H "Authorization: Bearer {key}" \\',
        f"    -d '{body}'",
    ]


def _agent(agents: DevAgents) -> str:
    """Return which agent answers customers, in words."""
    if agents.own:
        return f"{agents.own_name}  (yours)"
    return "a scripted demo agent answers, no model  (--no-agent: nobody)" if agents.scripted else "none"


def journey_line(journey: Journey, text: str) -> str:
    """Return the line of a journey; `text` is the message's text if it may be shown, else ""."""
    cut = text if len(text) <= _TEXT_WIDTH else f"{text[: _TEXT_WIDTH - 1]}…"
    ours = journey.way and (journey.way == ("pending",) or not journey.wamid)  # Meta posted nothing to us
    steps = ["stored"] if ours else ["received", "stored"]
    for name, stop in sorted(journey.stops.items(), key=lambda each: _FORMATS.index(each[0])):
        proof = "verified" if stop.verified else stop.error or "not verified"
        steps.append(f"{'delivered' if 200 <= stop.status < 300 else 'failed'} {name} {stop.status} ({proof})")
    said = f'"{cut}"' if cut else ""
    way = " → ".join(journey.way) + (f" ({journey.cause})" if journey.cause else "")
    parts = [f"{journey.title:<{_TITLE_WIDTH}}", " → ".join(steps), journey.row, way, said]
    return "  ".join(part for part in parts if part)


def _data(settings: Settings) -> str:
    """Return where the data is: the folder of `dev`, or the path of the database that the settings name."""
    path = settings.sqlite_path
    inside = path is not None and path.parent == FOLDER
    return str(FOLDER.resolve()) if inside or path is None else str(path.resolve())


def message_of(attempt: Attempt) -> str:
    """Return the id of the message that an attempt told of, "" for none."""
    return next((value for name, value in attempt.request_headers if name == "tellwire-message-id"), "")


def colourful(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether stdout is a terminal that may show colours."""
    return sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def interactive() -> bool:
    """Return whether a person sits at a terminal that shows colours, and this process may use it."""
    try:
        return colourful() and sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # no standard input at all
        return False


def alarming(text: str) -> str:
    """Return a text that stands out, where there are colours."""
    return f"\x1b[1;31m{text}\x1b[0m" if colourful() else text


def _now() -> str:
    return f"{datetime.now():%H:%M:%S}"  # noqa: DTZ005 - the user's own time
