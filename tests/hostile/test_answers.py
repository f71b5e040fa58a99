"""A tenant tries to read what stands inside the operator's network, by whatever makes Tellwire send a request."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.acceptance.processes import logged_url, running, until
from tests.hostile.inside import PLANTED, Heard, Inside, Said, listening, secretive
from tests.world import CUSTOMER, NUMBER, envelope, incoming, value

import tellwire_sdk
from tellwire.security.api_keys import DEFAULT_SCOPES

ADMIN = "an-invented-admin-key-of-32-characters-or-more"
APP_SECRET = "an-invented-app-secret"
TOKEN = "EAAG-an-invented-access-token"
STATUSES = ("200", "302", "401", "404", "500", "bytes", "garbage", "half")
EVERYWHERE = "0.0.0.0/0,::/0"


class Client:
    """Calls with one key; `seen` is everything that came back, heads included."""

    def __init__(self, url: str, key: str, **headers: str) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"} | headers
        self.seen: list[str] = []

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, raw, self.headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        self.seen.append(f"{method} {path}: {answer.status} {answer.getheaders()} {content!r}")
        kind = answer.getheader("content-type") or ""
        return answer.status, json.loads(content) if "json" in kind and content else content

    def made(self, path: str, body: Any = None, *, method: str = "POST") -> Any:
        """The JSON of a call that must succeed."""
        status, answer = self.call(method, path, body)
        assert 200 <= status < 300, answer
        return answer

    def rows(self, path: str) -> list[Any]:
        """The newest rows of a list."""
        return list(self.made(f"{path}{'&' if '?' in path else '?'}limit=200", method="GET")["data"])

    def read_everything(self) -> None:
        """GET whatever the OpenAPI document lists, and below every list whatever is there by its rows' ids."""
        paths = [path for path, calls in self.made("/openapi.json", method="GET")["paths"].items() if "get" in calls]
        found: dict[str, list[str]] = {"": [""]}
        for path in sorted(paths, key=lambda each: each.count("{")):
            if "stream" in path or path.count("{") > 1:
                continue
            before = path.partition("/{")[0]
            for one in found.get(before, []) if "{" in path else [""]:
                target = path[: path.index("{")] + one + path[path.index("}") + 1 :] if "{" in path else path
                status, answer = self.call("GET", target)
                if status == 200 and isinstance(answer, dict) and isinstance(answer.get("data"), list):
                    ids = [row["id"] for row in answer["data"] if isinstance(row, dict) and "id" in row]
                    found.setdefault(path, []).extend(ids)


class Place:
    """A running server, its operator and a tenant with every scope that a tenant can have."""

    def __init__(self, url: str, log: list[str]) -> None:
        self.url = url
        self.log = log
        self.operator = Client(url, ADMIN)
        self.organization = self.operator.made("/v1/organizations", {"name": "Another"})["id"]
        made = Client(url, ADMIN, **{"Tellwire-Organization": self.organization})
        key = made.made(
            "/v1/api-keys", {"name": "x", "organization_id": self.organization, "scopes": [*DEFAULT_SCOPES]}
        )
        made.made("/v1/accounts", {"phone_number_id": NUMBER, "waba_id": "1", "access_token": TOKEN})
        self.tenant = Client(url, key["key"])

    def customer(self, wamid: str, sender: str = CUSTOMER) -> None:
        """A customer writes, now."""
        self.meta(incoming(wamid, sender=sender, at=int(time.time())))

    def meta(self, item: dict[str, Any]) -> None:
        """Meta posts what happened."""
        raw = json.dumps(envelope(item)).encode()
        signed = {"X-Hub-Signature-256": tellwire_sdk.hub_signature(raw, APP_SECRET)}
        status, answer = Client(self.url, "", **signed).call("POST", "/meta/webhook", raw)
        assert status == 200, answer

    def endpoint(self, url: str, **more: Any) -> tuple[int, Any]:
        """Create an endpoint as the tenant."""
        return self.tenant.call("POST", "/v1/webhook-endpoints", {"url": url, "format": "row", **more})

    def agent(self, name: str, base_url: str, **more: Any) -> tuple[int, Any]:
        """Create an agent as the tenant."""
        draft = {"name": name, "kind": "ai", "model": "m", "base_url": base_url, "debounce_seconds": 0}
        return self.tenant.call("POST", "/v1/agents", draft | more)


@contextmanager
def place(folder: Path, **settings: str) -> Iterator[Place]:
    ours = {
        "ADMIN_KEY": ADMIN,
        "META_APP_SECRET": APP_SECRET,
        "DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
        "RETRY_SCHEDULE": "0.05",
        "DELIVERY_TIMEOUT_SECONDS": "5",
    }
    with running("serve", cwd=folder, **(ours | settings)) as server:
        yield Place(server.wait_for(logged_url, stream="err"), server.err)


def ended(there: Place, endpoint_id: str) -> list[Any]:
    """The deliveries to an endpoint that are over."""
    found = there.tenant.rows(f"/v1/deliveries?endpoint_id={endpoint_id}")
    return [each for each in found if each["state"] in ("delivered", "failed")]


def calling(tool: str) -> Said:
    call = {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": "{}"}}
    return completion({"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls")


def completion(message: dict[str, Any], reason: str = "stop") -> Said:
    choice = {"index": 0, "message": message, "finish_reason": reason}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    told = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return Said(200, json.dumps(told).encode(), (("Content-Type", "application/json"),))


def test_a_tenant_reads_nothing_of_the_operators_network(tmp_path: Path) -> None:
    def model(heard: Heard) -> Said:
        """The tenant's own: it calls the tool once, then says goodbye."""
        messages = json.loads(heard.body)["messages"]
        tools = any(each["role"] == "tool" for each in messages)
        return completion({"role": "assistant", "content": "Goodbye"}) if tools else calling("peek")

    def meta(heard: Heard) -> Said:
        """Meta's Graph API, which leads to the service inside."""
        told = {"url": f"{inside.url}/200/file", "mime_type": "image/jpeg", "id": "1", "success": True, "data": []}
        return Said(200, json.dumps(told).encode(), (("Content-Type", "application/json"),))

    with (
        listening(secretive) as inside,
        listening(model) as brain,
        listening(meta) as graph,
        place(
            tmp_path,
            META_GRAPH_URL=f"{graph.url}/v24.0",
            MODEL_ALLOW_CIDRS="127.0.0.0/8",
            TOOL_ALLOW_CIDRS=f"127.0.0.1:{inside.port}",
        ) as there,
    ):
        tenant = there.tenant
        challenge_and_test(there, inside)
        deliver_and_replay(there, inside)
        ask_models(there, inside, brain)
        fetch_files(there, inside)
        tenant.read_everything()
        assert len(inside.heard) > 20
        assert [each for each in tenant.seen if PLANTED in each] == []
        assert PLANTED not in "".join(each.body.decode() for each in brain.heard)
        assert any(b"is not shown" in each.body for each in brain.heard)
        assert [line for line in there.log if PLANTED in line] == []
        assert [each.path for each in inside.heard if TOKEN in str(each)] == []


def challenge_and_test(there: Place, inside: Inside) -> None:
    for first in STATUSES:
        status, problem = there.endpoint(f"{inside.url}/{first}/challenge", format="chat")
        assert (status, problem["errors"][0]["pointer"]) == (422, "/url")
        status, endpoint = there.endpoint(f"{inside.url}/{first}/test", events=["endpoint.disabled"])
        assert status == 201
        told = there.tenant.made(f"/v1/webhook-endpoints/{endpoint['id']}/test", {})
        assert (told["response_body"], told["response_body_base64"], told["response_headers"]) == ("", None, [])
        there.tenant.call("PATCH", f"/v1/webhook-endpoints/{endpoint['id']}", {"format": "chat", "url": inside.url})


def deliver_and_replay(there: Place, inside: Inside) -> None:
    tenant = there.tenant
    endpoints = [there.endpoint(f"{inside.url}/{each}/hook", events=["messages.insert"])[1]["id"] for each in STATUSES]
    there.customer("wamid.1")
    for endpoint, first in zip(endpoints, reversed(STATUSES), strict=True):
        [delivery] = until(lambda e=endpoint: ended(there, e), what="the end")  # type: ignore[misc]
        wanted = {"url": f"{inside.url}/{first}/replay", "body": {"give": "me"}}
        tenant.made(f"/v1/deliveries/{delivery['id']}/replay", wanted)
    for endpoint in endpoints:
        [delivery] = until(
            lambda e=endpoint: [each for each in ended(there, e) if each["replay"]],  # type: ignore[misc]
            what="the end of a replay",
        )
        attempts = tenant.made(f"/v1/deliveries/{delivery['id']}/attempts", method="GET")["data"]
        assert len(attempts) >= 2
        assert {(each["response_body"], *each["response_headers"]) for each in attempts} == {("",)}


def ask_models(there: Place, inside: Inside, brain: Inside) -> None:
    tenant = there.tenant
    tool = {"name": "peek", "url": f"{inside.url}/200/tool", "method": "GET"}
    wanted: list[tuple[str, dict[str, Any]]] = [
        (f"{inside.url}/{each}", {}) for each in ("200", "401", "404", "500", "garbage")
    ]
    wanted.append((f"{brain.url}/v1", {"tools": [tool], "allowed_tool_origins": [inside.url]}))
    for number, (base_url, more) in enumerate(wanted):
        status, agent = there.agent(f"agent {number}", base_url, **more)
        assert status == 201, agent
        tenant.made(f"/v1/accounts/{NUMBER}", {"agent_id": agent["id"]}, method="PATCH")
        there.customer(f"wamid.agent.{number}", f"5215500000{100 + number}")
        until(lambda a=agent: tenant.rows(f"/v1/agents/{a['id']}/runs"), what="a run")  # type: ignore[misc]
    tenant.made(f"/v1/accounts/{NUMBER}", {"agent_id": None}, method="PATCH")


def fetch_files(there: Place, inside: Inside) -> None:
    image = {"mime_type": "image/jpeg", "sha256": "", "id": "900000000000001"}
    sent = {"from": CUSTOMER, "id": "wamid.image", "timestamp": str(int(time.time())), "type": "image", "image": image}
    there.meta(value(messages=[sent]))
    [media] = until(
        lambda: [each for each in there.tenant.rows("/v1/media") if each["state"] != "waiting"], what="the file"
    )
    assert (media["state"], media["cause"]) == ("failed", "Meta's link to the file leads to a host that is not Meta's")
    there.tenant.call("GET", f"/v1/media/{media['id']}/content")
    there.tenant.call(
        "POST",
        "/v1/messages",
        {"account": NUMBER, "to": CUSTOMER, "type": "image", "image": {"link": f"{inside.url}/200/link"}},
    )


def own_hosts() -> list[str]:
    """How this machine can be named: spellings of loopback, and the addresses of its interfaces."""
    hosts = ["127.0.0.1", "127.1", "127.0.0.2", "0x7f000001", "2130706433", "localhost", "a.localhost", "0.0.0.0", "0"]
    hosts += ["[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]"]
    trie = Path("/proc/net/fib_trie")
    lines = trie.read_text().splitlines() if trie.exists() else []
    local = {before.split()[-1] for before, line in pairwise(lines) if "/32 host LOCAL" in line}
    return hosts + sorted(local)


def test_no_allow_list_admits_tellwires_own_port(tmp_path: Path) -> None:
    lists = dict.fromkeys(("DELIVERY_ALLOW_CIDRS", "MODEL_ALLOW_CIDRS", "TOOL_ALLOW_CIDRS"), EVERYWHERE)
    with listening(secretive) as inside, place(tmp_path, **lists) as there:
        port = urlsplit(there.url).port
        status, endpoint = there.endpoint(f"{inside.url}/500/hook", events=["messages.insert"])
        assert status == 201, endpoint
        there.customer("wamid.1")
        [delivery] = until(lambda: ended(there, endpoint["id"]), what="the end")
        for host in own_hosts():
            own = f"http://{host}:{port}/metrics"
            for format_ in ("row", "chat"):
                refused(there.endpoint(own, format=format_), "/url", "Tellwire's own port")
            replay = f"/v1/deliveries/{delivery['id']}/replay"
            refused(there.tenant.call("POST", replay, {"url": own}), "/url", "Tellwire's own port")
            path = f"/v1/webhook-endpoints/{endpoint['id']}"
            refused(there.tenant.call("PATCH", path, {"url": own}), "/url", "Tellwire's own port")
            refused(there.agent("x", own), "/base_url", "Tellwire's own port")
            tool = {"name": "peek", "url": own}
            more = {"tools": [tool], "allowed_tool_origins": [f"http://{host}:{port}"]}
            refused(there.agent("x", f"{inside.url}/v1", **more), "/tools/0/url", "Tellwire's own port")


def refused(answer: tuple[int, Any], pointer: str, words: str) -> None:
    status, problem = answer
    assert status == 422, problem
    assert [each["pointer"] for each in problem["errors"]] == [pointer]
    assert words in problem["errors"][0]["message"]


@pytest.mark.parametrize("purpose", ["DELIVERY", "MODEL", "TOOL"])
def test_a_list_is_for_one_purpose_and_its_ports(tmp_path: Path, purpose: str) -> None:
    with (
        listening(secretive) as inside,
        listening(secretive) as beside,
        place(tmp_path, **{"DELIVERY_ALLOW_CIDRS": "", f"{purpose}_ALLOW_CIDRS": f"127.0.0.1:{inside.port}"}) as there,
    ):
        for service in (inside, beside):
            tool = {"name": "peek", "url": f"{service.url}/tool"}
            tools = {"tools": [tool], "allowed_tool_origins": [service.url]}
            answers = {
                "DELIVERY": (there.endpoint(f"{service.url}/hook"), "/url"),
                "MODEL": (there.agent("x", f"{service.url}/v1"), "/base_url"),
                "TOOL": (there.agent("x", "https://models.example/v1", state="paused", **tools), "/tools/0/url"),
            }
            for name, (answer, pointer) in answers.items():
                if name == purpose and service is inside:
                    assert answer[0] == 201, answer
                else:
                    refused(answer, pointer, f"{name}_ALLOW_CIDRS can admit it")
        assert inside.heard == beside.heard == []
