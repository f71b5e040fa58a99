"""People who use the console, and what a session of theirs may do."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from tellwire.model.units import Micros

Role = Literal["owner", "operator", "agent", "viewer"]
Named = Literal["replay", "pause", "test", "bodies", "inbox:read", "inbox:write"]
"""What a portal link may name: beyond it, its sessions see endpoints, numbers and deliveries without bodies."""

_EMAIL = re.compile(r"[!-?A-~]{1,64}@[!-?A-~]{1,189}", re.ASCII)


def email_of(text: str) -> str:
    """Return an email address in the one spelling in which addresses are kept and compared; "" if it is none.

    Only ASCII is taken, so that no two addresses look alike.
    """
    plain = text.strip(" ")
    return plain.lower() if _EMAIL.fullmatch(plain) else ""


class Member(Struct, frozen=True, kw_only=True):
    """A person of an organization.

    `email` is what the member logs in with, unique in the installation. `password_hash`: "" while none was set, then
    only a login link lets the member in. `operator`: whether the member runs the installation; no role says so.
    `failed_logins`: how many in a row; until `locked_until` no password lets the member in. `bodies`: whether a viewer
    is shown texts and payloads.
    """

    id: str
    organization_id: str
    email: str
    name: str
    role: Role
    password_hash: str = ""
    operator: bool = False
    failed_logins: int = 0
    locked_until: Micros = 0
    last_login_at: Micros | None = None
    bodies: bool = True
    created_at: Micros = 0
    updated_at: Micros = 0


class Access(Struct, frozen=True, kw_only=True):
    """What a session may do, as it was when the session began.

    `scopes` are those of API keys. `actor` is whom the audit names. `named`: None for whoever may do all that the
    scopes allow; else only what `web.named_calls` lists may be called, as far as it is named here. `endpoint_id`: the
    only webhook endpoint that is shown, "" for all. `origins`: the sites that may show the console in a frame.
    """

    name: str
    role: Role | Literal["portal"]
    scopes: tuple[str, ...]
    actor: str
    operator: bool = False
    named: tuple[Named, ...] | None = None
    endpoint_id: str = ""
    origins: tuple[str, ...] = ()

    @property
    def bodies(self) -> bool:
        """Return whether texts and payloads are shown."""
        return self.named is None or "bodies" in self.named


class ConsoleSession(Struct, frozen=True, kw_only=True):
    """A session as stored: never the cookie's value itself, only its SHA-256 (hex). `seen_at`: when it was last used,
    within some minutes."""

    hash: str
    organization_id: str
    access: Access
    created_at: Micros
    expires_at: Micros
    member_id: str = ""
    portal_link_id: str = ""
    seen_at: Micros = 0


class LoginLink(Struct, frozen=True, kw_only=True):
    """A link that lets somebody in once: `member_id` "" for who runs the installation."""

    id: str
    organization_id: str
    hash: str
    member_id: str
    created_at: Micros
    expires_at: Micros


class PortalLink(Struct, frozen=True, kw_only=True):
    """A link to the console of an organization, or of one of its endpoints, for people who are no members.

    The link itself is not stored: it is signed (`security.portal_tokens`). `named`: what may be done. `origins`: the
    sites that may show it in a frame.
    """

    id: str
    organization_id: str
    name: str
    named: tuple[Named, ...] = ()
    endpoint_id: str = ""
    origins: tuple[str, ...] = ()
    created_at: Micros = 0
    expires_at: Micros = 0


class LoginAttempt(Struct, frozen=True, kw_only=True):
    """What a login at a provider begins with, and its end is checked against: random texts, and where it leads back."""

    redirect: str
    state: str
    nonce: str
    verifier: str
