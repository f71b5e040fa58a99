"""Every type of message and status that Meta sends reaches the webhook servers of three clients, and they read it.

The bodies are the repository's own golden ones and, where it is there, the collection of real payloads beside the
checkout. Each is posted to a real server, delivered in the format `meta`, and taken with the signature checked.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.acceptance.processes import ROOT, every, until
from tests.acceptance.test_main_job import ADMIN, CORPUS, distinct, nothing_waits, post, serving
from tests.acceptance.test_meta_format import SECRET, VERIFY, make_accounts, subscribe
from tests.clients.node_bots import CLIENTS, bot, needs_packages
from tests.clients.pywa_bot import pywa_bot

from tellwire.meta.webhooks.messages import TYPES

GOLDEN = ROOT / "tests" / "golden" / "meta" / "messages"
NOT_OF_META = {
    "status_without_name": "a status without its name",
    "status_of_a_call": "Meta sends it under the field `calls`",
    "timestamp_unusable": "a time that is none",
    "type_missing": "a message without a type",
}
"""Golden bodies, beside those named `odd_…`, that hold what Meta does not send: no client is written for them."""

PYWA_CANNOT = {
    ("edit_without_message", "edit"): "the edit has no message",
    ("edit_without_original", "edit"): "the edit does not say of what",
    ("image_too_large", "image"): "the message has an error in place of its file",
    ("interactive_address_reply", "interactive"): "pywa has no update for an address",
    ("location_without_type", None): "it has no type",
    ("revoke_without_original", "revoke"): "the revoke does not say of what",
    ("status_failed_sparse", "failed"): "its error has no `message`",
    ("status_group_user_id", "delivered"): "pywa looks for the number of who got it",
    ("statuses_before_messages", "sent"): "none of the contacts beside it is its recipient",
    ("system_changed_user_id", "system"): "pywa needs `from`",
    ("system_changed_user_id_alone", "system"): "pywa needs `from`",
    ("system_identity_changed", "system"): "pywa needs an `identity` beside `system`",
    ("text_several_contacts", "text"): "the contact of one of the messages is not beside it",
    ("unknown", "unknown"): "its error has no `message`",
    ("netflie-whatsapp-cloud-api/009", "unknown"): "its error has no `message`",
    ("netflie-whatsapp-cloud-api/013", "interactive"): "a reply to a list has no `context`",
    ("netflie-whatsapp-cloud-api/022", "failed"): "its time is the word TIMESTAMP",
    ("piusalfred-whatsapp/006", None): "it has no type",
    ("piusalfred-whatsapp/008", "interactive"): "a reply to a list has no `context`",
    ("piusalfred-whatsapp/014", "unsupported"): "its error has no `message`",
    ("restfb/014", "unknown"): "its error has no `message`",
    ("restfb/017", "interactive"): "a reply to a list has no `context`",
    ("restfb/022", "sent"): "its error has no `message`",
    ("restfb/024", "system"): "pywa needs `from`",
}
"""What pywa 4.5 makes no object of, and why; its handler of raw updates takes each all the same."""

PYWA_NAMES = {
    "hologram": "unknown",
    "voice": "unknown",
    "deleted": "UNKNOWN",
    "captured": "UNKNOWN",
    "translated": "UNKNOWN",
}
"""How pywa calls the types that it does not know: of the future, of old, and a status of a payment."""

PYWA_CLASSES = {"EditedMessage": "edit", "DeletedMessage": "revoke"}
"""Objects of pywa's whose type is not that of the message: one that was edited has the type of what it is now."""


class Seen(NamedTuple):
    """A message with its type, or a status with its name."""

    kind: str
    id: Any
    type: Any


def items(body: bytes) -> list[Seen]:
    """What a POST holds; what it holds twice alike is told once."""
    found: dict[str, Seen] = {}
    for entry in json.loads(body)["entry"]:
        for change in entry["changes"]:
            value = change["value"]
            for message in listed(value, "messages"):
                found[json.dumps(message)] = Seen("message", message.get("id"), message.get("type"))
            for status in listed(value, "statuses"):
                found[json.dumps(status)] = Seen("status", status.get("id"), status.get("status"))
    return list(found.values())


def listed(value: Any, name: str) -> list[dict[str, Any]]:
    found = value.get(name) if isinstance(value, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def as_meta_writes(body: bytes) -> bytes:
    """The same JSON in ASCII, as Meta sends it: `whatsapp-api-js` counts on it where it checks the signature."""
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], body.decode()).encode()


def with_user_ids(body: bytes) -> bytes:
    """The same POST as Meta sends it since it has user ids: pywa takes no contact without one, and no status without
    its contact."""
    told = json.loads(body)
    for entry in told["entry"]:
        for change in entry["changes"]:
            value = change["value"]
            for item in (*listed(value, "messages"), *listed(value, "statuses")):
                number = item.get("from") or item.get("recipient_id") or "5215500000009"
                value.setdefault("contacts", [{"wa_id": number, "profile": {"name": "Luz Vera"}}])
            for contact in listed(value, "contacts"):
                contact.setdefault("user_id", f"MX.{contact.get('wa_id', 1)}")
    return json.dumps(told).encode()


def golden() -> Iterator[tuple[str, bytes]]:
    for path in sorted(GOLDEN.glob("*.json")):
        body = path.read_bytes()
        if path.stem not in NOT_OF_META and not path.stem.startswith("odd_") and items(body):
            yield path.stem, body


def corpus() -> Iterator[tuple[str, bytes]]:
    for path in sorted(CORPUS.rglob("*.json")):
        yield f"{path.parent.name}/{path.stem}", path.read_bytes()


SOURCES = {"golden": golden, "corpus": corpus}
of_each = pytest.mark.parametrize(
    "source",
    [
        "golden",
        pytest.param(
            "corpus",
            marks=pytest.mark.skipif(not CORPUS.is_dir(), reason="no collection of real payloads beside the checkout"),
        ),
    ],
)


def bodies(source: str) -> dict[str, bytes]:
    """The POSTs by name, with message ids of their own."""
    found = enumerate(SOURCES[source]())
    return {name: as_meta_writes(distinct(body, n)) for n, (name, body) in found}


def deliver(folder: Path, target: str, posts: Iterable[bytes], **options: Any) -> int:
    """Post all to a new server that delivers to `target`; return how many deliveries that made, each taken at once."""
    posts = list(posts)
    with serving(folder) as (url, _):
        subscribe(url, target, history=True, **options)
        make_accounts(url, posts)
        assert {post(url, body)[0] for body in posts} == {200}
        until(lambda: nothing_waits(url), what="what came before its account was made")
        until(lambda: {each["state"] for each in every(url, "deliveries", key=ADMIN)} == {"delivered"}, what="all")
        made = every(url, "deliveries", key=ADMIN)
    assert {each["attempt_count"] for each in made} == {1}
    return len(made)


def test_the_golden_bodies_hold_every_type() -> None:
    held = {seen.type for _, body in golden() for seen in items(body)}
    told_in_histories = {"media_placeholder"}
    assert held >= {*TYPES, "sent", "delivered", "read", "played", "failed"} - told_in_histories


@needs_packages
@of_each
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_from_npm_reads_every_type(client: str, source: str, tmp_path: Path) -> None:
    posts = bodies(source)
    expected = Counter(seen for body in posts.values() for seen in items(body))
    # What has no `metadata` is nothing for whatsapp-api-js, whose users subscribe to messages only.
    only: dict[str, Any] = {"fields": ["messages"]} if client == "whatsapp_api_js" else {}
    with bot(client, secret=SECRET, verify_token=VERIFY) as (running, url):
        made = deliver(tmp_path, url, posts.values(), **only)
        said = [line for line in running.lines if "kind" in line]
    assert [line for line in said if line["kind"] == "refused"] == []
    heard = [line for line in said if line["kind"] in ("message", "status")]
    assert (
        Counter(Seen(each["kind"], each.get("id"), each.get("type", each.get("status"))) for each in heard) == expected
    )
    if client == "kapso":
        fields = [field for line in said if line["kind"] == "fields" for field in line["fields"]]
        assert len(fields) == made
        assert set(fields) == {camel(field) for body in posts.values() for field in fields_of(body)}


@of_each
@pytest.mark.filterwarnings("ignore::pywa.errors.PywaUnknownEnumMemberWarning")
def test_pywa_reads_every_type(source: str, tmp_path: Path) -> None:
    posts = {name: with_user_ids(body) for name, body in bodies(source).items()}
    with pywa_bot(secret=SECRET, verify_token=VERIFY) as (running, url):
        made = deliver(tmp_path, url, posts.values())
    assert len(running.bodies) == made
    taken = Counter(seen for body in running.bodies for seen in items(json.dumps(body).encode()))
    assert taken == Counter(seen for body in posts.values() for seen in items(body))
    understood = Counter(each for update in running.updates for each in made_of(update))
    assert understood - Counter(named(seen) for body in posts.values() for seen in items(body)) == Counter()
    unread = {
        (name, seen.type) for name, body in posts.items() for seen in items(body) if named(seen) not in understood
    }
    assert unread == {each for each in PYWA_CANNOT if each[0] in posts}


def named(seen: Seen) -> Seen:
    """The same with the type's name in pywa."""
    return seen._replace(type=PYWA_NAMES.get(seen.type, seen.type))


def made_of(update: Any) -> list[Seen]:
    """The message or the statuses that an update of pywa's is of; none for other fields."""
    if hasattr(update, "statuses"):
        return [Seen("status", each.id, str(each.status)) for each in update.statuses]
    if hasattr(update, "status"):
        return [Seen("status", update.id, str(update.status))]
    if hasattr(update, "type"):
        return [Seen("message", update.id, PYWA_CLASSES.get(type(update).__name__, str(update.type)))]
    return []


def fields_of(body: bytes) -> set[str]:
    return {change["field"] for entry in json.loads(body)["entry"] for change in entry["changes"]}


def camel(field: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), field)
