"""API keys."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tellwire.security import api_keys

KEY = api_keys.make(bytes(range(32)))
RECORD = api_keys.record(KEY, organization_id="o", name="n", scopes=("read",), expires_at=None)


@given(st.binary(min_size=32, max_size=32))
def test_keys_have_one_look(random: bytes) -> None:
    key = api_keys.make(random)
    assert len(key) == 46
    assert api_keys.has_key_form(key)


@given(st.text(max_size=60))
def test_other_texts_do_not_look_like_keys(text: str) -> None:
    assert not api_keys.has_key_form(text)
    assert not api_keys.has_key_form(KEY + text or "x") or text == ""


def test_record_holds_no_key() -> None:
    assert RECORD.hash == hashlib.sha256(KEY.encode()).hexdigest()
    assert KEY.startswith(RECORD.prefix)
    assert len(RECORD.prefix) == 10
    assert KEY not in str(RECORD)


def test_keys_work_until_they_expire_or_are_revoked() -> None:
    assert api_keys.is_valid(RECORD, 10)
    assert not api_keys.is_valid(replace(RECORD, revoked_at=5), 10)
    expiring = replace(RECORD, expires_at=10)
    assert api_keys.is_valid(expiring, 9)
    assert not api_keys.is_valid(expiring, 10)


def test_usual_scopes_are_all_but_admin() -> None:
    assert set(api_keys.DEFAULT_SCOPES) == set(api_keys.SCOPES) - {"admin"}
