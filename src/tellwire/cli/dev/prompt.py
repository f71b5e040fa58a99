"""Read lines on a terminal below what happens: an input line that no output breaks. Imported only on a terminal."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable

from prompt_toolkit.application import Application, run_in_terminal
from prompt_toolkit.application.current import set_app
from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Size
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import ANSI, StyleAndTextTuples
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, HSplit, Layout, Window
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.widgets import TextArea

from tellwire.cli.dev.live import Board

_BELOW = 3
"""rows: a rule, the input, and one that stays free"""


class _Rest(AutoSuggest):
    """Suggests the rest of a slash command."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = sorted(words)

    def get_suggestion(self, _buffer: Buffer, document: Document) -> Suggestion | None:
        text = document.text
        found = next((word for word in self._words if text.startswith("/") and word.startswith(text)), "")
        return Suggestion(found[len(text) :]) if found else None


class Prompt:
    """The lower part of the terminal: what may still change, a rule, and the input line.

    Args:
        board: what stands above the input.
        words: the slash commands.
    """

    def __init__(self, board: Board, words: Iterable[str]) -> None:
        self._board = board
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._putting = False
        self._input = TextArea(
            multiline=False,
            prompt=[("bold ansigreen", "❯ ")],
            history=InMemoryHistory(),
            auto_suggest=_Rest(words),
            accept_handler=self._accepted,
        )
        self._app: Application[None] = Application(
            Layout(
                HSplit(
                    [
                        Window(FormattedTextControl(self._above), dont_extend_height=True, always_hide_cursor=True),
                        Window(FormattedTextControl(self._rule), height=1),
                        self._input,
                    ]
                ),
                focused_element=self._input,
            ),
            key_bindings=_keys(),
            # The position of the cursor is not asked for: a terminal that does not answer would show a warning.
            output=Vt100_Output(sys.stdout, _size, enable_cpr=False),
            erase_when_done=True,
        )

    async def lines(self) -> AsyncIterator[str]:
        """Give the lines that are typed."""
        while True:
            yield await self._lines.get()

    async def run(self) -> None:
        """Show everything until cancelled; then what stands there is put out for good."""
        before, self._board.changed = self._board.changed, self._changed
        try:
            await self._app.run_async(handle_sigint=False)
        finally:
            self._board.changed = before
            before()

    def _accepted(self, buffer: Buffer) -> bool:
        self._lines.put_nowait(buffer.text.strip())
        return False

    def _above(self) -> ANSI:
        return ANSI("\n".join(self._board.text(_size().columns)))

    def _rule(self) -> StyleAndTextTuples:
        hint = " a line goes to the customer who wrote last · /help · Ctrl-C stops "
        columns = _size().columns
        return [("ansibrightblack", f"──{hint}".ljust(columns, "─")[:columns])]

    def _changed(self) -> None:
        rows, columns = _size()
        if len(self._board.text(columns)) <= max(1, rows - _BELOW):
            self._app.invalidate()
        elif not self._putting:
            self._putting = True
            with set_app(self._app):
                run_in_terminal(self._put_out)

    def _put_out(self) -> None:
        """Put out for good what does not fit any more. Called while nothing of ours stands on the terminal."""
        self._putting = False
        rows, columns = _size()
        output = self._app.output
        # Raw: the colours in it are ours, and texts of others have lost their control characters.
        lines = self._board.overflow(columns, max(1, rows - _BELOW))
        output.write_raw("".join(f"{line}\r\n" for line in lines))
        output.flush()


def _size() -> Size:
    columns, rows = os.get_terminal_size(sys.stdout.fileno())  # a variable COLUMNS may be of another terminal
    return Size(rows=rows, columns=max(20, columns))


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("c-c")
    @keys.add("c-d")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text and event.key_sequence[0].key == Keys.ControlD:
            event.current_buffer.delete()
            return
        os.kill(os.getpid(), signal.SIGINT)  # one way to stop: the signal that Ctrl-C is elsewhere

    @keys.add("tab")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.suggestion:
            buffer.insert_text(buffer.suggestion.text)

    return keys
