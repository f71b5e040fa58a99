"""PURE but for the state that is passed in. Threads that several responders share: whose each is, who passes, takes or
releases it, and the webhook that says so.

Source: Meta, "Conversation routing" and webhook reference "messaging_handovers".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from tellwire.errors import Invalid
from tellwire.model.units import MICROS
from tellwire.simulator.knobs import Role
from tellwire.simulator.payloads import Business, Person
from tellwire.simulator.refusals import Refusal

if TYPE_CHECKING:
    from tellwire.simulator.customer import Customer
    from tellwire.simulator.state import State

ROLES: tuple[Role, ...] = get_args(Role)
_ACTIONS = ("pass", "take", "release")
_NOT_ESCALATION = 2494191
_LONGEST_METADATA = 2000

Fields = Mapping[str, Any]


class Threads:
    """Whose threads are: the role of the owner by number and customer; a thread that is not in it is nobody's."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, str], Role] = {}

    def owner(self, customer: Customer) -> Role | None:
        """Return whose a customer's thread is."""
        return self._owners.get(_key(customer))

    def give(self, customer: Customer, role: Role | None) -> None:
        """Give a thread to a role, or to nobody."""
        if role is None:
            self._owners.pop(_key(customer), None)
        else:
            self._owners[_key(customer)] = role

    def shown(self) -> list[dict[str, str]]:
        """Return every thread that somebody owns."""
        return [
            {"phone_number_id": n, "customer": address, "owner": role} for (n, address), role in self._owners.items()
        ]


def _key(customer: Customer) -> tuple[str, str]:
    return customer.business.phone_number_id, customer.person.address


def control(state: State, business: Business, body: Fields) -> dict[str, Any]:
    """Handle `POST /{phone_number_id}/thread_control` of the app, which has the role of the knob `thread_role`.

    What the app does itself is told to the others, who are not simulated: no webhook comes.

    Raises:
        Refusal: a field is wrong, or the app may not take threads.
    """
    if body.get("messaging_product") != "whatsapp":
        raise Refusal(100, "messaging_product must be whatsapp")
    to, user_id = body.get("to"), body.get("recipient")
    address = to or user_id
    if not isinstance(address, str) or not address:
        raise Refusal(131008, "to or recipient is required")
    person = Person(name="", wa_id=address.lstrip("+")) if to else Person(name="", user_id=address)
    action, metadata = body.get("action"), body.get("metadata", "")
    if action not in _ACTIONS:
        raise Refusal(100, f"action must be one of {', '.join(_ACTIONS)}")
    if not isinstance(metadata, str) or len(metadata) > _LONGEST_METADATA:
        raise Refusal(100, f"metadata must be a text of at most {_LONGEST_METADATA} characters")
    customer = state.customer(business, person)
    if action == "take":
        if state.knobs.thread_role != "escalation":
            words = "Only the escalation partner may take control of a thread"
            raise Refusal(_NOT_ESCALATION, f"{words}.", message=f"(#{_NOT_ESCALATION}) {words}")
        state.threads.give(customer, "escalation")
    elif action == "pass":
        state.threads.give(customer, _target(body))
    else:
        state.threads.give(customer, None)
    return {"success": True}


def _target(body: Fields) -> Role:
    """Return to which role a thread is passed: without one, to the escalation partner."""
    given = body.get("control_pass", {})
    role = given.get("target_role", "escalation") if isinstance(given, dict) else None
    for known in ROLES:
        if role == known:
            return known
    raise Refusal(100, f"control_pass.target_role must be one of {', '.join(ROLES)}")


def act(state: State, given: Fields) -> dict[str, str]:
    """Let another responder pass its thread to the app, take the app's, or release it; the first two are told.

    Args:
        given: `wa_id` or `user_id` (`phone_number_id`: of which number), `action`, `role` (of the other one), and
            optionally `metadata` and `summary`.

    Raises:
        Invalid: a field is missing or unknown.
        Refusal: there is no such number.
    """
    business = state.business(_text(given, "phone_number_id"))
    person = Person(name="", wa_id=_text(given, "wa_id").removeprefix("+"), user_id=_text(given, "user_id"))
    action, role = _text(given, "action"), _text(given, "role") or "ai_agent"
    other = next((known for known in ROLES if known == role), None)
    if not person.address:
        raise Invalid("a customer has a wa_id or a user_id", ("/wa_id", "missing"))
    if action not in _ACTIONS:
        raise Invalid(f"action: one of {', '.join(_ACTIONS)}", ("/action", "unknown"))
    if other is None:
        raise Invalid(f"role: one of {', '.join(ROLES)}", ("/role", "unknown"))
    customer, ours = state.customer(business, person), state.knobs.thread_role
    metadata, summary = _text(given, "metadata"), _text(given, "summary")
    if action == "pass":
        state.threads.give(customer, ours)
        _tell(state, customer, "control_passed", previous=other, new=ours, metadata=metadata, summary=summary)
    elif action == "take":
        state.threads.give(customer, other)
        _tell(state, customer, "control_taken", previous=ours, new=other, metadata=metadata, summary=summary)
    else:
        state.threads.give(customer, None)
    return {"owner": state.threads.owner(customer) or ""}


def _tell(
    state: State, customer: Customer, event: str, *, previous: Role, new: Role, metadata: str, summary: str
) -> None:
    """Post the webhook `messaging_handovers`; its `sender` is a number or nobody."""
    business, wa_id = customer.business, customer.person.wa_id
    told: dict[str, Any] = {"previous_owner_role": previous, "new_owner_role": new}
    if metadata:
        told["metadata"] = metadata
    if summary:
        told["conversation_context"] = {"type": "summary", "summary": {"text": summary}}
    value = {
        "messaging_product": "whatsapp",
        **({"sender": {"phone_number": wa_id}} if wa_id else {}),
        "recipient": {
            "phone_number_id": business.phone_number_id,
            "display_phone_number": business.display_phone_number,
        },
        "type": event,
        "timestamp": str(state.clock.now() // MICROS),
        event: told,
    }
    state.post_notices(business.waba_id, [("messaging_handovers", value)])


def _text(given: Fields, key: str) -> str:
    value = given.get(key, "")
    if not isinstance(value, str):
        raise Invalid(f"{key}: a string is required", (f"/{key}", "a string is required"))
    return value
