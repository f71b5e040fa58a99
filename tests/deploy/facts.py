"""Facts that the files in `deploy` state over and over, from where they are true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from tests.deploy.dockerfile import DOCKERFILE, ROOT, stages, variables

from tellwire import settings

DEPLOY = ROOT / "deploy"
IMAGE = stages(DOCKERFILE.read_text())[-1]
VARIABLES = variables(IMAGE)
USER = IMAGE.one("USER")[0]
PORT = int(VARIABLES["TELLWIRE_PORT"])
STATE = IMAGE.one("WORKDIR")[0]


def documents(path: Path) -> list[Any]:
    """The YAML documents of a file."""
    return list(yaml.safe_load_all(path.read_text()))


def check_settings(given: dict[str, str], secrets: str) -> None:
    """Each is a setting, its value one that it takes, and each file is below the folder of the secrets."""
    for variable, value in given.items():
        name = variable.removeprefix("TELLWIRE_").lower()
        if name.endswith("_file"):
            assert value == f"{secrets}/{name.removesuffix('_file')}"
            name = name.removesuffix("_file")
        elif not value.startswith("${"):
            settings.SETTINGS[name].parse(value)
        assert name in settings.SETTINGS, variable
