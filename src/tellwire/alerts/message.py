"""PURE. One message to people: what it is about, in words; no phone number and no text of a customer is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from msgspec import Struct

from tellwire.alerts.findings import GRAVITY
from tellwire.alerts.rules import Item
from tellwire.model.units import MICROS, Micros
from tellwire.observability.masking import masked
from tellwire.verdict.remedies import command_of
from tellwire.verdict.rules import Line, Severity

MOST = 20
"""So many findings are written out; how many more there are is said."""
_LONGEST = 600
"""Characters of a cause: it may quote a receiver or Meta."""
_WHAT = {"came": "new", "changed": "changed", "stands": "still there", "over": "over", "was": "over"}


def mail_name(url: str) -> str:
    """Return what the host of a URL is called in mail: an address stands in brackets (RFC 5321, section 4.1.3)."""
    host = urlsplit(url).hostname or "localhost"
    try:
        address = ip_address(host)
    except ValueError:
        return host if host.isascii() else "localhost"
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


class Message(Struct, frozen=True, kw_only=True):
    """A message of an installation (`url`) at `at`; without items it is a test. `names`: organizations by id."""

    id: str
    at: Micros
    url: str
    channel: str
    items: Sequence[Item] = ()
    names: Mapping[str, str] = {}

    @property
    def host(self) -> str:
        """The installation's host."""
        return urlsplit(self.url).hostname or "localhost"

    @property
    def shown(self) -> Sequence[Item]:
        """The items that are written out."""
        return self.items[:MOST]

    @property
    def more(self) -> int:
        """How many are not."""
        return len(self.items) - len(self.shown)

    def before(self, item: Item) -> Severity | None:
        """Return the severity that this channel was last told of a finding."""
        told = item.finding.told.get(self.channel)
        return (told.severity or None) if told is not None else None


def headline(message: Message) -> str:
    """Return one line that says what a message is about."""
    if not message.items:
        return "This is a test: alerts arrive here."
    if len(message.items) == 1:
        return f"{_mark(message, message.items[0])}: {message.items[0].finding.line.title}"
    counts: dict[str, int] = {}
    for item in message.items:
        word = _WHAT[item.what]
        counts[word] = counts.get(word, 0) + 1
    grave = sum(item.finding.line.severity == "critical" and not item.finding.over_at for item in message.items)
    counted = ", ".join(f"{count} {word}" for word, count in counts.items())
    return f"{counted}{f' ({grave} critical)' if grave else ''}"


def paragraph(message: Message, item: Item) -> tuple[str, list[str]]:
    """Return the title of an item and the lines below it."""
    line = item.finding.line
    return f"{_mark(message, item)}: {line.title}", list(_lines(message, item, line))


def _lines(message: Message, item: Item, line: Line) -> Iterator[str]:
    begun = line.since or item.finding.begun_at
    whose = (
        f" Organization: {_on_one_line(message.names.get(line.organization_id) or line.organization_id)}."
        if line.organization_id
        else ""
    )
    if item.finding.over_at:
        over = item.finding.over_at
        yield f"From {clock_time(begun)} to {clock_time(over)} ({_lasted(over - begun)}).{whose}"
        yield f"It was: {cause_of(line)}"
        return
    yield f"Since {clock_time(begun)} ({_lasted(message.at - begun)}).{whose}"
    yield f"Cause: {cause_of(line)}"
    if line.hurts:
        yield f"Hurts: {_safe(line, line.hurts)}"
    yield f"Remedy: {line.remedy}"
    if command := command_of(line):
        yield f"Command: {command}"


def cause_of(line: Line) -> str:
    """Return the cause as it may leave the installation."""
    return _safe(line, line.cause)


def hurts_of(line: Line) -> str:
    """Return whom or what it hurts, as it may leave the installation."""
    return _safe(line, line.hurts)


def _safe(line: Line, text: str) -> str:
    """Return a text without anything that may be a phone number or an id with one in it; Meta's id of the account, by
    which people find it, stays."""
    text = _on_one_line(text)
    parts = text.split(line.phone_number_id) if line.phone_number_id else [text]
    whole = line.phone_number_id.join(str(masked(part)) for part in parts)
    return whole if len(whole) <= _LONGEST else f"{whole[: _LONGEST - 1]}…"


def _on_one_line(text: str) -> str:
    """Return a text of a stranger in which no line can look like one of ours, such as a remedy."""
    return " ".join(text.split())


def _mark(message: Message, item: Item) -> str:
    severity = item.finding.line.severity
    match item.what:
        case "came":
            return severity.capitalize()
        case "changed":
            before = message.before(item) or ""
            way = {-1: "Better", 0: "Changed", 1: "Worse"}[_sign(GRAVITY.index(severity) - GRAVITY.index(before))]
            return f"{way}, {severity}"
        case "stands":
            return f"Still {severity}"
        case _:
            return "Over"


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def clock_time(at: Micros) -> str:
    """Return a time for people, in UTC."""
    return f"{datetime.fromtimestamp(at // MICROS, UTC):%Y-%m-%d %H:%M} UTC"


def _lasted(span: Micros) -> str:
    minutes = max(0, span) // MICROS // 60
    days, hours = minutes // 1440, minutes // 60
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
