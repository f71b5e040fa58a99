"""What an installation runs with: the runtime's lock, and the check for advisories about it."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
TEST_DATA = {
    "faker",
    "polyfactory",
    "hypothesis",
    "mimesis",
    "factory-boy",
    "model-bakery",
    "pytest",
    "moto",
    "responses",
}


def locked(path: Path = LOCK) -> dict[str, str]:
    """The pins of a lock: name → version."""
    return dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", path.read_text()))


def test_nothing_that_makes_up_test_data_runs_with_us() -> None:
    assert not TEST_DATA & locked().keys()


def test_the_tests_run_with_the_same_pins() -> None:
    assert locked().items() <= locked(ROOT / "requirements-dev.lock").items()


_LOADING = """
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.metadata import packages_distributions

locked = set(sys.argv[1].split(","))
distributions = packages_distributions()

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        found = distributions.get(name.partition(".")[0], ())
        theirs = {each.lower().replace("_", "-").replace(".", "-") for each in found}
        if theirs and not theirs & locked:
            raise ModuleNotFoundError(f"{name} is not in requirements.lock", name=name)

sys.meta_path.insert(0, Missing())
import pkgutil
import tellwire
# What belongs to an extra, and what Alembic runs.
left_out = ("tellwire.agents.openai_chat", "tellwire.stores.files.bucket", "tellwire.stores.migrations")
left_out += ("tellwire.http_client.oidc", "tellwire.security.oidc")
for module in pkgutil.walk_packages(tellwire.__path__, "tellwire."):
    if not module.name.startswith(left_out):  # importing __main__ as a module runs nothing
        import_module(module.name)
from tellwire.formats.openapi import webhooks
from tellwire.web.asgi import _routed, openapi
openapi(webhooks())
_routed(probes_only=False)
print("loaded", len(sys.modules))
"""


def test_every_module_loads_with_what_the_lock_pins_alone() -> None:
    """An environment with nothing else, imitated: what the lock lacks cannot be imported."""
    path = os.pathsep.join(str(ROOT / folder) for folder in ("src", "sdk/src"))
    done = subprocess.run(
        [sys.executable, "-c", _LOADING, ",".join([*locked(), "tellwire", "tellwire-sdk"])],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("loaded")


# --- advisories -------------------------------------------------------------------------------------------------------

PINNED = f"invented-package==1.2 \\\n    --hash=sha256:{'0' * 64}\nanother-one==3 \\\n    --hash=sha256:{'1' * 64}\n"


@contextmanager
def advising(answers: dict[str, object], status: int = 200) -> Iterator[str]:
    """An OSV service that knows these packages."""

    class Service(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = json.dumps(answers.get(asked["package"]["name"], {})).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked(tmp_path: Path, **variables: str) -> tuple[int, str]:
    lock = tmp_path / "pins.lock"
    lock.write_text(PINNED)
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/advisories.py", lock],
        env=kept | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


KNOWN = {
    "vulns": [
        {
            "id": "GHSA-0000-0000-0000",
            "summary": "invented",
            "affected": [
                {
                    "package": {"name": "invented-package", "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.3"}]}],
                }
            ],
        }
    ]
}


def test_an_advisory_fails_and_says_what_mends_it(tmp_path: Path) -> None:
    with advising({"invented-package": KNOWN}) as url:
        code, said = asked(tmp_path, ADVISORIES_OSV_URL=url)
    assert code == 1
    assert "invented-package 1.2 has GHSA-0000-0000-0000, fixed in 1.3" in said


def test_no_advisory_is_said_of_how_many(tmp_path: Path) -> None:
    with advising({}) as url:
        assert asked(tmp_path, ADVISORIES_OSV_URL=url) == (0, "advisories: nothing is known about 2 of 2 packages\n")


@pytest.mark.parametrize("status", [500, 0])
def test_who_cannot_ask_says_so(tmp_path: Path, status: int) -> None:
    with advising({}, status or 200) as url:
        answering = url
        if status:
            code, said = asked(tmp_path, ADVISORIES_OSV_URL=url)
    if not status:
        code, said = asked(tmp_path, ADVISORIES_OSV_URL=answering)
    assert code == 0
    assert "pins.lock COULD NOT BE CHECKED: " in said


def test_nobody_but_the_configured_index_is_asked(tmp_path: Path) -> None:
    code, said = asked(tmp_path, PIP_INDEX_URL="http://127.0.0.1:9/simple", UV_INDEX_URL="", UV_DEFAULT_INDEX="")
    assert (code, said.count("COULD NOT BE CHECKED: advisories are asked of pypi.org")) == (0, 1)


def test_ci_asks() -> None:
    assert "./run advisories" in (ROOT / ".ci/run").read_text()
