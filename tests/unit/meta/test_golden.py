"""Every golden body holds the items that are written down beside it, and every row of the tables has one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.golden.meta.rewrite import ROOT, cases, expected, rendered

from tellwire.meta import parse
from tellwire.meta.webhooks.envelope import FIELDS
from tellwire.meta.webhooks.items import MessageItem
from tellwire.meta.webhooks.messages import TYPES


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_golden_body_holds_the_items_beside_it(case: Path) -> None:
    assert rendered(parse(case.read_bytes())) == expected(case).read_text(encoding="utf-8")


def test_no_items_without_a_body() -> None:
    assert sorted(ROOT.glob("*/items/*.json")) == sorted(expected(case) for case in cases())


def test_every_type_has_a_golden_body() -> None:
    seen = {item.type for case in cases() for item in parse(case.read_bytes()) if isinstance(item, MessageItem)}
    missing = sorted(set(TYPES) - seen)
    assert not missing, f"no golden body has a message of these types: {missing}. Add one in tests/golden/meta/messages"


def test_every_field_has_a_golden_body() -> None:
    assert set(FIELDS) <= {case.parent.name for case in cases()}


def test_a_golden_body_stands_under_the_field_that_it_carries() -> None:
    for case in cases():
        fields = {item.place.field for item in parse(case.read_bytes())}
        assert fields == {case.parent.name}, case
