"""What a tag sets off: the steps of the release in their order, each with the least that it may do, and no secret."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import cyclonedx.schema
import pytest
import yaml
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from tests.test_locks import locked

import tellwire

ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / ".github/workflows/release.yml"
PINNED = re.compile(r"(?m)^ *- uses: ([\w./-]+)@([0-9a-f]{40}) # v(\d+\.\d+\.\d+)$")


@cache
def workflow() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    return found


def steps(job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workflow()["jobs"][job]["steps"]
    return found


def commands(job: str) -> str:
    return "\n".join(step["run"] for step in steps(job) if "run" in step)


def actions(job: str) -> list[str]:
    return [step["uses"].partition("@")[0] for step in steps(job) if "uses" in step]


# --- the workflow -----------------------------------------------------------------------------------------------------


def test_only_a_tag_of_a_version_starts_it() -> None:
    assert workflow()["on"] == {"push": {"tags": ["v*"]}}


def test_what_fails_stops_everything_after_it() -> None:
    jobs = workflow()["jobs"]
    order = ["check", "test", "build", "attest", "publish", "announce"]
    assert list(jobs) == order
    assert [jobs[name].get("needs") for name in order] == [None, *order[:-1]]
    assert not [each for job in jobs.values() for each in ("if", "continue-on-error") if each in job]
    assert not [step for name in order for step in steps(name) if {"if", "continue-on-error"} & step.keys()]


def test_each_job_may_do_the_least_that_it_needs() -> None:
    assert workflow()["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow()["jobs"].items()} == {
        "check": {"contents": "read"},
        "test": {"contents": "read"},
        "build": {"contents": "read"},
        "attest": {"attestations": "write", "id-token": "write"},
        "publish": {"id-token": "write"},
        "announce": {"contents": "write"},
    }


def test_what_may_sign_or_publish_runs_no_code_of_the_repository() -> None:
    for job in ("attest", "publish"):
        assert commands(job) == ""
        assert "actions/checkout" not in actions(job)
    assert actions("announce") == ["actions/download-artifact"]


def test_there_is_no_secret_and_no_text_of_others_becomes_a_command() -> None:
    text = WORKFLOW.read_text()
    assert "secrets" not in re.sub(r"(?m)#.*$", "", text)
    assert not re.search(r"(?i)password|api.?token|twine", text)
    assert "${{" not in "".join(map(commands, workflow()["jobs"]))
    for job in workflow()["jobs"]:
        for step in steps(job):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}


def test_every_action_is_pinned_by_its_hash() -> None:
    text = WORKFLOW.read_text()
    pins = PINNED.findall(text)
    assert len(pins) == text.count("uses:")
    assert len({(name, digest) for name, digest, _ in pins}) == len({name for name, _, _ in pins}), "one pin an action"


def test_the_tag_is_checked_the_tests_run_and_what_is_built_is_what_is_published() -> None:
    assert 'release_notes.py "$GITHUB_REF_NAME"' in commands("check")
    assert ".ci/run" in commands("test").splitlines()
    assert {"./run build", "./run sbom"} <= {" ".join(line.split()[:2]) for line in commands("build").splitlines()}
    assert actions("attest")[1:] == ["actions/attest-build-provenance", "actions/attest-sbom"]
    provenance, bill = steps("attest")[1:]
    assert provenance["with"]["subject-path"] == "dist/*"
    assert bill["with"]["sbom-path"] in commands("build").replace("$GITHUB_REF_NAME", "${{ github.ref_name }}")
    assert workflow()["jobs"]["publish"]["environment"]
    assert actions("publish") == ["actions/download-artifact", "pypa/gh-action-pypi-publish"]
    assert steps("publish")[1]["with"] == {"attestations": True}
    assert "dist/*" in commands("announce")
    assert "notes/*.cdx.json" in commands("announce")


# --- the tag, the version and the changelog ---------------------------------------------------------------------------

CHANGES = """# Changelog

## Unreleased

## 1.2.3 - 2026-12-01

### Added

- One.

## [1.2.2]

- Older.

## 1.0.0
"""
RELEASE = runpy.run_path(str(ROOT / ".ci/release_notes.py"))


@pytest.mark.parametrize(
    ("tag", "notes"), [("v1.2.3", "### Added\n\n- One.\n"), ("v1.2.2", "- Older.\n")], ids=["dated", "in brackets"]
)
def test_the_notes_of_a_release_are_those_of_the_changelog(tag: str, notes: str) -> None:
    assert RELEASE["notes"](tag, {"a.py": tag[1:]}, CHANGES) == notes


@pytest.mark.parametrize(
    ("tag", "version", "why"),
    [
        ("v1.2.4", "1.2.3", "the tag is v1.2.4, and b.py says 1.2.3"),
        ("1.2.3", "1.2.3", "the tag is 1.2.3, and b.py says 1.2.3: tag v1.2.3"),
        ("v1.2.30", "1.2.30", 'CHANGELOG.md says nothing under "## 1.2.30'),
        ("v1.0.0", "1.0.0", 'CHANGELOG.md says nothing under "## 1.0.0'),
        ("v1x2.3", "1x2.3", 'CHANGELOG.md says nothing under "## 1x2.3'),
    ],
)
def test_a_tag_that_is_not_ready_is_refused_with_the_reason(tag: str, version: str, why: str) -> None:
    with pytest.raises(RELEASE["NotReadyError"], match=re.escape(why)):
        RELEASE["notes"](tag, {"b.py": version}, CHANGES)


def test_the_check_reads_this_version_and_the_changelog_of_the_checkout() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/release_notes.py", "v99.0.0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"release: the tag is v99.0.0, and src/tellwire/__init__.py says {tellwire.__version__}"
    )


# --- the bill of materials and the licences ---------------------------------------------------------------------------


@cache
def bill() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/sbom.py"],
        env=os.environ | {"SOURCE_DATE_EPOCH": "1796083200"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_bill_is_cyclonedx() -> None:
    folder = Path(cyclonedx.schema.__file__).parent / "_res"
    schemas = [json.loads(path.read_text()) for path in folder.glob("*.schema.json")]
    registry = Registry().with_resources([(each["$id"], Resource.from_contents(each)) for each in schemas])
    [schema] = [each for each in schemas if each["$id"].endswith("bom-1.6.schema.json")]
    assert (bill()["bomFormat"], bill()["specVersion"]) == ("CycloneDX", "1.6")
    Draft7Validator(schema, registry=registry).validate(bill())


def test_the_bill_lists_what_runs_with_hashes_licence_and_what_it_needs() -> None:
    components = {each["name"]: each for each in bill()["components"]}
    windows = {"colorama"}
    assert {name: each["version"] for name, each in components.items()} == {
        **{name: version for name, version in locked().items() if name not in windows},
        "tellwire-sdk": tellwire.__version__,
    }
    assert [name for name, each in components.items() if not each["licenses"][0]["expression"]] == []
    assert [name for name, each in components.items() if not each.get("hashes")] == ["tellwire-sdk"]
    assert components["msgspec"]["purl"] == f"pkg:pypi/msgspec@{components['msgspec']['version']}"
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill()["dependencies"]}
    assert "tellwire-sdk" in needs["tellwire"]
    assert components["jinja2"]["bom-ref"] in needs["tellwire"]
    assert components["markupsafe"]["bom-ref"] in needs[components["jinja2"]["bom-ref"]]
    assert bill()["metadata"]["timestamp"] == "2026-12-01T00:00:00+00:00"


SBOM = runpy.run_path(str(ROOT / ".ci/sbom.py"))


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-2.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR Apache-2.0)", True),
        ("", False),
    ],
)
def test_a_licence_that_binds_others_is_found(expression: str, *, fine: bool) -> None:
    assert SBOM["compatible"](expression) is fine


def test_every_licence_may_stand_beside_ours() -> None:
    rows = re.findall(r"(?m)^\| ([\w.-]+) \| \d[\w.]* \| (.+) \|$", (ROOT / "docs/reference/licences.md").read_text())
    assert len(rows) > len(locked())
    assert [name for name, licence in rows if not SBOM["compatible"](licence)] == []
