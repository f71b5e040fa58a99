"""Organizations, their API keys and their accounts (WhatsApp business phone numbers)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from tellwire.model.units import Micros

DEFAULT_ORGANIZATION = "00000000-0000-7000-8000-000000000001"
"""The organization that exists from the first start."""


class Organization(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    created_at: Micros


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key as stored: never the key itself, only its SHA-256 (hex) and its first characters.

    `operator`: whether its holder runs the installation; no scope says so.
    """

    id: str
    organization_id: str
    name: str
    prefix: str
    hash: str
    scopes: tuple[str, ...]
    created_at: Micros
    expires_at: Micros | None = None
    last_used_at: Micros | None = None
    revoked_at: Micros | None = None
    operator: bool = False


class Account(Struct, frozen=True, kw_only=True):
    """A WhatsApp business phone number. Secrets are plain here and encrypted at rest.

    `agent_id`: the AI agent that answers its customers, "" for none. `send_rate`: messages a second at the most.
    `sending_paused`: why nothing is sent for now, "" while messages are sent. `about`: what Meta has said about the
    number and its business account (quality, limits, reviews), a JSON object.
    """

    id: str
    organization_id: str
    phone_number_id: str
    display_phone_number: str = ""
    name: str = ""
    waba_id: str = ""
    access_token: str = ""
    app_secret: str = ""
    unknown_statuses: Literal["create", "hold"] = "create"
    on_revoke: Literal["keep", "erase"] = "keep"
    agent_id: str = ""
    send_rate: int = 80
    sending_paused: str = ""
    about: str = "{}"
    created_at: Micros = 0
    updated_at: Micros = 0
