"""PURE. A message in the three shapes that it is sent in: our JSON, a chat's webhook, and a mail.

Source: docs/how-to/alerts.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

import msgspec

from tellwire.alerts.message import Message, cause_of, headline, hurts_of, mail_name, paragraph
from tellwire.alerts.rules import Item
from tellwire.model.row_json import instant
from tellwire.model.units import MICROS
from tellwire.verdict.remedies import command_of

_LONGEST_TEXT = 1900
"""Characters of a chat's text: Discord refuses 2000 and more."""
_LONGEST_SECTION = 2900
_LONGEST_HEADER = 150


def as_json(message: Message) -> bytes:
    """Return our own JSON, as a webhook gets it."""
    data: dict[str, Any] = {
        "id": message.id,
        "installation": message.url,
        "summary": headline(message),
        "findings": [_finding(message, item) for item in message.shown],
        "more": message.more,
    }
    kind = "alert" if message.items else "alert.test"
    return msgspec.json.encode({"type": kind, "timestamp": instant(message.at), "data": data})


def _finding(message: Message, item: Item) -> dict[str, Any]:
    finding, line = item.finding, item.finding.line
    return {
        "id": finding.name,
        "change": item.what,
        "kind": line.kind,
        "severity": line.severity,
        "severity_before": message.before(item),
        "organization_id": line.organization_id or None,
        "organization": message.names.get(line.organization_id),
        "phone_number_id": line.phone_number_id or None,
        "endpoint_id": line.endpoint_id or None,
        "title": line.title,
        "cause": cause_of(line),
        "hurts": hurts_of(line),
        "count": line.count or None,
        "since": instant(line.since or finding.begun_at),
        "over_at": instant(finding.over_at) if finding.over_at else None,
        "remedy": line.remedy,
        "command": command_of(line) or None,
    }


def as_chat(message: Message) -> bytes:
    """Return what Slack's incoming webhooks take; `text` holds everything, for chats that show no blocks."""
    head = f"[{message.host}] {headline(message)}"
    sections, texts = [], [head]
    for item in message.shown:
        title, lines = paragraph(message, item)
        below = "\n".join(_escaped(line) for line in lines)
        sections.append(_cut(f"*{_escaped(title)}*\n{below}", _LONGEST_SECTION))
        texts.append(f"*{_escaped(title)}*\n{below}")
    if message.more:
        sections.append(f"And {message.more} more.")
    sections.append(f"<{message.url}/>")
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(head, _LONGEST_HEADER)}},
        *({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}} for text in sections),
    ]
    whole = "\n\n".join([*texts, *([f"And {message.more} more."] if message.more else []), message.url])
    return msgspec.json.encode({"text": _cut(whole, _LONGEST_TEXT), "blocks": blocks})


def _escaped(text: str) -> str:
    """Return a text that mentions nobody and links nowhere.

    Sources: Slack, "Formatting text for app surfaces", escaping; "Text object", `verbatim`, without which addresses
    become links.
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def as_mail(message: Message, *, sender: str, to: Sequence[str]) -> EmailMessage:
    """Return a plain mail; the same message has the same Message-ID, so that a repeated one is recognised."""
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, ", ".join(to)
    mail["Subject"] = f"[Tellwire {message.host}] {headline(message)}"
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.at // MICROS, UTC))
    mail["Message-ID"] = f"<{message.id}@{mail_name(message.url)}>"
    mail["Auto-Submitted"] = "auto-generated"
    parts = ["\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in _paragraphs(message)]
    if message.more:
        parts.append(f"And {message.more} more.")
    mail.set_content("\n\n".join([*(parts or [headline(message)]), f"{message.url}/"]) + "\n", cte="quoted-printable")
    return mail


def _paragraphs(message: Message) -> list[tuple[str, list[str]]]:
    return [paragraph(message, item) for item in message.shown]
