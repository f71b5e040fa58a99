"""Which server a command means: profiles of running servers, the settings, and the working directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tellwire.cli import profiles
from tellwire.cli.client import Client, NoServer
from tellwire.cli.profiles import Profile
from tellwire.cli.server import Where, connected
from tellwire.errors import BadSettings
from tellwire.settings import load

ALIVE = os.getpid()


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TELLWIRE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def leave(name: str, **fields: Any) -> str:
    """Keep a profile of a server that runs, started elsewhere, unless told otherwise; its URL."""
    url = f"http://127.0.0.1/{name}"
    given: dict[str, Any] = {"url": url, "key": "k", "made_by": "serve", "pid": ALIVE, "folder": "/else"}
    profiles.save(name, Profile(**(given | fields)))
    return url


def meant(**where: str) -> str:
    """The URL of the server that a command with these options means."""
    with connected(Where(**where)) as api:
        assert isinstance(api, Client)
        return api.url


def test_options_come_before_variables_and_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, other = leave("dev"), leave("other", pid=0, made_by="")
    assert meant() == kept
    monkeypatch.setenv("TELLWIRE_PROFILE", "other")
    assert meant() == other
    monkeypatch.setenv("TELLWIRE_URL", "http://127.0.0.1/variable/")
    monkeypatch.setenv("TELLWIRE_KEY", "k")
    assert meant() == "http://127.0.0.1/variable"
    assert meant(server_profile="dev") == kept
    assert meant(server_url="https://127.0.0.1/option", server_key="k") == "https://127.0.0.1/option"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"server_url": "http://127.0.0.1"}, "--url needs --key"),
        ({"server_url": "127.0.0.1:8700", "server_key": "k"}, "a server's URL is like"),
        ({"server_url": "ftp://x", "server_key": "k"}, "a server's URL is like"),
        ({"server_url": "http://x/?a=1", "server_key": "k"}, "a server's URL is like"),
        ({"server_key": "k"}, "--key goes with --url"),
        ({"server_profile": "nobody"}, "there are: dev"),
        ({"server_profile": "../dev"}, "letters, digits"),
        ({"server_url": "http://x", "server_key": "@no-such-file"}, "--key names no-such-file"),
    ],
)
def test_what_names_no_server_is_said(where: dict[str, str], said: str) -> None:
    leave("dev")
    with pytest.raises(BadSettings, match=said):
        meant(**where)


def test_the_server_of_the_named_database_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave("newest", started_at=3.0)
    here = leave("here", folder=str(tmp_path))
    same = leave("same", database=str(tmp_path / "b.db"))
    assert meant() == here
    monkeypatch.setenv("TELLWIRE_DATABASE_URL", "sqlite:///b.db")
    assert meant() == same
    monkeypatch.setenv("TELLWIRE_DATABASE_URL", "sqlite:///c.db")
    with pytest.raises(NoServer, match="no server runs here"):
        meant()


def test_a_database_that_lies_here_is_no_other_server_s(tmp_path: Path) -> None:
    newest = leave("newest", started_at=3.0)
    leave("older", started_at=2.0)
    assert meant() == newest
    tmp_path.joinpath("tellwire.db").touch()
    with pytest.raises(NoServer):
        meant()


def test_a_server_that_ended_is_named_when_none_runs() -> None:
    url = leave("dev", pid=2**22 + 1)
    with pytest.raises(NoServer, match=url):
        meant()
    profiles.folder().joinpath("damaged.json").write_text("{")
    with pytest.raises(NoServer, match="start one with `tellwire dev`"):
        meant()


def test_two_servers_of_one_command_keep_a_profile_each() -> None:
    settings = load()
    with profiles.left_by("serve", url="http://127.0.0.1:8700", key="k", settings=settings) as first:
        assert first == "serve"
        profiles.save("serve", Profile(url="http://127.0.0.1:1", key="k", made_by="serve", pid=os.getppid()))
        with profiles.left_by("serve", url="http://127.0.0.1:8701/sub", key="k", settings=settings) as second:
            assert second == "serve-8701"
    profiles.folder().chmod(0o500)
    with profiles.left_by("dev", url="http://127.0.0.1:8700", key="k", settings=settings):
        pass  # one that may not write there serves all the same


def test_only_this_user_can_read_a_profile() -> None:
    leave("dev")
    assert profiles.folder().joinpath("dev.json").stat().st_mode & 0o777 == 0o600
    assert profiles.folder().stat().st_mode & 0o777 == 0o700
