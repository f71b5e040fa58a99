"""Secrets at rest: sealed for one place, with keys that can be changed."""

from __future__ import annotations

import base64
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.errors import BadSettings
from tellwire.security.vault import Vault, read_or_make_master_key

OLD, NEW = bytes(32), bytes(range(32))


@given(st.text(), st.text(max_size=20))
def test_what_was_sealed_is_unsealed_at_its_own_place_only(plain, context):
    vault = Vault([OLD])
    sealed = vault.seal(plain, context)
    assert vault.unseal(sealed, context) == plain
    if plain:
        assert plain not in sealed or len(plain) < 4
        with pytest.raises(BadSettings):
            vault.unseal(sealed, context + "x")


def test_the_first_key_seals_and_every_key_unseals():
    sealed = Vault([OLD]).seal("secret", "a")
    both = Vault([NEW, OLD])
    assert both.unseal(sealed, "a") == "secret"
    assert Vault([NEW]).unseal(both.seal("secret", "a"), "a") == "secret"
    with pytest.raises(BadSettings, match="another key"):
        Vault([NEW]).unseal(sealed, "a")


def test_the_key_beside_a_database_is_made_once_and_for_its_owner_alone(tmp_path):
    database = tmp_path / "x.db"
    key = read_or_make_master_key(database, holds_sealed=lambda: False)
    assert len(key) == 32
    assert read_or_make_master_key(database, holds_sealed=lambda: True) == key
    (made,) = tmp_path.iterdir()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_no_key_is_made_for_a_database_that_holds_sealed_values(tmp_path):
    with pytest.raises(BadSettings, match="put back the file") as refused:
        read_or_make_master_key(tmp_path / "x.db", holds_sealed=lambda: True)
    assert "TELLWIRE_MASTER_KEY" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\n", b"too short", b"=====", b"\xff\xfe\x00", base64.b64encode(bytes(31))])
def test_a_file_that_holds_no_key_is_named(tmp_path, content):
    (tmp_path / "x.db.master-key").write_bytes(content)
    with pytest.raises(BadSettings, match="does not hold a 32-byte key"):
        read_or_make_master_key(tmp_path / "x.db", holds_sealed=lambda: False)
    assert (tmp_path / "x.db.master-key").read_bytes() == content


def test_two_that_start_at_once_have_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = pool.map(lambda _: read_or_make_master_key(tmp_path / "x.db", holds_sealed=lambda: False), range(32))
    assert len(set(keys)) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["x.db.master-key"]
