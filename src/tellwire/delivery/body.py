"""PURE. The body of an attempt: of one event, or of several that are sent together."""

from __future__ import annotations

from tellwire.delivery.canonical_json import canonical
from tellwire.model.deliveries import Endpoint, SentAs, Work
from tellwire.ports.formats import Format


def body_of(form: Format, work: Work, endpoint: Endpoint, sent: SentAs) -> bytes | None:
    """Return the bytes to sign and send; None when the format has no place for the event.

    Raises:
        Exception: whatever the format raises for what it can't take.
    """
    if not work.more:
        body = form.encode(work.event, endpoint, sent)
    elif form.JOINING is None:
        raise ValueError("the format puts no events together")
    else:
        body = form.JOINING.encode([member.event for member in work.members], endpoint, sent)
    return canonical(body) if body is not None and endpoint.json == "canonical" else body
