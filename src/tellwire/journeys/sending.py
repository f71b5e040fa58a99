"""PURE. How a message of ours went out: who wrote it, Meta's answer, and what Meta told of it since."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from tellwire.journeys.records import Records
from tellwire.journeys.step import Step, StepKind, StepState, age, plural, sentence
from tellwire.meta.codes import CODES, OWN_CODES
from tellwire.meta.errors import status_errors
from tellwire.meta.raw_json import verbatim
from tellwire.model.messaging import Message, Send, StatusError, StatusFact
from tellwire.model.units import HOUR, MICROS, MINUTE, Micros

UNTOLD_AFTER: Micros = 2 * HOUR
"""So long after Meta took a message a status is waited for; then it is missing."""
_TITLES: dict[str, tuple[StepKind, str]] = {
    "sent": ("sent", "Meta sent it on"),
    "delivered": ("delivered", "It reached the customer's phone"),
    "read": ("read", "The customer read it"),
    "played": ("played", "The customer played it"),
    "failed": ("failed", "It did not reach the customer"),
}
_FAILURES = {
    131026: "The number may not be on WhatsApp, or its app is too old. Ask the customer by another way.",
    131047: "More than 24 hours have passed since the customer wrote: send a template.",
    131049: "Meta limits marketing messages per person. Wait some days; sending again at once makes it worse.",
    131050: "The customer does not want marketing from you. Send them none.",
    131042: "Add or correct the payment method of the WhatsApp Business account in Meta's Business settings.",
    131056: "Too many messages to the same person in a short time. Wait, and send fewer.",
    190: "Give the account a new access_token: what waits goes out then.",
}


def writing(records: Records) -> Iterator[Step]:
    """Yield the steps of a message of ours until Meta has answered."""
    message, send = records.message, records.send
    if message is None or send is None:
        return
    yield Step(
        kind="written",
        state="done",
        title=_author(records, message),
        at=message.created_at,
        detail="It was stored, and subscribers were told, before it was sent.",
        refs={"message_id": message.id, "conversation_id": message.conversation_id},
    )
    yield from _queued(records, send)


def _author(records: Records, message: Message) -> str:
    agent = records.agents.get(message.agent_id)
    if agent is not None:
        return f"{'Agent' if agent.kind == 'ai' else 'Person'} {agent.name} wrote it"
    if message.agent_id:
        return "An agent that was deleted wrote it"
    return f"{records.author or 'A program of yours'} wrote it"


def _queued(records: Records, send: Send) -> Iterator[Step]:
    step = _sending(records, send)
    yield replace(step, refs={"message_id": send.message_id}, attempts=send.attempts)
    if send.resent_as:
        refs = {"message_id": send.resent_as}
        title = "It was sent again, as another message"
        yield Step(kind="queued", state="done", title=title, at=send.updated_at, refs=refs)


def _sending(records: Records, send: Send) -> Step:
    tried = f"Tried {plural(send.attempts, 'time')}." if send.attempts > 1 else ""
    why, paused = sentence(send.cause), records.account.sending_paused if records.account else ""
    begun = send.started_at or send.created_at
    match send.state:
        case "accepted":
            detail = _together("Meta gave it an id.", tried)
            return Step(kind="accepted", state="done", title="Meta took it", at=begun, detail=detail)
        case "scheduled":
            return Step(
                kind="queued",
                state="waiting",
                title=f"It is scheduled, in {age(send.scheduled_at - records.now)}",
                at=send.created_at,
                remedy="To take it back, cancel it before then.",
                waits=send.scheduled_at,
            )
        case "queued" if paused:
            return Step(
                kind="queued",
                state="waiting",
                title="Nothing is sent for this number",
                at=send.created_at,
                detail=sentence(paused),
                remedy="Mend the cause, then resume sending for the number; a new access_token does it too.",
            )
        case "queued":
            left = send.due_at - records.now
            when = f"The next try is in {age(left)}." if left > 0 else ""
            turn = "It waits for its turn: messages of one conversation go one after the other."
            detail = _together(why or turn, tried, when)
            title = "It is not sent yet"
            return Step(kind="queued", state="waiting", title=title, at=begun, detail=detail, waits=send.due_at)
        case "sending":
            return Step(kind="queued", state="waiting", title="It is being sent", at=begun)
        case "unknown":
            return Step(
                kind="accepted",
                state="failed",
                title="Nobody knows whether Meta took it",
                at=begun,
                detail=_together(why, "It is never sent again by itself: the customer might get it twice."),
                remedy="Ask the customer, or wait for a status. Then resend it, or mark it as failed.",
            )
        case "cancelled":
            return Step(kind="queued", state="failed", title="It was cancelled", at=send.updated_at, detail=why)
        case _:
            errors = status_errors(records.message.errors) if records.message else ()
            words, remedy = _error_words(errors[0] if errors else None, why)
            return Step(
                kind="accepted",
                state="failed",
                title="Meta refused it",
                at=send.updated_at,
                detail=_together(words, tried),
                remedy=remedy,
            )


def _together(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def statuses(records: Records) -> Iterator[Step]:
    """Yield what Meta told of a message that went out, and what it should have told by now."""
    message, send = records.message, records.send
    if message is None or message.direction == "incoming":
        return
    told = {fact.name: fact for fact in reversed(records.facts)}
    shown = [fact for fact in records.facts if fact.name in _TITLES]
    groups = len({fact.participant for fact in shown if fact.participant})
    for fact in shown if groups < 2 else told.values():
        if fact.name not in _TITLES or (fact.name == "failed" and send is not None and send.state == "failed"):
            continue
        yield _told(message, fact, groups)
    yield from _untold(records, message, set(told))


def _told(message: Message, fact: StatusFact, groups: int) -> Step:
    kind, title = _TITLES[fact.name]
    detail, remedy = "", ""
    if fact.name == "failed":
        errors = status_errors(fact.errors)
        detail, remedy = _error_words(errors[0] if errors else None, "")
    else:
        detail = _together("It is a group: the first of its members did." if groups else "", _price(fact.pricing))
    state: StepState = "failed" if fact.name == "failed" else "done"
    at, refs = fact.at * MICROS, {"message_id": message.id}
    return Step(kind=kind, state=state, title=title, at=at, detail=detail, remedy=remedy, refs=refs)


def _price(pricing: bytes) -> str:
    """Return what Meta told of the price of a message, "" for nothing."""
    found, refused = verbatim.read(pricing) if pricing else (None, False)
    if refused or not isinstance(found, dict):
        return ""
    category, billable = found.get("category"), found.get("billable")
    if not isinstance(category, str) or not isinstance(billable, bool):
        return ""
    return f"Meta {'charges for it' if billable else 'charges nothing for it'}, in the category {category}."


def _untold(records: Records, message: Message, told: set[str]) -> Iterator[Step]:
    if told & {"failed", "delivered", "read", "played"}:
        return
    send = records.send
    if send is not None and send.state not in ("accepted", "unknown"):
        return
    since = records.facts[-1].at * MICROS if records.facts else (send.started_at if send else 0) or message.created_at
    waited = records.now - since
    missing = waited > UNTOLD_AFTER
    after = f"Meta has not told of delivery for {age(waited)}." if waited > MINUTE else "Meta has told nothing yet."
    yield Step(
        kind="delivered",
        state="missing" if missing else "waiting",
        title="Not told to be delivered",
        at=since,
        detail=f"{after} The customer's phone may be off, or without a connection.",
        remedy="If other messages get no statuses either, look in Meta's dashboard whether the app is still subscribed "
        "to the WhatsApp Business account."
        if missing
        else "",
    )


def _error_words(error: StatusError | None, why: str) -> tuple[str, str]:
    """Return Meta's error in words, and what to do about it."""
    if error is None:
        return why, "" if why else "Meta gave no reason."
    title = CODES[error.code].title if error.code in CODES else error.title
    if error.code in OWN_CODES:
        title = OWN_CODES[error.code][0]
    more = next((text for text in (error.details, error.message) if text and text != title), "")
    words = f"{sentence(title or 'Meta gave no reason')} {sentence(more)}".strip()
    code = f" Meta's code is {error.code}." if error.code and error.code not in OWN_CODES else ""
    remedy = _FAILURES.get(error.code, "What the code says has to be mended first; then send it again.")
    return words + code, remedy
