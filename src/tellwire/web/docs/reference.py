"""Make the API's reference page, in Markdown, from the OpenAPI document (docs/reference/api.md; a test compares)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tellwire.security import api_keys

_PREFACE = """\
<!-- Made by tellwire.web.reference from the OpenAPI document; a test compares them. -->
# The API

The same as a document for machines: `GET /openapi.json`.

"""
_METHODS = ("get", "post", "patch", "delete")
_ORDER = ("meta", "operations")
_REF = "#/components/schemas/"


def reference(document: Mapping[str, Any]) -> str:
    """Return the whole page in Markdown."""
    by_tag: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                by_tag.setdefault(item[method]["tags"][0], []).append((method.upper(), path, item[method]))
    nouns = [tag for tag in by_tag if tag not in _ORDER]
    lines = [_PREFACE + document["info"]["description"], "", "## Scopes", "", "| scope | allows |", "|---|---|"]
    lines += [f"| `{name}` | {words} |" for name, words in api_keys.SCOPES.items()]
    lines += ["", "An API key gets every scope but `admin` unless others are named."]
    for tag in (*nouns, *_ORDER):
        lines += ["", f"## {tag}"]
        for method, path, operation in by_tag[tag]:
            lines += _operation(method, path, operation, document)
    lines += ["", "## Objects"]
    for name, schema in document["components"]["schemas"].items():
        lines += _object(name, schema)
    return "\n".join(lines) + "\n"


def _operation(method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"### {method} {path}", "", f"{operation['summary']}. {operation['description']}", "")
    parameters = [_resolved(each, document) for each in operation.get("parameters", ())]
    if parameters:
        yield from ("| parameter | in | takes | meaning |", "|---|---|---|---|")
        for each in parameters:
            meaning = each.get("description", "")
            yield f"| `{each['name']}` | {each['in']} | {_type(each['schema'])} | {_cell(meaning)} |"
        yield ""
    if "requestBody" in operation:
        optional = "" if operation["requestBody"]["required"] else " (optional)"
        yield f"Body{optional}: {_type(_schema(operation['requestBody']))}."
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            yield f"Answer: {status}" + (f", {_type(_schema(answer))}." if "content" in answer else ".")


def _resolved(parameter: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in parameter:
        return parameter
    found: Mapping[str, Any] = document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
    return found


def _schema(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    (content,) = holder["content"].values()
    schema: Mapping[str, Any] = content["schema"]
    return schema


def _object(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"### {name}", "")
    if "enum" in schema:
        yield f"One of {_words(schema['enum'])}."
        return
    yield schema.get("description", "")
    yield from ("", "| field | holds | meaning |", "|---|---|---|")
    required = schema.get("required", ())
    for field, held in schema["properties"].items():
        mark = "" if field in required else "?"
        yield f"| `{field}`{mark} | {_type(held)}{_default(held)} | {_cell(_meaning(held))} |"


def _meaning(schema: Mapping[str, Any]) -> str:
    if "description" in schema:
        return str(schema["description"])
    return " ".join(_meaning(each) for each in schema.get("anyOf", ())).strip()


def _default(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    if default in (None, "", (), [], {}):
        return ""
    if isinstance(default, (list, tuple)):
        return f"; {_words(default)} unless given"
    return f"; `{str(default).lower() if isinstance(default, bool) else default}` unless given"


def _type(schema: Mapping[str, Any]) -> str:
    match schema:
        case {"$ref": ref}:
            name = ref.removeprefix(_REF)
            return f"[{name}](#{name.lower()})"
        case {"enum": words}:
            return _words(words)
        case {"anyOf": kinds}:
            return " or ".join(_type(each) for each in kinds)
        case {"const": word}:
            return f"`{word}`"
        case {"type": "array"}:
            return f"list of {_type(schema.get('items', {}))}"
        case {"type": "string", "format": "date-time"}:
            return "time"
        case {"type": "object", "additionalProperties": dict() as held} if held:
            return f"object of {_type(held)}"
        case {"type": kind}:
            return f"{kind}{_bounds(schema)}"
        case _:
            return "anything"


def _bounds(schema: Mapping[str, Any]) -> str:
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "at most {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
    }
    found = [text.format(schema[name]) for name, text in words.items() if name in schema]
    return f" ({', '.join(found)})" if found else ""


def _words(words: Iterable[object]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
