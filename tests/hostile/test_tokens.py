"""A Meta that lies about where things are: an account's token goes to META_GRAPH_URL and to nobody else."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.acceptance.processes import until
from tests.hostile.inside import Heard, Inside, Said, listening
from tests.hostile.test_answers import TOKEN, Place, place
from tests.world import CUSTOMER, NUMBER, value

JSON = (("Content-Type", "application/json"),)


def elsewhere(thief: Inside, graph: Inside) -> list[str]:
    """Links that lead past META_GRAPH_URL, however they look."""
    there = f"127.0.0.1:{thief.port}"
    return [
        f"http://{there}/plain",
        f"https://{there}/tls",
        f"http://localhost:{graph.port}/another-name-of-it",
        f"http://127.1:{graph.port}/another-spelling-of-it",
        f"http://127.0.0.1:{graph.port}@{there}/user",
        f"http://lookaside.fbsbx.com:443@{there}/metas-name-as-user",
        f"http://{there}\\@127.0.0.1:{graph.port}/backslash",
        f"http://{there}#@127.0.0.1:{graph.port}/",
        f"//{there}/no-scheme",
        f"http://127.0.0.1:{graph.port}.evil.localhost:{thief.port}/suffix",
        f"http://lookaside.fbsbx.com.localhost:{thief.port}/suffix",
        f"http://evilfbsbx.com.localhost:{thief.port}/suffix",
    ]


def test_a_meta_that_names_other_hosts_gets_the_token_nowhere(tmp_path: Path) -> None:
    def steal(_: Heard) -> Said:
        return Said(200, b"{}", JSON)

    def lie(heard: Heard) -> Said:
        """Every link leads elsewhere, and whatever else is asked is answered by a redirect there."""
        path = heard.path.partition("?")[0]
        number = path.rpartition("/")[2]
        if path.startswith("/redirect"):
            return Said(302, b"", (("Location", f"{thief.url}/after-a-redirect-of-a-file"),))
        if number.startswith("9000") and heard.method == "GET":
            url = links[int(number[4:])]
            return Said(
                200, json.dumps({"url": url, "mime_type": "image/jpeg", "sha256": "", "id": number}).encode(), JSON
            )
        if path.endswith("/message_templates") and "after=" not in heard.path and heard.method == "GET":
            following = {"cursors": {"after": "more"}, "next": f"{thief.url}/the-next-page"}
            return Said(200, json.dumps({"data": [], "paging": following}).encode(), JSON)
        if path.endswith("/message_templates") and heard.method == "POST":
            return Said(200, b'{"id": "500", "status": "PENDING", "category": "UTILITY"}', JSON)
        return Said(307, b"", (("Location", f"{thief.url}/after-a-redirect"),))

    with (
        listening(steal) as thief,
        listening(lie) as graph,
        place(tmp_path, META_GRAPH_URL=f"{graph.url}/v24.0", RETRY_SCHEDULE="") as there,
    ):
        links = [*elsewhere(thief, graph), f"{graph.url}/redirect"]
        receive_files(there, links)
        send_a_file(there)
        tenant = there.tenant
        tenant.call("POST", "/v1/templates/sync", {"account": NUMBER})
        draft = {"account": NUMBER, "name": "order", "language": "en", "category": "UTILITY"}
        header = {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": [f"{thief.url}/handle"]}}
        made = tenant.made("/v1/templates", draft | {"components": [header, {"type": "BODY", "text": "Hi"}]})
        tenant.call("DELETE", f"/v1/templates/{made['id']}?account={NUMBER}")
        for media in tenant.rows("/v1/media"):
            tenant.call("DELETE", f"/v1/media/{media['id']}")
        claim = {"phone_number_id": "100000000000001", "waba_id": "2", "access_token": TOKEN}
        tenant.call("POST", "/v1/accounts", claim)
        tenant.call("POST", "/v1/messages", {"account": NUMBER, "to": CUSTOMER, "type": "text", "text": {"body": "Hi"}})
        until(lambda: [each for each in graph.heard if each.path.endswith("/messages")], what="a message")
        assert {each.headers["authorization"] for each in graph.heard} == {f"Bearer {TOKEN}"}
        assert {each.headers["host"] for each in graph.heard} == {f"127.0.0.1:{graph.port}"}
        assert {f"{each.method} {each.path.partition('?')[0].rpartition('/')[2]}" for each in graph.heard} >= {
            "GET redirect",
            "GET message_templates",
            "POST message_templates",
            "DELETE message_templates",
            "GET 90000000",
            "DELETE 90000000",
            "GET 100000000000001",
            "POST media",
            "POST messages",
        }
        assert thief.heard == []
        assert [line for line in there.log if TOKEN in line] == []


def receive_files(there: Place, links: list[str]) -> None:
    for number in range(len(links)):
        image = {"mime_type": "image/jpeg", "sha256": "", "id": f"9000{number:04}"}
        message = {"from": CUSTOMER, "id": f"wamid.{number}", "timestamp": str(int(time.time())), "type": "image"}
        there.meta(value(messages=[message | {"image": image}]))

    def tried() -> list[Any]:
        rows = [each for each in there.tenant.rows("/v1/media") if each["state"] == "failed" or each["cause"]]
        return rows if len(rows) == len(links) else []

    for row in until(tried, what="every file"):
        lies = row["cause"] == "Meta's link to the file leads to a host that is not Meta's"
        assert lies or row["cause"].startswith("the link to the file answered 302"), row["cause"]


def send_a_file(there: Place) -> None:
    head = b'Content-Disposition: form-data; name="account"\r\n\r\n' + NUMBER.encode()
    file = b'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\nabc'
    body = b"".join(b"--frontier\r\n%b\r\n" % part for part in (head, file)) + b"--frontier--\r\n"
    tenant = there.tenant
    tenant.headers["Content-Type"] = "multipart/form-data; boundary=frontier"
    media = tenant.made("/v1/media", body)
    tenant.headers["Content-Type"] = "application/json"
    draft = {"account": NUMBER, "to": CUSTOMER, "type": "image", "image": {"id": media["id"]}}
    tenant.made("/v1/messages", draft)
