"""Mail over real SMTP: what a server takes, what it refuses in plain words, TLS, and a deadline over everything."""

from __future__ import annotations

import asyncio
import socket
import threading
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from tests.contract.authority import Authority
from tests.mail_server import MailBox, mail_server

from tellwire.mail.smtp import Smtp
from tellwire.ports.mail import Handed, MailServer

pytestmark = pytest.mark.anyio

TO = ["ana@example.org", "ops@example.org"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def mail() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "tellwire@example.org", ", ".join(TO), "Überprüfung"
    message.set_content("Größe\n.\n", cte="quoted-printable")
    return message


def server(box: MailBox, **changes: object) -> MailServer:
    return MailServer(**{"host": "127.0.0.1", "port": box.port, "tls": "never", **changes})  # type: ignore[arg-type]


async def handed(box: MailBox, to: list[str] = TO, *, seconds: float = 10, **changes: object) -> Handed:
    tls = changes.pop("trusts", None)
    client = Smtp(server(box, **changes), name="wa.example.org", tls=tls, seconds=seconds)  # type: ignore[arg-type]
    return await client.send(mail(), to)


async def test_a_mail_is_taken_whole() -> None:
    with mail_server() as box:
        assert await handed(box) == Handed(ok=True, answer="it took the mail")
    [taken] = box.mails
    message = message_from_bytes(taken, policy=SMTP)
    assert message["Subject"] == "Überprüfung"
    assert "Größe" in message.get_content()
    assert box.recipients == [TO]
    assert box.hellos[0] == "wa.example.org"  # and no resolver was asked for a name of this machine


@pytest.mark.parametrize(
    ("answers", "ok", "words"),
    [
        ({"": "554 not you"}, False, "it answered 554: not you"),
        ({"MAIL": "451 later"}, False, "it answered 451: later"),
        ({"DATA": "452 full"}, False, "it answered 452: full"),
        ({"RCPT": "550 unknown"}, True, "it took the mail, but not for every recipient: 550 unknown"),
    ],
)
async def test_what_a_server_refuses_is_said(answers: dict[str, str], ok: bool, words: str) -> None:
    box = MailBox()
    box.answers = answers
    with mail_server(box):
        assert await handed(box, [*TO, "refused@example.org"]) == Handed(ok=ok, answer=words)
    assert len(box.mails) == ok


async def test_a_server_that_takes_it_for_nobody() -> None:
    box = MailBox()
    box.answers = {"RCPT": "550 unknown"}
    with mail_server(box):
        answer = await handed(box, ["refused@example.org"])
    assert answer == Handed(ok=False, answer="it refused every recipient: 550 unknown")


async def test_a_login_goes_over_tls_and_its_password_into_no_answer(authority: Authority) -> None:
    box = MailBox(tls=authority.server("127.0.0.1"), logins={"ana": "a-right-password"})
    given: dict[str, Any] = {"tls": "starttls", "user": "ana", "trusts": authority.client}
    with mail_server(box):
        assert (await handed(box, password="a-right-password", **given)).ok
        refused = await handed(box, password="a-wrong-password", **given)
        strange = await handed(box, password="a-right-password", tls="starttls", user="ana")
    assert refused == Handed(ok=False, answer="it answered 535: wrong password for ana")
    assert not strange.ok
    assert strange.answer.startswith("its certificate is not valid: ")
    assert box.encrypted == [True]


async def test_a_server_without_starttls_gets_nothing(authority: Authority) -> None:
    with mail_server() as box:
        answer = await handed(box, tls="starttls", user="ana", password="x", trusts=authority.client)
    assert not answer.ok
    assert "STARTTLS" in answer.answer
    assert box.mails == []


async def test_tls_from_the_first_byte(authority: Authority) -> None:
    with mail_server(wrapped=authority.server("127.0.0.1")) as box:
        assert (await handed(box, tls="always", trusts=authority.client)).ok


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        box = MailBox()
        box.port = taken.getsockname()[1]
        assert await handed(box) == Handed(ok=False, answer="connection refused")


@pytest.mark.parametrize("verb", ["EHLO", "RCPT", "DATA"])
def test_a_server_that_falls_silent_holds_nobody(verb: str) -> None:
    box = MailBox()
    box.answers = {verb: ""}
    answers: list[Handed] = []
    with mail_server(box):
        # The event loop ends only when the thread of the mail has, which would wait for 10 s by itself.
        whole = threading.Thread(
            target=lambda: answers.append(asyncio.run(handed(box, ["refused@example.org"], seconds=0.2)))
        )
        whole.start()
        whole.join(8)
        assert not whole.is_alive()
    assert answers == [Handed(ok=False, answer="it did not take the mail within 0.2 s")]
