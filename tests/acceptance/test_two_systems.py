"""Two systems beside each other, as real servers: what one of them lost, and what `tellwire compare` says of it.

The other system is a second Tellwire: its `row` and `chat` endpoints send what wakit and WappCloud send.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.acceptance.processes import every, request, tellwire, until
from tests.acceptance.test_cli import ADMIN, SETTINGS, post, serving
from tests.world import CUSTOMER, NUMBER, envelope, incoming, status, statuses

from tellwire.cli import MISUSED

SECRET = "an invented secret of a source"
EVERY = range(8)
LOST_BY_THE_OTHER = {2, 5}
LOST_BY_META = {3}


def made(url: str, noun: str, draft: dict[str, Any]) -> dict[str, Any]:
    answered, row = request(f"{url}/v1/{noun}", key=ADMIN, method="POST", body=draft)
    assert answered == 201, row
    return dict(row)


def have_come(url: str, source: dict[str, Any], count: int) -> None:
    """Wait until a source has sent so many POSTs."""
    address = f"{url}/v1/inbound?limit=200&source={source['id']}"
    until(lambda: len(request(address, key=ADMIN)[1]["data"]) == count, what=f"{count} POSTs of {source['name']}")


def compare(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = tellwire("compare", "--since", "1h", "--grace", "0s", *arguments, cwd=folder, **SETTINGS)
    return done.returncode, done.stdout, done.stderr


def lost(text: str) -> set[tuple[str, str, str]]:
    return {(each["source_name"], each["what"], each["wamid"]) for each in json.loads(text)["data"]}


def test_what_one_of_two_systems_loses_is_exactly_what_compare_lists(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("ours", "other")]
    for folder in folders:
        folder.mkdir()
    with serving(folders[0]) as (ours, _), serving(folders[1]) as (other, _):
        made(ours, "accounts", {"phone_number_id": NUMBER})
        rows = made(ours, "sources", {"name": "rows", "kind": "wakit", "account": NUMBER, "secret": SECRET})
        chats = made(ours, "sources", {"name": "chats", "kind": "wappcloud", "account": NUMBER, "secret": SECRET})
        made(other, "accounts", {"phone_number_id": NUMBER})
        hook = {"url": f"{ours}/sources/{rows['id']}", "format": "row", "token": SECRET.replace(" ", "-")}
        answered, _ = request(
            f"{ours}/v1/sources/{rows['id']}", key=ADMIN, method="PATCH", body={"secret": hook["token"]}
        )
        assert answered == 200
        made(other, "webhook-endpoints", hook)
        made(other, "webhook-endpoints", {"url": f"{ours}/sources/{chats['id']}", "format": "chat", "secret": SECRET})

        for number in EVERY:
            body = json.dumps(envelope(incoming(f"wamid.{number}", f"text {number}"))).encode()
            assert number in LOST_BY_META or post(ours, body) == 200
            assert number in LOST_BY_THE_OTHER or post(other, body) == 200
        sent, read = (json.dumps(envelope(statuses(status("wamid.out", name)))).encode() for name in ("sent", "read"))
        assert (post(ours, sent), post(ours, read), post(other, sent)) == (200, 200, 200)

        wanted = len(EVERY) - len(LOST_BY_THE_OTHER) + 1
        for source, count in ((rows, wanted + 1), (chats, wanted)):  # the conversation has a row as well
            have_come(ours, source, count)

        code, shown, said = compare(folders[0], "--b", "rows", "--json")
        assert code == 1, said
        assert lost(shown) == {
            *(("meta", "text", f"wamid.{number}") for number in LOST_BY_THE_OTHER),
            *(("rows", "text", f"wamid.{number}") for number in LOST_BY_META),
            ("meta", "status read", "wamid.out"),
        }
        code, shown, said = compare(folders[0], "--b", "chats", "--json")
        found = json.loads(shown)["data"]
        assert code == 1, said
        assert {each["wamid"] for each in found if each["source_name"] == "meta"} == {
            *(f"wamid.{number}" for number in LOST_BY_THE_OTHER),
            "wamid.out",
        }
        assert [each["what"] for each in found if each["source_name"] == "chats"] == ["text"]
        code, shown, said = compare(folders[0], "--b", "rows")
        assert code == 1
        assert shown.splitlines()[0].startswith("HAD BY")
        assert len(shown.splitlines()) == 1 + 4
        assert "meta had 9" in said

        messages = every(ours, "messages", key=ADMIN)
        assert {each["wa_id"] for each in messages} == {*(f"wamid.{number}" for number in EVERY), "wamid.out"}
        assert {each["wa_id"]: each["content"]["text"]["body"] for each in messages if each["direction"] == "incoming"}[
            "wamid.3"
        ] == "text 3"
        assert {each["from"] for each in messages if each["direction"] == "incoming"} == {CUSTOMER}
        assert [each["wa_id"] for each in messages if each.get("source") == rows["id"]] == ["wamid.3"]


def test_two_that_had_the_same_are_exit_code_0(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, _):
        made(url, "accounts", {"phone_number_id": NUMBER})
        source = made(url, "sources", {"name": "same", "kind": "gupshup", "secret": SECRET})
        body = json.dumps(envelope(incoming("wamid.1"))).encode()
        headers = {"Authorization": f"Bearer {SECRET}"}
        assert post(url, body) == 200
        assert request(f"{url}/sources/{source['id']}", method="POST", body=body, headers=headers)[0] == 200
        code, shown, said = compare(tmp_path)
        assert (code, shown) == (0, ""), said
        assert "same had 1" in said
        assert tellwire("compare", "--b", "nobody", cwd=tmp_path, **SETTINGS).returncode == MISUSED
