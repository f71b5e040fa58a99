"""PURE. List what can be set in the simulator's behaviour, also while it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from tellwire.errors import Invalid

_Share = Annotated[float, Meta(ge=0, le=1)]
_Seconds = Annotated[float, Meta(ge=0, le=86_400)]
_Count = Annotated[int, Meta(ge=0)]
Role = Literal["customer_service", "marketing", "utility", "ctwa", "ai_agent", "escalation"]
"""What a responder of a thread is, as Meta names it."""


class Knobs(Struct, kw_only=True, forbid_unknown_fields=True):
    """How Meta and its users behave. Shares are of 1, times in seconds; 0 turns a knob off unless its comment differs.

    The defaults are Meta without trouble: it keeps its limits, loses nothing, and everybody reads at once.
    """

    # --- the answer to a send
    latency: _Seconds = 0.0
    """before every answer of the Graph API"""
    throttle_rate: _Share = 0.0
    """share of sends answered 130429, whatever the limits say"""
    error_rate: _Share = 0.0
    """share of sends answered 5xx: half with Meta's body (131000, 131016), half without any"""
    error_accept_rate: _Share = 0.0
    """share of the answers without a body whose message was accepted all the same"""
    timeout_rate: _Share = 0.0
    """share of sends that are accepted, but never answered: by turns it hangs and the connection breaks"""
    hang_seconds: _Seconds = 60.0
    """how long an answer that never comes keeps the connection open"""
    codes: dict[int, _Share] = {}
    """error code → share of sends that end with it"""

    # --- limits
    sends_per_second: _Count = 80
    """sends of one number in any second; the next is answered 130429; 0: any"""
    pair_burst: _Count = 45
    """sends to one recipient at once, borrowed from later; the next is answered 131056; 0: any"""
    pair_seconds: _Seconds = 6.0
    """after which one more send to a recipient is free"""
    management_per_hour: _Count = 200
    """calls about one WhatsApp Business account in any hour; the next is answered 80007; 0: any"""

    # --- statuses
    sent_after: _Seconds = 0.0
    """from the send to `sent`"""
    delivered_after: _Seconds = 0.05
    """from `sent` to `delivered`"""
    read_after: _Seconds = 0.05
    """from `delivered` to `read`"""
    played_after: _Seconds = 0.05
    """from `read` to `played` (voice messages only)"""
    failed_after: _Seconds = 0.0
    """from the send to `failed`"""
    delivered_rate: _Share = 1.0
    """share of messages that reach the customer's phone"""
    read_rate: _Share = 1.0
    """share of delivered messages that are read"""
    open_chat_rate: _Share = 0.0
    """share of messages whose chat is open: `read` comes without a `delivered`"""
    early_rate: _Share = 0.0
    """share of messages whose `sent` is posted, and answered, before the send is"""
    loss_rate: _Share = 0.0
    """share of statuses that never come"""
    duplicate_rate: _Share = 0.0
    """share of statuses that come twice"""
    reorder_rate: _Share = 0.0
    """share of messages whose statuses come in the opposite order"""
    late_rate: _Share = 0.0
    """share of statuses that come late"""
    late_seconds: _Seconds = 2.0
    """how late"""
    failed_contacts: bool = False
    """whether failed statuses name the contact too; Meta's don't, pywa reads only those that do"""
    service_window: bool = False
    """whether all but templates fail with 131047 unless the customer wrote within 24 hours"""
    thread_role: Role = "customer_service"
    """which responder the app is; only `escalation` may take threads"""

    # --- webhooks
    batch: Annotated[int, Meta(ge=1, le=1000)] = 1
    """updates in one POST, at most"""
    batch_seconds: _Seconds = 0.0
    """how long updates are gathered for it"""
    webhook_tries: Annotated[int, Meta(ge=1, le=100)] = 8
    """POSTs of one body until it is answered 200"""
    webhook_retry_seconds: _Seconds = 1.0
    """before the second of them; each further pause is twice as long"""

    # --- media and templates
    link_seconds: _Seconds = 300.0
    """how long a link to media works"""
    upload_days: _Count = 30
    """how long the id of an upload works"""
    webhook_days: _Count = 7
    """how long the id of a customer's media works"""
    wrong_hash: bool = False
    """whether webhooks announce customers' media with a hash that isn't theirs"""
    approve_seconds: float = 0.05
    """until a new template is approved; negative: only when told"""
    hold_templates: bool = False
    """whether template messages are held for quality assessment (`message_status`)"""
    country_code: Annotated[str, Meta(pattern="^[0-9]{0,4}$")] = ""
    """what goes before recipients without `+`, as Meta does with the business's own; "": nothing"""


def changed_knobs(knobs: Knobs, given: Mapping[str, Any]) -> Knobs:
    """Return the knobs with the given ones changed.

    Raises:
        Invalid: there is no such knob, or it does not take that value.
    """
    try:
        return msgspec.convert({**msgspec.structs.asdict(knobs), **given}, Knobs, strict=False)
    except msgspec.ValidationError as error:
        field, message = _field_of(str(error))
        raise Invalid(f"{field}: {message}", (f"/{field}", message)) from None


def _field_of(message: str) -> tuple[str, str]:
    text, _, path = message.partition(" - at ")
    unknown = re.search(r"unknown field `([^`]*)`", text)
    field = unknown[1] if unknown else path.strip("`").removeprefix("$").lstrip(".").split("[")[0]
    return field, "there is no such knob" if unknown else text
