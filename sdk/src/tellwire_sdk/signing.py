"""Signatures over the exact bytes of a body, and the secrets that make them. Pure: no clock, no randomness."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from functools import lru_cache

from tellwire_sdk.errors import Reason, WebhookError

PREFIX = "whsec_"
KEY_BYTES = range(16, 513)
TEXT_CHARACTERS = range(16, 129)


def sign(body: bytes, *, webhook_id: str, timestamp: int, secrets: Sequence[str]) -> str:
    """Return the value of `webhook-signature`: `v1,<base64>` for each secret, separated by spaces (Standard Webhooks
    1.0).

    Args:
        body: the exact bytes that are sent.
        webhook_id: the value of `webhook-id`.
        timestamp: the value of `webhook-timestamp`, in Unix seconds.
        secrets: the live secrets, the newest first by convention.

    Raises:
        WebhookError: `bad_secret`, also when there is none.
    """
    keys = secret_keys(secrets)
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return " ".join("v1," + base64.b64encode(hmac_sha256(key, signed)).decode("ascii") for key in keys)


def hub_signature(body: bytes, secret: str) -> str:
    """Return the value of `X-Hub-Signature-256`: `sha256=` and the hex HMAC, keyed with the secret's text as it is
    shown."""
    return "sha256=" + hmac_sha256(text_key(secret), body).hex()


def wappcloud_signature(body: bytes, secret: str, *, prefixed: bool = True) -> str:
    """Return the value of `X-Wappcloud-Signature`: as `hub_signature`, without `sha256=` unless `prefixed`."""
    return ("sha256=" if prefixed else "") + hmac_sha256(text_key(secret), body).hex()


def secret_key(secret: str) -> bytes:
    """Return the key bytes of a secret under Standard Webhooks.

    `whsec_` and base64 of at least 16 bytes: those bytes. Anything else of 16 to 128 printable characters: its UTF-8.

    Raises:
        WebhookError: `bad_secret`.
    """
    text_key(secret)
    return _key_of(secret)


@lru_cache(maxsize=256)
def _key_of(secret: str) -> bytes:
    if not secret.startswith(PREFIX):
        if len(secret) not in TEXT_CHARACTERS or not secret.isprintable():
            raise WebhookError(Reason.BAD_SECRET, "a secret of your own has 16 to 128 printable characters")
        return secret.encode()
    try:
        key = binascii.a2b_base64(secret.removeprefix(PREFIX).encode(), strict_mode=True)
    except binascii.Error:
        raise WebhookError(
            Reason.BAD_SECRET, "what follows whsec_ is not base64: copy the whole secret, or drop the prefix"
        ) from None
    if len(key) not in KEY_BYTES:
        raise WebhookError(Reason.BAD_SECRET, "what follows whsec_ must be base64 of 16 to 512 bytes")
    return key


def secret_keys(secrets: Sequence[str]) -> tuple[bytes, ...]:
    """Return the `secret_key` of each secret; raises `bad_secret` when there is none."""
    if not secrets:
        raise WebhookError(Reason.BAD_SECRET, "no secret was given")
    return tuple(secret_key(secret) for secret in secrets)


def text_key(secret: str) -> bytes:
    """Return the key of the vendors' signatures: the UTF-8 bytes of a secret as it is shown, `whsec_` included."""
    if not isinstance(secret, str):
        raise WebhookError(Reason.BAD_SECRET, f"a secret is text, not {type(secret).__name__}")
    if not secret:
        raise WebhookError(Reason.BAD_SECRET, "the secret is empty: is the setting that holds it filled?")
    try:
        return secret.encode()
    except UnicodeEncodeError:
        raise WebhookError(Reason.BAD_SECRET, "the secret is not text that UTF-8 can hold") from None


def make_secret(random32: bytes) -> str:
    """Return a new secret from 32 random bytes: `whsec_` and their base64."""
    if len(random32) != 32:
        raise WebhookError(Reason.BAD_SECRET, "a new secret is made of exactly 32 random bytes")
    return PREFIX + base64.b64encode(random32).decode("ascii")


def whsec_form(secret: str) -> str:
    """Return the same secret as stock Standard Webhooks libraries want it: `whsec_` and the base64 of its key."""
    return PREFIX + base64.b64encode(secret_key(secret)).decode("ascii")


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return the 32 bytes of the HMAC-SHA256 of `message`."""
    return hmac.digest(key, message, "sha256")
