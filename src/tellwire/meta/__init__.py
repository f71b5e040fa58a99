"""PURE. Meta's formats: `webhooks` come in, `outgoing` goes out, `raw_json` handles JSON verbatim."""

from tellwire.meta.webhooks.envelope import parse
from tellwire.meta.webhooks.signature import Signatures, challenge, matching

__all__ = ["Signatures", "challenge", "matching", "parse"]
