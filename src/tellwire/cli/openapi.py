"""`tellwire openapi`: the document that a server shows at /openapi.json."""

from __future__ import annotations

import sys

import msgspec

from tellwire.cli.output import Json, print_json
from tellwire.formats.openapi import webhooks
from tellwire.web.asgi import openapi as document


def openapi(*, json: Json = False) -> None:
    """Print the OpenAPI 3.1 document of the REST API, with the webhooks that Tellwire sends. Needs no database.

    Always JSON; with --json on one line.
    """
    found = document(webhooks())
    if json:
        print_json(found)
    else:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
