"""Serve `/v1/deliveries/{id}/sent`: the bytes of an attempt, and its signature checked."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from litestar import Response, get
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from tellwire.delivery.as_sent import AsSent, as_sent
from tellwire.errors import NotFound
from tellwire.model.deliveries import Attempt, Delivery, Work
from tellwire.stores.queries import deliveries, events, replays
from tellwire.web.api.shapes import When, when
from tellwire.web.parameters import our_id
from tellwire.web.request import ContextDependency
from tellwire.web.responses import json_response

_READ = {"scopes": ("read", "deliveries:replay")}

AttemptNumber = Annotated[
    int, QueryParameter(ge=0, le=1_000_000, description="Which attempt; by default the last that is kept.")
]


class SignatureCheck(Struct, kw_only=True):
    """A secret of the endpoint, without its value: whether it made the signature that was sent."""

    secret: Literal["current", "rotated_out"]
    expires_at: When | None
    matches: bool


class SentRead(Struct, kw_only=True):
    """What an attempt sent. Bodies are not kept: this one is made once more from the event, and `verified` says that
    it has the signature that was sent, so that it is the same byte for byte."""

    attempt: Annotated[int | None, Meta(description="Null for a delivery that was not tried yet.")]
    body: str | None
    body_base64: Annotated[str | None, Meta(description="The body, where it is no UTF-8.")]
    verified: bool
    why_not: Annotated[str | None, Meta(description="In plain words why it is not verified.")]
    secrets: list[SignatureCheck]


@get("/deliveries/{delivery_id:str}/sent", summary="Read what an attempt sent", opt=_READ)
async def read_sent(
    delivery_id: FromPath[str], context: ContextDependency, attempt: AttemptNumber = 0
) -> Response[SentRead]:
    """The body of an attempt, and which of the endpoint's secrets signed it; no secret is shown."""
    name, owner = our_id(delivery_id, "delivery"), context.organization_id

    def work(connection: Connection) -> tuple[Attempt | None, AsSent]:
        entry = deliveries.get(connection, owner, name)
        if entry is None:
            raise NotFound("There is no delivery with this id.")
        found = [each for each in deliveries.attempts_of(connection, name) if attempt in (0, each.number)]
        if not found:
            if attempt:
                raise NotFound("This delivery has no attempt with this number.")
            return None, AsSent(None, (), "It was not tried yet, or its attempts are no longer kept.")
        return found[-1], _as_sent(connection, context, entry.delivery, found[-1])

    chosen, sent = await context.read(work)
    text, raw = _text(sent.body)
    return json_response(
        SentRead(
            attempt=chosen.number if chosen is not None else None,
            body=text,
            body_base64=raw,
            verified=not sent.why,
            why_not=sent.why or None,
            secrets=[
                SignatureCheck(
                    secret="current" if each.expires_at is None else "rotated_out",
                    expires_at=when(each.expires_at),
                    matches=each.matches,
                )
                for each in sent.secrets
            ],
        )
    )


def _as_sent(connection: Connection, context: ContextDependency, delivery: Delivery, attempt: Attempt) -> AsSent:
    services, owner = context.services, context.organization_id
    headers = {name.lower(): value for name, value in attempt.request_headers}
    of_replay = replace(delivery, replay=int(headers.get("tellwire-replay", "0")))
    members = [delivery]
    if "tellwire-count" in headers:
        members = deliveries.sent_together(connection, owner, delivery.together)
    works = []
    for each in members:
        event = events.get(connection, owner, each.event_id)
        works += [Work(each, event)] if event is not None else []
    return as_sent(
        attempt,
        works,
        services.store.registry().endpoints.get(delivery.endpoint_id),
        replays.replay_edit(connection, of_replay),
        formats=services.formats,
        sign=services.wire.sign,
    )


def _text(body: bytes | None) -> tuple[str | None, str | None]:
    if body is None:
        return None, None
    try:
        return body.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(body).decode()


HANDLERS = (read_sent,)
