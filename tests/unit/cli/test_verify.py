"""Why a signature fails: each way to get it wrong is named rightly."""

from __future__ import annotations

import base64
import gzip
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tellwire_sdk
from tellwire.cli import main
from tellwire.cli.signature_faults import Request, diagnose

NOW = 1_790_000_000
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
TEXT = "a-secret-of-my-own-0123"
APP = "0123456789abcdef0123456789abcdef"
ID = "msg_0199a7c24f107c3a9d550a1b2c3d4e5f"
BODY = json.dumps(
    {"data": {"b": "¿Qué tal?", "a": 1, "u": "https://x.example/"}}, separators=(",", ":"), ensure_ascii=False
).encode()
Headers = dict[str, str]


def signed(body: bytes = BODY, secret: str = SECRET, at: int = NOW) -> Headers:
    """The headers of a request that is right."""
    signature = tellwire_sdk.sign(body, webhook_id=ID, timestamp=at, secrets=[secret])
    return {"webhook-id": ID, "webhook-timestamp": str(at), "webhook-signature": signature}


def raw(key: bytes, message: bytes) -> Headers:
    """The headers of a signature over another message, or with another key."""
    digest = base64.b64encode(hmac.digest(key, message, "sha256")).decode()
    return signed() | {"webhook-signature": f"v1,{digest}"}


def hub(body: bytes = BODY, secret: str = APP) -> Headers:
    return {"x-hub-signature-256": tellwire_sdk.hub_signature(body, secret)}


KEY = tellwire_sdk.secret_key(SECRET)
VALUE = json.loads(BODY)
STAMPED = f"{ID}.{NOW}.".encode()
META = json.dumps({"text": "¿Qué tal?", "url": "https://x.example/"}).replace("/", "\\/").encode()
ANEW = json.dumps(json.loads(META), ensure_ascii=False, separators=(",", ":")).encode()

HEX = hmac.digest(KEY, BODY, "sha256").hex()
PRETTY = json.dumps(VALUE, indent=1).encode()
BARE = tellwire_sdk.wappcloud_signature(META, APP, prefixed=False)

WAYS: dict[str, tuple[str, bytes, Headers, list[str]]] = {
    "no header at all": ("no_signature", BODY, {"content-type": "application/json"}, [SECRET]),
    "a header dropped": ("missing_header", BODY, {k: v for k, v in signed().items() if k != "webhook-id"}, [SECRET]),
    "a date as time": ("bad_timestamp", BODY, signed() | {"webhook-timestamp": "2026-09-21T00:00:00Z"}, [SECRET]),
    "milliseconds": ("milliseconds", BODY, signed() | {"webhook-timestamp": f"{NOW}000"}, [SECRET]),
    "too old": ("too_old", BODY, signed(at=NOW - 301), [SECRET]),
    "too new": ("too_new", BODY, signed(at=NOW + 301), [SECRET]),
    "hex": ("hex", BODY, signed() | {"webhook-signature": "v1," + HEX}, [SECRET]),
    "no v1": ("no_v1", BODY, signed() | {"webhook-signature": "v2,AAAA"}, [SECRET]),
    "form of another header": ("hub_form", BODY, signed() | {"webhook-signature": f"sha256={HEX}"}, [SECRET]),
    "cut": ("not_base64", BODY, {k: v[:20] if k == "webhook-signature" else v for k, v in signed().items()}, [SECRET]),
    "another secret": ("no_match", BODY, signed(secret=OTHER), [SECRET]),
    "none of two secrets": ("no_match", BODY, signed(secret=TEXT), [SECRET, OTHER]),
    "an empty secret": ("empty_secret", BODY, signed(), [""]),
    "half a secret": ("bad_secret", BODY, signed(), [SECRET[:-3]]),
    "spaces around the secret": ("spaces_in_secret", BODY, signed(), [f" {SECRET}"]),
    "quotes around the secret": ("spaces_in_secret", BODY, signed(), [f'"{SECRET}"']),
    "whsec_ lost": ("prefix_lost", BODY, signed(), [SECRET.removeprefix("whsec_")]),
    "signed without whsec_": ("prefix_added", BODY, signed(secret=SECRET.removeprefix("whsec_")), [SECRET]),
    "whsec_ as text": ("text_of_whsec", BODY, raw(SECRET.encode(), STAMPED + BODY), [SECRET]),
    "the body alone": ("body_only", BODY, raw(KEY, BODY), [SECRET]),
    "without the id": ("without_id", BODY, raw(KEY, f"{NOW}.".encode() + BODY), [SECRET]),
    "without the time": ("without_time", BODY, raw(KEY, f"{ID}.".encode() + BODY), [SECRET]),
    "time before id": ("swapped", BODY, raw(KEY, f"{NOW}.{ID}.".encode() + BODY), [SECRET]),
    "a line break added": ("trailing_newline", BODY + b"\n", signed(), [SECRET]),
    "a line break lost": ("trailing_newline", BODY, signed(BODY + b"\n"), [SECRET]),
    "a byte order mark": ("byte_order_mark", b"\xef\xbb\xbf" + BODY, signed(), [SECRET]),
    "CRLF": ("line_breaks", PRETTY.replace(b"\n", b"\r\n"), signed(PRETTY), [SECRET]),
    "Latin-1": ("latin_1", BODY.decode("latin-1").encode(), signed(), [SECRET]),
    "base64": ("base64_body", base64.b64encode(BODY), signed(), [SECRET]),
    "compressed": ("compressed", gzip.compress(BODY), signed(), [SECRET]),
    "a string of JSON": ("json_in_json", json.dumps(BODY.decode()).encode(), signed(), [SECRET]),
    "pretty JSON": ("reencoded", json.dumps(VALUE, indent=2, ensure_ascii=False).encode(), signed(), [SECRET]),
    "JSON with escapes": ("reencoded", json.dumps(VALUE).encode(), signed(), [SECRET]),
    "sorted JSON": ("no_match", json.dumps(VALUE, sort_keys=True).encode(), signed(), [SECRET]),
    "hub, another app": ("no_match", META, hub(META, "f" * 32), [APP]),
    "hub, parsed and written anew": ("reencoded", ANEW, hub(META), [APP]),
    "hub, decoded key": ("decoded_key", BODY, {"x-hub-signature-256": "sha256=" + HEX}, [SECRET]),
    "hub, SHA-1": ("sha1_header", BODY, {"x-hub-signature": "sha1=" + "0" * 40}, [APP]),
    "hub, cut": ("not_hex", BODY, {"x-hub-signature-256": "sha256=abc"}, [APP]),
    "hub, line break": ("trailing_newline", BODY + b"\n", hub(), [APP]),
    "wappcloud, another secret": ("no_match", BODY, {"x-wappcloud-signature": "0" * 64}, [APP]),
    "wappcloud, written anew": ("reencoded", ANEW, {"x-wappcloud-signature": BARE}, [APP]),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_way_to_fail_is_named(way: str) -> None:
    fault, body, headers, secrets = WAYS[way]
    found = diagnose(Request(body, headers), secrets, now=NOW)
    assert (found.ok, found.fault) == (False, fault), found
    assert found.said
    assert found.remedy
    assert not any(secret.strip(' "') in found.said + found.remedy for secret in secrets if secret.strip())


@pytest.mark.parametrize(
    ("headers", "secrets", "number"),
    [
        (signed(), [SECRET], 1),
        (signed(), [OTHER, SECRET], 2),
        (signed(secret=TEXT), [TEXT], 1),
        (hub(), [APP], 1),
        ({"x-wappcloud-signature": tellwire_sdk.wappcloud_signature(BODY, SECRET)}, [SECRET], 1),
    ],
)
def test_what_is_right_is_right(headers: Headers, secrets: list[str], number: int) -> None:
    found = diagnose(Request(BODY, headers), secrets, now=NOW)
    assert (found.ok, found.fault, found.secret) == (True, "", number)


@given(
    body=st.binary(max_size=60),
    headers=st.dictionaries(st.sampled_from([*signed(), *hub(), "x-wappcloud-signature"]), st.text(max_size=80)),
    secret=st.text(max_size=40),
)
def test_anything_is_a_finding(body: bytes, headers: Headers, secret: str) -> None:
    found = diagnose(Request(body, headers), [secret], now=NOW)
    assert not found.ok
    assert found.fault


Make = Callable[[bytes, Headers], bytes]


@pytest.mark.parametrize("line_break", [b"\n", b"\r\n"])
def test_a_pasted_request_is_read(line_break: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    headers = {**signed(), "Content-Length": str(len(BODY))}
    lines = [b"POST /in HTTP/1.1", *(f"{name}: {value}".encode() for name, value in headers.items()), b"", BODY + b"\n"]
    (tmp_path / "request.txt").write_bytes(line_break.join(lines))
    (tmp_path / "secret.txt").write_text(f"{SECRET}\n")
    arguments = ["verify", "--request", str(tmp_path / "request.txt"), "--secret", f"@{tmp_path / 'secret.txt'}"]
    assert main([*arguments, "--now", str(NOW)]) == 0
    assert "the signature fits secret 1" in capsys.readouterr().out
    assert main([*arguments, "--now", str(NOW + 400), "--json"]) == 1
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (told["fault"], told["secret"], told["body_bytes"]) == ("too_old", 1, len(BODY))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --body with --header, or --request, or --delivery"),
        (["--body", "x"], "give --secret"),
        (["--body", "x", "--header", "nothing", "--secret", "s"], "--header takes 'NAME: VALUE'"),
        (["--body", "@nowhere", "--header", "a: b", "--secret", "s"], "nowhere, which cannot be read"),
        (["--request", "nowhere", "--secret", "s"], "nowhere, which cannot be read"),
        (["--delivery", "abcd", "--body", "x"], "--delivery brings its own"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", *arguments]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.count("\n") == 1
