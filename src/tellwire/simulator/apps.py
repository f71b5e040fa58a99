"""Answer what Meta answers about the app: its webhook subscription, tokens of the app, and what tokens may do. No I/O.

Source: Meta, "Application subscriptions", "debug_token", "Webhook overrides".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, field

from tellwire.simulator.refusals import Refusal

APP_ID = "100200300400600"
SCOPES = ("whatsapp_business_management", "whatsapp_business_messaging")
OBJECT = "whatsapp_business_account"
_REFUSED_CALLBACK = 2200


class Subscription(Struct, frozen=True):
    """What the app is subscribed to: where Meta posts, and which fields."""

    callback_url: str
    fields: tuple[str, ...]
    verify_token: str = ""
    active: bool = True


class SimulatedApp(Struct):
    """The app of the simulated Meta; tests change it as a person would in Meta's dashboard.

    `secret`: its App Secret, "" while nobody has set one. `scopes` and `expires_at` (seconds, 0: never) are of every
    token. `numbers`: fields of a number that differ from the usual ones, by phone number id. `of_waba`: alternate
    callback URLs of WhatsApp business accounts, by id.
    """

    secret: str = ""
    subscription: Subscription | None = None
    scopes: tuple[str, ...] = SCOPES
    expires_at: int = 0
    numbers: dict[str, dict[str, Any]] = field(default_factory=dict)
    of_waba: dict[str, str] = field(default_factory=dict)

    def admit(self, token: str) -> None:
        """Check a token of the app, `APP_ID|APP_SECRET`.

        Raises:
            Refusal: 190, it is not the app's.
        """
        if not self.secret or token != f"{APP_ID}|{self.secret}":
            raise Refusal(190, message="Invalid OAuth access token signature.")

    def shown(self) -> dict[str, Any]:
        """Return the answer of `subscriptions`."""
        if self.subscription is None:
            return {"data": []}
        row = {
            "object": OBJECT,
            "callback_url": self.subscription.callback_url,
            "active": self.subscription.active,
            "fields": [{"name": name, "version": "v24.0"} for name in self.subscription.fields],
        }
        return {"data": [row]}

    def asked_for(self, given: Mapping[str, Any]) -> Subscription:
        """Return the subscription that a POST asks for; its callback URL has still to answer the handshake.

        Raises:
            Refusal: a parameter is missing or not taken.
        """
        if given.get("object") != OBJECT:
            raise Refusal(100, f"object must be {OBJECT}")
        url, token = str(given.get("callback_url", "")), str(given.get("verify_token", ""))
        if not urlsplit(url).hostname or not token:
            raise Refusal(100, "callback_url and verify_token are required")
        fields = given.get("fields", "")
        names = fields if isinstance(fields, list) else str(fields).split(",")
        return Subscription(url, tuple(str(name).strip() for name in names if str(name).strip()), token)

    def configuration(self, number: str, waba_id: str) -> dict[str, str]:
        """Return the `webhook_configuration` of a number: the callback URLs that are set, by level."""
        levels = {
            "phone_number": self.numbers.get(number, {}).get("callback", ""),
            OBJECT: self.of_waba.get(waba_id, ""),
            "application": self.subscription.callback_url if self.subscription else "",
        }
        return {level: url for level, url in levels.items() if url}


def unverified() -> Refusal:
    """Return the refusal of a callback URL that does not answer the handshake."""
    return Refusal(
        _REFUSED_CALLBACK,
        http=400,
        message="(#2200) Callback verification failed: the URL could not be validated.",
    )
