"""How one setting is read and described."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


class Setting(Struct, frozen=True):
    """How a field is read and described: its meaning, what it takes, and `parse`, which raises ValueError otherwise."""

    help: str
    takes: str
    parse: Callable[[str], object] = str
    many: bool = False
    default: str = ""
    secret: bool = False

    @property
    def all_it_takes(self) -> str:
        """The text about what the whole value takes, a list or one thing."""
        return f"{self.takes}; several are separated by commas" if self.many else self.takes
