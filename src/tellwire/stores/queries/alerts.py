"""Findings of the verdict over time, what was told of them, and the channels that tell; rows are the installation's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, bindparam, delete, select, text, update

from tellwire.alerts.findings import Channel, Finding, Key, Told
from tellwire.alerts.ports import Remembered
from tellwire.model.units import DAY, Micros
from tellwire.stores.schema.tables import alert_channels, alert_findings, organizations
from tellwire.verdict.figures import FailingChannel
from tellwire.verdict.rules import Line

_KEPT: Micros = 30 * DAY
_OWNER = ""
"""Channels belong to the installation."""
_INSERT = (
    "INSERT INTO alert_findings(organization_id,name,line,begun_at,seen_at,gone_at,over_at,told)"
    " VALUES (:organization_id,:name,:line,:begun_at,:seen_at,:gone_at,:over_at,:told)"
    " ON CONFLICT(organization_id,name) DO UPDATE SET "
)
_NOTE = text(
    _INSERT + "line=excluded.line, seen_at=excluded.seen_at, gone_at=0, over_at=0,"
    " begun_at=CASE WHEN alert_findings.over_at>0 THEN excluded.begun_at ELSE alert_findings.begun_at END"
)
_KEEP = text(_INSERT + "told=excluded.told")
_CHANNEL = text(
    "INSERT INTO alert_channels(organization_id,name,since,sent_at,failing_since,attempts,retry_at,cause)"
    " VALUES (:organization_id,:name,:since,:sent_at,:failing_since,:attempts,:retry_at,:cause)"
    " ON CONFLICT(organization_id,name) DO UPDATE SET sent_at=excluded.sent_at, failing_since=excluded.failing_since,"
    " attempts=excluded.attempts, retry_at=excluded.retry_at, cause=excluded.cause"
)
_TOLD = msgspec.json.Decoder(dict[str, Told])
_LINE = msgspec.json.Decoder(Line)


def note(connection: Connection, lines: Mapping[Key, Line], gone: Collection[Key], now: Micros) -> None:
    """Write down the findings that a process has, in one order for all, and those that it has no more."""
    rows = [
        _row(Finding(line=line, name=name, begun_at=now, seen_at=now))
        for (_, name), line in sorted(lines.items(), key=_key)
    ]
    if rows:
        connection.execute(_NOTE, rows)
    for organization_id, name in sorted(gone):
        columns = alert_findings.c
        of_it = (columns.organization_id == organization_id) & (columns.name == name)
        connection.execute(update(alert_findings).where(of_it, columns.over_at == 0).values(gone_at=now))


def _key(pair: tuple[Key, Line]) -> Key:
    return pair[0]


def _row(finding: Finding) -> dict[str, object]:
    return {
        "organization_id": finding.line.organization_id,
        "name": finding.name,
        "line": msgspec.json.encode(finding.line),
        "begun_at": finding.begun_at,
        "seen_at": finding.seen_at,
        "gone_at": finding.gone_at,
        "over_at": finding.over_at,
        "told": msgspec.json.encode(finding.told),
    }


def read(connection: Connection) -> Remembered:
    """Return every finding and channel, and the names of the organizations that findings are about."""
    found = [
        Finding(
            line=_LINE.decode(row.line),
            name=row.name,
            begun_at=row.begun_at,
            seen_at=row.seen_at,
            gone_at=row.gone_at,
            over_at=row.over_at,
            told=_TOLD.decode(row.told),
        )
        for row in connection.execute(select(alert_findings))
    ]
    named = sorted({each.line.organization_id for each in found} - {""})
    columns = organizations.c
    names = connection.execute(select(columns.id, columns.name).where(columns.id.in_(named))) if named else ()
    return Remembered(
        findings={each.key: each for each in found},
        channels={each.name: each for each in channels(connection)},
        names={organization_id: name for organization_id, name in names if name},
    )


def channels(connection: Connection) -> list[Channel]:
    """Return how it goes with each channel."""
    columns = alert_channels.c
    query = select(*(columns[name] for name in Channel.__struct_fields__)).where(columns.organization_id == _OWNER)
    return [Channel(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def failing(connection: Connection) -> list[FailingChannel]:
    """Return the channels that take nothing."""
    return [
        FailingChannel(each.name, each.failing_since, each.cause) for each in channels(connection) if each.failing_since
    ]


def over(connection: Connection, findings: Iterable[Finding], now: Micros) -> None:
    """Mark findings as over since they were last seen, unless a process had them again; forget those long over."""
    columns = alert_findings.c
    for each in sorted(findings, key=lambda finding: finding.key):
        of_it = (columns.organization_id == each.line.organization_id) & (columns.name == each.name)
        same = (columns.seen_at == each.seen_at) & (columns.gone_at == each.gone_at)
        ended = each.gone_at or each.seen_at
        connection.execute(update(alert_findings).where(of_it, same).values(over_at=ended))
    connection.execute(delete(alert_findings).where(columns.over_at > 0, columns.over_at < now - _KEPT))


def keep(connection: Connection, findings: Collection[Finding], channel: Channel) -> None:
    """Write what was told of findings, and how it goes with a channel."""
    if findings:
        connection.execute(_KEEP, [_row(each) for each in sorted(findings, key=lambda finding: finding.key)])
    connection.execute(_CHANNEL, asdict(channel) | {"organization_id": _OWNER})


def only(connection: Connection, names: Collection[str]) -> None:
    """Forget every channel but these, and what it was told."""
    connection.execute(delete(alert_channels).where(alert_channels.c.name.not_in(names)))
    columns = alert_findings.c
    changed = []
    for organization_id, name, told in connection.execute(select(columns.organization_id, columns.name, columns.told)):
        known = _TOLD.decode(told)
        if known.keys() - set(names):
            kept = msgspec.json.encode({channel: each for channel, each in known.items() if channel in names})
            changed.append({"its_owner": organization_id, "its_name": name, "kept": kept})
    if changed:
        of_it = (columns.organization_id == bindparam("its_owner")) & (columns.name == bindparam("its_name"))
        connection.execute(update(alert_findings).where(of_it).values(told=bindparam("kept")), changed)
