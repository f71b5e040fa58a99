"""Attempts as rows, and back; their headers kept briefly."""

from __future__ import annotations

from typing import Any

import msgspec

from tellwire.model.deliveries import Attempt
from tellwire.stores.records.header_codec import brief, full

encode = msgspec.json.Encoder().encode

ATTEMPT = ("delivery_id", "number", "organization_id", "started_at", "outcome", "record", "response_body")


class _AttemptRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of an attempt has no column of its own; headers as `brief_headers` shortens them."""

    cause: str = ""
    url: str = ""
    status: int = 0
    request: list[str] = []
    response: list[str] = []
    durations: dict[str, float] = {}
    edited: tuple[str, ...] = ()


_attempt_record = msgspec.json.Decoder(_AttemptRecord)


def attempt(row: Any) -> Attempt:
    """Return an attempt of the columns in `ATTEMPT`'s order."""
    delivery_id, number, organization_id, started_at, outcome, record, response_body = row
    rest = _attempt_record.decode(record)
    return Attempt(
        delivery_id=delivery_id,
        organization_id=organization_id,
        number=number,
        started_at=started_at,
        outcome=outcome,
        cause=rest.cause,
        url=rest.url,
        request_headers=full(rest.request, delivery_id=delivery_id, number=number, started_at=started_at),
        response_status=rest.status,
        response_headers=full(rest.response, delivery_id=delivery_id, number=number, started_at=started_at),
        response_body=response_body,
        durations=rest.durations,
        edited=rest.edited,
    )


def attempt_record(value: Attempt) -> bytes:
    """Return what of an attempt has no column of its own, for `attempts.record`."""
    identifier, number, started_at = value.delivery_id, value.number, value.started_at
    return encode(
        _AttemptRecord(
            value.cause,
            value.url,
            value.response_status,
            brief(value.request_headers, delivery_id=identifier, number=number, started_at=started_at),
            brief(value.response_headers, delivery_id=identifier, number=number, started_at=started_at),
            value.durations,
            value.edited,
        )
    )


def attempt_row(value: Attempt) -> tuple[Any, ...]:
    """Return the columns of an attempt in `ATTEMPT`'s order."""
    return (
        value.delivery_id,
        value.number,
        value.organization_id,
        value.started_at,
        value.outcome,
        attempt_record(value),
        value.response_body,
    )


def bare(value: Attempt) -> Attempt:
    """Return an attempt without anything that may quote what it carried; that it was made, and what came of it, stays.
    """
    return msgspec.structs.replace(value, request_headers=(), response_headers=(), response_body=b"")
