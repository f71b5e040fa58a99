"""The settings of alerts: through which channels they go, and when."""

from __future__ import annotations

from typing import Annotated, Literal

from tellwire.ports.mail import MailServer
from tellwire.settings import values
from tellwire.settings.quota_fields import QuotaFields
from tellwire.settings.setting import Setting


class AlertFields(QuotaFields, frozen=True, kw_only=True):
    """Every setting of alerts with its value."""

    alert_webhook_url: Annotated[
        str,
        Setting(
            help="Gets alerts as JSON. Like META_GRAPH_URL it may name any address, a private one too.",
            takes="an `http://` or `https://` URL",
            parse=values.hook_url,
            secret=True,
        ),
    ] = ""
    alert_webhook_secret: Annotated[
        str,
        Setting(
            help="Signs what ALERT_WEBHOOK_URL gets, after Standard Webhooks; without it nothing is signed.",
            takes="`whsec_` and base64 of 16 to 512 bytes, or 16 to 128 printable characters",
            parse=values.signing_secret,
            secret=True,
        ),
    ] = ""
    alert_slack_url: Annotated[
        str,
        Setting(
            help="Gets alerts as Slack's incoming webhooks take them; Mattermost takes them too, and Discord under "
            "`…/slack`.",
            takes="an `http://` or `https://` URL",
            parse=values.hook_url,
            secret=True,
        ),
    ] = ""
    alert_smtp_url: Annotated[
        MailServer | None,
        Setting(
            help="The mail server that takes alerts: `smtp://` with STARTTLS, on port 587 unless given, or `smtps://` "
            "with TLS from the start, on port 465. `?starttls=false` is for a relay without TLS, on port 25.",
            takes="`smtp://USER:PASSWORD@HOST:PORT` or `smtps://…`, special characters percent-encoded; no password "
            "without TLS, unless the host is this machine",
            parse=values.mail_server,
            secret=True,
        ),
    ] = None
    alert_mail_to: Annotated[
        tuple[str, ...],
        Setting(
            help="Who gets alerts by mail, through ALERT_SMTP_URL.",
            takes="mail addresses such as `ops@example.org`",
            parse=values.mail_address,
            many=True,
        ),
    ] = ()
    alert_mail_from: Annotated[
        str,
        Setting(
            help="Whom those mails come from.",
            takes="a mail address",
            parse=values.mail_address,
            default="the first of ALERT_MAIL_TO",
        ),
    ] = ""
    alert_after_seconds: Annotated[
        float,
        Setting(
            help="What does not work is told once it has not worked for so long.",
            takes="seconds, 0 or more",
            parse=values.not_negative,
        ),
    ] = 60.0
    alert_repeat_hours: Annotated[
        float,
        Setting(
            help="What still does not work is told again after so long; 0: never.",
            takes="hours, 0 or more",
            parse=values.not_negative,
        ),
    ] = 24.0
    alert_severity: Annotated[
        Literal["warning", "critical"],
        Setting(
            help="From which severity on something is told.",
            takes="`warning` or `critical`",
            parse=values.severity,
        ),
    ] = "warning"


def missing(settings: AlertFields) -> str:
    """Return what the settings of alerts lack to go together, "" for nothing."""
    needs = (
        ("alert_webhook_secret", "alert_webhook_url"),
        ("alert_smtp_url", "alert_mail_to"),
        ("alert_mail_to", "alert_smtp_url"),
        ("alert_mail_from", "alert_mail_to"),
    )
    for given, needed in needs:
        if getattr(settings, given) and not getattr(settings, needed):
            return f"TELLWIRE_{given.upper()} needs TELLWIRE_{needed.upper()}"
    return ""
