"""People who use the console, and what a session of theirs may do."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from tellwire.model.units import Micros

Role = Literal["owner", "operator", "agent", "viewer"]


class Member(Struct, frozen=True, kw_only=True):
    """A person of an organization.

    `email` is what the member logs in with, unique in the installation. `password_hash`: "" while none was set, then
    only a login link lets the member in. `operator`: whether the member runs the installation; no role says so.
    `failed_logins`: how many in a row; until `locked_until` no password is looked at.
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
    created_at: Micros = 0
    updated_at: Micros = 0


class Access(Struct, frozen=True, kw_only=True):
    """What a session may do, as it was when the session began.

    `scopes` are those of API keys. `actor` is whom the audit names. `endpoint_id`: the only webhook endpoint that is
    shown, "" for all. `bodies`: whether texts and payloads are shown. `origins`: the sites that may show the console in
    a frame.
    """

    name: str
    role: Role | Literal["portal"]
    scopes: tuple[str, ...]
    actor: str
    operator: bool = False
    endpoint_id: str = ""
    bodies: bool = True
    origins: tuple[str, ...] = ()


class ConsoleSession(Struct, frozen=True, kw_only=True):
    """A session as stored: never the cookie's value itself, only its SHA-256 (hex)."""

    hash: str
    organization_id: str
    access: Access
    created_at: Micros
    expires_at: Micros
    member_id: str = ""
    portal_link_id: str = ""


class LoginLink(Struct, frozen=True, kw_only=True):
    """A link that lets somebody in once: `member_id` "" for who runs the installation."""

    hash: str
    organization_id: str
    member_id: str
    expires_at: Micros
