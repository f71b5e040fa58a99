"""ARCHITECTURE, CONTRIBUTING and docs/contributing name what is there: every folder, path, name, test and command."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from tests.test_docs import GENERATED

from tellwire.cli import COMMANDS
from tellwire.settings import SETTINGS

ROOT = Path(__file__).parent.parent
SERVER = ROOT / "src/tellwire"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
PAGES = [ARCHITECTURE, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs/contributing").glob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]

_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")
_FILES = (".py", ".md", ".toml", ".lock", ".json")
_EXAMPLES = {"0002_language.py", "0002_language", "tellwire.toml"}
"""What a page shows as an example, and a user's own file."""


def quoted(page: str) -> list[str]:
    """What stands in backticks on a page."""
    return re.findall(r"`([^`\n]+)`", without_blocks(page))


def without_blocks(page: str) -> str:
    """A page without its drawings and blocks of commands."""
    return re.sub(r"(?ms)^```.*?^```$", "", (ROOT / page).read_text())


def is_there(path: str) -> bool:
    """Whether there is such a file or folder, from the root or from the server's; a name alone may stand anywhere."""
    if "/" in path.rstrip("/"):
        return any((base / each).exists() for base in (ROOT, SERVER) for each in (path, f"{path}.py"))
    return (ROOT / path).exists() or any(next(base.rglob(path), None) for base in (SERVER, ROOT / "tests"))


@cache
def code() -> str:
    """All code and all settings of tools, as one text."""
    folders = [path for folder in ("src", "sdk", "tests") for path in (ROOT / folder).rglob("*.py")]
    return "\n".join(path.read_text() for path in [*folders, ROOT / "pyproject.toml"] if path != Path(__file__))


@pytest.mark.parametrize("page", NAMES)
def test_every_path_is_there(page: str) -> None:
    paths = [
        each for each in quoted(page) if _PATH.fullmatch(each) and (each.endswith(_FILES) or "/" in each.strip("/"))
    ]
    gone = sorted(each for each in set(paths) if Path(each).name not in _EXAMPLES and not is_there(each))
    assert not gone, f"{page} names what is not there: {gone}"


@pytest.mark.parametrize("page", NAMES)
def test_every_name_is_one_of_the_code(page: str) -> None:
    quotes = [re.fullmatch(r"([A-Za-z_][\w.]*)(?:\(.*\)|=.*)?", each) for each in quoted(page)]
    names = {
        name
        for found in quotes
        if found and not found[1].endswith(_FILES) and not found[1].startswith("test_")
        for name in found[1].split(".")
    }
    known = {name.upper() for name in SETTINGS} | set(COMMANDS) | _EXAMPLES
    gone = sorted(each for each in names - known if not re.search(rf"\b{each}\b", code()))
    assert not gone, f"{page} names what no module defines: {gone}"


@pytest.mark.parametrize("page", NAMES)
def test_every_test_is_there(page: str) -> None:
    named = {each for each in quoted(page) if re.fullmatch(r"test_\w+", each)}
    files = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    gone = sorted(each for each in named - files if f"def {each}(" not in code())
    assert not gone, f"{page} names tests that are not there: {gone}"


@pytest.mark.parametrize("page", NAMES)
def test_every_command_is_one(page: str) -> None:
    known = {*re.findall(r"(?m)^  (\w+)\)$", (ROOT / "run").read_text()), *COMMANDS}
    generating = {command for _, command in GENERATED.values()} | {"./run openapi --reference > docs/reference/api.md"}
    for command in re.findall(r"\./run [a-z][^`\n#|]*", (ROOT / page).read_text()):
        name, *rest = command.split()[1:]
        assert name in known, f"{page} names ./run {name}, which is no command"
        assert ">" not in rest or command in generating, f"{page} names {command}, which makes no page of ours"
        gone = [path for path in rest if path.startswith("tests") and not (ROOT / path).exists()]
        assert not gone, f"{page} runs {gone}, which are not there"


# --- the drawing of the house -----------------------------------------------------------------------------------------


def test_every_folder_has_a_row_among_the_rooms() -> None:
    folders = {path.name for path in SERVER.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    rows = set(re.findall(r"(?m)^\| `(\w+)/` \|", ARCHITECTURE.read_text()))
    assert not folders - rows, f'ARCHITECTURE.md, "The rooms", has no row for {sorted(folders - rows)}'
    assert not rows - folders, (
        f'ARCHITECTURE.md, "The rooms", has a row for what is no folder: {sorted(rows - folders)}'
    )


def test_every_module_at_the_root_is_named() -> None:
    [said] = re.findall(r"(?ms)^At the root stand only.*?\n\n", ARCHITECTURE.read_text())
    modules = {path.stem for path in SERVER.glob("*.py")} - {"__init__", "__main__"}
    missing = sorted(name for name in modules if not re.search(rf"\b{name}\b", said))
    assert not missing, f"ARCHITECTURE.md does not say what these modules at the root are for: {missing}"


def test_the_layers_are_those_that_the_linter_holds() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [each["layers"] for each in contracts if each["type"] == "layers"]
    drawn = "\n".join(layers)
    assert f"```\n{drawn}\n```" in ARCHITECTURE.read_text(), f"the layers of ARCHITECTURE.md should be\n{drawn}"


def test_the_drawings_name_modules_that_are_there() -> None:
    drawings = "\n".join(re.findall(r"(?ms)^```\n(.*?)^```$", ARCHITECTURE.read_text()))
    named = set(re.findall(r"(?<![\w/])[a-z_]+(?:/[a-z_]+)+", drawings))
    assert len(named) > 15
    assert sorted(each for each in named if not is_there(each)) == []


def test_the_page_is_short_enough_to_be_read() -> None:
    assert len(ARCHITECTURE.read_text().splitlines()) <= 130
