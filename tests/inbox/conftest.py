"""Everything here holds over each store."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def over_each_store(each_store: None) -> None:
    """Ask for it."""
