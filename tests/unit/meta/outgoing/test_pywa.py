"""What an independent client of Meta's makes passes the checks: every interactive kind and a template of every part."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.json import decode, encode
from pywa import types
from pywa.types import templates

from tellwire.meta.outgoing.types import check

pywa: Any = types
parts: Any = templates
URL = pywa.URLButton(title="Open", url="https://example.org")
CARDS = [
    pywa.ImageCarouselCard(body="One", image="https://example.org/1.png", buttons=URL),
    pywa.ImageCarouselCard(image="https://example.org/2.png", buttons=URL),
]
REPLY_CARDS = [
    pywa.VideoCarouselCard(video="https://example.org/v.mp4", buttons=[pywa.Button(title="Yes", callback_data=str(i))])
    for i in range(2)
]

ACTIONS: list[tuple[str, Any]] = [
    ("button", {"buttons": [pywa.Button(title="Yes", callback_data="y").to_dict()]}),
    (
        "list",
        pywa.SectionList(
            button_title="Choose",
            sections=[
                pywa.Section(title="S", rows=[pywa.SectionRow(title="R", callback_data="r", description="D")]),
                pywa.Section(title="T", rows=[pywa.SectionRow(title="R", callback_data="t")]),
            ],
        ).to_dict(),
    ),
    ("cta_url", URL.to_dict()),
    ("voice_call", pywa.VoiceCallButton(title="Call us", ttl_minutes=timedelta(days=3)).to_dict()),
    ("voice_call", pywa.VoiceCallButton().to_dict()),
    ("call_permission_request", pywa.CallPermissionRequestButton().to_dict()),
    ("request_contact_info", pywa.ContactInfoRequestButton().to_dict()),
    (
        "flow",
        pywa.FlowButton(
            title="Book",
            flow_id="1",
            flow_token="T",
            flow_message_version="3",
            flow_action_type=pywa.FlowActionType.NAVIGATE,
            flow_action_screen="FIRST",
            mode=pywa.FlowStatus.PUBLISHED,
        ).to_dict(),
    ),
    ("carousel", {"cards": [card.to_dict(i) for i, card in enumerate(CARDS)]}),
    ("carousel", {"cards": [card.to_dict(i) for i, card in enumerate(REPLY_CARDS)]}),
]


@pytest.mark.parametrize(("kind", "action"), ACTIONS)
def test_an_interactive_message(kind: str, action: Any) -> None:
    value = decode(encode({"type": kind, "body": {"text": "B"}, "footer": {"text": "F"}, "action": action}))
    if kind == "carousel":
        del value["footer"]
    assert check("interactive", value) == []


COMPONENTS: list[Any] = [
    parts.HeaderText.params("Ana"),
    parts.HeaderText.params(name="Ana"),
    parts.HeaderLocation.params(lat=1.5, lon=2.5, name="N", address="A"),
    parts.HeaderProduct.params(catalog_id="C", sku="S"),
    parts.BodyText.params("Ana", parts.Currency(fallback_value="1 €", code="EUR", amount_1000=1000)),
    parts.BodyText.params(name="Ana", order="1"),
    parts.CopyCodeButton.params(coupon_code="X", index=0),
    parts.FlowButton.params(index=0, flow_token="T", flow_action_data={"a": 1}),
    parts.QuickReplyButton.params(callback_data="p", index=0),
    parts.URLButton.params(url_variable="a", index=0),
    parts.CatalogButton.params(index=0, thumbnail_product_sku="S"),
    parts.MPMButton.params(
        product_sections=[pywa.ProductsSection(title="S", skus=["P"])], thumbnail_product_sku="S", index=0
    ),
    parts.OneTapOTPButton.params(otp="123456"),
    parts.AuthenticationBody.params(otp="123456"),
    parts.LimitedTimeOffer.params(expiration_time=datetime(2026, 1, 1, tzinfo=UTC)),
    parts.TapTargetConfiguration(title="T", url="https://example.org"),
    parts.Carousel.params(
        cards=[
            parts.CarouselCard.params(
                params=[parts.BodyText.params("a"), parts.URLButton.params(url_variable="a", index=0)], index=i
            )
            for i in range(2)
        ]
    ),
]


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda each: type(each).__qualname__)
def test_a_template(component: Any) -> None:
    template = {"name": "a", "language": {"code": "en_US"}, "components": [component.to_dict()]}
    assert check("template", decode(encode(template))) == []
