"""PURE. What an attempt sent: its body, made once more from what is kept, and the secrets that its signature is of.

Attempts keep no body. One that is made anew and whose signature is the one that was sent is that body, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from tellwire.delivery.attempt import Sign
from tellwire.delivery.body import body_of
from tellwire.model.deliveries import Attempt, Endpoint, ReplayEdit, SentAs, Work
from tellwire.model.units import Micros
from tellwire.ports.formats import Format


class SecretCheck(Struct, frozen=True):
    """Whether a secret of the endpoint made the signature; `expires_at` is set on one that was rotated out."""

    expires_at: Micros | None
    matches: bool


class AsSent(Struct, frozen=True):
    """The body of an attempt, and its signature checked. `why` says in plain words what is missing, "" when nothing is:
    then the body is the one that was sent."""

    body: bytes | None
    secrets: tuple[SecretCheck, ...]
    why: str


def as_sent(
    attempt: Attempt,
    works: Sequence[Work],
    endpoint: Endpoint | None,
    edit: ReplayEdit | None,
    *,
    formats: Mapping[str, Format],
    sign: Sign,
) -> AsSent:
    """Make the body of an attempt once more, and compare its signature with the one that was sent.

    Args:
        attempt: the attempt, with the headers that were sent.
        works: what was sent together, as far as it is kept, in order.
        endpoint: where it went, None when it was deleted.
        edit: what was other about the replay that the attempt belongs to.
    """
    headers = {name.lower(): value for name, value in attempt.request_headers}
    if endpoint is None:
        return AsSent(None, (), "The endpoint was deleted, and its format and secrets with it.")
    if not headers:
        return AsSent(None, (), "The headers are no longer kept.")
    body, why = _body(attempt, works, endpoint, edit=edit, headers=headers, form=formats[endpoint.format])
    if body is None:
        return AsSent(None, (), why)
    sent = headers.get("webhook-signature", "").split()
    timestamp = headers.get("webhook-timestamp", "")
    if not sent or not timestamp.isdigit():
        return AsSent(body, (), "It was sent without a signature, because the endpoint had no secret.")
    checks = tuple(
        SecretCheck(
            secret.expires_at,
            sign(body, webhook_id=headers["webhook-id"], timestamp=int(timestamp), secrets=[secret.value]) in sent,
        )
        for secret in endpoint.secrets
    )
    return AsSent(body, checks, "" if any(check.matches for check in checks) else _unverified(attempt, endpoint))


def _body(
    attempt: Attempt,
    works: Sequence[Work],
    endpoint: Endpoint,
    *,
    edit: ReplayEdit | None,
    headers: Mapping[str, str],
    form: Format,
) -> tuple[bytes | None, str]:
    if "body" in attempt.edited:
        known = edit.body if edit is not None else None
        return known, "" if known is not None else "The body that was given for this replay is no longer kept."
    if len(works) != int(headers.get("tellwire-count", "1")):
        return None, "The event is no longer kept."
    sequence = headers.get("tellwire-sequence", "0")
    head = replace(works[0], more=tuple(works[1:])) if len(works) > 1 else works[0]
    try:
        body = body_of(form, head, endpoint, SentAs(headers["webhook-id"], int(sequence)))
    except Exception:  # noqa: BLE001 - a format raises whatever it likes for what it cannot take
        body = None
    return body, "" if body is not None else "The endpoint's format has no place for this event now."


def _unverified(attempt: Attempt, endpoint: Endpoint) -> str:
    if endpoint.updated_at > attempt.started_at:
        return (
            "The endpoint was changed after this attempt, so the body below may differ from what was sent, or a secret "
            "that is gone signed it."
        )
    return "No secret of the endpoint makes this signature, so the body below may differ from what was sent."
