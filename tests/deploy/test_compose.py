"""compose.yaml agrees with the image and the settings, and starts things in their order."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.dockerfile import ROOT
from tests.deploy.facts import DEPLOY, IMAGE, PORT, STATE, USER, check_settings, documents

from tellwire import __version__, settings
from tellwire.cli import COMMANDS, serving

(COMPOSE,) = documents(DEPLOY / "compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("tellwire:")}


def test_every_setting_exists_and_each_secret_has_a_file() -> None:
    for service in OURS.values():
        check_settings(service["environment"], "/run/secrets")
        named = {name for name in service["environment"] if name.endswith("_FILE")}
        assert {f"TELLWIRE_{name.upper()}_FILE" for name in service["secrets"]} == named
    used = {name for service in SERVICES.values() for name in service["secrets"]}
    assert used == COMPOSE["secrets"].keys()
    assert {name: f"./secrets/{name}" for name in used} == {
        name: secret["file"] for name, secret in COMPOSE["secrets"].items()
    }
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"deploy/secrets/", "deploy/kubernetes/secrets/"} <= set(ignored)


def test_ours_run_locked_as_the_images_user() -> None:
    for service in OURS.values():
        assert (service["user"], service["read_only"], service["cap_drop"]) == (USER, True, ["ALL"])
        assert service["tmpfs"][0].startswith("/tmp")
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["image"] == f"tellwire:{__version__}"
        assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert service["command"][0] in COMMANDS


def test_one_waits_for_another_until_it_is_ready() -> None:
    assert OURS["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert OURS["tellwire"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert "healthcheck" in SERVICES["postgres"]
    health = IMAGE.one("HEALTHCHECK")
    assert OURS["tellwire"]["healthcheck"]["test"] == ["CMD", *health[health.index("CMD") + 1 :]]
    assert OURS["migrate"]["restart"] == "no"


def test_only_this_machine_reaches_the_port_and_the_state_is_kept() -> None:
    assert OURS["tellwire"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert OURS["tellwire"]["volumes"] == [f"tellwire:{STATE}"]
    assert OURS["tellwire"]["environment"]["TELLWIRE_MEDIA_URL"].startswith(f"file://{STATE}/")
    volumes = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    assert set(volumes) == COMPOSE["volumes"].keys()
    assert int(OURS["tellwire"]["stop_grace_period"].removesuffix("s")) > 2 * serving.GRACE_SECONDS


def test_the_page_makes_every_secret_and_each_is_one_that_the_setting_takes(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here")
    page = (ROOT / "docs/how-to/run-as-a-service.md").read_text()
    section = page.partition("## Compose")[2].partition("\n## ")[0]
    made = section.partition("```sh\n")[2].partition("\nexport ")[0]
    subprocess.run(["/bin/sh", "-euc", made], cwd=tmp_path, check=True)
    folder = tmp_path / "deploy/secrets"
    assert {path.name for path in folder.iterdir()} == COMPOSE["secrets"].keys()
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o644"}  # the image's user reads them
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    given = {name: f"{folder}/{value.rpartition('/')[2]}" for name, value in files(OURS["tellwire"]).items()}
    found = settings.load(given, directory=tmp_path)
    password = (folder / "postgres_password").read_text()
    user, database = (SERVICES["postgres"]["environment"][f"POSTGRES_{name}"] for name in ("USER", "DB"))
    assert found.database_url == f"postgresql://{user}:{password}@postgres/{database}"
    assert len(password) >= 32
    assert len(found.master_key) == len(found.meta_app_secret) == 1


def files(service: Any) -> dict[str, str]:
    """The settings of a service that name a file."""
    return {name: value for name, value in service["environment"].items() if name.endswith("_FILE")}


def test_the_page_names_what_kubernetes_wants() -> None:
    page = (ROOT / "docs/how-to/run-as-a-service.md").read_text().partition("## Kubernetes")[2]
    named = re.search(r"(?m)^# … (.*)$", page)
    assert named is not None
    assert set(named[1].split(", ")) == COMPOSE["secrets"].keys() - {"postgres_password"}
