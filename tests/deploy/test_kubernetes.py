"""The Kubernetes manifests agree with the image, the settings and each other."""

from __future__ import annotations

from typing import Any

from tests.deploy.facts import DEPLOY, PORT, STATE, USER, check_settings, documents

from tellwire.cli import COMMANDS, serving

FOLDER = DEPLOY / "kubernetes"
(TOP,) = documents(FOLDER / "kustomization.yaml")
OBJECTS: dict[str, Any] = {each["kind"]: each for path in TOP["resources"] for each in documents(FOLDER / path)}
POD = OBJECTS["Deployment"]["spec"]["template"]["spec"]
(SERVER,) = POD["containers"]
(MIGRATION,) = POD["initContainers"]
BOTH = (SERVER, MIGRATION)


def test_every_file_is_used() -> None:
    assert {path.name for path in FOLDER.glob("*.yaml")} == {"kustomization.yaml", *TOP["resources"]}


def test_every_setting_exists_and_each_secret_is_mounted() -> None:
    (config,), (secret,) = TOP["configMapGenerator"], TOP["secretGenerator"]
    given = dict(literal.split("=", 1) for literal in config["literals"])
    mounts = {mount["name"]: mount["mountPath"] for mount in SERVER["volumeMounts"]}
    check_settings(given, mounts["secrets"])
    files = {f"secrets/{value.rpartition('/')[2]}" for name, value in given.items() if name.endswith("_FILE")}
    assert files == set(secret["files"])
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    assert volumes.keys() == mounts.keys()
    assert volumes["secrets"]["secret"]["secretName"] == secret["name"]
    claim = volumes["media"]["persistentVolumeClaim"]["claimName"]
    assert claim == OBJECTS["PersistentVolumeClaim"]["metadata"]["name"]
    assert given["TELLWIRE_MEDIA_URL"] == f"file://{mounts['media']}"
    assert (mounts["state"], mounts["tmp"]) == (STATE, "/tmp")
    for container in BOTH:
        assert container["envFrom"] == [{"configMapRef": {"name": config["name"]}}]


def test_pods_run_locked_as_the_images_user() -> None:
    uid, gid = map(int, USER.split(":"))
    told = POD["securityContext"]
    assert (told["runAsUser"], told["runAsGroup"], told["fsGroup"], told["runAsNonRoot"]) == (uid, gid, gid, True)
    for container in BOTH:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["volumeMounts"] == SERVER["volumeMounts"]
        assert container["image"] == TOP["images"][0]["name"]
        assert container["args"][0] in COMMANDS
    assert POD["enableServiceLinks"] is False  # else it sets TELLWIRE_PORT
    assert POD["automountServiceAccountToken"] is False


def test_probes_ask_what_they_mean_and_a_pod_has_time_to_end() -> None:
    (port,) = SERVER["ports"]
    assert port["containerPort"] == PORT
    asked = {name: SERVER[name]["httpGet"] for name in ("readinessProbe", "livenessProbe", "startupProbe")}
    assert {name: probe["path"] for name, probe in asked.items()} == {
        "readinessProbe": "/readyz",
        "livenessProbe": "/livez",
        "startupProbe": "/livez",
    }
    (served,) = OBJECTS["Service"]["spec"]["ports"]
    assert {served["targetPort"], *(probe["port"] for probe in asked.values())} == {port["name"]}
    pause = int(SERVER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["terminationGracePeriodSeconds"] > pause + 2 * serving.GRACE_SECONDS
    assert SERVER["resources"]["requests"].keys() == {"cpu", "memory"}


def test_a_node_that_is_emptied_leaves_one_pod() -> None:
    budget, deployment = OBJECTS["PodDisruptionBudget"]["spec"], OBJECTS["Deployment"]["spec"]
    assert deployment["replicas"] > budget["maxUnavailable"]
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_every_selector_means_these_pods() -> None:
    labels = OBJECTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels
    assert OBJECTS["Service"]["spec"]["selector"] == labels
    for selector in (
        OBJECTS["Deployment"]["spec"]["selector"],
        OBJECTS["PodDisruptionBudget"]["spec"]["selector"],
        POD["topologySpreadConstraints"][0]["labelSelector"],
    ):
        assert selector == {"matchLabels": labels}
