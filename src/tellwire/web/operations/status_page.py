"""Serve `/`: a plain page that tells people whether it works; no script, nothing from another host."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any
from urllib.parse import urlsplit

from litestar import Request, Response, get
from msgspec import Struct

from tellwire import __version__
from tellwire.model.deliveries import Endpoint
from tellwire.model.row_json import instant
from tellwire.model.units import MICROS, Micros
from tellwire.stores.queries import status_figures
from tellwire.verdict.rules import LATE, Line
from tellwire.web.operations.figures import Figures
from tellwire.web.operations.probes import Visitor, visitor
from tellwire.web.request import StateDependency

_MOST_ENDPOINTS = 100
_ORDER = {"failing": 0, "disabled": 1, "paused": 2, "active": 3}
_MOST_LINES = 100

_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
table { border-collapse: collapse; width: 100%; margin-block: 0 1.5rem; }
caption { text-align: start; font-weight: 600; padding-block: .5rem; }
th, td { text-align: start; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid; vertical-align: top; }
td.number { font-variant-numeric: tabular-nums; }
code { overflow-wrap: anywhere; }
.verdict { font-size: 1.25rem; font-weight: 600; }
.trouble { border-inline-start: .4rem solid #d00; padding-inline-start: .8rem; }
.trouble li { margin-block: .8rem; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@get("/", include_in_schema=False)
async def status_page(request: Request[Any, Any, Any], app_state: StateDependency) -> Response[bytes]:
    """Tell everybody whether it works, a key its organization's endpoints, and an operator all (everybody, where
    OPEN_OPERATIONS is set)."""
    who = await visitor(request, app_state)
    shown = None
    if who.sees_all or who.caller is not None:
        every = app_state.services.store.registry().endpoints.values()
        mine = [endpoint for endpoint in every if who.may_see(endpoint.organization_id)]
        shown = _Shown(await app_state.meters.figures(), mine, who.sees_all)
    every_line = await app_state.services.watch.lines()
    page = _page(app_state.services.store.failing, who, every_line, shown)
    return Response(
        page.encode(),
        media_type="text/html",
        headers={"content-security-policy": _POLICY, "cache-control": "no-store"},
    )


class _Shown(Struct, frozen=True):
    """What is shown to somebody who is known; `whole`: figures of the whole installation too."""

    figures: Figures
    endpoints: list[Endpoint]
    whole: bool


def _page(failing: str, who: Visitor, every_line: Sequence[Line], shown: _Shown | None) -> str:
    lines = who.lines(every_line)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tellwire: {"not working" if failing else "trouble" if lines else "working"}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Tellwire</h1>
<p class="verdict{" trouble" if failing or lines else ""}">{_headline(failing, lines, known=shown is not None)}</p>
{_lines(lines) if shown else ""}
{_figures(shown) if shown else "<p>An API key shows more.</p>"}
{_NEXT}
</main>
</body>
</html>
"""


def _headline(failing: str, lines: Sequence[Line], *, known: bool) -> str:
    if failing:
        return "✗ Not working: the database does not take commits."
    if not lines:
        return "✓ Working."
    return (
        f"✗ Working, but not everything: {_plural(len(lines), 'thing')} to mend."
        if known
        else "✗ Not everything works."
    )


def _lines(lines: Sequence[Line]) -> str:
    if not lines:
        return ""
    items = "\n".join(
        f"<li><strong>{escape(line.title)}</strong> {escape(line.cause)}<br>{escape(line.remedy)}</li>"
        for line in lines[:_MOST_LINES]
    )
    more = len(lines) - _MOST_LINES
    return f'<ul class="trouble">\n{items}\n</ul>' + (f"<p>And {_plural(more, 'more line')}.</p>" if more > 0 else "")


def _waited(endpoint: Endpoint, figures: Figures) -> Micros:
    """Return how long the oldest delivery of an endpoint has waited, 0 if not too long."""
    age = figures.at - figures.oldest.get(endpoint.id, figures.at)
    return age if age > LATE else 0


def _figures(shown: _Shown) -> str:
    figures, at = shown.figures, instant(shown.figures.at)
    parts = [f'<p>Version {escape(__version__)}, as of <time datetime="{at}">{at}</time>.</p>']
    if shown.whole:
        parts += [
            _table("Last 24 hours", ("What", "How many"), _day(figures)),
            _table("Deliveries that are not over, or failed", ("State", "How many"), _counts(figures.undelivered)),
            _table("Messages that are still to be sent", ("State", "How many"), _counts(figures.unsent)),
        ]
    words = sorted((_shown_state(e, figures) for e in shown.endpoints), key=lambda pair: _ORDER[pair[1]])
    return "\n".join([*parts, _endpoints(words, figures)])


def _shown_state(endpoint: Endpoint, figures: Figures) -> tuple[Endpoint, str]:
    late = endpoint.state == "active" and _waited(endpoint, figures)
    return endpoint, "failing" if late else endpoint.state


def _endpoints(words: list[tuple[Endpoint, str]], figures: Figures) -> str:
    if not words:
        return "<p>No webhook endpoint yet.</p>"
    rows = (
        (
            f"<code>{escape(endpoint.id)}</code>",
            escape(_host(endpoint.url)),
            escape(endpoint.format),
            word + (f": {escape(endpoint.disabled_reason)}" if endpoint.disabled_reason else ""),
            _age(figures.at - figures.oldest[endpoint.id]) if endpoint.id in figures.oldest else "none",
        )
        for endpoint, word in words[:_MOST_ENDPOINTS]
    )
    more = len(words) - _MOST_ENDPOINTS
    table = _table("Webhook endpoints", ("Id", "Host", "Format", "State", "Oldest waiting"), rows)
    return table + (f"<p>And {_plural(more, 'more endpoint')}.</p>" if more > 0 else "")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _day(figures: Figures) -> Iterable[tuple[str, ...]]:
    day = figures.day
    yield "POSTs received from Meta", _number(sum(day.received.values()))
    yield from ((f"… of these {escape(word)}", _number(count)) for word, count in sorted(day.received.items()))
    yield "Events", _number(day.events)
    yield "Deliveries created", _number(sum(day.deliveries.values()))
    yield from ((f"… of these {escape(word)}", _number(count)) for word, count in sorted(day.deliveries.items()))


def _counts(counts: Any) -> Iterable[tuple[str, ...]]:
    return [(escape(word), _number(count)) for word, count in sorted(counts.items())] or [("none", "0")]


def _number(count: int) -> str:
    return f"{count:,}" + (" or more" if count >= status_figures.MOST else "")


def _table(caption: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    lines = "\n".join("<tr>" + "".join(_cell(index, each) for index, each in enumerate(row)) + "</tr>" for row in rows)
    return (
        f"<table>\n<caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>"
    )


def _cell(index: int, content: str) -> str:
    return f'<th scope="row">{content}</th>' if index == 0 else f'<td class="number">{content}</td>'


def _age(micros: Micros) -> str:
    seconds = max(0, micros) // MICROS
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return _plural(seconds // size, word)
    return _plural(seconds, "second")


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


_NEXT = """<h2>How to go on</h2>
<ul>
<li>Make an API key: <code>tellwire keys create</code></li>
<li>Have events delivered: <code>POST /v1/webhook-endpoints</code>
with <code>{"url": "https://…", "format": "row"}</code></li>
<li>Let Meta send here: callback URL <code>/meta/webhook</code>, with META_VERIFY_TOKEN and META_APP_SECRET set</li>
<li>Why did it not arrive? <code>GET /v1/inbound</code>, then <code>GET /v1/deliveries?state=failed</code></li>
<li>Everything that can be called: <a href="/openapi.json">/openapi.json</a></li>
</ul>"""

HANDLERS = (status_page,)
