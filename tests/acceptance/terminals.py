"""The command line on a terminal: a real pseudo-terminal, what stands on it, and a picture of it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import pyte
from tests.acceptance.processes import SECONDS, environment

T = TypeVar("T")
Row = list[tuple[str, str, bool, int]]
"""Pieces of a row: text, colour, whether it is bold, columns."""


class Terminal:
    """A command on a terminal of so many columns and rows."""

    def __init__(self, *arguments: str, cwd: Path, columns: int, rows: int, **variables: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        kept = {name: value for name, value in environment(cwd).items() if name not in ("NO_COLOR", "BROWSER")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tellwire", *arguments],
            cwd=cwd,
            env=kept | {"TERM": "xterm-256color"} | variables,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - its controlling terminal
        )
        self._theirs = theirs
        self._screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""

    @property
    def lines(self) -> list[str]:
        """What stands on it, without spaces at the ends and empty lines below."""
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def history(self) -> list[str]:
        """What was moved off its top."""
        columns = range(self._screen.columns)
        return ["".join(row[column].data for column in columns).rstrip() for row in self._screen.history.top]

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column."""
        return self._screen.cursor.y, self._screen.cursor.x

    @property
    def echoes(self) -> bool:
        """Whether it shows what is typed by itself, as terminals do unless a program takes the keys."""
        return bool(termios.tcgetattr(self._theirs)[3] & termios.ECHO)

    def until(self, found: Callable[[list[str]], T | None], *, seen: Callable[[list[str]], Any] = list) -> T:
        """Return what `found` finds on the terminal, once it finds something; `seen` gets each state of it."""
        end = time.monotonic() + SECONDS
        while not (result := found(self.lines)):
            if time.monotonic() > end or not self._read(1.0):
                raise AssertionError("it never came\n" + "\n".join(self.lines))
            seen(self.lines)
        return result

    def type(self, text: str) -> None:
        """Press keys; "\\r" is Enter."""
        os.write(self._ours, text.encode())

    def stop(self) -> int:
        """Read to the end and return the exit code."""
        end = time.monotonic() + SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            self._read(0.1)
        while self._read(0.0):
            pass
        return self.process.wait(1)

    def close(self) -> None:
        """End what still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(SECONDS)
        os.close(self._ours)
        os.close(self._theirs)

    def rows(self, first: int) -> list[Row]:
        """What stands on it from a row on, for a picture."""
        picture: list[Row] = []
        for number in range(first, len(self.lines)):
            cells = [self._screen.buffer[number][column] for column in range(self._screen.columns)]
            row: Row = []
            for (colour, bold), group in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
                pieces = list(group)
                row.append(("".join(cell.data for cell in pieces), colour, bold, len(pieces)))
            picture.append(row)
        return picture

    def _read(self, seconds: float) -> bool:
        """Take in what was written within so many seconds; return whether more may come."""
        ready, _, _ = select.select([self._ours], [], [], seconds)
        if not ready:
            return seconds > 0
        with suppress(OSError):
            piece = os.read(self._ours, 65536)
            self.written += piece
            self._stream.feed(piece)
            return bool(piece)
        return False


@contextmanager
def on_terminal(*arguments: str, cwd: Path, columns: int = 104, rows: int = 30, **variables: str) -> Iterator[Terminal]:
    """A command on a terminal, killed at the end if it still runs."""
    terminal = Terminal(*arguments, cwd=cwd, columns=columns, rows=rows, **variables)
    try:
        yield terminal
    finally:
        with suppress(ProcessLookupError):
            os.killpg(terminal.process.pid, signal.SIGKILL)
        terminal.close()


# --- a picture --------------------------------------------------------------------------------------------------------

_WIDTH, _HEIGHT, _MARGIN, _SECONDS = 8.4, 18, 14, 2.5
_COLOURS = {
    "default": "#d8dee9",
    "brightblack": "#7b8794",
    "red": "#ff6b6b",
    "green": "#8fd48a",
    "brown": "#f0c674",
    "cyan": "#6fc3df",
    "brightgreen": "#8fd48a",
}


def recording(frames: Sequence[list[Row]], *, columns: int, title: str) -> str:
    """An SVG that shows the frames one after the other, or the last alone to who wants no motion."""
    rows, total = max(map(len, frames)), len(frames) * _SECONDS
    width, height = round(columns * _WIDTH + 2 * _MARGIN), rows * _HEIGHT + 2 * _MARGIN
    share = 100 / len(frames)
    style = (
        'text{font:14px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;white-space:pre}'
        f"g{{visibility:hidden;animation:shown {total}s step-end infinite}}g:last-of-type{{visibility:visible}}"
        f"@keyframes shown{{0%{{visibility:visible}}{share:.4f}%{{visibility:hidden}}}}"
        "@media(prefers-reduced-motion:reduce){g{animation:none}}"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{style}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#1b2027"/>',
    ]
    for number, frame in enumerate(frames):
        parts.append(f'<g style="animation-delay:{number * _SECONDS - total}s">')
        parts += [_drawn(row, _MARGIN + (line + 1) * _HEIGHT - 5) for line, row in enumerate(frame)]
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _drawn(row: Row, y: int) -> str:
    column, pieces = 0, []
    for text, colour, bold, columns in row:
        bare = text.strip()
        if bare:
            before = len(text) - len(text.lstrip())
            x = _MARGIN + (column + before) * _WIDTH
            room = (columns - before - (len(text) - len(text.rstrip()))) * _WIDTH
            weight = ' font-weight="bold"' if bold else ""
            fill = _COLOURS.get(colour, _COLOURS["default"])
            pieces.append(
                f'<text x="{x:.1f}" y="{y}" fill="{fill}"{weight} textLength="{room:.1f}">{escape(bare)}</text>'
            )
        column += columns
    return "".join(pieces)
