"""PURE. Notices about business accounts, their numbers and their templates: the webhook fields that carry no message.

Source: Meta, the webhook reference of each field. A fact is kept under a name of ours, with its value verbatim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Raw, Struct
from msgspec.json import encode

from tellwire.meta import scalars
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.change import Change, context_of
from tellwire.meta.webhooks.items import AccountNotice, Item, Place, TemplateNotice

_FACT_LIMIT = 4096
"""Bytes of a fact that the account keeps; a larger one is in the event and in the POST."""

_Parts = Mapping[str, bytes]


class _Content(Struct, frozen=True):
    """What a field's value says about its account: `event`, the facts by our name, and whether it is a warning."""

    event: str
    facts: dict[str, bytes]
    warns: bool = False


def account_notice(change: Change) -> list[Item]:
    """Read a notice about an account or one of its numbers."""
    value, parts = _read(change)
    if isinstance(value, str):
        return [context_of(change, {}).not_understood(change.pointer, change.field, value)]
    content = ACCOUNT_FIELDS[change.field](value, parts)
    own = value.get("timestamp")
    facts = {name: bytes(text) for name, text in content.facts.items() if bytes(text) != b"null"}
    return [
        AccountNotice(
            place=_place(change, value),
            event=content.event,
            value=bytes(change.value),
            facts={name: text for name, text in facts.items() if len(text) <= _FACT_LIMIT},
            warns=content.warns,
            timestamp=scalars.seconds(own) or change.at,
        )
    ]


def template_notice(change: Change) -> list[Item]:
    """Read a notice about a template."""
    value, _ = _read(change)
    if isinstance(value, str):
        return [context_of(change, {}).not_understood(change.pointer, change.field, value)]
    meta_id = scalars.ident(value.get("message_template_id")) or ""
    name = scalars.ident(value.get("message_template_name"), scalars.NAME_LIMIT) or ""
    language = scalars.keyword(value.get("message_template_language"))
    if not meta_id and not (name and language):
        return [context_of(change, {}).not_understood(change.pointer, change.field, "it does not say which template")]
    return [
        TemplateNotice(
            place=_place(change, {}),
            event=scalars.keyword(value.get("event")) or _EVENTS.get(change.field, ""),
            value=bytes(change.value),
            meta_id=meta_id,
            name=name,
            language=language,
            changes=TEMPLATE_FIELDS[change.field](value),
            timestamp=change.at,
        )
    ]


def _read(change: Change) -> tuple[dict[str, Any] | str, _Parts]:
    """Return the value read in full and cut into its members, or why it can't be."""
    value, refused = verbatim.read(bytes(change.value))
    if refused or not isinstance(value, dict):
        return refused or "its value is not an object", {}
    return value, verbatim.members(change.value) or {}


def _place(change: Change, value: Mapping[str, Any]) -> Place:
    """Return the business account, and the number where one is named; some events name an account of their own."""
    info, settings = _object(value, "waba_info"), _object(value, "phone_number_settings")
    number = settings.get("phone_number_id")
    if value.get("entity_type") == "PHONE_NUMBER":
        number = value.get("entity_id")
    return Place(
        change.pointer,
        change.field,
        scalars.ident(info.get("waba_id")) or change.waba_id,
        scalars.ident(number) or "",
        scalars.ident(value.get("display_phone_number") or value.get("phone_number")) or "",
    )


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _picked(parts: _Parts, **wanted: str) -> dict[str, bytes]:
    """Return the wanted members by our names for them; a name may have several keys, separated by spaces: the first
    that is there counts."""
    found: dict[str, bytes] = {}
    for name, keys in wanted.items():
        for key in keys.split():
            if key in parts and bytes(parts[key]) != b"null":
                found[name] = bytes(parts[key])
                break
    return found


# --- accounts ---------------------------------------------------------------------------------------------------------

_UPDATES: dict[str, tuple[str, str, bool]] = {
    "DISABLED_UPDATE": ("ban", "ban_info event", True),
    "ACCOUNT_RESTRICTION": ("restrictions", "restriction_info event", True),
    "ACCOUNT_VIOLATION": ("violation", "violation_info event", True),
    "ACCOUNT_DELETED": ("state", "event", True),
    "ACCOUNT_OFFBOARDED": ("state", "event", True),
    "ACCOUNT_RECONNECTED": ("state", "event", False),
    "PARTNER_REMOVED": ("partner", "event", True),
    "PARTNER_ADDED": ("partner", "event", False),
    "PARTNER_APP_UNINSTALLED": ("partner_app", "event", True),
    "PARTNER_APP_INSTALLED": ("partner_app", "event", False),
    "VERIFIED_ACCOUNT": ("verification", "event", False),
    "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE": (
        "international_authentication",
        "auth_international_rate_eligibility",
        False,
    ),
    "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE": ("country", "country", False),
    "VOLUME_BASED_PRICING_TIER_UPDATE": ("volume_tier", "volume_tier_info", False),
}
"""Event of an account_update → the fact, the members that hold it, whether it is a warning."""


def _account_update(value: dict[str, Any], parts: _Parts) -> _Content:
    event = scalars.keyword(value.get("event"))
    fact, keys, warns = _UPDATES.get(event, ("update", "event", False))
    if event == "DISABLED_UPDATE" and "REINSTATE" in ban_states(_object(value, "ban_info")):
        warns = False
    return _Content(event, _picked(parts, **{fact: keys}), warns)


def ban_states(ban: object) -> tuple[str, ...]:
    """Return the states of a ban in a `ban_info`: Meta gives one, or a list of them."""
    given = ban.get("waba_ban_state") if isinstance(ban, dict) else None
    return tuple(each for each in (given if isinstance(given, list) else [given]) if isinstance(each, str))


def _account_review(value: dict[str, Any], parts: _Parts) -> _Content:
    decision = scalars.keyword(value.get("decision"))
    return _Content(decision, _picked(parts, review="decision"), decision in ("REJECTED", "DEFERRED"))


def _account_alerts(value: dict[str, Any], parts: _Parts) -> _Content:
    alert = _object(value, "alert_info") or value
    severe = alert.get("alert_severity") in ("WARNING", "CRITICAL") and alert.get("alert_status") != "NONE"
    told = {name: Raw(parts[name]) for name in parts if name.startswith("alert_") and name != "alert_info"}
    facts = _picked(parts, alert="alert_info") or {"alert": encode(told)}
    return _Content(scalars.keyword(alert.get("alert_type")), facts, severe)


_LIMITS = "max_daily_conversations_per_business max_daily_conversation_per_phone"


def _capability(_: dict[str, Any], parts: _Parts) -> _Content:
    numbers = "max_phone_numbers_per_business max_phone_numbers_per_waba"
    return _Content("", _picked(parts, messaging_limit=_LIMITS, phone_numbers_limit=numbers))


def _number_quality(value: dict[str, Any], parts: _Parts) -> _Content:
    event = scalars.keyword(value.get("event"))
    facts = _picked(parts, messaging_limit=f"{_LIMITS} current_limit")
    facts |= _picked(parts, **{"throughput" if event == "THROUGHPUT_UPGRADE" else "quality": "event"})
    return _Content(event, facts, event in ("FLAGGED", "DOWNGRADE"))


def _number_name(value: dict[str, Any], parts: _Parts) -> _Content:
    decision = scalars.keyword(value.get("decision"))
    facts = _picked(parts, name_review="decision")
    if decision == "APPROVED":
        facts |= _picked(parts, verified_name="requested_verified_name")
    return _Content(decision, facts, decision == "REJECTED")


def _security(value: dict[str, Any], parts: _Parts) -> _Content:
    return _Content(scalars.keyword(value.get("event")), _picked(parts, two_step_pin="event"), warns=True)


def _partner_solution(value: dict[str, Any], parts: _Parts) -> _Content:
    return _Content(scalars.keyword(value.get("event")), _picked(parts, partner_solution="solution_status event"))


def _payment(value: dict[str, Any], parts: _Parts) -> _Content:
    return _Content(scalars.keyword(value.get("status")), _picked(parts, payment_configuration="status"))


def _settings(value: dict[str, Any], parts: _Parts) -> _Content:
    kind = scalars.keyword(value.get("type"))
    return _Content(kind, _picked(parts, settings="phone_number_settings waba_settings"))


def _username(value: dict[str, Any], parts: _Parts) -> _Content:
    return _Content(scalars.keyword(value.get("status")), _picked(parts, username="username", username_status="status"))


ACCOUNT_FIELDS: dict[str, Callable[[dict[str, Any], _Parts], _Content]] = {
    "account_update": _account_update,
    "account_review_update": _account_review,
    "account_alerts": _account_alerts,
    "business_capability_update": _capability,
    "phone_number_quality_update": _number_quality,
    "phone_number_name_update": _number_name,
    "security": _security,
    "partner_solutions": _partner_solution,
    "payment_configuration_update": _payment,
    "account_settings_update": _settings,
    "business_username_update": _username,
    "business_username_updates": _username,
}

# --- templates --------------------------------------------------------------------------------------------------------

_STATUSES = {
    **{
        name: name
        for name in (
            "APPROVED",
            "ARCHIVED",
            "DELETED",
            "DISABLED",
            "IN_APPEAL",
            "LIMIT_EXCEEDED",
            "PAUSED",
            "PENDING",
            "PENDING_DELETION",
            "REJECTED",
        )
    },
    "REINSTATED": "APPROVED",
    "UNARCHIVED": "APPROVED",
}
"""Event of a status update → the status that the template then has; after any other event it keeps its status."""


def _status(value: dict[str, Any]) -> dict[str, str]:
    changes: dict[str, str] = {}
    if status := _STATUSES.get(scalars.keyword(value.get("event"))):
        changes["status"] = status
    if status or _reason(value):
        changes["reason"] = _reason(value)
    return changes | _keyword(value, "category", "message_template_category")


def _reason(value: dict[str, Any]) -> str:
    """Return Meta's reasons in its own words, the shortest first."""
    words = [value.get("reason")]
    words += [_object(value, "rejection_info").get("reason"), _object(value, "other_info").get("description")]
    if date := _object(value, "disable_info").get("disable_date"):
        words.append(f"to be disabled on {date}")
    return ": ".join(found for word in words if word != "NONE" and (found := scalars.name(word)))


def _keyword(value: dict[str, Any], column: str, key: str) -> dict[str, str]:
    found = scalars.keyword(value.get(key))
    return {column: found} if found else {}


TEMPLATE_FIELDS: dict[str, Callable[[dict[str, Any]], dict[str, str]]] = {
    "message_template_status_update": _status,
    "message_template_quality_update": lambda value: _keyword(value, "quality", "new_quality_score"),
    "message_template_components_update": lambda _: {},  # in a shape of its own: the next synchronisation brings it
    "template_category_update": lambda value: _keyword(value, "category", "new_category"),
}
_EVENTS = {
    "message_template_quality_update": "QUALITY",
    "message_template_components_update": "COMPONENTS",
    "template_category_update": "CATEGORY",
}
