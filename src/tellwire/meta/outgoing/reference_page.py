"""PURE. The reference page of what can be sent, docs/reference/sending-limits.md: from the tables that check it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import assert_never

from tellwire.meta.codes import CODES, OWN_CODES, Code
from tellwire.meta.outgoing.interactive import HEADER, INTERACTIVE, KINDS
from tellwire.meta.outgoing.media import LINK
from tellwire.meta.outgoing.shapes import Anything, Boolean, Choice, Fields, Kinds, ListOf, Number, Rule, Shape, String
from tellwire.meta.outgoing.template import CARD_COMPONENT
from tellwire.meta.outgoing.types import TYPES

_PREFACE = """\
<!-- Made from src/tellwire/meta/outgoing by `./run config --sending-limits`; a test compares them. -->
# Sending: types, limits and errors

What `POST /v1/messages` checks before anything is stored: all mistakes at once, each with its JSON pointer. The limits
are Meta's; where Meta documents none, there is none here.

`≤` is the most characters (Unicode code points); `?` marks what may be left out; `[1–3]` is a list with so many
elements; `|` stands between the kinds that a `type` or `sub_type` names. `MEDIA` has exactly one of `id` (of an
uploaded medium) and `link` (a `URL`: `http://` or `https://`). A text that must be there must not be empty, except
`emoji`: empty, it takes the reaction back.

Other members are refused in the simple types, and passed on to Meta in contacts, interactive messages and templates. A
reaction cannot be a reply. Only a template can be sent outside of the 24-hour window.

## Types

"""
_INTERACTIVE = """
## Interactive messages

By `interactive.type`. `HEADER` is {header}.

"""
_CODES = """
## Meta's error codes

What a code in the answer to a send means for the message; titles and HTTP statuses decide nothing. A *late* code comes
in a `failed` status too, after which nothing is tried again. A code that is not listed fails the message.

| class | what follows |
|---|---|
| `retry` | it is tried again |
| `throttled` | the same, and the whole account waits |
| `pair` | the same, and this recipient waits |
| `fail` | it fails with Meta's error |
| `pause` | it waits, and its account is paused until a person has acted |

Attempts follow each other after 1, 4, 16, 64, 256 s and then every 300 s, each a fifth shorter or longer, or later if
the answer says so (`Retry-After`).

After no answer, a 5xx without a code, or a 2xx without a message id the outcome is unknown, and nothing is sent again
by itself. Any other answer without a code fails the message, but 429 counts as `throttled`.

| code | Meta's title | HTTP | class |
|---|---|---|---|
"""
_OWN_CODES = """
## Our own error codes

A failure that Meta does not know of has a code between 990000 and 990999, where Meta has none. `errors[].code` is a
number whoever made it.

| code | title | when |
|---|---|---|
"""


def reference() -> str:
    """Return the page, in Markdown."""
    types = {kind: each.shape for kind, each in TYPES.items()}
    header = f"`{_alternatives(HEADER.kinds)}`"
    parts = [_PREFACE, *_items(types), _INTERACTIVE.format(header=header), *_items(KINDS), _CODES, *_codes(CODES)]
    own = (f"| {code} | {title} | {when} |\n" for code, (title, when) in OWN_CODES.items())
    return "".join([*parts, _OWN_CODES, *own])


def _items(shapes: Mapping[str, Shape]) -> Iterator[str]:
    for name, shape in shapes.items():
        shown = _shown(shape)
        if shown.startswith("{") and shown.endswith("}"):
            shown = shown[1:-1]
        yield f"- **{name}**: `{shown}`\n"


_LABELS: list[tuple[Shape, str]] = [
    (INTERACTIVE, "one of the kinds below"),
    (HEADER, "HEADER"),
    (LINK, "URL"),
    (CARD_COMPONENT, "header | body | button, as outside"),
]


def _shown(shape: Shape) -> str:
    label = next((label for known, label in _LABELS if known is shape), None)
    if label is not None:
        return label
    match shape:
        case ListOf(item=item, least=least, most=most, rules=rules):
            many = f"[{least}–{most}]" if most else f"[{least}…]"
            return _words(many, _shown(item), f"({_rules(rules)})" if rules else "")
        case Fields():
            return _members(shape)
        case Kinds(kinds=kinds):
            return f"({_alternatives(kinds)})"
        case _:
            return _scalar(shape)


def _scalar(shape: String | Choice | Number | Boolean | Anything) -> str:
    match shape:
        case String(most=most, wants=wants):
            return _words(f"≤{most}" if most else "", f"({wants})" if wants else "")
        case Choice(among=among):
            return "|".join(f'"{each}"' for each in among)
        case Number(least=least, most=most):
            return f"{least:.15g}…{most:.15g}" if most < 10**15 else "number"
        case Boolean():
            return "true|false"
        case Anything():
            return ""
        case _:
            assert_never(shape)


def _members(shape: Fields) -> str:
    needed = [(name, inner) for name, inner in shape.needs.items()]
    optional = [(f"{name}?", inner) for name, inner in shape.may.items()]
    is_media = {"id", "link"} <= shape.may.keys()
    if is_media:
        optional = [(name, inner) for name, inner in optional if name not in ("id?", "link?")]
    members = [_words(name, _shown(inner)) for name, inner in needed + optional]
    rules = [] if is_media else [_rules(shape.rules)]
    inside = "; ".join(filter(None, [", ".join(members), *rules]))
    if is_media:
        return f"MEDIA {{{inside}}}" if inside else "MEDIA"
    return f"{{{inside}}}" if inside else ""


def _rules(rules: tuple[Rule, ...]) -> str:
    return "; ".join(rule.says for rule in rules)


def _alternatives(kinds: Mapping[str, Fields | Kinds]) -> str:
    """Return the kinds in order, those of one shape together; a member with its kind's name is shown once."""
    shown = []
    for shape, group in groupby(kinds.items(), key=lambda each: each[1]):
        names = [name for name, _ in group]
        alone = isinstance(shape, Fields) and list(shape.needs) == names and not shape.may
        inside = _shown(shape.needs[names[0]]) if isinstance(shape, Fields) and alone else _shown(shape)
        shown.append(_words("|".join(names), inside))
    return " | ".join(shown)


def _words(*parts: str) -> str:
    return " ".join(filter(None, parts))


def _codes(codes: Mapping[int, Code]) -> Iterator[str]:
    for code, group in groupby(sorted(codes), key=lambda each: codes[each]):
        numbers = list(group)
        whole = len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1
        shown = f"{numbers[0]} to {numbers[-1]}" if whole else ", ".join(map(str, numbers))
        notes = [
            f"`{code.kind}`",
            *([f"{code.tries} attempts"] if code.tries else []),
            *(["late"] if code.late else []),
        ]
        yield f"| {shown} | {code.title} | {code.http} | {', '.join(notes)} |\n"
