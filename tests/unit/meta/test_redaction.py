"""What a POST says of one person is cut out; everything else stays, byte by byte."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.meta.test_raw_json import JSON
from tests.world import CUSTOMER, DISPLAY, USER_ID, contact, envelope, status, text_message, value

from tellwire import meta
from tellwire.meta.raw_json import replace as replace_json
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.items import MOST_ITEMS, NotUnderstood
from tellwire.meta.webhooks.redaction import cut, is_about, pattern_of, pieces, spellings, values_of

OTHERS = ("5215588390001", "447700900123", "MX.99999999999999999999")
SPACED = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n ", " :\t")])


# --- splicing ---------------------------------------------------------------------------------------------------------


def pointers(tree: Any, at: str = "") -> list[str]:
    """Give every pointer into a value."""
    found = [at]
    steps = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, inner in steps:
        found += pointers(inner, f"{at}/{str(step).replace('~', '~0').replace('/', '~1')}")
    return found


def put(tree: Any, pointer: str, new: Any) -> Any:
    """Do the same as `replaced`, on values."""
    if not pointer:
        return new
    tree = json.loads(json.dumps(tree))
    *way, last = [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]
    branch = tree
    for step in way:
        branch = branch[int(step)] if isinstance(branch, list) else branch[step]
    branch[int(last) if isinstance(branch, list) else last] = new
    return tree


@given(JSON, st.data(), SPACED)
def test_a_value_is_replaced_and_nothing_else(tree, data, spaced):
    pointer = data.draw(st.sampled_from(pointers(tree)))
    text = json.dumps(tree, separators=spaced).encode()
    changed = replace_json.replaced(text, {pointer: b'"new"'})
    assert json.loads(changed) == put(tree, pointer, "new")
    before, after = changed.split(b'"new"', 1) if changed.count(b'"new"') == 1 else (b"", b"")
    assert text.startswith(before)
    assert text.endswith(after)
    piece = replace_json.Values(text).at(pointer)
    assert piece is not None
    assert json.loads(piece) == json.loads(json.dumps(_at(tree, pointer)))


def _at(tree: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        tree = tree[int(name)] if isinstance(tree, list) else tree[name]
    return tree


@given(JSON)
def test_pointers_that_lead_nowhere_change_nothing(tree):
    text = json.dumps(tree).encode()
    assert replace_json.replaced(text, {"/no such/place": b"1", "/-1": b"1", "/99": b"1"}) == text
    assert replace_json.replaced(text, {}) == text


@given(JSON, st.sampled_from([CUSTOMER, "a+b", "12"]), SPACED)
def test_a_redacted_text_is_json_without_the_word(tree, word, spaced):
    whole = {"list": [tree, {"x": word, "y": 1}, [word], "other"], "own": {"z": word}, "kept": [tree]}
    pattern = re.compile(re.escape(word.encode()))
    left = replace_json.redacted(json.dumps(whole, separators=spaced).encode(), pattern)
    assert not pattern.search(left)
    verbatim.check(left)
    shown = json.loads(left)
    assert shown["list"][1:] == [None, None, "other"]
    assert shown["own"] is None
    if not pattern.search(json.dumps(tree).encode()):
        assert (shown["list"][0], *shown["kept"]) == (json.loads(json.dumps(tree)),) * 2


@given(st.binary(max_size=60), st.text(max_size=10))
@example(b"{1}", "")
@example(b'{"a"}', "a")
def test_any_bytes_and_any_pointer_are_taken(text, pointer):
    replace_json.Values(text).at(f"/{pointer}")


# --- cutting ----------------------------------------------------------------------------------------------------------


@st.composite
def posts(draw: st.DrawFn) -> tuple[bytes, list[bytes], list[bytes]]:
    """Draw a POST with items of a person and of others: the body, and the texts of the items of either."""
    ours: list[bytes] = []
    theirs: list[bytes] = []
    changes = []
    separators = draw(SPACED)
    for c in range(draw(st.integers(1, 3))):
        people, messages, states = [], [], []
        for m in range(draw(st.integers(0, 4))):
            who = draw(st.sampled_from([CUSTOMER, *OTHERS]))
            words = draw(st.text(max_size=12))
            item = (
                text_message(f"wamid.{c}.{m}", words, sender=who)
                if who[0].isdigit()
                else text_message(f"wamid.{c}.{m}", words, sender=None, from_user_id=who)
            )
            messages.append(item)
            (ours if who == CUSTOMER else theirs).append(json.dumps(item, separators=separators).encode())
            if draw(st.booleans()):
                people.append(contact(who, draw(st.text(min_size=1, max_size=8))))
        for s in range(draw(st.integers(0, 3))):
            who = draw(st.sampled_from([CUSTOMER, *OTHERS[:2]]))
            item = status(f"wamid.s{c}.{s}", draw(st.sampled_from(["sent", "read"])), to=who)
            states.append(item)
            (ours if who == CUSTOMER else theirs).append(json.dumps(item, separators=separators).encode())
        changes.append(value(contacts=people, messages=messages, statuses=states))
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return mark + json.dumps(envelope(*changes), separators=separators).encode(), ours, theirs


def nameless(item: Any) -> Any:
    """An item without the names of its person: the only card of a change may be another's, and is gone then."""
    return item if isinstance(item, NotUnderstood) else replace(item, who=replace(item.who, name=None, username=None))


@settings(max_examples=300)
@given(posts())
def test_the_person_is_gone_and_others_items_are_there_byte_by_byte(post):
    body, ours, theirs = post
    sought = spellings([CUSTOMER])
    items = meta.parse(body)
    gone = [item for item in items if is_about(item, values_of(body), sought, pattern_of(sought))]
    kept = [item for item in items if item not in gone]
    left = cut(body, gone, kept, sought)
    assert not pattern_of(sought).search(left)
    for item in theirs:
        assert left.count(item) == body.count(item)
    after = {item.place.pointer: item for item in meta.parse(left)}
    for item in kept:
        assert nameless(after[item.place.pointer]) == nameless(item)
    assert len(pieces(body, gone, kept, sought)) >= len(ours)
    assert cut(left, [], [item for item in meta.parse(left) if item in kept], sought) == left


def test_a_card_without_anybody_keeps_the_only_other_card_from_naming_a_third():
    body = json.dumps(
        envelope(
            value(
                contacts=[contact(CUSTOMER, "Bharath"), contact(OTHERS[0], "Other")],
                messages=[text_message("wamid.1"), text_message("wamid.2", sender=OTHERS[1])],
            )
        )
    ).encode()
    sought = spellings([CUSTOMER])
    first, second = meta.parse(body)
    left = cut(body, [first], [second], sought)
    assert meta.parse(left)[0] == second


def test_threads_with_the_person_go_whole():
    ours = {"id": CUSTOMER, "messages": [text_message("wamid.1")]}
    theirs = {"id": OTHERS[0], "messages": [text_message("wamid.2", sender=OTHERS[0])]}
    empty = {"id": CUSTOMER, "messages": []}
    body = json.dumps(envelope(value(history=[{"threads": [ours, theirs, empty]}]), field="history")).encode()
    sought = spellings([CUSTOMER])
    items = meta.parse(body)
    gone = [item for item in items if is_about(item, values_of(body), sought, pattern_of(sought))]
    left = cut(body, gone, [item for item in items if item not in gone], sought)
    assert json.loads(left)["entry"][0]["changes"][0]["value"]["history"] == [{"threads": [None, theirs, None]}]


def test_of_what_is_not_understood_the_object_with_the_address_goes():
    call = {"id": "wacid.1", "from": CUSTOMER, "note": "theirs"}
    other = {"id": "wacid.2", "from": OTHERS[0]}
    body = json.dumps(envelope(value(calls=[call, other]), field="calls")).encode()
    (item,) = meta.parse(body)
    sought = spellings([CUSTOMER])
    assert is_about(item, values_of(body), sought, pattern_of(sought))
    left = json.loads(cut(body, [item], [], sought))["entry"][0]["changes"][0]
    assert left["value"]["calls"] == [None, other]
    assert left["value"]["metadata"]["display_phone_number"] == DISPLAY
    broken = json.dumps({"object": "else", "phone": f"+{CUSTOMER}", "more": 1}).encode()
    (item,) = meta.parse(broken)
    assert cut(broken, [item], [], sought) == b"null"


def test_addresses_are_found_in_every_spelling_and_not_inside_others():
    sought = spellings([f"+{CUSTOMER}", USER_ID])
    assert sought == {CUSTOMER, "525588392274", USER_ID}
    pattern = pattern_of(sought)
    assert pattern.search(b'"+525588392274"')
    assert not pattern.search(f'"1{CUSTOMER}"'.encode())
    assert not pattern_of(()).search(b"anything")


def test_of_what_was_not_read_of_a_post_the_person_goes_too():
    many = [text_message(f"wamid.{n}", sender=OTHERS[0]) for n in range(MOST_ITEMS)]
    beyond = [text_message("wamid.ours"), text_message("wamid.theirs", sender=OTHERS[0])]
    body = json.dumps(envelope(value(messages=[text_message("wamid.first"), *many, *beyond]))).encode()
    sought = spellings([CUSTOMER])
    pattern = pattern_of(sought)
    items = meta.parse(body)
    values = values_of(body)
    gone = [item for item in items if is_about(item, values, sought, pattern)]
    assert [item.place.pointer for item in gone] == ["/entry/0/changes/0/value/messages/0", ""]
    left = cut(body, gone, [item for item in items if item not in gone], sought)
    assert CUSTOMER.encode() not in left
    messages = json.loads(left)["entry"][0]["changes"][0]["value"]["messages"]
    assert messages == [None, *many, None, beyond[1]]
