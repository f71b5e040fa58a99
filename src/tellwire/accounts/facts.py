"""PURE. Keep what Meta said of an account and its business account: the latest fact of each name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from tellwire.meta.scalars import seconds
from tellwire.meta.webhooks.account_updates import ban_states
from tellwire.model.units import Seconds

STANDBY = "standby"
"""The name of the fact that only copies of messages come (`accounts/standby.py`)."""
TOKEN = "access_token"  # noqa: S105 - the name of a fact
"""The name of the fact that says whether Meta accepts the token; its value is `accepted` or `refused`."""

_ONLY_COPIES = (
    "Meta sends only copies (standby) of what customers write: another app, a partner or Meta's Business Agent answers"
    " them, and nothing of them becomes a message here."
)

_encode = msgspec.json.Encoder().encode


class Fact(Struct, frozen=True):
    """A fact as it is kept: `value` is Meta's JSON, `at` Meta's time of it, else ours."""

    value: Raw
    at: Seconds


class Known(Struct, frozen=True):
    """A fact as the API shows it."""

    value: Any
    at: Seconds


_kept = msgspec.json.Decoder(dict[str, Fact])
_known = msgspec.json.Decoder(dict[str, Known])


def merged(about: str, facts: Mapping[str, bytes], at: Seconds) -> str:
    """Return `about` (JSON) with new facts; one that is older than the known one of its name changes nothing."""
    found = _kept.decode(about)
    for name, value in facts.items():
        if name not in found or at >= found[name].at:
            found[name] = Fact(Raw(value), at)
    return _encode(found).decode()


def kept(about: str) -> dict[str, Fact]:
    """Return every fact in `about` (JSON) by its name, its value as JSON."""
    return _kept.decode(about)


def without(about: str, name: str) -> str:
    """Return `about` (JSON) without a fact."""
    return _encode({each: fact for each, fact in _kept.decode(about).items() if each != name}).decode()


def known(about: str) -> dict[str, Known]:
    """Return every fact in `about` (JSON) by its name."""
    return _known.decode(about)


def problems(facts: Mapping[str, Known], now: Seconds) -> list[str]:
    """Return what is wrong with an account now, in sentences for people."""
    found: list[str] = []
    if "ban" in facts:
        states = [state for state in ban_states(facts["ban"].value) if state != "REINSTATE"]
        if states or not isinstance(facts["ban"].value, dict):
            found.append(f"Meta bans the business account ({', '.join(states) or 'no details'}).")
    if restrictions := _words(facts, "restrictions", "restriction_type", now):
        found.append(f"Meta restricts the business account ({restrictions}).")
    if violation := _words(facts, "violation", "violation_type"):
        found.append(f"Meta names a violation of its policies ({violation}).")
    if _is(facts, "state", "ACCOUNT_DELETED", "ACCOUNT_OFFBOARDED"):
        found.append("The business account was deleted or taken off the platform.")
    if _is(facts, "review", "REJECTED"):
        found.append("Meta's review rejected the business account.")
    if _is(facts, "quality", "FLAGGED"):
        found.append("Meta flags the number's quality as low.")
    if _is(facts, "name_review", "REJECTED"):
        found.append("Meta rejected the display name.")
    said = (
        (STANDBY in facts, _ONLY_COPIES),
        (token_refused(facts), "Meta refuses the access token."),
    )
    return [*found, *(words for true, words in said if true)]


def token_refused(facts: Mapping[str, Known]) -> bool:
    """Return whether Meta refused the account's token when it was last used."""
    return _is(facts, TOKEN, "refused")


def _is(facts: Mapping[str, Known], name: str, *values: str) -> bool:
    return name in facts and facts[name].value in values


def _words(facts: Mapping[str, Known], name: str, key: str, now: Seconds = 0) -> str:
    """Return the values of `key` in a fact that is an object or a list of objects, else the fact's own value, as text.

    With `now`, expired entries are left out.
    """
    if name not in facts:
        return ""
    given = facts[name].value
    each = given if isinstance(given, list) else [given]
    if now:
        each = [one for one in each if not isinstance(one, dict) or (seconds(one.get("expiration")) or now) >= now]
    words = [str(one.get(key, "no details")) if isinstance(one, dict) else str(one) for one in each]
    return ", ".join(words)
