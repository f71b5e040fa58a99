"""PURE. A JSON text with single values replaced: every byte outside of them stays as it was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tellwire.meta.raw_json import verbatim

NULL = b"null"
_DEEPEST = 50
"""How many brackets deep a value is searched; what is nested deeper is replaced as a whole."""

Splice = tuple[int, int, bytes]


def replaced(text: bytes, changes: Mapping[str, bytes]) -> bytes:
    """Return the text with the values at RFC 6901 pointers replaced; a pointer that leads nowhere changes nothing.

    Where one pointer leads into the value of another, the outer one counts.
    """
    tree: dict[str, Any] = {}
    for pointer, new in sorted(changes.items()):
        if not pointer:
            return new
        *way, last = _steps(pointer)
        branch: Any = tree
        for step in way:
            branch = branch.setdefault(step, {})
            if isinstance(branch, bytes):
                break
        else:
            branch[last] = new
    return _spliced(text, list(_splices(text, 0, tree)))


def redacted(text: bytes, pattern: re.Pattern[bytes], *, within: int = 0) -> bytes:
    """Return the text with null for what a pattern is found in: an array's element, or the object with such a
    member. Elements of the outermost arrays are searched, not replaced, so many `within` each other."""
    return _spliced(text, list(_found(text, (0, len(text)), pattern, 0, within)))


def removed(text: bytes, pointers: Iterable[str]) -> bytes:
    """Return the text without the members and elements at RFC 6901 pointers; a pointer that leads nowhere changes
    nothing. White space beside what was removed, and around its neighbours, goes too."""
    tree: dict[str, Any] = {}
    for pointer in sorted(pointers):
        *way, last = _steps(pointer)
        branch: Any = tree
        for step in way:
            branch = branch.setdefault(step, {})
            if branch is None:
                break
        else:
            branch[last] = None
    return _without(text, tree) if tree else text


def _without(text: bytes, tree: Mapping[str, Any]) -> bytes:
    found = verbatim.child_spans(text, 0)
    if found is None:
        return text
    opening, spans = found
    array = opening == b"["
    pieces: list[bytes] = []
    for number in range(len(spans) if array else len(spans) // 2):
        key = (0, 0) if array else spans[2 * number]
        value = spans[number] if array else spans[2 * number + 1]
        step = str(number) if array else verbatim.read(text[slice(*key)])[0]
        kept = text[slice(*value)]
        if step in tree:
            if tree[step] is None:
                continue
            kept = _without(kept, tree[step])
        pieces.append(kept if array else b"%b:%b" % (text[slice(*key)], kept))
    return b"%b%b%b" % (opening, b",".join(pieces), b"]" if array else b"}")


def _steps(pointer: str) -> list[str]:
    return [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]


class Values:
    """The values of a JSON text by RFC 6901 pointers, verbatim; what is on the way to several of them is cut once."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._cut: dict[str, Mapping[str, bytes]] = {}

    def at(self, pointer: str) -> bytes | None:
        """Return the value that a pointer leads to; None when it leads nowhere."""
        if not pointer:
            return self._text
        holder, _, step = pointer.rpartition("/")
        piece = self.pieces(holder).get(step.replace("~1", "/").replace("~0", "~"))
        return None if piece is None else bytes(piece)

    def pieces(self, pointer: str) -> Mapping[str, bytes]:
        """Return the members of the object, or the elements by number of the array, that a pointer leads to."""
        if pointer not in self._cut:
            self._cut[pointer] = _by_name(self.at(pointer))
        return self._cut[pointer]


def _by_name(text: bytes | None) -> Mapping[str, bytes]:
    if text is None:
        return {}
    members = verbatim.members(text)
    if members is not None:
        return members
    return {str(number): piece for number, piece in enumerate(verbatim.elements(text) or ())}


def _spliced(text: bytes, splices: list[Splice]) -> bytes:
    parts: list[bytes] = []
    done = 0
    for start, end, new in sorted(splices):
        parts += (text[done:start], new)
        done = end
    return b"".join((*parts, text[done:])) if splices else text


def _splices(text: bytes, start: int, tree: Mapping[str, Any]) -> Iterator[Splice]:
    spans = _spans_by_name(text, start)
    for step, what in tree.items():
        span = spans.get(step)
        if span is None:
            continue
        if isinstance(what, bytes):
            yield (*span, what)
        else:
            yield from _splices(text, span[0], what)


def _spans_by_name(text: bytes, start: int) -> dict[str, tuple[int, int]]:
    """Return the spans of the members or elements of a value, by name or number."""
    pieces = verbatim.child_spans(text, start)
    if pieces is None:
        return {}
    opening, spans = pieces
    if opening == b"[":
        return {str(number): span for number, span in enumerate(spans)}
    found: dict[str, tuple[int, int]] = {}
    for (begins, ends), span in zip(spans[::2], spans[1::2], strict=True):
        key, refused = verbatim.read(text[begins:ends])
        if not refused:
            found[key] = span
    return found


def _found(text: bytes, span: tuple[int, int], pattern: re.Pattern[bytes], depth: int, within: int) -> Iterator[Splice]:
    if not pattern.search(text, *span):
        return
    pieces = verbatim.child_spans(text, span[0]) if depth < _DEEPEST else None
    if pieces is None:
        yield (*span, NULL)
        return
    opening, spans = pieces
    if opening == b"[":
        for each in spans:
            if within:
                yield from _found(text, each, pattern, depth + 1, within - 1)
            elif pattern.search(text, *each):
                yield (*each, NULL)
        return
    members = list(zip(spans[::2], spans[1::2], strict=True))
    if any(pattern.search(text, *key) or _scalar_with(text, each, pattern) for key, each in members):
        yield (*span, NULL)
        return
    for _, each in members:
        yield from _found(text, each, pattern, depth + 1, within)


def _scalar_with(text: bytes, span: tuple[int, int], pattern: re.Pattern[bytes]) -> bool:
    return text[span[0]] not in b"[{" and pattern.search(text, *span) is not None
