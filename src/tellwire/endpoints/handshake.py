"""The question that some formats ask an endpoint's receiver before it is registered (docs/reference/formats.md)."""

from __future__ import annotations

from msgspec.structs import replace

from tellwire.errors import Invalid
from tellwire.ports.formats import Handshake, Registration
from tellwire.ports.http_out import Sender

_SHOWN = 2048


async def ask_for_consent(
    sender: Sender,
    handshake: Handshake,
    registration: Registration,
    *,
    timeout: float,  # noqa: ASYNC109 - the sender's
) -> None:
    """Ask the receiver behind an endpoint for its consent, as the endpoint's format does.

    Args:
        sender: what makes the request, address check included.
        timeout: seconds over everything.

    Raises:
        Invalid: it does not consent; the text says what came back, as far as it may be shown.
    """
    asked, whose = handshake.request(registration), registration.endpoint.organization_id
    answer = await sender.send(replace(asked, timeout=timeout, organization_id=whose))
    reason = handshake.refusal(registration, answer)
    if not reason:
        return
    shown = answer.body[:_SHOWN].decode(errors="replace")
    came = f"; it said: {shown}" if shown else ""
    raise Invalid(f"the challenge was not met: {reason}{came} ({handshake.ASKED})", ("/url", reason))
