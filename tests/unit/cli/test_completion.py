"""Completion, asked as a shell asks."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from tellwire.cli import COMMANDS, main
from tellwire.cli.tree import tree


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts, each made once."""
    place = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        with (place / shell).open("w") as file, redirect_stdout(file):
            assert main(["completion", shell]) == 0
    return place


def completed(scripts: Path, *words: str) -> list[str]:
    """What bash offers for the last word of a line."""
    line = " ".join(f"'{word}'" for word in words)
    program = f"""
        source {scripts / "bash"}
        COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}
        _tellwire
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, timeout=20)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("tellwire", "deli"), ["deliveries"]),
        (("tellwire", "c"), sorted(each for each in COMMANDS if each.startswith("c"))),
        (("tellwire", "--ver"), ["--version"]),
        (("tellwire", "endpoints", "re"), ["recover", "resume"]),
        (("tellwire", "messages", "list", "--si"), ["--since"]),
        (("tellwire", "messages", "list", "--since", "1h", "--di"), ["--direction"]),
        (("tellwire", "why", "--prof"), ["--profile"]),
        (("tellwire", "replay", "--fai"), ["--failed"]),
        (("tellwire", "nothing", "--"), []),
    ],
)
def test_bash_completes(words: tuple[str, ...], offered: list[str], scripts: Path) -> None:
    assert sorted(completed(scripts, *words)) == sorted(offered)


def test_every_command_and_option_is_in_every_script(scripts: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        script = (scripts / shell).read_text()
        for command in tree():
            for node in (command, *command.below):
                assert node.path[-1] in script
                names = [name for each in node.parameters for name in each.names if name.startswith("--")]
                assert all((name if shell != "fish" else f"-l {name[2:]}") in script for name in names)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_can_read_their_script(shell: str, scripts: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    subprocess.run([shell, "-n", str(scripts / shell)], check=True, timeout=20)


def test_another_shell_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "csh"]) == 2
    assert capsys.readouterr().err == "tellwire: there is a script for bash, zsh, fish; not for csh\n"
