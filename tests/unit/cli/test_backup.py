"""Where a backup goes, and how sizes are said."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from tellwire.cli.backup import Progress, in_words, place_for

NOW = 1_800_000_000_000_000


def test_a_folder_gets_a_file_that_is_named_after_the_moment(tmp_path: Path) -> None:
    assert place_for(tmp_path, NOW) == tmp_path / "tellwire-20270115T080000Z.tar"
    assert place_for(tmp_path / "mine.tar", NOW) == tmp_path / "mine.tar"


def test_nothing_is_written_over_and_no_folder_made(tmp_path: Path) -> None:
    there = tmp_path / "there.tar"
    there.touch()
    with pytest.raises(typer.BadParameter, match=r"there\.tar is there already: name another file, or a folder"):
        place_for(there, NOW)
    with pytest.raises(typer.BadParameter, match=r"there is no folder \S+/absent: make it first"):
        place_for(tmp_path / "absent" / "b.tar", NOW)


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (10**15, "1000.0 TB")],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert in_words(size) == words


def test_what_is_done_is_told_at_once_and_how_far_it_is_not_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    tell = Progress("restore")
    tell("checking the archive", 1, 100)
    tell("deleting what is there: it.db (messages: 3)", 0, 0)
    tell("checking the archive", 2, 100)
    assert capsys.readouterr().err == "restore: deleting what is there: it.db (messages: 3)\n"
