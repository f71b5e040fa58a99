"""PURE. Why a signature does not fit: the likely mistakes, each tried on the request at hand.

A signature fits the exact bytes that were sent and the key. So where it does not, the bytes that a mistake began with
are made again from those at hand, and the keys that a mistake would have used from the one given; what fits then names
the mistake.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hmac
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct

import tellwire_sdk
from tellwire_sdk import WebhookError

STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")
HUB, WAPPCLOUD, OLD_HUB = "x-hub-signature-256", "x-wappcloud-signature", "x-hub-signature"
_HEX = 64
_MILLISECONDS = 13


class Finding(Struct, frozen=True, kw_only=True):
    """What was found.

    Args:
        ok: whether the request is signed, and fresh.
        fault: a short name of the mistake, "" where there is none.
        said: what it is, in plain words; `remedy`: what to do.
        header: the header that decided.
        secret: which of the secrets fits, counted from 1; 0 for none.
    """

    ok: bool
    fault: str
    said: str
    remedy: str = ""
    header: str = ""
    secret: int = 0


class Request(Struct, frozen=True):
    """A request as it was received; the names of its headers in lower case."""

    body: bytes
    headers: Mapping[str, str]


def diagnose(request: Request, secrets: Sequence[str], *, now: float, tolerance: int = 300) -> Finding:
    """Return whether a request is signed by one of the secrets, or else why not."""
    if bad := _unusable(secrets):
        return bad
    headers = request.headers
    if any(name in headers for name in STANDARD):
        return _standard(request, secrets, now, tolerance)
    for name in (HUB, WAPPCLOUD):
        if name in headers:
            return _vendor(request, name, secrets)
    if OLD_HUB in headers:
        return _fault(
            "sha1_header",
            "only X-Hub-Signature is there, Meta's old header with SHA-1",
            "read X-Hub-Signature-256, and have your proxy pass it on",
        )
    near = [name for name in headers if "signature" in name]
    there = f"; there is {', '.join(near)}" if near else ""
    return _fault(
        "no_signature",
        f"no signature header is there: webhook-signature, X-Hub-Signature-256 or X-Wappcloud-Signature{there}",
        "see that every proxy in between passes these headers on, and that this is a request of Tellwire or Meta",
    )


def _unusable(secrets: Sequence[str]) -> Finding | None:
    if not any(secrets):
        return _fault("empty_secret", "the secret is empty", "fill the setting that holds it")
    for number, secret in enumerate(secrets, 1):
        try:
            tellwire_sdk.secret_key(secret)
        except WebhookError as error:
            if secret.startswith("whsec_"):
                return _fault(
                    "bad_secret", f"secret {number} cannot be one: {error}", "copy the whole secret once more"
                )
    return None


# --- Standard Webhooks ------------------------------------------------------------------------------------------------


def _standard(request: Request, secrets: Sequence[str], now: float, tolerance: int) -> Finding:
    if bad := _malformed(request.headers):
        return bad
    webhook_id, timestamp, signature = (request.headers[name] for name in STANDARD)
    given = [entry.partition(",")[2] for entry in signature.split()]

    def fits(body: bytes, secret: str) -> bool:
        return _sdk_signature(body, webhook_id, timestamp, secret) in given

    header = "webhook-signature"
    for number, secret in enumerate(secrets, 1):
        if fits(request.body, secret):
            return _of_age(int(timestamp), now, tolerance, header, number)
    if found := _mistake(request.body, secrets, fits):
        return found
    for fault, said, message in _wrong_messages(request.body, webhook_id, timestamp):
        if any(_digest(key, message) in given for secret in secrets for key in _keys(secret)):
            return _fault(fault, said, "sign <webhook-id>.<webhook-timestamp>.<body>, over the bytes", header)
    return _nothing_fits(header, secrets)


def _malformed(headers: Mapping[str, str]) -> Finding | None:
    if missing := [name for name in STANDARD if not headers.get(name)]:
        return _fault(
            "missing_header",
            f"{', '.join(missing)} is not there",
            "see that every proxy in between passes all three webhook- headers on",
        )
    _, timestamp, signature = (headers[name] for name in STANDARD)
    if not (timestamp.isascii() and timestamp.isdigit()):
        return _fault(
            "bad_timestamp", f"webhook-timestamp is {timestamp}, and not Unix seconds", "pass it on as it came"
        )
    if len(timestamp) >= _MILLISECONDS:
        return _fault("milliseconds", "webhook-timestamp is in milliseconds", "sign and send whole Unix seconds")
    return _unreadable(signature)


def _sdk_signature(body: bytes, webhook_id: str, timestamp: str, secret: str) -> str:
    try:
        made = tellwire_sdk.sign(body, webhook_id=webhook_id, timestamp=int(timestamp), secrets=[secret])
    except WebhookError:
        return ""
    return made.partition(",")[2]


def _unreadable(signature: str) -> Finding | None:
    entries = signature.split()
    if not [entry for entry in entries if entry.startswith("v1,")]:
        if any("=" in entry and entry.startswith("sha256=") for entry in entries):
            said, fault = "webhook-signature has the form of X-Hub-Signature-256: sha256= and hex", "hub_form"
        else:
            said, fault = f"webhook-signature has no entry that begins with v1,: {signature[:40]}", "no_v1"
        return _fault(fault, said, "the value is v1, and base64; several are separated by spaces")
    for entry in entries:
        text = entry.removeprefix("v1,")
        if entry.startswith("v1,") and len(text) == _HEX and all(each in "0123456789abcdefABCDEF" for each in text):
            return _fault("hex", "webhook-signature is in hex", "encode the 32 bytes of the HMAC as base64")
        with suppress(binascii.Error):
            if entry.startswith("v1,") and len(base64.b64decode(text, validate=True)) == 32:
                return None
    return _fault(
        "not_base64",
        "what follows v1, is not base64 of 32 bytes",
        "see that the header came whole, and that + was not made a space",
    )


def _of_age(timestamp: int, now: float, tolerance: int, header: str, number: int) -> Finding:
    age = now - timestamp
    if age > tolerance:
        return Finding(
            ok=False,
            fault="too_old",
            said=f"the signature fits, but the request is {age:.0f} seconds old; {tolerance} are allowed",
            remedy="check the clock of this machine, and that no queue holds requests back before they are verified",
            header=header,
            secret=number,
        )
    if age < -tolerance:
        return Finding(
            ok=False,
            fault="too_new",
            said=f"the signature fits, but the request is from {-age:.0f} seconds ahead; {tolerance} are allowed",
            remedy="check the clock of this machine: it is behind",
            header=header,
            secret=number,
        )
    return Finding(ok=True, fault="", said=f"the signature fits secret {number}", header=header, secret=number)


def _wrong_messages(body: bytes, webhook_id: str, timestamp: str) -> Iterator[tuple[str, str, bytes]]:
    yield "body_only", "the body alone was signed, without webhook-id and webhook-timestamp", body
    yield "without_id", "the timestamp and the body were signed, without webhook-id", f"{timestamp}.".encode() + body
    yield "without_time", "the id and the body were signed, without webhook-timestamp", f"{webhook_id}.".encode() + body
    swapped = f"{timestamp}.{webhook_id}.".encode() + body
    yield "swapped", "the timestamp was signed before the id", swapped


def _keys(secret: str) -> Iterator[bytes]:
    yield secret.encode()
    with suppress(WebhookError):
        yield tellwire_sdk.secret_key(secret)


def _digest(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.digest(key, message, "sha256")).decode()


# --- the signatures of Meta and WappCloud -----------------------------------------------------------------------------


def _vendor(request: Request, header: str, secrets: Sequence[str]) -> Finding:
    given = request.headers[header].removeprefix("sha256=").lower()
    if len(given) != _HEX or any(each not in "0123456789abcdef" for each in given):
        return _fault("not_hex", f"{header} is not sha256= and 64 hex digits", "pass it on as it came", header)

    def fits(body: bytes, secret: str) -> bool:
        return tellwire_sdk.hub_signature(body, secret) == f"sha256={given}"

    for number, secret in enumerate(secrets, 1):
        if fits(request.body, secret):
            said = f"the signature fits secret {number}; {header} carries no time, so it never gets too old"
            return Finding(ok=True, fault="", said=said, header=header, secret=number)
    for number, secret in enumerate(secrets, 1):
        with suppress(WebhookError):
            key = tellwire_sdk.secret_key(secret)
            if (
                secret.startswith("whsec_")
                and _digest(key, request.body) == base64.b64encode(bytes.fromhex(given)).decode()
            ):
                return Finding(
                    ok=False,
                    fault="decoded_key",
                    said=f"the key was the decoded bytes of secret {number}; {header} takes its text as it is shown",
                    remedy="use the secret's text, whsec_ included, as the key of this header",
                    header=header,
                )
    return _mistake(request.body, secrets, fits, header) or _nothing_fits(header, secrets)


# --- mistakes that every signature shares -----------------------------------------------------------------------------


def _mistake(
    body: bytes, secrets: Sequence[str], fits: Callable[[bytes, str], bool], header: str = "webhook-signature"
) -> Finding | None:
    for secret in secrets:
        for fault, said, remedy, other in _other_secrets(secret):
            if fits(body, other):
                return _fault(fault, said, remedy, header)
        for fault, said, remedy, bytes_ in _other_bodies(body):
            if fits(bytes_, secret):
                return _fault(fault, said, remedy, header)
    return None


def _other_secrets(secret: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield the secrets that may have been meant."""
    stripped = secret.strip().strip("\"'").strip()
    if stripped != secret:
        yield (
            "spaces_in_secret",
            "the secret has spaces, a line break or quotes around it",
            "strip it when it is read",
            stripped,
        )
    if stripped.startswith("whsec_"):
        yield (
            "prefix_added",
            "the secret was signed with without its whsec_: as text",
            "use the secret as it is shown, on both sides",
            stripped.removeprefix("whsec_"),
        )
        with suppress(binascii.Error, ValueError):
            text = base64.b64encode(stripped.encode()).decode()
            yield (
                "text_of_whsec",
                "the key was the text of the secret, whsec_ included, and not the bytes that its base64 stands for",
                "take whsec_ away and decode the rest from base64: those bytes are the key",
                f"whsec_{text}",
            )
    else:
        yield (
            "prefix_lost",
            "the secret has lost its whsec_: without it its text is the key",
            "give the whole secret, whsec_ included",
            f"whsec_{stripped}",
        )


def _other_bodies(body: bytes) -> Iterator[tuple[str, str, str, bytes]]:
    """Yield the bytes that may have been sent."""
    as_received = "verify the raw bytes, before anything parses them"
    said = "a line break at the end was added or lost"
    for other in (body + b"\n", body + b"\r\n", body.removesuffix(b"\n"), body.removesuffix(b"\n").removesuffix(b"\r")):
        if other != body:
            yield "trailing_newline", said, as_received, other
    if body.strip() != body:
        yield "spaces_around", "white space around the body was added", as_received, body.strip()
    if b"\r\n" in body or b"\n" in body:
        said = "line breaks within the body were changed"
        yield "line_breaks", said, "read the body as bytes, not as text", body.replace(b"\r\n", b"\n")
        yield (
            "line_breaks",
            said,
            "read the body as bytes, not as text",
            body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
        )
    if body.startswith(b"\xef\xbb\xbf"):
        yield "byte_order_mark", "a byte order mark was put before the body", as_received, body[3:]
    with suppress(UnicodeError):
        yield (
            "latin_1",
            "the body was read as Latin-1 and written as UTF-8: letters such as ñ became two",
            "read the body as bytes, not as text",
            body.decode("utf-8").encode("latin-1"),
        )
    with suppress(binascii.Error, ValueError):
        yield (
            "base64_body",
            "the body is still in base64, as some gateways hand it over",
            "decode it first (isBase64Encoded)",
            base64.b64decode(body.strip(), validate=True),
        )
    with suppress(OSError, EOFError, zlib.error):
        yield "compressed", "the body is still compressed", "decompress it first", gzip.decompress(body)
    if not body:
        return
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    if isinstance(value, str):
        yield "json_in_json", "the body was encoded as a JSON string once more", as_received, value.encode()
        return
    said = "your framework parsed the body and wrote its JSON anew: other white space or escapes, the same meaning"
    for other in _encodings(value):
        yield "reencoded", said, as_received, other


def _encodings(value: Any) -> Iterator[bytes]:
    """Yield the usual ways to write the same JSON."""
    for sort in (False, True):
        for ascii_ in (False, True):
            for form in ((",", ":"), (", ", ": ")):
                text = json.dumps(value, ensure_ascii=ascii_, separators=form, sort_keys=sort)
                yield text.encode("utf-8", "surrogatepass")
                yield text.replace("/", "\\/").encode("utf-8", "surrogatepass")
            for indent in (2, 4, "\t"):
                text = json.dumps(value, ensure_ascii=ascii_, indent=indent, sort_keys=sort)
                yield text.encode("utf-8", "surrogatepass")


def _nothing_fits(header: str, secrets: Sequence[str]) -> Finding:
    tried = "the secret" if len(secrets) == 1 else f"none of the {len(secrets)} secrets"
    verb = "does not fit" if len(secrets) == 1 else "fits"
    other = (
        "the app secret of the Meta app, as App settings show it"
        if header == HUB
        else "the signing secret of this endpoint; `endpoints rotate-secret` makes a new one"
    )
    return _fault(
        "no_match",
        f"{tried} {verb}, and no usual change of the body explains it: another secret, or other bytes",
        f"take {other}, and log the raw bytes where they are verified",
        header,
    )


def _fault(fault: str, said: str, remedy: str, header: str = "") -> Finding:
    return Finding(ok=False, fault=fault, said=said, remedy=remedy, header=header)
