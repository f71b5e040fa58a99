"""The extras of the distribution: which libraries each brings, and whether they are installed. Nothing is loaded."""

from __future__ import annotations

from importlib.util import find_spec

EXTRAS = {
    "agents": ("httpx2", "openai", "pydantic_ai"),
    "oidc": ("jwt",),
    "otel": ("opentelemetry.exporter.otlp.proto.http", "opentelemetry.sdk.trace", "opentelemetry.trace"),
    "s3": ("obstore",),
}
"""Extra → the libraries of it that we import. Whoever needs one asks `lacking` when the process starts."""


def lacking(extra: str, who_needs: str = "it needs") -> str:
    """Return what to install before an extra can be used; "" when it is there.

    `who_needs`: the beginning of the sentence, such as "TRACING needs".
    """
    if all(map(_is_there, EXTRAS[extra])):
        return ""
    return f"{who_needs} the extra `{extra}`: pip install 'tellwire[{extra}]'"


def _is_there(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # not even what it is a part of
        return False
