"""PURE. What sources send, translated into Meta's envelope, so that everything after it exists once.

A translator is a module here with `translate(body, source) -> Translated`, and one row in `TRANSLATORS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tellwire.inbox.translators import wakit, wappcloud
from tellwire.inbox.translators.envelope import Translated
from tellwire.meta.raw_json import verbatim
from tellwire.model.sources import Source, SourceKind

TRANSLATORS: Mapping[SourceKind, Callable[[bytes, Source], Translated]] = {
    "wakit": wakit.translate,
    "wappcloud": wappcloud.translate,
}
"""By kind; what has no row here is Meta's envelope already."""


def translate(source: Source, body: bytes) -> Translated:
    """Return what a source sent as an envelope of Meta's.

    Raises:
        NotJson: it is not JSON.
    """
    translator = TRANSLATORS.get(source.kind)
    if translator is None:
        return Translated(body)
    verbatim.check(body)
    return translator(body, source)
