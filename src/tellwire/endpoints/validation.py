"""PURE. The rules for an endpoint's fields beyond their types (docs/reference/rest-api.md, "Webhook endpoints")."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence

from tellwire.model.deliveries import Endpoint
from tellwire.ports.formats import Format
from tellwire.security.pasted import trimmed

_MOST_VALUE = 4096
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_BEARER = re.compile(r"[\x21-\x7e]+")
_TAKEN = frozenset(
    (
        "authorization",
        "connection",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-hub-signature",
        "x-hub-signature-256",
    )
)
_TAKEN_BEGINNINGS = ("content-", "tellwire-", "webhook-")

VERIFY_TOKEN = "verify_token"  # noqa: S105 - the name of an option
"""The option of formats that ask a receiver with a token, which is made where none is given."""
_PLAIN = Endpoint(id="", organization_id="", url="", format="")

OF_SENDING = (
    "url",
    "token",
    "verify_token",
    "headers",
    "buffer",
    "ordering",
    "timeout_seconds",
    "head_of_line_seconds",
    "max_in_flight",
    "rate_limit_per_second",
    "retry_schedule",
)
"""The fields that an endpoint whose deliveries are pulled cannot have."""

Fault = tuple[str, str]
"""JSON pointer, what is wrong there"""


def faults(
    endpoint: Endpoint,
    events: Sequence[str],
    reserved: tuple[str, ...],
    unsent: Sequence[str] = (),
    options: Mapping[str, Sequence[str]] | None = None,
) -> list[Fault]:
    """Return everything that is wrong with an endpoint's fields.

    Args:
        events: the names it may subscribe to.
        reserved: how the names of the formats' own headers begin, in lower case.
        unsent: those of `events` that its format never sends.
        options: the options that are some formats' own, each with the names of these formats.
    """
    return [
        *_pulled(endpoint),
        *_options(endpoint, options),
        *(_events(endpoint, events) or _silent(endpoint, events, unsent)),
        *_accounts(endpoint),
        *_token(endpoint),
        *_headers(endpoint, reserved),
        *_buffer(endpoint),
    ]


def secret_fault(secret: str) -> str:
    """Return what is wrong with a customer's own signing secret; "" when nothing is."""
    if not 16 <= len(secret) <= 128:
        return "must have 16 to 128 characters"
    if secret != trimmed(secret):
        return "must not begin or end with a blank"
    if not secret.isprintable():
        return "must have printable characters only"
    if not secret.startswith("whsec_"):
        return ""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return "must be base64 after whsec_"
    if base64.b64encode(key).decode() != secret.removeprefix("whsec_"):
        return "must be base64 after whsec_"
    return "" if 24 <= len(key) <= 64 else "must be base64 of 24 to 64 bytes after whsec_"


def own_options(formats: Mapping[str, Format]) -> dict[str, list[str]]:
    """Return the options that only some formats have, each with the names of these formats."""
    theirs = {name: (*form.OPTIONS, *(("buffer",) if form.JOINING else ())) for name, form in formats.items()}
    every = dict.fromkeys(option for own in theirs.values() for option in own)
    return {option: [name for name, own in theirs.items() if option in own] for option in every}


def _options(endpoint: Endpoint, options: Mapping[str, Sequence[str]] | None) -> Iterator[Fault]:
    for option, formats in (options or {}).items():
        if endpoint.format not in formats and getattr(endpoint, option) != getattr(_PLAIN, option):
            yield f"/{option}", f"is an option of the format {' or '.join(formats)}, not of {endpoint.format}"
    for index, name in enumerate(endpoint.fields):
        if name in endpoint.fields[:index]:
            yield f"/fields/{index}", "is there twice"
    if options and endpoint.format in options.get(VERIFY_TOKEN, ()) and endpoint.state != "pulled":
        if not endpoint.verify_token:
            yield "/verify_token", "cannot be taken away: the receiver is asked with it"
        elif not endpoint.verify_token.isprintable():
            yield "/verify_token", "must have printable characters only"


def _pulled(endpoint: Endpoint) -> Iterator[Fault]:
    if endpoint.state == "pulled":
        for name in OF_SENDING:
            if getattr(endpoint, name) != getattr(_PLAIN, name):
                yield f"/{name}", "is about what is sent; deliveries of this webhook endpoint are pulled"
        if not endpoint.description:
            yield "/description", "cannot be empty: a webhook endpoint without a URL has no other name"


def _events(endpoint: Endpoint, events: Sequence[str]) -> list[Fault]:
    found = []
    for index, name in enumerate(endpoint.events):
        if name not in events:
            found.append((f"/events/{index}", f"must be one of {', '.join(events)}"))
        elif name in endpoint.events[:index]:
            found.append((f"/events/{index}", "is there twice"))
    return found


def _silent(endpoint: Endpoint, events: Sequence[str], unsent: Sequence[str]) -> list[Fault]:
    if not endpoint.events or set(endpoint.events) - set(unsent):
        return []
    sent = ", ".join(each for each in events if each not in unsent)
    return [("/events", f"names nothing that the format {endpoint.format} sends, which is: {sent}")]


def _accounts(endpoint: Endpoint) -> Iterator[Fault]:
    for index, name in enumerate(endpoint.accounts):
        if not name.isascii() or not name.isprintable() or " " in name:
            yield f"/accounts/{index}", "must be a phone_number_id or the id of an account"


def _token(endpoint: Endpoint) -> Iterator[Fault]:
    if endpoint.token and not _BEARER.fullmatch(endpoint.token):
        yield "/token", "must have visible ASCII characters only, no spaces"
    elif endpoint.token and not endpoint.token.strip("*"):
        yield "/token", "is the mask that reads show, not a token"


def _buffer(endpoint: Endpoint) -> Iterator[Fault]:
    if endpoint.buffer is not None and endpoint.ordering == "none":
        yield "/buffer", "needs the ordering keyed or strict: without an order no message waits for another"


def _headers(endpoint: Endpoint, reserved: tuple[str, ...]) -> Iterator[Fault]:
    seen = set()
    for name, value in endpoint.headers.items():
        pointer = "/headers/" + name.replace("~", "~0").replace("/", "~1")
        lower = name.lower()
        if not _TOKEN.fullmatch(name):
            yield pointer, "is not a header name (RFC 9110: 1 to 128 token characters)"
        elif lower in _TAKEN or lower.startswith((*_TAKEN_BEGINNINGS, *reserved)):
            yield pointer, "is a header that Tellwire or HTTP sets itself"
        elif lower in seen:
            yield pointer, "is there twice"
        elif len(value) > _MOST_VALUE or not _VALUE.fullmatch(value):
            yield pointer, f"must have at most {_MOST_VALUE} Latin-1 characters, no control characters"
        elif value and not value.strip("*"):
            yield pointer, "has the mask that reads show, not a value"
        seen.add(lower)
