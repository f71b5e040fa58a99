"""Implement `tellwire openapi`: print the document that a server shows at /openapi.json."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from tellwire.cli import printing
from tellwire.cli.output import Json, print_json
from tellwire.formats.openapi import webhooks
from tellwire.web.asgi import openapi as document
from tellwire.web.docs import reference as page


def openapi(
    *,
    json: Json = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Print the reference page of it, in Markdown.")
    ] = False,
) -> None:
    """Print the OpenAPI 3.1 document of the REST API, with the webhooks that Tellwire sends. Needs no database.

    Always JSON, with --json on one line, unless the reference page is asked for.
    """
    encoded = msgspec.json.encode(document(webhooks()))
    found = msgspec.json.decode(encoded)
    if reference:
        printing.out(page.reference(found))
    elif json:
        print_json(found)
    else:
        printing.out_json(msgspec.json.format(encoded).decode() + "\n")
