"""The settings of logging in at a company's own provider."""

from __future__ import annotations

from typing import Annotated

from tellwire.settings import values
from tellwire.settings.alert_fields import AlertFields
from tellwire.settings.setting import Setting


class LoginFields(AlertFields, frozen=True, kw_only=True):
    """Every setting of a login provider with its value."""

    oidc_issuer: Annotated[
        str,
        Setting(
            help="The OpenID Connect provider at which members of the console may log in; it needs the extra `oidc`, "
            "PUBLIC_URL, and a program registered there whose redirect address is `PUBLIC_URL/login/oidc/back`.",
            takes="its issuer, an `http://` or `https://` URL",
            parse=values.http_url,
        ),
    ] = ""
    oidc_client_id: Annotated[
        str,
        Setting(help="The id that the provider gave that program.", takes="a text", parse=str),
    ] = ""
    oidc_client_secret: Annotated[
        str,
        Setting(help="The secret that the provider gave that program.", takes="a text", parse=str, secret=True),
    ] = ""
    oidc_name: Annotated[
        str,
        Setting(help='What the button says after "Log in with".', takes="a text", parse=str),
    ] = "your company's account"
    oidc_trust_email: Annotated[
        bool,
        Setting(
            help="Believe addresses of which the provider does not say that it verified them, as Entra ID does not: "
            "only where nobody but your company can have an account there.",
            takes="`true` or `false`",
            parse=values.flag,
        ),
    ] = False
