"""How a process shares its file descriptors out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.http_client.descriptors import Descriptors, shared_out


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (1024, Descriptors(1024, 512, 128, 64)),
        (4096, Descriptors(4096, 1024, 512, 64)),
        (65_536, Descriptors(65_536, 1024, 512, 64)),
    ],
)
def test_deliveries_have_half_at_the_most(total: int, expected: Descriptors) -> None:
    assert shared_out(total, delivers=True) == expected
    assert shared_out(total, delivers=False) == Descriptors(total, 0, 0, 64)


@given(st.integers(256, 1 << 20), st.booleans())
def test_what_is_left_has_room_for_connections_and_a_file_for_every_second_one(total: int, delivers: bool) -> None:
    shared = shared_out(total, delivers=delivers)
    left = total - shared.deliveries - shared.meta - shared.other
    assert shared.server + shared.server // 2 <= left
    assert shared.server >= total // 6 - 22
