"""PURE. What a member of each role may do, as scopes of the REST API (docs/reference/console.md, "Roles")."""

from __future__ import annotations

from tellwire.model.members import Access, Member, Role

SCOPES: dict[Role, tuple[str, ...]] = {
    "owner": ("admin",),
    "operator": ("read", "messages:write", "deliveries:replay", "contacts:manage", "templates:manage"),
    "agent": ("read", "messages:write"),
    "viewer": ("read",),
}
"""The scopes of a role."""


def access_of(member: Member) -> Access:
    """Return what a session of a member may do."""
    return Access(
        name=member.name or member.email,
        role=member.role,
        scopes=SCOPES[member.role],
        actor=f"member {member.id}",
        operator=member.operator,
    )


def access_of_operator() -> Access:
    """Return what somebody may do who runs the installation and came by a link from its own machine."""
    return Access(name="Operator", role="owner", scopes=("admin",), actor="login-link", operator=True)
