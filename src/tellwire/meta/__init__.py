"""PURE. Meta in: what a POST to the webhook proves, and what it says."""

from tellwire.meta.webhooks.envelope import parse
from tellwire.meta.webhooks.signature import Signatures, challenge, matching

__all__ = ["Signatures", "challenge", "matching", "parse"]
