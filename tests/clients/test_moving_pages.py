"""The pages for people who come from other systems: every request that they show does what the page says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.acceptance.processes import ROOT, catching, request
from tests.clients.beside_meta import ADMIN_KEY, CUSTOMER, NUMBER, Beside, beside_meta

from tellwire.formats import FORMATS

PAGES = ("move-from-wakit", "move-from-wappcloud", "bots-written-for-meta", "n8n")
_BLOCK = re.compile(r"```http\n(.*?)```(?:\n\n```json\n(.*?)```)?", re.DOTALL)
VERIFY = "an-invented-verify-token"


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    with beside_meta(tmp_path_factory.mktemp("pages")) as running:
        yield running


@pytest.fixture(scope="module")
def hook() -> Iterator[str]:
    with catching(dict.fromkeys(FORMATS, "an invented secret")) as (url, _):
        yield url


def page(name: str) -> str:
    return (ROOT / "docs" / "how-to" / f"{name}.md").read_text()


def requests(name: str) -> Iterator[tuple[str, str, dict[str, str], str, Any]]:
    """Method, path, headers, body, and the answer that the page shows, if it shows one."""
    for block, answer in _BLOCK.findall(page(name)):
        head, _, body = block.partition("\n\n")
        first, *lines = head.splitlines()
        method, _, path = first.partition(" ")
        yield method, path, dict(line.split(": ", 1) for line in lines), body, json.loads(answer) if answer else None


@pytest.mark.parametrize("name", PAGES)
def test_what_it_shows_works(name: str, beside: Beside, hook: str) -> None:
    values = {"$KEY": ADMIN_KEY, "$NUMBER": NUMBER, "$CUSTOMER": CUSTOMER, "$VERIFY_TOKEN": VERIFY}

    def filled(text: str) -> str:
        for key, value in sorted(values.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(key, value)
        assert "$" not in text, text
        return text

    shown = list(requests(name))
    assert shown
    for method, path, headers, body, answer in shown:
        given = {key: filled(value) for key, value in headers.items()}
        form = json.loads(body).get("format", "") if body else ""
        raw = filled(body.replace("$HOOK", f"{hook}/{form}")).encode() or None
        status, told = request(f"{beside.url}{filled(path)}", method=method, body=raw, headers=given)
        assert status in (200, 201), (path, told)
        if answer is not None:
            assert told == answer


@pytest.mark.parametrize("name", PAGES)
def test_it_shows_the_three_lines_to_change(name: str) -> None:
    rows = [line for line in page(name).splitlines() if line.startswith("| ") and not line.startswith("| library")]
    assert [row.split("|")[1].strip() for row in rows[:1]] == ["line"]
    assert len([row for row in rows if row.count("|") == 4]) == 1 + 3
