"""The Dockerfile: what goes in, who it runs as, and that it asks for its own health. `.ci/run` runs its steps."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from tests.deploy.dockerfile import DOCKERFILE, ROOT, Tree, stages
from tests.deploy.facts import IMAGE, PORT, STATE, USER, VARIABLES

from tellwire import __version__
from tellwire.cli import COMMANDS

STAGES = stages(DOCKERFILE.read_text())
INSTALL = ROOT / "deploy/install.sh"


def test_a_dockerfile_is_read_as_data() -> None:
    first, last = stages(
        "ARG BASE=python:3\n# a note\nFROM ${BASE} AS build\nCOPY a b /c/\nRUN echo 'x y' \\\n  z\n"
        'FROM other\nENV A=1 B="2 3"\nHEALTHCHECK --retries=3 CMD ["t", "ready"]\n'
    )
    assert (first.image, first.name, last.image, last.name) == ("python:3", "build", "other", "")
    assert first.one("COPY") == ("a", "b", "/c/")
    assert first.one("RUN") == ("echo", "x y", "z")
    assert last.one("HEALTHCHECK") == ("--retries=3", "CMD", "t", "ready")
    assert last.one("ENV") == ("A=1", "B=2 3")


def test_paths_of_the_image_move_and_others_stay(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    assert tree.moved("/opt/tellwire/bin:/usr/bin") == f"{tmp_path}/opt/tellwire/bin:/usr/bin"
    assert tree.moved("/opt/tellwires/x") == "/opt/tellwires/x"
    assert tree.moved("/build/deploy/install.sh") == f"{tmp_path}/build/deploy/install.sh"


def test_what_is_copied_is_there_and_not_ignored() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for step in STAGES[0].steps:
        if step.name == "COPY":
            for source in step.words[:-1]:
                assert (ROOT / source).exists(), source
                assert any(Path(source).is_relative_to(each) for each in kept), f"{source} is ignored"
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()


def test_continuous_integration_runs_the_steps() -> None:
    assert "python -m tests.deploy.dockerfile" in (ROOT / ".ci/run").read_text()


def test_what_runs_has_no_build_tool_and_comes_from_the_lock() -> None:
    (copied,) = (step.words for step in IMAGE.steps if step.name == "COPY")
    assert copied == (f"--from={STAGES[0].name}", "/opt/tellwire", "/opt/tellwire")
    runs = [shlex.join(step.words) for step in IMAGE.steps if step.name == "RUN"]
    assert not [run for run in runs if re.search(r"apt|pip|curl|apk", run)]
    script = INSTALL.read_text()
    assert script.count("--require-hashes") == script.count('requirements.lock"') == 2


def test_it_runs_as_nobody_in_particular_and_its_state_has_one_place() -> None:
    uid, gid = USER.split(":")
    assert int(uid) >= 10000
    assert int(gid) >= 10000
    assert f"install -d -m 0700 -o {uid} -g {gid} {STATE}" in DOCKERFILE.read_text()
    assert (IMAGE.one("VOLUME"), VARIABLES["HOME"]) == ((STATE,), STATE)
    assert IMAGE.one("EXPOSE") == (str(PORT),)


def test_its_commands_are_ours() -> None:
    health = IMAGE.one("HEALTHCHECK")
    assert health[health.index("CMD") + 1 :] == ("tellwire", "ready")
    assert IMAGE.one("ENTRYPOINT") == ("tellwire",)
    assert {"ready", *IMAGE.one("CMD")} <= COMMANDS.keys()
    assert VARIABLES["PATH"].startswith("/opt/tellwire/bin:")


@pytest.mark.parametrize(
    "path",
    [
        "deploy/Dockerfile",
        "deploy/compose.yaml",
        "deploy/kubernetes/kustomization.yaml",
        "docs/how-to/run-as-a-service.md",
    ],
)
def test_the_version_is_this_one(path: str) -> None:
    named = re.findall(r"(?:tellwire:|newTag: )([0-9][\w.]*)", (ROOT / path).read_text())
    assert named, path
    assert set(named) == {__version__}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "takes two words"),
        (["packages"], "takes two words"),
        (["wheels", "x"], "not wheels"),
        (["code", "nowhere"], "install the packages first"),
    ],
)
def test_the_install_script_says_what_is_wrong(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run([INSTALL, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []
