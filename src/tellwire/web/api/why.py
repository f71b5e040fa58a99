"""Serve `/v1/why`: what became of something, by whatever somebody knows of it, and the whole way of one message."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get
from litestar.params import QueryParameter
from msgspec import Meta, Raw, Struct
from msgspec.json import encode
from sqlalchemy import Connection

from tellwire.errors import Invalid
from tellwire.journeys.journey import journey
from tellwire.journeys.question import Hit, Question, asked
from tellwire.journeys.records import Records
from tellwire.journeys.step import Line, Step, StepKind, StepState
from tellwire.model.deliveries import DeliveryState
from tellwire.model.messaging import Contact
from tellwire.model.row_json import conversation_row, instant
from tellwire.model.tenancy import Account
from tellwire.model.units import DAY
from tellwire.stores.queries import finding, journeys
from tellwire.stores.queries.messages import MessageEntry
from tellwire.web.api.messages.rows import MessageRead, message_shown
from tellwire.web.api.search import Found, search
from tellwire.web.api.shapes import ConversationRow, Id, When, when
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import raw_json_response

_READ = {"scopes": ("read",)}
Query = Annotated[
    str,
    QueryParameter(
        name="q",
        description="A phone number, a name, a wamid, any id of ours or of a payload format, a `webhook-id`, or text "
        "of a message.",
        max_length=512,
    ),
]


class MatchRead(Struct, kw_only=True):
    """Something that was found. `message_id`: of the one message that it leads to."""

    kind: Annotated[
        str,
        Meta(
            description="message, conversation, contact, delivery, event, inbound, media, template, agent_run, "
            "endpoint, account, agent or source."
        ),
    ]
    id: Id
    title: str
    at: When | None
    message_id: str | None
    conversation_id: str | None


class DeliveryLineRead(Struct, kw_only=True):
    """A delivery within a step."""

    id: Id
    event_id: Id
    event: str
    state: DeliveryState
    attempts: int
    cause: str
    status: int | None
    first_attempt_at: When | None
    last_attempt_at: When | None
    next_attempt_at: When | None


class StepRead(Struct, kw_only=True):
    """One step, in plain words: `title`, more of it in `detail`, and what to do in `remedy`. `missing`: it should have
    come. `until`: how long it is waited for at least."""

    kind: StepKind
    state: StepState
    at: When | None
    title: str
    detail: str
    remedy: str
    refs: Annotated[dict[str, str], Meta(description="Ids of what it is about, such as `inbound_id` or `delivery_id`.")]
    endpoint_id: str | None
    attempts: int | None
    until: When | None
    deliveries: Annotated[
        list[DeliveryLineRead],
        Meta(description="Of an endpoint, oldest first; of more than 10 the first and the last ones."),
    ]


class JourneyAccount(Struct, kw_only=True):
    """The number that the message came to or went out from."""

    id: Id
    phone_number_id: str
    display_phone_number: str
    name: str


class JourneyContact(Struct, kw_only=True):
    """The person on the other side."""

    id: Id
    name: str
    phone: str
    username: str
    user_id: str


class EventName(Struct, kw_only=True):
    """An event about the message."""

    id: Id
    name: str
    at: When


class JourneyRead(Struct, kw_only=True):
    """The whole way of a message. Without a message it is the way of something that Meta sent and that became none."""

    message: MessageRead | None
    conversation: ConversationRow | None
    contact: JourneyContact | None
    account: JourneyAccount | None
    steps: list[StepRead]
    events: Annotated[list[EventName], Meta(description="Those about the message that are kept, oldest first.")]


class WhyRead(Struct, kw_only=True):
    """What was found, and the way of the message that it leads to, if it is one."""

    query: str
    looked_for: Annotated[list[str], Meta(description="What the text was taken for, in words.")]
    matches: list[MatchRead]
    notes: Annotated[
        list[str], Meta(description="What there is to know of the search: where it was cut, what else to try.")
    ]
    journey: JourneyRead | None


class _Journey(JourneyRead, kw_only=True):
    message: Raw | None  # type: ignore[assignment]
    conversation: Raw | None  # type: ignore[assignment]


class _Why(WhyRead, kw_only=True):
    journey: _Journey | None


@get("/why", summary="Find out what became of something", opt=_READ)
async def why(context: ContextDependency, q: Query = "") -> Response[WhyRead]:
    """What the text `q` may mean here, and if it leads to one message, its whole way: received, verified, stored, each
    endpoint's deliveries, sent, delivered, read, the agent's turn. Every step says in plain words what happened and
    what to do; what should have come and did not is a step, too."""
    question = asked(q)
    if not question.text:
        raise Invalid("The query is not valid.", ("/q", "must be given"))
    if "\0" in q:
        raise Invalid("The query is not valid.", ("/q", "must not hold NUL"))
    found = await search(context, question)
    records = await _records(context, question, found)
    answer = _Why(
        query=question.text,
        looked_for=question.looked_for,
        matches=[_match(hit) for hit in found.hits],
        notes=found.notes,
        journey=None if records is None else _journey(records),
    )
    return raw_json_response(encode(answer), WhyRead)


async def _records(context: RequestContext, question: Question, found: Found) -> Records | None:
    """Return all about the one message, or the one item that became none, that everything found leads to."""
    leads = {hit.message_id for hit in found.hits}
    if len(leads) != 1:
        return None
    message_id = leads.pop()
    services = context.services
    known = journeys.Known(
        organization_id=context.organization_id,
        registry=services.store.registry(),
        names={name: form.names for name, form in services.formats.items()},
        now=services.clock.now(),
        retention=int(services.settings.retention_days * DAY),
    )
    first = found.hits[0]

    def work(connection: Connection) -> Records | None:
        if message_id:
            return journeys.of_message(connection, known, message_id)
        if len(found.hits) != 1 or first.kind != "inbound":
            return None
        posted = finding.posted(connection, found.searcher, first.id, wamid=question.wamid if not question.ours else "")
        return None if posted is None else journeys.of_item(known, posted)

    return await context.read(work)


def _match(hit: Hit) -> MatchRead:
    return MatchRead(
        kind=hit.kind,
        id=hit.id,
        title=hit.title,
        at=when(hit.at),
        message_id=hit.message_id or None,
        conversation_id=hit.conversation_id or None,
    )


def _journey(records: Records) -> _Journey:
    message, contact, account = records.message, records.contact, records.account
    return _Journey(
        message=Raw(message_shown(MessageEntry(message, contact, records.send))) if message else None,
        conversation=Raw(conversation_row(records.conversation)) if records.conversation else None,
        contact=None if contact is None else _contact(contact),
        account=None if account is None else _account(account),
        steps=[_step(step) for step in journey(records)],
        events=[EventName(id=each.id, name=each.name, at=instant(each.created_at)) for each in records.events],
    )


def _contact(contact: Contact) -> JourneyContact:
    return JourneyContact(
        id=contact.id,
        name=contact.name,
        phone=contact.phone,
        username=contact.username,
        user_id=contact.user_id,
    )


def _account(account: Account) -> JourneyAccount:
    return JourneyAccount(
        id=account.id,
        phone_number_id=account.phone_number_id,
        display_phone_number=account.display_phone_number,
        name=account.name,
    )


def _step(step: Step) -> StepRead:
    return StepRead(
        kind=step.kind,
        state=step.state,
        at=when(step.at),
        title=step.title,
        detail=step.detail,
        remedy=step.remedy,
        refs=step.refs,
        endpoint_id=step.endpoint_id or None,
        attempts=step.attempts or None,
        until=when(step.waits),
        deliveries=[_line(line) for line in step.deliveries],
    )


def _line(line: Line) -> DeliveryLineRead:
    return DeliveryLineRead(
        id=line.id,
        event_id=line.event_id,
        event=line.event,
        state=line.state,
        attempts=line.attempts,
        cause=line.cause,
        status=line.status or None,
        first_attempt_at=when(line.first_at),
        last_attempt_at=when(line.last_at),
        next_attempt_at=when(line.next_at),
    )


HANDLERS: tuple[Any, ...] = (why,)
