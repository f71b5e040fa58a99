"""The OpenAPI document as a whole."""

from __future__ import annotations

from collections import Counter

from tellwire.formats.openapi import webhooks
from tellwire.web.asgi import openapi


def test_every_operation_has_an_id_of_its_own() -> None:
    document = openapi(webhooks())
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert len(operations) > 30
    assert [name for name, times in Counter(each["operationId"] for each in operations).items() if times > 1] == []
