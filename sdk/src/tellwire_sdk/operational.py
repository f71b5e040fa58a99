"""Operational events, which tell a subscriber about the platform itself, in both formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from tellwire_sdk.records import Reader, Record, an_object, text
from tellwire_sdk.times import rfc3339_time


@dataclass(frozen=True, kw_only=True)
class OperationalEvent(Record):
    """Something happened to an endpoint, a delivery, an account or a contact: `type` says what, `data` to which."""

    READERS: ClassVar[Mapping[str, Reader]] = {"type": text, "timestamp": text, "data": an_object}

    type: str
    timestamp: str
    data: Mapping[str, Any]

    @property
    def happened(self) -> datetime | None:
        """`timestamp` as an aware datetime."""
        return rfc3339_time(self.timestamp)
