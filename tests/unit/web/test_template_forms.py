"""Templates as forms: a field for each variable, and a message that fits its template."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tellwire.meta.outgoing import types
from tellwire.meta.outgoing.template_parameters import complaints
from tellwire.web.console.template_forms import form_of, message_of

BODY = {"type": "BODY", "text": "Hi {{1}}, order {{2}} for {{1}} is ready."}


def template(*components: Any, style: str = "POSITIONAL") -> dict[str, Any]:
    return {
        "id": "an id",
        "name": "order_ready",
        "language": "en_US",
        "category": "UTILITY",
        "parameter_format": style,
        "components": list(components),
    }


def buttons(*given: dict[str, Any]) -> dict[str, Any]:
    return {"type": "BUTTONS", "buttons": list(given)}


FITTING = {
    "text": (template({"type": "BODY", "text": "Ready."}), []),
    "body": (template(BODY), ["body.1", "body.2"]),
    "lower case": (template({"type": "body", "text": "Hi {{ 1 }}"}), ["body.1"]),
    "named": (
        template({"type": "BODY", "text": "Hi {{name}}, {{order_id}} is ready."}, style="NAMED"),
        ["body.name", "body.order_id"],
    ),
    "names of an unknown style": (template({"type": "BODY", "text": "Hi {{name}}"}, style=""), ["body.name"]),
    "heading": (
        template({"type": "HEADER", "format": "TEXT", "text": "Order {{1}}"}, BODY),
        ["header.1", "body.1", "body.2"],
    ),
    "picture": (template({"type": "HEADER", "format": "IMAGE"}, BODY), ["header.image", "body.1", "body.2"]),
    "document": (template({"type": "HEADER", "format": "DOCUMENT"}), ["header.document"]),
    "buttons": (
        template(
            BODY,
            buttons(
                {"type": "QUICK_REPLY", "text": "Yes"},
                {"type": "URL", "text": "Shop", "url": "https://shop.example/"},
                {"type": "URL", "text": "Track", "url": "https://shop.example/{{1}}"},
                {"type": "COPY_CODE", "example": "SAVE"},
                {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+1"},
            ),
        ),
        ["body.1", "body.2", "button.2", "button.3"],
    ),
    "code": (template(BODY, buttons({"type": "OTP", "text": "Copy"})), ["body.1", "body.2", "button.0"]),
}


@pytest.mark.parametrize("name", FITTING)
def test_a_form_that_is_filled_in_makes_a_message_that_fits(name: str) -> None:
    given, fields = FITTING[name]
    form = form_of(given)
    assert form.fits
    assert [each.name for each in form.fields] == fields
    typed = {each.name: "https://files.example/a.png" if each.kind == "link" else "x" for each in form.fields}
    message = message_of(form, typed)
    assert types.check("template", message) == []
    assert complaints(json.dumps(given["components"]).encode(), given["parameter_format"], message) == []


@pytest.mark.parametrize(
    "component",
    [
        {"type": "CAROUSEL", "cards": []},
        {"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"has_expiration": True}},
        {"type": "HEADER", "format": "LOCATION"},
        buttons({"type": "MPM", "text": "See"}),
        buttons({"type": "ORDER_DETAILS", "text": "Pay"}),
    ],
)
def test_what_a_form_cannot_hold_is_not_offered(component: Any) -> None:
    assert not form_of(template(BODY, component)).fits


@pytest.mark.parametrize("components", [None, "x", [None], [{"type": 5}], [{"type": "BODY", "text": 5}], [buttons({})]])
def test_what_is_no_template_makes_no_error(components: Any) -> None:
    form_of(template() | {"components": components})


def test_the_preview_is_the_text_with_a_place_for_each_variable() -> None:
    form = form_of(template(BODY))
    assert form.text == BODY["text"]
    assert [each.field for each in form.body if each.field] == ["body.1", "body.2", "body.1"]


def test_examples_stand_beside_their_variables() -> None:
    positional = form_of(template(BODY | {"example": {"body_text": [["Ana", "17"]]}}))
    assert [each.example for each in positional.fields] == ["Ana", "17"]
    named = {"type": "BODY", "text": "Hi {{name}}", "example": {"body_text_named_params": [{"example": "Ana"}]}}
    assert [each.example for each in form_of(template(named, style="NAMED")).fields] == ["Ana"]
