"""Canonical JSON: as JavaScript writes it, by a table that Node filled once, and by Node itself where it is there."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.golden.formats.cases import WRITTEN
from tests.node import Worker, needs_node
from tests.unit.sdk.test_json import json_texts, number_texts, unhurried

from tellwire.delivery.canonical_json import MAX_DEPTH, MAX_VALUES, canonical

WORK = 'const work = (body) => Buffer.from(JSON.stringify(JSON.parse(body.toString("utf8")))).toString("base64");'

FROM_NODE = [
    (b' { "a" : [ 1 , 2.0 , { } , [ ] ] }\n', b'{"a":[1,2,{},[]]}'),
    (b'["\\/\\u00e9\\u0041\\u2028\\u007f"]', '["/éA\u2028\x7f"]'.encode()),
    (b'"\\u0000\\u0008\\u000b\\f\\n\\r\\t\\u001F\\"\\\\"', b'"\\u0000\\b\\u000b\\f\\n\\r\\t\\u001f\\"\\\\"'),
    (b'"\\uD83D\\ude00 \\uD83D \\ude00\\uD83D\\uD83D\\uDE00"', '"😀 \\ud83d \\ude00\\ud83d😀"'.encode()),
    (b'{"b":1,"10":2,"2":3,"a":4,"01":5,"-1":6,"1.5":7}', b'{"2":3,"10":2,"b":1,"a":4,"01":5,"-1":6,"1.5":7}'),
    (
        b'{"4294967296":1,"4294967295":2,"4294967294":3,"0":4,"9007199254740991":5}',
        b'{"0":4,"4294967294":3,"4294967296":1,"4294967295":2,"9007199254740991":5}',
    ),
    (b'{"a":1,"b":2,"a":{"c":3}}', b'{"a":{"c":3},"b":2}'),
    (b'{"a":1,"__proto__":{"b":2},"c":3}', b'{"a":1,"__proto__":{"b":2},"c":3}'),
    (b'{"":"","constructor":1,"toJSON":2,"\\ud800":3}', b'{"":"","constructor":1,"toJSON":2,"\\ud800":3}'),
    (
        b"[1e21,1e20,123456789012345678901,1e-6,1e-7,0.1e-6]",
        b"[1e+21,100000000000000000000,123456789012345680000,0.000001,1e-7,1e-7]",
    ),
    (
        b"[-0,-0.0,0e5,1E400,-1e400,5e-324,2e-324,1.7976931348623157e308]",
        b"[0,0,0,null,null,5e-324,0,1.7976931348623157e+308]",
    ),
    (
        b"[9007199254740993,123456789012345678,1234567890123456,19.430,-9.9e1]",
        b"[9007199254740992,123456789012345680,1234567890123456,19.43,-99]",
    ),
    (b"[1.5e300,12345678.9e-20,0.1e22,4.35,100,1e0]", b"[1.5e+300,1.23456789e-13,1e+21,4.35,100,1]"),
    (b"null", b"null"),
    (b"true", b"true"),
    (b"-0", b"0"),
    (b'""', b'""'),
]

UNTOUCHED = [
    b"",
    b"{",
    b"NaN",
    b"[Infinity]",
    b'{"a":-Infinity}',
    b"[01]",
    b"[1,]",
    b'"\x01"',
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b"\xef\xbb\xbf{}",
    b"{} {}",
    b"[" * 100_000,
    b" [" + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"]",
    b'{"a":' * 300 + b"1" + b"}" * 300,
    b"[1.0" + b",1.0" * MAX_VALUES + b"]",
]


def base64_of(bodies: list[bytes]) -> list[str]:
    return [base64.b64encode(body).decode() for body in bodies]


@pytest.fixture(scope="module")
def node() -> Iterator[Worker]:
    with Worker.of(WORK) as worker:
        yield worker


def differing(node: Worker, bodies: list[bytes]) -> list[tuple[bytes, bytes, bytes]]:
    """What Node reads and writes in other bytes than ours."""
    answers = [b"" if each is None else base64.b64decode(each) for each in node.answers(base64_of(bodies))]
    made = zip(bodies, map(canonical, bodies), answers, strict=True)
    return [(body, ours, theirs) for body, ours, theirs in made if theirs and ours != theirs]


@pytest.mark.parametrize(("given", "written"), FROM_NODE)
def test_it_is_written_as_javascript_writes_it(given: bytes, written: bytes) -> None:
    assert canonical(given) == written
    assert canonical(written) == written


@pytest.mark.parametrize("body", UNTOUCHED, ids=lambda body: repr(body[:16]))
def test_what_cannot_be_made_canonical_stays_as_it_is(body: bytes) -> None:
    assert canonical(body) == body


def test_marks_inside_of_texts_are_no_values() -> None:
    body = json.dumps({"text": ',[{"\\' * MAX_VALUES}).encode()
    assert canonical(body) == body.replace(b'": "', b'":"')


def test_any_depth_that_is_taken_is_read() -> None:
    deep = b"[" * (MAX_DEPTH - 1) + b'{"b":1.0}' + b"]" * (MAX_DEPTH - 1)
    assert canonical(deep) == deep.replace(b"1.0", b"1")


@unhurried
@given(st.binary())
def test_any_bytes_are_a_value_or_stay(body: bytes) -> None:
    assert canonical(canonical(body)) == canonical(body)


@needs_node
def test_the_table_is_what_node_says(node: Worker) -> None:
    assert differing(node, [given for given, _ in FROM_NODE]) == []
    assert None not in node.answers(base64_of([given for given, _ in FROM_NODE]))


@needs_node
def test_every_golden_body_is_written_as_node_writes_it(node: Worker) -> None:
    assert differing(node, [case.path.read_bytes() for case in WRITTEN]) == []


batches = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
"""Each example is a batch of many values."""

doubles = st.binary(min_size=8, max_size=8).map(lambda some: struct.unpack("<d", some)[0]).filter(lambda x: x - x == 0)
numbers = number_texts | (doubles | st.floats(allow_nan=False, allow_infinity=False)).map(repr)
halves = st.integers(0xD700, 0xE010).map("\\u{:04X}".format)
escapes = (
    st.integers(0, 0xFFFF).map("\\u{:04x}".format) | halves | st.sampled_from(["\\/", "\\b", "\\n", '\\"', "\\\\"])
)
strings = st.lists(escapes | st.sampled_from("aé\u2028\x7f"), max_size=8).map(lambda parts: f'"{"".join(parts)}"')
names = strings | st.sampled_from(["a", "b", "__proto__", "toJSON", "01", "-1"]).map(json.dumps)
names |= (st.integers(0, 12) | st.integers(2**32 - 4, 2**32 + 2) | st.integers(0)).map(lambda index: f'"{index}"')
odd = st.recursive(
    numbers | strings,
    lambda items: (
        st.lists(items, max_size=4).map(lambda parts: f"[{','.join(parts)}]")
        | st.lists(st.tuples(names, items), max_size=6).map(
            lambda members: "{" + ",".join(f"{name}:{value}" for name, value in members) + "}"
        )
    ),
    max_leaves=12,
)


@needs_node
@batches
@given(st.lists(odd | json_texts, min_size=10, max_size=40))
def test_it_is_written_as_node_writes_it(node: Worker, texts: list[str]) -> None:
    bodies = [text.encode("utf-8", "surrogatepass") for text in texts]
    assert differing(node, bodies) == []


@needs_node
@batches
@given(st.lists(numbers, min_size=100, max_size=200))
def test_numbers_are_written_as_node_writes_them(node: Worker, texts: list[str]) -> None:
    assert differing(node, [text.encode() for text in texts]) == []
