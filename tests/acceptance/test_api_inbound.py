"""Whose a part of a POST is: what each organization sees of `/v1/inbound`, and pages of items."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace
from tests.served import MISSING, SETTINGS, Served, served
from tests.world import CUSTOMER, WABA, contact, envelope, text_message, value

from tellwire.model.tenancy import DEFAULT_ORGANIZATION

pytestmark = pytest.mark.usefixtures("each_store")

SECRETS = {"111": "the-secret-of-111", "222": "the-secret-of-222"}
BOB = "5215500000099"


class Tenant(Struct, frozen=True):
    """An organization with a number of its own."""

    id: str
    number: str
    key: str


class Two(Struct, frozen=True):
    """Two organizations with a number each, of one business account, and the default one with none."""

    app: Served
    first: Tenant
    second: Tenant

    def read(self, tenant: Tenant, inbound_id: str) -> Any:
        return self.app.get(f"/v1/inbound/{inbound_id}", key=tenant.key)

    def kept(self, body: Any, secret: str = "an-invented-app-secret") -> Any:
        """POST as Meta does; the operator's view of it."""
        assert self.app.meta(body, secret).status == 200
        ((name,),) = self.app.query("SELECT max(id) FROM inbound")
        owner = self.app.query(f"SELECT organization_id FROM inbound WHERE id = '{name}'")[0][0]
        there = {"tellwire-organization": owner} if owner else {}
        return self.app.get(f"/v1/inbound/{name}", headers=there)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with served(tmp_path, settings=replace(SETTINGS, auto_accounts=False)) as app:
        made = []
        for number, secret in SECRETS.items():
            theirs = app.organization()
            draft = {"phone_number_id": number, "waba_id": WABA, "app_secret": secret}
            app.post("/v1/accounts", draft, headers={"tellwire-organization": theirs})
            made.append(Tenant(theirs, number, app.key("admin", organization=theirs)))
        yield Two(app, *made)


def said(number: str, wamid: str, body: str, sender: str = CUSTOMER) -> dict[str, Any]:
    messages = [text_message(wamid, body, sender=sender)]
    return value(number=number, contacts=[contact(sender, f"who says {body}")], messages=messages)


def test_of_a_post_for_two_organizations_each_sees_its_part(two: Two) -> None:
    whole = two.kept(
        envelope(said("111", "wamid.1", "one"), said("222", "wamid.2", "two"), said("333", "w.3", "three"))
    )
    assert (whole["organization_id"], whole["outcome"]) == (None, "unrouted")
    assert whole["item_counts"] == {"applied": 2, "unrouted": 1}
    every = {"one", "two", "three"}
    for tenant, own in ((two.first, "one"), (two.second, "two")):
        seen = two.read(tenant, whole["id"])
        assert (seen["organization_id"], seen["outcome"], seen["item_counts"]) == (tenant.id, "applied", {"applied": 1})
        assert [item["phone_number_id"] for item in seen["items"]] == [tenant.number]
        text = json.dumps(seen)
        assert own in text
        assert not any(f"says {other}" in text for other in every - {own})
        assert not any(f'"{number}"' in text for number in {"111", "222", "333"} - {tenant.number})
        pointer = seen["items"][0]["pointer"]
        found = seen["body"]
        for step in pointer.split("/")[1:]:
            found = found[int(step) if isinstance(found, list) else step]
        assert found["text"]["body"] == own
        (listed,) = two.app.get("/v1/inbound", key=tenant.key)["data"]
        assert listed == {name: seen[name] for name in listed}
        (item,) = two.app.get(f"/v1/inbound/{whole['id']}/items", key=tenant.key)["data"]
        assert item == seen["items"][0]
        assert [len(two.app.get(f"/v1/inbound?outcome={each}", key=tenant.key)["data"]) for each in
                ("applied", "unrouted", "not_understood")] == [1, 0, 0]  # fmt: skip


def test_of_a_post_without_an_item_of_its_own_an_organization_sees_nothing(two: Two) -> None:
    whole = two.kept(envelope(said("111", "wamid.1", "one"), said("333", "wamid.3", "three")))
    for key in (two.second.key, two.app.key("admin")):
        assert two.app.get("/v1/inbound", key=key)["data"] == []
        for path in ("", "/items"):
            two.app.call("GET", f"/v1/inbound/{whole['id']}{path}", key=key).problem(404)
        two.app.call("POST", f"/v1/inbound/{whole['id']}/reapply", key=key).problem(404)


@pytest.mark.parametrize(
    "junk",
    [
        {"messages": [{"id": "wamid.x", "type": "junk-of-it", "from": []}]},
        {"messages": "junk-of-it"},
        {"statuses": [], "junk-of-it": 1},
    ],
    ids=["a message", "a list", "a change"],
)
def test_what_is_not_understood_is_whose_number_it_names(two: Two, junk: dict[str, Any]) -> None:
    whole = two.kept(envelope(value(number="111", **junk), said("222", "wamid.2", "two")))
    assert whole["item_counts"] == {"applied": 1, "not_understood": 1}
    assert "junk-of-it" in json.dumps(two.read(two.first, whole["id"]))
    assert "junk-of-it" not in json.dumps(two.read(two.second, whole["id"]))
    (own,) = two.app.get("/v1/inbound?outcome=not_understood", key=two.first.key)["data"]
    assert own["outcome"] == "not_understood"
    assert two.app.get("/v1/inbound?outcome=not_understood", key=two.second.key)["data"] == []


@pytest.mark.parametrize(
    "junk",
    [
        {"id": WABA, "changes": [{"field": "new_field", "value": {"of": "junk-of-it"}}]},
        {"id": WABA, "changes": [{"field": "messages", "value": "junk-of-it"}]},
        {"id": WABA, "changes": ["junk-of-it"]},
        {"id": WABA, "changes": "junk-of-it"},
        {"id": WABA, "junk-of-it": 1},
        "junk-of-it",
    ],
    ids=["field", "value", "change", "changes", "entry", "entries"],
)
def test_what_names_no_number_is_the_operators(two: Two, junk: Any) -> None:
    body = envelope(said("111", "wamid.1", "one"))
    body["entry"].append(junk)
    whole = two.kept(body)
    assert "junk-of-it" in json.dumps(whole["body"])
    seen = two.read(two.first, whole["id"])
    assert seen["outcome"] == "applied"
    assert "junk-of-it" not in json.dumps(seen)
    assert seen["body"]["entry"] == [body["entry"][0], None]


def test_what_a_secret_forges_for_another_is_nobodys(two: Two) -> None:
    forged = envelope(said("222", "wamid.forged", "forged"), value(number="222", messages=[{"id": "junk-of-it"}]))
    forged["entry"].append({"id": "111", "changes": []})  # names the number whose secret it is
    whole = two.kept(forged, SECRETS["111"])
    assert whole["organization_id"] is None
    for tenant in (two.first, two.second):
        two.app.call("GET", f"/v1/inbound/{whole['id']}", key=tenant.key).problem(404)
        assert two.app.get("/v1/inbound", key=tenant.key)["data"] == []


def test_a_notice_about_a_shared_business_account_is_everybodys_whose_account_it_changed(two: Two) -> None:
    notice = {"id": WABA, "changes": [{"field": "account_review_update", "value": {"decision": "APPROVED"}}]}
    body = envelope(said("111", "wamid.1", "one"))
    body["entry"].append(notice)
    whole = two.kept(body)
    assert two.read(two.first, whole["id"])["body"] == body
    assert two.read(two.second, whole["id"])["body"]["entry"] == [None, notice]


def test_only_its_own_items_are_applied_again_by_an_organization(two: Two) -> None:
    whole = two.kept(
        envelope(said("111", "wamid.1", "one"), said("222", "wamid.2", "two"), said("333", "w.3", "three"))
    )
    path = f"/v1/inbound/{whole['id']}/reapply"
    others = [item["pointer"] for item in whole["items"] if item["phone_number_id"] != "111"]
    for pointer in others:
        two.app.call("POST", path, {"pointers": [pointer]}, key=two.first.key).problem(422, "/pointers/0")
    again = two.app.post(path, status=202, key=two.first.key)
    assert again == {name: value for name, value in two.read(two.first, whole["id"]).items() if name in again}
    assert two.app.get(f"/v1/inbound/{whole['id']}")["items"] == whole["items"]


def test_what_waited_is_whose_number_it_turns_out_to_be(two: Two) -> None:
    whole = two.kept(envelope(said("111", "wamid.1", "one"), said("333", "wamid.3", "three")))
    there = {"tellwire-organization": two.second.id}
    two.app.post("/v1/accounts", {"phone_number_id": "333"}, headers=there)
    seen = two.read(two.second, whole["id"])
    assert [item["outcome"] for item in seen["items"]] == ["applied"]
    assert "says one" not in json.dumps(seen)
    assert "says three" not in json.dumps(two.read(two.first, whole["id"]))
    alone = two.kept(envelope(said("444", "wamid.4", "four")))
    assert alone["organization_id"] is None
    two.app.post("/v1/accounts", {"phone_number_id": "444"}, headers=there)
    assert two.read(two.second, alone["id"])["body"] == alone["body"]


def test_what_was_an_organizations_stays_its_when_its_number_is_anothers(two: Two) -> None:
    whole = two.kept(envelope(said("111", "wamid.1", "one")))
    assert two.app.call("DELETE", "/v1/accounts/111", key=two.first.key).status == 204
    two.app.post("/v1/accounts", {"phone_number_id": "111"}, headers={"tellwire-organization": two.second.id})
    assert two.read(two.first, whole["id"])["body"] == whole["body"]
    two.app.call("GET", f"/v1/inbound/{whole['id']}", key=two.second.key).problem(404)


def test_an_export_and_an_erasure_take_an_organizations_own_part(two: Two) -> None:
    whole = two.kept(
        envelope(
            said("111", "wamid.1", "one", BOB), said("222", "wamid.2", "two", BOB), said("333", "w.3", "three", BOB)
        )
    )
    exported = {}
    for tenant in (two.first, two.second):
        (person,) = two.app.get(f"/v1/contacts?alias={BOB}", key=tenant.key)["data"]
        exported[tenant.number] = two.app.get(f"/v1/contacts/{person['id']}/export", key=tenant.key)
    assert "says one" in json.dumps(exported["111"]["received"])
    assert "says two" not in json.dumps(exported["111"])
    assert "says three" not in json.dumps(exported)
    (person,) = two.app.get(f"/v1/contacts?alias={BOB}", key=two.first.key)["data"]
    assert two.app.call("DELETE", f"/v1/contacts/{person['id']}", key=two.first.key).json["state"] == "done"
    left = two.app.get(f"/v1/inbound/{whole['id']}")
    assert {item["phone_number_id"]: item["outcome"] for item in left["items"]} == {
        "111": "erased",
        "222": "applied",
        "333": "unrouted",
    }
    assert "says one" not in json.dumps(left)
    assert "says two" in json.dumps(two.read(two.second, whole["id"]))
    assert [each["outcome"] for each in two.app.get("/v1/inbound?outcome=erased", key=two.first.key)["data"]] == [
        "erased"
    ]


@pytest.mark.parametrize("operator", [True, False])
def test_what_is_nobodys_is_exported_and_erased_by_an_operator_only(two: Two, operator: bool) -> None:
    two.app.post("/v1/accounts", {"phone_number_id": "999"})
    two.kept(envelope(said("999", "wamid.9", "nine", BOB), said("333", "wamid.3", "three", BOB)))
    key = two.app.key("admin", operator=operator)
    (person,) = two.app.get(f"/v1/contacts?alias={BOB}", key=key)["data"]
    assert person["organization_id"] == DEFAULT_ORGANIZATION
    export = json.dumps(two.app.get(f"/v1/contacts/{person['id']}/export", key=key)["received"])
    assert ("says nine" in export, "says three" in export) == (True, operator)
    assert two.app.call("DELETE", f"/v1/contacts/{person['id']}", key=key).json["state"] == "done"
    ((body,),) = two.app.query("SELECT body FROM inbound")
    assert (b"says nine" in body, b"says three" in body) == (False, not operator)


def test_items_are_paged(two: Two) -> None:
    many = [text_message(f"wamid.{number}") for number in range(45)]
    whole = two.kept(envelope(value(number="111", messages=many), said("222", "wamid.2", "two")))
    assert whole["item_counts"] == {"applied": 46}
    for key, total in ((two.first.key, 45), (None, 46)):
        asked: dict[str, Any] = {"key": key} if key else {}
        (listed,) = two.app.get("/v1/inbound", **asked)["data"]
        assert len(listed["items"]) == 20
        assert listed["item_counts"] == {"applied": total}
        path, found, pages = f"/v1/inbound/{whole['id']}/items", [], []
        cursor = ""
        while True:
            page = two.app.get(f"{path}?limit=15{cursor}", **asked)
            found += [item["pointer"] for item in page["data"]]
            pages.append(len(page["data"]))
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert len(found) == len(set(found)) == total
        assert pages == [15, 15, 15, 1][: 4 if total == 46 else 3]
    another = two.kept(envelope(value(number="111", messages=[text_message(f"wamid.a{n}") for n in range(3)])))
    elsewhere = two.app.get(f"{path}?limit=15")["next_cursor"]
    there = {"tellwire-organization": two.first.id}
    for bad in (elsewhere, "nonsense", "aW5ib3VuZDox"):
        wrong = f"/v1/inbound/{another['id']}/items?cursor={bad}"
        two.app.call("GET", wrong, headers=there).problem(422, "/cursor")
    two.app.call("GET", f"/v1/inbound/{MISSING}/items").problem(404)


@pytest.mark.parametrize("outcome", ["", "applied", "duplicate"])
def test_shared_posts_and_own_ones_are_one_list(two: Two, outcome: str) -> None:
    for number in range(4):
        own = said("111", f"wamid.{number}", "one")
        for body in (envelope(own), envelope(own, said("222", f"wamid.o{number}", "two"), said("333", "w.3", "three"))):
            two.kept(body)
    wanted = f"&outcome={outcome}" if outcome else ""
    every = two.app.get(f"/v1/inbound?limit=200{wanted}", key=two.first.key)["data"]
    assert len(every) == (4 if outcome else 8)
    assert [post["outcome"] for post in every] == ([outcome] * 4 if outcome else ["duplicate", "applied"] * 4)
    found, cursor = [], ""
    for limit in (1, 2, 3, 1, 1, 1):
        page = two.app.get(f"/v1/inbound?limit={limit}{wanted}{cursor}", key=two.first.key)
        found += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == every
