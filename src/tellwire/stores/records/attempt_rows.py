"""Conversions between attempts and rows; headers are stored in a short form."""

from __future__ import annotations

from typing import Any

import msgspec

from tellwire.model.deliveries import Attempt
from tellwire.stores.records.header_codec import restore, shorten

encode = msgspec.json.Encoder().encode

ATTEMPT = ("delivery_id", "number", "organization_id", "started_at", "outcome", "record", "response_body")


class _AttemptRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The fields of an attempt that have no column of their own; headers as `header_codec` shortens them."""

    cause: str = ""
    url: str = ""
    status: int = 0
    request: list[str] = []
    response: list[str] = []
    durations: dict[str, float] = {}
    edited: tuple[str, ...] = ()


_attempt_record = msgspec.json.Decoder(_AttemptRecord)


def attempt(row: Any) -> Attempt:
    """Return the attempt that a row holds, with the columns in `ATTEMPT`'s order."""
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
        request_headers=restore(rest.request, delivery_id=delivery_id, number=number, started_at=started_at),
        response_status=rest.status,
        response_headers=restore(rest.response, delivery_id=delivery_id, number=number, started_at=started_at),
        response_body=response_body,
        durations=rest.durations,
        edited=rest.edited,
    )


def attempt_record(value: Attempt) -> bytes:
    """Return the column `attempts.record`: the fields of an attempt that have no column of their own."""
    identifier, number, started_at = value.delivery_id, value.number, value.started_at
    return encode(
        _AttemptRecord(
            value.cause,
            value.url,
            value.response_status,
            shorten(value.request_headers, delivery_id=identifier, number=number, started_at=started_at),
            shorten(value.response_headers, delivery_id=identifier, number=number, started_at=started_at),
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


def without_payload(value: Attempt) -> Attempt:
    """Return an attempt without headers and response body, which may quote its event."""
    return msgspec.structs.replace(value, request_headers=(), response_headers=(), response_body=b"")
