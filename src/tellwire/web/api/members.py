"""Serve `/v1/members`: the people of an organization who use the console. A password is never shown."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import encode
from msgspec.structs import replace
from sqlalchemy import Connection

from tellwire.errors import Invalid, NotAllowed, NotFound, TooMany
from tellwire.model.members import Member, Role, email_of
from tellwire.model.row_json import instant
from tellwire.security import passwords
from tellwire.stores.queries import members
from tellwire.web.api.shapes import LINE, Id, NextCursor, When, when
from tellwire.web.parameters import Cursor, Limit, our_id, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import page_response, raw_json_response

_ADMIN = {"scopes": ("admin",)}
_OWN = {"scopes": ("read", "inbox")}
"""Every role has one of these, and a key has no member."""
_NOUN = "members"

_PASSWORD = Annotated[
    str,
    Meta(
        min_length=passwords.SHORTEST,
        max_length=passwords.LONGEST,
        pattern=LINE,
        description="What the member logs in with. Kept as argon2id, never shown. Without one, only a login link lets "
        "the member in.",
    ),
]
_NAME = Annotated[str, Meta(max_length=256, pattern=LINE)]
_BODIES = Annotated[bool, Meta(description="Whether a viewer is shown texts and payloads.")]


class MemberDraft(Struct, kw_only=True, forbid_unknown_fields=True):
    """A member to create."""

    email: Annotated[str, Meta(max_length=254, pattern=LINE, description="In any case; kept in lower case.")]
    name: _NAME = ""
    role: Role
    password: _PASSWORD | UnsetType = UNSET
    bodies: _BODIES = True
    operator: Annotated[
        bool, Meta(description="The member runs the installation, whatever the role. Only operators may.")
    ] = False


class MemberChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a member. Sessions end when role, password or `bodies` change."""

    name: _NAME | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    password: _PASSWORD | UnsetType = UNSET
    bodies: _BODIES | UnsetType = UNSET
    unlock: Annotated[
        bool, Meta(description="Whether to let the member log in again after too many wrong passwords.")
    ] = False


class PasswordChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """A member's own new password; the old one may be left out by who has none yet."""

    old_password: Annotated[str, Meta(max_length=passwords.LONGEST, pattern=LINE)] = ""
    new_password: _PASSWORD


class MemberRead(Struct, kw_only=True):
    """A member. `locked_until`: too many wrong passwords came, so that until then only a login link lets it in."""

    id: Id
    organization_id: Id
    email: str
    name: str
    role: Role
    bodies: bool
    operator: Annotated[bool, Meta(description="Whether it runs the installation; only operators see such members.")]
    has_password: bool
    locked_until: When | None
    last_login_at: When | None
    created_at: When
    updated_at: When


class MemberList(Struct, kw_only=True):
    """A page of members, newest first."""

    data: list[MemberRead]
    next_cursor: NextCursor


def _shown(context: RequestContext, member: Member) -> bytes:
    locked = member.locked_until > context.services.clock.now()
    return encode(
        MemberRead(
            id=member.id,
            organization_id=member.organization_id,
            email=member.email,
            name=member.name,
            role=member.role,
            bodies=member.bodies,
            operator=member.operator,
            has_password=bool(member.password_hash),
            locked_until=when(member.locked_until) if locked else None,
            last_login_at=when(member.last_login_at),
            created_at=instant(member.created_at),
            updated_at=instant(member.updated_at),
        )
    )


@get("/members", summary="List members", opt=_ADMIN)
async def list_members(context: ContextDependency, limit: Limit = 50, cursor: Cursor = "") -> Response[MemberList]:
    """The members of the organization; those who run the installation only for an operator."""
    paging, operators = page_request(_NOUN, limit, cursor), context.caller.operator
    page = await context.read(lambda c: members.page(c, context.organization_id, paging, operators=operators))
    return page_response(_NOUN, page, lambda member: _shown(context, member), MemberList)


@post("/members", summary="Create a member", opt=_ADMIN)
async def create_member(
    request: Request[Any, Any, Any], context: ContextDependency, data: JSONBody[MemberDraft]
) -> Response[MemberRead]:
    """A person who may use the console from now on. An address can be that of one member in the installation."""
    email = email_of(data.email)
    if not email:
        raise Invalid("The address is not valid.", ("/email", "must be an email address, in ASCII"))
    if data.operator and not context.caller.operator:
        raise NotAllowed("Only who runs the installation makes members who run it.")
    async with context.once(request) as once:
        if once.kept:
            return once.kept
        stored = ""
        if data.password is not UNSET:
            stored = await _hashed(context, data.password, "password", email, data.name)
        draft = Member(
            id="",
            organization_id=context.organization_id,
            email=email,
            name=data.name,
            role=data.role,
            password_hash=stored,
            operator=data.operator,
            bodies=data.bodies,
        )
        audit_change = context.audit_change()

        def work(connection: Connection) -> tuple[None, bytes]:
            context.check_quota(connection, "members")
            return None, _shown(context, members.add(connection, audit_change, draft))

        _, body = await once.write(work)
    return raw_json_response(body, MemberRead, status=201)


@get("/members/{member_id:str}", summary="Read a member", opt=_ADMIN)
async def read_member(member_id: FromPath[str], context: ContextDependency) -> Response[MemberRead]:
    """One member."""
    name = our_id(member_id, "member")
    member = await context.read(lambda c: _known(c, context, name))
    return raw_json_response(_shown(context, member), MemberRead)


@patch("/members/{member_id:str}", summary="Change a member", opt=_ADMIN)
async def change_member(
    member_id: FromPath[str], context: ContextDependency, data: JSONBody[MemberChange]
) -> Response[MemberRead]:
    """Change what is given, leave the rest. The last owner stays one."""
    name, audit_change = our_id(member_id, "member"), context.audit_change()
    before = await context.read(lambda c: _known(c, context, name))
    given = {field: getattr(data, field) for field in ("name", "role", "bodies") if getattr(data, field) is not UNSET}
    if data.password is not UNSET:
        if name == context.caller.member_id:
            raise NotAllowed("Your own password is changed at /v1/members/me/password, with the old one.")
        given["password_hash"] = await _hashed(context, data.password, "password", before.email, before.name)
    if data.unlock:
        given |= {"failed_logins": 0, "locked_until": 0}

    def work(connection: Connection) -> bytes:
        changed = replace(_known(connection, context, name), **given)
        return _shown(context, members.change(connection, audit_change, changed))

    return raw_json_response(await _ending(context, work), MemberRead)


@delete("/members/{member_id:str}", summary="Delete a member", opt=_ADMIN, status_code=204)
async def delete_member(member_id: FromPath[str], context: ContextDependency) -> None:
    """Delete a member and end its sessions. The last owner stays."""
    name, audit_change = our_id(member_id, "member"), context.audit_change()

    def work(connection: Connection) -> bytes:
        members.remove(connection, audit_change, _known(connection, context, name))
        return b""

    await _ending(context, work)


@post("/members/{member_id:str}/end-sessions", summary="Log a member out everywhere", opt=_ADMIN, status_code=200)
async def end_sessions(member_id: FromPath[str], context: ContextDependency) -> Response[MemberRead]:
    """End every session of a member, and the login links that were not used yet."""
    name, audit_change = our_id(member_id, "member"), context.audit_change()

    def work(connection: Connection) -> bytes:
        member = _known(connection, context, name)
        members.end_sessions(connection, audit_change, member)
        return _shown(context, member)

    return raw_json_response(await _ending(context, work), MemberRead)


# --- what a member does with itself -----------------------------------------------------------------------------------


@get("/members/me", summary="Read yourself", opt=_OWN)
async def read_me(context: ContextDependency) -> Response[MemberRead]:
    """The member whose session of the console makes the call; a key has none."""
    member = await context.read(lambda c: _me(c, context))
    return raw_json_response(_shown(context, member), MemberRead)


@post("/members/me/password", summary="Change your password", opt=_OWN, status_code=200)
async def change_own_password(context: ContextDependency, data: JSONBody[PasswordChange]) -> Response[MemberRead]:
    """Change the password of the member whose session makes the call; its other sessions end. Wrong old passwords count
    as wrong logins do."""
    now, audit_change = context.services.clock.now(), context.audit_change()
    before = await context.read(lambda c: _me(c, context))
    if before.password_hash:
        if not await context.write(lambda c: members.password_tried(c, before, now)):
            raise TooMany("Too many wrong passwords came: wait 15 minutes.", retry_after=60, kind="too-many-logins")
        if not await context.app_state.passwords.is_right(data.old_password, before.password_hash):
            raise Invalid("The old password is not right.", ("/old_password", "is not your password"))
    stored = await _hashed(context, data.new_password, "new_password", before.email, before.name, data.old_password)

    def work(connection: Connection) -> bytes:
        current = members.password_was_right(connection, before)
        if current is None:
            raise NotAllowed("The password was changed by somebody else meanwhile: log in again.")
        changed = replace(current, password_hash=stored, failed_logins=0, locked_until=0)
        kept = context.caller.session
        made = members.change(connection, audit_change, changed, action="member.password_changed", keep_session=kept)
        return _shown(context, made)

    return raw_json_response(await _ending(context, work), MemberRead)


@post("/members/me/end-sessions", summary="Log yourself out elsewhere", opt=_OWN, status_code=200)
async def end_own_sessions(context: ContextDependency) -> Response[MemberRead]:
    """End every other session of the member whose session makes the call."""
    audit_change = context.audit_change()

    def work(connection: Connection) -> bytes:
        member = _me(connection, context)
        members.end_sessions(connection, audit_change, member, keep_session=context.caller.session)
        return _shown(context, member)

    return raw_json_response(await _ending(context, work), MemberRead)


async def _ending(context: RequestContext, work: Any) -> bytes:
    """Run a change that may end sessions, and end the streams of those at once."""
    body: bytes = await context.write(work)
    context.app_state.streams.wake()
    return body


def _known(connection: Connection, context: RequestContext, member_id: str) -> Member:
    found = members.get(connection, context.organization_id, member_id, operators=context.caller.operator)
    if found is None:
        raise NotFound("There is no member with this id.")
    return found


def _me(connection: Connection, context: RequestContext) -> Member:
    own = context.caller.member_id
    found = members.get(connection, context.organization_id, own) if own else None
    if found is None:
        raise NotFound("Only a member who is logged in to the console has this.", kind="no-member")
    return found


async def _hashed(context: RequestContext, password: str, field: str, *known: str) -> str:
    if fault := passwords.fault(password, *known):
        raise Invalid("The password is not taken.", (f"/{field}", fault))
    return await context.app_state.passwords.hashed(password)


HANDLERS = (
    list_members,
    create_member,
    read_me,
    change_own_password,
    end_own_sessions,
    read_member,
    change_member,
    delete_member,
    end_sessions,
)
