"""The parsing of a body into a record."""

from __future__ import annotations

from tellwire_sdk.chats import ChatMessage, ChatStatus
from tellwire_sdk.errors import Reason, WebhookError
from tellwire_sdk.json_text import read_json
from tellwire_sdk.operational import OperationalEvent
from tellwire_sdk.records import Unfit
from tellwire_sdk.rows import RowEvent, RowEvents

Payload = RowEvent | RowEvents | ChatMessage | ChatStatus | OperationalEvent


def parse(body: bytes | bytearray | memoryview) -> Payload:
    """Return the payload that a body holds, in either format, of Tellwire or of the vendors; `verify` it first.

    Nothing is lost: `parse(body).encode()` is the same JSON, with the keys in their order and the numbers as given.

    Raises:
        WebhookError: `not_bytes`, `not_json`, or `not_a_payload`; nothing else, whatever the bytes are.
    """
    given = read_json(body)
    try:
        return _kind(given).read(given)
    except Unfit as unfit:
        where = "the body" if not unfit.path else "/" + "/".join(unfit.path)
        raise WebhookError(Reason.NOT_A_PAYLOAD, f"{where} should be {unfit.expected}") from None


def _kind(given: object) -> type[Payload]:
    match given:
        case {"message_type": "incoming_message"}:
            return ChatMessage
        case {"message_type": "status_update"}:
            return ChatStatus
        case {"entity": _, "action": _, "data": [_, *_]}:
            return RowEvents
        case {"entity": _, "action": _}:
            return RowEvent
        case {"type": _, "timestamp": _, "data": _}:
            return OperationalEvent
        case dict():
            raise Unfit("a payload of the row or the chat format, and has the keys of neither")
        case _:
            raise Unfit("a JSON object")
