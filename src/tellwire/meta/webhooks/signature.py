"""PURE. What proves that a request is Meta's: the signature of a POST and the token of the GET handshake."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

_HEADER = re.compile(rb"sha256=([0-9A-Fa-f]{64})")


class Signatures(Generic[T]):
    """The HMACs of one body under several app secrets, computed while the body streams in.

    Each secret comes with what it stands for. Empty secrets sign nothing and never match.
    Source: Meta, "Webhooks: validating payloads"; `X-Hub-Signature-256: sha256=<hex HMAC-SHA256(secret, raw body)>`.
    """

    def __init__(self, secrets: Iterable[tuple[str, T]]) -> None:
        self._macs = [(hmac.new(_key(secret), digestmod=hashlib.sha256), whose) for secret, whose in secrets if secret]

    def update(self, chunk: bytes) -> None:
        """Take the next bytes of the raw body."""
        for mac, _ in self._macs:
            mac.update(chunk)

    def matches(self, header: bytes | None) -> list[T]:
        """Return what the matching secrets stand for, in order; [] for a missing, malformed or foreign signature.

        Every secret is compared in constant time, whichever matched before. Upper-case hex is accepted; a second
        signature in the same header is not.
        """
        found = _HEADER.fullmatch(header) if header else None
        if found is None:
            return []
        claimed = bytes.fromhex(found[1].decode("ascii"))
        return [whose for mac, whose in self._macs if hmac.compare_digest(mac.digest(), claimed)]


def matching(secrets: Iterable[tuple[str, T]], body: bytes, header: bytes | None) -> list[T]:
    """Return what those secrets stand for that signed this body: `Signatures` in one go."""
    signatures = Signatures(secrets)
    signatures.update(body)
    return signatures.matches(header)


def challenge(query: Mapping[str, str], verify_token: str) -> str | None:
    """Answer Meta's GET handshake.

    Args:
        query: the decoded query parameters (`hub.mode`, `hub.verify_token`, `hub.challenge`).
        verify_token: ours; without one nothing is ever confirmed.

    Returns:
        The text to answer with, or None: refuse with 403.
    """
    given = query.get("hub.verify_token", "")
    known = hmac.compare_digest(_key(given), _key(verify_token))
    if not (known and verify_token and query.get("hub.mode") == "subscribe"):
        return None
    return query.get("hub.challenge") or None


def _key(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogatepass")
