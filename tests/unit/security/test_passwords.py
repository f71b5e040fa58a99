"""Passwords as they are kept, and what is refused."""

from __future__ import annotations

import pytest

from tellwire.security import passwords

PASSWORD = "an invented password"


def test_a_password_is_kept_as_argon2id_with_its_salt() -> None:
    one, other = (passwords.hashed(PASSWORD, salt * 16) for salt in (b"a", b"b"))
    assert one.startswith("$argon2id$v=19$m=32768,t=3,p=1$")
    assert one != other
    assert passwords.is_right(PASSWORD, one)
    assert not passwords.is_right(PASSWORD + "x", one)


def test_nobodys_hash_costs_as_much_as_anybodys_and_no_password_fits_it() -> None:
    """So an address of nobody takes as long to refuse as one of a member."""
    parts = [text.split("$") for text in (passwords.NOBODYS, passwords.hashed(PASSWORD, b"s" * 16))]
    assert parts[0][:4] == parts[1][:4]
    assert [len(part) for part in parts[0]] == [len(part) for part in parts[1]]
    assert not passwords.is_right(PASSWORD, "")
    assert not passwords.is_right("", "")


def test_an_accent_is_the_same_however_the_keyboard_writes_it() -> None:
    assert passwords.is_right("contrase\u00f1a larga", passwords.hashed("contrasen\u0303a larga", b"s" * 16))


@pytest.mark.parametrize("odd", ["\ud800" * 10, "\x00" * 10, "x" * 100_000, "🔑" * 300])
def test_no_text_is_a_defect(odd: str) -> None:
    assert not passwords.is_right(odd, "")


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "10 to 256"),
        ("x" * 257, "10 to 256"),
        ("aaaaaaaaaaaaaaaa", "easy"),
        ("ana@example.com", "easy"),
        ("ANA@example.com", "easy"),
        (PASSWORD, ""),
    ],
)
def test_what_is_easy_to_guess_is_refused(password: str, words: str) -> None:
    fault = passwords.fault(password, "ana@example.com", "Ana")
    assert words in fault
    assert bool(fault) is bool(words)
