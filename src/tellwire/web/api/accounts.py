"""Serve `/v1/accounts`: WhatsApp business numbers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import encode
from msgspec.structs import asdict, replace
from sqlalchemy import Connection

from tellwire.accounts import facts as account_facts
from tellwire.accounts.templates import TemplateStatus
from tellwire.conversations import outgoing
from tellwire.errors import Invalid
from tellwire.model import operational_events
from tellwire.model.id_form import looks_like_id
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.row_json import instant
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS, Micros
from tellwire.security.pasted import token_of, trimmed
from tellwire.stores.queries import accounts, agents, operational, sends
from tellwire.stores.queries import templates as template_queries
from tellwire.stores.queries.audit import AuditChange
from tellwire.web.api import account_check
from tellwire.web.api.account_check import known_account
from tellwire.web.api.number_check import check_account
from tellwire.web.api.shapes import LINE, Id, NextCursor, When
from tellwire.web.parameters import Cursor, Limit, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import joined, page_response, raw_json_response

log = logging.getLogger("tellwire.web")

_READ = {"scopes": ("read", "accounts:manage")}
_MANAGE = {"scopes": ("accounts:manage",)}
_NOUN = "accounts"
_ROUTING_SECONDS = 5.0
_CANCELLED_AT_ONCE = 200
_DEFAULTS = Account(id="", organization_id="", phone_number_id="")
_CLAIMS = frozenset(("access_token", "display_phone_number", "waba_id"))

MetaId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z_.-]+(?![\s\S])")]
Line = Annotated[str, Meta(max_length=256, pattern=LINE)]
SecretText = Annotated[str, Meta(max_length=4096, pattern=LINE, description="Kept encrypted, never shown again.")]
UnknownStatuses = Annotated[
    Literal["create", "hold"], Meta(description="What a status of a message that nobody knows does.")
]
SendRate = Annotated[int, Meta(ge=1, le=1000, description="Messages a second at the most, as Meta allows the number.")]
OnRevoke = Annotated[Literal["keep", "erase"], Meta(description="What becomes of the content of a revoked message.")]


AgentId = Annotated[str, Meta(max_length=64, description="The AI agent that answers its customers; empty for none.")]


class AccountDraft(Struct, kw_only=True, forbid_unknown_fields=True):
    """An account to create."""

    phone_number_id: Annotated[MetaId, Meta(description="Meta's id of the number; unique in the installation.")]
    display_phone_number: Line = ""
    name: Line = ""
    waba_id: Annotated[str, Meta(max_length=64, pattern=r"^[0-9A-Za-z_.-]*(?![\s\S])")] = ""
    access_token: SecretText = ""
    app_secret: SecretText = ""
    unknown_statuses: UnknownStatuses = "create"
    on_revoke: OnRevoke = "keep"
    agent_id: AgentId = ""
    send_rate: SendRate = 80


class AccountChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of an account. What is left out stays; null takes the default again."""

    display_phone_number: Line | UnsetType | None = UNSET
    name: Line | UnsetType | None = UNSET
    waba_id: Annotated[str, Meta(max_length=64, pattern=r"^[0-9A-Za-z_.-]*(?![\s\S])")] | UnsetType | None = UNSET
    access_token: SecretText | UnsetType | None = UNSET
    app_secret: SecretText | UnsetType | None = UNSET
    unknown_statuses: UnknownStatuses | UnsetType | None = UNSET
    on_revoke: OnRevoke | UnsetType | None = UNSET
    agent_id: AgentId | UnsetType | None = UNSET
    send_rate: SendRate | UnsetType | None = UNSET


class AboutRead(Struct, kw_only=True):
    """Something that Meta told of the account: the value as Meta gave it, and when."""

    value: Any
    at: When


class AccountRead(Struct, kw_only=True):
    """An account, without its secrets."""

    id: Id
    organization_id: Id
    phone_number_id: str
    display_phone_number: str
    name: str
    waba_id: str
    has_access_token: bool
    has_app_secret: bool
    unknown_statuses: Literal["create", "hold"]
    on_revoke: Literal["keep", "erase"]
    agent_id: str | None
    send_rate: int
    sending_paused: Annotated[
        str | None, Meta(description="Why nothing is sent, null when it is; a new token or `resume-sending` ends it.")
    ]
    about: Annotated[
        dict[str, AboutRead],
        Meta(description="What Meta told of the number and its business account, by name: `quality`, `restrictions` …"),
    ]
    problems: Annotated[list[str], Meta(description="What is wrong with it just now, in plain words.")]
    created_at: When
    updated_at: When


class TemplatesRead(Struct, kw_only=True):
    """How the templates of the business account stand with Meta's; `cause`: why the last attempt failed."""

    synchronised_at: When | None
    next_at: When
    cause: str


class AccountWithTemplates(AccountRead, kw_only=True):
    """An account with how its templates stand; null while nobody has looked."""

    templates: TemplatesRead | None


class AccountList(Struct, kw_only=True):
    """A page of accounts, newest first."""

    data: list[AccountRead]
    next_cursor: NextCursor


def _shown(account: Account, now: Micros) -> bytes:
    facts = account_facts.known(account.about)
    paused = [f"Nothing is sent ({account.sending_paused})."] if account.sending_paused else []
    return encode(
        AccountRead(
            id=account.id,
            organization_id=account.organization_id,
            phone_number_id=account.phone_number_id,
            display_phone_number=account.display_phone_number,
            name=account.name,
            waba_id=account.waba_id,
            has_access_token=bool(account.access_token),
            has_app_secret=bool(account.app_secret),
            unknown_statuses=account.unknown_statuses,
            on_revoke=account.on_revoke,
            agent_id=account.agent_id or None,
            send_rate=account.send_rate,
            sending_paused=account.sending_paused or None,
            about={name: AboutRead(value=fact.value, at=instant(fact.at * MICROS)) for name, fact in facts.items()},
            problems=[*paused, *account_facts.problems(facts, now // MICROS)],
            created_at=instant(account.created_at),
            updated_at=instant(account.updated_at),
        )
    )


@get("/accounts", summary="List accounts", opt=_READ)
async def list_accounts(context: ContextDependency, limit: Limit = 50, cursor: Cursor = "") -> Response[AccountList]:
    """The accounts of the organization."""
    vault = context.services.store.vault
    page = await context.read(
        lambda c: accounts.page(c, vault, context.organization_id, page_request(_NOUN, limit, cursor))
    )
    now = context.services.clock.now()
    return page_response(_NOUN, page, lambda account: _shown(account, now), AccountList)


@post("/accounts", summary="Create an account", opt=_MANAGE)
async def create_account(
    request: Request[Any, Any, Any], context: ContextDependency, data: JSONBody[AccountDraft]
) -> Response[AccountRead]:
    """What waited for the number is applied at once. Only for an operator nothing is asked outside: every other key
    must bring a token for which Meta shows the number, and the business account if one is named."""
    _check_ids(data.phone_number_id, data.waba_id)
    draft = _as_meant(asdict(data))
    async with context.once(request) as once:
        if once.kept:
            return once.kept
        if not context.caller.operator:
            await check_account(context.services.graph, Account(id="", organization_id="", **draft))
        audit_change, vault = context.audit_change(), context.services.store.vault

        def work(connection: Connection) -> tuple[Account, bytes]:
            account = Account(
                id=audit_change.new_id(),
                organization_id=context.organization_id,
                created_at=audit_change.at,
                updated_at=audit_change.at,
                **draft,
            )
            context.check_quota(connection, "accounts")
            _check_agent(connection, context, account)
            return accounts.add(connection, audit_change, vault, account), _shown(account, audit_change.at)

        _, body = await once.write(work)
        await _route(context, data.phone_number_id)
    return raw_json_response(body, AccountRead, status=201)


async def _route(context: RequestContext, phone_number_id: str) -> None:
    """Apply the items that waited for the number: at once when they are few, the rest in the background."""
    task = asyncio.ensure_future(context.services.route_unrouted(phone_number_id))
    context.app_state.keep_running(task)
    done, _ = await asyncio.wait((task,), timeout=_ROUTING_SECONDS)
    for each in done:
        if not each.cancelled() and (error := each.exception()) is not None:
            log.warning("what waited for a new account is applied later", exc_info=error)


@get("/accounts/{account_id:str}", summary="Read an account", opt=_READ)
async def read_account(account_id: FromPath[str], context: ContextDependency) -> Response[AccountWithTemplates]:
    """One account, by our id or its phone_number_id."""

    def find(connection: Connection) -> tuple[Account, TemplateStatus | None]:
        account = known_account(connection, context, account_id)
        return account, template_queries.sync_status(connection, account.organization_id, account.waba_id)

    account, standing = await context.read(find)
    return raw_json_response(
        joined(_shown(account, context.services.clock.now()), {"templates": _standing(standing)}), AccountWithTemplates
    )


def _standing(found: TemplateStatus | None) -> TemplatesRead | None:
    if found is None:
        return None
    return TemplatesRead(
        synchronised_at=instant(found.synchronised_at) if found.synchronised_at else None,
        next_at=instant(found.due_at),
        cause=found.cause,
    )


@patch("/accounts/{account_id:str}", summary="Change an account", opt=_MANAGE)
async def change_account(
    account_id: FromPath[str], context: ContextDependency, data: JSONBody[AccountChange]
) -> Response[AccountRead]:
    """Change what is given, leave the rest. Unless an operator changes it, Meta must show what the account claims, its
    number and its business account, to the token that it has then."""
    audit_change = context.audit_change()
    given = {name: value for name, value in asdict(data).items() if value is not UNSET}
    fields = {name: getattr(_DEFAULTS, name) if value is None else value for name, value in given.items()}
    fields = _as_meant(fields)
    _check_ids("", fields.get("waba_id", ""))
    if not context.caller.operator and not _CLAIMS.isdisjoint(fields):
        await _check_claims(context, await context.read(lambda c: known_account(c, context, account_id)), fields)

    def work(connection: Connection) -> Account:
        account = known_account(connection, context, account_id)
        changed = replace(account, **fields, updated_at=max(audit_change.at, account.updated_at + 1))
        if "agent_id" in fields:
            _check_agent(connection, context, changed)
        if changed.access_token not in ("", account.access_token):
            changed = _resumed(connection, audit_change, changed, "a new access token")
        return accounts.change(connection, audit_change, context.services.store.vault, changed)

    return raw_json_response(_shown(await context.write(work), audit_change.at), AccountRead)


@post("/accounts/{account_id:str}/resume-sending", summary="Send again", opt=_MANAGE, status_code=200)
async def resume_sending(account_id: FromPath[str], context: ContextDependency) -> Response[AccountRead]:
    """Send what waits again, after what paused it is settled. Nothing happens when it is not paused."""
    audit_change = context.audit_change()

    def work(connection: Connection) -> Account:
        account = known_account(connection, context, account_id)
        if not account.sending_paused:
            return account
        changed = replace(account, updated_at=max(audit_change.at, account.updated_at + 1))
        changed = _resumed(connection, audit_change, changed, "a person resumed it")
        return accounts.change(
            connection, audit_change, context.services.store.vault, changed, action="account.resumed"
        )

    return raw_json_response(_shown(await context.write(work), audit_change.at), AccountRead)


def _resumed(connection: Connection, audit_change: AuditChange, account: Account, how: str) -> Account:
    """Return the account with sending switched on; if it was off, record the event."""
    if account.sending_paused:
        operational.record(connection, audit_change, operational_events.resumed(account, how))
    return replace(account, sending_paused="")


@delete("/accounts/{account_id:str}", summary="Delete an account", opt=_MANAGE, status_code=204)
async def delete_account(account_id: FromPath[str], context: ContextDependency) -> None:
    """Forget an account. Its conversations and messages stay, what is still to be sent is cancelled, and what comes for
    its number is unrouted from now on."""
    audit_change = context.audit_change()
    account = await context.read(lambda c: known_account(c, context, account_id))
    unsent, after = partial(sends.unsent, account_id=account.id, limit=_CANCELLED_AT_ONCE), ""
    while ids := await context.read(partial(unsent, after=after)):
        await context.apply(Keys(own={(account.phone_number_id, each) for each in ids}), _cancelling(account, ids))
        after = ids[-1]
    await context.write(lambda c: accounts.remove(c, audit_change, known_account(c, context, account_id)))


def _cancelling(account: Account, ids: Sequence[str]) -> Callable[[Ledger], None]:
    def decide(ledger: Ledger) -> None:
        for message_id in ids:
            outgoing.cancel(ledger, account, message_id, cause="the account was deleted")

    return decide


async def _check_claims(context: RequestContext, account: Account, fields: dict[str, Any]) -> None:
    """Check that the account may have what it did not have before: a token, a phone number, a business account."""
    wanted = replace(account, **fields)
    if any(getattr(wanted, name) not in ("", getattr(account, name)) for name in _CLAIMS):
        await check_account(context.services.graph, wanted)


def _as_meant(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an account with its secrets as they are meant.

    Raises:
        Invalid: the access token cannot be used.
    """
    token, secret = fields.get("access_token"), fields.get("app_secret")
    meant = {"access_token": token_of(token, "/access_token")} if token else {}
    return fields | meant | ({"app_secret": trimmed(secret)} if secret else {})


def _check_ids(phone_number_id: str, waba_id: str) -> None:
    """Check that ids of Meta's are not taken for ours: an account is found by either.

    Raises:
        Invalid: one has the form of our ids.
    """
    given = {"/phone_number_id": phone_number_id, "/waba_id": waba_id}
    if faults := [
        (name, "has the form of our ids, not of Meta's") for name, value in given.items() if looks_like_id(value)
    ]:
        raise Invalid("The account is not valid.", *faults)


def _check_agent(connection: Connection, context: RequestContext, account: Account) -> None:
    if account.agent_id and not agents.is_ai(connection, context.organization_id, account.agent_id):
        raise Invalid("The account is not valid.", ("/agent_id", "is no AI agent of this organization"))


HANDLERS = (
    list_accounts,
    create_account,
    read_account,
    change_account,
    resume_sending,
    delete_account,
    *account_check.HANDLERS,
)
