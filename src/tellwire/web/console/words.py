"""The texts of the console, all in `texts/<language>/<page>.toml`, so that a second language is a second folder."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "texts"


@cache
def _texts(language: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in sorted((_FOLDER / language).glob("*.toml")):
        _flatten(file.stem, tomllib.loads(file.read_text(encoding="utf-8")), found)
    return found


def _flatten(path: str, value: Any, found: dict[str, str]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _flatten(f"{path}.{name}", inner, found)
    else:
        found[path] = value


def words(key: str, **values: object) -> str:
    """Return the text with a key: the file's name, then the names in it, joined by dots.

    Args:
        values: what stands in the text in braces. With `count`, the key that ends in `.one` is taken for 1, the one
            that ends in `.other` for the rest.

    Raises:
        KeyError: there is no such text.
    """
    texts = _texts("en")
    if "count" in values and key not in texts:
        key = f"{key}.one" if values["count"] == 1 else f"{key}.other"
    return texts[key].format(**values)


def has_words(key: str) -> bool:
    """Return whether there is a text with this key."""
    return key in _texts("en")
