"""A POST cut into units: every subtree byte by byte, nothing lost, nothing twice, whatever Meta sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.world import contact, envelope, text_message, value

from tellwire import meta
from tellwire.meta.raw_json.replace import Values, removed
from tellwire.meta.webhooks import parting, units
from tellwire.meta.webhooks.items import MOST_ITEMS

GOLDEN = sorted((Path(__file__).parents[2] / "golden" / "meta").glob("*/*.json"))
ARRAYS = ("messages", "statuses", "message_echoes")
HERE = "/entry/0/changes/0"
MIB = 1024 * 1024


def check(body: bytes) -> units.Units:
    """Everything that holds of the units of any POST."""
    cut, values = units.cut(body), Values(body.removeprefix(b"\xef\xbb\xbf"))
    told = [units.unit_of(cut, item.place.pointer) for item in meta.parse(body)]
    assert {unit.pointer for unit in told if unit is not None} <= set(cut)
    for pointer, unit in cut.items():
        own, change = Values(unit.envelope), units.change_of(pointer)
        assert unit.pointer == pointer
        assert len(own.pieces("/entry")) == len(own.pieces("/entry/0/changes")) == 1
        entry = change.partition("/changes")[0]
        assert {n: bytes(v) for n, v in own.pieces("").items() if n != "entry"} == {"object": values.at("/object")}
        for name in ("id", "time"):
            assert own.at(f"/entry/0/{name}") == values.at(f"{entry}/{name}")
        if pointer == change:
            assert own.at(HERE) == values.at(change)
            continue
        array = pointer.split("/")[-2]
        assert own.at(f"{HERE}/value/{array}/0") == values.at(pointer)
        assert len(own.pieces(f"{HERE}/value/{array}")) == 1
        held, shown = values.pieces(f"{change}/value"), own.pieces(f"{HERE}/value")
        assert [name for name in held if name in shown] == list(shown)
        for name, piece in held.items():
            if name not in (*ARRAYS, "contacts"):
                assert bytes(shown[name]) == bytes(piece)
        cards = [bytes(each) for each in values.pieces(f"{change}/value/contacts").values()]
        assert all(bytes(each) in cards for each in own.pieces(f"{HERE}/value/contacts").values())
    return cut


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_golden_body_is_cut_without_a_loss(path: Path) -> None:
    body = path.read_bytes()
    cut, values = check(body), Values(body)
    for i in values.pieces("/entry"):
        for j in values.pieces(f"/entry/{i}/changes"):
            change = f"/entry/{i}/changes/{j}"
            members = [f"{change}/value/{name}/{k}" for name in ARRAYS for k in values.pieces(f"{change}/value/{name}")]
            by_itself = [pointer for pointer in cut if units.change_of(pointer) == change]
            assert by_itself == [change] or sorted(by_itself) == sorted(members)


TEXTS = st.text(max_size=6)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
ANY = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
ADDRESS = st.sampled_from(["5215550000001", "525550000001", "MX.1", "5511987654321", "551187654321", "7", ""])
ITEMS = st.lists(
    ANY
    | st.fixed_dictionaries(
        {"id": TEXTS}, optional={"from": ADDRESS, "from_user_id": ADDRESS, "recipient_id": ADDRESS, "x": ANY}
    ),
    max_size=4,
)
CARDS = st.lists(st.fixed_dictionaries({}, optional={"wa_id": ADDRESS, "user_id": ADDRESS, "n": ANY}), max_size=4)
VALUES = ANY | st.fixed_dictionaries(
    {},
    optional={
        "messages": ITEMS | ANY,
        "statuses": ITEMS,
        "message_echoes": ITEMS,
        "contacts": CARDS | ANY,
        "metadata": ANY,
        "errors": ANY,
        "x": ANY,
    },
)
CHANGES = st.fixed_dictionaries(
    {"field": st.sampled_from(["messages", "smb_message_echoes", "history", "new"]) | ANY, "value": VALUES},
    optional={"x": ANY},
)
ENTRIES = st.fixed_dictionaries(
    {"changes": st.lists(CHANGES, max_size=3)}, optional={"id": st.just("1") | LEAVES, "time": st.integers()}
)
POSTS = st.fixed_dictionaries({"object": st.just(units.OBJECT), "entry": st.lists(ENTRIES, max_size=3)})
SHAPES = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])


@given(POSTS, SHAPES)
def test_whatever_an_envelope_holds_its_subtrees_stay(post: Any, shape: dict[str, Any]) -> None:
    body = json.dumps(post, **shape).encode(errors="surrogatepass")
    cut = check(body)
    assert len({unit.pointer for unit in cut.values()}) == len(cut)
    changes = {units.change_of(pointer) for pointer in cut}
    assert changes == {f"/entry/{i}/changes/{j}" for i, e in enumerate(post["entry"]) for j in range(len(e["changes"]))}


@given(ANY | st.fixed_dictionaries({"object": st.just(units.OBJECT), "entry": ANY | st.lists(ANY | ENTRIES)}))
def test_what_is_no_envelope_costs_nothing(post: Any) -> None:
    check(json.dumps(post).encode())


@given(POSTS, SHAPES, st.data())
def test_a_part_of_a_post_has_its_changes_byte_by_byte(post: Any, shape: dict[str, Any], data: st.DataObject) -> None:
    body = json.dumps(post, **shape).encode(errors="surrogatepass")
    every = list(dict.fromkeys(units.change_of(pointer) for pointer in units.cut(body)))
    kept = data.draw(st.lists(st.sampled_from(every), unique=True) if every else st.just([]))
    moved, part = units.renumbered(kept), units.only(body, kept)
    if len(kept) == len(every) and all(entry["changes"] for entry in post["entry"]):
        assert part == body
    before, after = Values(body), Values(part)
    assert {name: after.at(moved[name]) for name in kept} == {name: before.at(name) for name in kept}
    assert len({each.partition("/changes")[0] for each in kept}) == len(after.pieces("/entry"))
    assert sum(len(after.pieces(f"/entry/{i}/changes")) for i in after.pieces("/entry")) == len(kept)


@given(ANY, SHAPES, st.data())
def test_what_is_removed_leaves_the_rest(tree: Any, shape: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(tree, **shape).encode(errors="surrogatepass")
    steps = list(tree) if isinstance(tree, dict) else list(range(len(tree))) if isinstance(tree, list) else []
    gone = data.draw(st.lists(st.sampled_from(steps), unique=True) if steps else st.just([]))
    left = removed(text, ["/" + str(step).replace("~", "~0").replace("/", "~1") for step in gone])
    if isinstance(tree, dict):
        assert json.loads(left) == {name: each for name, each in tree.items() if name not in gone}
    elif isinstance(tree, list):
        assert json.loads(left) == [each for number, each in enumerate(tree) if number not in gone]
    else:
        assert left == text


def test_contacts_are_those_of_the_item() -> None:
    cards = [contact("5215550000001", "A"), contact(None, "B", "MX.1"), contact("7", "C"), contact("9", "D")]
    messages = [
        text_message("w1", sender="525550000001"),  # the other spelling of the number
        text_message("w2", sender=None, from_user_id="MX.1"),
        text_message("w3", sender="55"),
    ]
    statuses = [{"id": "w4", "status": "sent", "recipient_id": "7"}]
    body = json.dumps(envelope(value(contacts=cards, messages=messages, statuses=statuses))).encode()
    values = [json.loads(unit.envelope)["entry"][0]["changes"][0]["value"] for unit in check(body).values()]
    assert [[card["profile"]["name"] for card in each["contacts"]] for each in values] == [["A"], ["B"], ["D"], ["C"]]


def test_a_sole_item_keeps_its_value_as_it_came() -> None:
    body = json.dumps(envelope(value(contacts=[contact("9")], messages=[text_message("w")])), separators=(",", ":"))
    [unit] = check(body.encode()).values()
    assert unit.envelope == body.encode()


def test_a_value_of_which_too_much_would_be_repeated_is_one_unit() -> None:
    large = envelope(value(x="x" * MIB, messages=[text_message(f"w{n}") for n in range(100)]))
    assert list(check(json.dumps(large).encode())) == [HERE]
    cards = [contact(f"{n}", "x" * 1000) for n in range(2000)]
    strangers = envelope(value(contacts=cards, messages=[text_message(f"w{n}", sender="x") for n in range(500)]))
    cut = units.cut(json.dumps(strangers).encode())
    assert len(cut) == 500
    assert sum(len(unit.envelope) for unit in cut.values()) < 4 * MIB


def test_no_post_has_more_units_than_items_are_read() -> None:
    body = envelope(*(value(messages=[text_message(f"w{n}.{k}") for k in range(90)]) for n in range(120)))
    body["entry"][0]["id"] = "x" * 5000
    cut = units.cut(json.dumps(body).encode())
    assert len(cut) == MOST_ITEMS
    assert b"xxx" not in next(iter(cut.values())).envelope


def test_an_unknown_member_of_the_post_or_an_entry_is_in_no_unit() -> None:
    body = envelope(value(messages=[text_message("w")]), value(a=1))
    body["secret"] = body["entry"][0]["secret"] = "of others"
    assert all(b"secret" not in unit.envelope for unit in units.cut(json.dumps(body).encode()).values())


def test_nothing_stands_in_the_place_of_what_was_cut() -> None:
    cards = [contact("7", "A"), contact("9", "B")]
    messages = [text_message(f"w{each}", sender=each) for each in ("7", "9")]
    body = json.dumps(envelope(value(contacts=cards, messages=messages), value(messages=messages[:1]))).encode()
    items = meta.parse(body)
    gone = [item for item in items if getattr(item, "wamid", "") == "w7"]
    left, moved = parting.without(body, gone, [item for item in items if item not in gone])
    assert json.loads(left) == envelope(value(contacts=cards[1:], messages=messages[1:]))
    assert moved == {HERE: HERE}
    assert parting.without(body, [], items)[0] == body
