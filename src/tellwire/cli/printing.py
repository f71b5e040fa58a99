"""Write what commands print. Everything goes through here, because names, texts, URLs and causes are of strangers: what
would move the cursor, change colours or titles, or turn the writing round is blanked.

`--help` of the whole program needs it too, so it imports next to nothing.
"""

from __future__ import annotations

import re
import sys

_COLOURS = "0", "1;31", "1;36", "2", "31", "32", "33", "36", "90"
"""The only sequences that we write; `output.painted` and the screen of `dev` do."""
_CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROL = re.compile(f"[{_CONTROLS}]")
_CONTROL_BUT_OURS = re.compile(rf"(\n|\x1b\[(?:{'|'.join(_COLOURS)})m)|[{_CONTROLS}]")


def on_one_line(text: str) -> str:
    """Return a text of a stranger without what would move a terminal's cursor or turn its writing round."""
    return _CONTROL.sub(" ", text)


def shown(text: str) -> str:
    """Return a text as `out` writes it: the same, but with its line breaks and our own colours."""
    return _CONTROL_BUT_OURS.sub(lambda found: found[1] or " ", text)


def in_json(document: str) -> str:
    """Return a JSON document of the same value, whose strings hold no such character as itself."""
    return _CONTROL.sub(lambda found: found[0] if found[0] in "\n\r\t" else f"\\u{ord(found[0]):04x}", document)


def out(text: str) -> None:
    """Write a text on stdout."""
    sys.stdout.write(shown(text))


def err(text: str) -> None:
    """Write a text on stderr."""
    sys.stderr.write(shown(text))


def out_exactly(text: str) -> None:
    """Write the very bytes of somebody's, such as a body to check its signature; a terminal gets them blanked."""
    sys.stdout.write(shown(text) if sys.stdout.isatty() else text)


def out_json(document: str) -> None:
    """Write a JSON document on stdout."""
    sys.stdout.write(in_json(document))


def progress(text: str) -> None:
    """Write over the last line of stderr how far it is."""
    sys.stderr.write(f"\r{on_one_line(text)}\r")
