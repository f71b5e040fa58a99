"""The channels and thresholds that the settings name; where channels lead is the operator's choice, as with
META_GRAPH_URL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tellwire.alerts.channels import Chat, Mail, Route, Sign, Webhook
from tellwire.alerts.rules import Thresholds
from tellwire.model.units import HOUR, micros
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Sender
from tellwire.ports.mail import Mailer, MailServer
from tellwire.verdict.rules import Severity


class AlertSettings(Protocol):
    """What the settings say of alerts (`settings.alert_fields`)."""

    @property
    def alert_webhook_url(self) -> str: ...
    @property
    def alert_webhook_secret(self) -> str: ...
    @property
    def alert_slack_url(self) -> str: ...
    @property
    def alert_smtp_url(self) -> MailServer | None: ...
    @property
    def alert_mail_to(self) -> Sequence[str]: ...
    @property
    def alert_mail_from(self) -> str: ...
    @property
    def alert_after_seconds(self) -> float: ...
    @property
    def alert_repeat_hours(self) -> float: ...
    @property
    def alert_severity(self) -> Severity: ...


def routes_of(
    settings: AlertSettings, sender: Sender, mailer_of: Callable[[MailServer], Mailer], sign: Sign, clock: Clock
) -> list[Route]:
    """Return the channels that are set; `mailer_of` reaches a mail server."""
    routes: list[Route] = []
    if settings.alert_webhook_url:
        routes.append(Webhook(settings.alert_webhook_url, settings.alert_webhook_secret, sender, sign, clock))
    if settings.alert_slack_url:
        routes.append(Chat(settings.alert_slack_url, sender))
    if settings.alert_smtp_url is not None:
        to = settings.alert_mail_to
        mailer = mailer_of(settings.alert_smtp_url)
        routes.append(Mail(mailer, sender=settings.alert_mail_from or to[0], to=to))
    return routes


def limits_of(settings: AlertSettings) -> Thresholds:
    """Return when to tell."""
    return Thresholds(
        after=micros(settings.alert_after_seconds),
        repeat=int(settings.alert_repeat_hours * HOUR),
        severity=settings.alert_severity,
    )
