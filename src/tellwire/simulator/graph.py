"""Answer the Graph API's paths except media and sends: numbers, accounts, templates, tokens. No I/O.

Source: Meta, "Cloud API" and "WhatsApp Business Management API" references.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from tellwire.model.units import MICROS
from tellwire.simulator import threads
from tellwire.simulator.apps import APP_ID
from tellwire.simulator.pages import page
from tellwire.simulator.payloads import Business
from tellwire.simulator.refusals import Refusal, not_there
from tellwire.simulator.state import State
from tellwire.simulator.templates import SimulatedTemplate

_OK = {"success": True}
_LIFE_SECONDS = 5_184_000


class Call(Struct, frozen=True, kw_only=True):
    """A request: `path` has no version and no slashes at its ends; `body` is {} unless it was a JSON object or a form.

    `base`: the URL of the simulator as the caller wrote it, so that links lead to a host that the caller knows.
    """

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any]
    base: str


def answer(state: State, call: Call) -> Any:
    """Return the JSON value that answers a call with a valid token.

    Raises:
        Refusal: as Meta refuses it.
    """
    object_id, _, edge = call.path.partition("/")
    if object_id in state.businesses:
        known, scope = NUMBER_EDGES, "number"
    elif object_id in state.templates:
        state.manage(object_id)
        known, scope = ACCOUNT_EDGES, "account"
    elif (template := _template(state, object_id)) is not None:
        return _of_template(state, *template, call)
    else:
        known, scope = TOKEN_EDGES, "token"
        object_id, edge = "", call.path
    act = known.get((call.method, edge))
    if act is None:
        raise not_there(call.path if scope == "token" else f"{object_id}/{edge}", call.method.lower())
    return act(state, object_id, call)


def _fields(call: Call) -> list[str]:
    return [name.partition("{")[0] for name in call.query.get("fields", "").split(",") if name]


def _chosen(whole: dict[str, Any], call: Call) -> dict[str, Any]:
    wanted = {*_fields(call)}
    return {key: value for key, value in whole.items() if not wanted or key in wanted or key == "id"}


# --- a number ---------------------------------------------------------------------------------------------------------


def _number(business: Business) -> dict[str, Any]:
    return {
        "verified_name": "Simulated Shop",
        "code_verification_status": "VERIFIED",
        "display_phone_number": business.display_phone_number,
        "quality_rating": "GREEN",
        "platform_type": "CLOUD_API",
        "throughput": {"level": "STANDARD"},
        "status": "CONNECTED",
        "name_status": "APPROVED",
        "is_official_business_account": False,
        "whatsapp_business_manager_messaging_limit": "TIER_10K",
        "id": business.phone_number_id,
    }


def _get_number(state: State, number: str, call: Call) -> Any:
    return _shown_number(state, state.businesses[number], call)


def _shown_number(state: State, business: Business, call: Call) -> dict[str, Any]:
    number = business.phone_number_id
    whole = _number(business) | {
        name: value for name, value in state.app.numbers.get(number, {}).items() if name != "callback"
    }
    if "webhook_configuration" in _fields(call):
        whole["webhook_configuration"] = state.app.configuration(number, business.waba_id)
    return _chosen(whole, call)


def _register(state: State, number: str, call: Call) -> Any:
    pin = str(call.body.get("pin", ""))
    if len(pin) != 6 or not pin.isdigit():
        raise Refusal(100, "pin must be six digits")
    state.app.numbers.get(number, {}).pop("status", None)
    return _OK


def _done(*_: object) -> Any:
    return _OK


def _control(state: State, number: str, call: Call) -> Any:
    return threads.control(state, state.businesses[number], call.body)


NUMBER_EDGES: dict[tuple[str, str], Callable[[State, str, Call], Any]] = {
    ("GET", ""): _get_number,
    ("POST", ""): _done,
    ("POST", "register"): _register,
    ("POST", "deregister"): _done,
    ("POST", "thread_control"): _control,
}

# --- an account -------------------------------------------------------------------------------------------------------


def _account(_: State, waba_id: str, call: Call) -> Any:
    whole = {"id": waba_id, "name": "Simulated Shop", "timezone_id": "1", "message_template_namespace": "simulated"}
    return _chosen({**whole, "account_review_status": "APPROVED", "currency": "USD"}, call)


def _numbers(state: State, waba_id: str, call: Call) -> Any:
    rows = [each for each in state.businesses.values() if each.waba_id == waba_id]
    url = f"{call.base}/{waba_id}/phone_numbers"
    return page(rows, call.query, url, show=lambda each: _shown_number(state, each, call))


def _subscribe(state: State, waba_id: str, call: Call) -> Any:
    state.subscribed.add(waba_id)
    state.app.of_waba.pop(waba_id, None)
    if url := str(call.body.get("override_callback_uri", "")):
        state.app.of_waba[waba_id] = url
    return _OK


def _unsubscribe(state: State, waba_id: str, _: Call) -> Any:
    state.subscribed.discard(waba_id)
    return _OK


def _subscribed(state: State, waba_id: str, _: Call) -> Any:
    app = {"link": "https://example.com/", "name": "Simulated App", "id": APP_ID}
    row: dict[str, Any] = {"whatsapp_business_api_data": app}
    if url := state.app.of_waba.get(waba_id):
        row["override_callback_uri"] = url
    return {"data": [row] if waba_id in state.subscribed else []}


def _list_templates(state: State, waba_id: str, call: Call) -> Any:
    return state.templates[waba_id].page(call.query, f"{call.base}/{waba_id}/message_templates")


def _create_template(state: State, waba_id: str, call: Call) -> Any:
    made = state.templates[waba_id].add(call.body)
    state.approve_later(made, waba_id)
    return {"id": made.id, "status": made.status, "category": made.category}


def _delete_template(state: State, waba_id: str, call: Call) -> Any:
    name = call.query.get("name", "")
    if not state.templates[waba_id].remove(name, call.query.get("hsm_id", "")):
        raise Refusal(100, f"there is no template {name}", subcode=2593002)
    return _OK


ACCOUNT_EDGES: dict[tuple[str, str], Callable[[State, str, Call], Any]] = {
    ("GET", ""): _account,
    ("GET", "phone_numbers"): _numbers,
    ("POST", "subscribed_apps"): _subscribe,
    ("GET", "subscribed_apps"): _subscribed,
    ("DELETE", "subscribed_apps"): _unsubscribe,
    ("GET", "message_templates"): _list_templates,
    ("POST", "message_templates"): _create_template,
    ("DELETE", "message_templates"): _delete_template,
}

# --- a template by its id, and the token itself -----------------------------------------------------------------------


def _template(state: State, template_id: str) -> tuple[str, SimulatedTemplate] | None:
    for waba_id, templates in state.templates.items():
        if (found := templates.get(template_id)) is not None:
            return waba_id, found
    return None


def _of_template(state: State, waba_id: str, template: SimulatedTemplate, call: Call) -> Any:
    state.manage(waba_id)
    if call.method == "GET":
        return template.shown(_fields(call))
    if call.method != "POST":
        raise not_there(template.id, call.method.lower())
    template.change(call.body)
    state.approve_later(template, waba_id)
    return _OK


def _debug_token(state: State, _: str, call: Call) -> Any:
    token = call.query.get("input_token", "")
    validity = state.validity(token)
    if validity == "unknown":
        return {"data": {"is_valid": False, "error": {"code": 190, "message": "Invalid OAuth access token."}}}
    scopes = [*state.app.scopes]
    targets = [*state.templates]
    return {
        "data": {
            "app_id": APP_ID,
            "type": "SYSTEM_USER",
            "application": "Simulated App",
            "expires_at": state.app.expires_at if validity == "valid" else state.clock.now() // MICROS - 1,
            "is_valid": validity == "valid",
            "scopes": scopes,
            "granular_scopes": [{"scope": scope, "target_ids": targets} for scope in scopes],
            "user_id": "100200300400700",
        }
    }


def _subscriptions(state: State, _: str, __: Call) -> Any:
    return state.app.shown()


TOKEN_EDGES: dict[tuple[str, str], Callable[[State, str, Call], Any]] = {
    ("GET", "debug_token"): _debug_token,
    ("GET", f"{APP_ID}/subscriptions"): _subscriptions,
}
"""The calls that name no number, account or template."""


def new_token(state: State) -> dict[str, Any]:
    """Answer `/oauth/access_token`: any client and code get a new valid token."""
    token = f"EAA{state.random.getrandbits(160):040x}"
    state.add_token(token)
    return {"access_token": token, "token_type": "bearer", "expires_in": _LIFE_SECONDS}
