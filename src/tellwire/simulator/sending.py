"""PURE but for the state that is passed in. Decide about `POST /{phone_number_id}/messages`: Meta's answer, and its
statuses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from msgspec import Struct

from tellwire.model.units import MICROS
from tellwire.simulator.checks import MEDIA_TYPES, Outgoing, read
from tellwire.simulator.counts import AcceptedMessage
from tellwire.simulator.customer import Customer
from tellwire.simulator.payloads import Business, Person, Update, status, wamid
from tellwire.simulator.plan import Step, pricing, steps
from tellwire.simulator.refusals import PlannedError, Refusal, error_for
from tellwire.simulator.state import State

_OUTSIDE_THE_WINDOW = 131047
_HELD = 132015

Manner = Literal["answer", "hang", "break"]


class SendReply(Struct, frozen=True, kw_only=True):
    """The answer to a send. `body` None: only the HTTP status. `manner`: whether it is answered, hangs or breaks the
    connection. `early`: a status that is posted, and answered, before the answer.
    """

    http: int = 200
    body: Mapping[str, Any] | None = None
    manner: Manner = "answer"
    early: Update | None = None


def send(state: State, business: Business, body: object) -> SendReply:
    """Handle a message, or a read receipt, that a business sends.

    Raises:
        Refusal: Meta's error; it is counted.
    """
    if isinstance(body, dict) and body.get("status") == "read":
        return _receipt(state, body)
    state.journal.counts.sends += 1
    try:
        return _message(state, business, body)
    except Refusal as refused:
        state.journal.refuse(refused.code)
        raise


def _receipt(state: State, body: Mapping[str, Any]) -> SendReply:
    message_id = body.get("message_id")
    if not isinstance(message_id, str) or not message_id.startswith("wamid."):
        raise Refusal(100, "message_id must be the id of a message")
    state.journal.receipt(message_id, typing="typing_indicator" in body)
    return SendReply(body={"success": True})


def _message(state: State, business: Business, body: object) -> SendReply:
    within = state.take_send(business)
    outgoing = read(body, country_code=state.knobs.country_code)
    bodyless = _random_failure(state)
    if not within:
        raise Refusal(130429, "too many messages of this number within a second")
    error = _planned_error(state, outgoing)
    if error is not None and not error.late:
        raise Refusal(error.code, "as was asked of the simulator")
    if not state.take_pair(business, state.address(business, outgoing.recipient)):
        raise Refusal(131056, "too many messages to this recipient in a short time")
    if outgoing.phone == business.display_phone_number:
        raise Refusal(131021, "recipient and sender are the same")
    category = _check_references(state, business, outgoing)
    if bodyless:
        state.journal.counts.without_body += 1
        if state.random.random() < state.knobs.error_accept_rate:
            _accept(state, business, outgoing, category, error, manner="break")
        return SendReply(http=bodyless)
    return _accept(state, business, outgoing, category, error, manner=_manner(state))


def _random_failure(state: State) -> int:
    """Refuse at random, at the rates of the knobs; return the status of a 5xx that has no body, else 0."""
    luck = state.random.random()
    if luck < state.knobs.throttle_rate:
        raise Refusal(130429, "throttled by chance")
    if luck >= state.knobs.throttle_rate + state.knobs.error_rate:
        return 0
    if state.random.random() < 0.5:
        return state.random.choice((500, 502, 503))
    raise Refusal(state.random.choice((131000, 131016)), "out of order by chance")


def _planned_error(state: State, outgoing: Outgoing) -> PlannedError | None:
    found = state.next_error() or error_for(outgoing.recipient)
    if found is not None:
        return found
    luck = state.random.random()
    for code, share in state.knobs.codes.items():
        if luck < share:
            return PlannedError(code)
        luck -= share
    return None


def _check_references(state: State, business: Business, outgoing: Outgoing) -> str:
    """Refuse media and templates that do not exist; return the category that is charged."""
    if outgoing.type == "template":
        category = state.templates[business.waba_id].sent(outgoing.content).category.lower()
        if category == "authentication" and outgoing.user_id:
            raise Refusal(131062, "authentication templates go to phone numbers only")
        return category
    media_id = outgoing.content.get("id") if outgoing.type in MEDIA_TYPES else None
    if media_id and state.media_files.find(media_id, state.clock.now(), business.phone_number_id) is None:
        raise Refusal(131009, f"there is no media {media_id} of this number, or it has expired")
    return "service"


def _manner(state: State) -> Manner:
    if state.random.random() >= state.knobs.timeout_rate:
        return "answer"
    return "break" if state.journal.counts.unanswered % 2 else "hang"


def _accept(
    state: State, business: Business, outgoing: Outgoing, category: str, error: PlannedError | None, *, manner: Manner
) -> SendReply:
    """Accept the message: record it, plan its statuses and return the answer."""
    customer = _customer(state, business, outgoing)
    person = customer.person
    made = wamid(outgoing.recipient, f"{state.random.getrandbits(72):018X}", outgoing=True)
    customer.received_ids.append(made)
    held = outgoing.type == "template" and state.knobs.hold_templates
    code = error.code if error else _HELD if held else 0
    if state.knobs.service_window and outgoing.type != "template" and not state.in_window(customer):
        code = code or _OUTSIDE_THE_WINDOW
    now = state.clock.now()
    state.journal.accept(
        AcceptedMessage(
            number=state.journal.counts.accepted + 1,
            id=made,
            phone_number_id=business.phone_number_id,
            recipient=outgoing.recipient,
            type=outgoing.type,
            callback_data=outgoing.callback_data,
            at=now,
            answered=manner == "answer",
            body=outgoing.body,
        )
    )
    if code:
        state.journal.fail(code)
    voice = outgoing.type == "audio" and bool(outgoing.content.get("voice"))
    price = pricing(category, in_window=state.in_window(customer))
    update_of = partial(_update, state, customer, outgoing, made, now=now, price=price)
    planned = steps(state.knobs, state.random, voice=voice, failure_code=code)
    if business.waba_id not in state.subscribed:
        planned = []
    early = None
    if planned and state.random.random() < state.knobs.early_rate:
        early = update_of(planned.pop(0))
    for step in planned:
        state.webhooks.post(update_of(step), after=step.after)
    return SendReply(body=_answer(outgoing, made, person, held=held), manner=manner, early=early)


def _customer(state: State, business: Business, outgoing: Outgoing) -> Customer:
    if outgoing.group_id:
        return Customer(Person(name="", wa_id=outgoing.group_id), business, state.random)
    return state.customer(business, Person(name="", wa_id=outgoing.phone, user_id=outgoing.user_id))


def _update(
    state: State, customer: Customer, outgoing: Outgoing, made: str, step: Step, *, now: int, price: dict[str, Any]
) -> Update:
    person = customer.person
    item = status(
        person,
        wamid=made,
        name=step.name,
        at=now // MICROS + round(step.happens),
        pricing=price if step.priced else None,
        errors=step.errors,
        callback_data=outgoing.callback_data,
        group=bool(outgoing.group_id),
    )
    introduced = not outgoing.group_id and (step.name != "failed" or state.knobs.failed_contacts)
    return Update(business=customer.business, person=person, kind="statuses", item=item, introduced=introduced)


def _answer(outgoing: Outgoing, made: str, person: Person, *, held: bool) -> dict[str, Any]:
    contact = {"input": outgoing.given}
    message = {"id": made}
    if outgoing.user_id:
        contact["user_id"] = outgoing.user_id
    else:
        contact["wa_id"] = outgoing.recipient
    if outgoing.phone and person.user_id:
        contact["user_id"] = person.user_id
    if outgoing.group_id:
        message["group_id"] = outgoing.group_id
    if outgoing.type == "template":
        message["message_status"] = "held_for_quality_assessment" if held else "accepted"
    return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]}
