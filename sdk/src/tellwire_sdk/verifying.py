"""The check that a request is signed: by Standard Webhooks 1.0 first, then by the signatures of the vendors."""

from __future__ import annotations

import binascii
import hmac
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from tellwire_sdk.errors import Reason, WebhookError
from tellwire_sdk.signing import hmac_sha256, secret_keys, text_key

Headers = Mapping[str, str] | Mapping[bytes, bytes] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]
"""Names in any case, str or bytes; a name may come more than once."""

STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")
VENDORS = ("x-wappcloud-signature", "x-hub-signature-256")
TIMESTAMP = re.compile(r"[0-9]{1,12}")
HEX_SIGNATURE = re.compile(r"(?:sha256=)?([0-9a-fA-F]{64})")


def verify(
    body: bytes | bytearray | memoryview,
    headers: Headers,
    secret: str | Sequence[str],
    *,
    now: float | None = None,
    tolerance: int = 300,
    require_timestamp: bool = False,
) -> None:
    """Check that `body` was signed with `secret`, and raise otherwise.

    The three headers of Standard Webhooks decide as soon as one of them is there. Only without any of them, and
    unless `require_timestamp`, do the vendors' count: `X-Wappcloud-Signature` with or without `sha256=`, and
    `X-Hub-Signature-256`. Those carry no time, so whoever recorded such a request can send it again at any time.

    Args:
        body: the raw bytes as received, before any parsing.
        headers: all headers of the request: a mapping or pairs, str or bytes, names in any case.
        secret: the secret as shown when the endpoint was created, or several while it is being rotated.
        now: Unix seconds, the present unless given.
        tolerance: seconds that `webhook-timestamp` may lie before or after `now`.

    Raises:
        WebhookError: with the `reason`; nothing else, whatever the body and the headers are.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise WebhookError(Reason.NOT_BYTES, f"give the raw bytes of the request's body, not {type(body).__name__}")
    secrets = _secrets(secret)
    found = _pick(headers, (*STANDARD, *VENDORS))
    if found.keys() & set(STANDARD):
        _verify_standard(bytes(body), found, secrets, now=_present() if now is None else now, tolerance=tolerance)
    elif found and not require_timestamp:
        _verify_vendors(bytes(body), found, secrets)
    else:
        raise WebhookError(
            Reason.MISSING_HEADERS,
            "no signature header: is this our request, and did every proxy in between pass webhook-id, "
            "webhook-timestamp and webhook-signature on?",
        )


def verify_token(headers: Headers, token: str) -> None:
    """Check that the request carries `Authorization: Bearer <token>`, and raise otherwise.

    A token proves that the sender knows it. It is no signature: it says nothing about the body and never expires.

    Raises:
        WebhookError: `missing_headers`, `no_match`, `bad_headers`, or `bad_secret` for an empty token.
    """
    if not isinstance(token, str) or not token:
        raise WebhookError(Reason.BAD_SECRET, "the token is empty: is the setting that holds it filled?")
    given = _pick(headers, ("authorization",)).get("authorization")
    if given is None:
        raise WebhookError(Reason.MISSING_HEADERS, "no Authorization header: set the endpoint's token")
    scheme, _, credentials = given.partition(" ")
    same = hmac.compare_digest(_octets(credentials.strip()), token.encode("utf-8", "surrogatepass"))
    if not (same and scheme.lower() == "bearer"):
        raise WebhookError(Reason.NO_MATCH, "the Authorization header does not carry this token")


def _verify_standard(
    body: bytes, found: Mapping[str, str], secrets: Sequence[str], *, now: float, tolerance: int
) -> None:
    missing = [name for name in STANDARD if not found.get(name)]
    if missing:
        raise WebhookError(Reason.MISSING_HEADERS, f"missing {', '.join(missing)}: a proxy may have dropped it")
    webhook_id, timestamp, signatures = (found[name] for name in STANDARD)
    if not TIMESTAMP.fullmatch(timestamp):
        raise WebhookError(Reason.BAD_TIMESTAMP, "webhook-timestamp is not a whole number of Unix seconds")
    age = now - int(timestamp)
    if not age <= tolerance:
        raise WebhookError(
            Reason.TOO_OLD, f"the request is {age:.0f} s old and {tolerance} s are allowed: check this machine's clock"
        )
    if age < -tolerance:
        raise WebhookError(
            Reason.TOO_NEW, f"the request is from {-age:.0f} s ahead, {tolerance} s are allowed: check the clock here"
        )
    given = [digest for entry in signatures.split() if (digest := _standard_digest(entry))]
    signed = b".".join((_octets(webhook_id), timestamp.encode(), body))
    _match(given, [hmac_sha256(key, signed) for key in secret_keys(secrets)], "webhook-signature")


def _verify_vendors(body: bytes, found: Mapping[str, str], secrets: Sequence[str]) -> None:
    given = [bytes.fromhex(match[1]) for value in found.values() if (match := HEX_SIGNATURE.fullmatch(value))]
    _match(given, [hmac_sha256(text_key(secret), body) for secret in secrets], " and ".join(found))


def _standard_digest(entry: str) -> bytes | None:
    version, _, encoded = entry.partition(",")
    try:
        digest = binascii.a2b_base64(encoded.encode("ascii"), strict_mode=True)
    except ValueError:  # not ASCII, or not base64
        return None
    return digest if version == "v1" and len(digest) == 32 else None


def _match(given: Sequence[bytes], expected: Sequence[bytes], header: str) -> None:
    if not given:
        raise WebhookError(Reason.BAD_SIGNATURE, f"{header} holds no signature that could be read")
    # Every pair is compared, so that the time taken does not tell which one was close.
    if not sum(hmac.compare_digest(one, other) for one in given for other in expected):
        raise WebhookError(
            Reason.NO_MATCH,
            "the signature is of another secret or another body: check the secret, and that the bytes are as received",
        )


def _secrets(secret: object) -> tuple[str, ...]:
    if isinstance(secret, str):
        return (secret,)
    if isinstance(secret, bytes | bytearray) or not isinstance(secret, Iterable):
        raise WebhookError(Reason.BAD_SECRET, f"a secret is text, or several of them, not {type(secret).__name__}")
    secrets = tuple(secret)
    if not secrets:
        raise WebhookError(Reason.BAD_SECRET, "no secret was given")
    return secrets


def _pick(headers: Headers, names: Collection[str]) -> dict[str, str]:
    """Return the values of the named headers that are there, by lower-case name; several `webhook-signature` are
    joined."""
    found: dict[str, str] = {}
    for name, value in _pairs(headers):
        key = _text(name).lower()
        if key not in names:
            continue
        if not isinstance(value, str | bytes):
            raise WebhookError(Reason.BAD_HEADERS, f"the value of {key} is text or bytes, not {type(value).__name__}")
        text = _text(value).strip(" \t")
        if key in found and key == "webhook-signature":
            text = f"{found[key]} {text}"
        elif found.get(key, text) != text:
            raise WebhookError(Reason.BAD_HEADERS, f"{key} came twice with different values")
        found[key] = text
    return found


def _pairs(headers: object) -> Iterator[tuple[object, object]]:
    items = getattr(headers, "items", None)
    pairs = items() if callable(items) else headers
    if not isinstance(pairs, Iterable):
        raise WebhookError(Reason.BAD_HEADERS, f"headers are a mapping or pairs, not {type(headers).__name__}")
    for pair in pairs:
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise WebhookError(Reason.BAD_HEADERS, "headers are a mapping or pairs of a name and a value")
        yield pair[0], pair[1]


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case bytes():
            return value.decode("latin-1")
        case _:
            return ""


def _octets(text: str) -> bytes:
    """Return the bytes that a header had on the wire, if a server decoded it as Latin-1 as HTTP servers do."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _present() -> float:
    return datetime.now(UTC).timestamp()
