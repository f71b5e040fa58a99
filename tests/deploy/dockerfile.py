"""Read a Dockerfile as data, and run its steps in a folder where there is no builder.

    .venv/bin/python -m tests.deploy.dockerfile

installs Tellwire as the image does, from the packages' index, then serves from that tree, which it makes read-only,
with a folder for state, and asks whether it is ready. Exit 0 when it is. `.ci/run` runs this; the tests read the same
lines.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy/Dockerfile"
STATE = "/var/lib/tellwire"
_SECONDS = 300


class Step(NamedTuple):
    """One instruction: its name in capitals, and the words behind it, from a JSON list if it is one."""

    name: str
    words: tuple[str, ...]


class Stage(NamedTuple):
    """What stands below one FROM: the image it begins with, its own name ("" for none), and its steps."""

    image: str
    name: str
    steps: list[Step]

    def one(self, name: str) -> tuple[str, ...]:
        """The words of an instruction that is there once."""
        (found,) = (step.words for step in self.steps if step.name == name)
        return found


def stages(text: str) -> list[Stage]:
    """The stages of a Dockerfile."""
    found: list[Stage] = []
    arguments: dict[str, str] = {}
    joined = re.sub(r"(?m)^\s*#.*\n", "", text).replace("\\\n", " ")
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        words = _words(rest)
        if name == "ARG":
            key, _, value = rest.partition("=")
            arguments[key] = value
        elif name == "FROM":
            image = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], words[0])
            found.append(Stage(image, words[2] if len(words) == 3 else "", []))
        else:
            found[-1].steps.append(Step(name, words))
    return found


def _words(rest: str) -> tuple[str, ...]:
    at = rest.find("[")
    return (*shlex.split(rest[:at]), *json.loads(rest[at:])) if at >= 0 else tuple(shlex.split(rest))


def variables(stage: Stage) -> dict[str, str]:
    """What ENV sets."""
    return dict(word.split("=", 1) for step in stage.steps if step.name == "ENV" for word in step.words)


class Tree:
    """A folder in which an image's absolute paths are paths below it. All stages share it, so that what one copies from
    another stands there already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def at(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def moved(self, word: str) -> str:
        """A word of a command with the paths that the image makes moved into this folder."""
        return re.sub(r"(?<![\w.])/(build|opt/tellwire|var/lib/tellwire)(?=[/:]|$)", rf"{self.folder}/\1", word)

    def take(self, step: Step) -> None:
        """Do what COPY and RUN say; other steps say how the image runs."""
        if step.name == "COPY" and not step.words[0].startswith("--from="):
            *sources, target = step.words
            for source in sources:
                _copied(ROOT / source, self.at(target), into=target.endswith("/"))
        elif step.name == "RUN" and step.words[0] == "install":  # for the image's user, whom this machine does not know
            self.at(step.words[-1]).mkdir(parents=True)
        elif step.name == "RUN":
            command = " ".join(shlex.quote(self.moved(word)) for word in step.words)
            subprocess.run(["/bin/sh", "-euc", command], check=True, cwd=self.folder, timeout=_SECONDS)


def _copied(source: Path, target: Path, *, into: bool) -> None:
    there = target / source.name if into else target
    there.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, there, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, there)


def main() -> int:
    """Build the tree, serve from it, ask whether it is ready."""
    base = Path(tempfile.mkdtemp(prefix="tellwire-image-"))
    try:
        tree = Tree(base)
        *earlier, last = stages(DOCKERFILE.read_text())
        for stage in (*earlier, last):
            for step in stage.steps:
                tree.take(step)
        shutil.rmtree(tree.at("/build"))  # the last stage does not have it
        return _serves(tree, last)
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(base)], check=True)
        shutil.rmtree(base)


def _serves(tree: Tree, last: Stage) -> int:
    state = tree.at(STATE)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    kept = {name: value for name, value in os.environ.items() if name in ("LANG", "LC_ALL", "TZ")}
    given = {name: tree.moved(value) for name, value in variables(last).items()}
    env = kept | given | {"TELLWIRE_HOST": "127.0.0.1", "TELLWIRE_PORT": port, "TMPDIR": str(state)}
    subprocess.run(["chmod", "-R", "a-w", str(tree.folder)], check=True)
    state.chmod(0o700)
    # Root may write anywhere, whatever the modes say, unless it gives that up.
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"] if os.geteuid() == 0 else []
    if (
        subprocess.run(
            [*drop, "touch", str(tree.at("/opt/tellwire/bin/new"))], check=False, stderr=subprocess.DEVNULL
        ).returncode
        == 0
    ):
        return _said("the tree could be written, so this shows nothing", 1)
    command = [*drop, *(_program(tree, word) for word in (*last.one("ENTRYPOINT"), *last.one("CMD")))]
    with subprocess.Popen(command, cwd=tree.at(last.one("WORKDIR")[0]), env=env) as server:
        check = last.one("HEALTHCHECK")
        asked = [_program(tree, word) for word in check[check.index("CMD") + 1 :]]
        code = subprocess.run([*asked, "--wait", "30"], env=env, cwd=state, check=False).returncode
        server.terminate()
        ended = server.wait(30)
    kept_there = sorted(path.name for path in state.iterdir())
    return _said(f"ready: {code}, ended: {ended}, its state folder has {', '.join(kept_there)}", code or ended)


def _program(tree: Tree, word: str) -> str:
    return str(tree.at("/opt/tellwire/bin/tellwire")) if word == "tellwire" else word


def _said(words: str, code: int) -> int:
    sys.stdout.write(f"image: {words}\n")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
