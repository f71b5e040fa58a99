"""Define the body of `POST /v1/messages`. Its fields accept any value, so that the check can name all faults."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from tellwire.meta.outgoing import types

_TEXT = {"type": "string"}

Payload = Annotated[Raw | UnsetType, Meta(extra_json_schema={"type": "object"})]
Payloads = Annotated[Raw | UnsetType, Meta(extra_json_schema={"type": "array", "items": {"type": "object"}})]
Kind = Annotated[Any, Meta(description="What it is.", extra_json_schema=_TEXT | {"enum": list(types.TYPES)})]
AccountText = Annotated[Any, Meta(description="A phone_number_id or our id.", extra_json_schema=_TEXT)]
To = Annotated[
    Any,
    Meta(
        description="A phone number with the country's code, or a business-scoped user id; sent as it is given.",
        extra_json_schema=_TEXT,
    ),
]
ConversationText = Annotated[
    Any, Meta(description="Our id, or the 24 digits of the `chat` format.", extra_json_schema=_TEXT)
]
AgentText = Annotated[
    Any, Meta(description="Our id of the agent who writes: a person or an AI.", extra_json_schema=_TEXT)
]
Later = Annotated[
    Any,
    Meta(
        description="When to send it (RFC 3339), at most 365 days ahead.",
        extra_json_schema=_TEXT | {"format": "date-time"},
    ),
]
_FLAG = {"type": "boolean"}
WindowFlag = Annotated[
    Any, Meta(description="Send it, whatever is known of the customer service window.", extra_json_schema=_FLAG)
]
MarketingFlag = Annotated[
    Any,
    Meta(
        description="Send it, even if it is marketing and the contact has stopped that on this number.",
        extra_json_schema=_FLAG,
    ),
]
Context = Annotated[
    Any,
    Meta(
        description="The message that this one answers.",
        extra_json_schema={"type": "object", "required": ["message_id"], "properties": {"message_id": _TEXT}},
    ),
]


class MessageDraft(Struct, kw_only=True, forbid_unknown_fields=True):
    """A message to send, to an address (`to`) or into a conversation (`conversation_id`). The object named by `type` is
    as Meta's Cloud API takes it. A `message_id` in `context` or `reaction` is ours, or Meta's."""

    account: AccountText
    to: To = UNSET
    conversation_id: ConversationText = UNSET
    type: Kind
    text: Payload = UNSET
    image: Payload = UNSET
    video: Payload = UNSET
    audio: Payload = UNSET
    document: Payload = UNSET
    sticker: Payload = UNSET
    location: Payload = UNSET
    contacts: Payloads = UNSET
    reaction: Payload = UNSET
    interactive: Payload = UNSET
    template: Payload = UNSET
    context: Context = UNSET
    agent_id: AgentText = UNSET
    scheduled_at: Later = UNSET
    skip_window_check: WindowFlag = UNSET
    skip_opt_out_check: MarketingFlag = UNSET
