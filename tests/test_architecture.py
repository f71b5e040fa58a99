"""What holds for every file: format, lint, types, import contracts, sizes, names, locks."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MODULES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "sdk/src").rglob("*.py")])
FOLDERS = ("src", "sdk", "tests", "bench", "docs", ".ci")

OUTSIDE = {"__main__", "cli", "web", "app", "simulator", "stores", "http_client", "settings", "clock", "security"} | {
    "mail",
    "observability",
    "ids",
}
"""The rooms that touch the world outside themselves. Every other one stands in an import contract that forbids it."""


def _named(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["-m", "ruff", "format", "--check", "."], id="format"),
        pytest.param(["-m", "ruff", "check", "."], id="lint"),
        pytest.param(["-m", "mypy"], id="types"),
        pytest.param(["-c", "from importlinter.cli import lint_imports_command as f; f()", "--no-logo"], id="imports"),
    ],
)
def test_tool_is_content(command: list[str]) -> None:
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _contract(name: str) -> dict[str, Any]:
    [found] = [each for each in PROJECT["tool"]["importlinter"]["contracts"] if each["name"] == name]
    return dict(found)


def test_every_room_reaches_the_outside_through_ports_or_is_named() -> None:
    held = {
        room.removeprefix("tellwire.")
        for name in ("Pure rooms do no I/O", "Loops reach the outside through ports")
        for room in _contract(name)["source_modules"]
    } - {"tellwire_sdk"}
    server = ROOT / "src/tellwire"
    there = {path.relative_to(server).parts[0].removesuffix(".py") for path in MODULES if server in path.parents}
    missing = sorted(there - {"__init__"} - OUTSIDE - held)
    assert not missing, f"in neither contract of pyproject.toml that keeps I/O at the edge, nor in OUTSIDE: {missing}"
    assert held & OUTSIDE == set()


PARSERS = {
    "delivery/attempt.py",
    "formats/chat/handshake.py",
    "formats/meta/handshake.py",
    "formats/cloudevents.py",
    "agents/openai_chat.py",
}
"""What reads an answer as it came, and shows nothing of it: Retry-After, a challenge's echo, a permission, a
model's answer."""


def test_only_what_parses_reads_an_answer_as_it_came() -> None:
    source = ROOT / "src/tellwire"
    texts = {path.relative_to(source).as_posix(): path.read_text() for path in sorted(source.rglob("*.py"))}
    assert {name for name, text in texts.items() if re.search(r"\w\.actual\b", text)} == PARSERS
    assert [name for name, text in texts.items() if re.search(r"answer\.hidden\.", text)] == []


def test_the_house_has_at_most_8_modules_at_its_root_and_12_layers() -> None:
    assert len(list((ROOT / "src/tellwire").glob("*.py"))) <= 8
    assert len(_contract("Imports point inward; use cases and adapters never meet")["layers"]) <= 12


def test_no_module_is_longer_than_400_lines() -> None:
    long = _named([path for path in MODULES if _lines(path) > 400])
    assert not long, f"split what has more than 400 lines by what it is about: {', '.join(long)}"


def test_half_of_the_modules_have_at_most_150_lines() -> None:
    assert statistics.median(map(_lines, MODULES)) <= 150


def test_no_module_is_called_after_nothing() -> None:
    empty = {"util", "helper", "common", "core", "base", "manager", "handler", "misc"}
    assert _named([path for path in MODULES if {part.removesuffix("s") for part in path.stem.split("_")} & empty]) == []


def test_every_module_says_what_it_is() -> None:
    assert _named([path for path in MODULES if not ast.get_docstring(ast.parse(path.read_text()))]) == []


POINTING = {"It", "They", "These", "Those", "This", "Somebody", "Nobody", "Nothing", "Whoever"}
"""First words that leave a reader to guess what the docstring is about."""
PUBLISHED = {"src/tellwire/web/api/templates.py create_template"}
"""Docstrings that are descriptions in the API's OpenAPI document, where the summary stands before them."""

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def test_every_docstring_names_what_it_is_about() -> None:
    offenders = [
        f"{place}: {text.splitlines()[0]}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, Documented) and (text := ast.get_docstring(node))
        for place in [f"{path.relative_to(ROOT)} {getattr(node, 'name', 'module')}"]
        if (first := re.match(r"[A-Za-z]+", text)) and first[0] in POINTING and place not in PUBLISHED
    ]
    assert not offenders, "first words that point at something unnamed:\n" + "\n".join(offenders)


def test_nothing_is_marked_as_unfinished() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
    assert _named([path for path in [*MODULES, ROOT / "run", ROOT / ".ci/run"] if marks.search(path.read_text())]) == []


def test_no_code_of_others_and_no_large_file_is_kept_here() -> None:
    foreign = re.compile(
        r"(^|/)(node_modules|vendor|vendored|third_party|_vendor)/|\.min\.(js|css)$|\.(whl|so|dll|exe)$"
    )
    installed = ROOT / "tests/clients/node/node_modules"
    files = [
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not path.is_relative_to(installed)
    ]
    assert [name for name in _named(files) if foreign.search(name)] == []
    assert _named([path for path in files if path.stat().st_size > 512 * 1024]) == []
    assert not (ROOT / "uv.lock").exists(), "uv.lock records download addresses; requirements.lock is ours"


# --- locks ------------------------------------------------------------------------------------------------------------


def _pins(lock: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Package → its version with the platforms that need it, and its hashes."""
    pins: dict[str, tuple[str, frozenset[str]]] = {}
    for entry in re.split(r"(?m)^(?=[a-z0-9])", (ROOT / lock).read_text()):
        if pin := re.match(r"([a-z0-9-]+)==(.+?) \\\n", entry):
            pins[pin[1]] = (pin[2], frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", entry)))
    return pins


def _package(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9_.-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_the_locks_hold_every_dependency() -> None:
    runtime = {_package(each) for each in PROJECT["project"]["dependencies"]} - {"tellwire-sdk"}
    tools = {_package(each) for each in PROJECT["dependency-groups"]["dev"]}
    assert runtime - _pins("requirements.lock").keys() == set()
    assert tools - _pins("requirements-dev.lock").keys() == set()


def test_the_lock_of_the_tests_contains_the_other_with_the_same_pins() -> None:
    dev = _pins("requirements-dev.lock")
    assert {name: dev.get(name) for name in _pins("requirements.lock")} == _pins("requirements.lock")


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_pins_by_hash_and_names_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert [name for name, (_, hashes) in _pins(lock).items() if not hashes] == []
    assert len(_pins(lock)) == len(re.findall(r"(?m)^[a-z0-9]", text))
    assert not re.search(r"://|--(extra-)?index-url|--find-links", text)
