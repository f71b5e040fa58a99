"""Times, statuses and phone numbers as wakit says them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tellwire.model.messaging import Contact
from tellwire.model.tenancy import Account
from tellwire.web.wakit.words import latest_status, phone_of_account, phone_of_contact, time_words

SECOND = 1_000_000


def micros(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("at", "now", "words"),
    [
        ("2026-05-06T00:00:00+00:00", "2026-05-06T23:59:59+00:00", "00:00"),
        ("2026-05-06T23:59:59.999999+00:00", "2026-05-07T00:00:00+00:00", "yesterday"),
        ("2026-05-05T00:00:00+00:00", "2026-05-06T23:59:59+00:00", "yesterday"),
        ("2026-05-04T23:59:59+00:00", "2026-05-06T00:00:00+00:00", "Monday"),
        ("2026-04-30T00:00:00+00:00", "2026-05-06T23:59:59+00:00", "Thursday"),
        ("2026-04-29T23:59:59+00:00", "2026-05-06T00:00:00+00:00", "2026-04-29"),
        ("0001-01-01T00:00:00+00:00", "2026-05-06T00:00:00+00:00", "0001-01-01"),
        ("2026-05-07T00:00:00+00:00", "2026-05-06T23:59:59+00:00", "2026-05-07"),  # a clock ahead of ours
    ],
)
def test_times(at: str, now: str, words: str) -> None:
    assert time_words(micros(at), micros(now)) == words


@pytest.mark.parametrize(
    ("status", "latest"),
    [
        ({}, "pending"),
        ({"pending": 9 * SECOND}, "pending"),
        ({"pending": 9 * SECOND, "sent": 8 * SECOND}, "sent"),
        ({"sent": 8 * SECOND, "read": 10 * SECOND, "delivered": 9 * SECOND}, "read"),
        ({"read": 8 * SECOND, "delivered": 8 * SECOND, "sent": 8 * SECOND}, "read"),
        ({"sent": 8 * SECOND, "failed": 8 * SECOND + 1}, "failed"),
        ({"read": 8 * SECOND, "invented": 9 * SECOND}, "invented"),
    ],
)
def test_the_latest_status(status: dict[str, int], latest: str) -> None:
    assert latest_status(status) == latest


def test_phone_numbers_are_digits() -> None:
    account = Account(id="", organization_id="", phone_number_id="375")
    assert phone_of_account(account) == "375"
    assert (
        phone_of_account(Account(id="", organization_id="", phone_number_id="3", display_phone_number="+1 (5)")) == "15"
    )
    assert phone_of_contact(Contact(id="", organization_id="", phone="+49 170 1")) == "491701"
    assert phone_of_contact(Contact(id="", organization_id="", user_id="US.1")) == "US.1"
