"""What is published: two packages that anybody can build again, with all that they need, and what they require.

They are installed once, into an environment that holds nothing else, with an own HOME and an empty cache. That asks the
package index of the environment; where it gives no answer those tests are skipped, and fail if CI is set.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from email import message_from_bytes
from email.message import Message
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import tellwire
import tellwire_sdk
from tellwire.model.extras import EXTRAS

ROOT = Path(__file__).parents[1]
VERSION = tellwire.__version__
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOLDERS = {"tellwire": ROOT, "tellwire_sdk": ROOT / "sdk"}
EPOCH = "1796083200"


def build(folder: Path, into: Path, **variables: str) -> None:
    """Build both packages of a project, as `./run build` does."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(into)],
        cwd=folder,
        env=os.environ | {"SOURCE_DATE_EPOCH": EPOCH} | variables,
        capture_output=True,
        check=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both packages of both projects."""
    into = tmp_path_factory.mktemp("dist")
    for folder in FOLDERS.values():
        build(folder, into)
    return into


def wheel(built: Path, name: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(built / f"{name}-{VERSION}-py3-none-any.whl")


def metadata(built: Path, name: str) -> Message:
    return message_from_bytes(wheel(built, name).read(f"{name}-{VERSION}.dist-info/METADATA"))


def source(name: str) -> set[str]:
    """Every file of a package in the checkout."""
    base = FOLDERS[name] / "src"
    return {
        path.relative_to(base).as_posix()
        for path in (base / name).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


@pytest.mark.parametrize("name", FOLDERS)
def test_a_wheel_holds_every_file_of_the_package_and_its_licence(built: Path, name: str) -> None:
    packed = set(wheel(built, name).namelist())
    own = {f"{name}-{VERSION}.dist-info/{each}" for each in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")}
    scripts = {f"{name}-{VERSION}.dist-info/entry_points.txt"} if name == "tellwire" else set()
    assert packed == source(name) | own | scripts
    assert f"{name}/py.typed" in packed


def test_pages_styles_texts_and_migrations_are_among_them(built: Path) -> None:
    packed = wheel(built, "tellwire").namelist()
    for ending in (".html", ".css", ".js", ".svg", ".toml"):
        assert any(each.endswith(ending) for each in packed), ending
    assert "tellwire/stores/migrations/versions/0001_initial.py" in packed


@pytest.mark.parametrize("name", FOLDERS)
def test_the_source_distribution_builds_the_same_bytes_elsewhere(built: Path, tmp_path: Path, name: str) -> None:
    with tarfile.open(built / f"{name}-{VERSION}.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    elsewhere = tmp_path / f"{name}-{VERSION}"
    for path in elsewhere.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (0, 0))
    build(elsewhere, tmp_path / "again", TZ="Asia/Tokyo", LC_ALL="C")
    names = [f"{name}-{VERSION}.tar.gz", f"{name}-{VERSION}-py3-none-any.whl"]
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == sorted(names)
    for each in names:
        digests = {hashlib.sha256((folder / each).read_bytes()).hexdigest() for folder in (built, tmp_path / "again")}
        assert len(digests) == 1, f"{each} is not reproducible"


def test_a_source_distribution_holds_what_is_named_and_nothing_that_lies_about(built: Path) -> None:
    with tarfile.open(built / f"tellwire-{VERSION}.tar.gz") as packed:
        names = [Path(name).relative_to(f"tellwire-{VERSION}").as_posix() for name in packed.getnames()]
    assert {name for name in names if "/" not in name} == {
        *("PKG-INFO", "pyproject.toml", ".gitignore", "LICENSE", "requirements.lock"),
        *("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"),
    }
    assert {name.partition("/")[0] for name in names if "/" in name} == {"src", "docs"}
    assert {name.removeprefix("src/") for name in names if name.startswith("src/")} == source("tellwire")


# --- metadata ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FOLDERS)
def test_the_metadata_says_who_what_and_for_which_python(built: Path, name: str) -> None:
    said = metadata(built, name)
    assert (said["Name"], said["Version"]) == (name.replace("_", "-"), VERSION)
    assert (said["Author"], said["License-Expression"]) == ("The Tellwire developers", "MIT")
    assert (said["License-File"], said["Requires-Python"]) == ("LICENSE", ">=3.11")
    assert said["Description-Content-Type"] == "text/markdown"
    assert said["Summary"]
    assert said["Keywords"]
    classifiers = said.get_all("Classifier", [])
    assert not [each for each in classifiers if each.startswith("License ::")], "the expression says it"
    supported = re.findall(r"(?m)^supported='(.*)'$", (ROOT / "run").read_text())[0].split()
    named = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", each) for each in classifiers]
    assert [each[1] for each in named if each] == supported
    assert "Typing :: Typed" in classifiers


@pytest.mark.parametrize("name", FOLDERS)
def test_the_description_leads_nowhere_that_is_not_on_the_index(built: Path, name: str) -> None:
    text = metadata(built, name).get_payload()
    assert isinstance(text, str)
    assert text.startswith("# ")
    assert re.findall(r"\]\((?!https://)[^)]*\)", text) == []
    assert "./run" not in text
    assert "python" in text


def test_the_description_is_the_readme_in_its_words(built: Path) -> None:
    text = str(metadata(built, "tellwire").get_payload())
    for heading in ("# Tellwire", "## Install", "## Your first subscriber", "## Send", "## With the real Meta"):
        assert heading in text
        assert heading in (ROOT / "README.md").read_text()
    assert "pip install tellwire" in text


def test_there_is_one_version_and_both_packages_have_it(built: Path) -> None:
    assert tellwire_sdk.__version__ == VERSION
    assert f"tellwire-sdk=={VERSION}" in metadata(built, "tellwire").get_all("Requires-Dist", [])
    assert metadata(built, "tellwire_sdk").get_all("Requires-Dist") is None


def test_both_carry_the_same_licence() -> None:
    assert (ROOT / "sdk/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


# --- what is required is what is imported -----------------------------------------------------------------------------


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def owners() -> dict[str, str]:
    """Installed module, as a path without its ending → the distribution that brings it."""
    module = re.compile(r"(?m)^((?!\.\.)[^,\n]+?)(?:/__init__)?\.(?:py|[^/,\n]*so),")
    brought = {normal(found.name): module.findall(found.read_text("RECORD") or "") for found in distributions()}
    return {path: name for name, paths in brought.items() for path in paths}


def owner(module: str) -> str | None:
    """The distribution of a module, or of what it is a part of."""
    parts = module.split(".")
    found = (owners().get("/".join(parts[:length])) for length in range(len(parts), 0, -1))
    return next(filter(None, found), None)


_IMPORT = re.compile(r"(?m)^ *(?:import ([\w.]+)|from (\w[\w.]*) import (\w*))")


def imported(files: Iterable[Path] | None = None) -> set[str]:
    """Every module of others that our code imports, anywhere in a file; words of prose are no modules."""
    found = {
        whole or f"{module}.{name}".rstrip(".")
        for path in files or (ROOT / "src").rglob("*.py")
        for whole, module, name in _IMPORT.findall(path.read_text())
    }
    installed = {path.partition("/")[0] for path in owners()}
    ours = sys.stdlib_module_names | {"tellwire", "tellwire_sdk"}
    return {each for each in found if (top := each.partition(".")[0]) in installed and top not in ours}


def declared(lines: list[str]) -> set[str]:
    return {normal(Requirement(line).name) for line in lines}


def test_what_is_required_is_what_is_imported() -> None:
    """What only another package needs is that one's to require; what nothing imports is not required."""
    wanted = declared(PROJECT["dependencies"]) - {"tellwire-sdk"}
    extra = declared([line for lines in PROJECT["optional-dependencies"].values() for line in lines])
    found = {owner(name) or name for name in imported()}
    assert not found - wanted - extra, "imported and not required"
    assert not (wanted | extra) - found, "required and not imported"
    assert not wanted & extra


def test_the_table_of_extras_is_that_of_the_project() -> None:
    brought = {extra: {owner(library) for library in libraries} for extra, libraries in EXTRAS.items()}
    assert brought == {extra: declared(lines) for extra, lines in PROJECT["optional-dependencies"].items()}


def test_every_use_of_an_extra_is_one_that_is_told_at_the_start() -> None:
    """Who adds a use adds it to the tests of the start too: here below, and in `tests/agents/test_extra.py`."""
    uses = {
        (extra, path.relative_to(ROOT / "src/tellwire").as_posix())
        for path in (ROOT / "src/tellwire").rglob("*.py")
        for brought in map(owner, imported([path]))
        for extra, lines in PROJECT["optional-dependencies"].items()
        if brought in declared(lines)
    }
    assert uses == {
        ("agents", "agents/openai_chat.py"),
        ("oidc", "http_client/oidc.py"),
        ("oidc", "security/oidc.py"),
        ("otel", "observability/traces.py"),
        ("s3", "stores/files/bucket.py"),
    }


# --- installed --------------------------------------------------------------------------------------------------------


class Installed:
    """The packages in an environment of their own, with an empty HOME."""

    def __init__(self, folder: Path) -> None:
        self.home, self.python = folder / "home", folder / "environment/bin/python"
        self.home.mkdir()
        kept = {"PATH", "LANG", "CI"} | {
            name for name in os.environ if re.match(r"(PIP|UV|SSL|REQUESTS)_|.*_proxy$", name, re.IGNORECASE)
        }
        self.variables = {name: value for name, value in os.environ.items() if name in kept}
        self.variables |= {"HOME": str(self.home), "PIP_CACHE_DIR": str(self.home / "pip")}
        self.variables |= {"UV_CACHE_DIR": str(self.home / "uv"), "UV_PYTHON_DOWNLOADS": "never"}

    def install(self, built: Path) -> str:
        """Install the wheels with uv, or with pip where it is not; return why that did not work."""
        uv = shutil.which("uv") or shutil.which("uv", path=ROOT / ".venv-uv/bin")
        into, wheels = (
            str(self.python.parents[1]),
            [str(built / f"tellwire-{VERSION}-py3-none-any.whl"), "--find-links", str(built)],
        )
        steps = (
            [
                [uv, "venv", "--python", sys.executable, into],
                [uv, "pip", "install", "--python", str(self.python), *wheels],
            ]
            if uv
            else [
                [sys.executable, "-m", "venv", into],
                [str(self.python), "-m", "pip", "install", "--no-compile", *wheels],
            ]
        )
        for step in steps:
            done = subprocess.run(step, env=self.variables, capture_output=True, text=True, check=False, timeout=300)
            if done.returncode:
                return (done.stderr.strip() or done.stdout.strip())[-500:]
        return ""

    def tellwire(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        variables = self.variables | {f"TELLWIRE_{name}": value for name, value in settings.items()}
        return subprocess.run(
            [self.python.with_name("tellwire"), *arguments],
            cwd=self.home,
            env=variables | {"TELLWIRE_PORT": "0"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    environment = Installed(tmp_path_factory.mktemp("installed"))
    if why := environment.install(built):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the wheels could not be installed: {why}")
    return environment


def test_dev_works_from_the_wheels_in_an_empty_environment(installed: Installed) -> None:
    done = installed.tellwire("dev", "--once", "--json")
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    told: dict[str, Any] = json.loads(line)
    assert told["ok"] is True
    assert {"row", "chat"} <= told["formats"].keys()


OIDC = {
    "OIDC_ISSUER": "https://login.example.org",
    "OIDC_CLIENT_ID": "tellwire",
    "OIDC_CLIENT_SECRET": "invented",
    "PUBLIC_URL": "https://tellwire.example.org",
}


@pytest.mark.parametrize(
    ("extra", "settings"),
    [
        ("s3", {"MEDIA_URL": "s3://bucket/prefix?endpoint=https://s3.example.org"}),
        ("otel", {"TRACING": "true"}),
        ("oidc", OIDC),
    ],
)
def test_an_extra_that_a_setting_needs_is_missed_at_the_start(
    installed: Installed, extra: str, settings: dict[str, str]
) -> None:
    done = installed.tellwire("serve", **settings)
    assert (done.returncode, done.stdout) == (2, "")
    [said] = done.stderr.splitlines()
    assert said.startswith(f"tellwire: {next(iter(settings))}")
    assert said.endswith(f"needs the extra `{extra}`: pip install 'tellwire[{extra}]'")
    assert not list(installed.home.glob("*.db")), "nothing was made before it was said"


def test_the_version_is_said_with_the_python_and_the_extras(installed: Installed) -> None:
    said = installed.tellwire("--version").stdout.splitlines()
    python = ".".join(map(str, sys.version_info[:3]))
    assert said == [f"tellwire {VERSION}", f"Python {python}; extras: none of {', '.join(EXTRAS)}"]
