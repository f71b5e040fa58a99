"""Secrets at rest: sealed for one place, with keys that can be changed."""

from __future__ import annotations

import stat

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
    key = read_or_make_master_key(database)
    assert len(key) == 32
    assert read_or_make_master_key(database) == key
    (made,) = tmp_path.iterdir()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
