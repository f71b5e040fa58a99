"""What is stored about a message, and what its journey then says: each step that comes, waits, fails or is missing."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tellwire.journeys.journey import journey
from tellwire.journeys.records import Outage, Posted, Records, Try, Way
from tellwire.journeys.step import Step
from tellwire.model.agents import Agent, AgentRun, AgentTurn
from tellwire.model.deliveries import Delivery, DeliveryState, Endpoint, Event, Snapshot
from tellwire.model.inbound import Inbound, ItemReport, Outcome
from tellwire.model.messaging import Contact, Conversation, Media, Message, Send, StatusFact
from tellwire.model.tenancy import Account
from tellwire.model.units import DAY, HOUR, MICROS, MINUTE, Micros

NOW: Micros = 1_800_000_000_000_000
MINE: dict[str, Any] = {"id": "an-id", "organization_id": "mine"}
CAME = NOW - 3 * HOUR
ACCOUNT = Account(**MINE, phone_number_id="400500600700")
CONTACT = Contact(**MINE, name="María", phone="5215500000001")
THREAD = Conversation(
    **MINE, account_id="an-id", party="an-id", organization_address="", contact_address="5215500000001", created_at=CAME
)
HOOK = Endpoint(**MINE, url="https://hooks.example.com/in", format="row", description="shop")
IN = Message(
    **MINE, account_id="an-id", conversation_id="an-id", wamid="wamid.1", timestamp=CAME // MICROS - 1, created_at=CAME
)
OUT = replace(IN, direction="outgoing")
SEND = Send(
    message_id="an-id",
    organization_id="mine",
    account_id="an-id",
    conversation_id="an-id",
    order_key="",
    partition=0,
    recipient="+5215500000001",
    state="accepted",
    attempts=1,
    started_at=CAME,
    created_at=CAME,
    updated_at=CAME,
)
EVENT = Event(
    **MINE, account_id="an-id", entity="messages", action="insert", name="messages.insert", order_key="",
    snapshot=Snapshot(row=b"{}"), created_at=CAME,  # type: ignore[arg-type]
)  # fmt: skip
DELIVERY = Delivery(**MINE, event_id="an-id", endpoint_id="an-id", order_key="", created_at=CAME)
POSTED = Posted(
    inbound=Inbound(id="a-post", received_at=CAME, body=b"", outcome=Outcome.APPLIED),
    item=ItemReport(pointer="/entry/0", wamid="wamid.1", message_id="an-id"),
    place=1,
    count=3,
)
ADA = Agent(**MINE, name="Ada", kind="ai")
BARE: dict[str, Any] = {"now": NOW, "endpoints": {}, "outages": {}, "untold": {}, "agents": {"an-id": ADA}}
COME = Records(
    **BARE | {"endpoints": {"an-id": HOOK}},
    message=IN,
    contact=CONTACT,
    conversation=THREAD,
    account=ACCOUNT,
    posted=POSTED,
    events=[EVENT],
    retention=90 * DAY,
)
SENT = replace(COME, message=OUT, send=SEND, posted=None)


def way(state: DeliveryState, *, cause: str = "", status: int = 0, **changes: Any) -> Way:
    """A delivery in a state, last tried with this result."""
    given = {"attempts": 1 if status or cause else 0, "due_at": NOW + 252 * MICROS} | changes
    delivery = replace(DELIVERY, state=state, **given)
    last = Try(number=1, at=CAME, outcome="failed" if cause else "delivered", cause=cause, status=status, millis=38)
    return Way(delivery=delivery, first=last, last=last) if delivery.attempts else Way(delivery=delivery)


def told(**changes: Any) -> Records:
    return replace(COME, **changes)


def hook(state: DeliveryState, endpoint: Endpoint | None = HOOK, **given: Any) -> Records:
    outages = given.pop("outages", {})
    return told(ways=[way(state, **given)], endpoints={"an-id": endpoint} if endpoint else {}, outages=outages)


def sent(name: str = "", *, errors: bytes = b"", pricing: bytes = b"", **send: Any) -> Records:
    facts = [StatusFact(name=name, at=CAME // MICROS + 3, errors=errors, pricing=pricing)] if name else []
    return replace(SENT, facts=facts, send=replace(SEND, **send))


def item(outcome: Outcome, reason: str = "") -> Records:
    report = ItemReport(pointer="/entry/0", phone_number_id="770", outcome=outcome, reason=reason)
    return Records(**BARE, posted=replace(POSTED, item=report))


def run(outcome: Any, detail: str = "") -> AgentRun:
    return AgentRun(**MINE, agent_id="an-id", conversation_id="an-id", outcome=outcome, detail=detail, finished_at=CAME)


TURN = AgentTurn(
    organization_id="mine", conversation_id="an-id", account_id="an-id", agent_id="an-id", message_id="an-id",
    due_at=NOW + 2 * MICROS,
)  # fmt: skip
ANSWERED = replace(ACCOUNT, agent_id="an-id")
PAUSED, GIVEN_UP = replace(HOOK, state="paused"), replace(HOOK, state="disabled", disabled_reason="nothing for 5 days")
REFUSED = b'[{"code":131047,"title":"Re-engagement message","message":"Re-engagement message"}]'
OLD = replace(IN, created_at=NOW - 100 * DAY)

CASES: list[tuple[str, Records, str, str, str]] = [
    # what is stored · the step's kind, its state, and what stands in its words
    ("verified", told(), "verified", "done", "Its signature is good"),
    ("in a batch", told(), "received", "done", "1 of 3 in its batch"),
    ("stored", told(), "stored", "done", "In the conversation with María (+5215500000001), which it opened."),
    ("late", told(message=replace(IN, timestamp=(CAME - 2 * HOUR) // MICROS)), "written", "done", "2 hours later"),
    ("waited", told(message=replace(IN, created_at=CAME + 2 * HOUR)), "stored", "done", "It waited for 2 hours"),
    ("post not found", told(posted=None), "received", "missing", "was not found"),
    ("post too old", told(posted=None, message=OLD), "received", "missing", "RETENTION_DAYS"),
    ("unrouted", item(Outcome.UNROUTED, "no account has it"), "stored", "missing", "770. Create the account"),
    ("held", item(Outcome.HELD, "it edits a message that has not come"), "stored", "waiting", "It edits a message"),
    ("not understood", item(Outcome.NOT_UNDERSTOOD, "no type"), "stored", "missing", "reapply"),
    ("erased", item(Outcome.ERASED), "stored", "missing", "asked to be forgotten"),
    ("recorded", item(Outcome.RECORDED), "stored", "done", "it makes no message"),
    ("delivered", hook(DeliveryState.DELIVERED, status=200), "endpoint", "done", "It answered 200 in 38 ms."),
    ("tried often", hook(DeliveryState.DELIVERED, status=200, attempts=4), "endpoint", "done", "after 4 attempts"),
    ("no attempt kept", hook(DeliveryState.DELIVERED), "endpoint", "done", "It arrived."),
    ("failed", hook(DeliveryState.FAILED, cause="your server answered 401", status=401), "endpoint", "failed",
     "It refused our signature or token."),
    ("retrying", hook(DeliveryState.RETRYING, cause="your server answered 503", status=503), "endpoint", "waiting",
     "Your server answered 503. Tried 1 time, next in 4 minutes."),
    ("paused", hook(DeliveryState.PARKED, PAUSED), "endpoint", "waiting", "The endpoint is paused. Resume"),
    ("disabled", hook(DeliveryState.PARKED, GIVEN_UP), "endpoint", "waiting", "disabled. Nothing for 5 days."),
    ("behind another", hook(DeliveryState.PENDING), "endpoint", "waiting", "earlier events of the same contact"),
    ("behind an outage", hook(DeliveryState.PENDING, outages={"an-id": Outage(NOW - HOUR, "your server answered 404")}),
     "endpoint", "waiting", "has failed for 1 hour: your server answered 404. An earlier event"),
    ("replay", hook(DeliveryState.PENDING, lane="replay"), "endpoint", "waiting", "asked for again"),
    ("being sent", hook(DeliveryState.DELIVERING), "endpoint", "waiting", "It is being sent to shop"),
    ("deleted endpoint", hook(DeliveryState.CANCELLED, None), "endpoint", "failed", "The endpoint was deleted."),
    ("cancelled", hook(DeliveryState.CANCELLED), "endpoint", "failed", "The person was erased"),
    ("no endpoint", told(endpoints={}), "endpoint", "missing", "There is no endpoint"),
    ("nobody subscribes", told(untold={"an-id": "it takes x only"}), "endpoint", "missing", "No endpoint subscribes"),
    ("events too old", told(events=[], message=OLD), "endpoint", "missing", "RETENTION_DAYS"),
    ("no events", told(events=[]), "endpoint", "missing", "There is no event about it"),
    ("file stored", told(files=[Media(**MINE, account_id="", state="stored", mime_type="image/png", size=9)]), "media",
     "done", "image/png, 9 bytes."),
    ("file failed", told(files=[Media(**MINE, account_id="", state="failed", cause="Meta answered 401")]), "media",
     "failed", "Meta answered 401. Check the access token"),
    ("written by an agent", replace(SENT, message=replace(OUT, agent_id="an-id")), "written", "done", "Agent Ada"),
    ("accepted", sent("sent"), "accepted", "done", "Meta took it"),
    ("scheduled", sent(state="scheduled", scheduled_at=NOW + HOUR), "queued", "waiting", "It is scheduled, in 1 hour"),
    ("queued", sent(state="queued", attempts=0, started_at=0), "queued", "waiting", "It waits for its turn"),
    ("tried again", sent(state="queued", attempts=2, cause="Meta is too busy", due_at=NOW + MINUTE), "queued",
     "waiting", "Meta is too busy. Tried 2 times. The next try is in 1 minute."),
    ("sending paused", replace(sent(state="queued"), account=replace(ACCOUNT, sending_paused="the token expired")),
     "queued", "waiting", "The token expired. Mend the cause, then resume sending"),
    ("being sent to Meta", sent(state="sending"), "queued", "waiting", "It is being sent"),
    ("unknown", sent(state="unknown", cause="Meta did not answer in time"), "accepted", "failed", "never sent again"),
    ("cancelled send", sent(state="cancelled", cause="cancelled before it was sent"), "queued", "failed", "Cancelled"),
    ("refused", replace(sent(state="failed"), message=replace(OUT, errors=REFUSED)), "accepted", "failed",
     "Re-engagement message. Meta's code is 131047. More than 24 hours"),
    ("failed later", sent("failed", errors=REFUSED), "failed", "failed", "send a template"),
    ("read", sent("read"), "read", "done", "The customer read it"),
    ("priced", sent("delivered", pricing=b'{"billable":false,"category":"service"}'), "delivered", "done",
     "Meta charges nothing for it, in the category service."),
    ("oddly priced", sent("delivered", pricing=b"[1"), "delivered", "done", "It reached the customer's phone"),
    ("delivery not told yet", replace(sent("sent"), now=CAME + MINUTE), "delivered", "waiting", "nothing yet"),
    ("delivery not told for hours", sent("sent"), "delivered", "missing", "Meta has not told of delivery for 2 hours."),
    ("resent", sent(state="unknown", resent_as="another"), "queued", "done", "as another message"),
    ("answered", told(run=run("replied")), "agent", "done", "Agent Ada answered"),
    ("agent failed", told(run=run("failed", "the model refused")), "agent", "failed", "The model refused. Try"),
    ("declined", told(run=run("declined", "its budget is used up")), "agent", "missing", "Its budget is used up."),
    ("agent's turn", told(account=ANSWERED, turn=TURN), "agent", "waiting", "Its turn is in 2 seconds."),
    ("handed over", told(account=ANSWERED, handover="a person wrote"), "agent", "skipped", "A person wrote."),
    ("agent paused", told(account=ANSWERED, agents={"an-id": replace(ADA, state="paused")}), "agent", "skipped",
     "Agent Ada is paused"),
    ("marked as read", told(message=replace(IN, status={"read": NOW})), "read", "done", "You marked it as read"),
]  # fmt: skip


def spoken(step: Step) -> str:
    return f"{step.title} {step.detail} {step.remedy}"


@pytest.mark.parametrize(("records", "kind", "state", "words"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_a_journey_says_how_each_step_stands(records: Records, kind: str, state: str, words: str) -> None:
    steps = [step for step in journey(records) if step.kind == kind and words in spoken(step)]
    assert [step.state for step in steps] == [state], [(s.kind, s.state, spoken(s)) for s in journey(records)]


@pytest.mark.parametrize("records", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_every_step_is_whole_sentences_and_what_is_wrong_says_what_to_do(records: Records) -> None:
    for step in journey(records):
        assert step.title
        assert not step.title.endswith(".")
        for text in (step.detail, step.remedy):
            assert not text or (text[0].isupper() or text[0].isdigit() or text.startswith("image/")), text
            assert not text or text.endswith("."), text
            assert "  " not in text
        assert step.state == "done" or step.detail or step.remedy or step.kind == "queued", step


def test_the_steps_stand_in_the_order_of_the_way() -> None:
    coming = hook(DeliveryState.DELIVERED, status=200)
    assert [step.kind for step in journey(coming)] == ["written", "received", "verified", "stored", "endpoint"]
    facts = [StatusFact(name=name, at=CAME // MICROS + 3) for name in ("sent", "delivered", "read")]
    going = replace(sent(), facts=facts, ways=coming.ways)
    assert [step.kind for step in journey(going)] == ["written", "accepted", "endpoint", "sent", "delivered", "read"]


def test_an_endpoint_is_one_step_with_its_gravest_delivery_first_in_words() -> None:
    ways = [
        way(DeliveryState.DELIVERED, status=200, id=f"{number:03}", event_id=f"{number:03}") for number in range(30)
    ]
    ways[7] = way(DeliveryState.FAILED, cause="your server answered 500", status=500, id="007", event_id="007")
    [step] = [step for step in journey(told(ways=ways)) if step.kind == "endpoint"]
    assert (step.state, step.refs["delivery_id"], step.attempts) == ("failed", "007", 30)
    assert "29 of 30 events about this message arrived." in step.detail
    assert [line.id for line in step.deliveries] == [f"{n:03}" for n in (*range(5), *range(25, 30))]


def test_what_was_recovered_counts_and_not_what_failed_before() -> None:
    failed = way(DeliveryState.FAILED, cause="your server answered 500", status=500, id="1")
    again = way(DeliveryState.DELIVERED, status=200, id="2")
    [step] = [step for step in journey(told(ways=[failed, again])) if step.kind == "endpoint"]
    assert step.state == "done"


def test_many_endpoints_that_were_not_told_are_counted() -> None:
    hooks = {str(number): replace(HOOK, id=str(number)) for number in range(9)}
    steps = journey(told(endpoints=hooks, untold=dict.fromkeys(hooks, "it takes x only")))
    assert [step.title for step in steps if step.kind == "endpoint"][-1] == "4 more endpoints were not told"
