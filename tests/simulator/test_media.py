"""Media at the simulated Meta: bytes on disk, links and ids that expire, and sizes and types that are refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.acceptance.processes import until
from tests.simulator.running import CUSTOMER, NUMBER, WABA, Meta, running, text
from tests.world import SetClock

from tellwire.simulator import TOKEN, Business

MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE
PNG = b"\x89PNG" + bytes(5000)


async def upload(
    there: Meta, content: bytes = PNG, kind: str = "image/png", query: str = "", **fields: str
) -> tuple[int, Any]:
    form = aiohttp.FormData()
    for name, value in {"messaging_product": "whatsapp", "type": kind, **fields}.items():
        if value:
            form.add_field(name, value)
    form.add_field("file", io.BytesIO(content), filename="x", content_type=kind)
    return await there.call("POST", f"/v24.0/{NUMBER}/media{query}", data=form)


async def bytes_at(there: Meta, url: str, token: str = TOKEN) -> tuple[int, str, bytes]:
    async with there.session.get(url, headers={"Authorization": f"Bearer {token}"} if token else {}) as answer:
        return answer.status, answer.headers.get("Content-Type", ""), await answer.read()


def test_an_upload_is_described_and_comes_back() -> None:
    async def test(there: Meta) -> None:
        status, answer = await upload(there)
        assert status == 200
        _, told = await there.call("GET", f"/{answer['id']}")
        assert {key: told[key] for key in ("mime_type", "sha256", "file_size", "id")} == {
            "mime_type": "image/png",
            "sha256": hashlib.sha256(PNG).hexdigest(),
            "file_size": len(PNG),
            "id": answer["id"],
        }
        assert told["url"].startswith(there.simulator.url + "/")
        assert await bytes_at(there, told["url"]) == (200, "image/png", PNG)
        assert (await bytes_at(there, told["url"], token=""))[0] == 401
        assert (await bytes_at(there, told["url"], token="another"))[0] == 401

    running(test)


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("?messaging_product=whatsapp", {"messaging_product": ""}),
        ("?messaging_product=whatsapp&type=image/png", {"messaging_product": "", "type": ""}),
        ("?messaging_product=whatsapp", {}),
        ("?messaging_product=other", {}),
        ("?phone_number_id=1", {}),
    ],
)
def test_an_uploads_fields_may_stand_in_the_query(query: str, fields: dict[str, Any]) -> None:
    async def test(there: Meta) -> None:
        status, answer = await upload(there, query=query, **fields)
        assert status == 200, answer
        _, told = await there.call("GET", f"/{answer['id']}")
        assert told["mime_type"] == "image/png"

    running(test)


def test_a_link_lives_five_minutes_and_an_uploads_id_thirty_days() -> None:
    clock = SetClock()

    async def test(there: Meta) -> None:
        _, answer = await upload(there)
        _, told = await there.call("GET", f"/{answer['id']}")
        clock.move(5 * MINUTE - 1)
        assert (await bytes_at(there, told["url"]))[0] == 200
        clock.move(1)
        assert (await bytes_at(there, told["url"]))[0] == 404
        _, told = await there.call("GET", f"/{answer['id']}")
        assert (await bytes_at(there, told["url"]))[0] == 200
        clock.move(30 * DAY)
        status, refused = await there.call("GET", f"/{answer['id']}")
        assert (status, refused["error"]["code"], refused["error"]["error_subcode"]) == (400, 100, 33)
        status, refused = await there.send(text(type="image", image={"id": answer["id"]}))
        assert (status, refused["error"]["code"]) == (400, 131009)

    running(test, clock=clock)


def test_a_customers_media_can_be_had_for_seven_days() -> None:
    clock = SetClock()

    async def test(there: Meta) -> None:
        encoded = base64.b64encode(PNG).decode()
        await there.control("customer", wa_id=CUSTOMER, type="image", base64=encoded, caption="Mira")
        await there.callback.until(there.callback.messages)
        [message] = there.callback.messages()
        image = message["image"]
        assert image["caption"] == "Mira"
        assert base64.b64decode(image["sha256"]) == hashlib.sha256(PNG).digest()
        assert await bytes_at(there, image["url"]) == (200, "image/jpeg", PNG)
        clock.move(7 * DAY - 1)
        assert (await bytes_at(there, image["url"]))[0] == 404
        _, told = await there.call("GET", f"/{image['id']}", params={"phone_number_id": NUMBER})
        assert (await bytes_at(there, told["url"]))[0] == 200
        clock.move(1)
        assert (await there.call("GET", f"/{image['id']}"))[0] == 400

    running(test, clock=clock)


def test_a_wrong_hash_is_announced_when_asked() -> None:
    async def test(there: Meta) -> None:
        await there.control("customer", wa_id=CUSTOMER, type="document", size=100, wrong_hash=True)
        there.state.turn(wrong_hash=True)
        await there.control("customer", wa_id=CUSTOMER, type="document", size=100)
        await there.control("customer", wa_id=CUSTOMER, type="document", size=100, wrong_hash=False)
        await there.callback.until(lambda: len(there.callback.messages()) == 3)
        right = []
        for message in there.callback.messages():
            _, _, content = await bytes_at(there, message["document"]["url"])
            right.append(base64.b64decode(message["document"]["sha256"]) == hashlib.sha256(content).digest())
        assert sorted(right) == [False, False, True]

    running(test)


def test_media_is_its_numbers_own_and_can_be_deleted() -> None:
    async def test(there: Meta) -> None:
        there.state.add_business(Business(waba_id=WABA, phone_number_id="2", display_phone_number="525500000002"))
        _, answer = await upload(there)
        status, _ = await there.call("GET", f"/{answer['id']}", params={"phone_number_id": "2"})
        assert status == 400
        assert (await there.send(text(type="image", image={"id": answer["id"]}), number="2"))[0] == 400
        assert (await there.send(text(type="image", image={"id": answer["id"]})))[0] == 200
        _, told = await there.call("GET", f"/{answer['id']}")
        assert (await there.call("DELETE", f"/{answer['id']}")) == (200, {"success": True})
        assert (await bytes_at(there, told["url"]))[0] == 404
        assert (await there.call("DELETE", f"/{answer['id']}"))[0] == 400

    running(test)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param({"kind": "application/zip"}, 100, id="type"),
        pytest.param({"content": bytes(500 * 1024 + 1), "kind": "image/webp"}, 131053, id="sticker too large"),
        pytest.param({"content": bytes(5 * 1024 * 1024 + 1)}, 131053, id="image too large"),
        pytest.param({"messaging_product": ""}, 100, id="no product"),
        pytest.param({"messaging_product": "", "query": "?messaging_product=sms"}, 100, id="another product"),
    ],
)
def test_what_meta_would_not_take_is_refused_and_not_kept(given: dict[str, Any], code: int) -> None:
    async def test(there: Meta) -> None:
        status, answer = await upload(there, **given)
        assert (status, answer["error"]["code"]) == (400, code)
        assert list(there.state.media_files.folder.iterdir()) == []

    running(test)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"json": {}}, id="json"),
        pytest.param({"data": b"nonsense", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, id="bytes"),
        pytest.param({"data": b"", "headers": {"Content-Type": "multipart/form-data"}}, id="no boundary"),
    ],
)
def test_what_is_no_form_is_refused(request_: dict[str, Any]) -> None:
    async def test(there: Meta) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}", **request_.pop("headers", {})}
        url = f"{there.simulator.url}/{NUMBER}/media"
        async with there.session.post(url, headers=headers, **request_) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["code"] == 100

    running(test)


def test_an_upload_that_breaks_off_leaves_nothing_behind() -> None:
    begun = b'--x\r\nContent-Disposition: form-data; name="file"\r\nContent-Type: image/png\r\n\r\n' + bytes(300_000)

    async def test(there: Meta) -> None:
        def files() -> list[Path]:
            return list(there.state.media_files.folder.iterdir())

        _, writer = await asyncio.open_connection("127.0.0.1", int(there.simulator.url.rpartition(":")[2]))
        writer.write(
            f"POST /{NUMBER}/media HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n".encode()
        )
        writer.write(begun)
        await asyncio.to_thread(until, files, what="the beginning")
        writer.close()
        await asyncio.to_thread(until, lambda: not files(), what="the end")

    running(test)
