"""PURE. What a member of each role, or who came by a portal link, may do, as scopes of the REST API.

Source: docs/reference/console.md, "Roles".
"""

from __future__ import annotations

from tellwire.model.members import Access, Member, Named, PortalLink, Role

SCOPES: dict[Role, tuple[str, ...]] = {
    "owner": ("admin",),
    "operator": (
        "read",
        "inbox",
        "messages:write",
        "deliveries:replay",
        "webhooks:operate",
        "contacts:manage",
        "templates:manage",
    ),
    "agent": ("inbox", "messages:write"),
    "viewer": ("read",),
}
"""The scopes of a role."""

NAMED: dict[Named, str] = {
    "replay": "deliveries:replay",
    "pause": "webhooks:operate",
    "test": "webhooks:operate",
    "bodies": "read",
    "inbox:read": "inbox",
    "inbox:write": "messages:write",
}
"""The scope that is needed for what a portal link may name."""


def access_of(member: Member) -> Access:
    """Return what a session of a member may do."""
    return Access(
        name=member.name or member.email,
        role=member.role,
        scopes=SCOPES[member.role],
        actor=f"member {member.id}",
        operator=member.operator,
        named=() if member.role == "viewer" and not member.bodies else None,
    )


def access_of_operator() -> Access:
    """Return what somebody may do who runs the installation and came by a link from its own machine."""
    return Access(name="Operator", role="owner", scopes=("admin",), actor="login-link", operator=True)


def access_of_portal(link: PortalLink) -> Access:
    """Return what a session may do that began by a portal link."""
    return Access(
        name=link.name,
        role="portal",
        scopes=tuple(dict.fromkeys(["read", *(NAMED[each] for each in link.named)])),
        actor=f"portal-link {link.id}",
        named=link.named,
        endpoint_id=link.endpoint_id,
        origins=link.origins,
    )
