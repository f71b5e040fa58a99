"""The pure parts of media: links, hashes, ranges, types, names, and what follows from Meta's answers."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.world import DAY, START

from tellwire.media import download_rules, links
from tellwire.media.attachments import hex_of
from tellwire.media.download_rules import RETRY_GAPS, FetchRefused, MediaLink
from tellwire.meta.media_limits import LIMITS, plain_type
from tellwire.model.messaging import Media
from tellwire.ports.http_out import Answer
from tellwire.web.api.media.file_bytes import disposition, shown_type
from tellwire.web.api.media.ranges import Part, names_tag, part_of

KEY = bytes(range(32))
ID = "01970000-0000-7000-8000-00000000000a"
MEDIA = Media(id=ID, organization_id="o", account_id="a", message_id="m", meta_id="1", meta_id_at=START, due_at=START)
DIGEST = bytes(range(100, 132))


def test_a_link_carries_the_signature_of_its_id_and_only_that_verifies() -> None:
    link = links.link("https://example.org", KEY, ID)
    address, _, signature = link.partition("?signature=")
    assert address == f"https://example.org/media/{ID}"
    assert len(signature) == 43
    assert links.verifies(KEY, ID, signature)
    assert not links.verifies(KEY, ID[:-1] + "b", signature)
    assert not links.verifies(bytes(32), ID, signature)
    assert not links.verifies(b"", ID, links.signature(b"", ID))


@given(st.text())
def test_any_signature_is_judged(text: str) -> None:
    assert not links.verifies(KEY, ID, text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (base64.b64encode(DIGEST).decode(), DIGEST.hex()),
        (base64.urlsafe_b64encode(DIGEST).decode(), DIGEST.hex()),
        (DIGEST.hex(), DIGEST.hex()),
        (DIGEST.hex().upper(), DIGEST.hex()),
        ("", ""),
        ("abc", ""),
        ("é" * 44, ""),
        (base64.b64encode(DIGEST[:31]).decode(), ""),
    ],
)
def test_a_hash_is_read_in_both_spellings(given: str, expected: str) -> None:
    assert hex_of(given) == expected


# --- answers of Meta --------------------------------------------------------------------------------------------------


def said(status: int, **value: object) -> Answer:
    return Answer(status=status, body=json.dumps(value).encode())


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (said(401, error={"code": 190}), "token"),
        (said(400, error={"code": 190}), "token"),
        (said(401), "token"),
        (said(400, error={"code": 100, "error_subcode": 33}), "missing"),
        (said(404, error={"code": 100, "error_subcode": 33}), "missing"),
        (said(404), "later"),
        (Answer(status=404, body=b"<html>no such page"), "later"),
        (Answer(status=410, body=b"<html>gone"), "later"),
        (said(404, error={"code": 1}), "later"),
        (said(403, error={"code": 10}), "later"),
        (said(403, error={"code": 200}), "later"),
        (said(400, error={"code": 33}), "later"),
        (said(400, error={"code": 100}), "later"),
        (said(400, error={"code": 4}), "later"),
        (said(500, error={"code": 1}), "later"),
        (Answer(status=502, body=b"<html>"), "later"),
        (Answer(status=200, body=b"[]"), "later"),
        (Answer(failure="timeout", cause="no answer within 20 s"), "later"),
    ],
)
def test_what_an_answer_without_a_link_means(answer: Answer, what: str) -> None:
    found = download_rules.read_media_link(answer)
    assert isinstance(found, FetchRefused)
    assert found.what == what
    assert found.cause


def test_what_an_answer_with_a_link_holds() -> None:
    answer = said(200, url="https://x", mime_type="image/png", sha256=DIGEST.hex(), file_size="12", id="1")
    assert download_rules.read_media_link(answer) == MediaLink("https://x", DIGEST.hex(), "image/png")


def test_tries_come_at_growing_gaps_until_the_id_is_dead() -> None:
    media, now, gaps = MEDIA, START, []
    while (after := download_rules.try_again(media, "Meta answered 500", now)).state == "waiting":
        gaps.append((after.due_at - now) // 1_000_000)
        media, now = after, after.due_at
    assert gaps[:6] == [*RETRY_GAPS, RETRY_GAPS[-1]]
    assert after.state == "failed"
    assert after.cause == "Meta answered 500; given up after 7 days"
    assert 0 <= now - START - 7 * DAY < RETRY_GAPS[-1] * 1_000_000


def test_a_missing_token_waits_an_hour() -> None:
    waits = download_rules.refused(MEDIA, FetchRefused("token", "why"), START)
    assert (waits.state, waits.due_at) == ("waiting", START + 3600 * 1_000_000)


REFUSALS = [
    (said(400, error={"code": 100, "error_subcode": 33}), "expired"),
    (said(404, error={"code": 100, "error_subcode": 33}), "expired"),
    (Answer(status=404, body=b"<html>no such page"), "failed"),
    (Answer(status=410), "failed"),
    (said(403, error={"code": 10}), "failed"),
    (said(401, error={"code": 190}), "failed"),
    (said(500, error={"code": 131000}), "failed"),
    (Answer(status=200, body=b"<html>welcome"), "failed"),
    (Answer(failure="broken", cause="it broke"), "failed"),
]


@pytest.mark.parametrize(("answer", "end"), REFUSALS)
@given(age=st.integers(0, 14 * DAY), attempts=st.integers(0, 500))
def test_no_refusal_ends_a_file_while_its_id_is_young(answer: Answer, end: str, age: int, attempts: int) -> None:
    refusal = download_rules.read_media_link(answer)
    assert isinstance(refusal, FetchRefused)
    after = download_rules.refused(replace(MEDIA, attempts=attempts), refusal, START + age)
    if age < 7 * DAY:
        assert after.state == "waiting"
        assert START + age < after.due_at <= START + age + 3600 * 1_000_000
    else:
        assert (after.state, after.due_at) == (end, 0)


def test_an_id_that_is_none_is_over_and_may_be_asked_for_by_hand() -> None:
    gone = download_rules.refused(MEDIA, download_rules.NOT_AN_ID, START)
    assert (gone.state, gone.cause) == ("failed", "what Meta gave as the id of the file is no id")
    again = download_rules.requested_again(gone, START + 9)
    assert (again.state, again.due_at, again.attempts, again.cause) == ("waiting", START + 9, 0, "")


@pytest.mark.parametrize("meta_id", ["", "1/2", "..", "1?fields=x", "1#", "é", "1" * 201, "1\n"])
def test_what_is_no_id_is_never_asked_for(meta_id: str) -> None:
    assert not download_rules.is_an_id(meta_id)


# --- ranges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("", None),
        ("bytes=0-", Part(0, 10)),
        ("bytes=0-0", Part(0, 1)),
        ("Bytes=2-4", Part(2, 5)),
        ("bytes=9-99", Part(9, 10)),
        ("bytes=-3", Part(7, 10)),
        ("bytes=-99", Part(0, 10)),
        ("bytes=4-2", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("lines=0-1", None),
        ("bytes=x-1", None),
        ("bytes=٣-", Part(3, 10)),
    ],
)
def test_ranges(header: str, part: Part | None) -> None:
    assert part_of(header, 10) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=11-12", "bytes=-0"])
def test_ranges_beyond_the_end(header: str) -> None:
    with pytest.raises(ValueError, match="bytes"):
        part_of(header, 10)


@given(st.text(), st.integers(0, 10**12))
def test_any_range_is_judged(header: str, size: int) -> None:
    try:
        part = part_of(header, size)
    except ValueError:
        return
    assert part is None or 0 <= part.start < part.end <= size


def test_tags() -> None:
    assert names_tag('"a", W/"b"', '"b"')
    assert names_tag("*", '"b"')
    assert not names_tag("", '"b"')


# --- types and names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown", "inline"),
    [
        ("image/jpeg", "image/jpeg", True),
        ("audio/ogg; codecs=opus", "audio/ogg; codecs=opus", True),
        ("VIDEO/MP4", "video/mp4", True),
        ("application/pdf", "application/pdf", True),
        ("image/svg+xml", "application/octet-stream", False),
        ("text/html", "application/octet-stream", False),
        ("text/html; charset=utf-8", "application/octet-stream", False),
        ("application/xhtml+xml", "application/octet-stream", False),
        ("text/plain; x=\r\nSet-Cookie: a", "text/plain", False),
        ("image/png; codecs=a\r\nX: y", "image/png", True),
        ("application/vnd.ms-excel", "application/vnd.ms-excel", False),
        ("text/javascript", "application/octet-stream", False),
        ("", "application/octet-stream", False),
    ],
)
def test_only_what_is_safe_is_shown(given: str, shown: str, inline: bool) -> None:
    assert shown_type(given) == shown
    assert disposition(replace(MEDIA, mime_type=given)) == ("inline" if inline else "attachment")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report.pdf", "attachment; filename=\"report.pdf\"; filename*=UTF-8''report.pdf"),
        ("año 1.pdf", "attachment; filename=\"a_o 1.pdf\"; filename*=UTF-8''a%C3%B1o%201.pdf"),
        ('a"b\\c%.x', "attachment; filename=\"a_b_c_.x\"; filename*=UTF-8''a%22b%5Cc%25.x"),
        ("../../etc/passwd", "attachment; filename=\".._.._etc_passwd\"; filename*=UTF-8''.._.._etc_passwd"),
        ("a\r\nX: y", "attachment; filename=\"a__X: y\"; filename*=UTF-8''a%0D%0AX%3A%20y"),
    ],
)
def test_names_are_written_as_rfc_6266_wants(name: str, expected: str) -> None:
    assert disposition(replace(MEDIA, mime_type="text/html", filename=name)) == expected


def test_types_that_meta_takes_are_plain() -> None:
    assert all(plain_type(each) == each for each in LIMITS)
    assert plain_type("no type") == ""
