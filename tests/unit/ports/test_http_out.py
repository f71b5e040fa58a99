"""What of an answer may be shown, by the one rule."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from tellwire.ports.http_out import Answer, Failure, without_what_was_said

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
    assert shown.ok == answer.ok
    said = {"headers", "body", "truncated", "hidden"}
    kept = [{k: v for k, v in asdict(each).items() if k not in said} for each in (shown, answer)]
    assert kept[0] == kept[1]


@given(ANSWERS, HEADERS, st.binary(), st.booleans())
def test_what_is_shown_does_not_depend_on_what_was_said(
    answer: Answer, headers: tuple[tuple[str, str], ...], body: bytes, truncated: bool
) -> None:
    other = replace(answer, headers=headers, body=body, truncated=truncated)
    one, two = (replace(without_what_was_said(each), hidden=None) for each in (answer, other))
    assert one == two
