"""Make what reaches the outside, by the settings: what may be reached, through what, and with which bounds."""

from __future__ import annotations

from tellwire.alerts.channels import Chat, Mail, Route, Webhook
from tellwire.alerts.message import mail_name
from tellwire.errors import BadSettings
from tellwire.http_client.connection import ConnectionLimits
from tellwire.http_client.own_addresses import is_own_address
from tellwire.http_client.proxy import Proxy
from tellwire.http_client.sender import open_sender
from tellwire.mail.smtp import Smtp
from tellwire.model.extras import lacking
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Sender
from tellwire.ports.login_provider import LoginProvider
from tellwire.security.addresses import ANYWHERE, AllowedNetwork, Reach
from tellwire.settings import SETTINGS, Settings, variable_of
from tellwire_sdk import sign

MODEL_ANSWERS = ConnectionLimits(body=256 * 1024, wire=512 * 1024)
"""Of models, and of login providers with their configurations and keys."""


def sender(settings: Settings, reach: Reach, *, limits: ConnectionLimits | None = None) -> Sender:
    proxy = settings.delivery_proxy
    return open_sender(reach=reach, limits=limits, proxy=None if proxy is None else Proxy(proxy.host, proxy.port))


def login_provider(settings: Settings, clock: Clock) -> LoginProvider | None:
    """Return the provider at OIDC_ISSUER, None without one.

    Raises:
        BadSettings: what it needs is missing.
    """
    if not settings.oidc_issuer:
        return None
    check_login(settings)
    from tellwire.http_client.oidc import HttpLoginProvider  # noqa: PLC0415 - it comes with the extra

    return HttpLoginProvider(
        open_sender(reach=ANYWHERE, limits=MODEL_ANSWERS),
        clock,
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        secret=settings.oidc_client_secret,
        name=settings.oidc_name,
        trusts_email=settings.oidc_trust_email,
    )


def check_login(settings: Settings) -> None:
    """Raise BadSettings if there is to be a provider and what it needs is missing."""
    if not settings.oidc_issuer:
        return
    for name in ("oidc_client_id", "oidc_client_secret", "public_url"):
        if not getattr(settings, name):
            raise BadSettings(f"TELLWIRE_OIDC_ISSUER needs {variable_of(name)}: {SETTINGS[name].all_it_takes}")
    if missing := lacking("oidc", "OIDC_ISSUER needs"):
        raise BadSettings(missing)


def deliveries(settings: Settings) -> Reach:
    return _reach(settings, "deliveries", "DELIVERY_ALLOW_CIDRS", settings.delivery_allow_cidrs)


def models(settings: Settings) -> Reach:
    return _reach(settings, "models", "MODEL_ALLOW_CIDRS", settings.model_allow_cidrs)


def tools(settings: Settings) -> Reach:
    return _reach(settings, "tools", "TOOL_ALLOW_CIDRS", settings.tool_allow_cidrs)


def _reach(settings: Settings, what: str, setting: str, allow: tuple[AllowedNetwork, ...]) -> Reach:
    return Reach(
        what=what,
        setting=setting,
        allow=allow,
        own_port=settings.port,
        is_own=is_own_address,
        shows_answers=settings.show_allow_listed_answers,
    )


def alert_routes(settings: Settings, sender: Sender, clock: Clock) -> list[Route]:
    """Return the channels of alerts that are set; where they lead is the operator's choice, as with META_GRAPH_URL."""
    routes: list[Route] = []
    if settings.alert_webhook_url:
        routes.append(Webhook(settings.alert_webhook_url, settings.alert_webhook_secret, sender, sign, clock))
    if settings.alert_slack_url:
        routes.append(Chat(settings.alert_slack_url, sender))
    if settings.alert_smtp_url is not None:
        mailer = Smtp(settings.alert_smtp_url, name=mail_name(settings.base_url))
        to = settings.alert_mail_to
        routes.append(Mail(mailer, sender=settings.alert_mail_from or to[0], to=to))
    return routes
