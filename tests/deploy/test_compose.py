"""compose.yaml agrees with the image and the settings, and starts things in their order."""

from __future__ import annotations

from typing import Any

from tests.deploy.dockerfile import ROOT
from tests.deploy.facts import DEPLOY, IMAGE, PORT, STATE, USER, check_settings, documents

from tellwire import __version__
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
