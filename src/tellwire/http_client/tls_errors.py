"""TLS failures in plain words."""

from __future__ import annotations

import ssl
from datetime import datetime
from typing import Final

# X509_V_ERR_*, see openssl-verification-options(1)
NOT_YET_VALID: Final = 9
EXPIRED: Final = 10
_VERIFY_CAUSES: Final = {
    NOT_YET_VALID: "certificate is not valid yet",
    EXPIRED: "certificate expired",
    18: "self-signed certificate",
    19: "self-signed certificate in the chain of certificates",
    20: "certificate is not signed by an authority that is known here",
    21: "certificate is not signed by an authority that is known here",
    23: "certificate was revoked",
    62: "certificate is not for this host",
    64: "certificate is not for this host",
}
_REASONS: Final = {
    "WRONG_VERSION_NUMBER": "this port does not speak TLS",
    "HTTP_REQUEST": "this port does not speak TLS",
    "UNSUPPORTED_PROTOCOL": "your server offers only TLS versions older than 1.2",
    "TLSV1_ALERT_PROTOCOL_VERSION": "your server offers only TLS versions older than 1.2",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "your server asks for a client certificate",
    "TLSV1_UNRECOGNIZED_NAME": "your server does not know this host name",
}


def tls_cause(error: ssl.SSLError) -> str:
    """Return what went wrong with TLS, as the person who runs the server would say it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        cause = _VERIFY_CAUSES.get(error.verify_code)
        return cause or f"certificate is not trusted: {error.verify_message}"
    reason = error.reason or "the connection ended"
    return _REASONS.get(reason) or f"the TLS handshake failed: {reason.replace('_', ' ').lower()}"


def date_cause(verify_code: int, certificate: bytes, now: datetime) -> str | None:
    """Return the words for an expired or not yet valid certificate with its date; None when its dates are not the
    reason.

    Args:
        verify_code: `EXPIRED` or `NOT_YET_VALID`.
        certificate: the server's own, DER.
        now: with a time zone.
    """
    from cryptography import x509  # noqa: PLC0415 - only what fails needs it

    try:
        own = x509.load_der_x509_certificate(certificate)
    except ValueError:
        return None
    if verify_code == EXPIRED and own.not_valid_after_utc < now:
        return f"certificate expired on {own.not_valid_after_utc:%Y-%m-%d}"
    if verify_code == NOT_YET_VALID and own.not_valid_before_utc > now:
        return f"certificate is not valid before {own.not_valid_before_utc:%Y-%m-%d}"
    return None
