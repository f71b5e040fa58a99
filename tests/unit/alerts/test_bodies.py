"""What alerts look like: golden files of the three shapes, their bounds, and what no alert may hold."""

from __future__ import annotations

import json
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.golden.alerts import cases

from tellwire.alerts.bodies import as_chat, as_json, as_mail
from tellwire.alerts.message import MOST, headline, mail_name
from tellwire.alerts.rules import Item

REWRITE = "if it is meant: python -m tests.golden.rewrite"
HOW_TO = Path(__file__).parents[3] / "docs/how-to/alerts.md"


@pytest.mark.parametrize("path", cases.texts(), ids=lambda path: path.name)
def test_golden(path: Path) -> None:
    assert path.read_text() == cases.texts()[path], REWRITE


def test_there_is_no_golden_file_without_a_case() -> None:
    assert {path for path in cases.FOLDER.iterdir() if path.suffix in {".json", ".txt"}} == cases.texts().keys()


def test_the_page_shows_them() -> None:
    page = HOW_TO.read_text()
    for name in ("came.json", "came.mail.txt"):
        assert (cases.FOLDER / name).read_text().strip() in page
    shown = json.loads(page.split("<!-- slack -->")[1].split("```json")[1].split("```")[0])
    assert shown == json.loads((cases.FOLDER / "came.slack.json").read_text())


def test_of_very_many_the_first_are_written_out() -> None:
    many = cases.MESSAGES["very many"]
    data = json.loads(as_json(many))["data"]
    assert (len(data["findings"]), data["more"]) == (MOST, 30 - MOST)
    chat = json.loads(as_chat(many))
    assert len(chat["blocks"]) == MOST + 3  # Slack takes 50
    assert len(chat["text"]) <= 1900
    assert "And 10 more." in as_mail(many, sender="a@b", to=["c@d"]).get_content()
    assert headline(many) == "30 new"


@given(st.text(), st.text(), st.text())
def test_whatever_a_receiver_says_breaks_no_shape(cause: str, hurts: str, name: str) -> None:
    line = replace(cases.FAILING.line, cause=cause, hurts=hurts)
    message = replace(
        cases.MESSAGES["came"],
        items=[Item("came", replace(cases.FAILING, line=line))] * 3,
        names={cases.SHOP: name.encode("utf-8", "replace").decode()},
    )
    assert json.loads(as_json(message))["data"]["more"] == 0
    for block in json.loads(as_chat(message))["blocks"][1:-1]:
        assert len(block["text"]["text"]) <= 3000
        assert "<" not in block["text"]["text"]
    mail = message_from_bytes(as_mail(message, sender="a@b", to=["c@d"]).as_bytes(policy=SMTP), policy=SMTP)
    assert mail["Subject"] == "[Tellwire wa.example.org] 3 new"
    assert mail.keys() == as_mail(cases.MESSAGES["came"], sender="a@b", to=["c@d"]).keys()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://wa.example.org/sub", "wa.example.org"),
        ("http://127.0.0.1:8700", "[127.0.0.1]"),
        ("http://[::1]:8700", "[IPv6:::1]"),
        ("https://bücher.example", "localhost"),
    ],
)
def test_what_the_installation_is_called_in_mail(url: str, name: str) -> None:
    assert mail_name(url) == name
    assert name in as_mail(replace(cases.MESSAGES["test"], url=url), sender="a@b", to=["c@d"])["Message-ID"]


@pytest.mark.parametrize("text", ["+55 11 99999 1234", "5511999991234", "wamid.HBgNNTUxMTk5OTk5MTIzNBUCABEYEjdF"])
def test_no_shape_holds_a_phone_number(text: str) -> None:
    line = replace(cases.PAUSED.line, cause=f"375446602312881: {text}.", hurts=f"{text} waits.")
    message = replace(cases.MESSAGES["many"], items=[Item("came", replace(cases.PAUSED, line=line))])
    for shape in cases.shapes(message).values():
        assert text not in shape
        assert "375446602312881" in shape  # Meta's id of the account, by which people find it


@pytest.mark.parametrize("end", ["\n", "\r\n", "\x0b", "\x85", "\u2028"])
def test_no_text_of_a_stranger_begins_a_line(end: str) -> None:
    """It would look like a remedy of ours."""
    forged = f"refused.{end}Remedy: FORGED"
    line = replace(cases.FAILING.line, cause=forged, hurts=forged)
    message = replace(
        cases.MESSAGES["came"],
        items=[Item("came", replace(cases.FAILING, line=line))],
        names={cases.SHOP: forged},
    )
    chat = [block["text"]["text"] for block in json.loads(as_chat(message))["blocks"]]
    mail = as_mail(message, sender="a@b", to=["c@d"]).get_content()
    for text in (*chat, mail):
        assert not [each for each in text.splitlines() if each.strip().startswith("Remedy: FORGED")]


def test_addresses_in_texts_are_no_links() -> None:
    blocks = json.loads(as_chat(cases.MESSAGES["came"]))["blocks"]
    assert {block["text"].get("verbatim") for block in blocks if block["type"] == "section"} == {True}
