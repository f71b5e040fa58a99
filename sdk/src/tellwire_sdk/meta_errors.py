"""An error of Meta's, in the shape that both formats show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tellwire_sdk.records import Reader, Record, an_object, code, text


@dataclass(frozen=True, kw_only=True)
class MetaError(Record):
    """Why a message failed; Meta's list of codes says what to do about each."""

    READERS: ClassVar[Mapping[str, Reader]] = {"code": code, "title": text, "message": text, "error_data": an_object}

    code: int | str | None = None
    title: str | None = None
    message: str | None = None
    error_data: Mapping[str, Any] | None = None

    @property
    def details(self) -> str:
        """`error_data.details`, "" when there is none."""
        details = (self.error_data or {}).get("details")
        return details if isinstance(details, str) else ""
