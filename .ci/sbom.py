"""Say what runs: `./run sbom` prints a bill of materials (CycloneDX 1.6, JSON), `./run sbom --licences` the licences.

What requirements.lock pins is what runs; names and hashes are its, licences and requirements are those that the
installed packages declare. The same commit gives the same document.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.markers import Marker
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCK, LOCK_OF_TESTS = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"

COMPATIBLE = {
    *(
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CNRI-Python",
        "ISC",
        "MIT",
        "MIT-0",
        "PSF-2.0",
    ),  # ask for a notice at most
    "MPL-2.0",  # binds its own files only, which are passed on unchanged
}
"""Licences of what a program under MIT may require and be installed with."""
_SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
}
"""The names that older packages use → their SPDX identifiers."""
_IN_THEIR_FILES = {"jinja2": "BSD-3-Clause", "prompt-toolkit": "BSD-3-Clause"}
"""Licences of packages that declare only a family; read in the licence file of each."""

_PIN = re.compile(r"(?m)^([a-z0-9-]+)==(\S+)(?: ; ([^\\\n]+?))? \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")


class Pin(NamedTuple):
    """A package as a lock pins it."""

    name: str
    version: str
    hashes: tuple[str, ...]


def pins(lock: Path) -> dict[str, Pin]:
    """Return what a lock installs on this platform, by name."""
    found = _PIN.findall(lock.read_text())
    return {
        name: Pin(name, version, tuple(sorted(re.findall(r"sha256:(\w+)", hashes))))
        for name, version, marker, hashes in found
        if not marker or Marker(marker).evaluate()
    }


def licence(package: Distribution) -> str:
    """Return the licence of an installed package as an SPDX expression.

    Raises:
        LookupError: the package declares none that is known here.
    """
    said, name = package.metadata, _name(package.name)
    if expression := said.get("License-Expression"):
        return expression
    classifiers = [each.split(" :: ")[-1] for each in said.get_all("Classifier", []) if each.startswith("License :: ")]
    if name in _IN_THEIR_FILES:
        return _IN_THEIR_FILES[name]
    known = sorted({_SPDX[each] for each in classifiers if each in _SPDX})
    if known and len(known) == len(classifiers):
        return " OR ".join(known)
    declared = (said.get("License") or "").partition("\n")[0].strip()  # some put the whole text there
    if (declared := _SPDX.get(declared, declared)) and set(_identifiers(declared)) <= COMPATIBLE:
        return declared
    raise LookupError(
        f"{name} declares no licence that is known here: {declared[:60]!r}, {classifiers}; see .ci/sbom.py"
    )


def compatible(expression: str) -> bool:
    """Return whether what has this licence may be installed with a program under MIT: one of the alternatives may."""
    return any(
        all(each in COMPATIBLE for each in _identifiers(alternative))
        for alternative in re.split(r"\bOR\b", expression.replace("(", " ").replace(")", " "))
    )


def _identifiers(expression: str) -> list[str]:
    return re.split(r"\s+(?:AND|OR)\s+", expression.strip())


def required(package: Distribution, extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """Iterate over what a package requires on this platform, with these extras of its own."""
    for line in package.requires or ():
        needed = Requirement(line)
        if not needed.marker or any(needed.marker.evaluate({"extra": each}) for each in ("", *extras)):
            yield needed


def of_extra(lines: Iterable[str], besides: Mapping[str, Pin]) -> dict[str, Pin]:
    """Return what an extra adds to what is installed besides."""
    locked, found, waiting = pins(LOCK_OF_TESTS), {}, [Requirement(line) for line in lines]
    while waiting:
        needed = waiting.pop()
        name = _name(needed.name)
        if name in locked and name not in besides and name not in found:
            found[name] = locked[name]
            waiting.extend(required(distribution(name), needed.extras))
    return dict(sorted(found.items()))


def bill_of_materials() -> str:
    """Return the CycloneDX document."""
    project, runs = _project(), pins(LOCK)
    made = {name: _component(pin, licence(distribution(name))) for name, pin in runs.items()}
    sdk = _ours("tellwire-sdk", project["version"])
    server = _ours("tellwire", project["version"], type=ComponentType.APPLICATION, description=project["description"])
    bom = Bom(
        components=[*made.values(), sdk], serial_number=uuid5(NAMESPACE_OID, project["version"] + LOCK.read_text())
    )
    bom.metadata.component = server
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        bom.metadata.timestamp = datetime.fromtimestamp(int(epoch), UTC)
    direct = [_name(Requirement(line).name) for line in project["dependencies"]]
    bom.register_dependency(server, [sdk, *(made[name] for name in direct if name in made)])
    for name, component in made.items():
        needs = {_name(each.name) for each in required(distribution(name))}
        bom.register_dependency(component, [made[each] for each in needs if each in made])
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def page() -> str:
    """Return docs/reference/licences.md."""
    project, runs = _project(), pins(LOCK)
    parts = [
        "# Licences\n",
        "What Tellwire installs, with the licence that each package declares. All may be installed with, and passed on",
        "beside, a program under [MIT](../../LICENSE), which is Tellwire's. `./run sbom --licences` makes this page,",
        "`./run sbom` prints what always runs as a bill of materials (CycloneDX).\n",
        "## What always runs\n",
        *_table(runs),
    ]
    for extra, lines in sorted(project["optional-dependencies"].items()):
        parts += [f"\n## The extra `{extra}`\n", *_table(of_extra(lines, runs))]
    return "\n".join(parts) + "\n"


def _table(packages: Mapping[str, Pin]) -> list[str]:
    rows = [f"| {pin.name} | {pin.version} | {licence(distribution(name))} |" for name, pin in packages.items()]
    return ["| package | version | licence |", "|---|---|---|", *rows]


def _component(pin: Pin, its_licence: str) -> Component:
    return Component(
        name=pin.name,
        version=pin.version,
        bom_ref=f"{pin.name}=={pin.version}",
        purl=PackageURL("pypi", None, pin.name, pin.version),
        licenses=[LicenseExpression(its_licence)],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in pin.hashes],
    )


def _ours(name: str, version: str, **facts: Any) -> Component:
    purl = PackageURL("pypi", None, name, version)
    return Component(name=name, version=version, licenses=[LicenseExpression("MIT")], bom_ref=name, purl=purl, **facts)


def _project() -> dict[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [version] = re.findall(r'(?m)^__version__ = "(.+)"$', (ROOT / "src/tellwire/__init__.py").read_text())
    return project | {"version": version}


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.stdout.write(page() if sys.argv[1:] == ["--licences"] else bill_of_materials())
