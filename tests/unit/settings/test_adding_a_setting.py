"""What a new setting needs beside its field; docs/contributing/adding-a-setting.md lists every place."""

from __future__ import annotations

import ast
import base64
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from tellwire.settings import SETTINGS, Settings, load, shown, variable_of

SOURCES = Path(__file__).parents[3] / "src/tellwire"
TEXTS = [
    "1",
    "true",
    "http://host:1",
    "file:///x",
    "sqlite:///x.db",
    "10.0.0.0/8",
    base64.b64encode(bytes(32)).decode(),
    "smtp://host",
    "ana@example.org",
    "warning",
]
"""Something for every kind of setting."""
SECRETIVE = re.compile(r"(^|_)(key|secret|token|password)(_|$)")


def kinds(hint: Any) -> set[type]:
    """The classes of a field's values, and of what stands in its lists."""
    if get_origin(hint) is Literal:
        return {type(word) for word in get_args(hint)}
    below = {kind for each in get_args(hint) for kind in kinds(each)}
    return below or ({hint} if isinstance(hint, type) else set())


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_parsed_to_what_its_field_says(name: str) -> None:
    allowed = tuple(kinds(get_type_hints(Settings)[name]))
    parsed = []
    for text in TEXTS:
        try:
            parsed.append(SETTINGS[name].parse(text))
        except ValueError:
            continue
    assert parsed, f"add a text that {name} takes to TEXTS of this test"
    wrong = [value for value in parsed if not isinstance(value, allowed)]
    assert not wrong, (
        f"`parse` of {name} in src/tellwire/settings/fields.py gives {wrong}, and the field says {allowed}"
    )


@pytest.mark.parametrize("name", [name for name, each in SETTINGS.items() if not each.secret])
def test_a_default_can_be_given_as_it_is_shown(name: str) -> None:
    default = Settings()
    text = "" if name == "allowed_hosts" else shown(default, name)  # what HOST implies is shown
    again = load({variable_of(name): text}, directory=Path("/nonexistent"))
    assert getattr(again, name) == getattr(default, name), (
        f"{name} shows its default as {text!r}, and reads it otherwise"
    )


def test_what_is_named_like_a_secret_is_one() -> None:
    open_ones = [name for name, each in SETTINGS.items() if SECRETIVE.search(name) and not each.secret]
    assert not open_ones, f"these settings sound secret and are shown to everybody: give {open_ones} `secret=True`"


def test_every_setting_is_read_somewhere() -> None:
    read = {name for path in SOURCES.rglob("*.py") for name in _read_in(path)}
    missing = [name for name in SETTINGS if name not in read]
    assert not missing, f"nothing reads the settings {missing}: most are read in src/tellwire/app/wiring.py"


def _read_in(path: Path) -> set[str]:
    """The settings that a module reads: attributes of something called settings, or of `self` in `Settings`."""
    owners = {"self"} if path.match("settings/*fields.py") else set()
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and (ast.unparse(node.value) in owners or ast.unparse(node.value).split(".")[-1] in {"settings", "_settings"})
    }
