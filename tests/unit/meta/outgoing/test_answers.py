"""What Meta's answers mean, code by code, and when a message is tried again."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode
from tests.unit.meta.outgoing.cases import JSON

from tellwire.meta.codes import CODES, CodeKind, kind_of_code
from tellwire.meta.outgoing.answers import (
    LONGEST_PAUSE,
    Accepted,
    NotSent,
    Refused,
    Unknown,
    next_after,
    pause_after,
    read_answer,
)
from tellwire.model.messaging import StatusError

CLASSES: dict[CodeKind, set[int]] = {
    "pause": {0, 190, 131048},
    "throttled": {4, 80007, 130429},
    "pair": {131056},
    "retry": {1, 2, 131000, 131016, 131057, 132069, 133004, 134101, 2494100},
    "fail": {
        *(3, 10, *range(200, 300), 131005),
        *(33, 100, 131008, 131009, 135000),
        *(131021, 131026, 131030, 131031, 368, 130497, 131037, 131042, 131044, 131045, 133010),
        *(131047, 131049, 131050, 131051, 131052, 131053, 131055, 134100, 134102),
        *(131060, 131062, 131063, 131064, 130472, 133016, 137000),
        *(132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016, 132068),
    },
}
"""What Meta's error codes mean for a message that was to go out."""

LATE = {
    *(130472, 130497, 131000, 131026, 131042, 131044, 131047, 131049, 131050),
    *(131051, 131052, 131053, 131060, 132015, 132016),
}
USUAL: dict[int, set[int]] = {
    401: {0, 190},
    403: {10, *range(200, 300), 368, 130497, 131005, 131031},
    404: {132001},
    500: {3, 131000, 131045, 131057, 134101, 2494100},
    503: {2, 131016, 133004},
}


def refusal(code: object, **more: object) -> bytes:
    error = {"message": f"(#{code}) M", "type": "OAuthException", "code": code, "fbtrace_id": "A", **more}
    return encode({"error": error})


def test_every_code_has_its_class() -> None:
    assert {code: kind for kind, codes in CLASSES.items() for code in codes} == {
        code: each.kind for code, each in CODES.items()
    }


def test_codes_that_come_late_and_the_usual_status_of_each() -> None:
    assert {code for code, each in CODES.items() if each.late} == LATE
    usual = {code: status for status, codes in USUAL.items() for code in codes}
    assert {code: each.http for code, each in CODES.items()} == {code: usual.get(code, 400) for code in CODES}


def test_a_few_attempts_where_meta_does_not_promise_that_it_passes() -> None:
    assert {code: each.tries for code, each in CODES.items() if each.tries} == {1: 2, 131000: 5}


@pytest.mark.parametrize("code", [*CODES, 9, 131099, 999999])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_the_code_decides_whatever_the_status(code: int, status: int) -> None:
    found = read_answer(status, refusal(code, error_data={"details": "D"}), retry_after=7.0)
    tries = CODES[code].tries if code in CODES else 0
    error = StatusError(code, f"(#{code}) M", f"(#{code}) M", "D")
    assert found == Refused(kind_of_code(code), code, (error,), tries, 7.0)


@pytest.mark.parametrize("code", [9, 131099, -1])
def test_an_unknown_code_is_no_reason_to_try_again(code: int) -> None:
    assert kind_of_code(code) == "fail"


def test_a_code_in_a_text() -> None:
    found = read_answer(400, refusal("131056"))
    assert isinstance(found, Refused)
    assert (found.kind, found.code) == ("pair", 131056)


# --- accepted ---------------------------------------------------------------------------------------------------------

WAMID = "wamid.HBgL"


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        (
            {"contacts": [{"input": "+49170", "wa_id": "49170"}], "messages": [{"id": WAMID}]},
            Accepted(WAMID, "", "49170", ""),
        ),
        (
            {
                "messaging_product": "whatsapp",
                "contacts": [{"input": "US.1", "user_id": "US.1"}],
                "messages": [{"id": WAMID, "message_status": "held_for_quality_assessment"}],
            },
            Accepted(WAMID, "held_for_quality_assessment", "", "US.1"),
        ),
        ({"messages": [{"id": WAMID, "group_id": "G"}]}, Accepted(WAMID)),
        ({"messages": [{"id": WAMID, "message_status": 5}], "contacts": "none"}, Accepted(WAMID)),
        ({"messages": [{"id": WAMID}], "error": {"code": 1}}, Accepted(WAMID)),
    ],
)
@pytest.mark.parametrize("status", [200, 201])
def test_accepted(status: int, answer: Any, accepted: Accepted) -> None:
    assert read_answer(status, encode(answer)) == accepted


def test_a_broken_name_beside_it_does_not_hide_the_message_id() -> None:
    body = b'{"contacts":[{"input":"\\ud800"}],"messages":[{"id":"wamid.A"}]}'
    assert read_answer(200, body) == Accepted("wamid.A")


# --- not knowing ------------------------------------------------------------------------------------------------------

PAGE = b"<html>502 Bad Gateway</html>"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        *((status, PAGE, f"Meta answered {status} without an error code") for status in (500, 502, 503, 504)),
        (500, b"", "Meta answered 500 without an error code"),
        (500, b'{"error":{"message":"M"}}', "Meta answered 500 without an error code"),
        (500, b'{"error":"gone"}', "Meta answered 500 without an error code"),
        (500, b'{"error":{"code":true}}', "Meta answered 500 without an error code"),
        (500, encode({"messages": [{"id": WAMID}]}), "Meta answered 500 without an error code"),
        *(
            (200, body, "Meta answered 200 without a message id")
            for body in (
                *(b"", b"{}", b"[]", b"{", b"\xff", b"null", PAGE),
                *(b'{"messages":[]}', b'{"messages":[{"id":""}]}', b'{"messages":[{"id":null}]}'),
                *(b'{"messages":{"id":"wamid.A"}}', b'{"success":true}'),
            )
        ),
    ],
)
def test_an_answer_that_does_not_say_is_unknown(status: int, body: bytes, words: str) -> None:
    assert read_answer(status, body) == Unknown(words)


def test_without_an_answer_it_counts_whether_anything_was_written() -> None:
    assert read_answer(0, b"", written=False, cause="connection refused") == NotSent("connection refused")
    assert read_answer(0, b"", written=True, cause="no answer within 20 s") == Unknown("no answer within 20 s")
    assert read_answer(0, b"", written=False) == NotSent("no connection came about")
    assert read_answer(0, b"") == Unknown("no answer came")


@pytest.mark.parametrize(
    ("status", "kind"), [(302, "fail"), (400, "fail"), (403, "fail"), (413, "fail"), (429, "throttled")]
)
def test_a_refusal_without_a_code_of_meta_s(status: int, kind: CodeKind) -> None:
    found = read_answer(status, PAGE, retry_after=3.0)
    words = f"HTTP {status} without an error code of Meta's"
    assert found == Refused(kind, None, (StatusError(status, words, words, ""),), 0, 3.0)


@given(st.integers(0, 599), st.binary() | JSON.map(encode), st.booleans())
def test_any_answer_is_an_outcome(status: int, body: bytes, written: bool) -> None:
    found = read_answer(status, body, written=written)
    assert isinstance(found, Accepted | Refused | NotSent | Unknown)
    assert not isinstance(found, Accepted) or 200 <= status < 300


# --- trying again -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(0, 1), (1, 1), (2, 4), (3, 16), (4, 64), (5, 256), (6, 300), (7, 300), (10**9, 300)]
)
def test_pauses_grow_to_five_minutes(attempt: int, seconds: float) -> None:
    assert pause_after(attempt, 0.5) == seconds
    assert pause_after(attempt, 0.0) == pytest.approx(seconds * 0.8)
    assert pause_after(attempt, 1.0) == pytest.approx(min(seconds * 1.2, LONGEST_PAUSE))


@pytest.mark.parametrize(
    ("kind", "seconds"), [("retry", 4), ("throttled", 4), ("pair", 4), ("fail", math.inf), ("pause", math.inf)]
)
def test_what_is_tried_again_by_itself(kind: CodeKind, seconds: float) -> None:
    assert pause_after(2, 0.5, kind) == seconds


def refused(kind: CodeKind = "retry", *, tries: int = 0, retry_after: float = 0.0) -> Refused:
    return Refused(kind, 1, (), tries, retry_after)


@pytest.mark.parametrize(
    ("refusal", "attempt", "left", "seconds"),
    [
        (refused(), 1, 1000, 1),
        (refused(), 50, 1000, 300),
        (refused("throttled"), 3, 1000, 16),
        (refused("pair"), 3, 1000, 16),
        (refused(retry_after=60), 1, 1000, 60),
        (refused(retry_after=3600), 1, 10000, 3600),
        (refused(retry_after=3), 3, 1000, 16),
        (NotSent("refused"), 2, 1000, 4),
        # the attempts are used up
        (refused(tries=2), 1, 1000, 1),
        (refused(tries=2), 2, 1000, None),
        (refused(tries=5), 9, 1000, None),
        # the time is
        (refused(), 3, 16, 16),
        (refused(), 3, 15.9, None),
        (refused(retry_after=60), 1, 59, None),
        (NotSent("refused"), 1, -5, None),
        # nothing to wait for
        (refused("fail"), 1, 1000, None),
        (refused("pause"), 1, math.inf, None),
    ],
)
def test_the_next_attempt(refusal: Refused | NotSent, attempt: int, left: float, seconds: float | None) -> None:
    assert next_after(refusal, attempt, 0.5, left) == seconds
