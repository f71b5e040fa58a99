"""Show what happens in `dev` on a terminal: one line a message, which changes while the message goes on."""

from __future__ import annotations

import asyncio
import io
import shutil
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from msgspec import Struct, field
from prompt_toolkit.utils import get_cwidth

from tellwire.cli import printing
from tellwire.cli.dev.journeys import Journey, Stop, took
from tellwire.cli.dev.screen import Screen, message_of
from tellwire.cli.dev.words import short_id
from tellwire.cli.printing import on_one_line
from tellwire.formats import FORMATS
from tellwire.model.deliveries import Attempt, Delivery

_FORMATS = tuple(FORMATS)
_KEPT = 1000
_WIDE, _WIDEST = 100, 150
_LEAST = 20
_DIM, _RED, _GREEN, _YELLOW, _BLUE, _CYAN = "90", "1;31", "32", "33", "1;36", "36"
_TICKS = {
    "pending": ("◷ pending", _DIM),
    "sent": ("✓ sent", ""),
    "delivered": ("✓✓ delivered", ""),
    "read": ("✓✓ read", _BLUE),
    "played": ("✓✓ played", _BLUE),
    "failed": ("✗ failed", _RED),
}
"""How the way of an outgoing message looks at each status, as on a phone."""


_KINDS = {"external": "sent by another program"}


def painted(text: str, colour: str) -> str:
    """Return a text in a colour (an SGR code), "" for none."""
    return f"\x1b[{colour}m{text}\x1b[0m" if colour and text else text


def fitted(text: str, width: int) -> str:
    """Return a text that takes exactly so many columns: cut with an ellipsis, or filled up."""
    if get_cwidth(text) > width:
        while text and get_cwidth(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - get_cwidth(text))


class OwnStop(Struct, frozen=True):
    """The last attempt at an endpoint of the user's own; `cause` says why it failed."""

    name: str
    status: int
    delivered: bool
    cause: str = ""
    number: int = 1


class MessageLine(Struct, kw_only=True):
    """What is shown of a message."""

    id: str
    at: str
    person: str = ""
    author: str = ""
    incoming: bool = False
    kind: str = ""
    text: str = ""
    stops: dict[str, Stop] = field(default_factory=dict)
    own: dict[str, OwnStop] = field(default_factory=dict)
    reached: tuple[str, ...] = ()
    cause: str = ""
    unknown: bool = False
    ms: float = 0.0
    put: list[str] = field(default_factory=list)
    """the lines that were put out for good"""

    def shown(self, columns: int) -> list[str]:
        """Return the line, and under it the whole text if it was cut, and what went wrong."""
        wide = columns >= _WIDE
        who_width, end = (18, f"{self.ms:6.0f} ms  {short_id(self.id)}") if wide else (10, short_id(self.id))
        room = columns - 8 - who_width - 5
        chain, chain_width = self._chain(columns)
        if room - chain_width - len(end) < _LEAST:
            end = short_id(self.id)
        if room - chain_width - len(end) < _LEAST:
            chain, chain_width = self._chain(columns, brief=True)
        what_width = max(4, room - chain_width - len(end))
        what = self.text or _KINDS.get(self.kind, self.kind)
        line = "  ".join([painted(self.at, _DIM), self._who(who_width, wide=wide)]) if wide else ""
        line = line or f"{painted(self.at, _DIM)} {self._who(who_width, wide=wide)}"
        said = painted(fitted(what, what_width), "" if self.text else _CYAN)
        lines = [f"{line} {said} {chain} {painted(end, _DIM)}"]
        if self.text and get_cwidth(what) > what_width:
            lines.append(" " * 9 + painted(fitted(what, max(8, columns - 10)).rstrip(), _DIM))
        for fault in self._faults():
            lines += [painted(piece, _RED) for piece in _broken(f"{' ' * 9}✗ {fault}", columns)]
        return lines

    def _who(self, width: int, *, wide: bool) -> str:
        first = self.person.split()[0] if self.person else "?"
        if self.incoming:
            return painted(fitted(first, width), _YELLOW)
        return painted(fitted(f"{self.author if wide else ''} → {first}".strip(), width), _GREEN)

    def _chain(self, columns: int, *, brief: bool = False) -> tuple[str, int]:
        """Return the way of the message, from its payloads on if `brief`, and how many columns it takes."""
        steps = [("received", ""), ("stored", "")] if self.incoming and columns >= _WIDE else [("stored", "")]
        if brief and self.stops:
            steps = []
        own_width = 32 if columns >= _WIDE else 16
        if self.stops:
            failed = [name for name in _FORMATS if name in self.stops and not _fine(self.stops[name])]
            good = [name for name in _FORMATS if name in self.stops and name not in failed]
            if good:
                names = f"{len(good)} formats" if columns < _WIDEST and len(good) > 1 else " ".join(good)
                steps.append((f"{names} 200", _GREEN))
            steps += [(f"{name} {self.stops[name].status}", _RED) for name in failed]
        steps += [
            (
                f"{fitted(each.name, own_width).rstrip()} {each.status or 'no answer'}",
                _GREEN if each.delivered else _RED,
            )
            for each in self.own.values()
        ]
        if not self.incoming and self.unknown:
            steps.append(("? unknown", _RED))
        elif not self.incoming and self.reached:
            last = self.reached[-1]
            steps.append(_TICKS.get(last, (last, "")))
        text = " → ".join(step for step, _ in steps)
        return " → ".join(painted(step, colour) for step, colour in steps), get_cwidth(text)

    def _faults(self) -> list[str]:
        """Return what went wrong, with a word what to do."""
        faults = [f"{name}: {stop.error or 'not verified'}" for name, stop in self.stops.items() if not _fine(stop)]
        faults += [
            f"{each.name}: {each.cause} (attempt {each.number}). Is your server running?"
            for each in self.own.values()
            if not each.delivered
        ]
        if self.cause:
            faults.append(f"Meta: {self.cause}. /why {short_id(self.id)} tells more")
        if self.unknown:
            faults.append(f"its answer never came, so it is not sent again: see /why {short_id(self.id)}")
        return faults


def _fine(stop: Stop) -> bool:
    return stop.verified and 200 <= stop.status < 300


class Note(Struct, frozen=True):
    """Lines that do not change."""

    text: str

    def shown(self, columns: int) -> list[str]:
        """Return the lines, those that are too long broken between words."""
        return [piece for line in self.text.split("\n") for piece in _broken(line, columns)]


def _broken(line: str, columns: int) -> list[str]:
    """Return a line in pieces that fit, broken between words; escape sequences take no room.

    A word that is too wide goes without indentation, and where that is not enough it is broken too: the terminal would
    cut it, and a link would not work.
    """
    pieces, indent = [""], " " * 10
    for number, word in enumerate(line.split(" ")):
        longer = f"{pieces[-1]} {word}" if number else word
        if get_cwidth(_bare(longer)) <= columns:
            pieces[-1] = longer
        elif pieces[-1].strip() and get_cwidth(_bare(indent + word)) <= columns:
            pieces.append(indent + word)
        else:
            if not pieces[-1].strip():
                pieces.pop()
            pieces += _chunks(word, columns)
    return pieces


def _chunks(word: str, columns: int) -> list[str]:
    """Return a word in pieces that fit; one with colours is left whole, and all is where no width is known yet."""
    if get_cwidth(_bare(word)) <= columns or columns <= 0 or "\x1b" in word:
        return [word]
    return [word[start : start + columns] for start in range(0, len(word), columns)]


def _bare(text: str) -> str:
    """Return a text without escape sequences of colours."""
    out, rest = "", text
    while "\x1b[" in rest:
        before, _, rest = rest.partition("\x1b[")
        out += before
        rest = rest.partition("m")[2]
    return out + rest


class Board:
    """What stands above the input line, the newest last; what does not fit any more is put out for good.

    A message of which more is told after that comes again as the newest line, as it then is.
    """

    def __init__(self) -> None:
        self._shown: OrderedDict[str, MessageLine | Note] = OrderedDict()
        self._lines: OrderedDict[str, MessageLine] = OrderedDict()
        self._notes = 0
        self._columns = 0
        self.changed: Callable[[], None] = self.put_out

    def note(self, text: str) -> None:
        """Add lines that do not change."""
        self._notes += 1
        self._shown[f"note {self._notes}"] = Note(text)
        self.changed()

    def line(self, message_id: str) -> MessageLine:
        """Return the line of a message, a new one if there is none; tell `show` when it has changed."""
        if message_id not in self._lines:
            self._lines[message_id] = MessageLine(id=message_id, at=f"{datetime.now():%H:%M:%S}")  # noqa: DTZ005
            if len(self._lines) > _KEPT:
                self._lines.popitem(last=False)
        return self._lines[message_id]

    def find(self, message_id: str) -> MessageLine | None:
        """Return the line of a message that is known."""
        return self._lines.get(message_id)

    def show(self, line: MessageLine) -> None:
        """Show what a line has become, where it stands, else as the newest."""
        if line.id in self._shown or line.put != line.shown(self._columns):
            self._shown.setdefault(line.id, line)
            self.changed()

    def text(self, columns: int) -> list[str]:
        """Return the lines that stand above the input."""
        return [printing.shown(line) for each in self._shown.values() for line in each.shown(columns)]

    def overflow(self, columns: int, rows: int, *, whole: bool = False) -> list[str]:
        """Take the oldest off until the rest fits into so many rows; return their lines, to be put out for good.

        `whole`: what does not change is left for the terminal to break, so that it is copied whole.
        """
        out: list[str] = []
        while self._shown and len(self.text(columns)) > rows:
            _, oldest = self._shown.popitem(last=False)
            if isinstance(oldest, MessageLine):
                oldest.put = oldest.shown(columns)
                out += oldest.put
            else:
                out += oldest.text.split("\n") if whole else oldest.shown(columns)
        self._columns = columns
        return [printing.shown(line) for line in out]

    def put_out(self) -> None:
        """Put everything out for good."""
        lines = self.overflow(shutil.get_terminal_size().columns, 0, whole=True)
        printing.out("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()


class LiveScreen(Screen):
    """A screen whose lines change: it shows messages by `board`, and everything else below the newest of them."""

    board: Board

    def __init__(self, board: Board) -> None:
        super().__init__(self)
        self.board = board

    def say(self, text: str, _document: Mapping[str, object]) -> None:
        """Show lines that do not change."""
        self.board.note(text)

    def moved(self, journey: Journey) -> None:
        """Show what an attempt at the catcher added to a message."""
        if not journey.message_id:
            return
        self.know(journey.message_id)
        line = self.board.line(journey.message_id)
        if journey.kind or journey.person:
            line.person = journey.person or line.person
            line.author = journey.author or line.author
            line.incoming = journey.incoming
            line.kind = line.kind or on_one_line(journey.kind)
        line.text = self.text_of(journey) or line.text
        line.stops.update(journey.stops)
        if len(journey.reached) >= len(line.reached):
            line.reached = journey.reached
        line.unknown = line.unknown and line.reached in ((), ("pending",))
        line.cause = on_one_line(journey.cause) or line.cause
        if journey.event == "messages.insert" or not line.ms:
            line.ms = max([line.ms, *(stop.ms for stop in journey.stops.values())])
        if line.kind or line.person or any(not _fine(stop) for stop in line.stops.values()):
            self.board.show(line)

    def arrived(self, journey: Journey) -> None:
        """Show the journey of an event that is complete."""
        if journey.message_id:
            self.moved(journey)
        elif journey.stops:
            what = f"{journey.person.partition(' ')[0] or 'somebody'}: {on_one_line(journey.title)}"
            faults = [f"{name} {stop.status} {stop.error}" for name, stop in journey.stops.items() if not _fine(stop)]
            self.board.note(
                painted(f"{datetime.now():%H:%M:%S}  {what}", _DIM)  # noqa: DTZ005
                + painted("".join(f"  ✗ {on_one_line(each)}" for each in faults), _RED)
            )

    def elsewhere(self, attempt: Attempt, delivery: Delivery) -> None:
        """Show an attempt at an endpoint of the user's own in the line of its message."""
        message = message_of(attempt)
        if not message:
            super().elsewhere(attempt, delivery)
            return
        line = self.board.line(message)
        name = on_one_line(attempt.url.partition("://")[2].partition("?")[0])
        delivered = attempt.outcome == "delivered"
        line.own[delivery.endpoint_id] = OwnStop(
            name, attempt.response_status, delivered, on_one_line(attempt.cause), attempt.number
        )
        line.ms = line.ms or took(attempt, delivery)
        self.board.show(line)

    def unknown(self, message_id: str) -> None:
        """Mark a message of which nobody knows whether Meta took it."""
        line = self.board.find(message_id)
        if line is None:
            super().unknown(message_id)
        else:
            line.unknown = True
            self.board.show(line)


class NoteStream(io.StringIO):
    """A stream whose lines are shown as notes, whichever thread writes them."""

    def __init__(self, board: Board, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._board = board
        self._loop = loop

    def write(self, text: str) -> int:
        """Show a text."""
        with suppress(RuntimeError):  # the loop has ended
            if text.strip():
                self._loop.call_soon_threadsafe(self._board.note, text.rstrip("\n"))
        return len(text)
