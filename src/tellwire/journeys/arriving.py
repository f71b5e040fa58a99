"""PURE. How a message came in: Meta's POST, its signature, the row."""

from __future__ import annotations

from collections.abc import Iterator

from tellwire.journeys.records import Posted, Records
from tellwire.journeys.step import Step, StepState, age, plural, sentence
from tellwire.model.inbound import Outcome
from tellwire.model.messaging import Media, Message
from tellwire.model.units import MICROS, MINUTE

_REMEDIES = {
    Outcome.UNROUTED: "Create the account of this number (POST /v1/accounts, or `tellwire accounts create`), or bind "
    "the secret to it: what waits is applied then.",
    Outcome.HELD: "Nothing: it is applied by itself when the message comes that it is about.",
    Outcome.NOT_UNDERSTOOD: "Update Tellwire, then apply the POST again: POST /v1/inbound/{id}/reapply.",
    Outcome.ERASED: "Nothing: the person asked to be forgotten, and what Meta sends late of them is not kept.",
}
_TITLES = {
    Outcome.UNROUTED: "Not stored: it is routed to nobody",
    Outcome.HELD: "Held back",
    Outcome.NOT_UNDERSTOOD: "Not understood",
    Outcome.ERASED: "Erased",
    Outcome.RECORDED: "Understood; it makes no message",
    Outcome.DUPLICATE: "Meta sent it again; the first copy counts",
    Outcome.APPLIED: "Applied",
}

_FILES: dict[str, tuple[StepState, str, str]] = {
    "waiting": ("waiting", "Its file is being downloaded", ""),
    "stored": ("done", "Its file was downloaded", ""),
    "failed": ("failed", "Its file could not be downloaded", "Check the access token of the number's account."),
    "expired": (
        "failed",
        "Its file is lost: Meta keeps files for days only",
        "Ask the customer to send it again.",
    ),
    "erased": ("missing", "Its file was erased", ""),
}
_DONE = (Outcome.RECORDED, Outcome.DUPLICATE, Outcome.APPLIED)


def arrival(records: Records) -> Iterator[Step]:
    """Yield the steps of a message that came from outside: written, received, verified, stored."""
    message, posted = records.message, records.posted
    if message is not None and message.timestamp and posted is not None:
        yield _written(message, posted)
    yield from _received(records)
    if message is None:
        yield from _not_stored(posted)
        return
    yield _stored(records, message)
    yield from map(_file, records.files)


def _written(message: Message, posted: Posted) -> Step:
    at = message.timestamp * MICROS
    who = "The customer wrote it" if message.direction == "incoming" else "Other software of yours sent it"
    late = posted.inbound.received_at - at
    detail = "The time is Meta's, in whole seconds."
    if late > MINUTE:
        detail = f"Meta told of it {age(late)} later. {detail}"
    return Step(kind="written", state="done", title=who, at=at, detail=detail)


def _received(records: Records) -> Iterator[Step]:
    message, posted = records.message, records.posted
    if posted is None:
        if message is not None and message.direction == "incoming":
            yield _lost(records, message)
        return
    inbound = posted.inbound
    refs = {"inbound_id": inbound.id, "pointer": posted.item.pointer}
    batch = f"{posted.place} of {posted.count} in its batch" if posted.count > 1 else "alone in its POST"
    who, path = "Meta delivered it", "POST /meta/webhook"
    proof, how = "Its signature is good", "An app secret that is known here signed these very bytes."
    if inbound.source_id:
        who, path = "Another system delivered it", f"POST /sources/{inbound.source_id}"
        proof, how = "Its secret is right", ""
    at = inbound.received_at
    yield Step(kind="received", state="done", title=who, at=at, detail=f"{path}, {batch}.", refs=refs)
    yield Step(kind="verified", state="done", title=proof, at=at, detail=how, refs=refs)


def _lost(records: Records, message: Message) -> Step:
    if records.retention and records.now - message.created_at > records.retention:
        why = "Received POSTs are kept for a while only (RETENTION_DAYS), and this one is older."
    else:
        why = "It was not found among those received about the time of the message."
    return Step(kind="received", state="missing", title="The POST that brought it is not here", detail=why)


def _not_stored(posted: Posted | None) -> Iterator[Step]:
    if posted is None:
        return
    item, inbound = posted.item, posted.inbound
    state: StepState = "done" if item.outcome in _DONE else "missing"
    if item.outcome == Outcome.HELD:
        state = "waiting"
    title, number = _TITLES[item.outcome], item.phone_number_id
    reason = sentence(item.reason)
    if item.outcome == Outcome.UNROUTED and number:
        reason = f"{reason} The number is {number}."
    yield Step(
        kind="stored",
        state=state,
        title=title,
        at=inbound.received_at,
        detail=reason.strip(),
        remedy=_REMEDIES.get(item.outcome, ""),
        refs={"inbound_id": inbound.id, "pointer": item.pointer},
    )


def _stored(records: Records, message: Message) -> Step:
    conversation = records.conversation
    opened = conversation is not None and conversation.created_at == message.created_at
    with_whom = who_of(records)
    detail = f"In the conversation with {with_whom}" + (", which it opened." if opened else ".")
    if message.kind == "placeholder":
        detail += " Only statuses of it are known: the message itself has not come."
    if message.history:
        detail += " It is of the past: Meta sent it when the number was connected."
    posted = records.posted
    waited = message.created_at - posted.inbound.received_at if posted else 0
    if waited > MINUTE:
        detail += f" It waited for {age(waited)} before it could be applied."
    refs = {"message_id": message.id, "conversation_id": message.conversation_id}
    return Step(kind="stored", state="done", title="Stored", at=message.created_at, detail=detail, refs=refs)


def who_of(records: Records) -> str:
    """Return what to call the other side of the conversation."""
    contact, conversation = records.contact, records.conversation
    if contact is not None:
        address = f"+{contact.phone.removeprefix('+')}" if contact.phone else contact.username or contact.user_id
        return f"{contact.name} ({address})" if contact.name and address else contact.name or address or "a contact"
    if conversation is not None:
        return "a group" if conversation.is_group else conversation.contact_address
    return "somebody who is not kept any more"


def _file(file: Media) -> Step:
    state, title, remedy = _FILES[file.state]
    detail = sentence(file.cause)
    if file.state == "stored":
        detail = f"{file.mime_type}, {plural(file.size, 'byte')}."
    refs = {"media_id": file.id}
    return Step(kind="media", state=state, title=title, at=file.updated_at, detail=detail, remedy=remedy, refs=refs)
