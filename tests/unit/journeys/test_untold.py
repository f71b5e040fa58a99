"""Why an endpoint was not told: the words agree with what the routing decides."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tellwire.formats import FORMATS
from tellwire.journeys.untold import why_not
from tellwire.model.deliveries import Endpoint, Event, Snapshot
from tellwire.model.registry import Registry
from tellwire.model.routing import Routes
from tellwire.model.tenancy import Account

NAMES = {name: form.names for name, form in FORMATS.items()}
ACCOUNT = Account(id="an-account", organization_id="mine", phone_number_id="400500600700")
SOME = ("messages.insert", "messages.update", "conversations.insert", "standby.message", "account.alert")
LATER = "it was made later"
THEN = "it did not take this when the message came"


@st.composite
def endpoints(draw: Any) -> Endpoint:
    return Endpoint(
        id="an-endpoint",
        organization_id="mine",
        url="https://hooks.example.com/in",
        format=draw(st.sampled_from(sorted(FORMATS))),
        events=tuple(draw(st.sets(st.sampled_from((*SOME, "incoming_message", "status_update")), max_size=3))),
        accounts=tuple(draw(st.sets(st.sampled_from(("an-account", "400500600700", "1")), max_size=2))),
        external=draw(st.booleans()),
        history=draw(st.booleans()),
        standby=draw(st.booleans()),
        created_at=draw(st.sampled_from((1, 3))),
    )


@st.composite
def events(draw: Any) -> Event:
    name = draw(st.sampled_from(SOME))
    entity, _, action = name.partition(".")
    own = entity in ("messages", "conversations")
    return Event(
        id="an-event",
        organization_id="mine",
        account_id=draw(st.sampled_from(("an-account", ""))),
        entity=entity if own else "operational",
        action=action if own else "insert",
        name=name,
        order_key="",
        snapshot=Snapshot(row=b"{}"),  # type: ignore[arg-type]
        message_id="a-message" if entity == "messages" else "",
        direction=draw(st.sampled_from(("incoming", "outgoing", ""))),
        history=draw(st.booleans()),
        external=draw(st.booleans()),
        created_at=2,
    )


@given(endpoint=endpoints(), event=events())
def test_a_reason_is_given_exactly_where_the_routing_leaves_an_endpoint_out(endpoint: Endpoint, event: Event) -> None:
    registry = Registry(version=1, accounts={ACCOUNT.phone_number_id: ACCOUNT}, endpoints={endpoint.id: endpoint})
    account = ACCOUNT if event.account_id else None
    words = why_not(endpoint, event, NAMES[endpoint.format](event), account)
    told = bool(Routes(registry, NAMES).of(event))
    assert words.startswith((LATER, THEN)) is told, words
    assert words.startswith(LATER) is (told and endpoint.created_at == 3)
