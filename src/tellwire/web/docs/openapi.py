"""Make the OpenAPI 3.1 document: paths and parameters as Litestar sees them, bodies and answers as msgspec does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, get_args, get_origin

import msgspec
from litestar import HttpMethod, Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.response import Stream
from litestar.routes import HTTPRoute

from tellwire import __version__
from tellwire.security import api_keys
from tellwire.web.parameters import body_type
from tellwire.web.problems import MEDIA_TYPE, ProblemDetails

_CONFIG = OpenAPIConfig(title="Tellwire", version=__version__)
_REF = "#/components/schemas/{name}"
_KEY = "ApiKey"
_METHODS = ("get", "post", "patch", "delete")

_DESCRIPTION = """\
A self-hosted webhook platform for WhatsApp Business.

Every call under `/v1` takes an API key (`Authorization: Bearer tw_…`). A key belongs to one organization and sees only
that; what is another's is 404. Who runs the installation, with ADMIN_KEY or an operator's key, may name another one in
the header `Tellwire-Organization`.

Lists take `limit` (1 to 200) and `cursor`, newest first. Errors are RFC 9457 problems: `errors` has a JSON pointer and
a message for each wrong field (for a query parameter, `/` and its name). Every POST that creates takes an
`Idempotency-Key`: within 24 hours the same request gets the same answer, another one 422, one in flight 409. Send an
`X-Request-Id` to find a request again; it comes back in the answer.

`GET /` is the console, the pages for people, who log in there. `/version` and `/metrics` take a key. Where
OPEN_OPERATIONS is set, these two are open to everybody.

Wrong keys are 401; after 60 in a minute from one address they are 429 with `Retry-After`. Right keys go on working."""

_PARAMETERS = {
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Do this once, however often it is sent within 24 hours.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    },
    "Tellwire-Organization": {
        "name": "Tellwire-Organization",
        "in": "header",
        "description": "The organization to act in, for who runs the installation.",
        "schema": {"type": "string", "format": "uuid"},
    },
    "Last-Event-ID": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The event to go on behind.",
        "schema": {"type": "string", "format": "uuid"},
    },
}

_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["account", "file"],
                "properties": {
                    "account": {"type": "string", "description": "A phone_number_id or our id of an account."},
                    "type": {"type": "string", "description": "The file's MIME type."},
                    "file": {"type": "string", "contentMediaType": "application/octet-stream"},
                },
            }
        }
    },
}
_REFUSED = {"4XX": {"$ref": "#/components/responses/Problem"}, "503": {"$ref": "#/components/responses/Problem"}}
_META = {
    "get": {
        "operationId": "meta_handshake",
        "summary": "Meta's handshake",
        "description": "Answers the challenge as plain text when the token is META_VERIFY_TOKEN, else 403.",
        "tags": ["meta"],
        "parameters": [
            {"name": f"hub.{name}", "in": "query", "required": True, "schema": schema}
            for name, schema in (
                ("mode", {"const": "subscribe"}),
                ("verify_token", {"type": "string"}),
                ("challenge", {"type": "string", "minLength": 1}),
            )
        ],
        "responses": {
            "200": {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}},
            **_REFUSED,
        },
    },
    "post": {
        "operationId": "meta_webhook",
        "summary": "Meta's webhook",
        "description": "Verified by its signature over the raw bytes, at most 4 MiB, answered 200 once it is durable.",
        "tags": ["meta"],
        "parameters": [
            {
                "name": "X-Hub-Signature-256",
                "in": "header",
                "required": True,
                "description": "`sha256=` and the hex HMAC-SHA256 of the body under an app secret.",
                "schema": {"type": "string", "pattern": "^sha256=[0-9A-Fa-f]{64}$"},
            }
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
        "responses": {"200": {"description": "OK"}, **_REFUSED},
    },
}


def document(handlers: Sequence[Any], dependencies: Mapping[str, Any], webhooks: Mapping[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI document of these handlers; `webhooks` describes the webhooks that Tellwire sends."""
    app = Litestar(list(handlers), dependencies=dependencies, openapi_config=_CONFIG, logging_config=None)
    found: dict[str, Any] = app.openapi_schema.to_schema()
    for item in found["paths"].values():
        item.pop("head", None)  # HEAD answers as GET, without the body
    operations = list(_operations(app, found["paths"]))
    types = [ProblemDetails]
    for _, _, handler in operations:
        types += [each for each in (body_type(handler), _answer_type(handler)) if each is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = dict(zip(map(repr, types), schemas, strict=True))
    for path, operation, handler in operations:
        _rewrite(path, operation, handler, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tellwire", "version": __version__, "description": _DESCRIPTION, "license": {"name": "MIT"}},
        "servers": [{"url": "/"}],
        "paths": {"/meta/webhook": _META, **{path: found["paths"][path] for path in sorted(found["paths"])}},
        "webhooks": dict(webhooks),
        "components": {
            "schemas": components,
            "parameters": _PARAMETERS,
            "responses": {"Problem": _problem(by_type)},
            "securitySchemes": {
                _KEY: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key. Scopes: "
                    + " ".join(f"`{name}`: {words}." for name, words in api_keys.SCOPES.items()),
                }
            },
        },
    }


def _operations(app: Litestar, paths: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], HTTPRouteHandler]]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path_format)
        for method in _METHODS:
            if method in paths.get(path, {}):
                handler = route.route_handler_map[HttpMethod(method.upper())][0]
                yield path, paths[path][method], handler


def _answer_type(handler: HTTPRouteHandler) -> Any:
    """Return the type of a handler's JSON answers; None for no body, or one that is not JSON."""
    annotation = handler.parsed_return_field.annotation
    if get_origin(annotation) is Response:
        (held,) = get_args(annotation)
        return None if held is bytes else held
    return None


def _rewrite(path: str, operation: dict[str, Any], handler: HTTPRouteHandler, by_type: Mapping[str, Any]) -> None:
    operation["operationId"] = handler.handler_name
    operation["description"] = _prose(handler)
    operation.pop("deprecated", None)
    operation["parameters"] = [_parameter(each) for each in operation.get("parameters", [])]
    body = body_type(handler)
    if body is not None:
        optional = type(None) in get_args(body)
        operation["requestBody"] = {
            "required": not optional,
            "content": {"application/json": {"schema": by_type[repr(body)]}},
        }
    elif handler.opt.get("form"):
        operation["requestBody"] = _FORM
    operation["responses"] = _responses(handler, by_type)
    scopes = handler.opt.get("scopes")
    if scopes:
        operation["tags"] = [path.split("/")[2]]
        operation["security"] = [{_KEY: []}]
        operation["description"] += f"\n\nTakes the scope {' or '.join(f'`{scope}`' for scope in scopes)}."
        operation["parameters"] += [_shared("Tellwire-Organization")]
        if "request" in handler.parsed_fn_signature.parameters and (body is not None or handler.opt.get("form")):
            operation["parameters"] += [_shared("Idempotency-Key")]
        if handler.parsed_return_field.annotation is Stream and handler.opt["media_type"] == "text/event-stream":
            operation["parameters"] += [_shared("Last-Event-ID")]
    if not operation["parameters"]:
        del operation["parameters"]


def _prose(handler: HTTPRouteHandler) -> str:
    return " ".join((handler.fn.__doc__ or "").split())


def _shared(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/parameters/{name}"}


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    kept = {name: parameter[name] for name in ("name", "in", "description") if parameter.get(name)}
    schema = {name: value for name, value in parameter["schema"].items() if name != "description" and value != ""}
    for name in ("minimum", "maximum"):
        if name in schema:
            schema[name] = int(schema[name])
    return {**kept, "required": parameter["in"] == "path", "schema": schema}


def _responses(handler: HTTPRouteHandler, by_type: Mapping[str, Any]) -> dict[str, Any]:
    held = _answer_type(handler)
    answer: dict[str, Any] = {"description": HTTPStatus(handler.status_code).phrase}
    if held is not None:
        answer["content"] = {"application/json": {"schema": by_type[repr(held)]}}
    elif media_type := handler.opt.get("media_type"):
        held = {"type": "object"} if media_type == "application/json" else {"type": "string"}
        answer["content"] = {media_type: {"schema": held}}
    return {str(handler.status_code): answer, **_REFUSED}


def _problem(by_type: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": "Why not, as an RFC 9457 problem.",
        "content": {MEDIA_TYPE: {"schema": by_type[repr(ProblemDetails)]}},
    }
