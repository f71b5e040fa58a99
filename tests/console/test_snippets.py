"""The programs that the pages of endpoints show: they take what is genuine, and nothing else."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable

import pytest
from tests.node import Worker, needs_node

import tellwire_sdk
from tellwire.web.console import snippets

OURS = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OWN = "a secret of the customer's own"
BODY = '{"data": {"text": "¡Hola! 👋"}}'.encode()
PATH = '/hooks/o\'neill?x=\\1&y="2"'
URL = f"https://hooks.example.com{PATH}"


def code(language: str, url: str = URL) -> str:
    (found,) = (each.code for each in snippets.of_url(url) if each.language == language)
    return found


def signed(*secrets: str, at: float | None = None, body: bytes = BODY) -> dict[str, str]:
    timestamp = int(time.time() if at is None else at)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": tellwire_sdk.sign(body, webhook_id="msg_1", timestamp=timestamp, secrets=secrets),
    }


def cases() -> list[tuple[str, dict[str, str], bytes, bool]]:
    """Headers and body that a program with one of the secrets gets, and whether it is to take them."""
    other = "another secret of 16 letters"
    late = time.time() - snippets.TOLERANCE_SECONDS - 60
    early = time.time() + snippets.TOLERANCE_SECONDS + 60
    found = []
    for secret in (OURS, OWN):
        good = signed(secret)
        found += [
            (secret, good, BODY, True),
            (secret, signed(other, secret), BODY, True),
            (secret, signed(secret, other), BODY, True),
            (secret, signed(other), BODY, False),
            (secret, good, BODY + b" ", False),
            (secret, good | {"webhook-id": "msg_2"}, BODY, False),
            (secret, signed(secret, at=late), BODY, False),
            (secret, signed(secret, at=early), BODY, False),
            (secret, good | {"webhook-timestamp": "soon"}, BODY, False),
            (secret, good | {"webhook-signature": "v1,"}, BODY, False),
            (secret, {}, BODY, False),
            *((secret, {name: value for name, value in good.items() if name != gone}, BODY, False) for gone in good),
        ]
    return found


def python(secret: str) -> Callable[[dict[str, str], bytes], bool]:
    os.environ["TELLWIRE_SECRET"] = secret
    try:
        names: dict[str, Callable[[dict[str, str], bytes], bool]] = {}
        exec(code("Python"), names)
        return names["is_genuine"]
    finally:
        del os.environ["TELLWIRE_SECRET"]


def test_the_python_one_takes_what_is_genuine() -> None:
    for secret, headers, body, genuine in cases():
        assert python(secret)(headers, body) is genuine, (secret, headers)


@needs_node
def test_the_javascript_one_takes_what_is_genuine() -> None:
    checks, _, server = code("JavaScript").partition("createServer(async")
    assert ".listen(" in server
    for secret in (OURS, OWN):
        mine = [case for case in cases() if case[0] == secret]
        imports = 'const { createHmac, timingSafeEqual } = require("node:crypto");'
        program = "\n".join(line for line in checks.splitlines() if not line.startswith("import "))
        work = f"""process.env.TELLWIRE_SECRET = {json.dumps(secret)};
{imports}
{program}
function work(given) {{
  const {{ headers, body }} = JSON.parse(given);
  return isGenuine(headers, Buffer.from(body, "base64"));
}}"""
        given = [
            base64.b64encode(
                json.dumps({"headers": headers, "body": base64.b64encode(body).decode()}).encode()
            ).decode()
            for _, headers, body, _ in mine
        ]
        with Worker.of(work) as node:
            assert node.answers(given) == [genuine for *_, genuine in mine]


ALGORITHM = {
    "Python": ('"sha256"', "b64encode", "compare_digest"),
    "JavaScript": ('"sha256"', '"base64"', "timingSafeEqual"),
    "PHP": ("hash_hmac('sha256'", "base64_encode", "hash_equals"),
    "Go": ("hmac.New(sha256.New", "base64.StdEncoding.EncodeToString", "hmac.Equal"),
}


@pytest.mark.parametrize("language", ALGORITHM)
def test_each_names_the_headers_the_algorithm_the_tolerance_and_where_to_find_the_secret(language: str) -> None:
    text = code(language)
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        assert name in text or f"HTTP_{name.upper().replace('-', '_')}" in text
    for each in (*ALGORITHM[language], str(snippets.TOLERANCE_SECONDS), "TELLWIRE_SECRET", "whsec_", "v1,"):
        assert each in text


def test_the_path_of_the_url_is_a_text_of_the_language() -> None:
    assert f"PATH = {json.dumps(PATH)}  #" in code("Python")
    assert f"const PATH = {json.dumps(PATH)};" in code("JavaScript")
    assert "const PATH = '/hooks/o\\'neill?x=\\\\1&y=\"2\"';" in code("PHP")
    assert f"const path = {json.dumps(PATH)}\n" in code("Go")
    assert 'PATH = "/"' in code("Python", "https://hooks.example.com")


def test_the_subscriber_has_five_lines_and_runs() -> None:
    lines = [line for line in snippets.SUBSCRIBER.splitlines() if line]
    assert len(lines) == 5
    names: dict[str, Callable[[bytes, dict[str, str]], None]] = {}
    exec(snippets.SUBSCRIBER, names)
    os.environ["TELLWIRE_SECRET"] = OWN
    try:
        with pytest.raises(tellwire_sdk.WebhookError):
            names["receive"](BODY, signed(OURS))
    finally:
        del os.environ["TELLWIRE_SECRET"]
