"""PURE but for the state that is passed in. Answer the control API under `/_simulator/`: change, read and trigger
things."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tellwire.errors import Invalid, NotFound
from tellwire.meta.codes import CODES
from tellwire.simulator import acts, threads
from tellwire.simulator.payloads import Business
from tellwire.simulator.state import State
from tellwire.simulator.templates import STATUSES

Fields = Mapping[str, Any]


def answer(state: State, method: str, path: str, query: Mapping[str, str], body: Fields) -> Any:
    """Return the answer of the control API, a JSON value.

    Raises:
        Problem: the call or one of its fields is wrong.
        Refusal: a named number or template does not exist.
    """
    act = CONTROLS.get((method, path))
    if act is None:
        known = ", ".join(f"{method} /_simulator/{path}" for method, path in CONTROLS)
        raise NotFound(f"there is: {known}")
    return act(state, {**query, **body})


def counts(state: State) -> dict[str, Any]:
    """Return all counts as JSON values; see `SimulatorCounts`, `Window`, `PairBuckets` and `Posted`."""
    pairs = list(state.pairs.values())
    return {
        **msgspec.structs.asdict(state.journal.counts),
        "rate": {
            number: {"broken": window.broken, "peak": window.peak, "peak_let_in": window.peak_let_in}
            for number, window in state.rates.items()
        },
        "pairs": {
            "broken": sum(sum(each.broken.values()) for each in pairs),
            "recipients": sum(len(each.sends) for each in pairs),
            "recipients_broken": sum(len(each.broken) for each in pairs),
            "most_to_one": max((max(each.sends.values()) for each in pairs), default=0),
        },
        "management": {
            waba_id: {"broken": window.broken, "peak": window.peak} for waba_id, window in state.management.items()
        },
        "webhooks": msgspec.structs.asdict(state.webhooks.posted),
    }


def _knobs(state: State, given: Fields) -> Any:
    if given:
        state.turn(**given)
    return msgspec.structs.asdict(state.knobs)


def _counts(state: State, _: Fields) -> Any:
    return counts(state)


def _accepted(state: State, given: Fields) -> Any:
    after = _whole(given, "after", 0)
    limit = _whole(given, "limit", 1000)
    rows = [each for each in state.journal.accepted if each.number > after][:limit]
    return {"data": [msgspec.structs.asdict(each) for each in rows]}


def _receipts(state: State, _: Fields) -> Any:
    return {"data": [*state.journal.receipts]}


def _write(state: State, given: Fields) -> Any:
    update = acts.write(state, given)
    return {"id": update.wamid, "message": update.item}


def _fail(state: State, given: Fields) -> Any:
    code = _whole(given, "code", -1)
    if code not in CODES:
        raise Invalid(f"code: there is no error {code}", ("/code", "unknown"))
    how = given.get("how", "usual")
    if how not in ("usual", "answer", "status"):
        raise Invalid("how: usual, answer or status", ("/how", "unknown"))
    state.fail_next(code, count=_whole(given, "count", 1), how=how)
    return {"ok": True}


def _token(state: State, given: Fields) -> Any:
    state.add_token(_text(given, "token"))
    return {"ok": True}


def _invalidate(state: State, given: Fields) -> Any:
    state.invalidate(_text(given, "token", ""))
    return {"ok": True}


def _number(state: State, given: Fields) -> Any:
    state.add_business(
        Business(
            waba_id=_text(given, "waba_id", state.business().waba_id),
            phone_number_id=_text(given, "phone_number_id"),
            display_phone_number=_text(given, "display_phone_number"),
        )
    )
    return {"ok": True}


def _template(state: State, given: Fields) -> Any:
    status = _text(given, "status").upper()
    if status not in STATUSES:
        raise Invalid(f"status: one of {', '.join(STATUSES)}", ("/status", "unknown"))
    waba_id, reason = _text(given, "waba_id", ""), _text(given, "reason", "") or None
    changed = state.set_template_status(_text(given, "name"), status, reason=reason, waba_id=waba_id)
    return {"data": [each.shown() for each in changed]}


def _notice(state: State, given: Fields) -> Any:
    value = given.get("value")
    if not isinstance(value, dict):
        raise Invalid("value: an object is required", ("/value", "an object is required"))
    state.notify(_text(given, "field"), value, waba_id=_text(given, "waba_id", ""))
    return {"ok": True}


def _quality(state: State, given: Fields) -> Any:
    business = state.business(_text(given, "phone_number_id", ""))
    value = {
        "display_phone_number": business.display_phone_number,
        "event": _text(given, "event", "FLAGGED"),
        "current_limit": _text(given, "current_limit", "TIER_10K"),
    }
    state.notify("phone_number_quality_update", value, waba_id=business.waba_id)
    return value


def _clear(state: State, _: Fields) -> Any:
    state.clear()
    return {"ok": True}


def _whole(given: Fields, key: str, default: int) -> int:
    value = given.get(key, default)
    if isinstance(value, bool) or not str(value).isdecimal():
        raise Invalid(f"{key}: a whole number is required", (f"/{key}", "a whole number is required"))
    return int(value)


def _text(given: Fields, key: str, default: str | None = None) -> str:
    value = given.get(key, default)
    if not isinstance(value, str):
        raise Invalid(f"{key}: a string is required", (f"/{key}", "a string is required"))
    return value


CONTROLS: dict[tuple[str, str], Callable[[State, Fields], Any]] = {
    ("GET", "knobs"): lambda state, _: _knobs(state, {}),
    ("POST", "knobs"): _knobs,
    ("GET", "counts"): _counts,
    ("GET", "accepted"): _accepted,
    ("GET", "receipts"): _receipts,
    ("POST", "customer"): _write,
    ("POST", "fail"): _fail,
    ("POST", "token"): _token,
    ("POST", "invalidate"): _invalidate,
    ("POST", "number"): _number,
    ("POST", "template"): _template,
    ("POST", "notice"): _notice,
    ("POST", "quality"): _quality,
    ("GET", "threads"): lambda state, _: {"data": state.threads.shown()},
    ("POST", "thread"): threads.act,
    ("POST", "clear"): _clear,
}
"""The control API's functions by method and path below `/_simulator/`."""
