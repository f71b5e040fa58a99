"""The catalogue has one of every kind of webhook, and each is understood."""

from __future__ import annotations

import json
from random import Random

import pytest

from tellwire.meta import parse
from tellwire.meta.webhooks.envelope import FIELDS
from tellwire.meta.webhooks.items import NotUnderstood
from tellwire.meta.webhooks.messages import TYPES
from tellwire.simulator.catalogue import TRIGGERS
from tellwire.simulator.customer import HAPPENINGS, Customer
from tellwire.simulator.traffic import BUSINESS, PEOPLE

AT = 1_790_000_000
KEPT = {
    "smb_app_state_sync",
    "calls.terminate",
    "flows",
    "automatic_events",
    "tracking_events",
    "group_lifecycle_update",
    "group_participants_update",
    "group_settings_update",
    "group_status_update",
}
"""What nothing is made of yet: it is kept as it came, and listed."""
STATUSES = {"sent", "delivered", "read", "played", "failed"}


def bodies(name: str) -> list[bytes]:
    return list(TRIGGERS[name].make(Customer(PEOPLE[0], BUSINESS, Random(1)), AT))


@pytest.mark.parametrize("name", TRIGGERS)
def test_what_is_made_is_understood_whole(name: str) -> None:
    made = bodies(name)
    assert made
    for body in made:
        items = parse(body)
        assert items
        missed = [item.reason for item in items if isinstance(item, NotUnderstood)]
        assert all(reason.endswith("(yet)") for reason in missed)
        assert bool(missed) is (name in KEPT), missed
    assert TRIGGERS[name].line


def test_every_kind_is_there() -> None:
    changes = [
        change
        for name in TRIGGERS
        for body in bodies(name)
        for entry in json.loads(body)["entry"]
        for change in entry["changes"]
    ]
    fields = {change["field"] for change in changes}
    assert set(FIELDS) - fields == set(), "add one to TRIGGERS of src/tellwire/simulator/catalogue.py"
    types = {item["type"] for change in changes for item in change["value"].get("messages", ())}
    assert set(TYPES) - types == set(), "add one to TRIGGERS of src/tellwire/simulator/catalogue.py"
    told = {item["status"] for change in changes for item in change["value"].get("statuses", ())}
    assert told == STATUSES


def test_names_are_those_of_types_statuses_and_fields() -> None:
    known = {*TYPES, *FIELDS, *HAPPENINGS, *KEPT, "status"}
    assert {name.partition(".")[0] for name in TRIGGERS} <= known
