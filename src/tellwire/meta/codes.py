"""PURE. Meta's error codes: what each means for a message that was to go out.

Source: Meta, "Cloud API error codes". What may be tried again is our reading; Meta says so of a few codes only.
Meta is going to remove the titles, so only the code decides, neither a title nor the HTTP status.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

CodeKind = Literal["retry", "throttled", "pair", "fail", "pause"]
"""What follows for the message. `retry`: it is tried again with backoff; `throttled`: the same, and the whole account
waits; `pair`: the same, and only this recipient waits; `fail`: it fails with Meta's error; `pause`: the account is
paused and the message kept."""


class Code(Struct, frozen=True):
    """A code's title and class. `http`: the status it usually comes with. `tries`: attempts in all, 0: as long as the
    message may be tried.

    `late`: it comes (also) in a webhook, as a failed status, an item's or an account's error.
    """

    title: str
    http: int
    kind: CodeKind
    tries: int = 0
    late: bool = False


CODES: dict[int, Code] = {
    0: Code("AuthException", 401, "pause"),
    1: Code("API Unknown", 400, "retry", tries=2),
    2: Code("API Service", 503, "retry"),
    3: Code("API Method", 500, "fail"),
    4: Code("API Too Many Calls", 400, "throttled"),
    10: Code("Permission Denied", 403, "fail"),
    33: Code("Parameter value is not valid", 400, "fail"),
    100: Code("Invalid parameter", 400, "fail"),
    190: Code("Access token has expired", 401, "pause"),
    **{code: Code("API Permission", 403, "fail") for code in range(200, 300)},
    368: Code("Temporarily blocked for policies violations", 403, "fail"),
    80007: Code("Rate limit issues", 400, "throttled"),
    130429: Code("Rate limit hit", 400, "throttled"),
    130472: Code("User's number is part of an experiment", 400, "fail", late=True),
    130497: Code("Business account is restricted from messaging users in this country", 403, "fail", late=True),
    131000: Code("Something went wrong", 500, "retry", tries=5, late=True),
    131005: Code("Access denied", 403, "fail"),
    131008: Code("Required parameter is missing", 400, "fail"),
    131009: Code("Parameter value is not valid", 400, "fail"),
    131016: Code("Service unavailable", 503, "retry"),
    131021: Code("Recipient cannot be sender", 400, "fail"),
    131026: Code("Message undeliverable", 400, "fail", late=True),
    131030: Code("Recipient phone number not in allowed list", 400, "fail"),
    131031: Code("Account has been locked", 403, "fail"),
    131037: Code("Display name approval needed before message can be sent", 400, "fail"),
    131042: Code("Business eligibility payment issue", 400, "fail", late=True),
    131044: Code("Business eligibility payment issue", 400, "fail", late=True),
    131045: Code("Incorrect certificate", 500, "fail"),
    131047: Code("Re-engagement message", 400, "fail", late=True),
    131048: Code("Spam rate limit hit", 400, "pause"),
    131049: Code("This message was not delivered to maintain healthy ecosystem engagement", 400, "fail", late=True),
    131050: Code("User has stopped marketing messages from the business", 400, "fail", late=True),
    131051: Code("Unsupported message type", 400, "fail", late=True),
    131052: Code("Media download error", 400, "fail", late=True),
    131053: Code("Media upload error", 400, "fail", late=True),
    131055: Code("Method not allowed", 400, "fail"),
    131056: Code("Pair rate limit hit", 400, "pair"),
    131057: Code("Account in maintenance mode", 500, "retry"),
    131060: Code("This message is currently unavailable", 400, "fail", late=True),
    131062: Code("Business-scoped user id not allowed for this message", 400, "fail"),
    131063: Code("Marketing templates are turned off for this API", 400, "fail"),
    131064: Code("Messaging limited for misclassified templates", 400, "fail"),
    132000: Code("Template parameter count mismatch", 400, "fail"),
    132001: Code("Template does not exist", 404, "fail"),
    132005: Code("Template hydrated text too long", 400, "fail"),
    132007: Code("Template format character policy violated", 400, "fail"),
    132008: Code("Template parameter value is not valid", 400, "fail"),
    132012: Code("Template parameter format mismatch", 400, "fail"),
    132015: Code("Template is paused", 400, "fail", late=True),
    132016: Code("Template is disabled", 400, "fail", late=True),
    132068: Code("Flow is blocked", 400, "fail"),
    132069: Code("Flow is throttled", 400, "retry"),
    133004: Code("Server temporarily unavailable", 503, "retry"),
    133010: Code("Phone number not registered", 400, "fail"),
    133016: Code("Account registration attempts exceeded", 400, "fail"),
    134100: Code("Only marketing messages are supported", 400, "fail"),
    134101: Code("Template is being synchronised", 500, "retry"),
    134102: Code("Template is not available for this API", 400, "fail"),
    135000: Code("Generic user error", 400, "fail"),
    137000: Code("Identity key hash does not match", 400, "fail"),
    2494100: Code("Throughput is being upgraded", 500, "retry"),
}


MARKED_FAILED = 990001
NOT_MADE = 990002

OWN_CODES: dict[int, tuple[str, str]] = {
    MARKED_FAILED: ("Marked as failed", "nobody knew whether Meta took the message, and a person decided"),
    NOT_MADE: ("Not made", "the request to Meta could not be made; the server's log says why"),
}
"""Codes of ours for failures that Meta does not know of, each with its title and when it comes. They are 990000 to
990999, where Meta has none."""


def kind_of_code(code: int) -> CodeKind:
    """Return what follows from a code; after an unknown one the message fails."""
    known = CODES.get(code)
    return known.kind if known else "fail"
