"""`serve` and a simulated Meta as processes of their own, as somebody sees them who calls the Graph façade."""

from __future__ import annotations

import asyncio
import json
import signal
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.processes import Running, request
from tests.postgres_server import free_port
from tests.proofs.deployments import ADMIN, Deployment, OnPostgres, OnSqlite
from tests.proofs.meta_load import APP_SECRET

import tellwire_sdk
from tellwire.simulator import BUSINESS, TOKEN

NUMBER = BUSINESS.phone_number_id
WABA = BUSINESS.waba_id
VERSION = "v24.0"
CUSTOMER = "5215500000001"


class Site:
    """A deployment whose Meta is a simulator."""

    def __init__(self, deployment: Deployment, meta: str) -> None:
        self.deployment = deployment
        self.url = deployment.url()
        self.graph = f"{self.url}/graph"
        self.meta = meta

    def rest(self, method: str, path: str, body: Any = None, *, key: str = ADMIN, status: int = 0) -> Any:
        """Call the REST API; `status`: what it must answer."""
        found, answer = request(f"{self.url}{path}", key=key, method=method, body=body)
        assert found == status or (not status and found < 400), (method, path, found, answer)
        return answer

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str = ADMIN,
        headers: Mapping[str, str] | None = None,
        version: str = VERSION,
    ) -> tuple[int, Any]:
        """Call the façade."""
        return request(f"{self.graph}/{version}{path}", key=key, method=method, body=body, headers=dict(headers or {}))

    def form(self, path: str, **fields: str) -> tuple[int, Any]:
        """POST a form to the façade."""
        body = urllib.parse.urlencode(fields).encode()
        return self.call("POST", path, body, headers={"Content-Type": "application/x-www-form-urlencoded"})

    def upload(self, content: bytes, *fields: tuple[str, str], kind: str = "image/png", query: str = "") -> Any:
        """Upload a file to the façade; return the status and the answer."""
        parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in fields]
        head = f'Content-Disposition: form-data; name="file"; filename="x"\r\nContent-Type: {kind}\r\n\r\n'
        body = b"".join(b"--frontier\r\n%b\r\n" % part for part in (head.encode() + content, *parts))
        sent = {"Content-Type": "multipart/form-data; boundary=frontier"}
        return self.call("POST", f"/{NUMBER}/media{query}", body + b"--frontier--\r\n", headers=sent)

    def send(self, to: str = CUSTOMER, *, key: str = ADMIN, once: str = "", **more: Any) -> tuple[int, Any]:
        """Send a message over the façade, by default a text."""
        headers = {"Idempotency-Key": once} if once else {}
        return self.call("POST", f"/{NUMBER}/messages", text(to, **more), key=key, headers=headers)

    # --- Meta ---------------------------------------------------------------------------------------------------------

    def control(self, name: str, **given: Any) -> Any:
        """Call the simulator's control API: a GET unless something is given."""
        body = given or None
        status, answer = request(f"{self.meta}/_simulator/{name}", method="POST" if given else "GET", body=body)
        assert status == 200, answer
        return answer

    def accepted(self) -> list[dict[str, Any]]:
        """Every message that Meta has accepted."""
        found: list[dict[str, Any]] = []
        while page := self.control(f"accepted?after={len(found)}")["data"]:
            found += page
        return found

    def heard(self, sender: str, *, hours_ago: float) -> None:
        """Have a customer's text come now that was written some hours ago."""
        at = int(time.time() - hours_ago * 3600)
        message = {"from": sender, "id": f"wamid.{sender}.{at}", "timestamp": str(at), "type": "text"}
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": BUSINESS.display_phone_number, "phone_number_id": NUMBER},
            "contacts": [{"profile": {"name": "Ana"}, "wa_id": sender}],
            "messages": [message | {"text": {"body": "Hola"}}],
        }
        change = {"field": "messages", "value": value}
        body = json.dumps({"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": [change]}]})
        signed = {"X-Hub-Signature-256": tellwire_sdk.hub_signature(body.encode(), APP_SECRET)}
        status, _ = request(f"{self.url}/meta/webhook", method="POST", body=body.encode(), headers=signed)
        assert status == 200

    # --- rows ---------------------------------------------------------------------------------------------------------

    def messages(self, state: str = "") -> list[dict[str, Any]]:
        """The newest messages of ours."""
        query = f"&send_state={state}" if state else ""
        rows: list[dict[str, Any]] = self.rest("GET", f"/v1/messages?limit=200{query}")["data"]
        return rows

    def account(self, **changes: Any) -> None:
        """Change the account."""
        self.rest("PATCH", f"/v1/accounts/{NUMBER}", changes)


def text(to: str = CUSTOMER, **more: Any) -> dict[str, Any]:
    """A message as a Graph client sends it."""
    return {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "Hola"}} | more


@contextmanager
def site(folder: Path, *, postgres: bool = False, rate: int = 80, **knobs: Any) -> Iterator[Site]:
    """Start both; `postgres`: one process answers and another one sends; `rate`: messages a second of the account."""
    port = free_port()
    meta_url = f"http://127.0.0.1:{port}"
    graph = f"{meta_url}/{VERSION}"
    if postgres:
        parts = {"web": ("--role", "ingest"), "send": ("--role", "deliver")}
        deployment: Deployment = OnPostgres(folder, parts, META_GRAPH_URL=graph)
    else:
        deployment = OnSqlite(folder, META_GRAPH_URL=graph)
    turned = [part for name, value in knobs.items() for part in ("--knob", f"{name}={json.dumps(value)}")]
    callback = f"{deployment.url()}/meta/webhook"
    meta = Running(
        *("simulate", "--serve", "--json", "--port", str(port), "--url", callback, "--secret", APP_SECRET, *turned),
        cwd=folder,
    )
    try:
        meta.wait_for(lambda lines: next(iter(lines), None))
        asyncio.run(deployment.begin())
        found = Site(deployment, meta_url)
        draft = {"phone_number_id": NUMBER, "waba_id": WABA, "access_token": TOKEN, "send_rate": rate}
        found.rest("POST", "/v1/accounts", draft)
        yield found
    finally:
        asyncio.run(deployment.end())
        meta.stop(signal.SIGKILL)


__all__ = ["ADMIN", "CUSTOMER", "NUMBER", "TOKEN", "VERSION", "WABA", "Site", "site", "text"]
