"""`backup` and `migrate --plan` in the folder of a `dev`, whose database they do not mean: they say how to name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tellwire.cli import FAILED, main
from tellwire.cli.dev.home import FOLDER

NAMED = "TELLWIRE_DATABASE_URL=sqlite:///.tellwire/tellwire.db"


@pytest.fixture(autouse=True)
def _beside_dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FOLDER.mkdir()
    (FOLDER / "tellwire.db").touch()


def test_backup_says_how_to_name_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "."]) == FAILED
    assert capsys.readouterr().err.splitlines() == [
        "tellwire: there is no database at tellwire.db; for that of the `tellwire dev` in this folder, set " + NAMED
    ]


def test_a_plan_says_how_to_name_it_unless_one_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["migrate", "--plan"]) == FAILED
    assert NAMED in capsys.readouterr().err
    monkeypatch.setenv("TELLWIRE_DATABASE_URL", "sqlite:///other.db")
    assert main(["migrate", "--plan"]) == FAILED
    assert NAMED not in capsys.readouterr().err
