"""Serve `/v1/alerts`: through which channels alerts go, how it goes with each, and what was told lately."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, get, post
from msgspec import Meta, Struct

from tellwire.alerts.findings import Channel, ChannelName, Finding
from tellwire.alerts.message import cause_of
from tellwire.errors import Conflict, NotAllowed
from tellwire.model.row_json import instant
from tellwire.web.api.shapes import When, when
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import json_response

_MOST = 200
_NONE_SET = (
    "No channel is set: see TELLWIRE_ALERT_WEBHOOK_URL, TELLWIRE_ALERT_SLACK_URL, and TELLWIRE_ALERT_SMTP_URL with "
    "TELLWIRE_ALERT_MAIL_TO."
)

_Severity = Literal["warning", "critical"]


class AlertChannel(Struct, kw_only=True):
    """A channel that is set, and how it goes with it."""

    channel: ChannelName
    to: Annotated[str, Meta(description="Where it leads; what may be secret of a URL is left out.")]
    state: Annotated[
        Literal["unused", "working", "failing"], Meta(description="`unused`: it has not been given an alert yet.")
    ]
    sent_at: Annotated[When | None, Meta(description="When it last took an alert.")]
    failing_since: When | None
    attempts: Annotated[int, Meta(description="How many tries have failed since then.")]
    cause: Annotated[str, Meta(description="Why the last try failed.")]
    retry_at: When | None
    waiting: Annotated[int, Meta(description="Findings of which it is still to be told something.")]


class AlertTold(Struct, kw_only=True):
    """What a channel was last told of a finding."""

    channel: ChannelName
    at: When
    severity: Annotated[_Severity | None, Meta(description="Null when it was told that it is over.")]


class AlertFinding(Struct, kw_only=True):
    """Something that does not work, or did not: a line of the verdict over time."""

    id: Annotated[str, Meta(description="The same for the same trouble of an organization.")]
    organization_id: Annotated[str | None, Meta(description="Whose trouble it is; null for the installation's.")]
    kind: str
    severity: _Severity
    title: str
    cause: str
    begun_at: When
    over_at: Annotated[When | None, Meta(description="Null while it stands.")]
    told: list[AlertTold]
    waits_for: Annotated[list[ChannelName], Meta(description="Channels that are still to be told of it.")]


class AlertList(Struct, kw_only=True):
    """The channels, and the findings of the last 30 days: what stands first, then what was over last; 200 at most."""

    channels: list[AlertChannel]
    findings: list[AlertFinding]


class AlertAnswer(Struct, kw_only=True):
    """What a channel answered to a test."""

    channel: ChannelName
    to: str
    ok: bool
    answer: str
    milliseconds: int


class AlertTest(Struct, kw_only=True):
    """What every channel answered to a test."""

    ok: bool
    cause: Annotated[str, Meta(description='Why channels did not take it, "" when all did.')]
    channels: list[AlertAnswer]


@get("/alerts", summary="List what was told by alerts", opt={"scopes": ("admin",)})
async def list_alerts(context: ContextDependency) -> Response[AlertList]:
    """The channels of alerts, and what each was told; for operators only. Nothing is remembered while no channel is
    set."""
    _operators_only(context)
    alerts, now = context.services.alerts, context.services.clock.now()
    known = await alerts.known()
    waiting = {route.name: alerts.waiting(known, route) for route in alerts.routes}
    channels = [
        _channel(
            route.name,
            route.to,
            known.channels.get(route.name) or Channel(name=route.name, since=now),
            len(waiting[route.name]),
        )
        for route in alerts.routes
    ]
    newest = sorted(known.findings.values(), key=lambda each: (each.over_at or now + 1, each.begun_at), reverse=True)
    findings = [_finding(each, [name for name, keys in waiting.items() if each.key in keys]) for each in newest[:_MOST]]
    return json_response(AlertList(channels=channels, findings=findings))


@post("/alerts/test", summary="Send a test alert", opt={"scopes": ("admin",)}, status_code=200)
async def test_alerts(context: ContextDependency) -> Response[AlertTest]:
    """Send a test through every channel at once, and say what each answered; for operators only. A channel that failed
    and takes it is given at once what waits for it."""
    _operators_only(context)
    if not context.services.alerts.routes:
        raise Conflict(_NONE_SET)
    tested = await context.services.alerts.test()
    answers = [
        AlertAnswer(
            channel=each.channel,
            to=each.to,
            ok=each.sent.ok,
            answer=each.sent.answer,
            milliseconds=each.milliseconds,
        )
        for each in tested
    ]
    cause = "; ".join(f"{each.channel}: {each.answer}" for each in answers if not each.ok)
    return json_response(AlertTest(ok=not cause, cause=cause, channels=answers))


def _operators_only(context: RequestContext) -> None:
    if not context.caller.operator:
        raise NotAllowed("Only who runs the installation sees its alerts.")


def _channel(name: ChannelName, to: str, channel: Channel, waiting: int) -> AlertChannel:
    state: Literal["unused", "working", "failing"] = "working" if channel.sent_at else "unused"
    return AlertChannel(
        channel=name,
        to=to,
        state="failing" if channel.failing_since else state,
        sent_at=when(channel.sent_at),
        failing_since=when(channel.failing_since),
        attempts=channel.attempts,
        cause=channel.cause,
        retry_at=when(channel.retry_at),
        waiting=waiting,
    )


def _finding(finding: Finding, waits_for: list[ChannelName]) -> AlertFinding:
    line = finding.line
    return AlertFinding(
        id=finding.name,
        organization_id=line.organization_id or None,
        kind=line.kind,
        severity=line.severity,
        title=line.title,
        cause=cause_of(line),
        begun_at=instant(finding.begun_at),
        over_at=when(finding.over_at),
        told=[
            AlertTold(channel=name, at=instant(each.at), severity=each.severity or None)  # type: ignore[arg-type]
            for name, each in sorted(finding.told.items())
        ],
        waits_for=waits_for,
    )


HANDLERS = (list_alerts, test_alerts)
