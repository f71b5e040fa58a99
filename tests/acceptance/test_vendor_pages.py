"""The pages of both vendors' interfaces say what the code has: calls, fields, scopes, errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.test_docs import first_column, section

from tellwire.errors import Invalid, Problem
from tellwire.web.error_answers import SHAPES, WAKIT_STATUSES, error_answer
from tellwire.web.wakit import given, webhooks
from tellwire.web.wakit.routes import BASE, CALLS, PUBLIC, TABLE
from tellwire.web.wakit.send import FIELDS
from tellwire.web.wappcloud.routes import FIELDS as BODY_FIELDS
from tellwire.web.wappcloud.routes import FILE_FIELD, FORM_FIELDS, PATH

WAKIT, WAPPCLOUD = "wakit.md", "wappcloud.md"


def rows(text: str) -> list[list[str]]:
    """The cells of the tables of a text."""
    return [re.split(r" ?\| ?", line.strip("| ")) for line in text.splitlines() if line.startswith("| `")]


def test_every_call_of_wakits_is_told_with_its_scopes() -> None:
    told = {row[0].strip("`"): set(re.findall(r"`([^`]+)`", row[-1])) for row in rows(section(WAKIT, "Calls"))}
    calls = {f"{method} /{segment}": set(call.scopes) for (method, segment), call in CALLS.items()}
    assert told.keys() == calls.keys() | {f"GET /{segment}" for segment in PUBLIC}
    assert {name: told[name] for name in calls} == calls


def test_every_field_is_told() -> None:
    assert set(first_column(section(WAKIT, "Sending"))) == set(FIELDS)
    assert set(first_column(section(WAKIT, "Webhooks by table"))) == {*webhooks.FIELDS, "GET", "POST", "DELETE"}
    assert set(first_column(section(WAPPCLOUD, "Files"))) == {FILE_FIELD, *FORM_FIELDS}
    named = set(re.findall(r"\w+", section(WAPPCLOUD, "Messages")))
    assert set(BODY_FIELDS) <= named


def test_paths_and_numbers_are_told() -> None:
    page = section(WAKIT, "wakit's interface")
    assert BASE in page
    assert TABLE in page
    assert f"more than {given.MOST} counts as {given.MOST}" in page
    assert f"POST {PATH}" in section(WAPPCLOUD, "WappCloud's send API")


@pytest.mark.parametrize("status", [400, 500])
def test_what_wakit_answers_by_a_status_of_its_own(status: int) -> None:
    [row] = [line for line in section(WAKIT, "Errors").splitlines() if line.startswith(f"| {status} |")]
    told = set(re.findall(r"`([a-z-]+)`", row)) - {"bad-request", "not-json"}  # these have that status everywhere
    assert told == {kind for kind, its in WAKIT_STATUSES.items() if its == status}


def test_the_shape_of_an_error_goes_by_its_path() -> None:
    def shape(path: str, problem: Problem) -> tuple[int, str, bytes]:
        shown = error_answer(problem, path, "req_1")
        return shown.status, shown.media_type, shown.body

    problem = Invalid("It is wrong.", ("/a/b", "must be right"))
    words = b"It is wrong. a.b: must be right"
    assert shape(BASE, problem) == (400, "application/json", b'{"error":"%b"}' % words)
    assert shape(PATH, problem) == (422, "application/json", b'{"success":false,"code":422,"message":"%b"}' % words)
    body = b'{"code":"invalid","details":null,"hint":null,"message":"%b"}' % words
    assert shape(TABLE, problem) == (422, "application/json", body)
    for path in ("/v1/accounts", "/", "", "/api/v2/x"):
        assert shape(path, problem)[:2] == (422, "application/problem+json")
    assert all(path.startswith(tuple(SHAPES)) for path in (BASE, TABLE, PATH))


def test_every_rule_of_wakits_is_told_by_its_first_words() -> None:
    folder = Path(webhooks.__file__).parent
    code = "\n".join(path.read_text() for path in sorted(folder.glob("*.py")))
    raised = set(re.findall(r'\brule\(\s*f?"([^"{]+)', code))
    assert len(raised) > 5
    told = first_column(section(WAKIT, "Errors"))
    assert {words for words in raised if not words.startswith(tuple(told))} == set()
    assert {words for words in told if not any(each.startswith(words) for each in raised)} == set()
