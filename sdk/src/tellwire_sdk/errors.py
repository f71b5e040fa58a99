"""The one error of this package and its reasons."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a webhook, a secret or a payload was refused; compares equal to its text."""

    BAD_HEADERS = "bad_headers"
    """The headers are no mapping or list of pairs, or one that matters came twice with different values."""
    BAD_SECRET = "bad_secret"  # noqa: S105  (a name, not a secret)
    """The secret cannot be one: too short, too long, not printable, `whsec_` without base64 behind it."""
    BAD_SIGNATURE = "bad_signature"
    """The signature header holds nothing that has the form of a signature."""
    BAD_TIMESTAMP = "bad_timestamp"
    """`webhook-timestamp` is not a whole number of Unix seconds."""
    MISSING_HEADERS = "missing_headers"
    """A header that is needed is not there."""
    NO_MATCH = "no_match"
    """The signature is well formed, and another secret's or another body's."""
    NOT_A_PAYLOAD = "not_a_payload"
    """The body is JSON, and none of the payloads known here."""
    NOT_BYTES = "not_bytes"
    """The body was given as something else than the raw bytes received."""
    NOT_JSON = "not_json"
    """The body is not JSON in UTF-8."""
    TOO_NEW = "too_new"
    """`webhook-timestamp` lies further in the future than the tolerance allows."""
    TOO_OLD = "too_old"
    """`webhook-timestamp` lies further in the past than the tolerance allows."""


class WebhookError(Exception):
    """The error for a body, its headers or a secret that is wrong: `reason` is for programs, the text for people.

    The text says what to do, and never holds a secret, a signature or a part of the body's values.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message
