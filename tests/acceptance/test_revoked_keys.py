"""A key that another process revokes: its streams end and it is refused, in seconds, on both stores."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from urllib.parse import urlsplit

from tests.acceptance.processes import request, tellwire
from tests.acceptance.test_main_job import ADMIN, serving, store

__all__ = ["store"]


def test_the_command_line_revokes_a_key_of_a_running_server(tmp_path: Path, store: dict[str, str]) -> None:
    with serving(tmp_path, **store) as (url, _):
        made = request(f"{url}/v1/api-keys", key=ADMIN, method="POST", body={"scopes": ["read"]})[1]
        place = urlsplit(url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        connection.request("GET", "/v1/events/stream", headers={"Authorization": f"Bearer {made['key']}"})
        stream = connection.getresponse()
        assert stream.readline() == b": tellwire\n"
        assert request(f"{url}/v1/accounts", key=made["key"])[0] == 200
        done = tellwire("keys", "revoke", made["id"], "--json", cwd=tmp_path, **store)
        assert json.loads(done.stdout)["revoked_at"], done.stderr
        stream.read()  # to its end
        status, problem = request(f"{url}/v1/accounts", key=made["key"])
        assert (status, problem["type"]) == (401, "urn:tellwire:problem:invalid-key")
        connection.close()
