"""What of an answer may be shown, by the one rule."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from tellwire.ports.http_out import UNTOLD, Answer, Failure, without_what_was_said

HEADERS = st.lists(st.tuples(st.text(), st.text()), max_size=3).map(tuple)
PHASES = st.dictionaries(st.sampled_from(["dns", "connect", "tls", "send", "first_byte", "body"]), st.floats(0, 9))
ANSWERS = st.builds(
    Answer,
    status=st.sampled_from([0, 200, 204, 302, 401, 503]),
    failure=st.sampled_from(get_args(Failure)),
    cause=st.text(),
    headers=HEADERS,
    body=st.binary(),
    truncated=st.booleans(),
    durations=PHASES.map(lambda phases: phases | {"total": 9.5}),
    withheld=st.booleans(),
    written=st.booleans(),
)


@given(ANSWERS)
def test_nothing_that_was_said_is_left_and_all_of_it_is_still_there_to_parse(answer: Answer) -> None:
    shown = without_what_was_said(answer)
    assert (shown.headers, shown.body, shown.truncated) == ((), b"", False)
    assert shown.actual is answer
    assert answer.actual is answer
    assert (shown.status, shown.ok, shown.withheld, shown.written) == (
        answer.status,
        answer.ok,
        answer.withheld,
        answer.written,
    )
    assert shown.durations["total"] == answer.durations["total"]


@given(ANSWERS, ANSWERS)
def test_two_failures_with_one_status_look_alike(one: Answer, other: Answer) -> None:
    if not one.failure or not other.failure:
        return
    one, other = (replace(each, status=0, withheld=False, written=False) for each in (one, other))
    first, second = (asdict(replace(without_what_was_said(each), hidden=None)) for each in (one, other))
    assert first == second
    assert first["cause"] == UNTOLD


@given(ANSWERS)
def test_an_answer_that_came_whole_keeps_its_phases_and_its_cause(answer: Answer) -> None:
    answer = replace(answer, failure="")
    shown = without_what_was_said(answer)
    assert (shown.failure, shown.cause, shown.durations) == ("", answer.cause, answer.durations)
