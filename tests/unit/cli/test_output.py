"""What fits a terminal: columns that a text takes, and cutting it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from tellwire.cli.output import cut, width_of


@pytest.mark.parametrize(
    ("said", "width"), [("Lucía", 5), ("e\u0301", 1), ("你好", 4), ("Thanks 🙏", 9), ("ｆｕｌｌ", 8), ("", 0)]
)
def test_a_text_takes_the_columns_that_a_terminal_gives_it(said: str, width: int) -> None:
    assert width_of(said) == get_cwidth(said) == width


@given(st.text(), st.integers(1, 40))
def test_a_text_that_was_cut_fits_and_begins_as_before(said: str, width: int) -> None:
    shown = cut(said, width)
    assert width_of(shown) <= width
    assert shown == said or (shown.endswith("…") and said.startswith(shown[:-1]))
