"""PURE. What to do about a failed attempt, by what the receiver answered or what kept the answer away."""

from __future__ import annotations

_BY_STATUS = {
    400: "Your server did not understand the request. Its log says what it missed; the attempt shows what was sent.",
    401: "It refused our signature or token. Compare its secret with this endpoint's, and verify the raw bytes.",
    403: "It refused our signature or token, or something in front of it did. Compare its secret with this endpoint's.",
    404: "Nothing answers at this path. Correct the endpoint's URL, or deploy the route that takes the webhooks.",
    405: "This path takes no POST. Correct the endpoint's URL, or the method that the route takes.",
    408: "It was too slow to read the request. Answer first, and work afterwards.",
    410: "It says that it is gone for good. Correct the endpoint's URL, then resume the endpoint.",
    413: "It takes no body of this size. Raise the limit of your server, or of the proxy before it.",
    429: "It asks us to slow down. Raise its limit, or set the endpoint's rate_limit_per_second.",
}
_BY_WORDS = (
    (
        "certificate",
        "Renew or correct the certificate that your server shows; deliveries are tried again by themselves.",
    ),
    ("tls", "Correct the TLS setting of your server; deliveries are tried again by themselves."),
    ("refused", "Nothing listens at that address and port. Start your server, or correct the endpoint's URL."),
    ("resolve", "The name leads nowhere. Correct the endpoint's URL, or the name's DNS records."),
    ("not known", "The name leads nowhere. Correct the endpoint's URL, or the name's DNS records."),
    ("did not answer", "Answer first and work afterwards, or raise the endpoint's timeout_seconds."),
    ("timed out", "Answer first and work afterwards, or raise the endpoint's timeout_seconds."),
    ("timeout", "Answer first and work afterwards, or raise the endpoint's timeout_seconds."),
    ("not allowed", "This address may not be reached from here: TELLWIRE_DELIVERY_ALLOW_CIDRS lists what may."),
)
_OTHER = "Mend the receiver. Deliveries are tried again by themselves; one that was given up is sent again by a replay."


def remedy_of(status: int, cause: str) -> str:
    """Return what to do about an attempt that failed with this HTTP status (0: none) and cause."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return "It redirects, which webhooks do not follow. Set the endpoint's URL to where the redirect leads."
    if status >= 500:
        return "Your server failed. Its log says why; mend it, and deliveries are tried again by themselves."
    lowered = cause.lower()
    return next((words for part, words in _BY_WORDS if part in lowered), _OTHER)
