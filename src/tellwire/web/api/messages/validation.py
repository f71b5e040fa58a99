"""Check a message to send, and report all its faults at once."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.json import encode

from tellwire.conversations.outgoing import Draft
from tellwire.errors import Invalid, NotFound
from tellwire.meta.outgoing import recipient, types
from tellwire.meta.raw_json import replace, verbatim
from tellwire.model.id_form import looks_like_id
from tellwire.model.messaging import Conversation, Message
from tellwire.model.tenancy import Account
from tellwire.model.units import DAY, MICROS, Micros
from tellwire.stores.queries import conversations, messages, service_windows
from tellwire.web.api.messages import template_check
from tellwire.web.api.messages.fields import MessageDraft
from tellwire.web.api.messages.files import column_of
from tellwire.web.parameters import instant_of
from tellwire.web.request import RequestContext

_LATEST: Micros = 365 * DAY
_LONGEST_WAMID = 256


async def checked(context: RequestContext, given: MessageDraft) -> Draft:
    """Return the checked draft of a message.

    Raises:
        Invalid: the message cannot be sent; all its faults are named. Of kind `window-closed` when the customer service
            window is known to have run out; `template-mismatch` when it does not fit its template; `opted-out` when it
            is marketing that its recipient wants no more.
    """
    draft = await well_formed(context, given)
    await template_check.check_template(context, draft.account, draft.content)
    await check_window(context, draft)
    await template_check.check_wanted(context, draft)
    return draft


async def well_formed(context: RequestContext, given: MessageDraft) -> Draft:
    """Return the draft of a message whose every field is valid in itself.

    Raises:
        Invalid: a field is not; all faults are named.
    """
    check = _Check(context, given)
    account = check.account()
    conversation = await check.conversation(account)
    to = check.recipient()
    content = await check.content(account)
    media = await column_of(context, account, content, check.faults)
    agent_id, scheduled_at = check.agent(), check.scheduled_at()
    unchecked, despite_stop = check.flag("skip_window_check"), check.flag("skip_opt_out_check")
    if check.faults or account is None:
        raise Invalid("The message cannot be sent as it is.", *check.faults)
    return Draft(
        account=account,
        content=content,
        to=to,
        conversation=conversation,
        agent_id=agent_id,
        scheduled_at=scheduled_at,
        unchecked=unchecked,
        despite_stop=despite_stop,
        media=media,
        author=context.caller.actor,
        request_id=context.request_id,
    )


async def check_window(context: RequestContext, draft: Draft) -> None:
    """Check that the customer service window is not known to be closed, if the message needs it.

    Raises:
        Invalid: the window is closed.
    """
    kind = msgspec.json.decode(draft.content, type=_Typed).type
    if draft.unchecked or not types.TYPES[kind].windowed:
        return
    now = context.services.clock.now()
    account = draft.account

    def closed(connection: Any) -> bool:
        conversation = draft.conversation
        # A number that was left is a stranger's by now, who has not written; nor has who left it, since long.
        party = (
            conversation.party
            if conversation
            else service_windows.party_of(connection, account, draft.to, now // MICROS, last=True)
        )
        return bool(party) and service_windows.closed(connection, account.organization_id, account.id, party, now)

    if await context.read(closed):
        raise Invalid(
            "The contact wrote or called more than 24 hours ago: until they do again, WhatsApp takes only templates.",
            ("/type", "must be template while the 24-hour window is closed; skip_window_check sends it all the same"),
            kind="window-closed",
        )


class _Typed(Struct):
    type: str


class _Check:
    """The check of one body, field by field; the problems are gathered in `faults`."""

    def __init__(self, context: RequestContext, given: MessageDraft) -> None:
        self._context = context
        self._given = given
        self.faults: list[tuple[str, str]] = []

    def _fault(self, pointer: str, words: str) -> str:
        self.faults.append((pointer, words))
        return ""

    def _text(self, value: object, pointer: str) -> str:
        """Return a text that is not empty; "" when it is missing or wrong."""
        if value is UNSET:
            return ""
        if not isinstance(value, str) or not value:
            return self._fault(pointer, "must be a text that is not empty")
        return value

    def account(self) -> Account | None:
        name = self._text(self._given.account, "/account")
        if not name:
            return None
        account = self._context.account(name)
        if account is None:
            self._fault("/account", "there is no account with this phone_number_id or id")
        elif not account.access_token:
            self._fault("/account", "has no access_token: give it one with PATCH /v1/accounts/{id}")
        return account

    async def conversation(self, account: Account | None) -> Conversation | None:
        given = self._given
        if (given.to is UNSET) == (given.conversation_id is UNSET):
            self._fault("/to", "give either to or conversation_id")
            return None
        name = self._text(given.conversation_id, "/conversation_id")
        if not name:
            return None
        found = await self._context.conversation_filter(name)
        owner = self._context.organization_id
        conversation = await self._context.read(lambda c: conversations.get(c, owner, found))
        if conversation is None:
            self._fault("/conversation_id", "there is no conversation with this id")
        elif account is not None and conversation.account_id != account.id:
            self._fault("/conversation_id", "is a conversation of another account")
        elif recipient.known(conversation.contact_address, group=conversation.is_group) is None:
            self._fault("/conversation_id", "its contact has no address that Meta would take")
        return conversation

    def recipient(self) -> str:
        if self._given.to is UNSET:
            return ""
        found, wrong = recipient.read(self._given.to)
        return found.address if found is not None else self._fault("/to", wrong)

    async def content(self, account: Account | None) -> bytes:
        """Return the content of the message's row."""
        kind = self._given.type
        if not isinstance(kind, str) or kind not in types.TYPES:
            self.faults += types.check(kind, None)
            return b""
        for other in types.TYPES:
            if other != kind and getattr(self._given, other) is not UNSET:
                self._fault(f"/{other}", f"is not what type names: {kind}")
        given: Raw | UnsetType = getattr(self._given, kind)
        payload = b"" if given is UNSET else bytes(given)
        value, wrong = verbatim.read(payload) if payload else (None, "")
        if wrong:
            return self._fault(f"/{kind}", wrong).encode()
        faults = types.check(kind, value, reply=self._given.context is not UNSET)
        self.faults += faults
        context = await self._reply_context(account)
        if kind == "reaction" and isinstance(value, dict) and not faults:
            wamid = await self._wamid(account, value["message_id"], "/reaction/message_id")
            payload = replace.replaced(payload, {"/message_id": encode(wamid)})
        return b"" if self.faults else types.content_of(kind, payload, context)

    async def _reply_context(self, account: Account | None) -> str:
        context = self._given.context
        if context is UNSET:
            return ""
        if not isinstance(context, dict):
            return self._fault("/context", "must be an object with message_id")
        for name in context.keys() - {"message_id"}:
            pointer = msgspec.json.decode(encode(name), type=str).replace("~", "~0").replace("/", "~1")
            self._fault(f"/context/{pointer}", "is not a field here")
        if "message_id" not in context:
            return self._fault("/context/message_id", "is required")
        return await self._wamid(account, context["message_id"], "/context/message_id")

    async def _wamid(self, account: Account | None, given: object, pointer: str) -> str:
        """Return the wamid of a message that is named by our id, by a payload format's, or by its wamid."""
        name = self._text(given, pointer)
        if not name or account is None:
            return ""
        if not looks_like_id(name) and self._context.shown_ids(name) is None:
            if len(name) > _LONGEST_WAMID:
                return self._fault(pointer, f"must have at most {_LONGEST_WAMID} characters")
            return name
        message = await self._message(name)
        if message is None or message.account_id != account.id:
            return self._fault(pointer, "there is no message of this account with this id")
        if not message.wamid:
            return self._fault(pointer, "this message has no id of Meta's: Meta has not accepted it (yet)")
        return message.wamid

    async def _message(self, name: str) -> Message | None:
        owner = self._context.organization_id
        try:
            found = await self._context.message_id(name)
        except NotFound:
            return None
        entry = await self._context.read(lambda c: messages.get(c, owner, found))
        return None if entry is None else entry.message

    def agent(self) -> str:
        name = self._text(self._given.agent_id, "/agent_id")
        agent = self._context.services.store.registry().agents.get(name) if name else None
        if name and (agent is None or agent.organization_id != self._context.organization_id):
            return self._fault("/agent_id", "there is no agent with this id")
        return name

    def scheduled_at(self) -> Micros:
        given = self._text(self._given.scheduled_at, "/scheduled_at")
        if not given:
            return 0
        try:
            at = instant_of(given, "scheduled_at") or 0
        except Invalid as error:
            self.faults += error.fields
            return 0
        now = self._context.services.clock.now()
        if at <= now:
            self._fault("/scheduled_at", "must be in the future")
        elif at > now + _LATEST:
            self._fault("/scheduled_at", "must be within the next 365 days")
        return at

    def flag(self, name: str) -> bool:
        given = getattr(self._given, name)
        if given is not UNSET and not isinstance(given, bool):
            self._fault(f"/{name}", "must be true or false")
        return given is True
