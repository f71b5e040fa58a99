"""The body of an attempt is made once more, and verified by the signature that was sent."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.world import START

import tellwire_sdk
from tellwire.delivery.as_sent import AsSent, as_sent
from tellwire.delivery.attempt import Wire, attempted, request
from tellwire.delivery.buffering import joined
from tellwire.endpoints.samples import sample
from tellwire.formats import FORMATS
from tellwire.ids import IdMaker
from tellwire.model.deliveries import Attempt, Delivery, Endpoint, ReplayEdit, Secret, Work
from tellwire.model.units import DAY
from tellwire.ports.http_out import Answer

OLD, NEW = "the secret that was first", "the secret that came after"
WIRE = Wire(formats=FORMATS, sign=tellwire_sdk.sign, hub_signature=tellwire_sdk.hub_signature)
ENDPOINT = Endpoint(
    id="e",
    organization_id="o",
    url="https://x.example/in",
    format="row",
    secrets=(Secret(OLD),),
    token="an invented token",
    updated_at=START,
)
_ids = IdMaker()


def new_id() -> str:
    return _ids.make(START)


def work(format_name: str = "row", **given: Any) -> Work:
    form = FORMATS[format_name]
    event = sample(form, next(iter(form.EVENTS)), "o", START, new_id)
    name = new_id()
    delivery = Delivery(
        id=name, organization_id="o", event_id=event.id, endpoint_id="e", order_key="k", webhook_id=f"msg_{name}"
    )
    return Work(replace(delivery, **given), event)


def made(one: Work, endpoint: Endpoint = ENDPOINT, edit: ReplayEdit | None = None) -> tuple[Attempt, bytes]:
    """An attempt as it is kept, and the body that it sent."""
    sent = request(one, endpoint, now=START, wire=WIRE, edit=edit)
    assert sent is not None
    kept = attempted(one.delivery, endpoint, request=sent, answer=Answer(status=500), started_at=START, edit=edit)
    return kept, sent.body


def checked(attempt: Attempt, *works: Work, endpoint: Endpoint | None = ENDPOINT, edit: Any = None) -> AsSent:
    return as_sent(attempt, works, endpoint, edit, formats=FORMATS, sign=tellwire_sdk.sign)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_body_of_every_format_is_made_once_more_byte_for_byte(name: str) -> None:
    endpoint = replace(ENDPOINT, format=name)
    one = work(name, sequence=7, replay=2)
    attempt, body = made(one, endpoint)
    found = checked(attempt, one, endpoint=endpoint)
    assert (found.body, found.why, [each.matches for each in found.secrets]) == (body, "", [True])


def test_several_that_were_sent_together_are_one_body() -> None:
    group = joined([work(), work(sequence=4)])
    attempt, body = made(group)
    members = [Work(each.delivery, each.event) for each in group.members]
    assert checked(attempt, *members).body == body
    assert checked(attempt, *members).why == ""
    assert checked(attempt, members[0]).why == "The event is no longer kept."


def test_each_secret_is_checked_and_one_that_came_later_did_not_sign() -> None:
    one = work()
    attempt, _ = made(one)
    rotated = replace(ENDPOINT, secrets=(Secret(NEW), Secret(OLD, START + DAY)), updated_at=START + 1)
    found = checked(attempt, one, endpoint=rotated)
    assert [(each.expires_at, each.matches) for each in found.secrets] == [(None, False), (START + DAY, True)]
    assert found.why == ""
    both = made(one, rotated)[0]
    assert [each.matches for each in checked(both, one, endpoint=rotated).secrets] == [True, True]


def test_why_it_is_not_verified_is_told() -> None:
    one = work()
    attempt, body = made(one)
    changed = replace(ENDPOINT, secrets=(Secret(NEW),), updated_at=START + 1)
    assert "was changed after this attempt" in checked(attempt, one, endpoint=changed).why
    assert "No secret of the endpoint" in checked(attempt, one, endpoint=replace(changed, updated_at=0)).why
    assert checked(attempt, one, endpoint=None).why.startswith("The endpoint was deleted")
    assert checked(attempt).why == "The event is no longer kept."
    assert checked(replace(attempt, request_headers=()), one).why == "The headers are no longer kept."
    plain = replace(ENDPOINT, secrets=())
    unsigned = checked(made(one, plain)[0], one, endpoint=plain)
    assert (unsigned.body, unsigned.secrets) == (body, ())
    assert "without a signature" in unsigned.why


def test_an_edited_body_is_the_one_that_was_given() -> None:
    one, edit = work(replay=1), ReplayEdit(body=b'{"fixed":true}')
    attempt, _ = made(one, edit=edit)
    assert checked(attempt, one, edit=edit).body == b'{"fixed":true}'
    assert checked(attempt, one, edit=edit).why == ""
    assert "no longer kept" in checked(attempt, one).why
