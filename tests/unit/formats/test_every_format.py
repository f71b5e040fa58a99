"""What every row of `FORMATS` owes. Each test says in one sentence what is missing, and where it belongs.

docs/contributing/adding-a-payload-format.md goes through the same places in order.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Literal, cast

import pytest
from jsonschema import Draft202012Validator
from msgspec import Raw
from msgspec.structs import replace
from tests.golden.formats.cases import CASES, EVENTS, FOLDER, WRITTEN, Case
from tests.golden.formats.events import SECRET, endpoint, incoming, meta_event, outgoing

import tellwire.formats
import tellwire_sdk
from tellwire.cli.dev.catcher import Catcher
from tellwire.delivery.canonical_json import canonical
from tellwire.endpoints.samples import sample
from tellwire.formats import FORMATS, MEMBERS, by_name, operational, row
from tellwire.model.deliveries import SentAs, StatusItem
from tellwire.ports.formats import Format, Registration
from tellwire_sdk import WebhookError

REWRITE = "PYTHONPATH=src:sdk/src:. python -m tests.golden.rewrite"
PAGE = "docs/reference/formats.md"
TEXT = (Path(__file__).parents[3] / PAGE).read_text()
NOW = 1_778_038_763_000_000
CONVERSATIONS = ("conversations.insert", "conversations.update")
OURS = ("tellwire-", "webhook-", "content-", "user-agent", "authorization", "traceparent")

names = pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if isinstance(form, Format)])


def of(name: str, cases: tuple[Case, ...] = WRITTEN) -> list[Case]:
    return [case for case in cases if case.endpoint.format == name]


def bodies(name: str) -> Iterator[tuple[str, bytes]]:
    """The golden files of a format, by the name that a sentence calls them."""
    for case in of(name):
        yield f"{name}/{case.name}.json", case.path.read_bytes()


def fitting(body: bytes, schemas: Mapping[str, object]) -> list[str]:
    payload = json.loads(body)
    return [name for name, schema in schemas.items() if Draft202012Validator(schema).is_valid(payload)]  # type: ignore[arg-type]


ODD = {
    "half a pair in a text": b'{"type":"text","text":{"body":"odd \\ud83d"}}',
    "half a pair in a name": b'{"type":"text","text":{"body":"odd"},"x":{"\\ude00":1}}',
    "half a pair in the type": b'{"type":"\\ud83d","text":{"body":"odd"}}',
    "half a pair in a file": b'{"type":"image","image":{"id":"1","caption":"odd \\ude00"}}',
    "a number out of range": b'{"type":"odd","odd":1e999}',
    "many brackets": b'{"type":"odd","odd":%b1%b}' % (b"[" * 900, b"]" * 900),
    "no type": b'{"text":{"body":"odd"}}',
    "a type that is a list": b'{"type":["text"],"text":{"body":"odd"}}',
    "a type that is no text": b'{"type":5,"text":{"body":"odd"}}',
}
"""Content that customers can send and that no decoder takes, or not as it should be."""


@names
@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("updates", ["full", "changed"])
def test_content_that_no_decoder_takes_is_delivered(name: str, kind: str, updates: Literal["full", "changed"]) -> None:
    events = [
        incoming(ODD[kind]),
        incoming(ODD[kind], changed=("content",)),
        incoming(ODD[kind], changed=("status",)),
        outgoing({}, content=Raw(ODD[kind]), changed=("content", "status"), item=StatusItem("read", 1778038770)),
        incoming(ODD[kind], contact={"name": "Ana", "extra": Raw(ODD[kind])}),
    ]
    posted = meta_event("messages", {"messages": [Raw(ODD[kind])]})
    form, to = FORMATS[name], endpoint(name, updates=updates)
    for number, event in enumerate([*events, posted]):
        body = form.encode(event, to, SentAs("an id"))
        assert (body is not None) == bool(form.names(event)), (
            f"The format {name} has {'no body' if body is None else 'a body'} for event {number} with {kind}."
        )
        if body is not None:
            json.loads(body)
            json.loads(canonical(body))
    if form.JOINING is not None:
        joined = [each for each in (events[0], posted) if form.JOINING.takes(each, ())]
        assert joined or kind in ("no type", "a type that is no text"), (
            f"The format {name} buffers nothing with {kind}."
        )
        if joined:
            json.loads(form.JOINING.encode([*joined, *joined], to, SentAs("an id")))


# --- the module and its row -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", MEMBERS)
def test_a_format_that_lacks_a_member_is_told_so(member: str) -> None:
    lacking = ModuleType("tiny")
    vars(lacking).update({name: getattr(row, name) for name in MEMBERS if name != member})
    with pytest.raises(TypeError, match=rf"^The format tiny lacks {member}: see `Format` in src/"):
        by_name(cast("Format", lacking))


def test_every_module_that_is_a_format_has_a_row() -> None:
    modules = [import_module(f"tellwire.formats.{each.name}") for each in iter_modules(tellwire.formats.__path__)]
    rowless = [each.__name__ for each in modules if hasattr(each, "NAME") and each not in FORMATS.values()]
    assert not rowless, f"The format {rowless[0]} has no row in FORMATS (src/tellwire/formats/__init__.py)."


@names
def test_its_row_bears_its_name(name: str) -> None:
    own = FORMATS[name].NAME
    assert own == name, f"The row {name} of FORMATS holds the format that calls itself {own}: let the row use its NAME."


@names
def test_an_event_has_names_exactly_when_it_has_a_body(name: str) -> None:
    form = FORMATS[name]
    for case, event in EVENTS.items():
        known, body = form.names(event), form.encode(event, endpoint(name), SentAs("an id"))
        assert bool(known) == (body is not None), (
            f"The format {name} gives the event {case} {'a name and no body' if known else 'a body and no name'}."
        )
        unlisted = sorted(set(known) - set(form.EVENTS))
        assert not unlisted, f"The format {name} calls the event {case} {unlisted[0]}, which its EVENTS do not list."


@names
def test_what_it_never_sends_is_told_apart(name: str) -> None:
    form = FORMATS[name]
    assert set(form.UNSENT) <= set(form.EVENTS)
    for case, event in EVENTS.items():
        assert not set(form.names(event)) & set(form.UNSENT), f"{name} sends {case}, which UNSENT says it never does"
    for each in ("messages.insert", "messages.update", "conversations.insert", "conversations.update"):
        made = sample(form, each, "", NOW, lambda: str(uuid.uuid4()))
        assert bool(form.names(made)) == (each not in form.UNSENT), f"UNSENT of {name} is wrong about {each}"


@names
def test_each_of_its_own_names_is_one_that_something_goes_by(name: str) -> None:
    form = FORMATS[name]
    used = {each for event in EVENTS.values() for each in form.names(event)}
    own = sorted(set(form.EVENTS) - used - {*form.UNSENT, "messages.insert", *CONVERSATIONS})
    assert not own, f"The EVENTS of the format {name} list {own[0]}, a name that no event of the golden cases goes by."


@names
def test_a_test_event_can_be_sent(name: str) -> None:
    form = FORMATS[name]
    made = [sample(form, each, "", NOW, lambda: str(uuid.uuid4())) for each in form.EVENTS]
    assert any(form.encode(event, endpoint(name), SentAs("an id")) for event in made), (
        f"No event of the format {name} can be sent as a test: src/tellwire/endpoints/samples.py makes none of its."
    )


@names
def test_its_own_headers_are_reserved(name: str) -> None:
    form = FORMATS[name]
    for case in of(name):
        for header, _ in form.headers(case.event, case.endpoint, b"{}"):
            assert not header.lower().startswith(OURS), (
                f"The format {name} sets {header}, a header that every delivery has."
            )
            assert header.lower().startswith(form.RESERVED), (
                f"The format {name} sets {header}, which endpoints may set too: add its beginning to RESERVED."
            )


@names
def test_no_other_ids_fit_its_own(name: str) -> None:
    if (ids := FORMATS[name].IDS) is None:
        return
    for ours in (case.event.conversation_id for case in of(name) if case.event.conversation_id):
        shown = ids.shown(ours)
        assert not ids.fits(ours), f"The IDS of the format {name} take our own id {ours} for one of theirs."
        takers = [each for each, form in FORMATS.items() if form.IDS is not None and form.IDS.fits(shown)]
        assert takers == [name], (
            f"The id {shown} of the format {name} fits the IDS of {takers}: one format may take it."
        )


# --- golden files and schemas -----------------------------------------------------------------------------------------


@names
def test_it_has_a_golden_file_for_every_case(name: str) -> None:
    missing = [case.path.name for case in of(name, CASES) if not case.path.exists()]
    assert not missing, (
        f"The format {name} has no golden file for {len(missing)} cases, the first of them {name}/{missing[0]}: "
        f'run "{REWRITE}" and read what it wrote.'
    )


def test_every_golden_file_has_a_case() -> None:
    incomplete = {name for name, form in FORMATS.items() if not isinstance(form, Format)}
    there = {path for path in FOLDER.glob("*/*.json") if path.parent.name not in incomplete}
    stray = sorted(str(path.relative_to(FOLDER)) for path in there - {case.path for case in CASES})
    assert not stray, f'No case makes the golden file {stray[0]}: run "{REWRITE}".'


@names
def test_its_bodies_fit_one_schema_each(name: str) -> None:
    form, found = FORMATS[name], set()
    for file, body in bodies(name):
        fits = fitting(body, form.SCHEMAS)
        assert len(fits) == 1, (
            f"The golden file {file} fits {fits or 'none'} of the SCHEMAS of its format; it must fit one."
        )
        found |= set(fits)
    idle = sorted(set(form.SCHEMAS) - found) if of(name) else []
    assert not idle, f"No golden file of the format {name} fits {idle[0]}, which its SCHEMAS list."


@names
def test_its_schemas_fit_no_body_of_another_format(name: str) -> None:
    own = {each: schema for each, schema in FORMATS[name].SCHEMAS.items() if each not in operational.SCHEMAS}
    for other in set(FORMATS) - {name}:
        for file, body in bodies(other):
            fits = fitting(body, own)
            assert not fits, f"The schema {fits[0]} of the format {name} fits the golden file {file} of another format."


# --- what users read --------------------------------------------------------------------------------------------------


def section(name: str) -> str:
    found = re.search(rf"^## Format `{name}`\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


def properties(schema: object) -> Iterator[str]:
    match schema:
        case {"properties": Mapping() as named}:
            yield from named
    for part in schema.values() if isinstance(schema, Mapping) else schema if isinstance(schema, list) else ():
        yield from properties(part)


@names
def test_the_reference_describes_it(name: str) -> None:
    form, own = FORMATS[name], section(name)
    assert own, f'{PAGE} has no section "## Format `{name}`".'
    said = set(re.findall(r"[\w.-]+", " ".join(re.findall(r"`([^`\n]+)`", TEXT))))
    said |= {part for word in said for part in word.split(".")}
    wanted = {each for schema in form.SCHEMAS.values() for each in properties(schema)} | {*form.SCHEMAS, *form.EVENTS}
    wanted |= {form.SIGNATURE} - {""}
    unsaid = sorted(wanted - said)
    assert not unsaid, f"{PAGE} does not name {', '.join(unsaid)}, of which the format {name} speaks."
    assert form.HANDSHAKE is None or "### Registration\n" in own, (
        f'The section of the format {name} in {PAGE} has no heading "### Registration" that tells of its handshake.'
    )


@names
def test_the_examples_of_the_reference_are_its_bodies(name: str) -> None:
    examples = re.findall(r"^```json\n(.*?)^```", section(name), re.DOTALL | re.MULTILINE)
    wrong = [text for text in examples if not fitting(text.encode(), FORMATS[name].SCHEMAS)]
    assert examples or not section(name), f"The section of the format {name} in {PAGE} has no example in JSON."
    assert not wrong, f"An example of the format {name} in {PAGE} fits none of its SCHEMAS: {wrong[0]}"


# --- what receives it -------------------------------------------------------------------------------------------------


def parsed(body: bytes) -> str:
    """Why the SDK cannot parse a body and write it again; "" when it can."""
    try:
        again = tellwire_sdk.parse(body).encode()
    except WebhookError as refused:
        return str(refused)
    return "" if json.loads(again) == json.loads(body) else "what it writes is another payload"


@names
def test_the_sdk_knows_its_bodies_or_it_says_that_it_does_not(name: str) -> None:
    own = [(case, each) for case, each in bodies(name) if not fitting(each, operational.SCHEMAS)]
    refused = [(file, why) for file, body in own if (why := parsed(body))]
    if FORMATS[name].TYPED:
        assert not refused, (
            f"tellwire_sdk.parse cannot read {refused[0][0]} ({refused[0][1]}): "
            f"teach it the format {name}, or let the format say TYPED = False."
        )
    elif own:
        assert refused, f"tellwire_sdk.parse reads every golden file of the format {name}: let it say TYPED = True."


def posted(name: str, case: Case, *, vendor: bool = True) -> int:
    """What `dev`'s catcher answers to a body that is signed as a delivery is."""
    form, body, at = FORMATS[name], case.path.read_bytes(), int(time.time())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": tellwire_sdk.sign(body, webhook_id="msg_1", timestamp=at, secrets=[SECRET]),
    }
    headers |= {key.lower(): value for key, value in form.headers(case.event, case.endpoint, body)}
    if not vendor:
        headers.pop(form.SIGNATURE.lower(), None)
    return Catcher({name: SECRET}).answer("POST", f"/{name}", headers, body).status


@names
def test_the_catcher_of_dev_verifies_it(name: str) -> None:
    form = FORMATS[name]
    for case in of(name)[:1]:
        assert posted(name, case) == 200 or (form.TYPED and parsed(case.path.read_bytes())), (
            f"The catcher of `tellwire dev` does not verify {name}/{case.name}.json: is SIGNATURE a header that "
            f"headers() sets and tellwire_sdk.verify knows?"
        )
        assert not form.SIGNATURE or posted(name, case, vendor=False) == 401, (
            f"The catcher of `tellwire dev` takes the format {name} without its {form.SIGNATURE}."
        )


@names
def test_the_catcher_of_dev_consents_to_its_registration(name: str) -> None:
    if (handshake := FORMATS[name].HANDSHAKE) is None:
        return
    url = f"http://127.0.0.1:1/{name}"
    asked = Registration(endpoint=replace(endpoint(name), url=url), token="a fresh token", origin="https://us.example")
    request = handshake.request(asked)
    headers = {key.lower(): value for key, value in request.headers}
    target = request.url.removeprefix("http://127.0.0.1:1")
    why = handshake.refusal(asked, Catcher({name: SECRET}).answer(request.method, target, headers, request.body))
    assert not why, f"The handshake of the format {name} refuses what its own consent() answers: {why}."
