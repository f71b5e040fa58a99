"""PURE. What Meta's Graph API answers about a token, a number, an app and its subscriptions, and what is wrong there.

The server and `tellwire meta connect` judge by the same rules. Commands import it: nothing heavy.

Source: Meta, "Graph API: debug_token", "Application subscriptions", "WhatsApp Business Account subscribed apps",
"Webhook overrides"; "Business phone number".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from tellwire.doctor.check import Finding
from tellwire.doctor.checks import fault, fine

OBJECT = "whatsapp_business_account"
SCOPES = ("whatsapp_business_messaging", "whatsapp_business_management")
FIELDS = (
    "messages",
    "message_template_status_update",
    "message_template_quality_update",
    "message_template_components_update",
    "template_category_update",
    "account_update",
    "account_alerts",
    "account_review_update",
    "business_capability_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
    "user_preferences",
)
"""The webhook fields that matter to every installation; others are for calls, groups, coexistence and partners."""
NUMBER_FIELDS = (
    "id,display_phone_number,verified_name,quality_rating,status,code_verification_status,throughput,"
    "webhook_configuration"
)
_SOON_SECONDS = 14 * 86_400.0
_CONNECTED = ("CONNECTED", "")  # older versions say nothing
_INVALID_TOKEN = 190


class Told(Struct, frozen=True):
    """What Graph answered: the status (0 for no answer), the JSON, and why there is none."""

    status: int
    document: Any = None
    cause: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx with an object."""
        return 200 <= self.status < 300 and isinstance(self.document, dict)

    @property
    def code(self) -> int:
        """Meta's error code, 0 for none."""
        return _whole(_of(self.document, "error", "code"))

    @property
    def words(self) -> str:
        """Why it is no success, in Meta's words where there are any."""
        said = _text(_of(self.document, "error", "message"))
        details = _text(_of(self.document, "error", "error_data", "details"))
        told = ": ".join(each for each in (said, details) if each)
        return told or self.cause or f"it answered {self.status}"

    def data(self) -> list[Any]:
        """Return the rows of a list."""
        rows = _of(self.document, "data")
        return rows if isinstance(rows, list) else []


def token(told: Told, now: float, *, about: str = "") -> list[Finding]:
    """Return what `debug_token` says of a token: valid, for how long, and with which permissions."""
    if told.status == 0:
        return [fault("graph", "unreached", f"{told.words}.")]
    if told.code == _INVALID_TOKEN:
        return [fault("token", "invalid", _sentence(told.words), about=about)]
    data = _of(told.document, "data")
    if not told.ok or not isinstance(data, dict):
        return [fault("token", "unchecked", _sentence(told.words), about=about)]
    if data.get("is_valid") is not True:
        said = _text(_of(data, "error", "message")) or "it is not valid"
        return [fault("token", "invalid", _sentence(f"Meta says: {said}"), about=about)]
    return [_lasting(data, now, about), _scoped(data, about)]


def _lasting(data: Mapping[str, Any], now: float, about: str) -> Finding:
    ends = [_whole(data.get(name)) for name in ("expires_at", "data_access_expires_at")]
    first = min((each for each in ends if each > 0), default=0)
    if first and first - now < _SOON_SECONDS:
        cause = f"It ends in {max(0, int((first - now) // 86_400))} days."
        return fault("token", "expires_soon", cause, about=about)
    return fine(
        "token", "It never expires." if not first else f"It ends in {int((first - now) // 86_400)} days.", about=about
    )


def _scoped(data: Mapping[str, Any], about: str) -> Finding:
    scopes = data.get("scopes")
    missing = [each for each in SCOPES if not isinstance(scopes, list) or each not in scopes]
    if missing:
        return fault("token_scopes", "missing", f"It lacks {' and '.join(missing)}.", about=about)
    return fine("token_scopes", about=about)


def app_of(told: Told) -> str:
    """Return the id of the app that a token is of, by `debug_token`; "" when it does not say."""
    return _text(_of(told.document, "data", "app_id"))


def accounts_of(told: Told) -> list[str]:
    """Return the ids of the WhatsApp business accounts that a token is for, by `debug_token`; none when it does not
    say."""
    rows = _of(told.document, "data", "granular_scopes")
    found: dict[str, None] = {}
    for row in rows if isinstance(rows, list) else ():
        targets = _of(row, "target_ids")
        if _of(row, "scope") == SCOPES[1] and isinstance(targets, list):
            found |= dict.fromkeys(each for each in map(_text, targets) if each)
    return list(found)


def number(told: Told, phone_number_id: str, *, about: str = "") -> list[Finding]:
    """Return what Meta shows of a number."""
    if told.status == 0:
        return [fault("graph", "unreached", f"{told.words}.")]
    if not told.ok or _text(told.document.get("id")) != phone_number_id:
        return [
            fault("number", "not_shown", _sentence(told.words if not told.ok else "another number came"), about=about)
        ]
    shown, found = told.document, []
    status, quality = _text(shown.get("status")), _text(shown.get("quality_rating"))
    if status not in _CONNECTED:
        found.append(fault("number", "not_connected", f"Its status is {status}.", about=about))
    if _text(shown.get("code_verification_status")) not in ("VERIFIED", ""):
        cause = f"It is {_text(shown.get('code_verification_status'))}."
        found.append(fault("number", "not_verified", cause, about=about))
    if quality in ("YELLOW", "RED"):
        found.append(fault("number", "poor_quality", f"Its quality is {quality}.", about=about))
    throughput = _text(_of(shown, "throughput", "level"))
    said = [f"quality {quality or 'unknown'}", *([f"throughput {throughput}"] if throughput else [])]
    return found or [fine("number", ", ".join(said), about=about)]


def overrides(told: Told) -> dict[str, str]:
    """Return the callback URLs that a number's `webhook_configuration` names, by level, those that go first first."""
    given = _of(told.document, "webhook_configuration")
    levels = ("phone_number", OBJECT, "application")
    return (
        {level: _text(given.get(level)) for level in levels if _text(given.get(level))}
        if isinstance(given, dict)
        else {}
    )


def subscribed(told: Told, app_id: str, *, about: str = "") -> Finding:
    """Return whether the app is among `subscribed_apps` of a WhatsApp business account."""
    if not told.ok:
        return fault("app_subscribed", "unchecked", _sentence(told.words), about=about)
    apps = [_text(_of(row, "whatsapp_business_api_data", "id")) for row in told.data()]
    if not apps or (app_id and app_id not in apps):
        others = f"Subscribed are the apps {', '.join(apps)}." if apps else "No app is subscribed."
        return fault("app_subscribed", "not", others, about=about)
    return fine("app_subscribed", about=about)


def app_secret_refused(told: Told) -> bool:
    """Return whether an answer to an app token (`APP_ID|APP_SECRET`) says that its secret is wrong."""
    return told.code in (1, 101, _INVALID_TOKEN) or told.status == 401


def subscriptions(told: Told, expected: str, given: Mapping[str, str], *, about: str = "") -> list[Finding]:
    """Return where Meta posts, and which fields.

    Args:
        told: `subscriptions` of the app.
        expected: our callback URL, "" if it is not known.
        given: `overrides` of the number.
    """
    row = next((each for each in told.data() if isinstance(each, dict) and each.get("object") == OBJECT), None)
    return [_callback(row, expected, given, about), *_fields(row, about)]


def callback_of(given: Mapping[str, str], expected: str, *, about: str = "") -> Finding:
    """Return where Meta posts by `overrides` alone, for when the app cannot be asked."""
    if expected and (overridden := _overridden(given, expected, about)):
        return overridden
    if not expected or "application" not in given:
        return fault("callback", "unchecked", "Meta was not asked for the app's callback URL.", about=about)
    return _by_app(given["application"], expected, about)


def _callback(row: Mapping[str, Any] | None, expected: str, given: Mapping[str, str], about: str) -> Finding:
    if not expected:
        return fault("callback", "unchecked", "Our own callback URL is not known.", about=about)
    if overridden := _overridden(given, expected, about):
        return overridden
    if row is None:
        return fault("callback", "none", f"The app has no subscription to {OBJECT}.", about=about)
    if row.get("active") is False:
        return fault("callback", "inactive", "Meta says that it is not active.", about=about)
    return _by_app(_text(row.get("callback_url")), expected, about)


def _overridden(given: Mapping[str, str], expected: str, about: str) -> Finding | None:
    for level in ("phone_number", OBJECT):
        if level in given and not _same(given[level], expected):
            whose = "number" if level == "phone_number" else "WhatsApp account"
            return fault("callback", "overridden", f"For the {whose} it is {given[level]}.", about=about)
    return None


def _by_app(url: str, expected: str, about: str) -> Finding:
    if not _same(url, expected):
        return fault("callback", "elsewhere", f"It is {url or 'empty'}, not {expected}.", about=about)
    return fine("callback", url, about=about)


def _fields(row: Mapping[str, Any] | None, about: str) -> Iterator[Finding]:
    if row is None:
        return
    missing = missing_fields(row)
    others = [each for each in missing if each != "messages"]
    if "messages" in missing:
        yield fault("webhook_fields", "messages", "The field messages is not subscribed.", about=about)
    if others:
        yield fault("webhook_fields", "others", f"Not subscribed: {', '.join(others)}.", about=about)
    if not missing:
        yield fine("webhook_fields", about=about)


def missing_fields(row: Mapping[str, Any]) -> Sequence[str]:
    """Return the fields that matter and are not subscribed; Meta lists them as objects with a name, or as names."""
    given = row.get("fields")
    names = (
        {_text(each.get("name")) if isinstance(each, dict) else each for each in given}
        if isinstance(given, list)
        else ()
    )
    return [each for each in FIELDS if each not in names]


def fields_of(told: Told) -> list[str]:
    """Return every webhook field that the app is subscribed to."""
    for row in told.data():
        if isinstance(row, dict) and row.get("object") == OBJECT and isinstance(row.get("fields"), list):
            return [_text(each.get("name")) if isinstance(each, dict) else str(each) for each in row["fields"]]
    return []


def _same(url: str, other: str) -> bool:
    return url.rstrip("/") == other.rstrip("/")


def _of(document: Any, *path: str) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _text(value: object) -> str:
    return value[:512] if isinstance(value, str) else str(value) if isinstance(value, int) and value is not True else ""


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _sentence(words: str) -> str:
    return f"{words.rstrip('.')}."
