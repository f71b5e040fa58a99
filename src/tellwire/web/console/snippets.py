"""PURE. Programs that take what an endpoint is sent and check its signature, with the endpoint's own values.

The secret is never among them: they read it from the environment. They check Standard Webhooks' headers, which every
format has (docs/reference/formats.md, "Verify a request").
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from msgspec import Struct

TOLERANCE_SECONDS = 300
_PYTHON = """import base64, hmac, os, time

PATH = {path}  # where this endpoint's URL leads
TOLERANCE = {tolerance}  # seconds
SECRET = os.environ["TELLWIRE_SECRET"]
KEY = base64.b64decode(SECRET[6:]) if SECRET.startswith("whsec_") else SECRET.encode()


def is_genuine(headers, body):
    \"\"\"headers: names in lower case; body: the raw bytes, before any parsing.\"\"\"
    identifier, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    signed = f"{{identifier}}.{{timestamp}}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.digest(KEY, signed, "sha256")).decode()
    given = headers.get("webhook-signature", "").split(" ")  # one for each secret while it is rotated
    return any(hmac.compare_digest(wanted.encode(), each.encode()) for each in given)
"""

_JAVASCRIPT = """import {{ createHmac, timingSafeEqual }} from "node:crypto";
import {{ createServer }} from "node:http";

const PATH = {path};
const TOLERANCE = {tolerance}; // seconds
const SECRET = process.env.TELLWIRE_SECRET;
const KEY = SECRET.startsWith("whsec_") ? Buffer.from(SECRET.slice(6), "base64") : Buffer.from(SECRET);

// headers: names in lower case; body: the raw bytes as a Buffer, before any parsing
function isGenuine(headers, body) {{
  const identifier = headers["webhook-id"], timestamp = headers["webhook-timestamp"];
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= TOLERANCE)) return false;
  const mac = createHmac("sha256", KEY).update(`${{identifier}}.${{timestamp}}.`).update(body);
  const wanted = Buffer.from("v1," + mac.digest("base64"));
  return (headers["webhook-signature"] ?? "").split(" ").map((each) => Buffer.from(each))
    .some((given) => given.length === wanted.length && timingSafeEqual(given, wanted));
}}

createServer(async (request, response) => {{
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const genuine = request.url === PATH && isGenuine(request.headers, Buffer.concat(chunks));
  response.writeHead(genuine ? 204 : 401).end();
}}).listen(3000);
"""

_PHP = """<?php
const PATH = {path}; // serve this file there
const TOLERANCE = {tolerance}; // seconds
$secret = getenv('TELLWIRE_SECRET');
$key = str_starts_with($secret, 'whsec_') ? base64_decode(substr($secret, 6)) : $secret;

$body = file_get_contents('php://input'); // the raw bytes, before any parsing
$identifier = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
$timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
$wanted = 'v1,' . base64_encode(hash_hmac('sha256', "$identifier.$timestamp.$body", $key, true));
$genuine = ctype_digit($timestamp) && abs(time() - (int) $timestamp) <= TOLERANCE;
$match = false;
foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $given) {{
    $match = hash_equals($wanted, $given) || $match;
}}
http_response_code($genuine && $match ? 204 : 401);
"""

_GO = """package main

import (
\t"crypto/hmac"
\t"crypto/sha256"
\t"encoding/base64"
\t"io"
\t"net/http"
\t"os"
\t"strconv"
\t"strings"
\t"time"
)

const path = {path}
const tolerance = {tolerance} // seconds

func key(secret string) []byte {{
\tif encoded, found := strings.CutPrefix(secret, "whsec_"); found {{
\t\tdecoded, _ := base64.StdEncoding.DecodeString(encoded)
\t\treturn decoded
\t}}
\treturn []byte(secret)
}}

func isGenuine(header http.Header, body []byte) bool {{
\tidentifier, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
\tat, err := strconv.ParseInt(timestamp, 10, 64)
\tif age := time.Now().Unix() - at; err != nil || age > tolerance || age < -tolerance {{
\t\treturn false
\t}}
\tmac := hmac.New(sha256.New, key(os.Getenv("TELLWIRE_SECRET")))
\tmac.Write([]byte(identifier + "." + timestamp + "."))
\tmac.Write(body)
\twanted := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
\tfor _, given := range strings.Split(header.Get("webhook-signature"), " ") {{
\t\tif hmac.Equal([]byte(given), []byte(wanted)) {{
\t\t\treturn true
\t\t}}
\t}}
\treturn false
}}

func main() {{
\thttp.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {{
\t\tbody, err := io.ReadAll(r.Body) // the raw bytes, before any parsing
\t\tif err != nil || r.URL.RequestURI() != path || !isGenuine(r.Header, body) {{
\t\t\tw.WriteHeader(http.StatusUnauthorized)
\t\t}}
\t}})
\thttp.ListenAndServe(":3000", nil)
}}
"""

SUBSCRIBER = """import os
from tellwire_sdk import parse, verify

def receive(body, headers):
    verify(body, headers, os.environ["TELLWIRE_SECRET"])
    print(parse(body))
"""
"""All that a subscriber in Python needs, with the SDK."""


class Snippet(Struct, frozen=True):
    """A program in a language."""

    language: str
    code: str


def of_url(url: str) -> list[Snippet]:
    """Return programs that check what is sent to a URL."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    text = json.dumps(path, ensure_ascii=False)
    single = "'" + path.replace("\\", "\\\\").replace("'", "\\'") + "'"
    written = [("Python", _PYTHON, json.dumps(path)), ("JavaScript", _JAVASCRIPT, json.dumps(path))]
    written += [("PHP", _PHP, single), ("Go", _GO, text)]
    return [Snippet(name, code.format(path=of, tolerance=TOLERANCE_SECONDS)) for name, code, of in written]
