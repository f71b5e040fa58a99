"""Texts of strangers move no cursor, change no colour or title, and turn no writing round, whatever prints them."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire import cli
from tellwire.cli import main, printing, why
from tellwire.cli.dev.live import Board
from tellwire.cli.dev.screen import LinePrinter
from tellwire.cli.doctor import _tell as tell_findings
from tellwire.cli.forwarding import Forwarded
from tellwire.cli.listen import _line
from tellwire.cli.nouns import words
from tellwire.cli.output import print_json, print_table
from tellwire.cli.records import print_record, print_records
from tellwire.doctor.check import Finding

_BAD = "a\x1b[2J\x1b]0;title\x07\x9b31m\r\n\t\x7f\u202eb\nFORGED\u2066c\u2028d\ud800e"
_OURS = re.compile(r"\x1b\[[0-9;]+m")
_STRANGERS = st.text(st.sampled_from("a✗\n\r\t\x00\x07\x08\x1b[2;31mJ]\x7f\x85\x9b\u202e\u2066\u2028\u2029\ud800"))


def _moves(text: str) -> list[str]:
    """Return the characters of a text that a terminal does not only show."""
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return [
        each
        for each in text
        if each != "\n"
        and (unicodedata.category(each) in {"Cc", "Zl", "Zp", "Cs"} or unicodedata.bidirectional(each) in turning)
    ]


@given(_STRANGERS | st.text())
def test_no_character_that_moves_is_printed(text: str) -> None:
    """Our own colours are all that is left, and the line breaks."""
    assert not _moves(_OURS.sub("", printing.shown(text)))
    assert not _moves(printing.on_one_line(text))
    assert "\n" not in printing.on_one_line(text)


@given(st.text())
def test_json_of_strangers_has_the_same_value(text: str) -> None:
    """What JSON may hold as it is, a terminal would still obey."""
    document = printing.in_json(json.dumps({text: text}, ensure_ascii=False))
    assert json.loads(document) == {text: text}
    assert not _moves(document)


def test_the_colours_are_kept() -> None:
    """Those that tables and the screen use."""
    assert printing.shown("\x1b[1;31m✗\x1b[0m\n") == "\x1b[1;31m✗\x1b[0m\n"


def test_commands_print_in_one_place_only() -> None:
    """Whatever a command writes goes through `printing`, so that none can forget to blank it."""
    root = Path(cli.__file__).parent
    calls = {
        f"{path.relative_to(root)}:{node.lineno}"
        for path in sorted(root.rglob("*.py"))
        if path.name != "printing.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _writes(node.func)
    }
    assert calls == set()


def _writes(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id == "print"
    return isinstance(function, ast.Attribute) and (
        (function.attr in {"write", "writelines"} and ast.unparse(function.value).startswith(("sys.", "stdout")))
        or (function.attr in {"echo", "secho"} and ast.unparse(function.value) == "typer")
    )


def _of_why() -> None:
    delivery = {"id": _BAD, "event": _BAD, "state": "failed", "attempts": 2, "cause": _BAD}
    step = {"state": "done", "title": _BAD, "at": None, "detail": _BAD, "remedy": _BAD, "deliveries": [delivery]}
    journey = {"contact": {"name": _BAD}, "account": None, "steps": [step]}
    why._print({"matches": [], "journey": journey, "notes": [_BAD], "query": _BAD, "looked_for": []})


def _of_listen() -> None:
    row = {"contact": _BAD, "event": _BAD, "delivery_id": _BAD}
    _line()(row, Forwarded("", 0, 1.0, "broken", _BAD))


def _of_board() -> None:
    board = Board()
    board.note(_BAD)
    board.line("m").text = _BAD
    board.show(board.line("m"))


_PRINTED: dict[str, Callable[[], Any]] = {
    "table": lambda: print_table([[_BAD]], header=["NAME"]),
    "record": lambda: print_record({"name": _BAD, "list": [_BAD]}, as_json=False),
    "records": lambda: print_records([{"name": _BAD}], ["name"], as_json=False),
    "json": lambda: print_json({"name": _BAD.replace("\ud800", "")}),
    "people": lambda: printing.out(words.who({"contact": {"name": _BAD}})),
    "complaint": lambda: main([_BAD]),
    "doctor": lambda: tell_findings(
        [Finding(check="database", state="broken", cause=_BAD, about=_BAD)], as_json=False, every=True
    ),
    "why": _of_why,
    "listen": _of_listen,
    "dev, line by line": lambda: LinePrinter(as_json=False, on_closed=lambda: None).say(_BAD, {}),
    "dev, the screen": _of_board,
}


@pytest.mark.parametrize("name", _PRINTED)
def test_texts_of_strangers_are_blanked(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of names, texts, URLs and causes, in each way that commands show them."""
    _PRINTED[name]()
    printed = SimpleNamespace(**capsys.readouterr()._asdict())
    assert "a" in printed.out + printed.err
    assert not _moves(_OURS.sub("", printed.out + printed.err))


@pytest.mark.parametrize("name", ["table", "record", "records", "people", "why", "listen", "doctor"])
def test_nobody_begins_a_line_of_their_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A text with a line break would look like a line of ours."""
    _PRINTED[name]()
    assert not any(line.strip().startswith("FORGED") for line in capsys.readouterr().out.split("\n"))
