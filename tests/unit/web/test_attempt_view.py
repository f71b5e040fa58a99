"""One attempt as a page shows it: the bar of its time, and the command."""

from __future__ import annotations

import shlex
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.ports.http_out import Failure
from tellwire.web.console.attempt_view import PHASES, WIDTH, curl, drawn_width, phases
from tellwire.web.console.causes import advice, grouped, lasting
from tellwire.web.console.words import has_words, words

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\n"), max_size=40)


@given(st.dictionaries(st.sampled_from([*PHASES, "total", "other"]), st.floats(0, 1e6)))
def test_phases_stand_side_by_side_in_their_order_and_none_is_too_small_to_see(durations: dict[str, float]) -> None:
    shown = phases(durations)
    assert [each.name for each in shown] == [name for name in PHASES if name in durations]
    left = 0
    for each in shown:
        assert each.left == left
        assert each.width >= 3
        left += each.width
    assert drawn_width(shown) == (left or WIDTH)


@given(TEXT, st.lists(st.tuples(st.sampled_from(["x-own", "Authorization"]), TEXT), max_size=3), TEXT)
def test_a_shell_reads_the_command_as_it_is_meant(path: str, headers: list[tuple[str, str]], body: str) -> None:
    url = f"https://x.example/{path}"
    attempt = {"url": url, "request_headers": [*headers, ("token", "Bearer ****"), ("content-length", "9")]}
    read = shlex.split(curl(attempt, body).replace(" \\\n  ", " "))
    wanted = ["curl", "-X", "POST", url]
    for name, value in (*headers, ("token", "Bearer YOUR-SECRET")):
        wanted += ["-H", f"{name}: {value.replace('****', 'YOUR-SECRET')}"]
    assert read == [*wanted, "--data-raw", body]


@pytest.mark.parametrize("failure", [each for each in get_args(Failure) if each])
def test_every_kind_of_failure_has_advice_of_its_own(failure: str) -> None:
    assert has_words(f"causes.{failure}")


@pytest.mark.parametrize(
    ("failure", "like"),
    [("418", "4xx"), ("599", "5xx"), ("301", "3xx"), ("100", "1xx"), ("999", "other"), ("x", "other")],
)
def test_other_statuses_have_that_of_their_class(failure: str, like: str) -> None:
    assert advice(failure) == words(f"causes.{like}")


def test_numbers_and_times_in_words() -> None:
    assert grouped(1204567) == "1\N{NARROW NO-BREAK SPACE}204\N{NARROW NO-BREAK SPACE}567"
    assert [lasting(seconds) for seconds in (0, 24.4, 89, 91, 5400)] == ["1 s", "24 s", "89 s", "2 min", "2 h"]
