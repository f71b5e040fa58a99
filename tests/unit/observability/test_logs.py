"""Logs: JSON lines, with nothing private in them whatever is logged."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tellwire.errors import Unavailable
from tellwire.model.deliveries import Endpoint, Secret
from tellwire.observability import logs, masking

PHONE = "5215500000001"
PHONES = st.from_regex(r"[1-9][0-9]{7,14}", fullmatch=True)


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    written = io.StringIO()
    logs.set_up(written)
    yield written
    root.handlers[:], root.level = before, level
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_both_kinds_of_loggers_write_one_json_object_a_line(out: io.StringIO) -> None:
    structlog.get_logger().info("delivered", attempt=2, endpoint_id="0193e0b0-1111-7000-8000-000000000001", took=0.5)
    logging.getLogger("uvicorn.error").warning("stopped after %s", "a while")
    structlog.get_logger().debug("too quiet")
    first, second = lines(out)
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "delivered",
        "level": "info",
        "attempt": 2,
        "endpoint_id": "0193e0b0-1111-7000-8000-000000000001",
        "took": 0.5,
    }
    assert (second["event"], second["level"], second["logger"]) == ("stopped after a while", "warning", "uvicorn.error")


def test_an_exception_is_one_line_too_and_masked(out: io.StringIO) -> None:
    quoted = f"no contact {PHONE}"
    try:
        int(quoted)
    except ValueError:
        structlog.get_logger().exception("ingest failed")
    [line] = lines(out)
    assert line["exception"].endswith("ValueError")
    assert "test_logs.py" in line["exception"]
    assert "no contact" not in out.getvalue()
    assert PHONE not in out.getvalue()


def test_our_own_words_and_the_systems_stay_in_a_traceback(out: io.StringIO) -> None:
    quoted = "a message"
    try:
        try:
            int(quoted)
        except ValueError:
            raise Unavailable("the disk is full") from OSError(28, "No space left on device")
    except Unavailable:
        structlog.get_logger().exception("failed")
    [line] = lines(out)
    assert "OSError: [Errno 28] No space left on device\nand then\n" in line["exception"]
    assert line["exception"].endswith("Unavailable: the disk is full")
    assert "a message" not in out.getvalue()


def test_a_lost_task_of_the_event_loop_tells_no_words(out: io.StringIO) -> None:
    async def lost() -> None:
        async def fails() -> None:
            raise ValueError(f"{PHONE} wrote: good " + "morning")

        task = asyncio.create_task(fails())
        await asyncio.wait({task})

    asyncio.run(lost())
    gc.collect()
    [line] = lines(out)
    assert line["event"] == "Task exception was never retrieved"
    assert "good morning" not in out.getvalue()


SPOKEN = st.text(st.characters(categories=["L"]), min_size=12)


@given(
    phone=st.from_regex(r"[1-9][0-9]{6,20}", fullmatch=True),
    words=SPOKEN,
    around=st.sampled_from(["{}", "x{}y", "({})", "wa.me/{}", "{}@s", "id{}"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_nothing_of_a_payload_reaches_the_log(out: io.StringIO, phone: str, words: str, around: str) -> None:
    out.seek(0)
    out.truncate()
    payload = {"from": around.format(phone), "id": int(phone), "text": {"body": words}, "content": words}
    log = structlog.get_logger()
    log.info("received", sender=payload["from"], number=int(phone), body=words, payload=payload, nested=[payload])
    for logger in ("uvicorn.error", "tellwire.web", "asyncio"):
        try:
            raise ValueError(f"{words} {payload}") from KeyError(payload["from"])  # noqa: TRY301
        except ValueError:
            logging.getLogger(logger).exception("request failed: %s %s", "POST", f"/{around.format(phone)}")
            log.exception("chore_failed", detail=around.format(phone))
    written = out.getvalue()
    assert len(lines(out)) == 7
    for line in lines(out):
        line.pop("timestamp")
        assert not re.search(r"\d{7,}", json.dumps(line))
    assert words not in written


def test_people_read_plain_lines() -> None:
    assert masking.masked(f"from +{PHONE}") == "from ***01"
    written = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logs.set_up(written, as_json=False)
        structlog.get_logger().info("received", sender=PHONE)
    finally:
        root.handlers[:], root.level = before, level
        structlog.reset_defaults()
    assert "received" in written.getvalue()
    assert PHONE not in written.getvalue()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f'{{"from": "{PHONE}"}}', '{"from": "***01"}'),
        ("call +52 1 55 0000 0001 now", "call ***01 now"),
        ("wamid.HBgNNTIxNTUwMDAwMDAwMRUCABIYFjNFQjBDMUQ0", "wamid.***FjNFQjBDMUQ0"),
        ("Bearer abc.def", "Bearer ***"),
        ("key tw_abcdefgh12345678", "key ***"),
        ("whsec_c2VjcmV0c2VjcmV0", "***"),
        ("postgresql://tellwire:hidden@db/x", "postgresql://***@db/x"),
        ("0193e0b0-1111-7000-8000-123456789012", "0193e0b0-1111-7000-8000-123456789012"),
        ("2026-11-22T10:00:00.123456+00:00", "2026-11-22T10:00:00.123456+00:00"),
        (b"raw", "<3 bytes>"),
        ((1, None, True, {"to": PHONE}), [1, None, True, {"to": "***01"}]),
        (Endpoint(id="e", organization_id="o", url="u", format="row", secrets=(Secret("whsec_x"),)), "<Endpoint>"),
    ],
)
def test_masked(value: object, expected: object) -> None:
    assert masking.masked(value) == expected


@pytest.mark.parametrize("key", ["secret", "access_token", "Authorization", "ADMIN_KEY", "body", "content", "text"])
def test_values_under_private_keys_are_never_written(key: str) -> None:
    assert masking.masked("anything", key) == "***"
    assert masking.masked([b"anything"], key) == "***"
    assert masking.masked({"outer": {key: {"inner": "anything"}}}) == {"outer": {key: "***"}}


def test_account_ids_stay_readable() -> None:
    assert masking.masked("106540352242922", "phone_number_id") == "106540352242922"


@given(phone=PHONES, before=st.sampled_from(["", "+", " ", '"', "/", "=", ":", "-", "_", "("]), after=st.text())
def test_no_phone_number_survives_in_any_text(phone: str, before: str, after: str) -> None:
    assert phone not in str(masking.masked(f"x {before}{phone} {after.replace(phone, '')}"))
