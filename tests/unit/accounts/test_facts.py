"""What Meta told of an account: the latest stays, and problems are said in plain words."""

from __future__ import annotations

import json

import pytest

from tellwire.accounts import facts as account_facts

NOW = 1_790_000_000


def test_the_latest_of_each_name_stays_as_meta_gave_it() -> None:
    first = account_facts.merged("{}", {"quality": b'"GREEN"', "ban": b'{ "a": 1.50 }'}, NOW)
    later = account_facts.merged(first, {"quality": b'"RED"'}, NOW + 1)
    assert account_facts.merged(later, {"quality": b'"YELLOW"'}, NOW) == later
    assert '{ "a": 1.50 }' in later
    assert account_facts.known(later)["quality"].value == "RED"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, []),
        ({"ban": {"waba_ban_state": ["DISABLE"]}}, ["bans the business account (DISABLE)"]),
        ({"ban": {"waba_ban_state": "SCHEDULE_FOR_DISABLE"}}, ["(SCHEDULE_FOR_DISABLE)"]),
        ({"ban": {"waba_ban_state": ["REINSTATE"]}}, []),
        ({"ban": "DISABLED_UPDATE"}, ["(no details)"]),
        ({"restrictions": [{"restriction_type": "A"}, {"restriction_type": "B"}]}, ["(A, B)"]),
        ({"restrictions": [{"restriction_type": "A", "expiration": NOW - 1}]}, []),
        ({"restrictions": [{"restriction_type": "A", "expiration": str(NOW + 1)}, 5, {}]}, ["(A, 5, no details)"]),
        ({"restrictions": "ACCOUNT_RESTRICTION"}, ["(ACCOUNT_RESTRICTION)"]),
        ({"violation": {"violation_type": "SCAM"}}, ["violation of its policies (SCAM)"]),
        ({"state": "ACCOUNT_DELETED"}, ["deleted"]),
        ({"state": "ACCOUNT_RECONNECTED"}, []),
        ({"review": "REJECTED", "quality": "FLAGGED"}, ["review rejected", "quality as low"]),
        ({"review": ["REJECTED"], "quality": {}}, []),
        ({"name_review": "REJECTED"}, ["display name"]),
        ({"access_token": "refused"}, ["access token"]),
        ({"access_token": "accepted"}, []),
    ],
)
def test_problems_are_named(facts: dict[str, object], words: list[str]) -> None:
    given = {name: json.dumps(value).encode() for name, value in facts.items()}
    found = account_facts.problems(account_facts.known(account_facts.merged("{}", given, NOW)), NOW)
    assert len(found) == len(words)
    assert all(word in problem for word, problem in zip(words, found, strict=True))
